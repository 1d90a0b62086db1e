//! Pools: add, get, list, resize, delete.

use std::sync::Arc;
use std::time::Duration;

use kiln_domain::batch::change::Change;
use kiln_domain::batch::node::Treatment;
use kiln_domain::batch::pool::{self, Pool, PoolFact, PoolLife, PoolSpec, Targets};
use kiln_domain::batch::scaling;
use kiln_domain::rejection::Rejection;
use kiln_domain::span::Span;
use kiln_store::View;
use kiln_wire::batch::error::Refusal;
use kiln_wire::batch::odata::List;
use kiln_wire::batch::pool::{NodeCounts, tree, url};
use kiln_wire::batch::{Shape, metadata};
use serde_json::Value;

use super::answer::Answer;
use super::call::Call;
use super::conditions::Conditions;
use super::error::OpError;
use super::page::Page;
use super::spec;
use super::unoffered;
use crate::kept;

/// Time that a deletion waits for the pool to be gone before it is answered: clients that add
/// one of the same name at once then succeed.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// `POST /pools`.
pub(super) async fn add(call: &Call) -> Result<Answer, Refusal> {
    let document = call.lift(Shape::PoolAdd)?;
    unoffered::check_pool(&document)?;
    let spec: PoolSpec = spec::read(&document, "pool specification")?;
    pool::admit(&spec)?;
    scaling::admit(&spec::read(&document, "autoscale setting")?)?;
    let life = PoolLife::new(&spec, call.now);
    let (account, pool_id, now) = (call.account.clone(), spec.id.clone(), call.now);
    let modified_at = life.modified_at;
    let server = Arc::clone(&call.server);
    call.server
        .store
        .write(move |tx| {
            refuse_existing(tx, &account, &spec.id)?;
            let document = document.to_string();
            let key = tx.insert_pool(&account, &spec.id, &document, &life)?;
            let pool = Pool { key, account, id: spec.id, document, life };
            crate::scaling::begin(&server, tx, &pool, now)?;
            tx.announce(Change::Pool {
                pool_key: key,
                account: pool.account,
                pool_id: pool.id,
                policy: spec.task_scheduling_policy,
            });
            tx.announce(Change::PoolSize { pool_key: key });
            Ok::<_, OpError>(())
        })
        .await?;
    Ok(Answer::created(url(&call.base_url, &pool_id), modified_at))
}

/// `GET /pools`.
pub(super) fn list(call: &Call) -> Result<Answer, Refusal> {
    Page::of(call, Shape::Pool, Some(List::Pools))?.collect(metadata::POOLS, |after, limit| {
        call.server.store.read(|view| {
            let pools = view.pools_after(&call.account, after, limit)?;
            let shown = |pool: Pool| Ok((pool.id.clone(), show(view, &pool, call)?));
            pools.into_iter().map(shown).collect::<Result<_, OpError>>()
        })
    })
}

/// `GET /pools/P`.
pub(super) fn get(call: &Call, pool_id: &str) -> Result<Answer, Refusal> {
    let conditions = Conditions::of(call)?;
    let (pool, tree) = call.server.store.read(|view| {
        let pool = find(view, &call.account, pool_id)?;
        conditions.check(pool.life.modified_at)?;
        let tree = show(view, &pool, call)?;
        Ok::<_, OpError>((pool, tree))
    })?;
    let answer = Page::of(call, Shape::Pool, None)?.single(metadata::POOLS, tree)?;
    Ok(answer.revision(pool.life.modified_at))
}

/// `HEAD /pools/P`.
pub(super) fn exists(call: &Call, pool_id: &str) -> Result<Answer, Refusal> {
    let conditions = Conditions::of(call)?;
    let pool = call.server.store.read(|view| find(view, &call.account, pool_id))?;
    conditions.check(pool.life.modified_at)?;
    Ok(Answer::new(200).revision(pool.life.modified_at))
}

/// `POST /pools/P/resize`.
pub(super) async fn resize(call: &Call, pool_id: &str) -> Result<Answer, Refusal> {
    let body = call.lift(Shape::PoolResize)?;
    unoffered::check_resize(&body)?;
    spec::refuse_negative_counts(&body)?;
    let targets = |name: &str| {
        body.get(name).and_then(Value::as_u64).map(|it| u32::try_from(it).unwrap_or(u32::MAX))
    };
    let (dedicated, low_priority) =
        (targets("targetDedicatedNodes"), targets("targetLowPriorityNodes"));
    if dedicated.is_none() && low_priority.is_none() {
        return Err(Refusal::missing_property("targetDedicatedNodes"));
    }
    let timeout = body.get("resizeTimeout").and_then(Value::as_str).and_then(Span::parse);
    if let Some(timeout) = timeout {
        pool::check_timeout(timeout)?;
    }
    let conditions = Conditions::of(call)?;
    let (account, pool_id, now) = (call.account.clone(), pool_id.to_owned(), call.now);
    let modified_at = call
        .server
        .store
        .write(move |tx| {
            let pool = find(tx, &account, &pool_id)?;
            conditions.check(pool.life.modified_at)?;
            scaling::may_resize(&pool, &kept::scaling_spec(&pool)?)?;
            let targets = Targets {
                dedicated: dedicated.unwrap_or(pool.life.targets.dedicated),
                low_priority: low_priority.unwrap_or(pool.life.targets.low_priority),
            };
            let life = pool::step(
                &pool,
                PoolFact::Resized { targets, timeout, treatment: Treatment::Requeue },
                now,
            )?;
            tx.update_pool(pool.key, &life)?;
            tx.announce(Change::PoolSize { pool_key: pool.key });
            Ok::<_, OpError>(life.modified_at)
        })
        .await?;
    Ok(Answer::done(202, call, modified_at))
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
            let life = pool::step(&pool, PoolFact::Deleted, now)?;
            tx.update_pool(pool.key, &life)?;
            tx.announce(Change::PoolSize { pool_key: pool.key });
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
    if let Ok(result) = tokio::time::timeout(GONE_WITHIN, is_gone).await {
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

fn show(view: &View<'_>, pool: &Pool, call: &Call) -> Result<Value, OpError> {
    let mut counts = NodeCounts::default();
    for node in view.nodes_of_pool(pool.key)? {
        if node.life.is_dedicated {
            counts.dedicated += 1;
        } else {
            counts.low_priority += 1;
        }
    }
    Ok(tree(pool, counts, &call.base_url))
}
