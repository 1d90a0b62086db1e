
-- What tasks wait for. Of each pair, whether it is met follows from the state of the parent, so
-- that a parent which runs again is waited for again.

CREATE TABLE dependency (
    job_key   INTEGER NOT NULL REFERENCES job (key),
    parent_id TEXT NOT NULL COLLATE NOCASE,
    child_id  TEXT NOT NULL COLLATE NOCASE,
    PRIMARY KEY (job_key, parent_id, child_id)
) WITHOUT ROWID;

CREATE INDEX dependency_of_child ON dependency (job_key, child_id);

-- Ranges of numbers that tasks wait for; tasks that wait for the same share it.
CREATE TABLE dependency_range (
    key     INTEGER PRIMARY KEY,
    job_key INTEGER NOT NULL REFERENCES job (key),
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    -- Numbers that no task meets yet.
    missing INTEGER NOT NULL,
    UNIQUE (job_key, first, last)
);

-- The ranges cut into blocks of 2^level numbers that begin at a multiple of that: a number is
-- found in each range by looking at its one block of each level.
CREATE TABLE dependency_block (
    job_key   INTEGER NOT NULL REFERENCES job (key),
    level     INTEGER NOT NULL,
    block     INTEGER NOT NULL,
    range_key INTEGER NOT NULL,
    PRIMARY KEY (job_key, level, block, range_key)
) WITHOUT ROWID;

CREATE TABLE dependency_on_range (
    range_key INTEGER NOT NULL,
    job_key   INTEGER NOT NULL REFERENCES job (key),
    child_id  TEXT NOT NULL COLLATE NOCASE,
    PRIMARY KEY (range_key, child_id)
) WITHOUT ROWID;

CREATE INDEX dependency_on_range_of_child ON dependency_on_range (job_key, child_id);

-- How many tasks and ranges a task waits for; kept, not counted. Apart from the task, whose row
-- may be large.
CREATE TABLE dependency_unmet (
    job_key  INTEGER NOT NULL REFERENCES job (key),
    child_id TEXT NOT NULL COLLATE NOCASE,
    n_unmet  INTEGER NOT NULL,
    PRIMARY KEY (job_key, child_id)
) WITHOUT ROWID;

-- Tasks that need not be waited for any more, and the numbers that their ids are.
CREATE TABLE dependency_met (
    job_key   INTEGER NOT NULL REFERENCES job (key),
    parent_id TEXT NOT NULL COLLATE NOCASE,
    number    INTEGER,
    PRIMARY KEY (job_key, parent_id)
) WITHOUT ROWID;

CREATE INDEX dependency_met_number ON dependency_met (job_key, number) WHERE number IS NOT NULL;
