//! What clients were told.

use std::collections::BTreeMap;

/// Whether clients know that something is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Known {
    /// It may be there or not: something is under way.
    #[default]
    Open,
    There,
    Gone,
}

/// What clients were told.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    /// Whether the nodes of the pool find each other.
    pub(crate) is_connected: bool,
    pub(crate) pools: BTreeMap<String, Known>,
    pub(crate) jobs: BTreeMap<String, ExpectedJob>,
    pub(crate) schedules: BTreeMap<String, Known>,
}

#[derive(Debug, Default)]
pub(crate) struct ExpectedJob {
    pub(crate) known: Known,
    pub(crate) tasks: BTreeMap<String, ExpectedTask>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct ExpectedTask {
    pub(crate) known: Known,
    /// Whether it was ended by a client, who was told so.
    pub(crate) is_ended: bool,
    /// Whether a client asked for it to run once more, or may have.
    pub(crate) may_run_again: bool,
    /// The tasks that it waits for.
    pub(crate) depends_on: Vec<String>,
}

impl Expected {
    pub(crate) fn job(&mut self, job: &str) -> &mut ExpectedJob {
        self.jobs.entry(job.to_owned()).or_default()
    }

    pub(crate) fn task(&mut self, job: &str, task: &str) -> &mut ExpectedTask {
        self.job(job).tasks.entry(task.to_owned()).or_default()
    }

    /// The job is being removed, or made anew, with all its tasks.
    pub(crate) fn open_job(&mut self, job: &str) {
        let job = self.job(job);
        job.known = Known::Open;
        job.tasks.clear();
    }
}
