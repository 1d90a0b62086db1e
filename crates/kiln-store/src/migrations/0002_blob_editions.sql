-- Blobs of three kinds, with a past, leases, tags, and deletions that can be undone.

-- What a name means now and what it meant before lie apart, so that a list of the present
-- never reads the past; both are in name order. A moment is 0 for the present.
CREATE TABLE blob_edition (
    container_key INTEGER NOT NULL REFERENCES container (key),
    is_past       INTEGER NOT NULL,
    name          BLOB NOT NULL,
    moment        INTEGER NOT NULL,
    edition       INTEGER NOT NULL,
    kind          INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    modified_at   INTEGER NOT NULL,
    size_bytes    INTEGER NOT NULL,
    properties    TEXT NOT NULL,
    metadata      TEXT NOT NULL,
    tags          TEXT,
    lease         TEXT,
    details       TEXT NOT NULL,
    -- Of append and page blobs: the list in `piece`. Block blobs have their blocks here.
    pieces        INTEGER,
    deleted_at    INTEGER,
    purge_at      INTEGER,
    blocks        BLOB NOT NULL,
    PRIMARY KEY (container_key, is_past, name, moment)
) WITHOUT ROWID;

INSERT INTO blob_edition (container_key, is_past, name, moment, edition, kind, created_at,
    modified_at, size_bytes, properties, metadata, details, blocks)
SELECT container_key, 0, name, 0, 0, 0, created_at, modified_at, size_bytes,
    json_remove(properties, '$.tier', '$.copy'), metadata,
    CASE
        WHEN properties ->> '$.tier' IS NOT NULL AND properties -> '$.copy' IS NOT NULL
        THEN json_object(
            'tier', json_object('tier', properties ->> '$.tier', 'changed_at', modified_at),
            'copy', json(properties -> '$.copy'))
        WHEN properties ->> '$.tier' IS NOT NULL
        THEN json_object(
            'tier', json_object('tier', properties ->> '$.tier', 'changed_at', modified_at))
        WHEN properties -> '$.copy' IS NOT NULL
        THEN json_object('copy', json(properties -> '$.copy'))
        ELSE '{}'
    END,
    blocks
FROM blob;

DROP TABLE blob;
ALTER TABLE blob_edition RENAME TO blob;

CREATE INDEX blob_by_purge ON blob (purge_at) WHERE purge_at IS NOT NULL;

-- Lists of pieces: one for each edition of an append or page blob.
CREATE TABLE piece_list (key INTEGER PRIMARY KEY AUTOINCREMENT);

-- Runs of bytes of such an edition; what lies between them is zero.
CREATE TABLE piece (
    list_key   INTEGER NOT NULL,
    start      INTEGER NOT NULL,
    length     INTEGER NOT NULL,
    extent_key INTEGER NOT NULL,
    offset     INTEGER NOT NULL,
    PRIMARY KEY (list_key, start)
) WITHOUT ROWID;

-- Tags of the present, to find blobs by.
CREATE TABLE blob_tag (
    container_key INTEGER NOT NULL,
    key           TEXT NOT NULL,
    value         TEXT NOT NULL,
    name          BLOB NOT NULL,
    PRIMARY KEY (container_key, key, value, name)
) WITHOUT ROWID;

CREATE INDEX blob_tag_by_name ON blob_tag (container_key, name);

-- `is_deleted` is 1 while a container's blobs are taken away, and 2 while it can still be
-- brought back.
ALTER TABLE container ADD COLUMN lease TEXT;
ALTER TABLE container ADD COLUMN deleted_at INTEGER;
ALTER TABLE container ADD COLUMN purge_at INTEGER;

CREATE INDEX container_kept ON container (account, name, key) WHERE is_deleted = 2;
CREATE INDEX container_by_purge ON container (purge_at) WHERE is_deleted = 2;

ALTER TABLE account ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
