-- Bugs by signature. `fields` has a field a line. Ids of signatures are ten hexadecimal digits.
CREATE TABLE bugs (
    signature TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    form TEXT NOT NULL,
    encoding TEXT NOT NULL,
    fields TEXT NOT NULL,
    first_seen BIGINT NOT NULL
);

-- How often a run met a bug on an engine.
CREATE TABLE bug_sightings (
    signature TEXT NOT NULL REFERENCES bugs (signature) ON DELETE CASCADE,
    run_id BIGINT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    engine_id BIGINT NOT NULL REFERENCES engines (id),
    runs BIGINT NOT NULL,
    blocks BIGINT NOT NULL,
    PRIMARY KEY (signature, run_id, engine_id)
);
CREATE INDEX bug_sightings_of_run ON bug_sightings (run_id);

-- The plainest case of a bug on an engine. `reduced` is 0 where it is as it was met.
CREATE TABLE bug_examples (
    signature TEXT NOT NULL REFERENCES bugs (signature) ON DELETE CASCADE,
    engine_id BIGINT NOT NULL REFERENCES engines (id),
    reference_id BIGINT NOT NULL REFERENCES engines (id),
    block BIGINT REFERENCES blocks (number) ON DELETE SET NULL,
    case_id TEXT NOT NULL REFERENCES cases (id),
    reduced BIGINT NOT NULL,
    confirmations BIGINT NOT NULL,
    differences TEXT NOT NULL,
    expected BYTEA NOT NULL,
    actual BYTEA NOT NULL,
    found BIGINT NOT NULL,
    PRIMARY KEY (signature, engine_id)
);
CREATE INDEX bug_examples_of_case ON bug_examples (case_id);
CREATE INDEX bug_examples_of_block ON bug_examples (block);

-- Bugs that are known to the people of an engine. They stay when the bug itself is removed; `engine` is the name of
-- the engine, empty for every one.
CREATE TABLE known_bugs (
    signature TEXT NOT NULL,
    engine TEXT NOT NULL,
    issue TEXT NOT NULL,
    note TEXT NOT NULL,
    added BIGINT NOT NULL,
    PRIMARY KEY (signature, engine)
);
