//! Accounts as their owner changes them: on the store itself, beside a running server.
//!
//! Nothing here goes through the network: who may open the data directory owns it. A running
//! server believes an account for a moment only (see [`crate::accounts`]) and so notices.

use std::path::Path;

use kiln_domain::blob::settings::StorageSettings;
pub use kiln_store::{Account, AccountKind};
use kiln_store::{Store, StoreError};

use crate::{clock, secrets};

/// Length of an account's name.
const NAME_LENGTH: std::ops::RangeInclusive<usize> = 3..=24;

/// Why an account was not changed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The name can not be part of a host name.
    #[error("`{name}` is no account name: 3 to 24 lower-case letters and digits")]
    BadName {
        /// What was asked for.
        name: String,
    },
    /// There is one of this name.
    #[error("the {} account `{name}` exists", kind.as_str())]
    Exists {
        /// Of which kind.
        kind: AccountKind,
        /// Which.
        name: String,
    },
    /// There is none of this name.
    #[error("there is no {} account `{name}`", kind.as_str())]
    NotFound {
        /// Of which kind.
        kind: AccountKind,
        /// Which.
        name: String,
    },
    /// The store failed.
    #[error("the accounts cannot be reached")]
    Store(#[from] StoreError),
}

/// One of the two keys of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhichKey {
    /// The first.
    Primary,
    /// The second.
    Secondary,
}

/// The accounts of a data directory, whether a server runs on it or not.
#[derive(Debug)]
pub struct Admin {
    store: Store,
}

impl Admin {
    /// Opens the store in `data`.
    ///
    /// # Errors
    /// When the store can not be opened.
    pub fn open(data: &Path) -> Result<Self, AdminError> {
        Ok(Self { store: Store::open(data, Box::new(drop))? })
    }

    /// All accounts, by kind and name.
    ///
    /// # Errors
    /// When the store fails.
    pub fn all(&self) -> Result<Vec<Account>, AdminError> {
        Ok(self.store.read(|view| view.accounts())?)
    }

    /// One account.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn get(&self, kind: AccountKind, name: &str) -> Result<Account, AdminError> {
        let found = self.store.read(|view| view.account(kind, name))?;
        found.ok_or_else(|| AdminError::NotFound { kind, name: name.to_owned() })
    }

    /// Makes an account with two new keys.
    ///
    /// # Errors
    /// When there is one of this name, or the name is none.
    pub async fn create(&self, kind: AccountKind, name: &str) -> Result<Account, AdminError> {
        let is_good = NAME_LENGTH.contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if !is_good {
            return Err(AdminError::BadName { name: name.to_owned() });
        }
        let keys = [secrets::key(), secrets::key()];
        let created_at = clock::now();
        let name = name.to_owned();
        let account = Account { kind, name, keys, created_at, linked_storage: None };
        let new = account.clone();
        self.store
            .write(move |tx| {
                if tx.account(new.kind, &new.name)?.is_some() {
                    return Err(AdminError::Exists { kind: new.kind, name: new.name });
                }
                Ok(tx.insert_account(&new)?)
            })
            .await?;
        Ok(account)
    }

    /// Removes an account; what it owns stays in the store, out of reach.
    ///
    /// # Errors
    /// When there is none of this name.
    pub async fn remove(&self, kind: AccountKind, name: &str) -> Result<(), AdminError> {
        let name = name.to_owned();
        self.store
            .write(move |tx| {
                let is_removed = tx.delete_account(kind, &name)?;
                if is_removed { Ok(()) } else { Err(AdminError::NotFound { kind, name }) }
            })
            .await
    }

    /// Puts a storage account behind a Batch account.
    ///
    /// # Errors
    /// When there is none of either name.
    pub async fn link(&self, batch: &str, storage: &str) -> Result<(), AdminError> {
        let (batch, storage) = (batch.to_owned(), storage.to_owned());
        self.store
            .write(move |tx| {
                let kind = AccountKind::Storage;
                if tx.account(kind, &storage)?.is_none() {
                    return Err(AdminError::NotFound { kind, name: storage });
                }
                let kind = AccountKind::Batch;
                let is_linked = tx.link_account(&batch, &storage)?;
                if is_linked { Ok(()) } else { Err(AdminError::NotFound { kind, name: batch }) }
            })
            .await
    }

    /// Changes what is set for a storage account, and answers with all of it.
    ///
    /// # Errors
    /// When there is none of this name.
    pub async fn change_settings(
        &self,
        name: &str,
        change: impl FnOnce(&mut StorageSettings) + Send + 'static,
    ) -> Result<StorageSettings, AdminError> {
        let name = name.to_owned();
        self.store
            .write(move |tx| {
                let mut settings = tx.storage_settings(&name)?;
                change(&mut settings);
                if tx.update_storage_settings(&name, &settings)? {
                    Ok(settings)
                } else {
                    Err(AdminError::NotFound { kind: AccountKind::Storage, name })
                }
            })
            .await
    }

    /// Draws one key of an account anew; the old one opens nothing any more.
    ///
    /// # Errors
    /// When there is none of this name.
    pub async fn regenerate(
        &self,
        kind: AccountKind,
        name: &str,
        which: WhichKey,
    ) -> Result<Account, AdminError> {
        let (name, fresh) = (name.to_owned(), secrets::key());
        self.store
            .write(move |tx| {
                let Some(mut account) = tx.account(kind, &name)? else {
                    return Err(AdminError::NotFound { kind, name });
                };
                let [primary, secondary] = &mut account.keys;
                match which {
                    WhichKey::Primary => *primary = fresh,
                    WhichKey::Secondary => *secondary = fresh,
                }
                tx.update_account_keys(kind, &name, &account.keys)?;
                Ok(account)
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use kiln_store::AccountKind;

    use super::{Admin, WhichKey};

    #[tokio::test]
    async fn a_life_of_an_account() {
        let data = std::env::temp_dir().join(format!("kiln-admin-{}", std::process::id()));
        std::fs::create_dir_all(&data).expect("a directory");
        let admin = Admin::open(&data).expect("a store");
        // As if the server had it open: two stores on one directory see each other.
        let server = Admin::open(&data).expect("a store");
        let kind = AccountKind::Storage;
        let made = admin.create(kind, "pictures").await.expect("an account");
        assert_eq!(server.get(kind, "pictures").expect("the account"), made);
        let exists = server.create(kind, "pictures").await.expect_err("a second one");
        assert_eq!(exists.to_string(), "the storage account `pictures` exists");
        let after =
            admin.regenerate(kind, "pictures", WhichKey::Secondary).await.expect("a new key");
        assert_eq!(after.keys[0], made.keys[0]);
        assert_ne!(after.keys[1], made.keys[1]);
        admin.create(AccountKind::Batch, "farm").await.expect("an account");
        admin.link("farm", "pictures").await.expect("both are there");
        let farm = server.get(AccountKind::Batch, "farm").expect("the account");
        assert_eq!(farm.linked_storage.as_deref(), Some("pictures"));
        for (batch, storage) in [("none", "pictures"), ("farm", "none")] {
            assert!(admin.link(batch, storage).await.is_err(), "{batch} {storage}");
        }
        server.remove(kind, "pictures").await.expect("to remove it");
        let gone = admin.get(kind, "pictures").expect_err("it is gone");
        assert_eq!(gone.to_string(), "there is no storage account `pictures`");
        assert!(admin.create(kind, "No-Name").await.is_err());
        std::fs::remove_dir_all(&data).expect("to remove the directory");
    }
}
