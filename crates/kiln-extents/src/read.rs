//! Reading parts of extents.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::{ExtentFailure, Extents, FileId, Pin};

/// Bytes read in one call.
const CHUNK_BYTES: u64 = 512 * 1024;

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

type Chunk = (Bytes, (FileId, File));

impl Extents {
    /// Reads `(extent, offset, length)` one after another. The extents stay readable through
    /// `pin`, which the stream keeps.
    pub fn read(&self, slices: Vec<(FileId, u64, u64)>, pin: Arc<Pin>) -> ReadStream {
        let slices =
            slices.into_iter().map(|(id, offset, length)| Part { id, offset, length }).collect();
        ReadStream { extents: self.clone(), slices, file: None, ahead: None, _pin: pin }
    }
}

impl Extents {
    /// Opens an extent, for the kernel to send parts of it. The caller holds a pin.
    ///
    /// # Errors
    /// When the file is gone or can not be opened.
    pub fn open_file(&self, id: FileId) -> Result<File, ExtentFailure> {
        let path = self.path(id);
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
            Err(cause) => Err(ExtentFailure::stopped(self.extents.root(), cause)),
        };
        match chunk {
            Ok((bytes, file)) => {
                self.file = Some(file);
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
        let front = self.slices.front_mut()?;
        let part = Part { length: front.length.min(CHUNK_BYTES), ..*front };
        front.offset += part.length;
        front.length -= part.length;
        if front.length == 0 {
            self.slices.pop_front();
        }
        let file = self.file.take();
        let path = self.extents.path(part.id);
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
            Ok((Bytes::from(buffer), (part.id, file)))
        }))
    }
}
