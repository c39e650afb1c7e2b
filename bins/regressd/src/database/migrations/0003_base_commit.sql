-- The commit of the target branch that a pull request was made against: what its runs are compared with.
ALTER TABLE pull_requests ADD COLUMN base_sha TEXT;
