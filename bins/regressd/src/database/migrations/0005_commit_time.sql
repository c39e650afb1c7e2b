-- When the commit of a run was made, where that says better than its arrival where in a history it belongs.
ALTER TABLE runs ADD COLUMN commit_time BIGINT;

-- A history goes by the time of each run's commit, or else of its arrival, and not by the numbers of runs: what was measured
-- before can be sent later. Kept beside the judgement, so that the index alone leads through a history.
ALTER TABLE judgements ADD COLUMN at BIGINT NOT NULL DEFAULT 0;
UPDATE judgements SET at = (SELECT received FROM runs WHERE runs.id = judgements.run_id);
DROP INDEX judgements_history;
CREATE INDEX judgements_history ON judgements (stream_id, branch, at, run_id) WHERE accepted = 1;
