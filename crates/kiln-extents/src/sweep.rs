//! Removing files that no commit names.

use std::fs;
use std::io;
use std::path::Path;

use crate::{ExtentFailure, Extents, FileId};

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
    pub fn sweep<E>(
        &self,
        mut which_are_unnamed: impl FnMut(&[FileId]) -> Result<Vec<FileId>, E>,
    ) -> Result<Swept, E>
    where
        E: From<ExtentFailure>,
    {
        let mut swept = Swept::default();
        for run in runs(self.root())?.into_iter().filter(|run| *run < self.inner.run) {
            let run_dir = self.root().join(run.to_string());
            for bucket in numbered_entries(&run_dir)? {
                let bucket_dir = run_dir.join(bucket.to_string());
                let ids: Vec<FileId> = numbered_entries(&bucket_dir)?
                    .into_iter()
                    .map(|sequence| FileId::new(run, sequence))
                    .collect();
                swept.n_seen += count(&ids);
                let unnamed = which_are_unnamed(&ids)?;
                swept.n_removed += count(&unnamed);
                let is_all = unnamed.len() == ids.len();
                for id in self.inner.pins.doom(unnamed) {
                    self.unlink(id);
                }
                if is_all {
                    remove_if_empty(&bucket_dir);
                }
            }
            remove_if_empty(&run_dir);
        }
        Ok(swept)
    }
}

/// The runs that have a directory, in order.
pub(crate) fn runs(root: &Path) -> Result<Vec<u64>, ExtentFailure> {
    numbered_entries(root)
}

/// The entries of a directory whose names are numbers, in order; none if it is gone.
fn numbered_entries(directory: &Path) -> Result<Vec<u64>, ExtentFailure> {
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
