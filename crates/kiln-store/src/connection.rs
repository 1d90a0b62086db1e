//! A picture of the state to read from, and the operation that changes it.

use std::collections::BTreeMap;
use std::ops::Deref;

use kiln_domain::batch::change::Change;
use rusqlite::{CachedStatement, Connection};

use crate::rows::known::Known;
use crate::rows::task_count::NotedCounts;
use crate::{JobUsage, StoreError};

/// A picture of the state: what was committed when the read began.
#[derive(Debug)]
pub struct View<'c> {
    connection: &'c Connection,
    /// What the operation of the writer changed of the counts of tasks and is not written yet.
    pub(crate) counted: NotedCounts,
    /// Rows as the writer knows them; readers know none.
    pub(crate) known: Option<&'c Known>,
}

/// One operation of the writer: reads like a [`View`], and changes the state.
#[derive(Debug)]
pub struct Tx<'c> {
    view: View<'c>,
    announced: Vec<Change>,
    /// What tasks added to the sums of their jobs and is not written yet.
    usage: BTreeMap<i64, JobUsage>,
}

impl<'c> View<'c> {
    pub(crate) fn new(connection: &'c Connection) -> Self {
        Self { connection, counted: NotedCounts::default(), known: None }
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
        Self { view: View::new(connection), announced: Vec::new(), usage: BTreeMap::new() }
    }

    /// An operation that looks at these rows before it asks the database.
    pub(crate) fn knowing(connection: &'c Connection, known: &'c Known) -> Self {
        let mut tx = Self::new(connection);
        tx.view.known = Some(known);
        tx
    }

    /// Tells the observer of `change` once this operation is committed.
    pub fn announce(&mut self, change: Change) {
        self.announced.push(change);
    }

    /// Writes what is there already, so that a commit shows whether the disk takes it.
    pub fn write_nothing_new(&mut self) -> Result<(), StoreError> {
        let connection = self.view.connection;
        let same: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        Ok(connection.pragma_update(None, "user_version", same)?)
    }

    /// Notes what a task of a job added to its sums.
    pub(crate) fn note_usage(&mut self, job_key: i64, usage: JobUsage) {
        let sum = self.usage.get(&job_key).map_or(usage, |sum| sum.plus(usage));
        self.usage.insert(job_key, sum);
    }

    /// What was noted since it was last taken.
    pub(crate) fn take_usage(&mut self) -> BTreeMap<i64, JobUsage> {
        std::mem::take(&mut self.usage)
    }

    /// What this operation changed of the counts of tasks.
    pub(crate) fn counted(&mut self) -> &mut NotedCounts {
        &mut self.view.counted
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
