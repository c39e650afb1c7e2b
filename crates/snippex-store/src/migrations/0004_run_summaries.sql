-- The CPU that an engine ran on, as JSON; empty for engines from before it was recorded.
ALTER TABLE engines ADD COLUMN host_cpu TEXT NOT NULL DEFAULT '';

-- What a run came to. `details` is JSON: counts by reason, rule and deviation, and the coverage of instruction forms.
CREATE TABLE run_summaries (
    run_id BIGINT PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    elapsed_us BIGINT NOT NULL,
    blocks BIGINT NOT NULL,
    diverging_blocks BIGINT NOT NULL,
    runs BIGINT NOT NULL,
    completed BIGINT NOT NULL,
    faulted BIGINT NOT NULL,
    matched BIGINT NOT NULL,
    diverged BIGINT NOT NULL,
    inconclusive BIGINT NOT NULL,
    unsupported BIGINT NOT NULL,
    details TEXT NOT NULL
);
