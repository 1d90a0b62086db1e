//! Shells in the surroundings of tasks: an operation of Kiln itself.

use kiln_wire::node::frames::{Frame, FrameError, FrameReader, FrameWriter};
use kiln_wire::node::shell::PROTOCOL_NAME;
pub use kiln_wire::node::shell::{
    Bytes64, FromShell, MESSAGE_BYTES_MAX, ShellSpec, Terminal, ToShell, WindowSize,
};
use reqwest::{Method, Upgraded};
use tokio::io::{ReadHalf, WriteHalf};

use super::BatchClient;
use crate::ClientError;

/// What a shell says.
#[derive(Debug)]
pub struct ShellEar {
    reader: FrameReader<ReadHalf<Upgraded>>,
    waiting: std::vec::IntoIter<FromShell>,
}

/// Where to speak to a shell, which ends once this and its [`ShellEar`] are dropped.
#[derive(Debug)]
pub struct ShellMouth {
    writer: FrameWriter<WriteHalf<Upgraded>>,
}

/// Why a shell is not heard any more.
#[derive(Debug, thiserror::Error)]
pub enum ShellError {
    /// The connection is gone.
    #[error("the shell is gone")]
    Gone,
    /// What was said can not be understood, or the connection broke.
    #[error("the shell can not be reached any more")]
    Frame(#[from] FrameError),
}

impl BatchClient {
    /// Opens a shell in the surroundings of a task, on the node that runs or ran it.
    ///
    /// # Errors
    /// When the service refuses (`TaskFilesUnavailable`) or can not be reached.
    pub async fn shell(
        &self,
        job_id: &str,
        task_id: &str,
        spec: ShellSpec,
    ) -> Result<(ShellMouth, ShellEar), ClientError> {
        let segments = ["kiln", "jobs", job_id, "tasks", task_id, "shell"];
        let call = Self::call(Method::POST, &segments)
            .header("connection", "upgrade")
            .header("upgrade", PROTOCOL_NAME)
            .body("");
        let response = self.transport.send(call).await?;
        let asked = response.url().path().to_owned();
        let broken = |source| self.transport.broken(&asked, source);
        let stream = response.upgrade().await.map_err(broken)?;
        let (reader, writer) = tokio::io::split(stream);
        let mut mouth = ShellMouth { writer: FrameWriter::new(writer) };
        // One that does not get through is told by the first thing that is heard.
        drop(mouth.say(ToShell::Open(spec)).await);
        let reader = FrameReader::new(reader);
        Ok((mouth, ShellEar { reader, waiting: Vec::new().into_iter() }))
    }
}

impl ShellMouth {
    /// Says something, once the other side has room for it.
    ///
    /// # Errors
    /// When the connection broke.
    pub async fn say(&mut self, message: ToShell) -> Result<(), ShellError> {
        self.writer.messages(&[message])?;
        Ok(self.writer.flush().await?)
    }
}

impl ShellEar {
    /// What the shell says next.
    ///
    /// # Errors
    /// When it is gone.
    pub async fn next(&mut self) -> Result<FromShell, ShellError> {
        loop {
            if let Some(message) = self.waiting.next() {
                return Ok(message);
            }
            match self.reader.next().await? {
                Some(Frame::Messages(messages)) => self.waiting = messages.into_iter(),
                Some(Frame::File { .. }) => {}
                None => return Err(ShellError::Gone),
            }
        }
    }
}
