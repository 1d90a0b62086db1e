//! Lets unmodified programs reach this Kiln under Azure's own names.
//!
//! A forward proxy on loopback ([`proxy`]) ends the TLS of `ACCOUNT.blob.core.windows.net` and
//! `ACCOUNT.REGION.batch.azure.com` with certificates of a private authority ([`authority`])
//! and hands the stream to the service; everything else is tunnelled untouched. Programs find
//! both through variables ([`environment`]) that the usual runtimes honor. Nothing is ever
//! installed system-wide.

pub mod authority;
mod environment;
mod head;
pub mod host;
pub mod proxy;
mod rewound;
mod service;
pub mod trust;
pub mod upstream;

pub use authority::Authority;
pub use environment::{Published, environment};
pub use host::AzureHost;
pub use proxy::{Caught, Handlers, Proxy};
pub use rewound::Rewound;
pub use service::{Interception, InterceptionError, Surroundings};
pub use upstream::Upstream;
