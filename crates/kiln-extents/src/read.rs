//! Reading parts of extents.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::{ExtentFailure, Extents, FileId, Home, Pin, path_of};

/// Bytes read in one call.
const CHUNK_BYTES: u64 = 512 * 1024;
/// The same of objects, where each call is a request over a network.
const OBJECT_CHUNK_BYTES: u64 = 4 * 1024 * 1024;

/// The bytes of some slices of extents, one after another; the next chunk is read while the
/// caller sends the last one.
#[derive(Debug)]
pub struct ReadStream {
    extents: Extents,
    slices: VecDeque<Part>,
    file: Option<(FileId, File)>,
    ahead: Option<JoinHandle<Result<Chunk, ExtentFailure>>>,
    _pin: Arc<Pin>,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    id: FileId,
    offset: u64,
    length: u64,
}

/// Bytes, and the file they are from, where it is one.
type Chunk = (Bytes, Option<(FileId, File)>);

impl Extents {
    /// Reads `(extent, offset, length)` one after another. The extents stay readable through
    /// `pin`, which the stream keeps.
    pub fn read(&self, slices: Vec<(FileId, u64, u64)>, pin: Arc<Pin>) -> ReadStream {
        // An object store refuses to read nothing.
        let parts = slices.into_iter().filter(|(_, _, length)| *length > 0);
        let slices = parts.map(|(id, offset, length)| Part { id, offset, length }).collect();
        ReadStream { extents: self.clone(), slices, file: None, ahead: None, _pin: pin }
    }
}

impl Extents {
    /// Opens an extent, for the kernel to send parts of it. The caller holds a pin, and knows
    /// that extents are files ([`Extents::are_files`]).
    ///
    /// # Errors
    /// When the file is gone or can not be opened.
    pub fn open_file(&self, id: FileId) -> Result<File, ExtentFailure> {
        let path = match &self.inner.home {
            Home::Folder(root) => path_of(root, id),
            Home::Objects(objects) => {
                let cause = std::io::ErrorKind::Unsupported.into();
                return Err(ExtentFailure::new("open", objects.name(), cause));
            }
        };
        File::open(&path).map_err(|cause| ExtentFailure::new("open", &path, cause))
    }
}

impl ReadStream {
    /// The next bytes, or `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, ExtentFailure>> {
        let reading = match self.ahead.take() {
            Some(reading) => reading,
            None => self.start_chunk()?,
        };
        let chunk = match reading.await {
            Ok(chunk) => chunk,
            Err(cause) => Err(ExtentFailure::stopped(self.extents.name(), cause)),
        };
        match chunk {
            Ok((bytes, file)) => {
                self.file = file;
                self.ahead = self.start_chunk();
                Some(Ok(bytes))
            }
            Err(failure) => {
                self.slices.clear();
                Some(Err(failure))
            }
        }
    }

    fn start_chunk(&mut self) -> Option<JoinHandle<Result<Chunk, ExtentFailure>>> {
        let are_files = self.extents.are_files();
        let front = self.slices.front_mut()?;
        let chunk_bytes = if are_files { CHUNK_BYTES } else { OBJECT_CHUNK_BYTES };
        let part = Part { length: front.length.min(chunk_bytes), ..*front };
        front.offset += part.length;
        front.length -= part.length;
        if front.length == 0 {
            self.slices.pop_front();
        }
        let root = match &self.extents.inner.home {
            Home::Folder(root) => root,
            Home::Objects(objects) => {
                let objects = objects.clone();
                return Some(objects.runtime().spawn(async move {
                    let bytes = objects.read(part.id, part.offset, part.length).await?;
                    Ok((bytes, None))
                }));
            }
        };
        let file = self.file.take();
        let path = path_of(root, part.id);
        Some(tokio::task::spawn_blocking(move || {
            let file = match file {
                Some((id, file)) if id == part.id => file,
                Some(_) | None => {
                    File::open(&path).map_err(|cause| ExtentFailure::new("open", &path, cause))?
                }
            };
            let mut buffer = vec![0; usize::try_from(part.length).unwrap_or(0)];
            file.read_exact_at(&mut buffer, part.offset)
                .map_err(|cause| ExtentFailure::new("read", &path, cause))?;
            Ok((Bytes::from(buffer), Some((part.id, file))))
        }))
    }
}
