//! Files of tasks and nodes: list, get, properties, delete.

use std::sync::Arc;

use kiln_domain::batch::task::{Task, TaskState};
use kiln_domain::rejection::Rejection;
use kiln_domain::time::Timestamp;
use kiln_wire::batch::error::Refusal;
use kiln_wire::batch::file::{headers, parse_range, tree};
use kiln_wire::batch::odata::List;
use kiln_wire::batch::{Shape, metadata};
use kiln_wire::node::{FileAnswer, FileInfo, FileRefusal, FileRequest};

use super::answer::Answer;
use super::call::Call;
use super::error::OpError;
use super::page::Page;
use super::{node, task};
use crate::http::ResponseBody;
use crate::kept;
use crate::kept_files;
use crate::link::{self, FileError};

/// Where files are looked for.
struct Root {
    node_id: String,
    /// Directory below the node's root; empty for the root itself.
    directory: String,
    /// URL of the collection of files.
    url: String,
    /// What to say when the node can not be reached.
    unavailable: Rejection,
    /// The task whose files they are: they outlive the node.
    task: Option<Task>,
}

/// `GET /pools/P/nodes/N/files`.
pub(super) async fn list_of_node(call: &Call, pool: &str, node: &str) -> Result<Answer, Refusal> {
    list(call, &root_of_node(call, pool, node)?).await
}

/// `GET`, `HEAD` and `DELETE /pools/P/nodes/N/files/…`.
pub(super) async fn of_node(
    call: &Call,
    verb: &str,
    pool: &str,
    node: &str,
    path: &[&str],
) -> Result<Answer, Refusal> {
    one(call, verb, root_of_node(call, pool, node)?, path).await
}

/// `GET /jobs/J/tasks/T/files`.
pub(super) async fn list_of_task(call: &Call, job: &str, task: &str) -> Result<Answer, Refusal> {
    list(call, &root_of_task(call, job, task)?).await
}

/// `GET`, `HEAD` and `DELETE /jobs/J/tasks/T/files/…`.
pub(super) async fn of_task(
    call: &Call,
    verb: &str,
    job: &str,
    task: &str,
    path: &[&str],
) -> Result<Answer, Refusal> {
    one(call, verb, root_of_task(call, job, task)?, path).await
}

fn root_of_node(call: &Call, pool_id: &str, node_id: &str) -> Result<Root, Refusal> {
    let (pool, node) =
        call.server.store.read(|view| node::find(view, &call.account, pool_id, node_id))?;
    let url = kiln_wire::batch::node::url(&call.base_url, &pool.id, &node.id);
    Ok(Root {
        unavailable: Rejection::NodeFilesUnavailable { node: node.id.clone() },
        node_id: node.id,
        directory: String::new(),
        url: format!("{url}/files"),
        task: None,
    })
}

fn root_of_task(call: &Call, job_id: &str, task_id: &str) -> Result<Root, Refusal> {
    let (job, task) =
        call.server.store.read(|view| task::find(view, &call.account, job_id, task_id))?;
    let Some(place) = task.life.place.clone() else {
        return Err(if task.life.state == TaskState::Completed {
            Rejection::TaskFilesUnavailable { task: task.id }.into()
        } else {
            Rejection::TaskNotStarted { task: task.id }.into()
        });
    };
    let constraints = kept::task_spec(&task).map_err(OpError::Store)?.constraints;
    let kept_until = task.life.keeps_files_until(&place.node_id, &constraints);
    let unavailable = if kept_until.is_some_and(|end| end <= call.now) {
        Rejection::TaskFilesCleanedUp { task: task.id.clone() }
    } else {
        Rejection::TaskFilesUnavailable { task: task.id.clone() }
    };
    let url = kiln_wire::batch::task::url(&call.base_url, &job.id, &task.id);
    Ok(Root {
        node_id: place.node_id,
        directory: kiln_wire::batch::task::directory(&job.id, &task.id),
        url: format!("{url}/files"),
        unavailable,
        task: Some(task),
    })
}

/// Asks the node of the files, or where they are kept when it is gone.
async fn ask(call: &Call, root: &Root, request: FileRequest) -> Result<FileAnswer, Refusal> {
    let path = request.path().to_owned();
    let relative = path.strip_prefix(&root.directory).unwrap_or(&path).trim_start_matches('/');
    let answer = call.server.links.ask(&root.node_id, request.clone()).await;
    let answer = match kept_instead(call, root, answer.as_ref().err())? {
        Some(key) => kept_files::ask(&call.server, key, request).await,
        None => answer,
    };
    answer.map_err(|error| refusal(error, root, relative))
}

/// Where files are kept that their node does not have, or that is not there to ask.
fn kept_instead(
    call: &Call,
    root: &Root,
    error: Option<&FileError>,
) -> Result<Option<i64>, Refusal> {
    let is_away =
        matches!(error, Some(FileError::Unreachable | FileError::Refused(FileRefusal::NotFound)));
    match root.task.as_ref().filter(|_| is_away) {
        Some(task) => {
            let kept = kept_files::find(&call.server, task, &root.directory);
            Ok(kept.map_err(OpError::Store)?)
        }
        None => Ok(None),
    }
}

async fn list(call: &Call, root: &Root) -> Result<Answer, Refusal> {
    let page = Page::of(call, Shape::NodeFile, Some(List::Files))?;
    let recursive = call.flag("recursive");
    let request = FileRequest::List { path: root.directory.clone(), recursive };
    let files = match ask(call, root, request).await? {
        FileAnswer::List { files } => files,
        FileAnswer::Stat { .. } | FileAnswer::Bytes { .. } | FileAnswer::Removed => Vec::new(),
    };
    let items = files.iter().map(|info| tree(info, &root.url)).collect();
    page.cut(metadata::FILES, items)
}

async fn one(call: &Call, verb: &str, root: Root, path: &[&str]) -> Result<Answer, Refusal> {
    let relative = path.join("/");
    let full = [root.directory.as_str(), &relative]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("/");
    match verb {
        "HEAD" => properties(call, &root, full, &relative).await,
        "DELETE" => delete(call, &root, full).await,
        _ => get(call, &root, full, &relative).await,
    }
}

async fn properties(call: &Call, root: &Root, full: String, path: &str) -> Result<Answer, Refusal> {
    match ask(call, root, FileRequest::Stat { path: full }).await? {
        FileAnswer::Stat { info } => {
            check_dates(call, &info)?;
            let answer = with_headers(Answer::new(200), root, path, &info);
            Ok(answer.body(ResponseBody::HeadOnly { length: info.length_bytes }))
        }
        FileAnswer::List { .. } | FileAnswer::Bytes { .. } | FileAnswer::Removed => {
            Err(Refusal::internal_error())
        }
    }
}

async fn get(call: &Call, root: &Root, full: String, path: &str) -> Result<Answer, Refusal> {
    let range = call.header("ocp-range").and_then(parse_range);
    let (first, last) = range.unwrap_or((0, None));
    let server = Arc::clone(&call.server);
    let node_id = root.node_id.clone();
    let opened = link::open_file(server, node_id, full.clone(), first, last).await;
    let opened = match kept_instead(call, root, opened.as_ref().err())? {
        Some(key) => kept_files::open(&call.server, key, full, (first, last)).await,
        None => opened,
    };
    let (info, length, stream) = match opened {
        Ok(opened) => opened,
        // Every file may be read from its start, also an empty one.
        Err(FileError::Refused(FileRefusal::OutOfRange { length_bytes: 0 })) if first == 0 => {
            return properties_of_empty(call, root, path).await;
        }
        Err(error) => return Err(refusal(error, root, path)),
    };
    check_dates(call, &info)?;
    // 200 also for a part of the file: clients take no other code.
    let answer = with_headers(Answer::new(200), root, path, &info);
    Ok(answer.body(ResponseBody::Stream { length: Some(length), stream }))
}

async fn properties_of_empty(call: &Call, root: &Root, path: &str) -> Result<Answer, Refusal> {
    let full = [root.directory.as_str(), path].join("/");
    let full = full.trim_start_matches('/').to_owned();
    let answer = properties(call, root, full, path).await?;
    Ok(answer.body(ResponseBody::Bytes(bytes::Bytes::new())))
}

async fn delete(call: &Call, root: &Root, full: String) -> Result<Answer, Refusal> {
    let recursive = call.flag("recursive");
    let request = FileRequest::Remove { path: full, recursive };
    ask(call, root, request).await?;
    Ok(Answer::new(200))
}

fn with_headers(answer: Answer, root: &Root, path: &str, info: &FileInfo) -> Answer {
    let url = format!("{}/{path}", root.url);
    headers(info, &url).into_iter().fold(answer, |answer, (name, value)| answer.header(name, value))
}

/// Files know only the conditions on dates.
fn check_dates(call: &Call, info: &FileInfo) -> Result<(), Refusal> {
    let date = |name| call.header(name).and_then(Timestamp::parse_rfc1123);
    let last_modified = info.modified_at;
    let seconds = last_modified.truncated_to_seconds();
    if date("if-unmodified-since").is_some_and(|at| seconds > at) {
        return Err(Rejection::ConditionNotMet { last_modified }.into());
    }
    if date("if-modified-since").is_some_and(|at| seconds <= at) {
        return Err(Rejection::NotModified { last_modified }.into());
    }
    Ok(())
}

fn refusal(error: FileError, root: &Root, path: &str) -> Refusal {
    let path = path.to_owned();
    match error {
        FileError::Unreachable => root.unavailable.clone().into(),
        FileError::Timeout => Refusal::operation_timed_out(),
        FileError::Refused(refused) => match refused {
            FileRefusal::NotFound if path.is_empty() => root.unavailable.clone().into(),
            FileRefusal::NotFound | FileRefusal::Outside => Rejection::FileNotFound { path }.into(),
            FileRefusal::OutOfRange { length_bytes } => {
                let range = format!("{length_bytes} bytes");
                Rejection::RangeInvalid { path, range }.into()
            }
            FileRefusal::IsDirectory => Rejection::FileIsDirectory { path }.into(),
            FileRefusal::NotEmpty => Rejection::DirectoryNotEmpty { path }.into(),
            FileRefusal::Failed { message } => {
                let failed = OpError::Store(kiln_store::StoreError::Commit(message));
                failed.into()
            }
        },
    }
}
