//! Kiln's own: why a task waits, or how it failed.

use kiln_domain::batch::job::{Job, JobState};
use kiln_domain::batch::needs::TaskNeeds;
use kiln_domain::batch::node::{Node, NodeState};
use kiln_domain::batch::pool::Pool;
use kiln_domain::batch::task::{Task, TaskState};
use kiln_scheduler::{Fit, NodeStanding, Standing, standing};
use kiln_store::{Unmet, View};
use kiln_wire::batch::error::Refusal;
use serde_json::{Value, json};

use super::answer::Answer;
use super::call::Call;
use super::error::OpError;
use super::task;

/// Tasks and ranges that are named of those that a task waits for.
const DEPENDENCIES_MAX: usize = 100;
/// Numbers that are named of those that are missing in a range.
const NUMBERS_MAX: usize = 5;
/// Nodes that are told of.
const NODES_MAX: usize = 1000;

/// What is known about a task that waits.
struct Facts<'a> {
    job: &'a Job,
    needs: &'a TaskNeeds,
    pool: Option<&'a Pool>,
    nodes: &'a [Node],
    n_unmet: u32,
    standing: Option<&'a Standing>,
}

/// `GET /kiln/jobs/J/tasks/T/explanation`.
pub(super) fn get(call: &Call, job_id: &str, task_id: &str) -> Result<Answer, Refusal> {
    let document = call.server.store.read(|view| {
        let (job, task) = task::find(view, &call.account, job_id, task_id)?;
        explain(call, view, &job, &task)
    })?;
    Ok(Answer::json(&document))
}

fn explain(call: &Call, view: &View<'_>, job: &Job, task: &Task) -> Result<Value, OpError> {
    let pool = view.pool(&call.account, &job.life.pool_id)?;
    let nodes = pool.as_ref().map(|pool| view.nodes_of_pool(pool.key)).transpose()?;
    let nodes = nodes.unwrap_or_default();
    let standing = standing(&call.server.signals.board(), job.key, &task.needs);
    let facts = Facts {
        job,
        needs: &task.needs,
        pool: pool.as_ref(),
        nodes: &nodes,
        n_unmet: task.n_unmet,
        standing: standing.as_ref(),
    };
    let reasons = match task.life.state {
        TaskState::Active => reasons(&facts),
        TaskState::Preparing => vec![preparing(task)],
        TaskState::Running | TaskState::Completed => Vec::new(),
    };
    let dependencies = if task.n_unmet == 0 { Vec::new() } else { dependencies(view, job, task)? };
    let is_waiting = task.life.state == TaskState::Active;
    let shown = nodes.iter().take(NODES_MAX).filter(|_| is_waiting);
    let shown: Vec<Value> = shown.map(|node| node_row(node, &facts)).collect();
    Ok(json!({
        "task": kiln_wire::batch::task::tree(task, &job.id, &call.base_url),
        "job": { "id": job.id, "state": job.life.state },
        "pool": {
            "id": job.life.pool_id,
            "state": pool.as_ref().map(|it| it.life.state),
            "allocationState": pool.as_ref().map(|it| it.life.allocation),
        },
        "reasons": reasons,
        "dependencies": dependencies,
        "nodes": shown,
        "nodesLeftOut": if is_waiting { nodes.len().saturating_sub(NODES_MAX) } else { 0 },
    }))
}

fn reason(code: &str, message: impl Into<String>) -> Value {
    json!({ "code": code, "message": message.into() })
}

fn preparing(task: &Task) -> Value {
    let node = task.life.place.as_ref().map_or("", |place| &place.node_id);
    let message = format!("the job preparation task comes first on node {node}");
    reason("Preparation", message)
}

/// Why a task waits: all that must change before it can start, or that it is about to.
fn reasons(facts: &Facts<'_>) -> Vec<Value> {
    let mut reasons = Vec::new();
    reasons.extend(of_job(facts.job));
    if facts.n_unmet > 0 {
        let n_unmet = facts.n_unmet;
        let message = format!("{n_unmet} of the dependencies are not satisfied yet");
        reasons.push(reason("Dependencies", message));
    }
    reasons.extend(of_pool(facts));
    if let Some(standing) = facts.standing {
        reasons.extend(of_standing(standing, facts));
    }
    if reasons.is_empty() {
        let n_before = facts.standing.map_or(0, |it| it.n_jobs_before);
        let is_room_kept = facts.standing.is_some_and(|it| it.is_room_kept);
        let message = match n_before {
            _ if is_room_kept => {
                "there is room, but some is kept for a task that needs more of it".to_owned()
            }
            0 => "there is room: it is about to start".to_owned(),
            n => format!("there is room, and {n} other jobs of the pool have their turn first"),
        };
        reasons.push(reason("Turn", message));
    }
    reasons
}

fn of_job(job: &Job) -> Option<Value> {
    let what = match job.life.state {
        JobState::Active => return None,
        JobState::Disabling | JobState::Disabled => "its tasks start once it is enabled",
        JobState::Enabling => "its tasks start once it is active",
        JobState::Terminating | JobState::Completed => "none of its tasks starts any more",
        JobState::Deleting => "it and its tasks are being removed",
    };
    let state = word(job.life.state);
    Some(reason("Job", format!("the job `{}` is {state}: {what}", job.id)))
}

fn of_pool(facts: &Facts<'_>) -> Option<Value> {
    let id = &facts.job.life.pool_id;
    let Some(pool) = facts.pool else {
        return Some(reason("Pool", format!("there is no pool `{id}`")));
    };
    if !facts.nodes.is_empty() {
        return None;
    }
    let targets = pool.life.targets;
    let errors = pool.life.resize_errors.iter().map(|error| error.message.as_str());
    let errors: Vec<&str> = errors.collect();
    let mut message = format!(
        "the pool `{id}` has no nodes, and is to have {} dedicated and {} Spot ones",
        targets.dedicated, targets.low_priority
    );
    if !errors.is_empty() {
        message = format!("{message}: {}", errors.join("; "));
    }
    Some(reason("Pool", message))
}

fn of_standing(standing: &Standing, facts: &Facts<'_>) -> Vec<Value> {
    let mut reasons = Vec::new();
    if !standing.is_accepted {
        let message = "the pool takes no tasks of several instances: they need \
                       enableInterNodeCommunication and a taskSlotsPerNode of 1";
        reasons.push(reason("Pool", message));
    }
    if let Some(limit) = standing.parallel_tasks_max
        && usize::try_from(limit).is_ok_and(|limit| standing.n_placed >= limit)
    {
        let message =
            format!("its job runs {} tasks, and at most {limit} at once", standing.n_placed);
        reasons.push(reason("Job", message));
    }
    let n_fitting = standing.nodes.values().filter(|node| node.fit == Fit::Fits).count();
    let n_wanted = facts.needs.instances;
    let has_room = usize::try_from(n_wanted).is_ok_and(|wanted| n_fitting >= wanted);
    if !has_room && !standing.nodes.is_empty() {
        let message = match n_wanted {
            1 => "no node has room for it".to_owned(),
            n => format!("it takes {n} nodes at once, and {n_fitting} have room"),
        };
        reasons.push(reason("Nodes", message));
    }
    reasons
}

/// A row about a node: how the task stands with it.
fn node_row(node: &Node, facts: &Facts<'_>) -> Value {
    let standing = facts.standing.and_then(|it| it.nodes.get(&node.id)).copied();
    let closed = NodeStanding { free_slots: 0, fit: Fit::Closed };
    let NodeStanding { free_slots, fit } = standing.unwrap_or(closed);
    json!({
        "id": node.id,
        "state": node.life.state,
        "isDedicated": node.life.is_dedicated,
        "taskSlots": node.life.slots,
        "freeSlots": free_slots,
        "isWished": facts.needs.affinity.as_ref() == Some(&node.id),
        "verdict": verdict(node, fit, facts.needs),
    })
}

/// Why a node does not take a task, for people; a node that does says so.
fn verdict(node: &Node, fit: Fit, needs: &TaskNeeds) -> String {
    let slots = needs.slots;
    match fit {
        Fit::Fits => "has room".to_owned(),
        Fit::Closed => why_closed(node),
        Fit::Excluded => "the job preparation task failed on it".to_owned(),
        Fit::Spot => "is a Spot node, and the task wants a dedicated one".to_owned(),
        Fit::TooSmall => format!("has {} slots, the task takes {slots}", node.life.slots),
        Fit::Reserved => "runs a task that shares its node with no other".to_owned(),
        Fit::Occupied => "runs tasks, and the task shares its node with no other".to_owned(),
        Fit::Full => format!("too few of its slots are free: the task takes {slots}"),
    }
}

fn why_closed(node: &Node) -> String {
    let life = &node.life;
    match life.state {
        NodeState::Idle | NodeState::Running | NodeState::Offline if !life.takes_tasks => {
            "scheduling is disabled on it".to_owned()
        }
        // It was open when the board was looked at, or is now.
        NodeState::Idle | NodeState::Running | NodeState::Offline => "is changing".to_owned(),
        NodeState::Creating | NodeState::Starting => "is not ready yet".to_owned(),
        NodeState::WaitingForStartTask => "waits for its start task".to_owned(),
        NodeState::StartTaskFailed => {
            let run = life.start_task_run.as_ref();
            let code = run.and_then(|run| run.exit_code);
            let failure = run.and_then(|run| run.failure.as_ref()).map(|it| it.message.as_str());
            match (code, failure) {
                (Some(code), _) => format!("its start task failed with exit code {code}"),
                (None, Some(failure)) => format!("its start task failed: {failure}"),
                (None, None) => "its start task failed".to_owned(),
            }
        }
        NodeState::Unusable => {
            let error = life.errors.first().map_or("unknown", |error| error.message.as_str());
            format!("is unusable: {error}")
        }
        NodeState::Rebooting
        | NodeState::Reimaging
        | NodeState::UpgradingOs
        | NodeState::LeavingPool
        | NodeState::Preempted
        | NodeState::Unknown
        | NodeState::Deallocating
        | NodeState::Deallocated => format!("is {}", word(life.state)),
    }
}

/// What a task still waits for.
fn dependencies(view: &View<'_>, job: &Job, task: &Task) -> Result<Vec<Value>, OpError> {
    let Unmet { ids, ranges } = view.unmet_dependencies(job.key, &task.id, DEPENDENCIES_MAX)?;
    let mut rows = Vec::with_capacity(ids.len() + ranges.len());
    for id in ids {
        let (state, message) = stands(view.task(job.key, &id)?.as_ref());
        rows.push(json!({ "taskId": id, "state": state, "message": message }));
    }
    for (range, n_missing) in ranges {
        let first = view.unmet_numbers(job.key, range, NUMBERS_MAX)?;
        let listed: Vec<String> = first.iter().map(i32::to_string).collect();
        let more =
            if usize::try_from(n_missing).is_ok_and(|n| n > first.len()) { ", …" } else { "" };
        let message = format!("{n_missing} are missing: {}{more}", listed.join(", "));
        let id = format!("{}..{}", range.start, range.end);
        rows.push(json!({ "taskIdRange": id, "message": message }));
    }
    Ok(rows)
}

/// How a task that is waited for stands.
fn stands(task: Option<&Task>) -> (Value, &'static str) {
    let Some(task) = task else { return (Value::Null, "there is no such task (yet)") };
    let message = match task.life.state {
        TaskState::Active | TaskState::Preparing => "has not begun",
        TaskState::Running => "runs",
        TaskState::Completed => "ended in a way that blocks those that depend on it",
    };
    (json!(task.life.state), message)
}

/// The word for a state, as on the wire.
fn word(state: impl serde::Serialize) -> String {
    serde_json::to_value(state)
        .ok()
        .and_then(|it| it.as_str().map(str::to_owned))
        .unwrap_or_default()
}
