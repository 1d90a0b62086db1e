//! What bytes there are, for a check against the names of them. Changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use fast_md5::Md5;

use crate::objects::Objects;
use crate::sweep::{ids_of, numbered_entries, runs};
use crate::{ExtentFailure, Extents, FileId, Home, ObjectPlace, path_of};

/// What an extent holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// How many bytes.
    pub size_bytes: u64,
    /// Their MD5.
    pub md5: [u8; 16],
}

/// The extents of a Kiln that does not run.
#[derive(Debug)]
pub struct Inventory(pub(crate) Extents);

impl Inventory {
    /// The extents in a directory; none when it is not there.
    pub fn of_folder(root: &Path) -> Self {
        Self(Extents::at(Home::Folder(root.to_owned()), 0))
    }

    /// The extents that are objects; call it within a runtime.
    pub fn of_objects(place: &ObjectPlace) -> Self {
        Self(Extents::at(Home::Objects(Objects::new(place)), 0))
    }

    /// All extents with their sizes; those of one directory at a time. Blocks the thread.
    ///
    /// # Errors
    /// When they can not be listed.
    pub fn each(&self, mut each: impl FnMut(FileId, u64)) -> Result<(), ExtentFailure> {
        let root = match &self.0.inner.home {
            Home::Folder(root) => root,
            Home::Objects(objects) => {
                for run in objects.wait(objects.runs())? {
                    for (id, size_bytes) in objects.wait(objects.of_run(run))? {
                        each(id, size_bytes);
                    }
                }
                return Ok(());
            }
        };
        for run in runs(root)? {
            let run_dir = root.join(run.to_string());
            for bucket in numbered_entries(&run_dir)? {
                for id in ids_of(run, &run_dir.join(bucket.to_string()))? {
                    let path = path_of(root, id);
                    let told = fs::metadata(&path);
                    each(
                        id,
                        told.map_err(|cause| ExtentFailure::new("look at", &path, cause))?.len(),
                    );
                }
            }
        }
        Ok(())
    }

    /// The sizes of all extents. Blocks the thread.
    ///
    /// # Errors
    /// When they can not be listed.
    pub fn sizes(&self) -> Result<BTreeMap<FileId, u64>, ExtentFailure> {
        let mut sizes = BTreeMap::new();
        self.each(|id, size_bytes| {
            sizes.insert(id, size_bytes);
        })?;
        Ok(sizes)
    }

    /// Reads a whole extent of so many bytes.
    ///
    /// # Errors
    /// When it can not be read, or ends early.
    pub async fn digest(&self, id: FileId, size_bytes: u64) -> Result<Digest, ExtentFailure> {
        let pin = Arc::new(self.0.pin(vec![id]));
        let mut reading = self.0.read(vec![(id, 0, size_bytes)], pin);
        let mut md5 = Md5::new();
        while let Some(bytes) = reading.next().await {
            md5.update(&bytes?);
        }
        Ok(Digest { size_bytes, md5: md5.finalize() })
    }
}
