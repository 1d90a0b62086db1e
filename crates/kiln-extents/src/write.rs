//! Writing one extent to a file.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use fast_md5::Md5;
use futures_util::FutureExt as _;
use tokio::task::JoinHandle;

use crate::lane::{Batch, Lane, Work};
use crate::{ExtentFailure, Extents, FileId, Kept, unlink};

/// Bytes that go to the disk in one call. Calls begin at multiples of it, so that the kernel
/// keeps them in few large pieces.
const BATCH_BYTES: usize = 1024 * 1024;
/// Bytes written after which a flush begins beside the writing. Left to itself the kernel keeps
/// all of a large extent for the flush at its end, and the disk does nothing until then.
const FLUSH_BYTES: u64 = 16 * 1024 * 1024;

/// An extent being written: bytes are hashed and written beside the caller and beside each
/// other, and the caller waits only when one of the two is some batches behind. A large extent
/// is flushed while it comes.
#[derive(Debug)]
pub(crate) struct FileUpload {
    extents: Extents,
    path: PathBuf,
    id: FileId,
    batch: Vec<Bytes>,
    batch_bytes: usize,
    size_bytes: u64,
    hash: Lane<Md5>,
    sink: Lane<Sink>,
    unkept: Option<Unkept>,
}

/// The file that the bytes go to.
#[derive(Debug)]
struct Sink {
    path: PathBuf,
    file: Option<Arc<File>>,
    unflushed_bytes: u64,
    flushing: Option<JoinHandle<io::Result<()>>>,
    unkept: Option<Unkept>,
}

/// A file that is unlinked on drop. It goes with the sink, so that a batch which outlives its
/// upload takes the file along.
#[derive(Debug)]
struct Unkept {
    path: PathBuf,
    is_kept: bool,
}

impl Drop for Unkept {
    fn drop(&mut self) {
        if !self.is_kept {
            unlink(&self.path);
        }
    }
}

impl FileUpload {
    pub(crate) fn new(extents: Extents, path: PathBuf, id: FileId) -> Self {
        Self {
            extents,
            id,
            batch: Vec::new(),
            batch_bytes: 0,
            size_bytes: 0,
            hash: Lane::new(&path, Md5::new()),
            sink: Lane::new(&path, Sink::new(&path)),
            unkept: None,
            path,
        }
    }

    /// Takes the next bytes.
    pub(crate) async fn write(&mut self, mut bytes: Bytes) -> Result<(), ExtentFailure> {
        self.size_bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        while self.batch_bytes + bytes.len() >= BATCH_BYTES {
            self.batch.push(bytes.split_to(BATCH_BYTES - self.batch_bytes));
            self.end_batch().await?;
        }
        if !bytes.is_empty() {
            self.batch_bytes += bytes.len();
            self.batch.push(bytes);
        }
        Ok(())
    }

    /// Bytes taken so far.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Writes what is left and makes file and directory durable. The caller names the extent
    /// in a commit and then calls [`FileUpload::keep`].
    pub(crate) async fn finish(&mut self) -> Result<Kept, ExtentFailure> {
        self.end_batch().await?;
        let mut sink = self.sink.finish().await?;
        sink.flushed().await?;
        let (id, extents) = (self.id, self.extents.clone());
        let closing = tokio::task::spawn_blocking(move || {
            sink.flush()?;
            extents.sync_directories(id)?;
            Ok(sink.unkept.take())
        });
        let md5 = self.hash.finish().await?.finalize();
        let closed = closing.await;
        self.unkept = closed.map_err(|cause| ExtentFailure::stopped(&self.path, cause))??;
        Ok(Kept { id: self.id, size_bytes: self.size_bytes, md5 })
    }

    /// Leaves the bytes on the disk: a commit names them now.
    pub(crate) fn keep(mut self) {
        if let Some(unkept) = &mut self.unkept {
            unkept.is_kept = true;
        }
    }

    async fn end_batch(&mut self) -> Result<(), ExtentFailure> {
        let batch: Batch = std::mem::take(&mut self.batch).into();
        self.batch_bytes = 0;
        self.hash.push(Arc::clone(&batch)).await?;
        self.sink.push(batch).await
    }
}

impl Sink {
    fn new(path: &Path) -> Self {
        let path = path.to_owned();
        Self { path, file: None, unflushed_bytes: 0, flushing: None, unkept: None }
    }

    /// The file, which is made when it is first asked for.
    fn file(&mut self) -> Result<Arc<File>, ExtentFailure> {
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(create(&self.path)?);
        self.unkept = Some(Unkept { path: self.path.clone(), is_kept: false });
        self.file = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Begins to flush what is written, when that is enough and the last flush has ended.
    fn flush_ahead(&mut self, file: Arc<File>) -> Result<(), ExtentFailure> {
        let is_under_way = self.flushing.as_ref().is_some_and(|it| !it.is_finished());
        if is_under_way || self.unflushed_bytes < FLUSH_BYTES {
            return Ok(());
        }
        // It has ended, so nobody waits here.
        self.flushed().now_or_never().transpose()?;
        self.unflushed_bytes = 0;
        self.flushing = Some(tokio::task::spawn_blocking(move || file.sync_data()));
        Ok(())
    }

    /// Waits for the flush under way. The kernel tells of a write that failed only once, so
    /// whoever flushes must hear of it here.
    async fn flushed(&mut self) -> Result<(), ExtentFailure> {
        let Some(flushing) = self.flushing.take() else { return Ok(()) };
        let flushed = flushing.await.map_err(|cause| ExtentFailure::stopped(&self.path, cause))?;
        flushed.map_err(|cause| ExtentFailure::new("sync", &self.path, cause))
    }

    /// Makes what was written since the last flush durable. Blocks the thread.
    fn flush(&mut self) -> Result<(), ExtentFailure> {
        let synced = self.file()?.sync_data();
        synced.map_err(|cause| ExtentFailure::new("sync", &self.path, cause))
    }
}

impl Work for Sink {
    fn take(&mut self, batch: &[Bytes]) -> Result<(), ExtentFailure> {
        let file = self.file()?;
        let n_bytes: usize = batch.iter().map(Bytes::len).sum();
        write_all(&file, batch).map_err(|cause| ExtentFailure::new("write", &self.path, cause))?;
        self.unflushed_bytes += u64::try_from(n_bytes).unwrap_or(u64::MAX);
        self.flush_ahead(file)
    }
}

/// Writes all pieces, together in few calls.
fn write_all(mut file: &File, batch: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = batch.iter().map(|bytes| IoSlice::new(bytes)).collect();
    let mut left = slices.as_mut_slice();
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        match file.write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => IoSlice::advance_slices(&mut left, n),
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(())
}

fn create(path: &Path) -> Result<File, ExtentFailure> {
    let open = || File::options().write(true).create_new(true).open(path);
    let opened = match open() {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            let bucket = path.parent().unwrap_or(path);
            std::fs::create_dir_all(bucket)
                .map_err(|cause| ExtentFailure::new("create the directory", bucket, cause))?;
            open()
        }
        result => result,
    };
    opened.map_err(|cause| ExtentFailure::new("create", path, cause))
}

pub(crate) fn sync_directory(path: &Path) -> Result<(), ExtentFailure> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|cause| ExtentFailure::new("sync the directory", path, cause))
}
