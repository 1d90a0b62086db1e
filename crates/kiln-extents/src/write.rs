//! Writing one extent to a file.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use md5::{Digest, Md5};
use tokio::task::JoinHandle;

use crate::{ExtentFailure, Extents, FileId, Kept, unlink};

/// Bytes collected before they go to the disk in one call.
const BATCH_BYTES: usize = 512 * 1024;

/// An extent being written: bytes are hashed and written beside the caller, who waits only
/// when the disk is a whole batch behind.
#[derive(Debug)]
pub(crate) struct FileUpload {
    extents: Extents,
    path: PathBuf,
    id: FileId,
    batch: Vec<Bytes>,
    batch_bytes: usize,
    size_bytes: u64,
    state: State,
    unkept: Option<Unkept>,
}

#[derive(Debug)]
enum State {
    Idle(Option<Box<Sink>>),
    Writing(JoinHandle<Result<Box<Sink>, ExtentFailure>>),
}

#[derive(Debug)]
struct Sink {
    file: File,
    md5: Md5,
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
        let state = State::Idle(None);
        Self {
            extents,
            path,
            id,
            batch: Vec::new(),
            batch_bytes: 0,
            size_bytes: 0,
            state,
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
        let sink = self.settle().await?;
        let path = self.path.clone();
        let (id, size_bytes, extents) = (self.id, self.size_bytes, self.extents.clone());
        let closing = tokio::task::spawn_blocking(move || {
            let Some(sink) = sink else {
                return Err(ExtentFailure::new("write", &path, io::Error::other("no file")));
            };
            sink.file.sync_data().map_err(|cause| ExtentFailure::new("sync", &path, cause))?;
            extents.sync_directories(id)?;
            let Sink { md5, unkept, file: _ } = *sink;
            Ok((Kept { id, size_bytes, md5: md5.finalize().into() }, unkept))
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
        let sink = self.settle().await?;
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        let path = self.path.clone();
        let writing = tokio::task::spawn_blocking(move || {
            let mut sink = match sink {
                Some(sink) => sink,
                None => Box::new(create(&path)?),
            };
            for bytes in batch {
                sink.md5.update(&bytes);
                sink.file
                    .write_all(&bytes)
                    .map_err(|cause| ExtentFailure::new("write", &path, cause))?;
            }
            Ok(sink)
        });
        self.state = State::Writing(writing);
        Ok(())
    }

    /// Waits for the batch under way.
    async fn settle(&mut self) -> Result<Option<Box<Sink>>, ExtentFailure> {
        match &mut self.state {
            State::Idle(sink) => Ok(sink.take()),
            State::Writing(writing) => {
                let written = writing.await;
                self.state = State::Idle(None);
                written.map_err(|cause| ExtentFailure::stopped(&self.path, cause))?.map(Some)
            }
        }
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
    Ok(Sink { file, md5: Md5::new(), unkept: Unkept { path: path.to_owned(), is_kept: false } })
}

pub(crate) fn sync_directory(path: &Path) -> Result<(), ExtentFailure> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|cause| ExtentFailure::new("sync the directory", path, cause))
}
