//! The machines of nodes: which agents live, and their ends.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use kiln_clock::pause;
use kiln_provision::{Exit, ProvisionError, Provisioner, Starting};
use kiln_wire::node::NodeConfig;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::agent;
use crate::world::{World, lock};

/// Time for which a start waits for the end of an earlier agent.
const LOCK_WAITED_FOR: Duration = Duration::from_secs(2);

/// All machines of a run, by node.
#[derive(Debug, Default)]
pub(crate) struct Machines(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    nodes: BTreeMap<String, Machine>,
    last_pid: i32,
}

/// One machine, which has a directory.
#[derive(Debug, Default)]
struct Machine {
    process: Option<Process>,
    /// Whether an agent made the node there before.
    has_files: bool,
}

#[derive(Debug)]
struct Process {
    pid: i32,
    handle: Option<AbortHandle>,
}

impl Machines {
    /// The nodes whose agents live.
    pub(crate) fn living(&self) -> Vec<String> {
        let state = lock(&self.0);
        let alive = state.nodes.iter().filter(|(_, machine)| machine.process.is_some());
        alive.map(|(node_id, _)| node_id.clone()).collect()
    }

    /// Whether the node has files that an agent made; it has from now on.
    pub(crate) fn take_files(&self, node_id: &str) -> bool {
        let mut state = lock(&self.0);
        let machine = state.nodes.get_mut(node_id);
        machine.is_some_and(|it| std::mem::replace(&mut it.has_files, true))
    }

    fn pid(&self, node_id: &str) -> Option<i32> {
        let state = lock(&self.0);
        Some(state.nodes.get(node_id)?.process.as_ref()?.pid)
    }
}

/// Kills the agent of a node.
pub(crate) fn kill(world: &Arc<World>, node_id: &str) {
    let Some(pid) = world.machines.pid(node_id) else { return };
    world.note(&format!("agent {pid} is killed"));
    ended(world, node_id, pid);
}

/// An agent has ended, by itself or not: what ran there is gone.
fn ended(world: &Arc<World>, node_id: &str, pid: i32) {
    let process = {
        let mut state = lock(&world.machines.0);
        let machine = state.nodes.get_mut(node_id);
        machine.and_then(|it| it.process.take_if(|process| process.pid == pid))
    };
    let Some(process) = process else { return };
    if let Some(handle) = process.handle {
        handle.abort();
    }
    let (telling, node_id) = (Arc::clone(world), node_id.to_owned());
    world.spawn(async move {
        pause(telling.chance.ms(0, 30)).await;
        if let Some(life) = telling.life() {
            life.tell_of(Exit { node_id, pid }).await;
        }
    });
}

/// Starts agents for one life of the server.
#[derive(Debug)]
pub(crate) struct Starter {
    world: Weak<World>,
    exits: mpsc::Sender<Exit>,
    /// Processes whose ends are told.
    watched: Mutex<BTreeSet<i32>>,
}

impl Starter {
    pub(crate) fn new(world: &Arc<World>, exits: mpsc::Sender<Exit>) -> Self {
        Self { world: Arc::downgrade(world), exits, watched: Mutex::default() }
    }

    /// Tells of the end of an agent, if it was started or adopted here.
    pub(crate) async fn tell_of(&self, exit: Exit) {
        if lock(&self.watched).remove(&exit.pid) {
            // A server that ends does not mind.
            drop(self.exits.send(exit).await);
        }
    }

    async fn start_here(&self, node_id: &str, config: &[u8]) -> io::Result<()> {
        let world = self.world.upgrade().ok_or(io::ErrorKind::NotFound)?;
        let config: NodeConfig = serde_json::from_slice(config)?;
        let mut waited = Duration::ZERO;
        while world.machines.pid(node_id).is_some() {
            if waited > LOCK_WAITED_FOR {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let look = world.chance.ms(15, 25);
            waited += look;
            pause(look).await;
        }
        lock(&world.machines.0).nodes.entry(node_id.to_owned()).or_default();
        pause(world.chance.ms(0, 5)).await;
        if world.faults.happens(&world.chance, world.faults.failed_start) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let pid = {
            let mut state = lock(&world.machines.0);
            state.last_pid += 1;
            let pid = state.last_pid;
            if let Some(machine) = state.nodes.get_mut(node_id) {
                machine.process = Some(Process { pid, handle: None });
            }
            pid
        };
        lock(&self.watched).insert(pid);
        world.note(&format!("agent {pid} starts"));
        let (running, node_id) = (Arc::clone(&world), node_id.to_owned());
        let name = node_id.clone();
        let handle = agent::spawn(&world, config, pid, move || ended(&running, &name, pid));
        if let Some(process) = lock(&world.machines.0)
            .nodes
            .get_mut(&node_id)
            .and_then(|it| it.process.as_mut())
            .filter(|it| it.pid == pid)
        {
            process.handle = Some(handle);
        }
        Ok(())
    }
}

impl Provisioner for Starter {
    fn directory_of(&self, node_id: &str) -> PathBuf {
        PathBuf::from("/nowhere").join(node_id)
    }

    fn start<'s>(&'s self, node_id: &'s str, config: &'s [u8]) -> Starting<'s> {
        Box::pin(async move {
            self.start_here(node_id, config).await.map_err(|cause| ProvisionError::Start {
                node_id: node_id.to_owned(),
                program: PathBuf::from("agent"),
                cause,
            })
        })
    }

    fn adopt(&self, node_id: &str) -> bool {
        let Some(world) = self.world.upgrade() else { return false };
        let Some(pid) = world.machines.pid(node_id) else { return false };
        lock(&self.watched).insert(pid);
        true
    }

    fn is_alive(&self, node_id: &str) -> bool {
        self.world.upgrade().is_some_and(|world| world.machines.pid(node_id).is_some())
    }

    fn has_another(&self, node_id: &str, pid: i32) -> bool {
        let living = self.world.upgrade().and_then(|world| world.machines.pid(node_id));
        living.is_some_and(|living| living != pid)
    }

    fn kill(&self, node_id: &str) {
        if let Some(world) = self.world.upgrade() {
            kill(&world, node_id);
        }
    }

    fn remove_directory(&self, node_id: &str) -> Result<(), ProvisionError> {
        if let Some(world) = self.world.upgrade() {
            let mut state = lock(&world.machines.0);
            // A living agent keeps what it has open.
            match state.nodes.get_mut(node_id) {
                Some(machine) if machine.process.is_some() => machine.has_files = false,
                Some(_) => drop(state.nodes.remove(node_id)),
                None => {}
            }
        }
        Ok(())
    }

    fn has_agents(&self) -> bool {
        self.world.upgrade().is_some_and(|world| !world.machines.living().is_empty())
    }

    fn directories(&self) -> Vec<String> {
        let Some(world) = self.world.upgrade() else { return Vec::new() };
        lock(&world.machines.0).nodes.keys().cloned().collect()
    }
}
