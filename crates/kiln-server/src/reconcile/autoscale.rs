//! Evaluates the formula of each pool that sizes itself, in its interval.

use std::sync::Arc;

use kiln_domain::batch::scaling;
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use kiln_store::StoreError;
use tracing::error;

use super::deadlines::Deadlines;
use crate::server::Server;
use crate::{clock, kept, samples};

/// Time from the first of some changes of tasks to the evaluation that they cause, where they
/// do: many come together.
const PROMPT_AFTER: Span = Span::seconds(1);

/// Why a pool is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// Its time may have come.
    Time,
    /// Its tasks changed.
    Tasks,
}

/// Evaluates formulas until it is dropped.
pub async fn run(server: Arc<Server>) {
    let mut deadlines = Deadlines::default();
    let mut prompt = Deadlines::default();
    loop {
        let (keys, cause) = tokio::select! {
            biased;
            () = deadlines.next() => (deadlines.take_due(clock::now()), Cause::Time),
            () = prompt.next() => (prompt.take_due(clock::now()), Cause::Tasks),
            keys = server.signals.scaling().take() => (keys, Cause::Time),
            keys = server.signals.task_pools().take() => {
                for key in keys.into_iter().filter(|key| deadlines.has(*key)) {
                    if !prompt.has(key) {
                        prompt.set(key, Some(clock::now().plus(PROMPT_AFTER)));
                    }
                }
                continue;
            }
        };
        for pool_key in keys {
            match settle(&server, pool_key, cause).await {
                Ok(next) => deadlines.set(pool_key, next),
                Err(cause) => {
                    error!(error = %crate::chain(&cause), pool_key, "a formula was not evaluated");
                    clock::pause(clock::AFTER_FAILURE).await;
                    server.signals.scaling().mark(pool_key);
                }
            }
        }
    }
}

/// Evaluates the formula of a pool if that is due; gives the time of the next evaluation.
async fn settle(
    server: &Arc<Server>,
    pool_key: i64,
    cause: Cause,
) -> Result<Option<Timestamp>, StoreError> {
    let now = clock::now();
    let Some(next) = next_evaluation(server, pool_key)? else {
        server.samples.end(pool_key);
        return Ok(None);
    };
    server.samples.begin(pool_key);
    if now < next && cause == Cause::Time {
        return Ok(Some(next));
    }
    evaluate(server, pool_key, now).await?;
    next_evaluation(server, pool_key)
}

fn next_evaluation(server: &Server, pool_key: i64) -> Result<Option<Timestamp>, StoreError> {
    let at_most = server.config.autoscale.interval.map(Span::of_std);
    server.store.read(|view| {
        let Some(pool) = view.pool_by_key(pool_key)? else { return Ok(None) };
        let spec = kept::scaling_spec(&pool)?;
        Ok(scaling::next_evaluation(&pool, &spec, at_most))
    })
}

async fn evaluate(server: &Arc<Server>, pool_key: i64, now: Timestamp) -> Result<(), StoreError> {
    // Counted beside the writer: a pool may have many jobs.
    let counted = server.store.read(|view| match view.pool_by_key(pool_key)? {
        Some(pool) => samples::count(server, view, &pool, now).map(Some),
        None => Ok::<_, StoreError>(None),
    })?;
    let Some(latest) = counted else { return Ok(()) };
    let shared = Arc::clone(server);
    server
        .store
        .write(move |tx| {
            let Some(pool) = tx.pool_by_key(pool_key)? else { return Ok(()) };
            let spec = kept::scaling_spec(&pool)?;
            let Some(formula) = spec.formula() else { return Ok(()) };
            crate::scaling::scale(&shared, tx, &pool, formula, latest).map(drop)
        })
        .await
}
