//! One shell, from its process to its end.

use std::io;
use std::sync::Arc;

use kiln_domain::batch::task::FailureInfo;
use kiln_wire::node::shell::{Bytes64, FromShell, MESSAGE_BYTES_MAX, ToShell};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::ends::{self, End, Ours, Theirs};
use super::{Ear, Line, Wanted};
use crate::boot::Boot;
use crate::command::{Command, Contained, engine_request, not_started, order};
use crate::containers::{Container, Entry, Visitor};
use crate::environment::MARK;
use crate::init_client::{Process, ProcessFact, Streams};
use crate::node::Node;
use crate::node_init::message::{Input, Spawn};

/// What runs when no command is given: the best shell there is. A terminal makes it
/// interactive.
const SHELL: [&str; 3] = ["/bin/sh", "-c", "command -v bash > /dev/null && exec bash; exec sh"];
/// Exit code of a shell that was closed before it ended.
const CLOSED: i32 = 128 + libc::SIGHUP;

/// A shell that runs.
struct Started {
    ours: Ours,
    process: Process,
    /// The container that it runs in, where that was made for it.
    container: Option<Container>,
}

/// Starts a shell and holds its streams until it ended; answers its exit code, or why it can
/// not be started.
pub(super) async fn hold(
    boot: &Boot,
    wanted: Wanted,
    line: Line,
    ear: &Ear,
) -> Result<i32, String> {
    let Line { mut inbox, window, mut closed } = line;
    let Started { mut ours, mut process, container } = start(boot, &wanted, ear).await?;
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
    leave(container).await;
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
async fn start(boot: &Boot, wanted: &Wanted, ear: &Ear) -> Result<Started, String> {
    let node = &boot.node;
    let Wanted { run, count, spec } = wanted;
    let command = boot.shell_command(run, *count).map_err(|failure| told(&failure))?;
    let said = |error: io::Error| error.to_string();
    let (ours, theirs) =
        ends::make(node, spec.terminal.as_ref(), command.account.owner).map_err(said)?;
    // Of its own: it stays when what its task left is searched for and killed.
    let mark = format!("{MARK}_OF_SHELL={}-{}", run.directory, ear.shell);
    let argv = match spec.command.as_slice() {
        [] => SHELL.map(str::to_owned).to_vec(),
        words => words.to_vec(),
    };
    let terminal = spec.terminal.as_ref().map(|terminal| terminal.name.as_str());
    let (request, container) = match &command.container {
        None => (on_node(node, &command, argv, terminal, mark), None),
        Some(contained) => {
            let visitor = Visitor { argv: &argv, terminal, mark: &mark };
            let entered = enter(boot, &command, contained, &visitor).await;
            let Entry { argv, environment, container } = entered.map_err(|it| told(&it))?;
            (engine_request(node, (argv, environment), mark), container)
        }
    };
    let request = Spawn {
        processes_max: boot.processes_limit(),
        input: if ours.is_terminal { Input::Terminal } else { Input::Stream },
        ..request
    };
    match spawn(node, request, &theirs, command.slots).await {
        Ok(process) => Ok(Started { ours, process, container }),
        Err(why_not) => {
            leave(container).await;
            Err(why_not)
        }
    }
}

/// Lets a visitor into the container of a command.
async fn enter(
    boot: &Boot,
    command: &Command,
    contained: &Contained,
    visitor: &Visitor<'_>,
) -> Result<Entry, FailureInfo> {
    let order = order(&boot.node, command, contained);
    boot.containers()?.enter(&contained.settings, order, visitor).await
}

/// The process of a shell beside its task.
fn on_node(
    node: &Node,
    command: &Command,
    argv: Vec<String>,
    terminal: Option<&str>,
    mark: String,
) -> Spawn {
    let mut variables = command.variables.clone();
    if let Some(kind) = terminal {
        variables.insert("TERM".to_owned(), kind.to_owned());
    }
    let settings = variables.iter().map(|(name, value)| format!("{name}={value}"));
    Spawn {
        id: node.init.new_id(),
        argv,
        environment: settings.chain([mark.clone()]).collect(),
        mark,
        directory: format!("{}/{}/wd", node.root_in_view, command.directory),
        user: command.account.id,
        rights: command.account.rights(),
        has_group: false,
        n_places: 0,
        processes_max: None,
        input: Input::Nothing,
    }
}

/// Starts a process with these streams; answers why it can not be started.
async fn spawn(
    node: &Node,
    request: Spawn,
    [input, output, errors]: &Theirs,
    slots: u32,
) -> Result<Process, String> {
    let streams = Streams { input: Some(input), output, errors };
    let spawned = node.spawn(request, streams, slots).await;
    let mut process = spawned.map_err(|error| error.to_string())?;
    match process.next().await {
        ProcessFact::SpawnFailed { step, errno } => Err(told(&not_started(step, errno))),
        ProcessFact::Spawned | ProcessFact::Exited { .. } | ProcessFact::Emptied => Ok(process),
    }
}

/// A failure in one line.
fn told(failure: &FailureInfo) -> String {
    let details: Vec<&str> = failure.details.iter().map(|it| it.value.as_str()).collect();
    match details.as_slice() {
        [] => failure.message.clone(),
        details => format!("{}: {}", failure.message, details.join(", ")),
    }
}

/// Removes the container that was made for a shell.
async fn leave(container: Option<Container>) {
    if let Some(mut container) = container {
        container.remove().await;
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
