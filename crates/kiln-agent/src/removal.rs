//! Removes the directories of tasks.
//!
//! A directory leaves its place at once, so that a task of the same name may begin anew there;
//! what was in it goes beside the loop, however much that is.

use std::path::Path;

use kiln_files::{Directory, Trash, WORK_ITEMS, is_below};

/// Directories on their way out.
#[derive(Debug)]
pub(crate) struct Removal {
    /// Beside the node's root, out of its sight; none where it could not be made.
    trash: Option<Trash>,
}

impl Removal {
    /// Removes from the node in `directory`, first what an earlier agent did not come to.
    pub(crate) fn new(directory: &Path) -> Self {
        let trash = Trash::open(directory.join("removed"));
        let told = trash.inspect_err(|error| {
            tracing::error!(%error, "the files of tasks will stay until the node ends");
        });
        Self { trash: told.ok() }
    }

    /// Removes the directory of a task below the node's root.
    pub(crate) fn remove(&self, root: &Directory, path: &str) {
        let path = path.trim_end_matches('/');
        let is_of_task = path.strip_prefix(WORK_ITEMS).is_some_and(|rest| rest.starts_with('/'));
        if !is_of_task || !is_below(path) {
            tracing::warn!(path, "not the directory of a task");
            return;
        }
        let Some(trash) = &self.trash else { return };
        if let Err(error) = trash.take_below(root, path) {
            tracing::warn!(path, %error, "failed to remove a task's files");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use kiln_files::Directory;

    use super::Removal;

    #[test]
    fn a_directory_leaves_its_place_at_once() {
        let node = tempfile::tempdir().expect("a directory");
        let task = node.path().join("tasks/workitems/j/job-1/t");
        fs::create_dir_all(task.join("wd")).expect("made");
        fs::write(task.join("wd/file"), "old").expect("written");
        fs::write(node.path().join("kept"), "kept").expect("written");
        let root = Directory::open_root(&node.path().join("tasks")).expect("opened");
        let removal = Removal::new(node.path());
        removal.remove(&root, "workitems/j/job-1/t");
        assert!(!task.exists());
        fs::create_dir(&task).expect("its place is free");
        for other in ["workitems/j/job-1/none", "startup", "workitems/../../kept", "workitems/"] {
            removal.remove(&root, other);
        }
        while fs::read_dir(node.path().join("removed")).expect("made").next().is_some() {
            std::thread::yield_now();
        }
        assert!(task.exists() && node.path().join("kept").exists());
    }
}
