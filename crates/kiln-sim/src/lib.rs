//! Runs the real server, the real scheduler and what real agents decide, in one thread and under
//! a false clock: a run depends on nothing but its seed.
//!
//! [`run`] plays one schedule: clients ask, the server crashes in the middle of commits, agents
//! die, connections break, stand still and lose what is under way, disks are slow and full,
//! clocks are set. After each commit the state is held against a model of what may be so; when
//! nothing goes wrong any more, all that was begun must come to its end.

mod agent;
mod attempt;
mod chance;
mod client;
mod clock;
mod faults;
mod job_schedule;
mod life;
mod log;
mod machines;
mod model;
mod network;
mod schedule;
mod script;
mod start_task;
mod trace;
mod world;

pub use faults::Lie;
pub use model::all_states;
pub use schedule::{Options, Outcome, RunError, run};
