-- Blocks that diverge are few among many: statistics find them without reading the others.
CREATE INDEX block_results_diverged ON block_results (block) WHERE diverged > 0;
CREATE INDEX block_inconclusive_by_reason ON block_inconclusive (reason, block);
