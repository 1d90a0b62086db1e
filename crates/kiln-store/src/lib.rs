//! Remembers state: SQLite with shared commits.
