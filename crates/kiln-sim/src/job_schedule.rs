//! What a client does that looks after a job schedule, whose jobs have a job manager or none, and
//! a pool of their own or not.

#![expect(clippy::indexing_slicing, reason = "a member that is not there is null")]

use std::sync::Arc;

use http::Method;
use kiln_clock::pause;
use serde_json::{Value, json};

use crate::client::ask;
use crate::model::Known;
use crate::script::{POOL, pool_body, post};
use crate::world::World;

/// The job schedule of a run.
const SCHEDULE: &str = "s";
/// Its address.
const PATH: &str = "/jobschedules/s";
/// The job manager of its jobs.
pub(crate) const MANAGER: &str = "manager";
/// Things that the client does.
const ACTS: u64 = 6;

/// Looks after the job schedule of a run, if it has one, for a while.
pub(crate) async fn look_after(world: Arc<World>) -> Option<()> {
    if !world.chance.is(40.0) {
        return Some(());
    }
    add(&world).await?;
    for _ in 0..ACTS {
        pause(world.chance.ms(0, 60_000)).await;
        match world.chance.below(100) {
            0..25 => act(&world, "disable").await?,
            25..60 => act(&world, "enable").await?,
            60..70 => act(&world, "terminate").await?,
            70..80 => remove(&world).await?,
            _ => add(&world).await?,
        }
    }
    Some(())
}

async fn add(world: &Arc<World>) -> Option<()> {
    let chance = &world.chance;
    let mut job = json!({ "priority": chance.below(3) * 100 });
    if chance.is(60.0) {
        job["jobManagerTask"] = json!({
            "id": MANAGER, "commandLine": "true", "killJobOnCompletion": chance.is(80.0),
        });
    } else {
        job["onAllTasksComplete"] = "terminatejob".into();
    }
    if chance.is(30.0) {
        job["jobPreparationTask"] = json!({ "commandLine": "true" });
    }
    job["poolInfo"] = if chance.is(50.0) {
        let lifetime = if chance.is(50.0) { "job" } else { "jobschedule" };
        let mut pool = pool_body();
        pool["targetDedicatedNodes"] = 1.into();
        json!({ "autoPoolSpecification": {
            "poolLifetimeOption": lifetime, "keepAlive": false, "pool": pool,
        } })
    } else {
        json!({ "poolId": POOL })
    };
    let every = match chance.below(3) {
        0 => json!({}),
        1 => json!({ "recurrenceInterval": "PT1M" }),
        _ => json!({ "recurrenceInterval": "PT2M", "startWindow": "PT1M" }),
    };
    let body = json!({ "id": SCHEDULE, "schedule": every, "jobSpecification": job });
    let added = post(world, "/jobschedules", body).await?;
    if added.is_done() || added.code == "JobScheduleExists" {
        expect(world, Known::There);
    }
    Some(())
}

async fn act(world: &Arc<World>, act: &str) -> Option<()> {
    ask(world, &Method::POST, &format!("{PATH}/{act}"), None).await?;
    Some(())
}

async fn remove(world: &Arc<World>) -> Option<()> {
    expect(world, Known::Open);
    ask(world, &Method::DELETE, PATH, None).await?;
    Some(())
}

fn expect(world: &World, known: Known) {
    world.model.expect(|it| it.schedules.insert(SCHEDULE.to_owned(), known));
}

/// Lets it make no more jobs.
pub(crate) async fn rest(world: &Arc<World>) -> Option<()> {
    act(world, "disable").await
}

/// Removes it, with its jobs and their pools.
pub(crate) async fn clear(world: &Arc<World>) -> Option<()> {
    remove(world).await
}

/// Whether the specification of a schedule gives its jobs a manager.
pub(crate) fn has_manager(document: &str) -> bool {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    document.pointer("/jobSpecification/jobManagerTask").is_some_and(|it| !it.is_null())
}
