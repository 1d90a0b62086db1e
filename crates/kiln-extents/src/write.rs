//! Writing one extent to a file.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::hash::Hash;
use crate::{ExtentFailure, Extents, FileId, Kept, unlink};

/// Bytes collected before they go to the disk in one call.
const BATCH_BYTES: usize = 512 * 1024;
/// Bytes written after which a flush begins beside the writing. Left to itself the kernel keeps
/// all of a large extent for the flush at its end, and the disk does nothing until then.
const FLUSH_BYTES: u64 = 16 * 1024 * 1024;

/// An extent being written: bytes are hashed and written beside the caller and beside each
/// other, and the caller waits only when one of the two is a whole batch behind. A large extent
/// is flushed while it comes.
#[derive(Debug)]
pub(crate) struct FileUpload {
    extents: Extents,
    path: PathBuf,
    id: FileId,
    batch: Vec<Bytes>,
    batch_bytes: usize,
    size_bytes: u64,
    hash: Hash,
    sink: Option<Sink>,
    writing: Option<JoinHandle<Result<Sink, ExtentFailure>>>,
    unflushed_bytes: u64,
    flushing: Option<JoinHandle<io::Result<()>>>,
    unkept: Option<Unkept>,
}

#[derive(Debug)]
struct Sink {
    file: Arc<File>,
    unkept: Unkept,
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
            path,
            id,
            batch: Vec::new(),
            batch_bytes: 0,
            size_bytes: 0,
            hash: Hash::new(),
            sink: None,
            writing: None,
            unflushed_bytes: 0,
            flushing: None,
            unkept: None,
        }
    }

    /// Takes the next bytes.
    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<(), ExtentFailure> {
        self.batch_bytes += bytes.len();
        self.size_bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.batch.push(bytes);
        if self.batch_bytes >= BATCH_BYTES {
            self.start_batch().await?;
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
        self.start_batch().await?;
        self.settle().await?;
        self.flushed().await?;
        let (path, sink) = (self.path.clone(), self.sink.take());
        let md5 = self.hash.finish().await;
        let (id, size_bytes, extents) = (self.id, self.size_bytes, self.extents.clone());
        let closing = tokio::task::spawn_blocking(move || {
            let Some(Sink { file, unkept }) = sink else {
                return Err(ExtentFailure::new("write", &path, io::Error::other("no file")));
            };
            file.sync_data().map_err(|cause| ExtentFailure::new("sync", &path, cause))?;
            extents.sync_directories(id)?;
            Ok((Kept { id, size_bytes, md5 }, unkept))
        });
        let closed = closing.await;
        let (kept, unkept) =
            closed.map_err(|cause| ExtentFailure::stopped(&self.path, cause))??;
        self.unkept = Some(unkept);
        Ok(kept)
    }

    /// Leaves the bytes on the disk: a commit names them now.
    pub(crate) fn keep(mut self) {
        if let Some(unkept) = &mut self.unkept {
            unkept.is_kept = true;
        }
    }

    async fn start_batch(&mut self) -> Result<(), ExtentFailure> {
        self.settle().await?;
        self.flush_ahead().await?;
        let batch: Arc<[Bytes]> = std::mem::take(&mut self.batch).into();
        self.unflushed_bytes += u64::try_from(self.batch_bytes).unwrap_or(u64::MAX);
        self.batch_bytes = 0;
        self.hash.push(Arc::clone(&batch)).await;
        let (path, sink) = (self.path.clone(), self.sink.take());
        let writing = tokio::task::spawn_blocking(move || {
            let sink = match sink {
                Some(sink) => sink,
                None => create(&path)?,
            };
            for bytes in batch.iter() {
                (&*sink.file)
                    .write_all(bytes)
                    .map_err(|cause| ExtentFailure::new("write", &path, cause))?;
            }
            Ok(sink)
        });
        self.writing = Some(writing);
        Ok(())
    }

    /// Begins to flush what is written, when that is enough and the last flush has ended.
    async fn flush_ahead(&mut self) -> Result<(), ExtentFailure> {
        let is_under_way = self.flushing.as_ref().is_some_and(|it| !it.is_finished());
        if is_under_way || self.unflushed_bytes < FLUSH_BYTES {
            return Ok(());
        }
        self.flushed().await?;
        let Some(file) = self.sink.as_ref().map(|sink| Arc::clone(&sink.file)) else {
            return Ok(());
        };
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

    /// Waits for the batch under way.
    async fn settle(&mut self) -> Result<(), ExtentFailure> {
        let Some(writing) = self.writing.take() else { return Ok(()) };
        let written = writing.await;
        self.sink = Some(written.map_err(|cause| ExtentFailure::stopped(&self.path, cause))??);
        Ok(())
    }
}

fn create(path: &Path) -> Result<Sink, ExtentFailure> {
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
    let file = opened.map_err(|cause| ExtentFailure::new("create", path, cause))?;
    let file = Arc::new(file);
    Ok(Sink { file, unkept: Unkept { path: path.to_owned(), is_kept: false } })
}

pub(crate) fn sync_directory(path: &Path) -> Result<(), ExtentFailure> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|cause| ExtentFailure::new("sync the directory", path, cause))
}
