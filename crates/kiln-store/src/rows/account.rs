//! Accounts of both kinds and their keys.

use std::fmt;

use kiln_domain::blob::settings::StorageSettings;
use kiln_domain::time::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::life::Json;
use crate::{StoreError, Tx, View};

/// What an account is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountKind {
    /// Pools, jobs and tasks.
    Batch,
    /// Containers and blobs.
    Storage,
}

impl AccountKind {
    /// `batch` or `storage`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Storage => "storage",
        }
    }
}

/// An account and its keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// What it is for.
    pub kind: AccountKind,
    /// Its name, unique within its kind.
    pub name: String,
    /// Two keys, base64; either is good.
    pub keys: [String; 2],
    /// When it was made.
    pub created_at: Timestamp,
    /// Of a Batch account: the storage account behind it, if one was chosen.
    pub linked_storage: Option<String>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("kind", &self.kind)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

fn from_row(row: &Row<'_>) -> Result<Account, rusqlite::Error> {
    let kind: String = row.get(0)?;
    Ok(Account {
        kind: if kind == "batch" { AccountKind::Batch } else { AccountKind::Storage },
        name: row.get(1)?,
        keys: [row.get(2)?, row.get(3)?],
        created_at: Timestamp(row.get(4)?),
        linked_storage: row.get(5)?,
    })
}

impl View<'_> {
    /// An account by name.
    pub fn account(&self, kind: AccountKind, name: &str) -> Result<Option<Account>, StoreError> {
        let sql = "SELECT kind, name, key1, key2, created_at, linked_storage FROM account
                   WHERE kind = ?1 AND name = ?2";
        Ok(self.statement(sql)?.query_row(params![kind.as_str(), name], from_row).optional()?)
    }

    /// What is set for a storage account; the defaults when there is none.
    pub fn storage_settings(&self, account: &str) -> Result<StorageSettings, StoreError> {
        let sql = "SELECT settings FROM account WHERE kind = 'storage' AND name = ?1";
        let found: Option<Json<StorageSettings>> =
            self.statement(sql)?.query_row(params![account], |row| row.get(0)).optional()?;
        Ok(found.map(|Json(settings)| settings).unwrap_or_default())
    }

    /// All accounts, by kind and name.
    pub fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        let sql = "SELECT kind, name, key1, key2, created_at, linked_storage FROM account
                   ORDER BY kind, name";
        let mut statement = self.statement(sql)?;
        let accounts = statement.query_map([], from_row)?.collect::<Result<_, _>>()?;
        Ok(accounts)
    }
}

impl Tx<'_> {
    /// Keeps a new account; a second one of the same kind and name is a duplicate.
    pub fn insert_account(&mut self, account: &Account) -> Result<(), StoreError> {
        let sql = "INSERT INTO account (kind, name, key1, key2, created_at, linked_storage)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let [key1, key2] = &account.keys;
        self.statement(sql)?.execute(params![
            account.kind.as_str(),
            account.name,
            key1,
            key2,
            account.created_at.0,
            account.linked_storage
        ])?;
        Ok(())
    }

    /// Changes the keys of an account; false when there is none.
    pub fn update_account_keys(
        &mut self,
        kind: AccountKind,
        name: &str,
        keys: &[String; 2],
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE account SET key1 = ?3, key2 = ?4 WHERE kind = ?1 AND name = ?2";
        let [key1, key2] = keys;
        Ok(self.statement(sql)?.execute(params![kind.as_str(), name, key1, key2])? == 1)
    }

    /// Chooses the storage account behind a Batch account; false when there is no such account.
    pub fn link_account(&mut self, batch: &str, storage: &str) -> Result<bool, StoreError> {
        let sql = "UPDATE account SET linked_storage = ?2 WHERE kind = 'batch' AND name = ?1";
        Ok(self.statement(sql)?.execute(params![batch, storage])? == 1)
    }

    /// Changes what is set for a storage account; false when there is none.
    pub fn update_storage_settings(
        &mut self,
        account: &str,
        settings: &StorageSettings,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE account SET settings = ?2 WHERE kind = 'storage' AND name = ?1";
        Ok(self.statement(sql)?.execute(params![account, Json(settings)])? == 1)
    }

    /// Removes an account; false when there is none.
    pub fn delete_account(&mut self, kind: AccountKind, name: &str) -> Result<bool, StoreError> {
        let sql = "DELETE FROM account WHERE kind = ?1 AND name = ?2";
        Ok(self.statement(sql)?.execute(params![kind.as_str(), name])? == 1)
    }
}
