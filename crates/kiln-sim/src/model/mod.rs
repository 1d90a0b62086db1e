//! What must be so in every run, whatever goes wrong: looked at after each commit, before
//! anybody is told of it.
//!
//! [`expected`] is what clients were told, [`truth`] what happened on nodes, [`shadow`] what the
//! state was before; [`look`] holds the state against them.

mod expected;
mod look;
mod reached;
mod settled;
mod shadow;
mod truth;

use std::collections::BTreeSet;
use std::sync::Mutex;

use kiln_domain::batch::change::Change;
use kiln_wire::node::{AttemptId, Outcome};

use crate::world::{World, lock};
pub(crate) use expected::{Expected, Known};
pub use reached::all_states;
pub(crate) use settled::{empty, settled};

/// Commits between two looks at all there is.
const WHOLE_LOOK_EACH: u64 = 25;

/// What must be so.
#[derive(Debug, Default)]
pub(crate) struct Model(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    expected: Expected,
    truth: truth::Truth,
    shadow: shadow::Shadow,
    /// States that were reached.
    reached: BTreeSet<String>,
    n_commits: u64,
}

impl Model {
    /// Clients ask for something, or were told of it.
    pub(crate) fn expect<T>(&self, note: impl FnOnce(&mut Expected) -> T) -> T {
        note(&mut lock(&self.0).expected)
    }

    /// An attempt really ended so on a node.
    pub(crate) fn on_ended(&self, attempt: &AttemptId, node_id: &str, outcome: &Outcome) {
        lock(&self.0).truth.add(attempt, node_id, outcome);
    }

    /// Something was committed, and nobody was told yet but the server itself.
    pub(crate) fn on_committed(&self, world: &World, changes: &[Change]) {
        let mut state = lock(&self.0);
        let looked = look::at_changes(&mut state, world, changes);
        drop(state);
        if let Err(broken) = looked {
            world.breaks(broken);
        }
    }

    /// Looks at all there is, now and then.
    pub(crate) fn look(&self, world: &World) {
        let mut state = lock(&self.0);
        state.n_commits += 1;
        if state.n_commits % WHOLE_LOOK_EACH != 1 {
            return;
        }
        let looked = look::at_all(&mut state, world);
        drop(state);
        if let Err(broken) = looked {
            world.breaks(broken);
        }
    }

    /// Looks at all there is.
    pub(crate) fn look_at_all(&self, world: &World) {
        let looked = look::at_all(&mut lock(&self.0), world);
        if let Err(broken) = looked {
            world.breaks(broken);
        }
    }

    /// Commits so far.
    pub(crate) fn n_commits(&self) -> u64 {
        lock(&self.0).n_commits
    }

    /// States that were reached.
    pub(crate) fn reached(&self) -> BTreeSet<String> {
        lock(&self.0).reached.clone()
    }
}
