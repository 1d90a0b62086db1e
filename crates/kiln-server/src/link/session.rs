//! One link with one agent, from its hello to its end.

use std::sync::Arc;
use std::time::Duration;

use kiln_domain::batch::change::Change;
use kiln_domain::batch::node::{Node, NodeFact, Pending};
use kiln_domain::batch::pool::Pool;
use kiln_domain::batch::task::{Task, TaskState};
use kiln_store::{MeteredPool, StoreError, View};
use kiln_wire::node::frames::{Frame, FrameError, FrameReader, FrameWriter};
use kiln_wire::node::{
    AttemptId, FromAgent, Hello, Mount, NodeCertificate, Package, Prepare, Report, ToAgent, agree,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::kept::Kept;
use super::{Session, WAITING_MESSAGES_MAX, reports};
use crate::batch::Outbox;
use crate::server::Server;
use crate::{clock, gang, kept, node_files, pool_usage, preparation};

/// Time in which an agent must have said hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that are gathered before they are written.
const WRITE_BYTES: usize = 256 * 1024;

/// Why a link ended before its time.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("the connection broke")]
    Frame(#[from] FrameError),
    #[error("no hello came in time")]
    NoHello,
    #[error("the first message was no hello")]
    NotHello,
    #[error("node `{0}` is not known, or its agent could not prove itself")]
    Unknown(String),
    #[error("{0}")]
    Protocol(String),
    #[error("the state could not be changed")]
    Store(#[from] StoreError),
    #[error("the agent was silent for too long")]
    Silent,
}

pub(super) async fn serve(
    server: &Arc<Server>,
    reader: impl AsyncRead + Unpin + Send,
    writer: impl AsyncWrite + Unpin + Send,
    stop: CancellationToken,
) -> Result<(), LinkError> {
    let mut reader = FrameReader::new(reader);
    let (hello, rest) = clock::within(HELLO_TIMEOUT, read_hello(&mut reader))
        .await
        .map_err(|_elapsed| LinkError::NoHello)??;
    let node_id = hello.node_id.clone();
    let protocol = match prove_and_agree(server, &hello) {
        Ok(protocol) => protocol,
        Err(LinkError::Protocol(reason)) => return refuse(server, &node_id, writer, reason).await,
        Err(error) => return Err(error),
    };
    let pool = admit(server, &hello).await?;
    let (outbox, inbox) = mpsc::channel(WAITING_MESSAGES_MAX);
    // There is room in an empty outbox, and this must be the first message.
    drop(outbox.try_send(ToAgent::Welcome { acknowledged: 0, protocol }));
    let session = Session { outbox, protocol, cut: stop.child_token() };
    server.links.insert(&node_id, session.clone());
    let kept = Kept::default();
    info!(node_id, "agent linked");
    let ended = tokio::select! {
        biased;
        () = session.cut.cancelled() => Ok(()),
        ended = write_out(server, &pool.account, FrameWriter::new(writer), inbox, &kept) => ended,
        ended = converse(server, &hello, &pool, &mut reader, rest, &kept) => ended,
    };
    let was_latest = server.links.remove(&node_id, &session);
    server.samples.forget_node(&node_id);
    server.measured.forget_node(&node_id);
    server.links.streams.fail_all_of(&node_id);
    server.links.requests.fail_all_of(&node_id);
    server.links.shells.fail_all_of(&node_id);
    info!(node_id, "agent link down");
    let patience = match &ended {
        Err(LinkError::Silent) => Duration::ZERO,
        _ => server.config.heartbeat_deadline,
    };
    // Where a newer link took its place, that one says whom to expect, or said so already.
    if was_latest {
        server.unheard.expect(&node_id, Some(hello.incarnation), clock::tick(), patience);
    }
    ended
}

/// Tells the agent what it should do, then takes in what it says.
async fn converse(
    server: &Arc<Server>,
    hello: &Hello,
    pool: &MeteredPool,
    reader: &mut FrameReader<impl AsyncRead + Unpin + Send>,
    rest: Vec<FromAgent>,
    kept: &Kept,
) -> Result<(), LinkError> {
    // Read when the link is known: what is committed later finds it, and is sent by itself.
    server.links.send(&hello.node_id, orders(server, hello)?);
    read_in(server, (&hello.node_id, pool), reader, rest, kept).await
}

type Hi = (Box<Hello>, Vec<FromAgent>);

async fn read_hello(
    reader: &mut FrameReader<impl AsyncRead + Unpin + Send>,
) -> Result<Hi, LinkError> {
    let Some(Frame::Messages(messages)) = reader.next::<FromAgent>().await? else {
        return Err(LinkError::NotHello);
    };
    let mut messages = messages.into_iter();
    match messages.next() {
        Some(FromAgent::Hello(hello)) => Ok((hello, messages.collect())),
        Some(
            FromAgent::Report { .. }
            | FromAgent::Files { .. }
            | FromAgent::Answer { .. }
            | FromAgent::Shell { .. }
            | FromAgent::Heartbeat { .. },
        )
        | None => Err(LinkError::NotHello),
    }
}

/// The version of the messages that both sides speak. Only who proves itself is told that there
/// is none: for its node that has consequences.
fn prove_and_agree(server: &Server, hello: &Hello) -> Result<u32, LinkError> {
    let node = server.store.read(|view| view.node(&hello.node_id))?;
    if !node.is_some_and(|it| proves(hello, &it.secret)) {
        return Err(LinkError::Unknown(hello.node_id.clone()));
    }
    agree(hello.protocol, &hello.agent_version).map_err(LinkError::Protocol)
}

/// Ends an agent with which this server can not speak: its end is seen, and its node is started
/// again with another.
async fn refuse(
    server: &Server,
    node_id: &str,
    writer: impl AsyncWrite + Unpin + Send,
    reason: String,
) -> Result<(), LinkError> {
    warn!(node_id, reason, "an agent is replaced");
    let mut writer = FrameWriter::new(writer);
    writer.messages(&[ToAgent::Refused { reason: reason.clone() }])?;
    // It may be too old to understand; it ends all the same.
    let told = clock::within(HELLO_TIMEOUT, writer.flush()).await;
    server.provisioner.kill(node_id);
    told.map_err(|_elapsed| LinkError::Silent)??;
    Err(LinkError::Protocol(reason))
}

/// Takes an agent in, if it is the one that was started for its node; tells its pool.
async fn admit(server: &Arc<Server>, hello: &Hello) -> Result<MeteredPool, LinkError> {
    let hello = hello.clone();
    let (pool, outbox) = server
        .store
        .write(move |tx| {
            let Some(node) = tx.node(&hello.node_id)?.filter(|it| proves(&hello, &it.secret))
            else {
                return Err(LinkError::Unknown(hello.node_id));
            };
            let now = clock::now();
            let pool = tx.pool_by_key(node.pool_key)?;
            let Some(pool) = pool else { return Err(LinkError::Unknown(hello.node_id)) };
            let mut life = node.life.clone();
            let mut outbox = Outbox::default();
            if life.incarnation.as_ref() != Some(&hello.incarnation) {
                reports::lose_tasks(tx, &node.id, &mut life, now, &mut outbox)?;
                let arrived =
                    |waits_for_start_task| NodeFact::AgentArrived { waits_for_start_task };
                life = reports::begin_boot(tx, &node, &pool, &life, arrived, now)?;
                if life.boot != node.life.boot {
                    life.incarnation = Some(hello.incarnation);
                    life.agent_version = Some(hello.agent_version);
                }
            }
            if life.pending == Some(Pending::Turn) {
                // An operation that only waited for the agent.
                tx.announce(Change::PoolSize { pool_key: pool.key });
            }
            reports::keep_node(tx, &node, &life)?;
            Ok((pool_usage::named(&pool, &kept::pool_spec(&pool)?), outbox))
        })
        .await?;
    outbox.send(server);
    Ok(pool)
}

/// What an agent must be told to be as the state says.
fn orders(server: &Server, hello: &Hello) -> Result<Vec<ToAgent>, LinkError> {
    server.store.read(|view| {
        let Some(node) = view.node(&hello.node_id)? else { return Ok(Vec::new()) };
        let Some(pool) = view.pool_by_key(node.pool_key)? else { return Ok(Vec::new()) };
        if !node.life.wants_agent() {
            return Ok(vec![ToAgent::Leave]);
        }
        let mut messages = vec![prepare(server, &pool, &node)?];
        if node.life.pending == Some(Pending::RetainedData) {
            messages.push(ToAgent::AwaitRetention);
        }
        let tasks = view.tasks_of_node(&node.id)?;
        let mut others = preparation::orders(view, &node)?;
        others.extend(gang::orders(view, &node.id)?);
        for attempt in &hello.running {
            let is_current = tasks.iter().any(|task| is_current(task, attempt))
                || others.iter().any(|(current, _)| current == attempt);
            if !is_current {
                messages.push(ToAgent::Stop { attempt: attempt.clone() });
            }
        }
        for task in tasks {
            messages.extend(repeat(view, &task)?);
        }
        messages.extend(others.into_iter().map(|(_, run)| run));
        Ok(messages)
    })
}

/// The order to make a node ready for its latest boot.
pub fn prepare(server: &Server, pool: &Pool, node: &Node) -> Result<ToAgent, StoreError> {
    let spec = kept::pool_spec(pool)?;
    Ok(ToAgent::Prepare(Box::new(Prepare {
        boot: node.life.boot,
        start_task: kept::start_task_spec(node)?,
        environment: server.environment_of(&pool.account),
        is_dedicated: node.life.is_dedicated,
        task_slots: node.life.slots,
        containers: spec.containers().cloned(),
        mounts: spec.mount_configuration.into_iter().filter_map(Mount::wanted).collect(),
        user_accounts: spec.user_accounts,
        packages: spec.application_package_references.into_iter().map(Package::wanted).collect(),
        certificates: node.life.certificates.iter().map(NodeCertificate::wanted).collect(),
    })))
}

/// The command of a task's current run once more: an agent that has it ignores it.
fn repeat(view: &View<'_>, task: &Task) -> Result<Option<ToAgent>, StoreError> {
    let Some(job) = view.job_by_key(task.job_key)? else { return Ok(None) };
    let Ok(spec) = kept::job_spec(&job) else { return Ok(None) };
    Ok(crate::dispatch::run_message(&job, &spec, task))
}

fn is_current(task: &Task, attempt: &AttemptId) -> bool {
    *attempt == AttemptId::of(task) && task.life.state != TaskState::Completed
}

/// Compares in constant time, so that a secret can not be guessed byte by byte.
fn proves(hello: &Hello, secret: &str) -> bool {
    let (said, known) = (hello.link_secret.as_bytes(), secret.as_bytes());
    said.len() == known.len() && said.iter().zip(known).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

async fn write_out(
    server: &Server,
    account: &str,
    mut writer: FrameWriter<impl AsyncWrite + Unpin + Send>,
    mut inbox: mpsc::Receiver<ToAgent>,
    kept: &Kept,
) -> Result<(), LinkError> {
    let mut told = 0;
    loop {
        let mut messages = Vec::new();
        tokio::select! {
            biased;
            first = inbox.recv() => match first {
                Some(first) => messages.push(first),
                None => return Ok(()),
            },
            () = kept.is_due(told) => {}
        }
        while messages.len() < 1024
            && let Ok(next) = inbox.try_recv()
        {
            messages.push(next);
        }
        if let Some(acknowledged) = kept.more_than(told) {
            messages.push(ToAgent::Acknowledge { acknowledged });
            told = acknowledged;
        }
        for message in &mut messages {
            node_files::open(server, account, message)?;
        }
        writer.messages(&messages)?;
        if inbox.is_empty() || writer.pending_bytes() > WRITE_BYTES {
            writer.flush().await?;
        }
    }
}

async fn read_in(
    server: &Arc<Server>,
    node: (&str, &MeteredPool),
    reader: &mut FrameReader<impl AsyncRead + Unpin + Send>,
    rest: Vec<FromAgent>,
    kept: &Kept,
) -> Result<(), LinkError> {
    take_messages(server, node, rest, kept).await?;
    loop {
        let frame = clock::within(server.config.heartbeat_deadline, reader.next())
            .await
            .map_err(|_elapsed| LinkError::Silent)??;
        match frame {
            None => return Ok(()),
            Some(Frame::Messages(messages)) => {
                take_messages(server, node, messages, kept).await?;
            }
            Some(Frame::File { stream, bytes }) => server.links.streams.bytes(stream, bytes),
        }
    }
}

/// Takes in what came in one frame: its reports share a commit.
async fn take_messages(
    server: &Arc<Server>,
    (node_id, pool): (&str, &MeteredPool),
    messages: Vec<FromAgent>,
    kept: &Kept,
) -> Result<(), LinkError> {
    let mut batch: Vec<Report> = Vec::new();
    let mut last = 0;
    for message in messages {
        match message {
            FromAgent::Report { number, report } => {
                last = number;
                if reports::is_kept(&report) {
                    batch.push(*report);
                }
            }
            FromAgent::Files { stream, answer } => server.links.streams.answer(stream, answer),
            FromAgent::Answer { number, answer } => server.links.requests.answer(number, answer),
            FromAgent::Shell { shell, message } => server.links.shells.hear(shell, message),
            FromAgent::Heartbeat { measured } => {
                if let Some(measured) = measured {
                    server.samples.measured(node_id, measured);
                    server.measured.add(pool, node_id, measured);
                }
            }
            FromAgent::Hello(_) => debug!(node_id, "a second hello was ignored"),
        }
    }
    if last == 0 {
        return Ok(());
    }
    if !batch.is_empty() {
        server.links.keep(node_id, batch).await?;
    }
    kept.set(last);
    Ok(())
}
