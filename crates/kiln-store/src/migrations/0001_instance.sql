-- Nodes of tasks that run on several of them: one row for each instance, while the task is on
-- its nodes. What has become of them is in the life of the task.

CREATE TABLE instance (
    job_key  INTEGER NOT NULL REFERENCES job (key),
    task_id  TEXT NOT NULL COLLATE NOCASE,
    node_id  TEXT NOT NULL,
    PRIMARY KEY (job_key, task_id, node_id)
) WITHOUT ROWID;

CREATE INDEX instance_of_node ON instance (node_id);
