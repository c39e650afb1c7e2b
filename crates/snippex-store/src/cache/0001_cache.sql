-- What decides verdicts apart from the block: seed, engines, versions. `parts` is JSON, `digest` is made of it.
CREATE TABLE contexts (
    id BIGSERIAL PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    parts TEXT NOT NULL
);

-- Verdicts on blocks whose addresses lie together (`bucket`). Times are milliseconds since the Unix epoch. What is summed
-- up stands before the bytes, so that summing up reads no bytes.
CREATE TABLE segments (
    id BIGSERIAL PRIMARY KEY,
    context_id BIGINT NOT NULL REFERENCES contexts (id) ON DELETE CASCADE,
    bucket BIGINT NOT NULL,
    created BIGINT NOT NULL,
    used BIGINT NOT NULL,
    entries BIGINT NOT NULL,
    cost_us BIGINT NOT NULL,
    size BIGINT NOT NULL,
    bytes BYTEA NOT NULL
);
CREATE INDEX segments_of_context ON segments (context_id, bucket);

-- SHA-256 of files by what tells whether they were replaced, so that engines are not read again for each check.
CREATE TABLE file_digests (
    stamp TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL
);
