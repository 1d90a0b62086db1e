//! What the writer remembers of rows that it reads again and again. Only the writer changes them,
//! so what it remembers is true until an operation is undone; then all is forgotten.

use std::cell::RefCell;
use std::collections::HashMap;

use kiln_domain::batch::task::{Task, TaskLife, TaskState};

use super::node::KnownNodes;

/// Tasks that the writer remembers at the most.
const KNOWN_TASKS_MAX: usize = 16 * 1024;
/// Those of them that never were on a node: what waits must not push out what runs.
const KNOWN_NEW_TASKS_MAX: usize = KNOWN_TASKS_MAX / 2;
/// Bytes of the specification of a task that is remembered; others are read again.
const KNOWN_TASK_BYTES_MAX: usize = 1024;

/// Rows as the writer last read or wrote them.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) nodes: KnownNodes,
    pub(crate) tasks: KnownTasks,
}

impl Known {
    /// An operation was undone.
    pub(crate) fn forget_all(&self) {
        self.nodes.forget_all();
        self.tasks.0.take();
    }
}

/// Tasks that have not completed: each is looked at when it is placed and when it ends.
#[derive(Debug, Default)]
pub(crate) struct KnownTasks(RefCell<Jobs>);

/// Tasks by their jobs and ids, as these are spelled.
#[derive(Debug, Default)]
struct Jobs {
    tasks: HashMap<i64, HashMap<String, Task>>,
    n_tasks: usize,
}

impl KnownTasks {
    pub(super) fn get(&self, job_key: i64, id: &str) -> Option<Task> {
        self.0.borrow().tasks.get(&job_key)?.get(id).cloned()
    }

    /// Remembers a task, if there is room. What one waits for is changed elsewhere than in its
    /// row.
    pub(super) fn insert(&self, task: &Task) {
        let mut known = self.0.borrow_mut();
        let is_new = task.life.attempt == 0;
        let limit = if is_new { KNOWN_NEW_TASKS_MAX } else { KNOWN_TASKS_MAX };
        let is_small = task.document.len() <= KNOWN_TASK_BYTES_MAX;
        let is_over = task.life.state == TaskState::Completed;
        if known.n_tasks >= limit || !is_small || is_over || task.ties.has_dependencies {
            return;
        }
        let tasks = known.tasks.entry(task.job_key).or_default();
        if tasks.insert(task.id.clone(), task.clone()).is_none() {
            known.n_tasks += 1;
        }
    }

    /// Takes over what has become of a task.
    pub(super) fn update(&self, task: &Task, life: &TaskLife) {
        if life.state == TaskState::Completed {
            return self.forget(task.job_key, &task.id);
        }
        let mut known = self.0.borrow_mut();
        let tasks = known.tasks.get_mut(&task.job_key);
        if let Some(known) = tasks.and_then(|tasks| tasks.get_mut(&task.id)) {
            known.life.clone_from(life);
        }
    }

    /// The next look at a task is one at its row.
    pub(super) fn forget(&self, job_key: i64, id: &str) {
        let mut known = self.0.borrow_mut();
        let Some(tasks) = known.tasks.get_mut(&job_key) else { return };
        let is_gone = tasks.remove(id).is_some();
        if tasks.is_empty() {
            known.tasks.remove(&job_key);
        }
        known.n_tasks -= usize::from(is_gone);
    }
}
