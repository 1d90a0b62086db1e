//! The schema, step by step. A step is never edited once released; a new one is added.

use rusqlite::{Connection, TransactionBehavior};

use crate::StoreError;

/// Step `n` brings schema `n` to schema `n + 1`.
const STEPS: &[&str] = &[
    concat!(
        include_str!("migrations/0001_batch.sql"),
        include_str!("migrations/0001_instance.sql"),
        include_str!("migrations/0001_dependency.sql"),
        include_str!("migrations/0001_preparation.sql"),
        include_str!("migrations/0001_blob.sql"),
        include_str!("migrations/0001_statistics.sql"),
        include_str!("migrations/0001_application.sql"),
        include_str!("migrations/0001_certificate.sql"),
    ),
    include_str!("migrations/0002_blob_editions.sql"),
    include_str!("migrations/0003_kept_files.sql"),
    include_str!("migrations/0004_pool_usage.sql"),
    include_str!("migrations/0005_dependency_turn.sql"),
    include_str!("migrations/0006_copies.sql"),
    include_str!("migrations/0007_extent_checks.sql"),
    include_str!("migrations/0008_staged_keys.sql"),
    include_str!("migrations/0009_fewer_task_indexes.sql"),
    include_str!("migrations/0010_protected_blobs.sql"),
    include_str!("migrations/0011_node_work.sql"),
    include_str!("migrations/0012_task_indexes.sql"),
];

/// The schema of the database, which must be one that this program knows.
pub(crate) fn require_known(connection: &Connection) -> Result<u32, StoreError> {
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > known { Err(StoreError::TooNew { found, known }) } else { Ok(found) }
}

/// Brings the database to the newest schema.
pub(crate) fn apply(connection: &mut Connection) -> Result<(), StoreError> {
    apply_steps(connection, STEPS)
}

fn apply_steps(connection: &mut Connection, steps: &[&str]) -> Result<(), StoreError> {
    let newest = u32::try_from(steps.len()).unwrap_or(u32::MAX);
    if require_known(connection)? >= newest {
        return Ok(());
    }
    // In one transaction: whatever ends it, the database is as it was or as it is to be. Who
    // opens it at the same time waits, and finds the newest schema.
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = require_known(&tx)?;
    for step in steps.iter().skip(usize::try_from(found).unwrap_or(usize::MAX)) {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "user_version", newest)?;
    Ok(tx.commit()?)
}

#[cfg(test)]
mod tests {
    use kiln_domain::blob::content::CopyStatus;
    use kiln_domain::blob::edition::Edition;
    use kiln_domain::blob::tier::Tier;
    use rusqlite::Connection;

    use super::STEPS;
    use crate::{ContainerKey, Tx, View};

    /// A database of the first schema with these rows, brought to the newest.
    fn upgraded(rows: &str) -> Connection {
        let mut connection = Connection::open_in_memory().expect("a database");
        connection.pragma_update(None, "foreign_keys", "ON").expect("set");
        connection.execute_batch(STEPS.first().expect("a first step")).expect("the first schema");
        connection.pragma_update(None, "user_version", 1).expect("set");
        connection.execute_batch(rows).expect("rows");
        super::apply(&mut connection).expect("the newest schema");
        connection
    }

    #[test]
    fn a_step_that_fails_leaves_the_database_as_it_was() {
        let mut connection = Connection::open_in_memory().expect("a database");
        let schema = |connection: &Connection| -> (u32, u32) {
            let sql = "SELECT user_version, (SELECT count(*) FROM sqlite_master)
                       FROM pragma_user_version";
            connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("read")
        };
        super::apply_steps(&mut connection, &STEPS[..2]).expect("the second schema");
        let before = schema(&connection);
        let steps = [STEPS[0], STEPS[1], STEPS[2], "CREATE TABLE half (x); CREATE nothing;"];
        assert!(super::apply_steps(&mut connection, &steps).is_err());
        assert_eq!(schema(&connection), before);
        super::apply(&mut connection).expect("the newest schema");
        assert_eq!(schema(&connection).0, u32::try_from(STEPS.len()).expect("few"));
    }

    #[test]
    fn pools_and_dependencies_of_the_first_schema_are_kept() {
        let connection = upgraded(
            "INSERT INTO pool (account, id, spec, life) VALUES
                 ('a', 'p', '{}', '{}'), ('a', 'q', '{}', '{}'), ('b', 'p', '{}', '{}');
             INSERT INTO job (key, account, id, spec, life) VALUES (1, 'a', 'j', '{}', '{}');
             INSERT INTO dependency VALUES (1, 'parent', 'child');
             INSERT INTO dependency_unmet VALUES (1, 'child', 1);",
        );
        let mut tx = Tx::new(&connection);
        tx.delete_pool(3).expect("removed");
        assert_eq!(tx.n_pools("a").expect("kept"), 2);
        assert_eq!(tx.n_pools("b").expect("kept"), 0);
        let turned = tx.set_dependency_met(1, "parent", true, 9).expect("counted");
        assert_eq!((turned.children, turned.is_over), (vec!["child".to_owned()], true));
    }

    #[test]
    fn blobs_of_the_first_schema_are_kept() {
        let rows = r#"
            INSERT INTO container (key, account, name, modified_at, public_access, metadata,
                policies) VALUES (1, 'a', 'c', 5, '"private"', '[]', '[]');
            INSERT INTO blob VALUES (1, CAST('plain' AS BLOB), 6, 7, 8,
                '{"content_type":"x","md5":"m"}', '[["K","v"]]', x'');
            INSERT INTO blob VALUES (1, CAST('copied' AS BLOB), 6, 7, 8,
                '{"content_type":"x","tier":"Cool","copy":{"id":"i","source":"s","size_bytes":8,
                "completed_at":9}}', '[]', x'');"#;
        let connection = upgraded(rows);
        let view = View::new(&connection);
        let key = ContainerKey(1);
        let plain = view.blob(key, "plain").expect("read").expect("there");
        assert_eq!((plain.edition, plain.size_bytes), (Edition::Current, 8));
        assert_eq!(plain.properties.md5.as_deref(), Some("m"));
        assert_eq!(plain.metadata.iter().collect::<Vec<_>>(), [("K", "v")]);
        let copied = view.blob(key, "copied").expect("read").expect("there").details;
        assert_eq!(copied.tier.map(|state| state.tier), Some(Tier::Cool));
        let copy = copied.copy.expect("the copy");
        assert_eq!((copy.id.as_str(), copy.status), ("i", CopyStatus::Success));
    }
}
