//! The states that schedules are to reach.

use kiln_domain::batch::job::JobState;
use kiln_domain::batch::job_schedule::JobScheduleState;
use kiln_domain::batch::node::NodeState;
use kiln_domain::batch::pool::{AllocationState, PoolState};
use kiln_domain::batch::preparation;
use kiln_domain::batch::task::TaskState;

/// Every state of tasks, jobs, job schedules, pools, nodes, and of nodes to jobs.
pub fn all_states() -> Vec<String> {
    use {
        AllocationState as A, JobScheduleState as S, JobState as J, PoolState as P, TaskState as T,
        preparation::State as N,
    };
    let tasks = [T::Active, T::Preparing, T::Running, T::Completed].map(task);
    let jobs = [
        J::Active,
        J::Disabling,
        J::Disabled,
        J::Enabling,
        J::Terminating,
        J::Completed,
        J::Deleting,
    ]
    .map(job);
    let schedules =
        [S::Active, S::Completed, S::Disabled, S::Terminating, S::Deleting].map(job_schedule);
    let pools = [P::Active, P::Deleting].map(pool);
    let allocations = [A::Steady, A::Resizing, A::Stopping].map(allocation);
    let nodes = NodeState::ALL.map(node);
    let preparations =
        [N::Due, N::Preparing, N::Prepared, N::Failed, N::Releasing, N::Done].map(preparation);
    [&tasks[..], &jobs, &schedules, &pools, &allocations, &nodes, &preparations].concat()
}

pub(super) fn task(state: TaskState) -> String {
    format!("task {state:?}")
}

pub(super) fn job(state: JobState) -> String {
    format!("job {state:?}")
}

pub(super) fn job_schedule(state: JobScheduleState) -> String {
    format!("job schedule {state:?}")
}

pub(super) fn pool(state: PoolState) -> String {
    format!("pool {state:?}")
}

pub(super) fn allocation(state: AllocationState) -> String {
    format!("allocation {state:?}")
}

pub(super) fn node(state: NodeState) -> String {
    format!("node {state:?}")
}

pub(super) fn preparation(state: preparation::State) -> String {
    format!("preparation {state:?}")
}
