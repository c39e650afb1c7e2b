-- The number by which GitHub knows a repository, whatever it is called and whoever owns it.
ALTER TABLE repositories ADD COLUMN github_id BIGINT;
CREATE UNIQUE INDEX repositories_by_github_id ON repositories (github_id) WHERE github_id IS NOT NULL;

-- What repositories were called before: uploads and links under such a name go where the repository is now.
CREATE TABLE former_names (
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    repository_id BIGINT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    PRIMARY KEY (owner, name)
);

-- Commits that a forced push took off a branch: what was measured of them does not count for it.
CREATE TABLE rewritten (
    repository_id BIGINT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    branch TEXT NOT NULL,
    commit_sha TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (repository_id, branch, commit_sha)
);
CREATE INDEX rewritten_by_age ON rewritten (at);
