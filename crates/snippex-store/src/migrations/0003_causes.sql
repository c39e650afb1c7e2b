-- What is behind a bug: many signatures can have one cause, and one signature several. `cause` is empty where a bug is
-- from before there were causes, until somebody has looked at its example.
CREATE TABLE sightings_by_cause (
    cause TEXT NOT NULL,
    signature TEXT NOT NULL REFERENCES bugs (signature) ON DELETE CASCADE,
    run_id BIGINT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    engine_id BIGINT NOT NULL REFERENCES engines (id),
    runs BIGINT NOT NULL,
    blocks BIGINT NOT NULL,
    PRIMARY KEY (cause, signature, run_id, engine_id)
);
INSERT INTO sightings_by_cause SELECT '', signature, run_id, engine_id, runs, blocks FROM bug_sightings;
DROP TABLE bug_sightings;
ALTER TABLE sightings_by_cause RENAME TO bug_sightings;
CREATE INDEX bug_sightings_of_run ON bug_sightings (run_id);
CREATE INDEX bug_sightings_of_signature ON bug_sightings (signature);

CREATE TABLE examples_by_cause (
    cause TEXT NOT NULL,
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
    PRIMARY KEY (cause, signature, engine_id)
);
INSERT INTO examples_by_cause SELECT '', signature, engine_id, reference_id, block, case_id, reduced, confirmations,
    differences, expected, actual, found FROM bug_examples;
DROP TABLE bug_examples;
ALTER TABLE examples_by_cause RENAME TO bug_examples;
CREATE INDEX bug_examples_of_case ON bug_examples (case_id);
CREATE INDEX bug_examples_of_block ON bug_examples (block);
CREATE INDEX bug_examples_of_signature ON bug_examples (signature);

-- A known bug is a cause, or one signature of any cause.
ALTER TABLE known_bugs RENAME COLUMN signature TO bug;
