//! The server: HTTP edge, dispatch, reconcilers, node link.

pub mod clock;
pub mod http;
