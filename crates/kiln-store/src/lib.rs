//! Remembers state: SQLite with shared commits. Only this crate contains SQL; it applies no
//! rules.
//!
//! # Promises
//!
//! - An operation given to [`Store::write`] sees all operations before it and nothing of the
//!   ones after it. It runs alone.
//! - It has happened wholly (`Ok`) or not at all (`Err`): one refusal does not undo its
//!   neighbors, though they share a commit.
//! - The answer of `write` comes after the commit is on disk; a crash after it loses nothing.
//!   Of a store that is opened as [`Durability::Relaxed`] the commit is with the kernel, and on
//!   disk a moment later: the end of the process loses nothing, a power cut the last moments.
//! - What an operation announces with [`Tx::announce`] reaches the observer after the commit,
//!   in commit order, before any answer.
//! - [`Store::read`] sees all answered writes and never waits for the writer.

mod connection;
mod copy;
mod error;
mod flusher;
mod migrations;
mod rows;
mod store;
mod writer;

pub use connection::{Tx, View};
pub use copy::copy;
pub use error::StoreError;
pub use rows::account::{Account, AccountKind};
pub use rows::audit::{BlobNames, ExtentFacts, PieceName};
pub use rows::container::{ContainerKey, KeyedContainer};
pub use rows::dependency::Unmet;
pub use rows::dependency_turn::Turned;
pub use rows::extent::{ExtentPlace, ExtentUses};
pub use rows::kept_file::{KeptNode, KeptTask};
pub use rows::pool_usage::{MeteredPool, PoolInterval, PoolUsage};
pub use rows::task::{Bucket, TaskRange, WaitingTask};
pub use rows::task_count::{Count, TaskCounts};
pub use rows::usage::JobUsage;
pub use store::{Committed, Durability, Observer, Store, Watcher};
pub use writer::{ByHand, Moment};
