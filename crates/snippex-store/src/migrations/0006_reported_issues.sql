-- Issues that were opened about bugs, and those that are about to be: a process that dies between writing a row and hearing
-- from GitHub leaves one without a number, which says that there may be an issue all the same.
CREATE TABLE reported_issues (
    repository TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    number BIGINT,
    url TEXT NOT NULL,
    intended BIGINT NOT NULL,
    PRIMARY KEY (repository, fingerprint)
);
