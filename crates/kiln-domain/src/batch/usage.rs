//! What runs of tasks took of their nodes, and the sums that become statistics.
//!
//! A task's life carries what its runs took so far. A job's statistics are kept as sums: each
//! change of a task's life adds the difference that [`Tally::between`] finds.

use serde::{Deserialize, Serialize};

use super::task::{TaskLife, TaskState};
use crate::span::Span;
use crate::time::Timestamp;

/// What one run of a task took of its node, as its agent measured it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    /// CPU time in user mode, of all its processes and cores.
    pub user_cpu: Span,
    /// CPU time in the kernel, of all its processes and cores.
    pub kernel_cpu: Span,
    /// Time from its start, fetching of files included, to its end.
    pub wall_clock: Span,
    /// Read operations on disks.
    pub read_ops: u64,
    /// Write operations on disks.
    pub write_ops: u64,
    /// Bytes read from disks.
    pub read_bytes: u64,
    /// Bytes written to disks.
    pub write_bytes: u64,
    /// Bytes of memory that it held at the most at once.
    pub peak_memory_bytes: u64,
}

/// What the runs of a task took so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskUsage {
    /// The latest run that is counted: a report of it that comes again is not.
    pub attempt: u32,
    /// When that run was counted.
    pub counted_at: Timestamp,
    /// The sum over the runs; of memory, the most that one of them held.
    pub sum: Usage,
}

/// What changed in the statistics of a job, or what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// CPU time in user mode.
    pub user_cpu: Span,
    /// CPU time in the kernel.
    pub kernel_cpu: Span,
    /// Time of runs.
    pub wall_clock: Span,
    /// Time that completed tasks waited for the run that completed them.
    pub wait: Span,
    /// Read operations on disks.
    pub read_ops: i64,
    /// Write operations on disks.
    pub write_ops: i64,
    /// Bytes read from disks.
    pub read_bytes: i64,
    /// Bytes written to disks.
    pub write_bytes: i64,
    /// Tasks that completed without failure.
    pub succeeded: i64,
    /// Tasks that completed with a failure.
    pub failed: i64,
    /// Runs after failed ones.
    pub retries: i64,
}

impl Usage {
    /// What a run took of which nothing is known but its length.
    pub fn of_length(wall_clock: Span) -> Self {
        Self { wall_clock, ..Self::default() }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            user_cpu: self.user_cpu.plus(other.user_cpu),
            kernel_cpu: self.kernel_cpu.plus(other.kernel_cpu),
            wall_clock: self.wall_clock.plus(other.wall_clock),
            read_ops: self.read_ops.saturating_add(other.read_ops),
            write_ops: self.write_ops.saturating_add(other.write_ops),
            read_bytes: self.read_bytes.saturating_add(other.read_bytes),
            write_bytes: self.write_bytes.saturating_add(other.write_bytes),
            peak_memory_bytes: self.peak_memory_bytes.max(other.peak_memory_bytes),
        }
    }
}

impl TaskLife {
    /// The same life with the usage of one of its runs counted; `None` when it is already.
    pub fn with_usage(&self, attempt: u32, usage: Usage, now: Timestamp) -> Option<Self> {
        let so_far = match self.usage {
            Some(counted) if counted.attempt >= attempt => return None,
            Some(counted) => counted.sum,
            None => Usage::default(),
        };
        let sum = so_far.plus(usage);
        Some(Self { usage: Some(TaskUsage { attempt, counted_at: now, sum }), ..self.clone() })
    }

    /// Time from its creation to the start of its latest run.
    pub fn waited(&self) -> Span {
        self.started_at.map_or(Span::ZERO, |started| started.span_since(self.created_at))
    }
}

impl Tally {
    /// What it adds to the statistics of its job that a task's life went on so.
    pub fn between(before: &TaskLife, after: &TaskLife) -> Self {
        let mut tally = Self::of(after).minus(Self::of(before));
        // A task that is reactivated counts its retries from nothing; those it took stay.
        tally.retries = tally.retries.max(0);
        tally
    }

    /// What a task in this life adds to the statistics of its job.
    fn of(life: &TaskLife) -> Self {
        let sum = life.usage.map_or_else(Usage::default, |usage| usage.sum);
        let is_completed = life.state == TaskState::Completed;
        Self {
            user_cpu: sum.user_cpu,
            kernel_cpu: sum.kernel_cpu,
            wall_clock: sum.wall_clock,
            wait: if is_completed { life.waited() } else { Span::ZERO },
            read_ops: signed(sum.read_ops),
            write_ops: signed(sum.write_ops),
            read_bytes: signed(sum.read_bytes),
            write_bytes: signed(sum.write_bytes),
            succeeded: i64::from(is_completed && life.failure.is_none()),
            failed: i64::from(is_completed && life.failure.is_some()),
            retries: i64::from(life.retry_count),
        }
    }

    /// Whether it changes nothing.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            user_cpu: self.user_cpu.plus(other.user_cpu),
            kernel_cpu: self.kernel_cpu.plus(other.kernel_cpu),
            wall_clock: self.wall_clock.plus(other.wall_clock),
            wait: self.wait.plus(other.wait),
            read_ops: self.read_ops.saturating_add(other.read_ops),
            write_ops: self.write_ops.saturating_add(other.write_ops),
            read_bytes: self.read_bytes.saturating_add(other.read_bytes),
            write_bytes: self.write_bytes.saturating_add(other.write_bytes),
            succeeded: self.succeeded.saturating_add(other.succeeded),
            failed: self.failed.saturating_add(other.failed),
            retries: self.retries.saturating_add(other.retries),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            user_cpu: self.user_cpu.minus(other.user_cpu),
            kernel_cpu: self.kernel_cpu.minus(other.kernel_cpu),
            wall_clock: self.wall_clock.minus(other.wall_clock),
            wait: self.wait.minus(other.wait),
            read_ops: self.read_ops.saturating_sub(other.read_ops),
            write_ops: self.write_ops.saturating_sub(other.write_ops),
            read_bytes: self.read_bytes.saturating_sub(other.read_bytes),
            write_bytes: self.write_bytes.saturating_sub(other.write_bytes),
            succeeded: self.succeeded.saturating_sub(other.succeeded),
            failed: self.failed.saturating_sub(other.failed),
            retries: self.retries.saturating_sub(other.retries),
        }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Tally, Usage};
    use crate::batch::needs::TaskNeeds;
    use crate::batch::task::{Outcome, Place, Task, TaskFact, TaskLife, step};
    use crate::batch::ties::Ties;
    use crate::span::Span;
    use crate::time::Timestamp;

    fn at(second: i64) -> Timestamp {
        Timestamp(0).plus(Span::seconds(second))
    }

    fn took(seconds: i64) -> Usage {
        Usage { user_cpu: Span::seconds(seconds), read_bytes: 100, ..Usage::default() }
    }

    /// A task that retries once goes through the facts, one each second, and its runs' usages
    /// are counted as they end; tells the sum of what its job's statistics gained.
    #[track_caller]
    fn check(facts: &[TaskFact], expected: &str) {
        let life = TaskLife::new(1, at(0));
        let (job_key, sequence, needs) = (1, 1, TaskNeeds::slots(1));
        let (id, document) = ("t".to_owned(), "{}".to_owned());
        let (ties, n_unmet) = (Ties::default(), 0);
        let mut task = Task { job_key, id, sequence, needs, ties, n_unmet, document, life };
        let mut sum = Tally::default();
        for (second, fact) in (1..).zip(facts) {
            let is_end = matches!(fact, TaskFact::Ended(_));
            let Ok(mut life) = step(&task, fact.clone(), at(second)) else { continue };
            if is_end {
                let counted = life.with_usage(life.attempt, took(10), at(second));
                life = counted.expect("counted for the first time");
            }
            sum = sum.plus(Tally::between(&task.life, &life));
            task.life = life;
        }
        let Tally { succeeded, failed, retries, user_cpu, wait, read_bytes, .. } = sum;
        let said =
            format!("{succeeded}s {failed}f {retries}r {user_cpu} waited {wait} {read_bytes}B");
        assert_eq!(said, expected);
    }

    #[test]
    fn statistics_of_a_job_are_sums_over_its_tasks() {
        use TaskFact as F;
        let run = || F::Assigned(Place { pool_id: "p".to_owned(), node_id: "n".to_owned() });
        let exits = |exit_code| F::Ended(Outcome::Exited { exit_code });
        check(&[], "0s 0f 0r PT0S waited PT0S 0B");
        check(&[run()], "0s 0f 0r PT0S waited PT0S 0B");
        check(&[run(), exits(0)], "1s 0f 0r PT10S waited PT1S 100B");
        check(&[run(), exits(1), run(), exits(0)], "1s 0f 1r PT20S waited PT3S 200B");
        check(&[run(), exits(1), run(), exits(1)], "0s 1f 1r PT20S waited PT3S 200B");
        check(&[F::Terminated], "0s 1f 0r PT0S waited PT0S 0B");
        check(
            &[run(), exits(1), run(), exits(1), F::Reactivated, run(), exits(0)],
            "1s 0f 1r PT30S waited PT6S 300B",
        );
    }

    #[test]
    fn a_run_is_counted_once() {
        let life = TaskLife::new(0, at(0));
        let once = life.with_usage(1, took(1), at(1)).expect("counted");
        assert_eq!(once.with_usage(1, took(1), at(2)), None);
        let twice = once.with_usage(3, took(5), at(3)).expect("counted");
        assert_eq!(twice.usage.map(|it| it.sum.user_cpu), Some(Span::seconds(6)));
        assert_eq!(twice.with_usage(2, took(1), at(4)), None, "later runs were counted");
    }
}
