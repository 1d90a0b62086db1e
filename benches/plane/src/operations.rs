//! Single operations on a job, and how long they take.

use serde_json::{Value, json};

use crate::client::Client;
use crate::{clock, tasks};

/// How long an operation takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timed {
    pub(crate) name: &'static str,
    pub(crate) median_ms: f64,
}

/// What is asked, some times, each time of another task.
struct Operation {
    name: &'static str,
    n_times: usize,
    status: u16,
    /// The verb, the path, the query and the body; of the job's path, the number of its tasks and
    /// how often it was asked.
    request: fn(&str, usize, usize) -> Request,
}

struct Request {
    verb: &'static str,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
}

fn get(path: String, query: &[(&'static str, &str)]) -> Request {
    let query = query.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Request { verb: "GET", path, query, body: None }
}

fn change(verb: &'static str, path: String, body: Option<Value>) -> Request {
    Request { verb, path, query: Vec::new(), body }
}

/// One of the tasks that wait, of the last tenth.
fn waiting(job: &str, n_tasks: usize, at: usize) -> String {
    format!("{job}/tasks/task-{:07}", n_tasks - n_tasks / 10 + at)
}

/// A page of so many tasks that there are everywhere.
const PAGE: &str = "40";

const ALL: [Operation; 15] = [
    Operation {
        name: "list, the first 1,000",
        n_times: 9,
        status: 200,
        request: |job, _, _| get(format!("{job}/tasks"), &[]),
    },
    Operation {
        name: "list, 1,000 ids and states",
        n_times: 9,
        status: 200,
        request: |job, _, _| get(format!("{job}/tasks"), &[("$select", "id,state")]),
    },
    Operation {
        name: "list, 40 from the middle",
        n_times: 21,
        status: 200,
        request: |job, n_tasks, _| {
            let filter = format!("id ge 'task-{:07}'", n_tasks / 2);
            get(format!("{job}/tasks"), &[("$filter", &filter), ("maxresults", PAGE)])
        },
    },
    Operation {
        name: "list, 40 that wait",
        n_times: 21,
        status: 200,
        request: |job, _, _| {
            let filter = ("$filter", "state eq 'active'");
            get(format!("{job}/tasks"), &[filter, ("maxresults", PAGE)])
        },
    },
    Operation {
        name: "list, 40 that run",
        n_times: 21,
        status: 200,
        request: |job, _, _| {
            let filter = ("$filter", "state eq 'running'");
            get(format!("{job}/tasks"), &[filter, ("maxresults", PAGE)])
        },
    },
    Operation {
        name: "list, 40 that completed",
        n_times: 21,
        status: 200,
        request: |job, _, _| {
            let filter = ("$filter", "state eq 'completed'");
            get(format!("{job}/tasks"), &[filter, ("maxresults", PAGE)])
        },
    },
    Operation {
        name: "list, those that failed (none)",
        n_times: 21,
        status: 200,
        request: |job, _, _| {
            let filter = "executionInfo/result eq 'failure'";
            get(format!("{job}/tasks"), &[("$filter", filter)])
        },
    },
    Operation {
        name: "task counts",
        n_times: 51,
        status: 200,
        request: |job, _, _| get(format!("{job}/taskcounts"), &[]),
    },
    Operation {
        name: "get a task",
        n_times: 51,
        status: 200,
        request: |job, n_tasks, at| get(waiting(job, n_tasks, at), &[]),
    },
    Operation {
        name: "get the job",
        n_times: 51,
        status: 200,
        request: |job, _, _| get(job.to_owned(), &[]),
    },
    Operation {
        name: "add a task",
        n_times: 51,
        status: 201,
        request: |job, n_tasks, at| {
            let body = serde_json::from_str(&tasks::task(n_tasks + at, "hold"));
            change("POST", format!("{job}/tasks"), body.ok())
        },
    },
    Operation {
        name: "add 100 tasks",
        n_times: 21,
        status: 200,
        request: |job, n_tasks, at| {
            let first = n_tasks + 100 * (at + 1);
            let tasks = (first..first + 100).map(|it| tasks::task(it, "hold"));
            let tasks: Vec<Value> = tasks.filter_map(|it| serde_json::from_str(&it).ok()).collect();
            change("POST", format!("{job}/addtaskcollection"), Some(json!({ "value": tasks })))
        },
    },
    Operation {
        name: "update a task",
        n_times: 51,
        status: 200,
        request: |job, n_tasks, at| {
            let body = json!({ "constraints": { "maxTaskRetryCount": 1 } });
            change("PUT", waiting(job, n_tasks, at), Some(body))
        },
    },
    Operation {
        name: "terminate a task that waits",
        n_times: 40,
        status: 204,
        request: |job, n_tasks, at| {
            change("POST", format!("{}/terminate", waiting(job, n_tasks, at)), None)
        },
    },
    Operation {
        name: "delete a task that waits",
        n_times: 40,
        status: 200,
        request: |job, n_tasks, at| change("DELETE", waiting(job, n_tasks, 40 + at), None),
    },
];

/// Times each operation on a job.
pub(crate) async fn all(
    client: &mut Client,
    job: &str,
    n_tasks: usize,
) -> Result<Vec<Timed>, String> {
    let job = format!("/jobs/{job}");
    let mut timed = Vec::new();
    for Operation { name, n_times, status, request } in ALL {
        let mut all = Vec::new();
        for at in 0..n_times {
            let Request { verb, path, query, body } = request(&job, n_tasks, at);
            let query: Vec<_> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let begun_at = clock::now();
            client.ask((verb, &path), &query, body.as_ref(), status).await?;
            all.push(clock::milliseconds(begun_at.elapsed()));
        }
        timed.push(Timed { name, median_ms: clock::median(&mut all) });
    }
    Ok(timed)
}

/// Adds one task.
pub(crate) async fn add_one(client: &mut Client, job: &str, number: usize) -> Result<(), String> {
    let body = serde_json::from_str(&tasks::task(number, "end"));
    let body: Value = body.map_err(|cause| cause.to_string())?;
    let path = format!("/jobs/{job}/tasks");
    client.ask(("POST", &path), &[], Some(&body), 201).await.map(drop)
}
