-- Containers and blobs. Names of blobs are kept as bytes, so that they sort by UTF-8.

CREATE TABLE container (
    key           INTEGER PRIMARY KEY AUTOINCREMENT,
    account       TEXT NOT NULL,
    name          TEXT NOT NULL,
    modified_at   INTEGER NOT NULL,
    public_access TEXT NOT NULL,
    metadata      TEXT NOT NULL,
    policies      TEXT NOT NULL,
    -- A deleted container frees its name at once; its blobs go a few at a time.
    is_deleted    INTEGER NOT NULL DEFAULT 0
);

CREATE UNIQUE INDEX container_by_name ON container (account, name) WHERE is_deleted = 0;
CREATE INDEX container_deleted ON container (key) WHERE is_deleted = 1;

-- Runs of bytes: in a file of their own, or here when they are few. One row may be used by
-- several blobs, and several times by one.
CREATE TABLE extent (
    key    INTEGER PRIMARY KEY,
    file   INTEGER,
    n_uses INTEGER NOT NULL,
    bytes  BLOB
);

CREATE UNIQUE INDEX extent_of_file ON extent (file) WHERE file IS NOT NULL;

-- The last column is long and read only when content is.
CREATE TABLE blob (
    container_key INTEGER NOT NULL REFERENCES container (key),
    name          BLOB NOT NULL,
    created_at    INTEGER NOT NULL,
    modified_at   INTEGER NOT NULL,
    size_bytes    INTEGER NOT NULL,
    properties    TEXT NOT NULL,
    metadata      TEXT NOT NULL,
    blocks        BLOB NOT NULL,
    PRIMARY KEY (container_key, name)
) WITHOUT ROWID;

-- One row for each blob name that has staged blocks.
CREATE TABLE upload (
    container_key INTEGER NOT NULL REFERENCES container (key),
    name          BLOB NOT NULL,
    n_blocks      INTEGER NOT NULL,
    id_length     INTEGER NOT NULL,
    changed_at    INTEGER NOT NULL,
    PRIMARY KEY (container_key, name)
) WITHOUT ROWID;

CREATE INDEX upload_by_age ON upload (changed_at);

-- No reference to the extent: each removal of an extent would look at all staged blocks.
CREATE TABLE staged_block (
    container_key INTEGER NOT NULL,
    name          BLOB NOT NULL,
    id            TEXT NOT NULL,
    extent_key    INTEGER NOT NULL,
    size_bytes    INTEGER NOT NULL,
    PRIMARY KEY (container_key, name, id)
) WITHOUT ROWID;
