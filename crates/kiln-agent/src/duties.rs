//! What a node was told to do: which runs go on, which wait, which are over. Decides, never acts.

use std::collections::BTreeMap;

use kiln_wire::node::{AttemptId, Run};

use crate::past::Past;

/// What a node was told to do; `A` is what its agent keeps of a run that goes on.
#[derive(Debug)]
pub struct Duties<A> {
    boot: u32,
    running: BTreeMap<AttemptId, A>,
    /// Runs whose place is not free yet, or whose node is not ready.
    waiting: Vec<Run>,
    ended: Past,
}

/// What an order to make the node ready means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Booting {
    /// It is being done, or was.
    Known,
    /// It is the first one that this agent hears.
    First,
    /// All that runs ends, and the node is made anew.
    Again,
}

/// What an order to run means.
#[derive(Debug)]
pub enum Running {
    /// It is being done, or was.
    Known,
    /// It may begin, if the node is ready; if not, it is to be put off.
    Due(Box<Run>),
    /// It begins when these have ended, which are to be stopped for it.
    After(Vec<AttemptId>),
}

/// What an order to stop a run means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopping {
    /// It runs, and is to be stopped.
    Running,
    /// It has ended.
    Known,
    /// It will not begin: it has ended, stopped.
    Never,
}

impl<A> Default for Duties<A> {
    fn default() -> Self {
        let (running, ended) = (BTreeMap::new(), Past::default());
        Self { boot: 0, running, waiting: Vec::new(), ended }
    }
}

impl<A> Duties<A> {
    /// The latest start of the node that was ordered.
    pub fn boot(&self) -> u32 {
        self.boot
    }

    /// The node is to be made ready.
    pub fn on_prepare(&mut self, boot: u32) -> Booting {
        if boot <= self.boot {
            return Booting::Known;
        }
        let is_first = std::mem::replace(&mut self.boot, boot) == 0;
        if is_first { Booting::First } else { Booting::Again }
    }

    /// A run is ordered.
    pub fn on_run(&mut self, run: Run) -> Running {
        let id = &run.attempt;
        let waits = self.waiting.iter().any(|waiting| waiting.attempt == *id);
        if waits || self.running.contains_key(id) || self.ended.contains(id) {
            return Running::Known;
        }
        let earlier = self.running.keys().filter(|known| id.comes_after(known));
        let earlier: Vec<AttemptId> = earlier.cloned().collect();
        if earlier.is_empty() {
            return Running::Due(Box::new(run));
        }
        self.waiting.push(run);
        Running::After(earlier)
    }

    /// A run waits until the node is ready.
    pub fn put_off(&mut self, run: Run) {
        self.waiting.push(run);
    }

    /// The node is ready: the runs that waited, to be ordered again.
    pub fn on_ready(&mut self) -> Vec<Run> {
        std::mem::take(&mut self.waiting)
    }

    /// A run goes on from now.
    pub fn begin(&mut self, id: AttemptId, kept: A) {
        self.running.insert(id, kept);
    }

    /// A run is to be stopped.
    pub fn on_stop(&mut self, id: &AttemptId) -> Stopping {
        let n_waiting = self.waiting.len();
        self.waiting.retain(|run| run.attempt != *id);
        if self.running.contains_key(id) {
            Stopping::Running
        } else if self.ended.contains(id) && self.waiting.len() == n_waiting {
            Stopping::Known
        } else {
            Stopping::Never
        }
    }

    /// A run has ended: what was kept of it, and the runs that waited for it, to be ordered
    /// again.
    pub fn end(&mut self, id: &AttemptId) -> (Option<A>, Vec<Run>) {
        let comes_next = |run: &Run| run.attempt.comes_after(id);
        let (next, waiting) =
            std::mem::take(&mut self.waiting).into_iter().partition(|run| comes_next(run));
        self.waiting = waiting;
        self.ended.add(id.clone());
        (self.running.remove(id), next)
    }

    /// All that runs and waits is over: the runs that are to be ended, in order.
    pub fn clear(&mut self) -> Vec<AttemptId> {
        let waiting = std::mem::take(&mut self.waiting).into_iter().map(|run| run.attempt);
        let mut all: Vec<AttemptId> = waiting.chain(self.running.keys().cloned()).collect();
        all.sort();
        all
    }

    /// A run that goes on.
    pub fn running(&self, id: &AttemptId) -> Option<&A> {
        self.running.get(id)
    }

    /// The runs that go on, in order.
    pub fn all_running(&self) -> Vec<AttemptId> {
        self.running.keys().cloned().collect()
    }

    /// Whether nothing runs or waits.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use kiln_domain::batch::task::TaskSpec;
    use kiln_wire::node::{AttemptId, AttemptKind, Run};

    use super::{Booting, Duties, Running, Stopping};

    fn id(attempt: u32) -> AttemptId {
        let kind = AttemptKind::Task;
        AttemptId { job_key: 1, task_id: "t".to_owned(), attempt, kind, sequence: 1 }
    }

    fn run(attempt: u32) -> Run {
        let task = r#"{"id":"t","commandLine":"true"}"#;
        let task: TaskSpec = serde_json::from_str(task).expect("a task");
        let text = serde_json::json!({
            "attempt": id(attempt), "job_id": "j", "directory": "d", "task": task,
        });
        serde_json::from_value(text).expect("a run")
    }

    #[test]
    fn an_order_that_is_repeated_does_nothing() {
        let mut duties = Duties::default();
        assert_eq!([1, 1, 2, 1].map(|boot| duties.on_prepare(boot)), {
            [Booting::First, Booting::Known, Booting::Again, Booting::Known]
        });
        assert!(matches!(duties.on_run(run(1)), Running::Due(_)));
        duties.begin(id(1), ());
        assert!(matches!(duties.on_run(run(1)), Running::Known));
        assert_eq!(duties.on_stop(&id(1)), Stopping::Running);
        let (kept, next) = duties.end(&id(1));
        assert!(kept.is_some() && next.is_empty() && duties.is_idle());
        assert!(matches!(duties.on_run(run(1)), Running::Known));
        assert_eq!(duties.on_stop(&id(1)), Stopping::Known);
        assert_eq!(duties.on_stop(&id(7)), Stopping::Never);
    }

    #[test]
    fn a_later_run_waits_for_the_end_of_the_earlier_one() {
        let mut duties = Duties::default();
        duties.begin(id(1), ());
        assert!(matches!(duties.on_run(run(2)), Running::After(earlier) if earlier == [id(1)]));
        assert!(matches!(duties.on_run(run(2)), Running::Known));
        let (_, next) = duties.end(&id(1));
        assert_eq!(next.into_iter().map(|run| run.attempt).collect::<Vec<_>>(), [id(2)]);
        duties.put_off(run(3));
        assert_eq!(duties.on_stop(&id(3)), Stopping::Never);
        duties.put_off(run(4));
        duties.begin(id(2), ());
        assert_eq!(duties.clear(), [id(2), id(4)]);
        assert_eq!((duties.all_running(), duties.on_ready().len()), (vec![id(2)], 0));
    }
}
