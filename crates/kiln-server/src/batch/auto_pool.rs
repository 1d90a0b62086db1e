//! Pools that are made for a job or a job schedule, and go with it.

use kiln_domain::batch::auto_pool::PoolLifetime;
use kiln_domain::batch::job::{Job, JobSpec};
use kiln_domain::batch::job_schedule::JobSchedule;
use kiln_domain::rejection::Rejection;
use kiln_domain::time::Timestamp;
use kiln_store::{StoreError, Tx};
use serde_json::Value;

use super::error::OpError;
use super::pool::{self, NewPool};
use crate::kept;

/// Where the specification of a job describes its pool.
const MEMBER: &str = "poolInfo.autoPoolSpecification";
const POINTER: &str = "/poolInfo/autoPoolSpecification";
/// All that changes of it once the pool is there.
const KEEP_ALIVE: &str = "keepAlive";

/// The pool that the specification of a job describes, under this id.
///
/// # Errors
/// When no pool may be so.
pub(super) fn described(document: &Value, pool_id: &str) -> Result<NewPool, OpError> {
    let described = document.pointer(POINTER).and_then(|auto| auto.get("pool"));
    let Some(mut pool) = described.cloned() else {
        return Err(Rejection::MissingProperty { name: format!("{MEMBER}.pool") }.into());
    };
    if let Value::Object(members) = &mut pool {
        members.insert("id".to_owned(), pool_id.into());
    }
    NewPool::admit(pool).map_err(|failed| failed.within(&format!("{MEMBER}.pool")))
}

/// Refuses a changed specification of a job that describes another pool than `old` does; what
/// it leaves out stays as it is, because clients are not shown all of it.
pub(super) fn keep_description(old: &Value, new: &mut Value) -> Result<(), Rejection> {
    let (Some(Value::Object(was)), Some(Value::Object(is))) =
        (old.pointer(POINTER), new.pointer_mut(POINTER))
    else {
        return Ok(());
    };
    for (name, given) in is.iter().filter(|(name, _)| *name != KEEP_ALIVE) {
        if was.get(name).is_none_or(|kept| !is_part(given, kept)) {
            let reason = "Only `keepAlive` of an auto pool can be changed";
            return Err(Rejection::property(format!("{MEMBER}.{name}"), given, reason));
        }
    }
    for (name, kept) in was.iter().filter(|(name, _)| *name != KEEP_ALIVE) {
        is.insert(name.clone(), kept.clone());
    }
    Ok(())
}

/// Whether `given` says nothing that `kept` does not say.
fn is_part(given: &Value, kept: &Value) -> bool {
    match (given, kept) {
        (Value::Object(given), Value::Object(kept)) => given
            .iter()
            .all(|(name, value)| kept.get(name).is_some_and(|kept| is_part(value, kept))),
        (Value::Array(given), Value::Array(kept)) => {
            given.len() == kept.len()
                && given.iter().zip(kept).all(|(given, kept)| is_part(given, kept))
        }
        (given, kept) => given == kept,
    }
}

/// The pool that was made for a job goes, because the job has ended or left it.
pub(crate) fn release(
    tx: &mut Tx<'_>,
    job: &Job,
    spec: &JobSpec,
    now: Timestamp,
) -> Result<(), StoreError> {
    let auto = spec.pool_info.auto_pool_specification.as_ref();
    if auto.is_some_and(|auto| auto.goes_with(PoolLifetime::Job)) {
        remove(tx, &job.account, &job.life.pool_id, now)?;
    }
    Ok(())
}

/// The pool that the jobs of a schedule share goes, because the schedule has ended.
pub(crate) fn release_with_schedule(
    tx: &mut Tx<'_>,
    schedule: &JobSchedule,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(pool_id) = &schedule.life.auto_pool_id else { return Ok(()) };
    let is_kept = kept::auto_pool_of_schedule(schedule)?.is_some_and(|auto| auto.keep_alive);
    if is_kept { Ok(()) } else { remove(tx, &schedule.account, pool_id, now) }
}

fn remove(tx: &mut Tx<'_>, account: &str, pool_id: &str, now: Timestamp) -> Result<(), StoreError> {
    let Some(pool) = tx.pool(account, pool_id)? else { return Ok(()) };
    match pool::remove(tx, &pool, now) {
        Ok(()) => Ok(()),
        // Refused when somebody else removes it already.
        Err(failed) => failed.into_rejection().map(drop),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::keep_description;

    fn job(auto: &Value) -> Value {
        json!({ "id": "j", "poolInfo": { "autoPoolSpecification": auto } })
    }

    #[test]
    fn a_description_stays_but_for_keep_alive() {
        let old = json!({
            "poolLifetimeOption": "job", "keepAlive": false,
            "pool": { "vmSize": "small", "userAccounts": [{ "name": "u", "password": "secret" }] },
        });
        for (new, expected) in [
            (old.clone(), None),
            (json!({ "poolLifetimeOption": "job", "keepAlive": true }), None),
            // As clients are shown it: without secrets.
            (
                json!({
                    "poolLifetimeOption": "job", "keepAlive": true,
                    "pool": { "vmSize": "small", "userAccounts": [{ "name": "u" }] },
                }),
                None,
            ),
            (json!({ "poolLifetimeOption": "jobschedule" }), Some("poolLifetimeOption")),
            (json!({ "pool": { "vmSize": "large" } }), Some("pool")),
            (json!({ "pool": { "vmSize": "small", "userAccounts": [] } }), Some("pool")),
            (json!({ "autoPoolIdPrefix": "x" }), Some("autoPoolIdPrefix")),
        ] {
            let mut changed = job(&new);
            let result = keep_description(&job(&old), &mut changed);
            let Some(member) = expected else {
                result.expect("nothing else changes");
                let mut kept = old.clone();
                kept["keepAlive"] = new["keepAlive"].clone();
                assert_eq!(changed, job(&kept), "{new}");
                continue;
            };
            let said = result.expect_err("it changes").to_string();
            assert!(said.contains(&format!("autoPoolSpecification.{member}`")), "{said}");
        }
        let named = json!({ "poolInfo": { "poolId": "p" } });
        let mut moved = named.clone();
        keep_description(&job(&old), &mut moved).expect("that is for others to judge");
        assert_eq!(moved, named);
    }
}
