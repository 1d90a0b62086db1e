//! Runs a tool on the node and learns what it said.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::MemfdFlags;

use crate::clock;
use crate::environment::MARK;
use crate::init_client::{Process, ProcessFact, Streams};
use crate::node::Node;
use crate::node_init::message::{Input, Rights, Spawn};

/// Bytes of the end of what a tool says that are read.
const SAID_BYTES_MAX: u64 = 16 * 1024;
/// Task slots whose limits a tool has: what it does is not a task's.
const SLOTS: u32 = 64;

/// A tool, run as the node's root user.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    /// Program and arguments.
    pub(crate) argv: Vec<String>,
    /// `NAME=value`, all of it.
    pub(crate) environment: Vec<String>,
    /// What it may do.
    pub(crate) rights: Rights,
    /// Time after which it is given up.
    pub(crate) time_limit: Duration,
}

/// How a tool ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// Its exit code.
    pub(crate) exit_code: i32,
    /// The end of what it printed.
    pub(crate) output: String,
    /// The end of what it complained of.
    pub(crate) errors: String,
}

/// Why a tool did not end by itself.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ToolError {
    /// It could not be started.
    #[error("`{program}` could not be started")]
    NotStarted {
        /// Its name.
        program: String,
        /// Why.
        #[source]
        cause: Arc<io::Error>,
    },
    /// It took too long.
    #[error("`{program}` took longer than {} s", time.as_secs())]
    TooLate {
        /// Its name.
        program: String,
        /// The time it had.
        time: Duration,
    },
}

/// Runs a tool to its end; nothing of it is left then.
pub(crate) async fn run(node: &Node, tool: Tool) -> Result<Ended, ToolError> {
    let program = tool.argv.first().cloned().unwrap_or_default();
    let not_started = |cause: io::Error| ToolError::NotStarted {
        program: program.clone(),
        cause: Arc::new(cause),
    };
    let stream = || rustix::fs::memfd_create("kiln-tool", MemfdFlags::CLOEXEC);
    let output = stream().map_err(|error| not_started(error.into()))?;
    let errors = stream().map_err(|error| not_started(error.into()))?;
    let id = node.init.new_id();
    let request = Spawn {
        id,
        argv: tool.argv,
        environment: tool.environment,
        mark: format!("{MARK}=kiln-tool-{id}"),
        directory: "/".to_owned(),
        user: node.accounts.root().id,
        rights: tool.rights,
        has_group: false,
        n_places: 0,
        input: Input::Nothing,
        processes_max: None,
    };
    let mut process = node
        .spawn(request, Streams::of_output(&output, &errors), SLOTS)
        .await
        .map_err(&not_started)?;
    let ended = tokio::select! {
        ended = end_of(node, &mut process) => ended.map_err(&not_started),
        () = clock::sleep(tool.time_limit) => {
            Err(ToolError::TooLate { program: program.clone(), time: tool.time_limit })
        }
    };
    if ended.is_err()
        && let Err(error) = node.init.empty(&mut process).await
    {
        tracing::error!(%error, program, "a tool can not be ended");
    }
    node.init.forget(&process);
    let exit_code = ended?;
    Ok(Ended { exit_code, output: said(output), errors: said(errors) })
}

/// The exit code of a process, once nothing of it is left.
async fn end_of(node: &Node, process: &mut Process) -> io::Result<i32> {
    let mut ended = 0;
    loop {
        match process.next().await {
            ProcessFact::Spawned => {}
            ProcessFact::SpawnFailed { errno, .. } => {
                return Err(io::Error::from_raw_os_error(errno));
            }
            ProcessFact::Exited { exit_code } => {
                ended = exit_code;
                node.init.empty(process).await?;
            }
            ProcessFact::Emptied => return Ok(ended),
        }
    }
}

fn said(output: OwnedFd) -> String {
    let mut file = File::from(output);
    let mut read = || {
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(length.saturating_sub(SAID_BYTES_MAX)))?;
        let mut bytes = Vec::new();
        file.by_ref().take(SAID_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok::<_, io::Error>(bytes)
    };
    match read() {
        Ok(bytes) => String::from_utf8_lossy(&bytes).trim().to_owned(),
        Err(error) => error.to_string(),
    }
}
