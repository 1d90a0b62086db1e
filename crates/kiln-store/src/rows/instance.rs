//! Nodes of tasks that run on several of them.

use std::collections::BTreeSet;

use kiln_domain::batch::task::{Task, TaskLife};
use rusqlite::params;

use crate::{StoreError, Tx, View};

/// The nodes on which instances of a task run.
fn nodes(life: &TaskLife) -> BTreeSet<&str> {
    let gang = life.gang.iter().filter(|_| life.is_on_nodes());
    gang.flat_map(|gang| gang.instances().map(|(_, it)| it.node_id.as_str())).collect()
}

impl View<'_> {
    /// Tasks with several instances one of which is on a node, also as the primary.
    pub fn gangs_of_node(&self, node_id: &str) -> Result<Vec<Task>, StoreError> {
        let sql = "SELECT job_key, task_id FROM instance INDEXED BY instance_of_node
                   WHERE node_id = ?1";
        let mut statement = self.statement(sql)?;
        let mut rows = statement.query(params![node_id])?;
        let mut tasks = Vec::new();
        while let Some(row) = rows.next()? {
            let task_id: String = row.get(1)?;
            tasks.extend(self.task(row.get(0)?, &task_id)?);
        }
        Ok(tasks)
    }
}

impl Tx<'_> {
    /// Keeps on which nodes a task has instances once it has `life`; `task.life` is how it was
    /// kept before.
    pub(super) fn keep_instances(
        &mut self,
        task: &Task,
        life: Option<&TaskLife>,
    ) -> Result<(), StoreError> {
        let before = nodes(&task.life);
        let after = life.map(nodes).unwrap_or_default();
        let sql = "DELETE FROM instance WHERE job_key = ?1 AND task_id = ?2 AND node_id = ?3";
        for node_id in before.difference(&after) {
            self.statement(sql)?.execute(params![task.job_key, task.id, node_id])?;
        }
        let sql = "INSERT INTO instance (job_key, task_id, node_id) VALUES (?1, ?2, ?3)";
        for node_id in after.difference(&before) {
            self.statement(sql)?.execute(params![task.job_key, task.id, node_id])?;
        }
        Ok(())
    }
}
