//! Writing one extent, wherever it is to be.

use bytes::Bytes;

use crate::objects::ObjectUpload;
use crate::write::FileUpload;
use crate::{ExtentFailure, Extents, FileId, Home, path_of};

/// An extent whose bytes are durable, to be named in a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its number.
    pub id: FileId,
    /// Bytes written.
    pub size_bytes: u64,
    /// Their MD5.
    pub md5: [u8; 16],
}

/// An extent being written. Dropping it before it is kept removes its bytes.
#[derive(Debug)]
pub struct Upload {
    extents: Extents,
    id: FileId,
    way: Way,
}

#[derive(Debug)]
enum Way {
    File(FileUpload),
    Object(Box<ObjectUpload>),
}

impl Upload {
    pub(crate) fn new(extents: &Extents, id: FileId) -> Self {
        let way = match &extents.inner.home {
            Home::Folder(root) => {
                Way::File(FileUpload::new(extents.clone(), path_of(root, id), id))
            }
            Home::Objects(objects) => Way::Object(Box::new(ObjectUpload::new(objects, id))),
        };
        Self { extents: extents.clone(), id, way }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// When earlier ones could not be written.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), ExtentFailure> {
        match &mut self.way {
            Way::File(upload) => upload.write(bytes).await,
            Way::Object(upload) => upload.write(bytes).await,
        }
    }

    /// Bytes taken so far.
    pub fn size_bytes(&self) -> u64 {
        match &self.way {
            Way::File(upload) => upload.size_bytes(),
            Way::Object(upload) => upload.size_bytes(),
        }
    }

    /// Writes what is left and makes it durable. The caller names the extent in a commit and
    /// then calls [`Upload::keep`].
    ///
    /// # Errors
    /// When the bytes could not be written or made durable.
    pub async fn finish(&mut self) -> Result<Kept, ExtentFailure> {
        match &mut self.way {
            Way::File(upload) => upload.finish().await,
            Way::Object(upload) => upload.finish().await,
        }
    }

    /// Leaves the bytes where they are: a commit names them now. Whether it happens is seen
    /// later, see [`Extents::take_entrusted`].
    pub fn keep(self) {
        self.extents.entrust([self.id]);
        match self.way {
            Way::File(upload) => upload.keep(),
            Way::Object(upload) => upload.keep(),
        }
    }
}
