-- Written for PostgreSQL; `dialect.rs` says which words SQLite wants instead. Times are milliseconds since 1970.

CREATE TABLE repositories (
    id BIGSERIAL PRIMARY KEY,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    installation BIGINT,
    default_branch TEXT,
    config TEXT NOT NULL DEFAULT '{}',
    created BIGINT NOT NULL,
    UNIQUE (owner, name)
);

CREATE TABLE environments (
    id BIGSERIAL PRIMARY KEY,
    canonical TEXT NOT NULL UNIQUE,
    parts TEXT NOT NULL
);

-- What is compared with each other: a component of a repository in one environment.
CREATE TABLE streams (
    id BIGSERIAL PRIMARY KEY,
    repository_id BIGINT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    environment_id BIGINT NOT NULL REFERENCES environments (id),
    component TEXT NOT NULL,
    UNIQUE (repository_id, environment_id, component)
);

-- Unit and direction belong to the identity: numbers of another unit are another series.
CREATE TABLE series (
    id BIGSERIAL PRIMARY KEY,
    stream_id BIGINT NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    benchmark TEXT NOT NULL,
    measure TEXT NOT NULL,
    unit TEXT NOT NULL,
    direction TEXT NOT NULL,
    UNIQUE (stream_id, benchmark, measure, unit, direction)
);

-- One row an upload. `results` is [[series, [value, ...]], ...]: a run is always read whole, and one row costs
-- an upload of 20 benchmarks a twentieth of the writes.
CREATE TABLE runs (
    id BIGSERIAL PRIMARY KEY,
    repository_id BIGINT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    stream_id BIGINT NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    branch TEXT NOT NULL,
    target TEXT NOT NULL,
    commit_sha TEXT NOT NULL,
    pull_request BIGINT,
    run_key TEXT NOT NULL,
    received BIGINT NOT NULL,
    uploader TEXT NOT NULL,
    workflow_run BIGINT,
    results TEXT NOT NULL,
    base TEXT,
    problems TEXT,
    UNIQUE (stream_id, commit_sha, run_key)
);
CREATE INDEX runs_of_repository ON runs (repository_id, id);
CREATE INDEX runs_of_pull_request ON runs (repository_id, pull_request, id) WHERE pull_request IS NOT NULL;

-- `accepted` = 1: the run is part of the history of its branch.
CREATE TABLE judgements (
    run_id BIGINT PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    stream_id BIGINT NOT NULL,
    branch TEXT NOT NULL,
    accepted BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    judged BIGINT NOT NULL,
    verdicts TEXT NOT NULL
);
CREATE INDEX judgements_history ON judgements (stream_id, branch, run_id) WHERE accepted = 1;

-- Values that must not enter a baseline: they regressed, and nobody has accepted that.
CREATE TABLE rejections (
    series_id BIGINT NOT NULL REFERENCES series (id) ON DELETE CASCADE,
    run_id BIGINT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    PRIMARY KEY (series_id, run_id)
);
CREATE INDEX rejections_of_run ON rejections (run_id);

-- An accepted shift: the baseline of the series on the branch begins with this run.
CREATE TABLE epochs (
    series_id BIGINT NOT NULL REFERENCES series (id) ON DELETE CASCADE,
    branch TEXT NOT NULL,
    from_run BIGINT NOT NULL,
    justification TEXT NOT NULL,
    actor TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (series_id, branch, from_run)
);

CREATE TABLE deliveries (
    id TEXT PRIMARY KEY,
    event TEXT NOT NULL,
    received BIGINT NOT NULL,
    state TEXT NOT NULL,
    payload TEXT NOT NULL
);
CREATE INDEX deliveries_by_age ON deliveries (received);

-- Work to do. `key` is what two jobs must share to be the same work: one of them may wait, one may run.
CREATE TABLE jobs (
    id BIGSERIAL PRIMARY KEY,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    payload TEXT NOT NULL,
    correlation TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    due BIGINT NOT NULL,
    leased_until BIGINT NOT NULL DEFAULT 0,
    worker TEXT NOT NULL DEFAULT '',
    created BIGINT NOT NULL,
    error TEXT
);
CREATE UNIQUE INDEX jobs_waiting ON jobs (key) WHERE state = 'waiting';
CREATE UNIQUE INDEX jobs_running ON jobs (key) WHERE state = 'running';
CREATE INDEX jobs_dead ON jobs (key) WHERE state = 'dead';
CREATE INDEX jobs_due ON jobs (state, due, id);

CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    repository TEXT NOT NULL,
    role TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT,
    revoked BIGINT
);

CREATE TABLE audit (
    id BIGSERIAL PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
);

CREATE TABLE pull_requests (
    repository_id BIGINT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    head_sha TEXT NOT NULL,
    base_branch TEXT NOT NULL,
    open BIGINT NOT NULL,
    PRIMARY KEY (repository_id, number)
);
CREATE INDEX pull_requests_by_head ON pull_requests (repository_id, head_sha);

-- Who may write a comment, check or issue at the moment, and until when: one at a time.
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until BIGINT NOT NULL
);

-- Runs that were asked for to confirm a suspicion.
CREATE TABLE confirmations (
    stream_id BIGINT NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    commit_sha TEXT NOT NULL,
    asked BIGINT NOT NULL,
    PRIMARY KEY (stream_id, commit_sha)
);
