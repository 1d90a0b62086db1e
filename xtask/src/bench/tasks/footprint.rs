//! What Kiln takes without work, and how soon it and its nodes are there.

use std::time::Duration;

use super::kiln::{Kiln, until};
use super::{Setting, now, pause, process};

const MIB: f64 = 1024.0 * 1024.0;
/// Time after which a Kiln that was given nothing to do has nothing to do.
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// Pause between two looks at a pool that is being deleted.
const LOOK_EACH: Duration = Duration::from_millis(20);

/// What Kiln takes.
#[derive(Clone, Debug)]
pub(super) struct Footprint {
    pub(super) ready_ms: f64,
    pub(super) program_mib: f64,
    /// Memory of the server, of an agent and of a node's first process.
    pub(super) memory_mib: [f64; 3],
    /// Parts in a thousand of one processor that all three take without work.
    pub(super) idle_permille: f64,
    /// How often any of their threads is woken in a second.
    pub(super) wakes_per_second: f64,
    /// From the request to a node that takes tasks.
    pub(super) node_ms: f64,
    /// The same for many nodes at once, and until they are gone again.
    pub(super) n_nodes: usize,
    pub(super) nodes_s: f64,
    pub(super) nodes_gone_s: f64,
}

/// Measures a Kiln that was just started; leaves it with the pool `one`.
pub(super) fn measure(kiln: &Kiln, setting: &Setting<'_>) -> Result<Footprint, String> {
    let extent = setting.extent;
    let program = std::fs::metadata(&setting.kiln).map_err(|cause| cause.to_string())?;
    let node = kiln.add_pool("one", 1, extent.n_slots)?;
    pause(SETTLED_AFTER);
    let pids = kiln.processes();
    let [server, agent, init] = pids.as_slice() else {
        return Err(format!("a server, an agent and a first process, not {pids:?}"));
    };
    let memory_mib = [server, agent, init].map(|pid| process::memory_mib(*pid, "VmRSS:"));
    let spent = || {
        let each = pids.iter().map(|pid| process::activity(*pid));
        each.fold((0.0, 0.0), |(us, n), (more_us, more)| (us + more_us, n + more))
    };
    let (before_us, n_before) = spent();
    pause(extent.idle_for);
    let (after_us, n_after) = spent();
    let idle_s = extent.idle_for.as_secs_f64();
    let nodes = kiln.add_pool("many", extent.n_nodes, 1)?;
    let begun_at = now();
    let mut batch = kiln.connect()?;
    batch.delete("/pools/many")?;
    until(LOOK_EACH, || match batch.get("/pools/many") {
        Ok(_) => Ok(None),
        Err(why) if why.contains("status 404") => Ok(Some(())),
        Err(why) => Err(why),
    })?;
    Ok(Footprint {
        ready_ms: kiln.ready_in.as_secs_f64() * 1000.0,
        program_mib: program.len() as f64 / MIB,
        memory_mib,
        idle_permille: (after_us - before_us) / idle_s / 1000.0,
        wakes_per_second: (n_after - n_before) / idle_s,
        node_ms: node.as_secs_f64() * 1000.0,
        n_nodes: extent.n_nodes,
        nodes_s: nodes.as_secs_f64(),
        nodes_gone_s: begun_at.elapsed().as_secs_f64(),
    })
}
