//! Which task goes to which node: pure.
//!
//! A [`Board`] is a compact picture of what waits and what is free. It is built once from the
//! store, kept current by the changes of each commit, and never by scanning. [`plan`] looks at
//! it and proposes assignments; the caller checks them again when it commits them. A plan costs
//! by what it places and by what is free, not by what waits.

mod board;
mod hold;
mod job;
mod load;
mod plan;
mod pool;
mod preempt;
mod standing;

pub use board::Board;
pub use hold::Waiter;
pub use load::Load;
pub use plan::{Assignment, Plan, plan};
pub use preempt::Preemption;
pub use standing::{Fit, NodeStanding, Standing, standing};

#[cfg(test)]
mod hold_tests;
#[cfg(test)]
mod tests;
