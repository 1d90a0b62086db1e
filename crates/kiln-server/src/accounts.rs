//! The accounts of this Kiln and their keys.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kiln_domain::blob::settings::StorageSettings;
use kiln_domain::time::Timestamp;
use kiln_store::{Account, AccountKind, Store, StoreError};

use crate::{clock, linked_storage};

/// Time for which an account is believed without asking the store again: how long a key that
/// another process replaced or removed still opens the door.
const BELIEVED_FOR: Duration = Duration::from_secs(1);

/// The published Batch account of a fresh Kiln; good on loopback only.
pub const DEV_BATCH_ACCOUNT: &str = "kilndev";
/// The published key of [`DEV_BATCH_ACCOUNT`]: well known, hence no secret.
pub const DEV_BATCH_KEY: &str =
    "S2lsbiBrZXkgZm9yIGRldmVsb3BtZW50IG9uIGxvb3BiYWNrIG9ubHksIHB1Ymxpc2hlZCwgbm90IHNlY3JldC4h";
/// The storage account that every Azure SDK knows as the emulator's; good on loopback only.
pub const DEV_STORAGE_ACCOUNT: &str = "devstoreaccount1";
/// The key that every Azure SDK knows for [`DEV_STORAGE_ACCOUNT`]: well known, hence no secret.
pub const DEV_STORAGE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Accounts as they were read, and when.
#[derive(Debug, Default)]
struct Believed {
    named: HashMap<(AccountKind, String), (Timestamp, Account)>,
    /// The name of the one that is meant where none is named.
    usual_storage: Option<(Timestamp, Option<String>)>,
}

/// What is set for storage accounts as it was read, and when.
type BelievedSettings = HashMap<String, (Timestamp, Arc<StorageSettings>)>;

/// The accounts of this Kiln; clones share one memory.
#[derive(Clone, Debug)]
pub struct Accounts {
    store: Arc<Store>,
    believed: Arc<Mutex<Believed>>,
    settings: Arc<Mutex<BelievedSettings>>,
}

impl Accounts {
    /// The accounts kept in `store`.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, believed: Arc::default(), settings: Arc::default() }
    }

    /// A Batch account by name.
    ///
    /// # Errors
    /// When the store fails.
    pub fn batch(&self, name: &str) -> Result<Option<Account>, StoreError> {
        self.get(AccountKind::Batch, name)
    }

    /// A storage account by name.
    ///
    /// # Errors
    /// When the store fails.
    pub fn storage(&self, name: &str) -> Result<Option<Account>, StoreError> {
        self.get(AccountKind::Storage, name)
    }

    /// What is set for a storage account.
    ///
    /// # Errors
    /// When the store fails.
    pub fn storage_settings(&self, name: &str) -> Result<Arc<StorageSettings>, StoreError> {
        let now = clock::now();
        let believed = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read_at, settings)) = believed.get(name)
            && now.since(*read_at) < BELIEVED_FOR
        {
            return Ok(Arc::clone(settings));
        }
        drop(believed);
        let found = Arc::new(self.store.read(|view| view.storage_settings(name))?);
        let mut believed = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        drop(believed.insert(name.to_owned(), (now, Arc::clone(&found))));
        Ok(found)
    }

    /// Takes note that what is set for a storage account was changed here.
    pub fn forget_storage_settings(&self, name: &str) {
        let mut believed = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        drop(believed.remove(name));
    }

    /// The name of the storage account of requests that name none, if there is exactly one to
    /// choose: the development account, else the only one.
    ///
    /// # Errors
    /// When the store fails.
    pub fn default_storage(&self) -> Result<Option<String>, StoreError> {
        let now = clock::now();
        if let Some((read_at, name)) = &self.believed().usual_storage
            && now.since(*read_at) < BELIEVED_FOR
        {
            return Ok(name.clone());
        }
        let name = self.store.read(linked_storage::usual)?.map(|account| account.name);
        self.believed().usual_storage = Some((now, name.clone()));
        Ok(name)
    }

    /// All accounts, by kind and name.
    ///
    /// # Errors
    /// When the store fails.
    pub fn all(&self) -> Result<Vec<Account>, StoreError> {
        self.store.read(|view| view.accounts())
    }

    fn get(&self, kind: AccountKind, name: &str) -> Result<Option<Account>, StoreError> {
        let key = (kind, name.to_owned());
        let now = clock::now();
        if let Some((read_at, account)) = self.believed().named.get(&key)
            && now.since(*read_at) < BELIEVED_FOR
        {
            return Ok(Some(account.clone()));
        }
        let found = self.store.read(|view| view.account(kind, name))?;
        let named = &mut self.believed().named;
        match &found {
            Some(account) => drop(named.insert(key, (now, account.clone()))),
            None => drop(named.remove(&key)),
        }
        Ok(found)
    }

    fn believed(&self) -> MutexGuard<'_, Believed> {
        self.believed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this key is published for everyone to read.
pub fn is_well_known(key: &str) -> bool {
    key == DEV_BATCH_KEY || key == DEV_STORAGE_KEY
}

/// Makes the development accounts in a store that has no account yet.
///
/// # Errors
/// When the store fails.
pub async fn ensure_any(store: &Store) -> Result<(), StoreError> {
    let now = clock::now();
    let dev = |kind, name: &str, key: &str| Account {
        kind,
        name: name.to_owned(),
        keys: [key.to_owned(), key.to_owned()],
        created_at: now,
        linked_storage: None,
    };
    let accounts = [
        dev(AccountKind::Batch, DEV_BATCH_ACCOUNT, DEV_BATCH_KEY),
        dev(AccountKind::Storage, DEV_STORAGE_ACCOUNT, DEV_STORAGE_KEY),
    ];
    store
        .write(move |tx| {
            if tx.accounts()?.is_empty() {
                for account in &accounts {
                    tx.insert_account(account)?;
                }
            }
            Ok(())
        })
        .await
}
