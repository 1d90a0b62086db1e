//! Changes of pools: patch, update properties, upgrade the system.

use kiln_domain::batch::change::Change;
use kiln_domain::batch::pool::{self, PoolFact, PoolSpec};
use kiln_domain::rejection::Rejection;
use kiln_wire::batch::Shape;
use kiln_wire::batch::error::Refusal;
use serde_json::{Value, json};

use super::answer::Answer;
use super::application::{self, ReferredBy};
use super::call::Call;
use super::certificate;
use super::conditions::Conditions;
use super::error::OpError;
use super::pool::find;
use super::spec::{self, Edit};
use crate::kept;

/// References that are looked at when they change: what they lead to may have gone meanwhile.
const PACKAGES: &str = "applicationPackageReferences";
const CERTIFICATES: &str = "certificateReferences";

/// `PATCH /pools/P`.
pub(super) async fn patch(call: &Call, pool_id: &str) -> Result<Answer, Refusal> {
    let body = call.lift(Shape::PoolPatch)?;
    change(call, pool_id, body, Edit::Patch, 200).await
}

/// `POST /pools/P/updateproperties`.
pub(super) async fn update_properties(call: &Call, pool_id: &str) -> Result<Answer, Refusal> {
    let body = call.lift(Shape::PoolUpdateProperties)?;
    let edit = Edit::Replace(call.version, Shape::PoolUpdateProperties);
    change(call, pool_id, body, edit, 204).await
}

/// `POST /pools/P/upgradeos`: the nodes have their machines' system, so that the new name is
/// all there is to it.
pub(super) async fn upgrade_os(call: &Call, pool_id: &str) -> Result<Answer, Refusal> {
    let mut body = call.lift(Shape::PoolUpgradeOs)?;
    let wanted = body.get_mut("targetOSVersion").map(Value::take).unwrap_or_default();
    let pool = call.server.store.read(|view| find(view, &call.account, pool_id))?;
    let document = kept::document(&pool.document, "pool specification").map_err(OpError::Store)?;
    let Some(system) = document.get("cloudServiceConfiguration") else {
        return Err(Rejection::PoolSystemFixed { pool: pool.id }.into());
    };
    if system.get("osVersion") == Some(&wanted) {
        return Err(Rejection::PoolSystemUnchanged { pool: pool.id }.into());
    }
    let mut system = system.clone();
    if let Some(system) = system.as_object_mut() {
        system.insert("osVersion".to_owned(), wanted);
    }
    let body = json!({ "cloudServiceConfiguration": system });
    change(call, pool_id, body, Edit::Patch, 202).await
}

/// Changes the specification of a pool.
async fn change(
    call: &Call,
    pool_id: &str,
    body: Value,
    edit: Edit,
    status: u16,
) -> Result<Answer, Refusal> {
    let conditions = Conditions::of(call)?;
    let (account, pool_id, now) = (call.account.clone(), pool_id.to_owned(), call.now);
    let modified_at = call
        .server
        .store
        .write(move |tx| {
            let pool = find(tx, &account, &pool_id)?;
            conditions.check(pool.life.modified_at)?;
            let life = pool::step(&pool, PoolFact::Updated, now)?;
            let before = kept::document(&pool.document, "pool specification")?;
            let mut document = before.clone();
            edit.apply(&mut document, body);
            if !tx.nodes_after(pool.key, "", 1)?.is_empty() {
                pool::check_change(&pool, &before, &document)?;
            }
            let spec: PoolSpec = spec::read(&document, "pool specification")?;
            pool::admit(&spec)?;
            if document.get(PACKAGES) != before.get(PACKAGES) {
                let references = &spec.application_package_references;
                application::check_references(tx, &account, references, ReferredBy::Pool)?;
            }
            if document.get(CERTIFICATES) != before.get(CERTIFICATES) {
                certificate::check_references(tx, &account, &spec.certificate_references)?;
            }
            tx.update_pool_spec(pool.key, &document.to_string())?;
            tx.update_pool(pool.key, &life)?;
            tx.announce(Change::Pool {
                pool_key: pool.key,
                account,
                pool_id: pool.id,
                policy: spec.task_scheduling_policy,
                is_connected: spec.takes_gangs(),
            });
            Ok::<_, OpError>(life.modified_at)
        })
        .await?;
    Ok(Answer::done(status, call, modified_at))
}
