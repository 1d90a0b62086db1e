//! A picture of the state to read from, and the operation that changes it.

use std::ops::Deref;

use kiln_domain::batch::change::Change;
use rusqlite::{CachedStatement, Connection};

use crate::StoreError;

/// A picture of the state: what was committed when the read began.
#[derive(Debug)]
pub struct View<'c> {
    connection: &'c Connection,
}

/// One operation of the writer: reads like a [`View`], and changes the state.
#[derive(Debug)]
pub struct Tx<'c> {
    view: View<'c>,
    announced: Vec<Change>,
}

impl<'c> View<'c> {
    pub(crate) fn new(connection: &'c Connection) -> Self {
        Self { connection }
    }

    /// A prepared statement, compiled once for each connection.
    pub(crate) fn statement(&self, sql: &str) -> Result<CachedStatement<'c>, StoreError> {
        #[cfg(test)]
        crate::rows::plans::note(sql);
        Ok(self.connection.prepare_cached(sql)?)
    }
}

impl<'c> Tx<'c> {
    pub(crate) fn new(connection: &'c Connection) -> Self {
        Self { view: View::new(connection), announced: Vec::new() }
    }

    /// Tells the observer of `change` once this operation is committed.
    pub fn announce(&mut self, change: Change) {
        self.announced.push(change);
    }

    pub(crate) fn into_announced(self) -> Vec<Change> {
        self.announced
    }
}

impl<'c> Deref for Tx<'c> {
    type Target = View<'c>;

    fn deref(&self) -> &View<'c> {
        &self.view
    }
}
