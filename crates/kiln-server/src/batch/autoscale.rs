//! Autoscale of pools: switch it on and off, try a formula.

use std::sync::Arc;

use kiln_domain::batch::change::Change;
use kiln_domain::batch::pool::{self, AllocationState, Pool, PoolFact};
use kiln_domain::batch::scaling::{self, ScalingSpec};
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use kiln_store::Tx;
use kiln_wire::batch::error::Refusal;
use kiln_wire::batch::{Shape, autoscale, metadata};
use serde_json::{Map, Value};

use super::answer::Answer;
use super::call::Call;
use super::conditions::Conditions;
use super::error::OpError;
use super::page::Page;
use super::pool::find;
use super::spec;
use crate::{kept, samples};

/// What a client gives to switch autoscale on, or to change it.
struct Given {
    formula: Option<String>,
    interval: Option<Span>,
}

/// `POST /pools/P/enableautoscale`.
pub(super) async fn enable(call: &Call, pool_id: &str) -> Result<Answer, Refusal> {
    let given: ScalingSpec =
        spec::read(&call.lift(Shape::PoolEnableAutoScale)?, "autoscale setting")?;
    let given =
        Given { formula: given.auto_scale_formula, interval: given.auto_scale_evaluation_interval };
    if given.formula.is_none() && given.interval.is_none() {
        return Err(Refusal::missing_property("autoScaleFormula"));
    }
    given.formula.as_deref().map_or(Ok(()), scaling::check_formula)?;
    given.interval.map_or(Ok(()), scaling::check_interval)?;
    let conditions = Conditions::of(call)?;
    let (account, pool_id, now) = (call.account.clone(), pool_id.to_owned(), call.now);
    let server = Arc::clone(&call.server);
    let modified_at = call
        .server
        .store
        .write(move |tx| {
            let pool = find(tx, &account, &pool_id)?;
            conditions.check(pool.life.modified_at)?;
            let before = kept::scaling_spec(&pool)?;
            scaling::may_enable(&pool, &before, now)?;
            let formula = given.formula.or_else(|| before.formula().map(str::to_owned));
            let Some(formula) = formula else {
                return Err(scaling::formula_needed().into());
            };
            let interval = given.interval.unwrap_or_else(|| before.interval());
            let mut life = pool::step(&pool, PoolFact::Updated, now)?;
            life.scaling.set_at = Some(now);
            let document = edited(&pool, |it| {
                it.insert("enableAutoScale".to_owned(), true.into());
                it.insert("autoScaleFormula".to_owned(), formula.as_str().into());
                it.insert("autoScaleEvaluationInterval".to_owned(), interval.to_string().into());
                // From now on these are the formula's matter.
                it.remove("targetDedicatedNodes");
                it.remove("targetLowPriorityNodes");
            })?;
            tx.update_pool_spec(pool.key, &document)?;
            let pool = Pool { document, life, ..pool };
            let latest = samples::count(&server, tx, &pool, now)?;
            let life = crate::scaling::scale(&server, tx, &pool, &formula, latest)?;
            tx.announce(Change::PoolScaling { pool_key: pool.key });
            Ok::<_, OpError>(life.modified_at)
        })
        .await?;
    Ok(Answer::done(200, call, modified_at))
}

/// `POST /pools/P/disableautoscale`.
pub(super) async fn disable(call: &Call, pool_id: &str) -> Result<Answer, Refusal> {
    let conditions = Conditions::of(call)?;
    let (account, pool_id, now) = (call.account.clone(), pool_id.to_owned(), call.now);
    let modified_at = call
        .server
        .store
        .write(move |tx| {
            let pool = find(tx, &account, &pool_id)?;
            conditions.check(pool.life.modified_at)?;
            switch_off(tx, pool, now)
        })
        .await?;
    Ok(Answer::done(200, call, modified_at))
}

/// The pool keeps its targets; a resize that the formula began is stopped.
fn switch_off(tx: &mut Tx<'_>, mut pool: Pool, now: Timestamp) -> Result<Timestamp, OpError> {
    pool.life = pool::step(&pool, PoolFact::Updated, now)?;
    if !kept::scaling_spec(&pool)?.enable_auto_scale {
        return Ok(pool.life.modified_at);
    }
    if pool.life.allocation == AllocationState::Resizing {
        pool.life = pool::step(&pool, PoolFact::ResizeStopped, now)?;
    }
    pool.life.scaling.run = None;
    let targets = pool.life.targets;
    let document = edited(&pool, |it| {
        it.insert("enableAutoScale".to_owned(), false.into());
        it.remove("autoScaleFormula");
        it.remove("autoScaleEvaluationInterval");
        it.insert("targetDedicatedNodes".to_owned(), targets.dedicated.into());
        it.insert("targetLowPriorityNodes".to_owned(), targets.low_priority.into());
    })?;
    tx.update_pool_spec(pool.key, &document)?;
    tx.update_pool(pool.key, &pool.life)?;
    tx.announce(Change::PoolScaling { pool_key: pool.key });
    tx.announce(Change::PoolSize { pool_key: pool.key });
    Ok(pool.life.modified_at)
}

/// `POST /pools/P/evaluateautoscale`.
pub(super) fn evaluate(call: &Call, pool_id: &str) -> Result<Answer, Refusal> {
    let given: ScalingSpec =
        spec::read(&call.lift(Shape::PoolEvaluateAutoScale)?, "autoscale formula")?;
    let formula = given.auto_scale_formula.unwrap_or_default();
    scaling::check_length(&formula)?;
    let (run, _) = call.server.store.read(|view| {
        let pool = find(view, &call.account, pool_id)?;
        scaling::may_evaluate(&pool, &kept::scaling_spec(&pool)?)?;
        let latest = samples::count(&call.server, view, &pool, call.now)?;
        Ok::<_, OpError>(crate::scaling::evaluate(&call.server, &pool, &formula, latest))
    })?;
    let answer = Page::of(call, Shape::AutoScaleRun, None)?
        .plain(metadata::AUTO_SCALE_RUN, autoscale::tree(&run))?;
    Ok(answer.header("DataServiceId", call.url()))
}

/// The document of a pool after `edit`.
fn edited(pool: &Pool, edit: impl FnOnce(&mut Map<String, Value>)) -> Result<String, OpError> {
    let mut document: Map<String, Value> = serde_json::from_str(&pool.document)
        .map_err(|cause| OpError::Damaged { what: "pool specification", cause })?;
    edit(&mut document);
    Ok(Value::Object(document).to_string())
}
