//! What the server asks for and waits for, done beside the loop.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kiln_domain::time::Timestamp;
use kiln_wire::node::{NodeAnswer, NodeRefusal, NodeRequest};
use tokio::task::JoinSet;

use crate::boot::Boot;
use crate::logs;
use crate::node::Node;
use crate::users::Users;

/// The answer to a request, by its number.
pub(crate) type Answer = (u64, Result<NodeAnswer, NodeRefusal>);

/// Requests that are being met.
#[derive(Debug)]
pub(crate) struct Requests {
    directory: PathBuf,
    users: Arc<Users>,
    work: JoinSet<Done>,
    /// Whether users whose time is over are being removed.
    is_expiring: bool,
}

/// What was done.
#[derive(Debug)]
enum Done {
    Answered(Answer),
    LogsUploaded,
    UsersExpired,
}

impl Requests {
    /// Requests about the node in `directory`.
    pub(crate) fn new(directory: PathBuf) -> Self {
        let users = Arc::new(Users::load(&directory));
        Self { directory, users, work: JoinSet::new(), is_expiring: false }
    }

    /// Begins to meet a request; [`Requests::next`] answers it.
    pub(crate) fn begin(
        &mut self,
        number: u64,
        request: NodeRequest,
        node: Arc<Node>,
        boot: Option<Arc<Boot>>,
    ) {
        let users = Arc::clone(&self.users);
        match request {
            NodeRequest::AddUser { user } => self.answer(number, async move {
                users.add(&node, &user).await.map(|()| NodeAnswer::Done)
            }),
            NodeRequest::ChangeUser { user } => self.answer(number, async move {
                users.change(&node, &user).await.map(|()| NodeAnswer::Done)
            }),
            NodeRequest::RemoveUser { name } => self.answer(number, async move {
                users.remove(&node, &name).await.map(|()| NodeAnswer::Done)
            }),
            NodeRequest::UploadLogs { container_url, directory, from, until } => {
                let files = logs::find(&self.directory, from, until);
                let n_files = u32::try_from(files.len()).unwrap_or(u32::MAX);
                let answer = if let Some(boot) = boot {
                    self.work.spawn(async move {
                        logs::upload(boot, files, &container_url.0, &directory).await;
                        Done::LogsUploaded
                    });
                    Ok(NodeAnswer::Uploading { n_files })
                } else {
                    Err(NodeRefusal::Failed { message: "the node has not booted".to_owned() })
                };
                self.answer(number, async move { answer });
            }
        }
    }

    fn answer(
        &mut self,
        number: u64,
        answer: impl Future<Output = Result<NodeAnswer, NodeRefusal>> + Send + 'static,
    ) {
        self.work.spawn(async move { Done::Answered((number, answer.await)) });
    }

    /// The next answer, or nothing but the end of some work; `None` when there is none.
    pub(crate) async fn next(&mut self) -> Option<Option<Answer>> {
        Some(match self.work.join_next().await? {
            Ok(Done::Answered(answer)) => Some(answer),
            Ok(Done::LogsUploaded) => None,
            Ok(Done::UsersExpired) => {
                self.is_expiring = false;
                None
            }
            Err(error) => {
                tracing::error!(%error, "a request broke");
                None
            }
        })
    }

    /// Time until a user of the node is to go.
    pub(crate) fn next_expiry_in(&self, now: Timestamp) -> Option<Duration> {
        if self.is_expiring { None } else { self.users.next_in(now) }
    }

    /// Begins to remove the users whose time is over.
    pub(crate) fn remove_expired(&mut self, node: Arc<Node>) {
        self.is_expiring = true;
        let users = Arc::clone(&self.users);
        self.work.spawn(async move {
            users.remove_expired(&node).await;
            Done::UsersExpired
        });
    }

    /// Ends all work.
    pub(crate) async fn end(&mut self) {
        self.work.shutdown().await;
    }
}
