-- Commits that a push made the head of a branch with a history: what was measured of them counts for that branch,
-- whoever measured it first.
CREATE TABLE landed (
    repository_id BIGINT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    branch TEXT NOT NULL,
    commit_sha TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (repository_id, branch, commit_sha)
);
CREATE INDEX landed_by_age ON landed (at);

-- 1 when the head lies in another repository, 0 when not; NULL for what version 1 stored, which did not ask.
ALTER TABLE pull_requests ADD COLUMN from_fork BIGINT;

-- When content was made on GitHub for an installation, during the last hour: a JSON list of times, oldest first.
CREATE TABLE paces (
    installation BIGINT PRIMARY KEY,
    made TEXT NOT NULL
);

-- Runs are judged many at a time, all other work is done job by job: neither is looked for among the other.
DROP INDEX jobs_due;
CREATE INDEX jobs_to_judge ON jobs (due, id) WHERE state = 'waiting' AND kind = 'judge';
CREATE INDEX jobs_to_do ON jobs (due, id) WHERE state = 'waiting' AND kind <> 'judge';
CREATE INDEX jobs_leased ON jobs (leased_until) WHERE state = 'running';
