//! What the preparation and release tasks of a job do on one node.
//!
//! A node is prepared for a job right before the first of the job's tasks runs there, and what
//! the job leaves behind is released at its end.

mod life;
mod spec;

pub use life::{
    Admission, Effect, Fact, Preparation, PreparationLife, Rules, Run, State, may_release, step,
};
pub use spec::{PreparationSpec, ReleaseSpec, admit, admit_task_id};

#[cfg(test)]
mod tests;
