//! The server: HTTP edge, dispatch, reconcilers, node link.

pub mod accounts;
pub mod blob;
pub mod clock;
pub mod http;
