//! Loops that compare what is wanted with what is there, and act.
//!
//! None takes more than a key from what woke it: it reads the truth again, so that there is
//! one path for "just happened", "after a restart" and "tried again".

mod autoscale;
mod certificate;
mod deadlines;
mod dependents;
mod job_end;
mod job_schedule;
mod kept_files;
mod nodes;
mod pool_size;
mod spot;
mod unheard;

pub use autoscale::run as autoscale;
pub use certificate::run as certificate;
pub use dependents::run as dependents;
pub use job_end::run as job_end;
pub use job_schedule::run as job_schedule;
pub use kept_files::{recover_kept, run as kept_files};
pub use nodes::{recover, run as nodes};
pub use pool_size::run as pool_size;
pub use spot::run as spot;
pub use unheard::{Unheard, run as unheard};
