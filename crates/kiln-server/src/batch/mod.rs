//! The Batch endpoint: one function for each operation.

mod answer;
mod application;
mod authenticate;
mod auto_pool;
mod autoscale;
mod call;
mod certificate;
mod conditions;
mod containers;
mod error;
mod explanation;
mod file;
mod image;
mod job;
mod job_life;
mod job_schedule;
mod leave;
mod node;
mod node_action;
mod node_count;
mod node_extension;
mod node_log;
mod node_login;
mod node_user;
mod outbox;
mod package;
mod page;
mod pool;
mod pool_change;
mod pool_metrics;
mod pool_size;
mod preparation;
mod shell;
mod spec;
mod statistics;
mod subtask;
mod task;
mod task_life;

use std::sync::Arc;

use kiln_wire::batch::error::Refusal;

use crate::http::{Request, Response, code_of};
use crate::server::Server;
use answer::{Answer, Frame};
pub(crate) use auto_pool::{release as release_auto_pool, release_with_schedule};
use call::Call;
pub(crate) use certificate::uses as certificate_uses;
pub(crate) use job::{NewJob, insert as insert_job};
pub(crate) use job_life::{
    change as job_change, take_if_allowed as step_job, terminate as terminate_job,
};
pub(crate) use leave::{Here, leave_nodes};
pub(crate) use outbox::{Outbox, forget_job, stop_if_allowed, stop_tasks};
pub(crate) use task_life::{
    change as task_change, go_on_with_dependents, keep as keep_task, waiting_change,
};

/// The Batch endpoint.
#[derive(Clone, Debug)]
pub struct BatchService {
    server: Arc<Server>,
}

impl BatchService {
    /// The endpoint of `server`.
    pub fn new(server: Arc<Server>) -> Self {
        Self { server }
    }

    /// Answers one request.
    pub async fn call(&self, request: Request) -> Response {
        let frame = Frame::of(&request);
        let result = self.answer(request).await;
        if let Err(refusal) = &result {
            tracing::debug!(
                request_id = %frame.request_id,
                method = %frame.method,
                path = frame.path,
                status = refusal.status,
                code = refusal.code,
                "request refused"
            );
        }
        match result {
            Ok(answer) => answer.into_response(&frame),
            Err(refusal) => answer::refuse(&refusal, &frame),
        }
    }

    /// Words what the HTTP engine refused.
    pub fn refuse(&self, refusal: crate::http::Refusal) -> Response {
        let refusal = if refusal == crate::http::Refusal::Busy {
            Refusal::server_busy()
        } else {
            Refusal {
                status: refusal.status(),
                code: code_of(refusal),
                message: format!("{refusal}."),
                values: Vec::new(),
            }
        };
        answer::refuse(&refusal, &Frame::unread(&self.server.batch_url))
    }

    async fn answer(&self, request: Request) -> Result<Answer, Refusal> {
        let call = Call::accept(Arc::clone(&self.server), request).await?;
        route(&call).await
    }
}

/// The table of contents: which operation a request asks for.
async fn route(call: &Call) -> Result<Answer, Refusal> {
    let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    match (call.method.as_str(), segments.as_slice()) {
        ("GET", ["supportedimages"]) => image::list(call),
        ("GET", ["nodeagentskus"]) => image::list_agent_skus(call),

        ("GET", ["nodecounts"]) => node_count::list(call),
        (verb, ["pools", path @ ..]) => pools(call, verb, path).await,

        ("POST", ["jobs"]) => job::add(call).await,
        ("GET", ["jobs"]) => job::list(call),
        ("GET", ["jobs", job]) => job::get(call, job),
        ("PATCH", ["jobs", job]) => job::patch(call, job).await,
        ("PUT", ["jobs", job]) => job::update(call, job).await,
        ("DELETE", ["jobs", job]) => job::delete(call, job).await,
        ("POST", ["jobs", job, "disable"]) => job::disable(call, job).await,
        ("POST", ["jobs", job, "enable"]) => job::enable(call, job).await,
        ("POST", ["jobs", job, "terminate"]) => job::terminate(call, job).await,
        ("GET", ["jobs", job, "taskcounts"]) => job::task_counts(call, job),

        ("GET", ["applications"]) => application::list(call),
        ("GET", ["applications", id]) => application::get(call, id),

        (verb, ["jobschedules", path @ ..]) => job_schedules(call, verb, path).await,

        (verb, path @ [first, ..]) if first.starts_with("certificates") => {
            certificates(call, verb, path).await
        }
        (verb, ["kiln", path @ ..]) => own(call, verb, path).await,

        ("GET", ["lifetimejobstats"]) => statistics::lifetime_of_jobs(call),
        ("GET", ["lifetimepoolstats"]) => statistics::lifetime_of_pools(call),
        ("GET", ["poolusagemetrics"]) => pool_metrics::list(call),

        ("GET", ["jobs", job, "jobpreparationandreleasetaskstatus"]) => {
            preparation::list(call, job)
        }

        ("POST", ["jobs", job, "tasks"]) => task::add(call, job).await,
        ("POST", ["jobs", job, "addtaskcollection"]) => task::add_collection(call, job).await,
        ("GET", ["jobs", job, "tasks"]) => task::list(call, job),
        ("GET", ["jobs", job, "tasks", task]) => task::get(call, job, task),
        ("PUT", ["jobs", job, "tasks", task]) => task::update(call, job, task).await,
        ("DELETE", ["jobs", job, "tasks", task]) => task::delete(call, job, task).await,
        ("POST", ["jobs", job, "tasks", task, "terminate"]) => {
            task::terminate(call, job, task).await
        }
        ("POST", ["jobs", job, "tasks", task, "reactivate"]) => {
            task::reactivate(call, job, task).await
        }
        ("GET", ["jobs", job, "tasks", task, "subtasksinfo"]) => subtask::list(call, job, task),
        ("GET", ["jobs", job, "tasks", task, "files"]) => file::list_of_task(call, job, task).await,
        (verb @ ("GET" | "HEAD" | "DELETE"), ["jobs", job, "tasks", task, "files", path @ ..]) => {
            file::of_task(call, verb, job, task, path).await
        }

        _ => Err(call.not_offered()),
    }
}

/// Job schedules and the jobs they made.
async fn job_schedules(call: &Call, verb: &str, path: &[&str]) -> Result<Answer, Refusal> {
    match (verb, path) {
        ("POST", []) => job_schedule::add(call).await,
        ("GET", []) => job_schedule::list(call),
        ("GET", [schedule]) => job_schedule::get(call, schedule),
        ("HEAD", [schedule]) => job_schedule::exists(call, schedule),
        ("PATCH", [schedule]) => job_schedule::patch(call, schedule).await,
        ("PUT", [schedule]) => job_schedule::update(call, schedule).await,
        ("DELETE", [schedule]) => job_schedule::delete(call, schedule).await,
        ("POST", [schedule, "disable"]) => job_schedule::disable(call, schedule).await,
        ("POST", [schedule, "enable"]) => job_schedule::enable(call, schedule).await,
        ("POST", [schedule, "terminate"]) => job_schedule::terminate(call, schedule).await,
        ("GET", [schedule, "jobs"]) => job_schedule::list_jobs(call, schedule),
        _ => Err(call.not_offered()),
    }
}

/// Pools and their nodes.
async fn pools(call: &Call, verb: &str, path: &[&str]) -> Result<Answer, Refusal> {
    match (verb, path) {
        ("POST", []) => pool::add(call).await,
        ("GET", []) => pool::list(call),
        ("GET", [pool]) => pool::get(call, pool),
        ("HEAD", [pool]) => pool::exists(call, pool),
        ("DELETE", [pool]) => pool::delete(call, pool).await,
        ("PATCH", [pool]) => pool_change::patch(call, pool).await,
        ("POST", [pool, "updateproperties"]) => pool_change::update_properties(call, pool).await,
        ("POST", [pool, "upgradeos"]) => pool_change::upgrade_os(call, pool).await,
        ("POST", [pool, "resize"]) => pool_size::resize(call, pool).await,
        ("POST", [pool, "stopresize"]) => pool_size::stop_resize(call, pool).await,
        ("POST", [pool, "removenodes"]) => pool_size::remove_nodes(call, pool).await,
        ("POST", [pool, "enableautoscale"]) => autoscale::enable(call, pool).await,
        ("POST", [pool, "disableautoscale"]) => autoscale::disable(call, pool).await,
        ("POST", [pool, "evaluateautoscale"]) => autoscale::evaluate(call, pool),

        ("GET", [pool, "nodes"]) => node::list(call, pool),
        ("GET", [pool, "nodes", node]) => node::get(call, pool, node),
        ("POST", [pool, "nodes", node, "users"]) => node_user::add(call, pool, node).await,
        ("PUT", [pool, "nodes", node, "users", user]) => {
            node_user::update(call, pool, node, user).await
        }
        ("DELETE", [pool, "nodes", node, "users", user]) => {
            node_user::delete(call, pool, node, user).await
        }
        ("POST", [pool, "nodes", node, "uploadbatchservicelogs"]) => {
            node_log::upload(call, pool, node).await
        }
        ("GET", [pool, "nodes", node, "remoteloginsettings"]) => {
            node_login::remote_login_settings(call, pool, node)
        }
        ("GET", [pool, "nodes", node, "rdp"]) => node_login::remote_desktop(call, pool, node),
        ("GET", [pool, "nodes", node, "extensions"]) => node_extension::list(call, pool, node),
        ("GET", [pool, "nodes", node, "extensions", extension]) => {
            node_extension::get(call, pool, node, extension)
        }
        ("POST", [pool, "nodes", node, action]) => act(call, pool, node, action).await,
        ("GET", [pool, "nodes", node, "files"]) => file::list_of_node(call, pool, node).await,
        (verb @ ("GET" | "HEAD" | "DELETE"), [pool, "nodes", node, "files", path @ ..]) => {
            file::of_node(call, verb, pool, node, path).await
        }

        _ => Err(call.not_offered()),
    }
}

/// What is done with a node.
async fn act(call: &Call, pool: &str, node: &str, action: &str) -> Result<Answer, Refusal> {
    match action {
        "reboot" => node_action::reboot(call, pool, node).await,
        "reimage" => node_action::reimage(call, pool, node).await,
        "deallocate" => node_action::deallocate(call, pool, node).await,
        "start" => node_action::start(call, pool, node).await,
        "disablescheduling" => node_action::disable_scheduling(call, pool, node).await,
        "enablescheduling" => node_action::enable_scheduling(call, pool, node).await,
        _ => Err(call.not_offered()),
    }
}

/// Operations on certificates, which are named within a segment of the path.
async fn certificates(call: &Call, verb: &str, path: &[&str]) -> Result<Answer, Refusal> {
    match (verb, path) {
        ("POST", ["certificates"]) => certificate::add(call).await,
        ("GET", ["certificates"]) => certificate::list(call),
        ("GET", [named]) => certificate::get(call, named),
        ("DELETE", [named]) => certificate::delete(call, named).await,
        ("POST", [named, "canceldelete"]) => certificate::cancel_deletion(call, named).await,
        _ => Err(call.not_offered()),
    }
}

/// Kiln's own operations: what Azure does in its management plane, and what it has not.
async fn own(call: &Call, verb: &str, path: &[&str]) -> Result<Answer, Refusal> {
    match (verb, path) {
        ("POST", ["pools", pool, "nodes", node, "preempt"]) => {
            node_action::preempt(call, pool, node).await
        }
        ("GET", ["jobs", job, "tasks", task, "explanation"]) => explanation::get(call, job, task),
        ("POST", ["jobs", job, "tasks", task, "shell"]) => shell::open(call, job, task),
        ("GET", ["applications"]) => package::applications(call),
        ("PUT", ["applications", id]) => package::put_application(call, id).await,
        ("PATCH", ["applications", id]) => package::update_application(call, id).await,
        ("DELETE", ["applications", id]) => package::delete_application(call, id).await,
        ("PUT", ["applications", id, "versions", version]) => package::put(call, id, version).await,
        ("GET", ["applications", id, "versions", version]) => package::get(call, id, version),
        ("DELETE", ["applications", id, "versions", version]) => {
            package::delete(call, id, version).await
        }
        ("POST", ["applications", id, "versions", version, "activate"]) => {
            package::activate(call, id, version).await
        }
        _ => Err(call.not_offered()),
    }
}
