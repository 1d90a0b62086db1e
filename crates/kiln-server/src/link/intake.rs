//! Reports of all agents on their way to the store: those that wait together share an operation,
//! and what an operation costs for itself.

use std::sync::Arc;

use kiln_store::StoreError;
use kiln_wire::node::Report;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::{Links, reports};
use crate::batch::Outbox;
use crate::clock;
use crate::server::Server;

/// Frames that share an operation at the most.
const TOGETHER_MAX: usize = 1024;
/// Operations under way at the most: one is being made durable while the next one runs.
const UNDER_WAY_MAX: usize = 2;

/// What a node's agent reports in one frame, and who waits until it is kept.
#[derive(Debug)]
pub struct Reported {
    from: Arc<FromNode>,
    kept: oneshot::Sender<Result<(), StoreError>>,
}

#[derive(Debug)]
struct FromNode {
    node_id: String,
    reports: Vec<Report>,
}

impl Links {
    /// Waits until what the agent of a node reports is kept.
    pub(super) async fn keep(&self, node_id: &str, reports: Vec<Report>) -> Result<(), StoreError> {
        let (kept, answer) = oneshot::channel();
        let from = Arc::new(FromNode { node_id: node_id.to_owned(), reports });
        let given = self.intake.send(Reported { from, kept }).await;
        given.map_err(|_ended| StoreError::Closed)?;
        answer.await.unwrap_or_else(|_ended| Err(StoreError::Closed))
    }
}

/// Takes reports in until it is dropped.
pub async fn run(server: Arc<Server>, mut given: mpsc::Receiver<Reported>) {
    let mut under_way = JoinSet::new();
    let mut together = Vec::new();
    while given.recv_many(&mut together, TOGETHER_MAX).await > 0 {
        if under_way.len() >= UNDER_WAY_MAX {
            under_way.join_next().await;
        }
        while together.len() < TOGETHER_MAX
            && let Ok(more) = given.try_recv()
        {
            together.push(more);
        }
        under_way.spawn(keep(Arc::clone(&server), std::mem::take(&mut together)));
    }
}

/// Keeps reports in one operation, or, where that fails, each frame in one of its own, so that
/// one that can not be kept harms no other.
async fn keep(server: Arc<Server>, together: Vec<Reported>) {
    let all = together.iter().map(|it| Arc::clone(&it.from)).collect();
    let kept = keep_all(&server, all).await;
    let is_one = together.len() == 1;
    for Reported { from, kept: answer } in together {
        let kept = match &kept {
            Ok(()) => Ok(()),
            Err(_of_another) if !is_one => keep_all(&server, vec![from]).await,
            Err(cause) => Err(StoreError::Commit(crate::chain(cause).to_string())),
        };
        // Who waited may have gone.
        drop(answer.send(kept));
    }
}

async fn keep_all(server: &Arc<Server>, all: Vec<Arc<FromNode>>) -> Result<(), StoreError> {
    let keeping = server.store.write(move |tx| {
        let (now, mut outbox) = (clock::now(), Outbox::default());
        for from in all {
            reports::take(tx, &from.node_id, &from.reports, now, &mut outbox)?;
        }
        Ok::<_, StoreError>(outbox)
    });
    keeping.await?.send(server);
    Ok(())
}
