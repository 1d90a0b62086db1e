
-- Applications and their packages; the bytes of packages are blobs.
CREATE TABLE application (
    key      INTEGER PRIMARY KEY AUTOINCREMENT,
    account  TEXT NOT NULL,
    id       TEXT NOT NULL COLLATE NOCASE,
    life     TEXT NOT NULL,
    UNIQUE (account, id)
);

CREATE TABLE package (
    application_key INTEGER NOT NULL REFERENCES application (key),
    version         TEXT NOT NULL COLLATE NOCASE,
    life            TEXT NOT NULL,
    PRIMARY KEY (application_key, version)
) WITHOUT ROWID;
