-- Ordered by what runs came to: whether a block ever ended otherwise on an engine follows from its first and its last entry.
DROP INDEX block_results_by_block;
CREATE INDEX block_results_by_block ON block_results (block, engine_id, matched, diverged, run_id);
