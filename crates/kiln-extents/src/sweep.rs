//! Removing files that no commit names.

use std::fs;
use std::io;
use std::path::Path;

use crate::objects::Objects;
use crate::{ExtentFailure, Extents, FileId, Home, path_of, unlink};

/// Objects that are asked about at once.
const OBJECTS_PER_QUESTION: usize = 1024;

/// Which of some extents nobody names.
type Question<'q, E> = &'q mut dyn FnMut(&[FileId]) -> Result<Vec<FileId>, E>;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Files of earlier runs that were looked at.
    pub n_seen: u64,
    /// Files that were removed.
    pub n_removed: u64,
}

impl Extents {
    /// Removes files of earlier runs that `which_are_unnamed` answers with. It is asked about
    /// the files of one directory at a time, so memory stays small; files of this run are left
    /// alone, so uploads may go on meanwhile. Blocks the thread.
    ///
    /// # Errors
    /// When files can not be listed, or what `which_are_unnamed` says.
    pub fn sweep<E>(
        &self,
        mut which_are_unnamed: impl FnMut(&[FileId]) -> Result<Vec<FileId>, E>,
    ) -> Result<Swept, E>
    where
        E: From<ExtentFailure>,
    {
        match &self.inner.home {
            Home::Folder(root) => self.sweep_folder(root, &mut which_are_unnamed),
            Home::Objects(objects) => self.sweep_objects(objects, &mut which_are_unnamed),
        }
    }

    fn sweep_folder<E>(&self, root: &Path, which_are_unnamed: Question<'_, E>) -> Result<Swept, E>
    where
        E: From<ExtentFailure>,
    {
        let mut swept = Swept::default();
        for run in runs(root)?.into_iter().filter(|run| *run < self.inner.run) {
            let run_dir = root.join(run.to_string());
            for bucket in numbered_entries(&run_dir)? {
                let bucket_dir = run_dir.join(bucket.to_string());
                let ids = ids_of(run, &bucket_dir)?;
                swept.n_seen += count(&ids);
                let unnamed = which_are_unnamed(&ids)?;
                swept.n_removed += count(&unnamed);
                let is_all = unnamed.len() == ids.len();
                for id in self.allowed(self.inner.pins.doom(unnamed)) {
                    unlink(&path_of(root, id));
                }
                if is_all {
                    remove_if_empty(&bucket_dir);
                }
            }
            remove_if_empty(&run_dir);
        }
        Ok(swept)
    }

    fn sweep_objects<E>(
        &self,
        objects: &Objects,
        which_are_unnamed: Question<'_, E>,
    ) -> Result<Swept, E>
    where
        E: From<ExtentFailure>,
    {
        let mut swept = Swept::default();
        let runs = objects.wait(objects.runs())?;
        for run in runs.into_iter().filter(|run| *run < self.inner.run) {
            let found = objects.wait(objects.of_run(run))?;
            let ids: Vec<FileId> = found.into_iter().map(|(id, _)| id).collect();
            let mut n_left = ids.len();
            for some in ids.chunks(OBJECTS_PER_QUESTION) {
                let unnamed = which_are_unnamed(some)?;
                swept.n_seen += count(some);
                swept.n_removed += count(&unnamed);
                let free = self.allowed(self.inner.pins.doom(unnamed));
                n_left -= free.iter().filter(|id| some.contains(id)).count();
                objects.wait(objects.delete(free));
            }
            if n_left == 0 {
                objects.wait(objects.end_run(run));
            }
        }
        Ok(swept)
    }
}

/// The extents in one directory of a run.
pub(crate) fn ids_of(run: u64, bucket_dir: &Path) -> Result<Vec<FileId>, ExtentFailure> {
    let sequences = numbered_entries(bucket_dir)?;
    Ok(sequences.into_iter().map(|sequence| FileId::new(run, sequence)).collect())
}

/// The runs that have a directory, in order.
pub(crate) fn runs(root: &Path) -> Result<Vec<u64>, ExtentFailure> {
    numbered_entries(root)
}

/// The entries of a directory whose names are numbers, in order; none if it is gone.
pub(crate) fn numbered_entries(directory: &Path) -> Result<Vec<u64>, ExtentFailure> {
    let failed = |cause| ExtentFailure::new("list", directory, cause);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(failed(cause)),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        if let Some(number) = name.to_str().and_then(|name| name.parse().ok()) {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn remove_if_empty(directory: &Path) {
    match fs::remove_dir(directory) {
        Ok(()) => {}
        Err(cause) if cause.kind() == io::ErrorKind::DirectoryNotEmpty => {}
        Err(cause) => {
            let path = directory.display();
            tracing::warn!(%path, %cause, "an empty directory could not be removed");
        }
    }
}

fn count(ids: &[FileId]) -> u64 {
    u64::try_from(ids.len()).unwrap_or(u64::MAX)
}
