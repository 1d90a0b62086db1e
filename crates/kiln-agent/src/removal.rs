//! Removes the directories of tasks.
//!
//! A directory leaves its place at once, so that a task of the same name may begin anew there;
//! what was in it goes beside the loop, however much that is.

use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::renameat;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::directory::{Directory, is_below};

/// Directories that are emptied at once.
const AT_ONCE_MAX: usize = 2;

/// Directories on their way out.
#[derive(Debug)]
pub(crate) struct Removal {
    /// Where they go first: beside the node's root, out of its sight.
    place: PathBuf,
    n_moved: u64,
    room: Arc<Semaphore>,
    work: JoinSet<()>,
}

impl Removal {
    /// Removes from the node in `directory`.
    pub(crate) fn new(directory: &Path) -> Self {
        let room = Arc::new(Semaphore::new(AT_ONCE_MAX));
        Self { place: directory.join("removed"), n_moved: 0, room, work: JoinSet::new() }
    }

    /// Removes the directory of a task below the node's root.
    pub(crate) fn remove(&mut self, root: &Directory, path: &str) {
        while self.work.try_join_next().is_some() {}
        let path = path.trim_end_matches('/');
        if !path.starts_with("workitems/") || !is_below(path) {
            tracing::warn!(path, "not the directory of a task");
            return;
        }
        let moved = match self.take_away(root, path) {
            Ok(moved) => moved,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                tracing::warn!(path, %error, "failed to remove a task's files");
                return;
            }
        };
        let room = Arc::clone(&self.room);
        self.work.spawn(async move {
            // Never closed.
            let Ok(_room) = room.acquire_owned().await else { return };
            let emptied = tokio::task::spawn_blocking(move || fs::remove_dir_all(moved)).await;
            if let Err(error) = emptied.map_err(io::Error::other).and_then(|emptied| emptied) {
                tracing::warn!(%error, "failed to remove a task's files");
            }
        });
    }

    fn take_away(&mut self, root: &Directory, path: &str) -> io::Result<PathBuf> {
        let (above, name) = root.parent(path)?;
        fs::create_dir_all(&self.place)?;
        // What an earlier agent did not come to is still there.
        let moved = loop {
            self.n_moved += 1;
            let moved = self.place.join(self.n_moved.to_string());
            if !moved.exists() {
                break moved;
            }
        };
        renameat(above.as_fd(), name, rustix::fs::CWD, &moved)?;
        Ok(moved)
    }

    /// Stops; what is left goes with the node.
    pub(crate) async fn end(&mut self) {
        self.work.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Removal;
    use crate::directory::Directory;

    #[tokio::test]
    async fn a_directory_leaves_its_place_at_once() {
        let node = tempfile::tempdir().expect("a directory");
        let task = node.path().join("tasks/workitems/j/job-1/t");
        fs::create_dir_all(task.join("wd")).expect("made");
        fs::write(task.join("wd/file"), "old").expect("written");
        fs::write(node.path().join("kept"), "kept").expect("written");
        let root = Directory::open_root(&node.path().join("tasks")).expect("opened");
        let mut removal = Removal::new(node.path());
        removal.remove(&root, "workitems/j/job-1/t");
        assert!(!task.exists());
        fs::create_dir(&task).expect("its place is free");
        for other in ["workitems/j/job-1/none", "startup", "workitems/../../kept", "workitems/"] {
            removal.remove(&root, other);
        }
        while removal.work.join_next().await.is_some() {}
        assert!(task.exists() && node.path().join("kept").exists());
        assert_eq!(fs::read_dir(node.path().join("removed")).expect("made").count(), 0);
    }
}
