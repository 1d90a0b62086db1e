//! Copies of extents, for backups: whole under their names or not there at all.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{ExtentFailure, FileId, Home, Inventory, path_of, unlink};

/// Copies that are made durable together.
const FILES_PER_FLUSH: usize = 256;
const BYTES_PER_FLUSH: u64 = 1 << 30;
/// What the name of a copy ends with that is not durable yet.
const UNFINISHED: &str = "new";

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Files that were copied now.
    pub n_files: u64,
    /// Bytes in these.
    pub n_bytes: u64,
}

/// A folder that extents are copied to.
#[derive(Debug)]
struct Target<'r> {
    root: &'r Path,
    unfinished: Vec<(PathBuf, PathBuf)>,
    unfinished_bytes: u64,
}

impl Inventory {
    /// Copies extents of these sizes to a folder, but for those that are there already; `tell`
    /// hears of the bytes of each. Blocks the thread, which must be one that a runtime lends.
    ///
    /// # Errors
    /// When one can not be read or written. Those that are there then are whole.
    pub fn copy_to(
        &self,
        root: &Path,
        wanted: &BTreeMap<FileId, u64>,
        mut tell: impl FnMut(u64),
    ) -> Result<Copied, ExtentFailure> {
        make_directory(root)?;
        let mut target = Target { root, unfinished: Vec::new(), unfinished_bytes: 0 };
        let mut copied = Copied::default();
        for (id, size_bytes) in wanted {
            let path = path_of(root, *id);
            // It never changes, and got its name when it was whole and durable.
            if !fs::metadata(&path).is_ok_and(|found| found.len() == *size_bytes) {
                let unfinished = path.with_extension(UNFINISHED);
                make_directory(path.parent().unwrap_or(root))?;
                self.copy(*id, *size_bytes, &unfinished)?;
                target.add(unfinished, path, *size_bytes)?;
                copied.n_files += 1;
                copied.n_bytes += size_bytes;
            }
            tell(*size_bytes);
        }
        target.flush()?;
        Ok(copied)
    }

    fn copy(&self, id: FileId, size_bytes: u64, to: &Path) -> Result<(), ExtentFailure> {
        let failed = |cause| ExtentFailure::new("write", to, cause);
        if let Home::Folder(root) = &self.0.inner.home {
            let from = path_of(root, id);
            let copied = fs::copy(&from, to);
            let n_bytes = copied.map_err(|cause| ExtentFailure::new("copy", &from, cause))?;
            if n_bytes == size_bytes {
                return Ok(());
            }
            let cause = io::ErrorKind::UnexpectedEof.into();
            return Err(ExtentFailure::new("copy the whole of", &from, cause));
        }
        let mut options = OpenOptions::new();
        let opened = options.write(true).create(true).truncate(true).mode(0o600).open(to);
        let mut file = opened.map_err(failed)?;
        tokio::runtime::Handle::current().block_on(async {
            let pin = Arc::new(self.0.pin(vec![id]));
            let mut reading = self.0.read(vec![(id, 0, size_bytes)], pin);
            while let Some(bytes) = reading.next().await {
                file.write_all(&bytes?).map_err(failed)?;
            }
            Ok(())
        })
    }

    /// Removes the extents of a folder that are not `wanted`: of a backup, when it holds others.
    ///
    /// # Errors
    /// When they can not be listed.
    pub fn remove_others(&self, wanted: &BTreeMap<FileId, u64>) -> Result<(), ExtentFailure> {
        let Home::Folder(root) = &self.0.inner.home else { return Ok(()) };
        for id in self.sizes()?.into_keys().filter(|id| !wanted.contains_key(id)) {
            unlink(&path_of(root, id));
        }
        Ok(())
    }
}

impl Target<'_> {
    fn add(&mut self, unfinished: PathBuf, path: PathBuf, n: u64) -> Result<(), ExtentFailure> {
        self.unfinished.push((unfinished, path));
        self.unfinished_bytes = self.unfinished_bytes.saturating_add(n);
        let is_enough =
            self.unfinished.len() >= FILES_PER_FLUSH || self.unfinished_bytes >= BYTES_PER_FLUSH;
        if is_enough { self.flush() } else { Ok(()) }
    }

    /// Makes what was written durable, and then gives it its names.
    fn flush(&mut self) -> Result<(), ExtentFailure> {
        if self.unfinished.is_empty() {
            return Ok(());
        }
        let flush = || rustix::fs::syncfs(File::open(self.root)?).map_err(io::Error::from);
        flush().map_err(|cause| ExtentFailure::new("sync", self.root, cause))?;
        for (unfinished, path) in self.unfinished.drain(..) {
            fs::rename(&unfinished, &path)
                .map_err(|cause| ExtentFailure::new("name", &path, cause))?;
        }
        self.unfinished_bytes = 0;
        Ok(())
    }
}

fn make_directory(path: &Path) -> Result<(), ExtentFailure> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|cause| ExtentFailure::new("create the directory", path, cause))
}
