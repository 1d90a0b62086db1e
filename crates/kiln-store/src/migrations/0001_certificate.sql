
-- Certificates. The file and its password are read only to give them to nodes.
CREATE TABLE certificate (
    key        INTEGER PRIMARY KEY AUTOINCREMENT,
    account    TEXT NOT NULL,
    thumbprint TEXT NOT NULL,
    life       TEXT NOT NULL,
    password   TEXT,
    bytes      BLOB NOT NULL,
    UNIQUE (account, thumbprint)
);
