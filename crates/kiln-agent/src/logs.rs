//! What the agent and its node logged, and its way to a container of blobs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_domain::time::Timestamp;

use crate::boot::Boot;

/// Folders of the node's directory in which logs lie.
const FOLDERS: [&str; 2] = ["", "tasks/fsmounts"];
/// Files that are uploaded by one request at the most.
const FILES_MAX: usize = 256;

/// A file that was written in the time asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogFile {
    path: PathBuf,
    /// Its name below the directory of blobs.
    name: String,
}

/// The logs in the directory of a node that were written to since `from`, and begun before
/// `until`.
pub(crate) fn find(directory: &Path, from: Timestamp, until: Option<Timestamp>) -> Vec<LogFile> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        let entries = fs::read_dir(directory.join(folder)).into_iter().flatten().flatten();
        for entry in entries {
            let path = entry.path();
            let is_log = path.extension().is_some_and(|extension| extension == "log");
            let Ok(about) = entry.metadata() else { continue };
            let written_at = about.modified().map(Timestamp::from_system);
            // Not every file system tells it.
            let begun_at = about.created().map(Timestamp::from_system);
            let is_in_time = written_at.is_ok_and(|at| at >= from)
                && until.is_none_or(|until| begun_at.is_ok_and(|at| at <= until));
            if is_log && about.is_file() && is_in_time {
                let name = path.strip_prefix(directory).unwrap_or(&path).display().to_string();
                found.push(LogFile { path, name });
            }
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found.truncate(FILES_MAX);
    found
}

/// Uploads logs to a container, under names that begin with `directory`.
pub(crate) async fn upload(
    boot: Arc<Boot>,
    files: Vec<LogFile>,
    container_url: &str,
    directory: &str,
) {
    for LogFile { path, name } in files {
        let uploaded = match File::open(&path) {
            Ok(file) => {
                let blob_name = format!("{directory}/{name}");
                boot.uploader.keep(container_url, &blob_name, file).await
            }
            Err(error) => {
                tracing::warn!(%error, name, "a log can not be read");
                continue;
            }
        };
        if let Err(failure) = uploaded {
            tracing::warn!(code = failure.code, ?failure.details, name, "a log was not uploaded");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use kiln_domain::span::Span;
    use kiln_domain::time::Timestamp;

    use super::find;
    use crate::clock;

    #[test]
    fn only_logs_of_the_time_asked_for() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(directory.path().join("tasks/fsmounts/folder.log")).expect("made");
        for name in ["agent.log", "agent.lock", "tasks/fsmounts/share.log", "tasks/task.log"] {
            fs::write(directory.path().join(name), "x").expect("written");
        }
        let names = |from, until| -> Vec<String> {
            find(directory.path(), from, until).into_iter().map(|it| it.name).collect()
        };
        let now = clock::now();
        let (before, after) = (now.plus(Span::minutes(-5)), now.plus(Span::minutes(5)));
        assert_eq!(names(before, None), ["agent.log", "tasks/fsmounts/share.log"]);
        assert!(names(after, None).is_empty());
        assert!(names(Timestamp(0), Some(before)).is_empty());
    }
}
