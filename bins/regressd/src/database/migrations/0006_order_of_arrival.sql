-- The newest runs of a stream: a run that arrives stands behind them, whichever process took them and whatever its clock said.
CREATE INDEX runs_of_stream ON runs (stream_id, id);
