//! What users read when they wonder about a mount.

use std::fs::File;
use std::io::{self, Write as _};

use crate::clock;
use crate::node::Node;

/// Permission bits of a log.
const MODE: u32 = 0o644;
/// Bytes of a log at the most.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The log of one mount, beside the mounts.
#[derive(Debug)]
pub(crate) struct Log(File);

impl Log {
    /// Makes it anew for the mount at `path`.
    pub(super) fn create(node: &Node, path: &str) -> io::Result<Self> {
        let name = format!("fsmounts/{}.log", path.replace('/', "-"));
        Ok(Self(node.root.create_log(&name, node.accounts.root().owner, MODE)?))
    }

    /// Something happened.
    pub(crate) fn note(&self, text: &str) {
        if self.0.metadata().is_ok_and(|it| it.len() < BYTES_MAX) {
            // A log on a full disk helps nobody, and changes nothing.
            let _written = writeln!(&self.0, "{} {text}", clock::now().to_iso());
        }
    }
}
