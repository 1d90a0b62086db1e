-- Accounts, pools, nodes, jobs and tasks. Times are ticks of 100 ns since 1970-01-01.

CREATE TABLE account (
    kind       TEXT NOT NULL,
    name       TEXT NOT NULL,
    key1       TEXT NOT NULL,
    key2       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    linked_storage TEXT,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;

CREATE TABLE pool (
    key      INTEGER PRIMARY KEY AUTOINCREMENT,
    account  TEXT NOT NULL,
    id       TEXT NOT NULL COLLATE NOCASE,
    spec     TEXT NOT NULL,
    life     TEXT NOT NULL,
    UNIQUE (account, id)
);

CREATE TABLE node (
    id       TEXT NOT NULL PRIMARY KEY,
    pool_key INTEGER NOT NULL REFERENCES pool (key),
    life     TEXT NOT NULL,
    secret   TEXT NOT NULL,
    -- The start task of its latest boot, as its pool had it then.
    start_task TEXT
) WITHOUT ROWID;

CREATE INDEX node_of_pool ON node (pool_key, id);

CREATE TABLE job_schedule (
    key      INTEGER PRIMARY KEY AUTOINCREMENT,
    account  TEXT NOT NULL,
    id       TEXT NOT NULL COLLATE NOCASE,
    spec     TEXT NOT NULL,
    life     TEXT NOT NULL,
    is_over  INTEGER NOT NULL DEFAULT 0,
    UNIQUE (account, id)
);

CREATE TABLE job (
    key      INTEGER PRIMARY KEY AUTOINCREMENT,
    account  TEXT NOT NULL,
    id       TEXT NOT NULL COLLATE NOCASE,
    spec     TEXT NOT NULL,
    life     TEXT NOT NULL,
    -- The schedule that made it.
    schedule_key INTEGER REFERENCES job_schedule (key),
    is_over  INTEGER NOT NULL DEFAULT 0,
    UNIQUE (account, id)
);

-- Jobs that have not completed: what a start reads.
CREATE INDEX job_open ON job (key) WHERE is_over = 0;

-- Jobs and job schedules of an account that have not completed; kept, not counted.
CREATE TABLE active_count (
    account TEXT NOT NULL PRIMARY KEY,
    n       INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TRIGGER job_added AFTER INSERT ON job BEGIN
    INSERT INTO active_count (account, n) VALUES (NEW.account, 1 - NEW.is_over)
    ON CONFLICT (account) DO UPDATE SET n = n + 1 - NEW.is_over;
END;

CREATE TRIGGER job_turned AFTER UPDATE OF is_over ON job WHEN NEW.is_over <> OLD.is_over BEGIN
    UPDATE active_count SET n = n + OLD.is_over - NEW.is_over WHERE account = NEW.account;
END;

CREATE TRIGGER job_removed AFTER DELETE ON job BEGIN
    UPDATE active_count SET n = n - 1 + OLD.is_over WHERE account = OLD.account;
END;

CREATE TRIGGER job_schedule_added AFTER INSERT ON job_schedule BEGIN
    INSERT INTO active_count (account, n) VALUES (NEW.account, 1 - NEW.is_over)
    ON CONFLICT (account) DO UPDATE SET n = n + 1 - NEW.is_over;
END;

CREATE TRIGGER job_schedule_turned AFTER UPDATE OF is_over ON job_schedule
WHEN NEW.is_over <> OLD.is_over BEGIN
    UPDATE active_count SET n = n + OLD.is_over - NEW.is_over WHERE account = NEW.account;
END;

CREATE TRIGGER job_schedule_removed AFTER DELETE ON job_schedule BEGIN
    UPDATE active_count SET n = n - 1 + OLD.is_over WHERE account = OLD.account;
END;

CREATE INDEX job_of_schedule ON job (schedule_key, id) WHERE schedule_key IS NOT NULL;

CREATE TABLE task (
    job_key  INTEGER NOT NULL REFERENCES job (key),
    id       TEXT NOT NULL COLLATE NOCASE,
    sequence INTEGER NOT NULL,
    state    INTEGER NOT NULL,
    node_id  TEXT,
    slots    INTEGER NOT NULL,
    needs    TEXT,
    -- What it has to do with others, as a sum of bits.
    ties     INTEGER NOT NULL,
    spec     TEXT NOT NULL,
    life     TEXT NOT NULL,
    PRIMARY KEY (job_key, id)
) WITHOUT ROWID;

-- Tasks that have not completed: what a start reads to rebuild its queues.
CREATE INDEX task_open ON task (job_key, sequence) WHERE state < 3;
CREATE INDEX task_of_node ON task (node_id) WHERE node_id IS NOT NULL AND state < 3;

-- Lists of tasks in one state, in the order of their ids.
CREATE INDEX task_in_state ON task (job_key, state, id);

-- How many tasks of a job are in which state, and their slots; kept, not counted.
CREATE TABLE task_count (
    job_key INTEGER NOT NULL REFERENCES job (key),
    bucket  INTEGER NOT NULL,
    tasks   INTEGER NOT NULL,
    slots   INTEGER NOT NULL,
    -- Of the first bucket: numbers the tasks that were ever added, those that are gone too.
    last_sequence INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job_key, bucket)
) WITHOUT ROWID;

CREATE INDEX task_running ON task (job_key) WHERE node_id IS NOT NULL AND state < 3;
