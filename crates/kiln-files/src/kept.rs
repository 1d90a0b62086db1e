//! Files of tasks whose nodes are gone.
//!
//! What a node held of tasks is moved here as a whole, by one rename: it is either there or here.
//! Which of it is kept, and until when, is the caller's matter; here it is found, measured, cut
//! to size and taken away.

use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::Dir;

use crate::directory::{Directory, Links};
use crate::size::bytes_in;
use crate::trash::Trash;
use crate::{NODE_ROOT, WORK_ITEMS};

/// The directory of a task in which its command runs; the first to go where a task is too large.
const WORKING_DIRECTORY: &str = "wd";

/// The place for files of tasks whose nodes are gone: one directory for each end of a node.
#[derive(Debug)]
pub struct KeptFiles {
    place: PathBuf,
    trash: Arc<Trash>,
}

impl KeptFiles {
    /// Keeps in `place`; what goes is brought to `trash`.
    ///
    /// # Errors
    /// When the place can not be made.
    pub fn open(place: PathBuf, trash: Arc<Trash>) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&place)?;
        Ok(Self { place, trash })
    }

    fn directory_of(&self, key: i64) -> PathBuf {
        self.place.join(key.to_string())
    }

    /// Whether a node left directories of tasks on this machine.
    pub fn has_tasks(&self, node: &Path) -> bool {
        node.join(NODE_ROOT).join(WORK_ITEMS).is_dir()
    }

    /// Takes over, as `key`, the directories of tasks from what a node left on this machine;
    /// whether there were any.
    ///
    /// # Errors
    /// When they can not be moved.
    pub fn take_over(&self, key: i64, node: &Path) -> io::Result<bool> {
        if !self.has_tasks(node) {
            return Ok(false);
        }
        let from = node.join(NODE_ROOT).join(WORK_ITEMS);
        let directory = self.directory_of(key);
        fs::create_dir_all(&directory)?;
        fs::rename(from, directory.join(WORK_ITEMS))?;
        for moved_in in [&directory, &self.place] {
            fs::File::open(moved_in)?.sync_all()?;
        }
        Ok(true)
    }

    /// The root below which all of `key` lies, as it lay below the root of its node.
    ///
    /// # Errors
    /// When nothing is kept under that key, or it can not be opened.
    pub fn root(&self, key: i64) -> io::Result<Directory> {
        Directory::open_root(&self.directory_of(key))
    }

    /// The directories of tasks in `key`, as paths below its root, each with the id of its job
    /// and its own.
    ///
    /// # Errors
    /// When they can not be listed.
    pub fn tasks(&self, key: i64) -> io::Result<Vec<KeptTask>> {
        let root = match self.root(key) {
            Ok(root) => root,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut tasks = Vec::new();
        for job_id in directories(&root, WORK_ITEMS)? {
            let of_job = format!("{WORK_ITEMS}/{job_id}");
            for run in directories(&root, &of_job)? {
                let of_run = format!("{of_job}/{run}");
                for task_id in directories(&root, &of_run)? {
                    let path = format!("{of_run}/{task_id}");
                    tasks.push(KeptTask { job_id: job_id.clone(), task_id, path });
                }
            }
        }
        Ok(tasks)
    }

    /// Bytes of a task's directory, after it was cut to this size: first its working directory
    /// goes, then the rest. `None` when nothing of it is left.
    ///
    /// # Errors
    /// When it can not be read or cut.
    pub fn fit(&self, key: i64, path: &str, bytes_max: u64) -> io::Result<Option<u64>> {
        let root = self.root(key)?;
        let directory = match root.enter(path, Links::Refused) {
            Ok(directory) => directory,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let bytes = bytes_in(directory)?;
        if bytes <= bytes_max {
            return Ok(Some(bytes));
        }
        self.trash.take_below(&root, &format!("{path}/{WORKING_DIRECTORY}"))?;
        let bytes = bytes_in(root.enter(path, Links::Refused)?)?;
        Ok((bytes <= bytes_max).then_some(bytes))
    }

    /// Takes away the directory of a task, if it is there.
    ///
    /// # Errors
    /// When it can not be moved.
    pub fn discard(&self, key: i64, path: &str) -> io::Result<()> {
        self.trash.take(&self.directory_of(key).join(path)).map(drop)
    }

    /// Takes away all of `key`.
    ///
    /// # Errors
    /// When it can not be moved.
    pub fn discard_all(&self, key: i64) -> io::Result<()> {
        self.trash.take(&self.directory_of(key)).map(drop)
    }

    /// The keys under which something is kept.
    ///
    /// # Errors
    /// When they can not be listed.
    pub fn keys(&self) -> io::Result<Vec<i64>> {
        let names = fs::read_dir(&self.place)?.flatten().map(|entry| entry.file_name());
        Ok(names.filter_map(|name| name.to_str()?.parse().ok()).collect())
    }
}

/// The directory of a task whose node is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptTask {
    /// The id of its job, as its directory spells it.
    pub job_id: String,
    /// Its id.
    pub task_id: String,
    /// Where it lies below the root.
    pub path: String,
}

/// Names of the directories in a directory; links are none.
fn directories(root: &Directory, path: &str) -> io::Result<Vec<String>> {
    let directory = root.enter(path, Links::Refused)?;
    let mut names = Vec::new();
    for entry in Dir::read_from(directory.as_fd())? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        let is_other = matches!(name, "." | "..");
        if !is_other && directory.enter(name, Links::Refused).is_ok() {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use std::sync::Arc;

    use kiln_wire::node::{FileAnswer, FileRefusal, FileRequest};

    use super::KeptFiles;
    use crate::{Trash, answer};

    fn write(path: &Path, n_bytes: usize) {
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, vec![b'x'; n_bytes]).expect("written");
    }

    fn sample(scratch: &Path) -> KeptFiles {
        let task = scratch.join("node/tasks/workitems/j/job-1/t");
        write(&task.join("stdout.txt"), 5);
        write(&task.join("wd/large"), 100_000);
        write(&scratch.join("secret"), 6);
        symlink("../../../../../../secret", task.join("out")).expect("linked");
        symlink(scratch.join("secret"), task.join("far")).expect("linked");
        symlink(scratch, scratch.join("node/tasks/workitems/j/job-1/link")).expect("linked");
        let trash = Arc::new(Trash::open(scratch.join("trash")).expect("a place"));
        KeptFiles::open(scratch.join("kept"), trash).expect("a place")
    }

    #[test]
    fn takes_over_what_a_node_left() {
        let scratch = tempfile::tempdir().expect("a directory");
        let kept = sample(scratch.path());
        let node = scratch.path().join("node");
        assert!(kept.take_over(7, &node).expect("taken"));
        assert!(!kept.take_over(8, &node).expect("nothing is left"));
        let tasks = kept.tasks(7).expect("a list");
        assert_eq!(tasks.len(), 1, "a link is no task: {tasks:?}");
        assert_eq!((&*tasks[0].job_id, &*tasks[0].task_id), ("j", "t"));
        assert_eq!(tasks[0].path, "workitems/j/job-1/t");
        assert_eq!(kept.tasks(8).expect("a list"), []);
        kept.discard(7, &tasks[0].path).expect("taken away");
        assert_eq!(kept.tasks(7).expect("a list"), []);
        assert_eq!(kept.keys().expect("a list"), [7]);
        kept.discard_all(7).expect("taken away");
        assert_eq!(kept.keys().expect("a list"), [0_i64; 0]);
    }

    #[test]
    fn no_link_leads_out_of_what_is_kept() {
        let scratch = tempfile::tempdir().expect("a directory");
        let kept = sample(scratch.path());
        kept.take_over(1, &scratch.path().join("node")).expect("taken");
        let root = kept.root(1).expect("a root");
        let read = |name: &str| {
            let path = format!("workitems/j/job-1/t/{name}");
            answer(&root, &FileRequest::Read { path, first: 0, last: None }).map(|it| it.0)
        };
        assert!(matches!(read("stdout.txt"), Ok(FileAnswer::Bytes { length_bytes: 5, .. })));
        for link in ["out", "far", "../../../../../secret"] {
            assert_eq!(read(link), Err(FileRefusal::Outside), "{link}");
        }
    }

    #[test]
    fn a_large_task_is_cut_to_what_it_printed() {
        let scratch = tempfile::tempdir().expect("a directory");
        let kept = sample(scratch.path());
        kept.take_over(1, &scratch.path().join("node")).expect("taken");
        let path = "workitems/j/job-1/t";
        let whole = kept.fit(1, path, u64::MAX).expect("measured").expect("kept");
        assert!(whole >= 100_000, "{whole}");
        let cut = kept.fit(1, path, 50_000).expect("cut").expect("kept");
        assert!(cut < 50_000, "{cut}");
        let task = scratch.path().join("kept/1").join(path);
        assert!(task.join("stdout.txt").exists() && !task.join("wd").exists());
        assert_eq!(kept.fit(1, path, 1).expect("measured"), None);
    }
}
