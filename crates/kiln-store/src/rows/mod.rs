//! One file for each resource: its rows and the SQL that reads and writes them.

pub(crate) mod account;
