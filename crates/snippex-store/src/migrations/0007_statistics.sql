-- Statistics over many runs read indices alone: what a block came to in each run, and where it failed.
DROP INDEX block_results_of_block;
CREATE INDEX block_results_by_block ON block_results (block, engine_id, run_id, matched, diverged);
DROP INDEX block_results_diverged;
CREATE INDEX block_results_failing ON block_results (block, engine_id, run_id) WHERE diverged > 0;
