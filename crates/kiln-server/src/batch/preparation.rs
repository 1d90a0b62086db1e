//! Preparation and release of the nodes of a job: their status.

use kiln_domain::rejection::Rejection;
use kiln_wire::batch::error::Refusal;
use kiln_wire::batch::odata::List;
use kiln_wire::batch::preparation::tree;
use kiln_wire::batch::{Shape, metadata};

use super::answer::Answer;
use super::call::Call;
use super::error::OpError;
use super::page::Page;
use crate::kept;

/// `GET /jobs/J/jobpreparationandreleasetaskstatus`.
pub(super) fn list(call: &Call, job_id: &str) -> Result<Answer, Refusal> {
    let store = &call.server.store;
    let job = store.read(|view| super::job::find(view, &call.account, job_id))?;
    let spec = kept::job_spec(&job).map_err(OpError::Store)?;
    let Some(preparation) = spec.job_preparation_task else {
        return Err(Rejection::JobHasNoPreparationOrRelease { job: job.id }.into());
    };
    let release_id = spec.job_release_task.map(|release| release.id);
    let page =
        Page::of(call, Shape::JobPreparationAndReleaseStatus, Some(List::PreparationAndRelease))?;
    page.collect(metadata::PREPARATION_AND_RELEASE, |after, limit| {
        let nodes = store.read(|view| view.preparations_after(job.key, after, limit));
        let nodes = nodes.map_err(OpError::Store)?;
        let shown = nodes.into_iter().map(|node| {
            let release_id = release_id.as_deref();
            let tree = tree(&node, &job.id, &preparation.id, release_id, &call.base_url);
            (node.node_id, tree)
        });
        Ok(shown.collect())
    })
}
