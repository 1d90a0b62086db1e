
-- What is still to be counted since something need not be waited for any more, or has to be again:
-- in the order in which it happened, some at a time.
CREATE TABLE dependency_turn (
    key         INTEGER PRIMARY KEY AUTOINCREMENT,
    job_key     INTEGER NOT NULL REFERENCES job (key),
    -- What is added to each count of what is missing.
    step        INTEGER NOT NULL,
    -- Whose counts, by one of three: those of the tasks that wait for this task, of the ranges with
    -- this number, of the tasks that wait for this range.
    parent_id   TEXT COLLATE NOCASE,
    number      INTEGER,
    range_key   INTEGER,
    -- Where it goes on: after this task, and after this range in blocks of this level.
    after_child TEXT NOT NULL,
    level       INTEGER NOT NULL,
    after_range INTEGER NOT NULL
);

CREATE INDEX dependency_turn_of_job ON dependency_turn (job_key, key);

-- The last turn that was under way when a task or range came: it and those before it do not
-- concern what came then, which was counted as it is since.
ALTER TABLE dependency_unmet ADD COLUMN since_turn INTEGER NOT NULL DEFAULT 0;
ALTER TABLE dependency_range ADD COLUMN since_turn INTEGER NOT NULL DEFAULT 0;
