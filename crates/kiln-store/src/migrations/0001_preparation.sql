-- What the preparation and release tasks of jobs did on which node. A node may be gone.

CREATE TABLE preparation (
    job_key  INTEGER NOT NULL REFERENCES job (key),
    node_id  TEXT NOT NULL,
    state    INTEGER NOT NULL,
    life     TEXT NOT NULL,
    PRIMARY KEY (job_key, node_id)
) WITHOUT ROWID;

-- What a boot of a node, or its loss, may change.
CREATE INDEX preparation_of_node ON preparation (node_id, job_key) WHERE state < 5;
-- What the end of a job may change, nodes that take no tasks of a job, and nodes whose release
-- a job waits for.
CREATE INDEX preparation_lasting ON preparation (job_key, node_id) WHERE state < 4;
CREATE INDEX preparation_failed ON preparation (job_key, node_id) WHERE state = 3;
CREATE INDEX preparation_releasing ON preparation (job_key, node_id) WHERE state = 4;
