//! A real agent on a real kernel.
#![expect(clippy::panic, clippy::indexing_slicing, reason = "a test may")]

/// Runs each test once for a node kept apart and once for a plain one.
macro_rules! on_each_kind {
    ($($name:ident),+ $(,)?) => {
        mod namespaces {
            $(#[tokio::test] async fn $name() { Box::pin(super::$name("namespaces")).await; })+
        }
        mod plain {
            $(#[tokio::test] async fn $name() { Box::pin(super::$name("plain")).await; })+
        }
    };
}

mod certificates;
mod containers;
mod figures;
mod job;
mod limits;
mod mounts;
mod node;
mod ordinary;
mod output;
mod packages;
mod request;
mod resource;
mod rig;
mod users;
