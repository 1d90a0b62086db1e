-- Parts of extents as blocks, and copies from elsewhere that are under way.

ALTER TABLE staged_block ADD COLUMN offset INTEGER NOT NULL DEFAULT 0;

-- A restarted server goes on with these.
CREATE TABLE pending_copy (
    container_key INTEGER NOT NULL,
    name          BLOB NOT NULL,
    id            TEXT NOT NULL,
    PRIMARY KEY (container_key, name)
) WITHOUT ROWID;
