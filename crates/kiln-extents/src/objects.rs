//! Extents as objects: Azure Blob Storage, S3, Google Cloud Storage, or memory.

use std::fmt;
use std::io;
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use fast_md5::Md5;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{
    Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, WriteMultipart,
};
use tokio::runtime::Handle;
use url::Url;

use crate::lane::Lane;
use crate::{ExtentFailure, FileId, Kept, RUN_MAX, out_of_numbers};

/// Bytes sent in one request; what has fewer is one object put at once.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// Parts of one upload that are under way.
const PARTS_IN_FLIGHT_MAX: usize = 4;
/// Openings that take the same number at the same time, and so have to choose another.
const RUN_TRIES_MAX: u64 = 100;
/// Name of the object that says that a run has begun.
const MARKER: &str = "run";

/// A place in an object store under which one Kiln's extents are.
#[derive(Clone)]
pub struct ObjectPlace {
    name: String,
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl ObjectPlace {
    /// `prefix` in `store`; `name` is what messages call it.
    pub fn new(name: &str, store: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        Self { name: name.trim_end_matches('/').to_owned(), store, prefix: prefix.into() }
    }

    /// What messages call the place.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The place that a URL names, `az://CONTAINER/PREFIX`, `s3://BUCKET/PREFIX` or
    /// `gs://BUCKET/PREFIX`, with options as the environment variables of the providers' own
    /// tools, in lower case: `aws_access_key_id`.
    ///
    /// # Errors
    /// When the URL names no such place, or the options do not fit.
    pub fn parse(
        text: &str,
        options: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ExtentFailure> {
        let failed =
            |cause| ExtentFailure::new("use", FilePath::new(text), io::Error::other(cause));
        let url = Url::parse(text).map_err(|cause| failed(cause.to_string()))?;
        let (store, prefix) = object_store::parse_url_opts(&url, options)
            .map_err(|cause| failed(cause.to_string()))?;
        let name = text.trim_end_matches('/').to_owned();
        Ok(Self { name, store: Arc::from(store), prefix })
    }
}

impl fmt::Debug for ObjectPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Some stores show their credentials.
        f.debug_struct("ObjectPlace").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The extents under one place.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    place: ObjectPlace,
    runtime: Handle,
}

impl Objects {
    pub(crate) fn new(place: &ObjectPlace) -> Self {
        Self { place: place.clone(), runtime: Handle::current() }
    }

    /// What messages call the place, as a path.
    pub(crate) fn name(&self) -> &FilePath {
        FilePath::new(&self.place.name)
    }

    /// Where work on objects runs.
    pub(crate) fn runtime(&self) -> Handle {
        self.runtime.clone()
    }

    /// Waits for work on objects, on a thread that may block.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    fn below(&self, rest: &str) -> Path {
        Path::from(format!("{}/{rest}", self.place.prefix))
    }

    fn location(&self, id: FileId) -> Path {
        self.below(&format!("{}/{}/{}", id.run(), id.bucket(), id.sequence()))
    }

    fn failure(&self, doing: &'static str, at: &Path, cause: Error) -> ExtentFailure {
        let rest =
            at.as_ref().strip_prefix(self.place.prefix.as_ref()).unwrap_or_else(|| at.as_ref());
        let path = self.name().join(rest.trim_start_matches('/'));
        ExtentFailure::new(doing, &path, io_error(cause))
    }

    /// Begins a run of a number that none had before.
    pub(crate) async fn begin_run(&self) -> Result<u64, ExtentFailure> {
        let mut run = self.runs().await?.last().map_or(1, |last| last + 1);
        for _ in 0..RUN_TRIES_MAX {
            if run > RUN_MAX {
                break;
            }
            let marker = self.below(&format!("{run}/{MARKER}"));
            let options = PutOptions::from(PutMode::Create);
            match self.place.store.put_opts(&marker, PutPayload::new(), options).await {
                Ok(_) => return Ok(run),
                Err(Error::AlreadyExists { .. }) => run += 1,
                Err(cause) => return Err(self.failure("begin a run at", &marker, cause)),
            }
        }
        Err(ExtentFailure::new("number a new run in", self.name(), out_of_numbers()))
    }

    /// The runs that were begun, in order.
    pub(crate) async fn runs(&self) -> Result<Vec<u64>, ExtentFailure> {
        let prefix = &self.place.prefix;
        let listed = self.place.store.list_with_delimiter(Some(prefix)).await;
        let listed = listed.map_err(|cause| self.failure("list", prefix, cause))?;
        let numbers = listed.common_prefixes.iter().filter_map(|it| it.filename()?.parse().ok());
        let mut runs: Vec<u64> = numbers.collect();
        runs.sort_unstable();
        Ok(runs)
    }

    /// The extents of one run with their sizes, in no order.
    pub(crate) async fn of_run(&self, run: u64) -> Result<Vec<(FileId, u64)>, ExtentFailure> {
        let prefix = self.below(&run.to_string());
        let mut found = Vec::new();
        let mut listing = self.place.store.list(Some(&prefix));
        let failed = |cause| self.failure("list", &prefix, cause);
        while let Some(object) = listing.try_next().await.map_err(failed)? {
            // The marker of the run is no number.
            let sequence = object.location.filename().and_then(|name| name.parse().ok());
            found.extend(sequence.map(|sequence| (FileId::new(run, sequence), object.size)));
        }
        Ok(found)
    }

    /// Forgets a run of which nothing is left.
    pub(crate) async fn end_run(&self, run: u64) {
        self.delete_at(&self.below(&format!("{run}/{MARKER}"))).await;
    }

    pub(crate) async fn read(
        &self,
        id: FileId,
        offset: u64,
        length: u64,
    ) -> Result<Bytes, ExtentFailure> {
        let at = self.location(id);
        let read = self.place.store.get_range(&at, offset..offset.saturating_add(length)).await;
        let bytes = read.map_err(|cause| self.failure("read", &at, cause))?;
        if u64::try_from(bytes.len()).is_ok_and(|it| it == length) {
            return Ok(bytes);
        }
        let path = self.name().join(at.as_ref());
        Err(ExtentFailure::new("read", &path, io::ErrorKind::UnexpectedEof.into()))
    }

    /// Deletes objects; one that stays is reported in the log and left for the next sweep.
    pub(crate) async fn delete(&self, ids: Vec<FileId>) {
        for id in ids {
            self.delete_at(&self.location(id)).await;
        }
    }

    /// The same from where nothing can be waited for.
    pub(crate) fn delete_soon(&self, ids: Vec<FileId>) {
        let this = self.clone();
        drop(self.runtime.spawn(async move { this.delete(ids).await }));
    }

    async fn delete_at(&self, at: &Path) {
        match self.place.store.delete(at).await {
            Ok(()) | Err(Error::NotFound { .. }) => {}
            Err(cause) => tracing::warn!(object = %at, %cause, "an object could not be removed"),
        }
    }
}

/// An extent on its way to the object store: a few bytes wait for their end, many go in parts.
#[derive(Debug)]
pub(crate) struct ObjectUpload {
    objects: Objects,
    id: FileId,
    small: Vec<u8>,
    parts: Option<WriteMultipart>,
    hash: Lane<Md5>,
    size_bytes: u64,
    is_written: bool,
    is_kept: bool,
}

impl ObjectUpload {
    pub(crate) fn new(objects: &Objects, id: FileId) -> Self {
        Self {
            objects: objects.clone(),
            id,
            small: Vec::new(),
            parts: None,
            hash: Lane::new(FilePath::new(objects.location(id).as_ref()), Md5::new()),
            size_bytes: 0,
            is_written: false,
            is_kept: false,
        }
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<(), ExtentFailure> {
        self.hash.push(Arc::new([bytes.clone()])).await?;
        self.size_bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if self.parts.is_none() && self.small.len().saturating_add(bytes.len()) <= PART_BYTES {
            self.small.extend_from_slice(&bytes);
            return Ok(());
        }
        let at = self.objects.location(self.id);
        if self.parts.is_none() {
            let begun = self.objects.place.store.put_multipart(&at).await;
            let begun = begun.map_err(|cause| self.objects.failure("write", &at, cause))?;
            let mut parts = WriteMultipart::new_with_chunk_size(begun, PART_BYTES);
            parts.put(std::mem::take(&mut self.small).into());
            self.parts = Some(parts);
        }
        if let Some(parts) = &mut self.parts {
            let ready = parts.wait_for_capacity(PARTS_IN_FLIGHT_MAX).await;
            ready.map_err(|cause| self.objects.failure("write", &at, cause))?;
            parts.put(bytes);
        }
        Ok(())
    }

    pub(crate) async fn finish(&mut self) -> Result<Kept, ExtentFailure> {
        let at = self.objects.location(self.id);
        // From here on there may be an object, whatever the answer is.
        self.is_written = true;
        let written = match self.parts.take() {
            Some(parts) => parts.finish().await,
            None => {
                let payload = PutPayload::from(std::mem::take(&mut self.small));
                self.objects.place.store.put(&at, payload).await
            }
        };
        written.map_err(|cause| self.objects.failure("write", &at, cause))?;
        let md5 = self.hash.finish().await?.finalize();
        Ok(Kept { id: self.id, size_bytes: self.size_bytes, md5 })
    }

    pub(crate) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for ObjectUpload {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            let runtime = self.objects.runtime.clone();
            drop(runtime.spawn(async move {
                if let Err(cause) = parts.abort().await {
                    tracing::warn!(%cause, "parts of an object could not be taken back");
                }
            }));
        } else if self.is_written && !self.is_kept {
            self.objects.delete_soon(vec![self.id]);
        }
    }
}

fn io_error(cause: Error) -> io::Error {
    let is_refused =
        matches!(cause, Error::PermissionDenied { .. } | Error::Unauthenticated { .. });
    let kind = if matches!(cause, Error::NotFound { .. }) {
        io::ErrorKind::NotFound
    } else if is_refused {
        io::ErrorKind::PermissionDenied
    } else {
        io::ErrorKind::Other
    };
    io::Error::new(kind, cause)
}
