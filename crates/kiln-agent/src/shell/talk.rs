//! One shell, from its process to its end.

use std::io;
use std::sync::Arc;

use kiln_wire::node::shell::{Bytes64, FromShell, MESSAGE_BYTES_MAX, ToShell};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::ends::{self, End, Ours};
use super::{Ear, Line, Wanted};
use crate::boot::Boot;
use crate::command::not_started;
use crate::environment::MARK;
use crate::init_client::{Process, ProcessFact, Streams};
use crate::node::Node;
use crate::node_init::message::{Input, Spawn};

/// What runs when no command is given: the best shell there is. A terminal makes it
/// interactive.
const SHELL: [&str; 3] = ["/bin/sh", "-c", "command -v bash > /dev/null && exec bash; exec sh"];
/// Exit code of a shell that was closed before it ended.
const CLOSED: i32 = 128 + libc::SIGHUP;

/// Starts a shell and holds its streams until it ended; answers its exit code, or why it can
/// not be started.
pub(super) async fn hold(
    boot: &Boot,
    wanted: Wanted,
    line: Line,
    ear: &Ear,
) -> Result<i32, String> {
    let Line { mut inbox, window, mut closed } = line;
    let (mut ours, mut process) = start(boot, &wanted, ear).await?;
    ear.tell(FromShell::Opened).await;
    let mut outputs = JoinSet::new();
    if let Some(output) = ours.output.take() {
        let say = |bytes| FromShell::Output { bytes };
        outputs.spawn(print(output, say, Arc::clone(&window), ear.clone()));
    }
    if let Some(errors) = ours.errors.take() {
        let say = |bytes| FromShell::Errors { bytes };
        outputs.spawn(print(errors, say, window, ear.clone()));
    }
    let exit_code = tokio::select! {
        exit_code = exited(&mut process) => Some(exit_code),
        () = listen(&mut ours, &mut inbox, ear) => None,
        _ = &mut closed => None,
    };
    end(&boot.node, &mut process).await;
    if exit_code.is_some() {
        // Nobody holds the other ends any more: what was printed comes to its end.
        let printed = async { while outputs.join_next().await.is_some() {} };
        tokio::select! {
            () = printed => {}
            () = listen(&mut ours, &mut inbox, ear) => {}
            _ = closed => {}
        }
    }
    Ok(exit_code.unwrap_or(CLOSED))
}

/// Starts the process of a shell.
async fn start(boot: &Boot, wanted: &Wanted, ear: &Ear) -> Result<(Ours, Process), String> {
    let node = &boot.node;
    let Wanted { run, count, spec } = wanted;
    let command = boot.shell_command(run, *count).map_err(|failure| failure.message)?;
    let said = |error: io::Error| error.to_string();
    let (ours, theirs) =
        ends::make(node, spec.terminal.as_ref(), command.account.owner).map_err(said)?;
    let mut variables = command.variables;
    if let Some(terminal) = &spec.terminal {
        variables.insert("TERM".to_owned(), terminal.name.clone());
    }
    let settings = variables.iter().map(|(name, value)| format!("{name}={value}"));
    // Of its own: it stays when what its task left is searched for and killed.
    let mark = format!("{MARK}_OF_SHELL={}-{}", run.directory, ear.shell);
    let argv = match spec.command.as_slice() {
        [] => SHELL.map(str::to_owned).to_vec(),
        words => words.to_vec(),
    };
    let request = Spawn {
        id: node.init.new_id(),
        argv,
        environment: settings.chain([mark.clone()]).collect(),
        mark,
        directory: format!("{}/{}/wd", node.root_in_view, command.directory),
        user: command.account.id,
        rights: command.account.rights(),
        has_group: false,
        n_places: 0,
        processes_max: boot.processes_limit(),
        input: if ours.is_terminal { Input::Terminal } else { Input::Stream },
    };
    let [input, output, errors] = &theirs;
    let streams = Streams { input: Some(input), output, errors };
    let mut process = node.spawn(request, streams, command.slots).await.map_err(said)?;
    match process.next().await {
        ProcessFact::SpawnFailed { step, errno } => {
            let failure = not_started(step, errno);
            let details = failure.details.iter().map(|it| it.value.as_str());
            let details: Vec<&str> = details.collect();
            Err(format!("{}: {}", failure.message, details.join(", ")))
        }
        ProcessFact::Spawned | ProcessFact::Exited { .. } | ProcessFact::Emptied => {
            Ok((ours, process))
        }
    }
}

/// The exit code of a process, once it ended.
async fn exited(process: &mut Process) -> i32 {
    loop {
        if let ProcessFact::Exited { exit_code } = process.next().await {
            return exit_code;
        }
    }
}

/// Ends a process with all it started.
async fn end(node: &Node, process: &mut Process) {
    if let Err(error) = node.init.empty(process).await {
        tracing::error!(%error, "failed to ask for the end of a shell");
        return;
    }
    while process.next().await != ProcessFact::Emptied {}
    node.init.forget(process);
}

/// Hears what is said to a shell until nobody wants it any more.
async fn listen(ours: &mut Ours, inbox: &mut mpsc::Receiver<ToShell>, ear: &Ear) {
    while let Some(message) = inbox.recv().await {
        let is_counted = message.is_counted();
        match message {
            ToShell::Input { bytes } => {
                if let Some(input) = &ours.input {
                    // What a program does not read any more is lost, as in a pipe.
                    let _closed = input.write_all(&bytes.0).await;
                }
            }
            ToShell::EndOfInput => ours.end_input().await,
            ToShell::Resized(size) => ours.resize(size),
            // Heard before they come here.
            ToShell::Taken { .. } | ToShell::Open(_) => {}
            ToShell::Close => return,
        }
        if is_counted {
            ear.tell(FromShell::Taken { n_messages: 1 }).await;
        }
    }
}

/// Tells what a shell prints, no faster than it is taken.
async fn print(end: End, say: fn(Bytes64) -> FromShell, window: Arc<Semaphore>, ear: Ear) {
    let mut buffer = vec![0; MESSAGE_BYTES_MAX];
    // Room first: what is not taken is not read.
    while let Ok(room) = window.acquire().await {
        let n_read = end.read(&mut buffer).await.unwrap_or(0);
        if n_read == 0 {
            return;
        }
        room.forget();
        let bytes = buffer.get(..n_read).unwrap_or_default().to_vec();
        ear.tell(say(Bytes64(bytes))).await;
    }
}
