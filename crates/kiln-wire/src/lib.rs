//! Azure on the wire: shapes, api-versions, errors, signatures, node messages.
//!
//! A pure skin: bytes and documents in, documents and bytes out. Only this crate and the
//! server's HTTP edge know that api-versions exist; behind them there is one version, the
//! newest.

pub mod api_version;
pub mod auth;
pub mod batch;
pub mod blob;
pub mod node;
