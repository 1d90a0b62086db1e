-- A step of a task writes the indexes that tell of it, and no other. SQLite writes an index with
-- each change of a column that its condition names: what lasts as long as a task is open is a
-- column of its own, and a node is named only as long as the task is on it.
ALTER TABLE task ADD COLUMN is_open INTEGER NOT NULL DEFAULT 1;
UPDATE task SET is_open = 0, node_id = NULL WHERE state >= 3;
DROP INDEX task_open;
DROP INDEX task_of_node;
DROP INDEX task_in_state;
CREATE INDEX task_open ON task (job_key, sequence) WHERE is_open = 1;
CREATE INDEX task_on_node ON task (node_id) WHERE node_id IS NOT NULL;

-- Lists of tasks in one state, in the order of their ids; few prepare among those that run.
CREATE INDEX task_waiting ON task (job_key, id) WHERE state = 0;
CREATE INDEX task_placed ON task (job_key, id) WHERE node_id IS NOT NULL;
CREATE INDEX task_ended ON task (job_key, state, id) WHERE state >= 3;
