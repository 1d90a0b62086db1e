//! What the state was before, and where it may go from there.

use std::collections::BTreeMap;

use kiln_domain::batch::job::{Job, JobState};
use kiln_domain::batch::task::{Task, TaskLife, TaskState};

/// What the state was before: of each task, by job and sequence.
#[derive(Debug, Default)]
pub(super) struct Shadow(BTreeMap<(i64, i64), TaskLife>);

impl Shadow {
    /// Holds a task against what it was, and remembers what it is.
    pub(super) fn check(&mut self, task: &Task, may_run_again: bool) -> Result<(), String> {
        let life = &task.life;
        if let Some((before, _)) = life.previous
            && !ways_of_task(before).contains(&life.state)
        {
            return Err(format!("it went from {before:?} to {:?}", life.state));
        }
        let before = self.0.insert((task.job_key, task.sequence), life.clone());
        let Some(before) = before else { return Ok(()) };
        if life.attempt < before.attempt {
            return Err(format!("attempt {} comes after {}", life.attempt, before.attempt));
        }
        let end = |life: &TaskLife| {
            let code = life.failure.as_ref().map(|failure| failure.code.clone());
            (life.state, life.attempt, life.exit_code, life.ended_at, code)
        };
        if before.state == TaskState::Completed && !may_run_again && end(&before) != end(life) {
            return Err(format!("its end changed from {:?} to {:?}", end(&before), end(life)));
        }
        Ok(())
    }
}

/// Where a task may go.
fn ways_of_task(from: TaskState) -> &'static [TaskState] {
    use TaskState as S;
    match from {
        S::Active => &[S::Preparing, S::Running, S::Completed],
        S::Preparing => &[S::Running, S::Active, S::Completed],
        S::Running => &[S::Active, S::Completed],
        S::Completed => &[S::Active],
    }
}

/// Whether a job may be where it is.
pub(super) fn check_job(job: &Job) -> Result<(), String> {
    use JobState as S;
    let Some((before, _)) = job.life.previous else { return Ok(()) };
    let ways: &[JobState] = match before {
        S::Active => &[S::Disabling, S::Terminating, S::Completed, S::Deleting],
        S::Disabling => &[S::Disabled, S::Terminating, S::Completed, S::Deleting],
        S::Disabled => &[S::Disabling, S::Enabling, S::Terminating, S::Completed, S::Deleting],
        S::Enabling => &[S::Active, S::Terminating, S::Completed, S::Deleting],
        S::Terminating => &[S::Completed, S::Deleting],
        S::Completed => &[S::Deleting],
        S::Deleting => &[],
    };
    if ways.contains(&job.life.state) {
        Ok(())
    } else {
        Err(format!("job {} went from {before:?} to {:?}", job.id, job.life.state))
    }
}
