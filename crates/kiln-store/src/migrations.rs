//! The schema, step by step. A step is never edited once released; a new one is added.

use rusqlite::Connection;

use crate::StoreError;

/// Step `n` brings schema `n` to schema `n + 1`.
const STEPS: &[&str] = &[concat!(
    include_str!("migrations/0001_batch.sql"),
    include_str!("migrations/0001_instance.sql"),
    include_str!("migrations/0001_dependency.sql"),
    include_str!("migrations/0001_preparation.sql"),
    include_str!("migrations/0001_blob.sql"),
    include_str!("migrations/0001_statistics.sql"),
    include_str!("migrations/0001_application.sql"),
    include_str!("migrations/0001_certificate.sql"),
)];

/// Brings the database to the newest schema.
pub(crate) fn apply(connection: &mut Connection) -> Result<(), StoreError> {
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    let mut schema = found;
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(usize::MAX)) {
        schema += 1;
        let tx = connection.transaction()?;
        tx.execute_batch(step)?;
        tx.pragma_update(None, "user_version", schema)?;
        tx.commit()?;
    }
    Ok(())
}
