//! Pools: add, get, list, delete.

use std::sync::Arc;
use std::time::Duration;

use kiln_domain::batch::change::Change;
use kiln_domain::batch::pool::{self, Pool, PoolFact, PoolLife, PoolSpec};
use kiln_domain::batch::scaling;
use kiln_domain::rejection::Rejection;
use kiln_domain::time::Timestamp;
use kiln_store::{Tx, View};
use kiln_wire::batch::error::Refusal;
use kiln_wire::batch::odata::List;
use kiln_wire::batch::pool::{NodeCounts, tree, url};
use kiln_wire::batch::{Shape, metadata};
use serde_json::Value;

use super::answer::Answer;
use super::application::{self, ReferredBy};
use super::call::Call;
use super::certificate;
use super::conditions::Conditions;
use super::error::OpError;
use super::page::Page;
use super::spec;
use super::statistics;
use crate::clock;
use crate::config::Quotas;

/// Time that a deletion waits for the pool to be gone before it is answered: clients that add
/// one of the same name at once then succeed.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// `POST /pools`.
pub(super) async fn add(call: &Call) -> Result<Answer, Refusal> {
    let new = NewPool::admit(call.lift(Shape::PoolAdd)?)?;
    let (account, now) = (call.account.clone(), call.now);
    let location = url(&call.base_url, &new.spec.id);
    let server = Arc::clone(&call.server);
    call.server
        .store
        .write(move |tx| {
            let quotas = server.config.quotas;
            let pool = insert(tx, &account, &new, quotas, now)?;
            crate::scaling::begin(&server, tx, &pool, now).map_err(OpError::from)
        })
        .await?;
    Ok(Answer::created(location, now))
}

/// A pool that is about to be added.
pub(super) struct NewPool {
    /// What the rules read of `document`.
    spec: PoolSpec,
    /// Its specification in the newest shape, with its id and every default.
    document: Value,
}

impl NewPool {
    /// What the rules read of it.
    pub(super) fn spec(&self) -> &PoolSpec {
        &self.spec
    }

    /// A pool as this document describes it.
    ///
    /// # Errors
    /// When no pool may be so, whatever else there is.
    pub(super) fn admit(document: Value) -> Result<Self, OpError> {
        let spec: PoolSpec = spec::read(&document, "pool specification")?;
        pool::admit(&spec)?;
        scaling::admit(&spec::read(&document, "autoscale setting")?)?;
        Ok(Self { spec, document })
    }
}

/// Adds a pool: the one way in which a pool comes to be. If it sizes itself, that is done soon.
///
/// # Errors
/// When there is no room for it beside what is there.
pub(super) fn insert(
    tx: &mut Tx<'_>,
    account: &str,
    new: &NewPool,
    quotas: Quotas,
    now: Timestamp,
) -> Result<Pool, OpError> {
    let NewPool { spec, document } = new;
    refuse_existing(tx, account, &spec.id)?;
    pool::admit_one_more(tx.n_pools(account)?, quotas.pools)?;
    let references = &spec.application_package_references;
    application::check_references(tx, account, references, ReferredBy::Pool)?;
    certificate::check_references(tx, account, &spec.certificate_references)?;
    let life = PoolLife::new(spec, now);
    let document = document.to_string();
    let pool_key = tx.insert_pool(account, &spec.id, &document, &life)?;
    tx.announce(Change::Pool {
        pool_key,
        account: account.to_owned(),
        pool_id: spec.id.clone(),
        policy: spec.task_scheduling_policy,
        is_connected: spec.takes_gangs(),
    });
    tx.announce(Change::PoolSize { pool_key });
    tx.announce(Change::PoolScaling { pool_key });
    let (account, id) = (account.to_owned(), spec.id.clone());
    Ok(Pool { key: pool_key, account, id, document, life })
}

/// Begins to remove a pool with its nodes.
///
/// # Errors
/// When it is being removed already.
pub(super) fn remove(tx: &mut Tx<'_>, pool: &Pool, now: Timestamp) -> Result<(), OpError> {
    let life = pool::step(pool, PoolFact::Deleted, now)?;
    tx.update_pool(pool.key, &life)?;
    tx.announce(Change::PoolSize { pool_key: pool.key });
    Ok(())
}

/// `GET /pools`.
pub(super) fn list(call: &Call) -> Result<Answer, Refusal> {
    let page = Page::of(call, Shape::Pool, Some(List::Pools))?;
    page.collect(metadata::POOLS, |after, limit| {
        call.server.store.read(|view| {
            let pools = view.pools_after(&call.account, after, limit)?;
            let shown = |pool: Pool| Ok((pool.id.clone(), show(view, &pool, call, &page)?));
            pools.into_iter().map(shown).collect::<Result<_, OpError>>()
        })
    })
}

/// `GET /pools/P`.
pub(super) fn get(call: &Call, pool_id: &str) -> Result<Answer, Refusal> {
    let conditions = Conditions::of(call)?;
    let page = Page::of(call, Shape::Pool, None)?;
    let (pool, tree) = call.server.store.read(|view| {
        let pool = find(view, &call.account, pool_id)?;
        conditions.check(pool.life.modified_at)?;
        let tree = show(view, &pool, call, &page)?;
        Ok::<_, OpError>((pool, tree))
    })?;
    let answer = page.single(metadata::POOLS, tree)?;
    Ok(answer.revision(pool.life.modified_at))
}

/// `HEAD /pools/P`.
pub(super) fn exists(call: &Call, pool_id: &str) -> Result<Answer, Refusal> {
    let conditions = Conditions::of(call)?;
    let pool = call.server.store.read(|view| find(view, &call.account, pool_id))?;
    conditions.check(pool.life.modified_at)?;
    Ok(Answer::new(200).revision(pool.life.modified_at))
}

/// `DELETE /pools/P`.
pub(super) async fn delete(call: &Call, pool_id: &str) -> Result<Answer, Refusal> {
    let conditions = Conditions::of(call)?;
    let (account, id, now) = (call.account.clone(), pool_id.to_owned(), call.now);
    let gone = call.server.signals.gone().notified();
    tokio::pin!(gone);
    gone.as_mut().enable();
    let pool_key = call
        .server
        .store
        .write(move |tx| {
            let pool = find(tx, &account, &id)?;
            conditions.check(pool.life.modified_at)?;
            remove(tx, &pool, now)?;
            Ok::<_, OpError>(pool.key)
        })
        .await?;
    let is_gone = async {
        loop {
            gone.as_mut().await;
            gone.set(call.server.signals.gone().notified());
            gone.as_mut().enable();
            if call.server.store.read(|view| view.pool_by_key(pool_key))?.is_none() {
                return Ok::<_, OpError>(());
            }
        }
    };
    if let Ok(result) = clock::within(GONE_WITHIN, is_gone).await {
        result?;
    }
    Ok(Answer::new(202))
}

/// The pool of that id.
pub(super) fn find(view: &View<'_>, account: &str, pool_id: &str) -> Result<Pool, OpError> {
    let not_found = || Rejection::PoolNotFound { pool: pool_id.to_owned() };
    Ok(view.pool(account, pool_id)?.ok_or_else(not_found)?)
}

fn refuse_existing(view: &View<'_>, account: &str, pool_id: &str) -> Result<(), OpError> {
    match view.pool(account, pool_id)? {
        None => Ok(()),
        Some(pool) if pool.life.state == pool::PoolState::Deleting => {
            Err(Rejection::PoolBeingDeleted { pool: pool.id }.into())
        }
        Some(pool) => Err(Rejection::PoolExists { pool: pool.id }.into()),
    }
}

fn show(view: &View<'_>, pool: &Pool, call: &Call, page: &Page<'_>) -> Result<Value, OpError> {
    let mut counts = NodeCounts::default();
    for node in view.nodes_of_pool(pool.key)? {
        if node.life.is_dedicated {
            counts.dedicated += 1;
        } else {
            counts.low_priority += 1;
        }
    }
    let mut tree = tree(pool, counts, &call.base_url);
    if page.shows_stats() {
        statistics::add_to_pool(view, pool, call.now, &mut tree)?;
    }
    Ok(tree)
}
