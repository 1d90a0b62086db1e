//! The server: HTTP edge, dispatch, reconcilers, node link.
//!
//! [`start`] joins the parts. Each part is a folder or file named after what it does: the
//! two endpoints ([`batch`], [`blob`]), the engine below them ([`http`]), the loop that places
//! tasks ([`dispatch`]), the loops that bring the present closer to what is wanted
//! ([`reconcile`]), the links with agents ([`link`]), and the proxy that lets Azure's names
//! end here ([`intercept`]).

pub mod accounts;
pub mod admin;
pub mod backup;
pub mod batch;
pub mod blob;
mod certificate_file;
pub mod clock;
pub mod config;
pub mod dispatch;
mod gang;
mod hidden;
pub mod http;
pub mod intercept;
mod kept;
mod kept_files;
pub mod link;
pub mod linked_storage;
pub mod monitor;
mod node_files;
pub mod pool_usage;
mod preparation;
pub mod reconcile;
mod room;
pub mod samples;
pub mod scaling;
mod secrets;
pub mod server;
pub mod signals;
mod start;

pub use start::{Running, StartError, Starting, bring_to_life, place_of, recollect, start};

use std::error::Error;
use std::fmt;

/// Shows an error with all its causes, for logs: `the store failed: the database failed: …`.
pub(crate) fn chain(error: &dyn Error) -> impl fmt::Display + '_ {
    Chain(error)
}

struct Chain<'e>(&'e dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
