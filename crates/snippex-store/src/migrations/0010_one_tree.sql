-- Most rows of a database are results of blocks, and are written once: in SQLite the primary key is the table then, instead of
-- a second tree beside it.
DROP INDEX block_results_by_block;
DROP INDEX block_results_failing;
ALTER TABLE block_results RENAME TO block_results_of_two_trees;
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
) /* WITHOUT ROWID */;
INSERT INTO block_results SELECT run_id, block, engine_id, runs, completed, faulted, matched, diverged, unsupported
    FROM block_results_of_two_trees ORDER BY run_id, block, engine_id;
DROP TABLE block_results_of_two_trees;
CREATE INDEX block_results_by_block ON block_results (block, engine_id, matched, diverged, run_id);
CREATE INDEX block_results_failing ON block_results (block, engine_id, run_id) WHERE diverged > 0;
