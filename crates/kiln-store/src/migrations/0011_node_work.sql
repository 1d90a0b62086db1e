-- What tasks that came and left made of a node since its life was written: of each task only this
-- small row is written, twice.
CREATE TABLE node_work (
    node_id         TEXT NOT NULL PRIMARY KEY REFERENCES node (id) ON DELETE CASCADE,
    state           TEXT NOT NULL,
    state_at        INTEGER NOT NULL,
    tasks_running   INTEGER NOT NULL,
    slots_running   INTEGER NOT NULL,
    tasks_run       INTEGER NOT NULL,
    tasks_succeeded INTEGER NOT NULL,
    -- Pairs of the key of a job and the id of a task.
    recent_tasks    TEXT NOT NULL
) WITHOUT ROWID;
