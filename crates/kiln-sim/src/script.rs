//! What clients do: each looks after one job, one after the pool.

#![expect(clippy::indexing_slicing, reason = "a member that is not there is null")]

use std::sync::Arc;

use http::Method;
use kiln_clock::pause;
use serde_json::{Value, json};

use crate::client::{Reply, ask};
use crate::job_schedule;
use crate::model::Known;
use crate::world::World;

/// The pool of a run.
pub(crate) const POOL: &str = "p";
/// Tasks of a job, by their names.
const TASKS: u64 = 12;
/// Things that a client does.
const ACTS: u64 = 18;
/// Gives a pool as many nodes as tasks wait, within bounds.
const FORMULA: &str = "pending = $PendingTasks.GetSamplePercent(180 * TimeInterval_Second) < 50 \
    ? 2 : avg($PendingTasks.GetSample(180 * TimeInterval_Second)); \
    $TargetDedicatedNodes = min(3, max(1, pending)); \
    $NodeDeallocationOption = taskcompletion;";

pub(crate) async fn post(world: &Arc<World>, path: &str, body: Value) -> Option<Reply> {
    ask(world, &Method::POST, path, Some(&body)).await
}

/// What each pool has, without its name and size.
pub(crate) fn pool_body() -> Value {
    json!({
        "vmSize": "standard_d4_v2",
        "virtualMachineConfiguration": {
            "imageReference": {
                "publisher": "canonical",
                "offer": "0001-com-ubuntu-server-jammy",
                "sku": "22_04-lts",
            },
            "nodeAgentSKUId": "batch.node.ubuntu 22.04",
        },
    })
}

/// Adds the pool of a run.
pub(crate) async fn add_pool(world: &Arc<World>) -> Option<()> {
    let chance = &world.chance;
    let mut pool = pool_body();
    pool["id"] = POOL.into();
    let is_scaled = chance.is(20.0);
    if is_scaled {
        pool["enableAutoScale"] = true.into();
        pool["autoScaleFormula"] = FORMULA.into();
        pool["autoScaleEvaluationInterval"] = "PT5M".into();
    } else {
        pool["targetDedicatedNodes"] = (1 + chance.below(3)).into();
    }
    let is_connected = chance.is(50.0);
    world.model.expect(|it| it.is_connected = is_connected);
    if is_connected {
        pool["enableInterNodeCommunication"] = true.into();
        pool["taskSlotsPerNode"] = 1.into();
    } else {
        if !is_scaled {
            pool["targetLowPriorityNodes"] = chance.below(3).into();
        }
        pool["taskSlotsPerNode"] = (1 + chance.below(3)).into();
    }
    if chance.is(30.0) {
        let (waits, retries) = (chance.is(50.0), chance.below(3));
        pool["startTask"] = json!({
            "commandLine": "true", "waitForSuccess": waits, "maxTaskRetryCount": retries,
        });
    }
    let added = post(world, "/pools", pool).await?;
    if added.is_done() || added.code == "PoolExists" {
        world.model.expect(|it| it.pools.insert(POOL.to_owned(), Known::There));
    }
    Some(())
}

/// Looks after a job of this name, for a while.
pub(crate) async fn look_after_job(world: Arc<World>, job: String) -> Option<()> {
    add_job(&world, &job).await?;
    for _ in 0..ACTS {
        pause(world.chance.ms(0, 4_000)).await;
        let task = format!("t{}", world.chance.below(TASKS));
        match world.chance.below(100) {
            0..45 => add_task(&world, &job, &task).await?,
            45..55 => add_some(&world, &job).await?,
            55..63 => end_task(&world, &job, &task).await?,
            63..69 => remove_task(&world, &job, &task).await?,
            69..77 => run_again(&world, &job, &task).await?,
            77..85 => disable(&world, &job).await?,
            85..93 => act(&world, &job, "enable", None).await?,
            93..95 => act(&world, &job, "terminate", None).await?,
            95..97 => remove_job(&world, &job).await?,
            _ => add_job(&world, &job).await?,
        }
    }
    Some(())
}

async fn add_job(world: &Arc<World>, job: &str) -> Option<()> {
    let chance = &world.chance;
    let mut body = json!({
        "id": job,
        "poolInfo": { "poolId": POOL },
        "usesTaskDependencies": true,
        "onTaskFailure": "performexitoptionsjobaction",
        "priority": chance.below(3) * 100,
        "constraints": { "maxTaskRetryCount": chance.below(3) },
    });
    if chance.is(40.0) {
        body["jobPreparationTask"] = json!({ "commandLine": "true" });
        if chance.is(50.0) {
            body["jobReleaseTask"] = json!({ "commandLine": "true" });
        }
    }
    let added = post(world, "/jobs", body).await?;
    if added.is_done() || added.code == "JobExists" {
        world.model.expect(|it| it.job(job).known = Known::There);
    }
    Some(())
}

async fn remove_job(world: &Arc<World>, job: &str) -> Option<()> {
    world.model.expect(|it| it.open_job(job));
    ask(world, &Method::DELETE, &format!("/jobs/{job}"), None).await?;
    Some(())
}

fn task_body(world: &World, job: &str, task: &str) -> Value {
    let chance = &world.chance;
    let mut body = json!({ "id": task, "commandLine": "true" });
    let mut depends_on = Vec::new();
    if chance.is(30.0) {
        let number: u64 = task.trim_start_matches('t').parse().unwrap_or(0);
        // Only on earlier ones, so that none waits for itself.
        for _ in 0..=chance.below(2) {
            if number > 0 {
                depends_on.push(format!("t{}", chance.below(number)));
            }
        }
        body["dependsOn"] = json!({ "taskIds": depends_on });
    }
    if chance.is(30.0) {
        body["constraints"] = json!({
            "maxTaskRetryCount": chance.below(4),
            "maxWallClockTime": format!("PT{}S", 1 + chance.below(30)),
        });
    }
    if chance.is(20.0) {
        let dependents = if chance.is(50.0) { "satisfy" } else { "block" };
        let job = match chance.below(10) {
            0 => "terminate",
            1 => "disable",
            _ => "none",
        };
        let options = json!({ "dependencyAction": dependents, "jobAction": job });
        body["exitConditions"] = json!({ "default": options });
    }
    if chance.is(10.0) && world.model.expect(|it| it.is_connected) {
        body["multiInstanceSettings"] = json!({
            "numberOfInstances": 2, "coordinationCommandLine": "true",
        });
    }
    world.model.expect(|it| {
        let expected = it.task(job, task);
        // Until it is known to be there, it may be another one of this name.
        (expected.known, expected.depends_on) = (Known::Open, depends_on);
    });
    body
}

async fn add_task(world: &Arc<World>, job: &str, task: &str) -> Option<()> {
    if world.model.expect(|it| it.task(job, task).known == Known::There) {
        return Some(());
    }
    let body = task_body(world, job, task);
    let added = post(world, &format!("/jobs/{job}/tasks"), body).await?;
    told_of_task(world, job, task, added.is_done(), &added.code);
    Some(())
}

async fn add_some(world: &Arc<World>, job: &str) -> Option<()> {
    let mut names: Vec<String> = (0..3).map(|_| world.chance.below(TASKS)).map(name).collect();
    names.sort();
    names.dedup();
    names.retain(|it| world.model.expect(|expected| expected.task(job, it).known != Known::There));
    let bodies: Vec<Value> = names.iter().map(|it| task_body(world, job, it)).collect();
    let path = format!("/jobs/{job}/addtaskcollection");
    let added = post(world, &path, json!({ "value": bodies })).await?;
    if !added.is_done() {
        for task in &names {
            told_of_task(world, job, task, false, &added.code);
        }
    }
    for result in added.body["value"].as_array().into_iter().flatten() {
        let is_added =
            result["status"].as_str().is_some_and(|it| it.eq_ignore_ascii_case("success"));
        let code = result["error"]["code"].as_str().unwrap_or_default();
        told_of_task(world, job, result["taskId"].as_str()?, is_added, code);
    }
    Some(())
}

/// A client was told what became of a task that it added.
fn told_of_task(world: &World, job: &str, task: &str, is_added: bool, code: &str) {
    world.model.expect(|it| {
        let expected = it.task(job, task);
        if is_added || code == "TaskExists" {
            expected.known = Known::There;
        }
        if !is_added {
            // What is there, if anything is, may be an earlier one.
            expected.depends_on = vec![String::new()];
        }
    });
}

fn name(number: u64) -> String {
    format!("t{number}")
}

async fn end_task(world: &Arc<World>, job: &str, task: &str) -> Option<()> {
    let ended = post(world, &format!("/jobs/{job}/tasks/{task}/terminate"), json!({})).await?;
    // That of a job that is being removed says nothing of the next one of its name.
    let is_there = world.model.expect(|it| it.job(job).known == Known::There);
    if ended.is_done() && is_there {
        world.model.expect(|it| it.task(job, task).is_ended = true);
    }
    Some(())
}

async fn remove_task(world: &Arc<World>, job: &str, task: &str) -> Option<()> {
    world.model.expect(|it| {
        let expected = it.task(job, task);
        (expected.known, expected.is_ended) = (Known::Open, false);
    });
    let removed = ask(world, &Method::DELETE, &format!("/jobs/{job}/tasks/{task}"), None).await?;
    if removed.is_done() {
        world.model.expect(|it| it.task(job, task).known = Known::Gone);
    }
    Some(())
}

async fn run_again(world: &Arc<World>, job: &str, task: &str) -> Option<()> {
    world.model.expect(|it| {
        let expected = it.task(job, task);
        (expected.may_run_again, expected.is_ended) = (true, false);
    });
    post(world, &format!("/jobs/{job}/tasks/{task}/reactivate"), json!({})).await?;
    Some(())
}

async fn disable(world: &Arc<World>, job: &str) -> Option<()> {
    let how = world.chance.pick(&["requeue", "terminate", "wait"]).copied()?;
    act(world, job, "disable", Some(json!({ "disableTasks": how }))).await
}

async fn act(world: &Arc<World>, job: &str, act: &str, body: Option<Value>) -> Option<()> {
    let path = format!("/jobs/{job}/{act}");
    ask(world, &Method::POST, &path, body.as_ref()).await?;
    Some(())
}

/// Looks after the pool, for a while.
pub(crate) async fn look_after_pool(world: Arc<World>) -> Option<()> {
    for _ in 0..ACTS {
        pause(world.chance.ms(0, 8_000)).await;
        let how = *world.chance.pick(&["requeue", "terminate", "taskcompletion"])?;
        let base = format!("/pools/{POOL}");
        if world.chance.is(25.0) {
            let body = json!({
                "targetDedicatedNodes": world.chance.below(4),
                "targetLowPriorityNodes": world.chance.below(3),
                "nodeDeallocationOption": how,
            });
            post(&world, &format!("{base}/resize"), body).await?;
            continue;
        }
        if world.chance.is(10.0) {
            post(&world, &format!("{base}/stopresize"), json!({})).await?;
            continue;
        }
        if world.chance.is(5.0) {
            let act = if world.chance.is(50.0) { "disableautoscale" } else { "evaluateautoscale" };
            let body = if act == "evaluateautoscale" {
                json!({ "autoScaleFormula": FORMULA })
            } else {
                json!({})
            };
            post(&world, &format!("{base}/{act}"), body).await?;
            continue;
        }
        let nodes = nodes(&world, POOL).await?;
        let Some((node, _)) = world.chance.pick(&nodes) else { continue };
        let (act, body) = match world.chance.below(8) {
            0 => ("reboot", json!({ "nodeRebootOption": how })),
            1 => ("reimage", json!({ "nodeReimageOption": how })),
            2 => ("deallocate", json!({ "nodeDeallocateOption": how })),
            3 => ("start", json!({})),
            4 => ("disablescheduling", json!({ "nodeDisableSchedulingOption": how })),
            5 => ("enablescheduling", json!({})),
            6 => ("preempt", json!({})),
            _ => {
                let body = json!({ "nodeList": [node], "nodeDeallocationOption": how });
                post(&world, &format!("{base}/removenodes"), body).await?;
                continue;
            }
        };
        let prefix = if act == "preempt" { "/kiln" } else { "" };
        post(&world, &format!("{prefix}{base}/nodes/{node}/{act}"), body).await?;
    }
    Some(())
}

/// The pools that are there: that of the run, and those that were made for jobs.
async fn pools(world: &Arc<World>) -> Option<Vec<String>> {
    let listed = ask(world, &Method::GET, "/pools", None).await?;
    let pools = listed.body["value"].as_array().into_iter().flatten();
    Some(pools.filter_map(|pool| pool["id"].as_str().map(str::to_owned)).collect())
}

/// The nodes of a pool, and their states.
async fn nodes(world: &Arc<World>, pool: &str) -> Option<Vec<(String, String)>> {
    let listed = ask(world, &Method::GET, &format!("/pools/{pool}/nodes"), None).await?;
    let text = |node: &Value, name: &str| node[name].as_str().unwrap_or_default().to_owned();
    let nodes = listed.body["value"].as_array().into_iter().flatten();
    Some(nodes.map(|node| (text(node, "id"), text(node, "state"))).collect())
}

/// Gives the jobs pools that work, and lets them go on; no more of them are made.
pub(crate) async fn mend(world: &Arc<World>, jobs: &[String]) -> Option<()> {
    job_schedule::rest(world).await?;
    for pool in pools(world).await? {
        mend_pool(world, &pool).await?;
    }
    for job in jobs {
        act(world, job, "enable", None).await?;
    }
    Some(())
}

async fn mend_pool(world: &Arc<World>, pool: &str) -> Option<()> {
    let base = format!("/pools/{pool}");
    for (node, state) in nodes(world, pool).await? {
        let path = format!("{base}/nodes/{node}");
        match state.as_str() {
            "deallocated" => post(world, &format!("{path}/start"), json!({})).await?,
            "unusable" | "starttaskfailed" => {
                let body = json!({ "nodeList": [node], "nodeDeallocationOption": "requeue" });
                post(world, &format!("{base}/removenodes"), body).await?
            }
            _ => post(world, &format!("{path}/enablescheduling"), json!({})).await?,
        };
    }
    // One that sizes itself does not take this.
    let n_nodes = if pool == POOL { 3 } else { 1 };
    let body = json!({ "targetDedicatedNodes": n_nodes });
    post(world, &format!("{base}/resize"), body).await?;
    Some(())
}

/// Removes all there is.
pub(crate) async fn clear(world: &Arc<World>, jobs: &[String]) -> Option<()> {
    job_schedule::clear(world).await?;
    for job in jobs {
        remove_job(world, job).await?;
    }
    world.model.expect(|it| it.pools.insert(POOL.to_owned(), Known::Open));
    ask(world, &Method::DELETE, &format!("/pools/{POOL}"), None).await?;
    Some(())
}
