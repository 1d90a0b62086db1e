//! Kiln's own: a shell in the surroundings of a task, on its node.
//!
//! The connection goes on in a protocol of its own until the shell ends: frames of messages in
//! both directions. Only who has the account's key may open one.

use std::sync::Arc;
use std::time::Duration;

use kiln_domain::batch::task::TaskState;
use kiln_domain::rejection::Rejection;
use kiln_http::{Upgrade, Upgraded};
use kiln_wire::batch::error::Refusal;
use kiln_wire::node::Run;
use kiln_wire::node::frames::{Frame, FrameError, FrameReader, FrameWriter};
use kiln_wire::node::shell::{
    COMMAND_BYTES_MAX, FromShell, MESSAGE_BYTES_MAX, PROTOCOL_NAME, ShellSpec, ToShell,
};
use tokio::io::{ReadHalf, WriteHalf};

use super::answer::Answer;
use super::call::Call;
use super::error::OpError;
use super::task;
use crate::http::ResponseBody;
use crate::link::{OpenShell, Speaker};
use crate::server::Server;
use crate::{dispatch, gang, kept};

/// Silence after which the client is told that the shell still lives.
const ALIVE_EACH: Duration = Duration::from_secs(20);
/// Time in which the client must have said which shell it wants, and must take what it is told.
const PATIENCE: Duration = Duration::from_secs(120);

/// `POST /kiln/jobs/J/tasks/T/shell`.
pub(super) fn open(call: &Call, job_id: &str, task_id: &str) -> Result<Answer, Refusal> {
    let asked_for = call.header("upgrade").ok_or_else(|| Refusal::missing_header("Upgrade"))?;
    if !asked_for.eq_ignore_ascii_case(PROTOCOL_NAME) {
        return Err(Refusal::invalid_header("Upgrade", asked_for));
    }
    let (node_id, run) = call.server.store.read(|view| {
        let (job, task) = task::find(view, &call.account, job_id, task_id)?;
        let unavailable = || Rejection::TaskFilesUnavailable { task: task.id.clone() };
        let Some(place) = &task.life.place else {
            let not_started = Rejection::TaskNotStarted { task: task.id.clone() };
            let is_over = task.life.state == TaskState::Completed;
            return Err(if is_over { unavailable() } else { not_started }.into());
        };
        let run = dispatch::run_of(&job, &kept::job_spec(&job)?, &task);
        let run = run.ok_or_else(unavailable)?;
        let run = gang::main_command(&job, &task, run.clone()).unwrap_or(run);
        Ok::<_, OpError>((place.node_id.clone(), run))
    })?;
    if !call.server.links.is_up(&node_id) {
        return Err(Rejection::TaskFilesUnavailable { task: task_id.to_owned() }.into());
    }
    let server = Arc::clone(&call.server);
    let upgrade = Upgrade::new(PROTOCOL_NAME, move |stream| async move {
        if let Err(error) = serve(&server, &node_id, run, stream).await {
            tracing::debug!(error = %crate::chain(&error), "a shell ended");
        }
    });
    Ok(Answer::new(101).body(ResponseBody::Upgrade(upgrade)))
}

/// Why a client of a shell is not served any more.
#[derive(Debug, thiserror::Error)]
enum TalkError {
    #[error("the connection broke")]
    Frame(#[from] FrameError),
    #[error("the client was silent for too long")]
    Silent,
    #[error("what the client says makes no sense here")]
    Nonsense,
}

/// Serves one client until its shell, or the client, is gone.
async fn serve(
    server: &Arc<Server>,
    node_id: &str,
    run: Run,
    stream: Upgraded,
) -> Result<(), TalkError> {
    let (reader, writer) = tokio::io::split(stream);
    let mut words = Words { reader: FrameReader::new(reader), waiting: Vec::new().into_iter() };
    let mut writer = FrameWriter::new(writer);
    let spec = tokio::time::timeout(PATIENCE, words.spec()).await;
    let spec = spec.map_err(|_elapsed| TalkError::Silent)??;
    let Some(mut shell) = OpenShell::open(server, node_id, run, ToShell::Open(spec)) else {
        let message = "the node can not be reached, or too many shells are open".to_owned();
        return tell(&mut writer, FromShell::Refused { message }).await;
    };
    let speaker = shell.speaker();
    let listening = async {
        words.pass_on(&speaker).await?;
        // All was said; what the shell says to that is still to come.
        std::future::pending().await
    };
    tokio::select! {
        ended = listening => ended,
        ended = talk(&mut shell, &mut writer) => ended,
    }
}

type Writer = FrameWriter<WriteHalf<Upgraded>>;

/// Tells the client what its shell says, until that ends.
async fn talk(shell: &mut OpenShell, writer: &mut Writer) -> Result<(), TalkError> {
    loop {
        let message = match tokio::time::timeout(ALIVE_EACH, shell.next()).await {
            Ok(Some(message)) => message,
            Ok(None) => {
                let message = "the node is gone".to_owned();
                return tell(writer, FromShell::Refused { message }).await;
            }
            Err(_elapsed) => FromShell::Alive,
        };
        let (is_counted, is_last) = (message.is_counted(), message.is_last());
        tell(writer, message).await?;
        if is_counted {
            shell.took(1);
        }
        if is_last {
            return Ok(());
        }
    }
}

async fn tell(writer: &mut Writer, message: FromShell) -> Result<(), TalkError> {
    writer.messages(&[message])?;
    let flushed = tokio::time::timeout(PATIENCE, writer.flush()).await;
    Ok(flushed.map_err(|_elapsed| TalkError::Silent)??)
}

/// What a client says.
struct Words {
    reader: FrameReader<ReadHalf<Upgraded>>,
    /// What came in one frame with what was heard last.
    waiting: std::vec::IntoIter<ToShell>,
}

impl Words {
    /// The next message; `None` at the end.
    async fn next(&mut self) -> Result<Option<ToShell>, TalkError> {
        loop {
            if let Some(message) = self.waiting.next() {
                return Ok(Some(message));
            }
            match self.reader.next().await? {
                Some(Frame::Messages(messages)) => self.waiting = messages.into_iter(),
                Some(Frame::File { .. }) => return Err(TalkError::Nonsense),
                None => return Ok(None),
            }
        }
    }

    /// The first message.
    async fn spec(&mut self) -> Result<ShellSpec, TalkError> {
        let Some(ToShell::Open(spec)) = self.next().await? else {
            return Err(TalkError::Nonsense);
        };
        let n_bytes: usize = spec.command.iter().map(String::len).sum();
        if n_bytes > COMMAND_BYTES_MAX { Err(TalkError::Nonsense) } else { Ok(spec) }
    }

    /// Passes on all further messages. A client that is gone, or makes no sense, is an error:
    /// its shell ends with it.
    async fn pass_on(&mut self, speaker: &Speaker) -> Result<(), TalkError> {
        while let Some(message) = self.next().await? {
            match &message {
                ToShell::Input { bytes } if bytes.0.len() > MESSAGE_BYTES_MAX => {
                    return Err(TalkError::Nonsense);
                }
                // What it took is seen by its connection.
                ToShell::Taken { .. } => continue,
                ToShell::Open(_) => return Err(TalkError::Nonsense),
                ToShell::Input { .. }
                | ToShell::EndOfInput
                | ToShell::Resized(_)
                | ToShell::Close => {}
            }
            if !speaker.say(message).await {
                return Ok(());
            }
        }
        Err(TalkError::Silent)
    }
}
