//! Nodes of pools.
//!
//! What tasks change of a node's life as they come and leave is a row of its own beside the
//! node's, and is newer than what the life says of it: each task changes it twice, and all else
//! of the node hardly ever changes.

use std::cell::RefCell;
use std::collections::HashMap;

use kiln_domain::batch::node::{Node, NodeLife, NodeState, RecentTask};
use kiln_domain::time::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::life::Json;
use crate::{StoreError, Tx, View};

const COLUMNS: &str = "id, pool_key, life, secret, start_task";
const WORK_COLUMNS: &str = "state, state_at, tasks_running, slots_running, tasks_run,
    tasks_succeeded, recent_tasks";
const FROM_NODE_AND_WORK: &str = "FROM node LEFT JOIN node_work ON node_id = id";

/// Nodes that the writer remembers at the most.
const KNOWN_MAX: usize = 4096;

/// Nodes as the writer last read or wrote them: each task that comes to a node or leaves it looks
/// at the node's row, and only the writer changes it. What an undone operation did is forgotten
/// with all the rest.
#[derive(Debug, Default)]
pub(crate) struct KnownNodes(RefCell<HashMap<String, Node>>);

impl KnownNodes {
    fn get(&self, id: &str) -> Option<Node> {
        self.0.borrow().get(id).cloned()
    }

    fn insert(&self, node: &Node) {
        let mut known = self.0.borrow_mut();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(node.id.clone(), node.clone());
    }

    /// Takes over what has become of a node; whether only tasks changed it.
    fn update(&self, id: &str, life: &NodeLife) -> bool {
        let mut known = self.0.borrow_mut();
        let Some(node) = known.get_mut(id) else { return false };
        let is_by_tasks_only = life.differs_by_tasks_only(&node.life);
        node.life.clone_from(life);
        is_by_tasks_only
    }

    fn forget(&self, id: &str) {
        self.0.borrow_mut().remove(id);
    }

    /// Forgets all: an operation was undone.
    pub(crate) fn forget_all(&self) {
        self.0.borrow_mut().clear();
    }
}

fn from_row(row: &Row<'_>) -> Result<Node, rusqlite::Error> {
    let Json(mut life) = row.get(2)?;
    take_over_work(row, &mut life)?;
    Ok(Node {
        id: row.get(0)?,
        pool_key: row.get(1)?,
        life,
        secret: row.get(3)?,
        start_task: row.get(4)?,
    })
}

/// What tasks changed of a life since it was written, if they did.
fn take_over_work(row: &Row<'_>, life: &mut NodeLife) -> Result<(), rusqlite::Error> {
    let Some(Json(state)) = row.get::<_, Option<Json<NodeState>>>(5)? else { return Ok(()) };
    let Json(recent_tasks) = row.get::<_, Json<Vec<(i64, String)>>>(11)?;
    life.state = state;
    life.state_at = Timestamp(row.get(6)?);
    life.tasks_running = row.get(7)?;
    life.slots_running = row.get(8)?;
    life.tasks_run = row.get(9)?;
    life.tasks_succeeded = row.get(10)?;
    let named = |(job_key, task_id): (i64, String)| RecentTask { job_key, task_id: task_id.into() };
    life.recent_tasks = recent_tasks.into_iter().map(named).collect();
    Ok(())
}

impl View<'_> {
    /// A node by its id.
    pub fn node(&self, id: &str) -> Result<Option<Node>, StoreError> {
        if let Some(node) = self.known.and_then(|known| known.nodes.get(id)) {
            return Ok(Some(node));
        }
        let sql = format!("SELECT {COLUMNS}, {WORK_COLUMNS} {FROM_NODE_AND_WORK} WHERE id = ?1");
        let node = self.statement(&sql)?.query_row(params![id], from_row).optional()?;
        if let (Some(known), Some(node)) = (self.known, &node) {
            known.nodes.insert(node);
        }
        Ok(node)
    }

    /// Nodes of a pool in id order: at most `limit` whose id comes after `after`.
    pub fn nodes_after(
        &self,
        pool_key: i64,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Node>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, {WORK_COLUMNS} {FROM_NODE_AND_WORK}
             WHERE pool_key = ?1 AND id > ?2 ORDER BY id LIMIT ?3"
        );
        let mut statement = self.statement(&sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let nodes = statement.query_map(params![pool_key, after, limit], from_row)?;
        Ok(nodes.collect::<Result<_, _>>()?)
    }

    /// How many nodes of all pools are in which state.
    pub fn nodes_by_state(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let sql = format!(
            "SELECT ifnull(state ->> '$', life ->> 'state'), COUNT(*) {FROM_NODE_AND_WORK} GROUP BY 1"
        );
        let mut statement = self.statement(&sql)?;
        let counts = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(counts.collect::<Result<_, _>>()?)
    }

    /// All nodes of a pool, in id order.
    pub fn nodes_of_pool(&self, pool_key: i64) -> Result<Vec<Node>, StoreError> {
        self.nodes_after(pool_key, "", usize::MAX)
    }
}

impl Tx<'_> {
    /// Keeps a new node.
    pub fn insert_node(&mut self, node: &Node) -> Result<(), StoreError> {
        let sql = format!("INSERT INTO node ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5)");
        let life = Json(&node.life);
        let values = params![node.id, node.pool_key, life, node.secret, node.start_task];
        self.statement(&sql)?.execute(values)?;
        Ok(())
    }

    /// Keeps what has become of a node.
    pub fn update_node(&mut self, id: &str, life: &NodeLife) -> Result<(), StoreError> {
        if self.known.is_some_and(|known| known.nodes.update(id, life)) {
            return self.put_node_work(id, life);
        }
        let sql = "UPDATE node SET life = ?2 WHERE id = ?1";
        self.statement(sql)?.execute(params![id, Json(life)])?;
        self.statement("DELETE FROM node_work WHERE node_id = ?1")?.execute(params![id])?;
        Ok(())
    }

    fn put_node_work(&mut self, id: &str, life: &NodeLife) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT INTO node_work (node_id, {WORK_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (node_id) DO UPDATE SET state = ?2, state_at = ?3, tasks_running = ?4,
                 slots_running = ?5, tasks_run = ?6, tasks_succeeded = ?7, recent_tasks = ?8"
        );
        let recent: Vec<_> =
            life.recent_tasks.iter().map(|task| (task.job_key, &*task.task_id)).collect();
        self.statement(&sql)?.execute(params![
            id,
            Json(life.state),
            life.state_at.0,
            life.tasks_running,
            life.slots_running,
            life.tasks_run,
            life.tasks_succeeded,
            Json(recent),
        ])?;
        Ok(())
    }

    /// Keeps what the next agent of a node proves itself with.
    pub fn update_node_secret(&mut self, id: &str, secret: &str) -> Result<(), StoreError> {
        let sql = "UPDATE node SET secret = ?2 WHERE id = ?1";
        self.statement(sql)?.execute(params![id, secret])?;
        self.forget_node(id);
        Ok(())
    }

    /// Keeps the start task of a node's latest boot.
    pub fn update_node_start_task(
        &mut self,
        id: &str,
        document: Option<&str>,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE node SET start_task = ?2 WHERE id = ?1";
        self.statement(sql)?.execute(params![id, document])?;
        self.forget_node(id);
        Ok(())
    }

    /// Removes a node.
    pub fn delete_node(&mut self, id: &str) -> Result<(), StoreError> {
        self.statement("DELETE FROM node WHERE id = ?1")?.execute(params![id])?;
        self.forget_node(id);
        Ok(())
    }

    /// The next look at a node is one at its row.
    fn forget_node(&self, id: &str) {
        if let Some(known) = self.known {
            known.nodes.forget(id);
        }
    }
}
