//! Where the agent takes the time from, and where it waits.

pub(crate) use kiln_clock::{now, pause as sleep};
