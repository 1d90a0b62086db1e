//! Subtasks: list.

use kiln_wire::batch::error::Refusal;
use kiln_wire::batch::subtask::trees;
use kiln_wire::batch::{Shape, metadata};

use super::answer::Answer;
use super::call::Call;
use super::page::Page;

/// `GET /jobs/J/tasks/T/subtasksinfo`.
pub(super) fn list(call: &Call, job_id: &str, task_id: &str) -> Result<Answer, Refusal> {
    let (job, task) =
        call.server.store.read(|view| super::task::find(view, &call.account, job_id, task_id))?;
    let subtasks = trees(&task, &job.id, &call.base_url);
    Page::of(call, Shape::Subtask, None)?.cut(metadata::SUBTASKS, subtasks)
}
