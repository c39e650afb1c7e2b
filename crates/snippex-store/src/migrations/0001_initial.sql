-- Written for PostgreSQL. `schema.rs` says which type words are replaced for SQLite; everything else is common.
-- Unsigned 64-bit values (addresses, seeds, XCR0) are stored as the signed integer with the same bits.
-- Times are milliseconds since the Unix epoch.

CREATE TABLE binaries (
    id BIGSERIAL PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    path TEXT NOT NULL,
    size BIGINT NOT NULL,
    format TEXT NOT NULL
);

-- One row: the last block number that was given out. Numbers are never used again, not even after a removal.
CREATE TABLE block_numbers (last BIGINT NOT NULL);
INSERT INTO block_numbers (last) VALUES (0);

CREATE TABLE blocks (
    number BIGINT PRIMARY KEY,
    binary_id BIGINT NOT NULL REFERENCES binaries (id) ON DELETE CASCADE,
    address BIGINT NOT NULL,
    size BIGINT NOT NULL,
    bytes BYTEA NOT NULL,
    instruction_count BIGINT NOT NULL,
    terminator TEXT NOT NULL,
    successors TEXT NOT NULL,
    origin TEXT NOT NULL,
    unrunnable TEXT,
    UNIQUE (binary_id, address, size)
);

CREATE TABLE engines (
    id BIGSERIAL PRIMARY KEY,
    fingerprint TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    configuration TEXT NOT NULL,
    components BIGINT NOT NULL,
    guest_vendor TEXT NOT NULL,
    guest_brand TEXT NOT NULL,
    guest_hypervisor TEXT NOT NULL,
    guest_xcr0 BIGINT NOT NULL,
    guest_features TEXT NOT NULL
);

CREATE TABLE hosts (
    id BIGSERIAL PRIMARY KEY,
    fingerprint TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    architecture TEXT NOT NULL,
    cpu_model TEXT NOT NULL,
    cpu_count BIGINT NOT NULL,
    kernel TEXT NOT NULL,
    page_size BIGINT NOT NULL
);

CREATE TABLE runs (
    id BIGSERIAL PRIMARY KEY,
    command TEXT NOT NULL,
    arguments TEXT NOT NULL,
    tool_version TEXT NOT NULL,
    seed BIGINT NOT NULL,
    states_per_block BIGINT NOT NULL,
    partition_index BIGINT,
    partition_count BIGINT,
    host_id BIGINT NOT NULL REFERENCES hosts (id),
    owner TEXT NOT NULL,
    status TEXT NOT NULL,
    started BIGINT NOT NULL,
    heartbeat BIGINT NOT NULL,
    finished BIGINT
);

-- Position 0 is the reference engine, the others are compared with it.
CREATE TABLE run_engines (
    run_id BIGINT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    engine_id BIGINT NOT NULL REFERENCES engines (id),
    PRIMARY KEY (run_id, position)
);

CREATE TABLE block_results (
    run_id BIGINT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    block BIGINT NOT NULL REFERENCES blocks (number) ON DELETE CASCADE,
    engine_id BIGINT NOT NULL REFERENCES engines (id),
    runs BIGINT NOT NULL,
    completed BIGINT NOT NULL,
    faulted BIGINT NOT NULL,
    matched BIGINT NOT NULL,
    diverged BIGINT NOT NULL,
    unsupported BIGINT NOT NULL,
    PRIMARY KEY (run_id, block, engine_id)
);
CREATE INDEX block_results_of_block ON block_results (block);

CREATE TABLE block_inconclusive (
    run_id BIGINT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    block BIGINT NOT NULL REFERENCES blocks (number) ON DELETE CASCADE,
    engine_id BIGINT NOT NULL REFERENCES engines (id),
    reason TEXT NOT NULL,
    runs BIGINT NOT NULL,
    PRIMARY KEY (run_id, block, engine_id, reason)
);
CREATE INDEX block_inconclusive_of_block ON block_inconclusive (block);

CREATE TABLE cases (
    id TEXT PRIMARY KEY,
    bytes BYTEA NOT NULL
);

CREATE TABLE divergences (
    id BIGSERIAL PRIMARY KEY,
    run_id BIGINT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    block BIGINT NOT NULL REFERENCES blocks (number) ON DELETE CASCADE,
    engine_id BIGINT NOT NULL REFERENCES engines (id),
    reference_id BIGINT NOT NULL REFERENCES engines (id),
    state_index BIGINT NOT NULL,
    case_id TEXT NOT NULL REFERENCES cases (id),
    class TEXT NOT NULL,
    culprit TEXT,
    confirmations BIGINT NOT NULL,
    differences TEXT NOT NULL,
    expected BYTEA NOT NULL,
    actual BYTEA NOT NULL,
    UNIQUE (run_id, block, state_index, engine_id)
);
CREATE INDEX divergences_of_block ON divergences (block);
CREATE INDEX divergences_of_case ON divergences (case_id);

CREATE TABLE observations (
    id BIGSERIAL PRIMARY KEY,
    run_id BIGINT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    block BIGINT NOT NULL REFERENCES blocks (number) ON DELETE CASCADE,
    engine_id BIGINT NOT NULL REFERENCES engines (id),
    state_index BIGINT NOT NULL,
    case_id TEXT NOT NULL REFERENCES cases (id),
    observation BYTEA NOT NULL,
    UNIQUE (run_id, block, state_index, engine_id)
);
CREATE INDEX observations_of_block ON observations (block);
CREATE INDEX observations_of_case ON observations (case_id);
