//! What is so now, looked at when somebody asks.

use std::collections::BTreeMap;

use kiln_store::StoreError;
use serde::Serialize;
use tracing::warn;

use super::metrics::{InFile, InState, Present};
use crate::room::room_of;
use crate::server::Server;

/// What is so at one time.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Seen {
    tasks: BTreeMap<&'static str, i64>,
    nodes: BTreeMap<String, i64>,
    agents: i64,
    waiting_operations: i64,
    database_bytes: i64,
    database_log_bytes: i64,
    disk_free_bytes: i64,
    disk_size_bytes: i64,
}

impl Seen {
    /// Looks at everything.
    pub(super) fn by(server: &Server) -> Self {
        let data = &server.config.data;
        let length = |name| std::fs::metadata(data.join(name)).map_or(0, |it| signed(it.len()));
        let room = room_of(data).unwrap_or_default();
        let (tasks, nodes) = count(server).unwrap_or_else(|cause| {
            warn!(error = %crate::chain(&cause), "tasks and nodes can not be counted");
            Default::default()
        });
        Self {
            tasks,
            nodes,
            agents: signed(server.links.nodes().len()),
            waiting_operations: signed(server.store.n_waiting()),
            database_bytes: length("kiln.db"),
            database_log_bytes: length("kiln.db-wal"),
            disk_free_bytes: signed(room.free_bytes),
            disk_size_bytes: signed(room.size_bytes),
        }
    }
}

/// Numbers of tasks and of nodes, by state.
type Counts = (BTreeMap<&'static str, i64>, BTreeMap<String, i64>);

fn count(server: &Server) -> Result<Counts, StoreError> {
    server.store.read(|view| {
        let tasks = view.all_task_counts()?;
        let by_state = [
            ("active", tasks.active),
            ("running", tasks.running),
            ("succeeded", tasks.succeeded),
            ("failed", tasks.failed),
        ];
        let tasks = by_state.into_iter().map(|(state, count)| (state, count.tasks)).collect();
        Ok((tasks, view.nodes_by_state()?.into_iter().collect()))
    })
}

impl Present {
    /// Tells what was seen.
    pub(super) fn set(&self, seen: &Seen) {
        for (state, n) in &seen.tasks {
            self.tasks.get_or_create(&InState { state: (*state).to_owned() }).set(*n);
        }
        // A state in which there is no node any more is not told.
        self.nodes.clear();
        for (state, n) in &seen.nodes {
            self.nodes.get_or_create(&InState { state: state.clone() }).set(*n);
        }
        self.agents.set(seen.agents);
        self.waiting_operations.set(seen.waiting_operations);
        let files = [("database", seen.database_bytes), ("log", seen.database_log_bytes)];
        for (file, length) in files {
            self.database_bytes.get_or_create(&InFile { file }).set(length);
        }
        self.disk_free_bytes.set(seen.disk_free_bytes);
        self.disk_size_bytes.set(seen.disk_size_bytes);
    }
}

fn signed(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
