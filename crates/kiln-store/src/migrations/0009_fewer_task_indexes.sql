-- Tasks on nodes are found by their states: an index of their own was written three times in the
-- life of each task.
DROP INDEX task_running;
