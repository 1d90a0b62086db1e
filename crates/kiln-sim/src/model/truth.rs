//! What really happened on nodes.

use std::collections::BTreeMap;

use kiln_domain::batch::task::Task;
use kiln_wire::node::{AttemptId, AttemptKind, Outcome};

/// What really happened on nodes: the ends of attempts, by job and task.
#[derive(Debug, Default)]
pub(super) struct Truth(BTreeMap<(i64, i64), Vec<End>>);

#[derive(Debug)]
struct End {
    attempt: u32,
    /// Whether it is the command of the task itself, and not what an instance runs before.
    is_main: bool,
    node_id: String,
    outcome: Outcome,
}

impl Truth {
    pub(super) fn add(&mut self, id: &AttemptId, node_id: &str, outcome: &Outcome) {
        let is_main = match id.kind {
            AttemptKind::Task => true,
            AttemptKind::Subtask { .. } => false,
            AttemptKind::Preparation | AttemptKind::Release => return,
        };
        let (node_id, outcome) = (node_id.to_owned(), outcome.clone());
        let ends = self.0.entry((id.job_key, id.sequence)).or_default();
        ends.push(End { attempt: id.attempt, is_main, node_id, outcome });
    }

    /// Whether what is known of a task can have come from what happened.
    pub(super) fn check(&self, task: &Task) -> Result<(), String> {
        let none = Vec::new();
        let ends = self.0.get(&(task.job_key, task.sequence)).unwrap_or(&none);
        let life = &task.life;
        if let Some(exit_code) = life.exit_code {
            let place = life.place.as_ref().map(|place| place.node_id.as_str());
            // A coordination command that fails, on whichever node, ends the task.
            let is_its = |end: &End| {
                if end.is_main { Some(end.node_id.as_str()) == place } else { exit_code != 0 }
            };
            let is_so = |end: &End| {
                is_its(end)
                    && end.attempt == life.attempt
                    && end.outcome.exit_code() == Some(exit_code)
            };
            if !ends.iter().any(is_so) {
                return Err(format!("no run ended with {exit_code}: {ends:?}"));
            }
        }
        if life.has_succeeded() && life.exit_code != Some(0) {
            return Err(format!("success with exit code {:?}", life.exit_code));
        }
        let n_failed = ends.iter().filter(|end| end.outcome.failure().is_some()).count();
        if usize::try_from(life.retry_count).is_ok_and(|n_retries| n_retries > n_failed) {
            return Err(format!("{} retries after {n_failed} failures", life.retry_count));
        }
        // Each run of a node here says that it read once.
        let n_counted = life.usage.map_or(0, |usage| usage.sum.read_ops);
        let n_unended = u64::from(life.attempt);
        if n_counted > u64::try_from(ends.len()).unwrap_or(0).min(n_unended) {
            return Err(format!("{n_counted} runs are counted of {ends:?}"));
        }
        Ok(())
    }
}
