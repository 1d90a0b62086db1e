//! What users read when they look for their output files.

use std::fs::File;
use std::io::{self, Write as _};

use kiln_domain::batch::task::FailureInfo;
use serde_json::json;

use crate::clock;
use crate::node_init::message::UserId;
use kiln_files::Directory;

/// Permission bits of the logs.
const MODE: u32 = 0o644;

/// The two logs of the uploads of a task: what was done, and what failed.
#[derive(Debug)]
pub(crate) struct Log {
    done: File,
    failed: File,
}

impl Log {
    /// Makes both anew in the directory of the task.
    pub(crate) fn create(directory: &Directory, owner: Option<UserId>) -> io::Result<Self> {
        Ok(Self {
            done: directory.create_log("fileuploadout.txt", owner, MODE)?,
            failed: directory.create_log("fileuploaderr.txt", owner, MODE)?,
        })
    }

    /// Something was done.
    pub(crate) fn note(&self, text: &str) {
        // A log on a full disk helps nobody, and changes nothing.
        let _written = writeln!(&self.done, "{} {text}", clock::now().to_iso());
    }

    /// Something failed.
    pub(crate) fn failure(&self, why: &FailureInfo, pattern: &str, path: &str, container: &str) {
        let details: Vec<&str> = why.details.iter().map(|detail| detail.value.as_str()).collect();
        let line = json!({
            "code": why.code, "message": why.message, "details": details,
            "pattern": pattern, "file": path, "destination": container,
        });
        let _written = writeln!(&self.failed, "{line}");
    }
}
