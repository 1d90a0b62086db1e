//! The Blob service: containers, blobs, and who may touch them.
//!
//! [`BlobService::call`] takes a request through the same steps each time: which version,
//! which account, container and blob (`call`), which operation, who asks (`access`), then the
//! operation's own function (`router` lists them), then the answer (`answer`). An operation
//! loads, decides, commits and answers; where it changes something, loading and deciding
//! happen inside the commit, so two requests never decide on the same past.

mod access;
mod account;
mod answer;
mod append;
mod bundle;
mod call;
mod change;
mod container;
mod copy;
mod cors;
mod delete;
mod describe;
mod failure;
mod find;
pub mod fsck;
mod get;
mod guard;
mod history;
mod immutability;
mod lease;
mod list;
mod page;
mod put;
mod query;
mod read;
mod receive;
mod reclaim;
mod router;
mod run;
mod snapshot;
mod tags;
mod tokens;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use kiln_domain::time::Timestamp;
use kiln_extents::Extents;
use kiln_store::Store;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use self::copy::Fetcher;
use self::tokens::Tokens;
use crate::accounts::Accounts;
use crate::clock;
use crate::config::TokenConfig;
use crate::http::{Refusal, Request, Response};

/// The Blob service of one Kiln; clones share all.
#[derive(Clone, Debug)]
pub struct BlobService {
    store: Arc<Store>,
    extents: Extents,
    accounts: Accounts,
    stamps: Stamps,
    reclaim: Arc<Notify>,
    tokens: Tokens,
    remote: Fetcher,
    copies: Arc<Semaphore>,
    copying: Arc<Mutex<JoinSet<()>>>,
    queries: Arc<Semaphore>,
    removing: Arc<Mutex<JoinSet<()>>>,
}

/// Removals of files that are under way at once, beside the answers to what freed the files.
const REMOVALS_MAX: usize = 64;
/// Copies from elsewhere that are under way at once.
const COPIES_MAX: usize = 16;
/// Queries that are under way at once; each holds a record or two, and works as its client reads.
const QUERIES_MAX: usize = 16;

impl BlobService {
    /// The service over what these keep.
    pub fn new(store: Arc<Store>, extents: Extents, accounts: Accounts) -> Self {
        Self {
            store,
            extents,
            accounts,
            stamps: Stamps::default(),
            reclaim: Arc::default(),
            tokens: Tokens::new(None),
            remote: Fetcher::new(&[]),
            copies: Arc::new(Semaphore::new(COPIES_MAX)),
            copying: Arc::default(),
            queries: Arc::new(Semaphore::new(QUERIES_MAX)),
            removing: Arc::default(),
        }
    }

    /// The same service, which takes bearer tokens.
    #[must_use]
    pub fn with_tokens(self, config: Option<TokenConfig>) -> Self {
        Self { tokens: Tokens::new(config), ..self }
    }

    /// The same, which also copies from these hosts when their addresses are not public:
    /// `name`, `name:port`, or `*` for all.
    #[must_use]
    pub fn with_copy_hosts(mut self, hosts: &[String]) -> Self {
        self.remote = Fetcher::new(hosts);
        self
    }

    /// Answers one request.
    pub async fn call(&self, request: Request) -> Response {
        router::answer(self, request).await
    }

    /// Words what the HTTP engine refused.
    pub fn refuse(&self, refusal: Refusal) -> Response {
        answer::refused(refusal)
    }
}

/// Gives each change a time of its own, so that no two changes share an entity tag.
#[derive(Clone, Debug, Default)]
struct Stamps(Arc<AtomicI64>);

impl Stamps {
    /// A time that is now, or a little later, and was never given before.
    fn next(&self) -> Timestamp {
        let now = clock::now().0;
        let next = |last: i64| Some(now.max(last.saturating_add(1)));
        let last = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .unwrap_or_else(|last| last);
        Timestamp(now.max(last.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests;
