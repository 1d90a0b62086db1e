-- Files of tasks that are kept though their nodes are gone.

-- What one node left when it ended; the number names its directory.
CREATE TABLE kept_node (
    key       INTEGER PRIMARY KEY AUTOINCREMENT,
    account   TEXT NOT NULL,
    node_id   TEXT NOT NULL,
    -- Whether each of its tasks is a row of kept_task, or gone.
    is_sorted INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX kept_node_unsorted ON kept_node (node_id, key) WHERE is_sorted = 0;

CREATE TABLE kept_task (
    job_key    INTEGER NOT NULL,
    task_id    TEXT NOT NULL COLLATE NOCASE,
    node_key   INTEGER NOT NULL REFERENCES kept_node (key),
    -- Of the task as it ended: a later one of its name, or a later run, is another.
    sequence   INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,
    path       TEXT NOT NULL,
    bytes      INTEGER NOT NULL,
    keep_until INTEGER NOT NULL,
    PRIMARY KEY (job_key, task_id, node_key)
) WITHOUT ROWID;

CREATE INDEX kept_task_due ON kept_task (keep_until);
CREATE INDEX kept_task_oldest ON kept_task (ended_at);
CREATE INDEX kept_task_of_node ON kept_task (node_key);

-- Bytes of all of them; kept, not counted.
CREATE TABLE kept_size (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    bytes INTEGER NOT NULL
);

INSERT INTO kept_size (one, bytes) VALUES (1, 0);

CREATE TRIGGER kept_task_added AFTER INSERT ON kept_task BEGIN
    UPDATE kept_size SET bytes = bytes + NEW.bytes;
END;

CREATE TRIGGER kept_task_removed AFTER DELETE ON kept_task BEGIN
    UPDATE kept_size SET bytes = bytes - OLD.bytes;
END;

-- Whatever removes a task, its files are due at once.
CREATE TRIGGER task_removed AFTER DELETE ON task BEGIN
    UPDATE kept_task SET keep_until = 0
    WHERE job_key = OLD.job_key AND task_id = OLD.id;
END;
