//! Requests to agents, and their answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kiln_wire::node::{NodeAnswer, NodeRefusal, NodeRequest, ToAgent};
use tokio::sync::oneshot;

use super::{ANSWER_TIMEOUT, Links};
use crate::clock;

/// Why a request was not met.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The agent is not linked, or its link broke.
    #[error("the node is not reachable")]
    Unreachable,
    /// The agent did not answer in time.
    #[error("the node did not answer within {} s", ANSWER_TIMEOUT.as_secs())]
    Timeout,
    /// The agent said no.
    #[error("the node refused: {0:?}")]
    Refused(NodeRefusal),
}

type Reply = Result<NodeAnswer, NodeRefusal>;

/// Requests that wait for their answers.
#[derive(Debug, Default)]
pub(super) struct Requests {
    last: AtomicU64,
    open: Mutex<HashMap<u64, Open>>,
}

#[derive(Debug)]
struct Open {
    node_id: String,
    reply: oneshot::Sender<Reply>,
}

impl Requests {
    fn open(&self, node_id: &str) -> (u64, oneshot::Receiver<Reply>) {
        let number = self.last.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let (reply, replied) = oneshot::channel();
        self.lock().insert(number, Open { node_id: node_id.to_owned(), reply });
        (number, replied)
    }

    /// Takes in an answer.
    pub(super) fn answer(&self, number: u64, answer: Reply) {
        if let Some(open) = self.lock().remove(&number) {
            // Who asked may have gone.
            drop(open.reply.send(answer));
        }
    }

    /// The link of a node broke: what it was asked will not be answered.
    pub(super) fn fail_all_of(&self, node_id: &str) {
        self.lock().retain(|_, open| open.node_id != node_id);
    }

    fn forget(&self, number: u64) {
        self.lock().remove(&number);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Links {
    /// Asks the agent of a node to do something, and waits until it did.
    ///
    /// # Errors
    /// When it is not reachable, does not answer, or says no.
    pub async fn request(
        &self,
        node_id: &str,
        request: NodeRequest,
    ) -> Result<NodeAnswer, RequestError> {
        if !self.is_up(node_id) {
            return Err(RequestError::Unreachable);
        }
        let (number, replied) = self.requests.open(node_id);
        self.send(node_id, [ToAgent::Request { number, request }]);
        match clock::within(ANSWER_TIMEOUT, replied).await {
            Ok(Ok(reply)) => reply.map_err(RequestError::Refused),
            Ok(Err(_gone)) => Err(RequestError::Unreachable),
            Err(_elapsed) => {
                self.requests.forget(number);
                Err(RequestError::Timeout)
            }
        }
    }
}
