//! The blobs of one container, as a file system needs them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use fuser::Errno;
use kiln_domain::time::Timestamp;
use kiln_wire::blob::listed::{BlobPage, DIRECTORY_MARK, blob_page};
use reqwest::header::{CONTENT_LENGTH, HeaderMap, LAST_MODIFIED};
use reqwest::{Method, RequestBuilder, Response, StatusCode};

use crate::mounts::log::Log;
use crate::transfer::{Fault, Transfer, again, with_causes, without_query};
use crate::upload::blob::{Blob, VERSION, put};
use crate::url::Parts;

/// Entries of one directory.
const ENTRIES_MAX: usize = 100_000;
/// Bytes that are fetched at once into a spool.
const PIECE_BYTES: u64 = 8 * 1024 * 1024;
/// Pauses between two looks at a copy that takes longer, in milliseconds, and their number.
const COPY_PAUSE_MS: u64 = 500;
const COPY_LOOKS_MAX: u32 = 1200;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct About {
    /// Whether it is a directory.
    pub(super) is_directory: bool,
    /// Bytes of content.
    pub(super) length_bytes: u64,
    /// When it was last written.
    pub(super) modified_at: Timestamp,
}

/// One container.
pub(super) struct Blobs {
    transfer: Transfer,
    container: Parts,
    log: Arc<Log>,
}

impl Blobs {
    /// The container that `url` opens; `None` if it is no URL.
    pub(super) fn new(transfer: Transfer, url: &str, log: Arc<Log>) -> Option<Self> {
        Some(Self { transfer, container: Parts::parse(url)?, log })
    }

    /// Where it is, without what opens it.
    pub(super) fn address(&self) -> String {
        without_query(&self.container.whole()).to_owned()
    }

    /// Notes something for those who wonder.
    pub(super) fn note(&self, text: &str) {
        self.log.note(text);
    }

    /// Whether anything can be read here.
    pub(super) async fn probe(&self) -> Result<(), String> {
        let url = self.container.list_with([("maxresults", "1")]);
        let request = |client: &reqwest::Client| client.get(&url);
        match self.ask(request).await {
            Ok(_) => Ok(()),
            Err(Refused { said, .. }) => Err(said),
        }
    }

    /// What a blob is like; `ENOENT` if there is none of this name.
    pub(super) async fn about(&self, name: &str) -> Result<About, Errno> {
        let response = self.on_blob(Method::HEAD, name, |it| it).await?;
        let header = |name: &str| response.headers().get(name).and_then(|it| it.to_str().ok());
        let mark = header("x-ms-meta-hdi_isfolder");
        let modified_at = header(LAST_MODIFIED.as_str()).and_then(Timestamp::parse_rfc1123);
        Ok(About {
            is_directory: mark.is_some_and(|it| it.eq_ignore_ascii_case("true")),
            length_bytes: header("content-length").and_then(|it| it.parse().ok()).unwrap_or(0),
            modified_at: modified_at.unwrap_or(Timestamp(0)),
        })
    }

    /// Whether any blob has a name that begins so.
    pub(super) async fn has_below(&self, prefix: &str) -> Result<bool, Errno> {
        // The first may be a mark of the directory itself.
        let page = self.page(&[("prefix", prefix), ("maxresults", "2")]).await?;
        Ok(page.blobs.iter().any(|blob| blob.name != prefix) || page.next_marker.is_some())
    }

    /// Whether a directory of this name is there: something is below it, or marks it.
    pub(super) async fn has_prefix(&self, prefix: &str) -> Result<bool, Errno> {
        let page = self.page(&[("prefix", prefix), ("maxresults", "1")]).await?;
        Ok(!page.blobs.is_empty() || page.next_marker.is_some())
    }

    /// The entries of a directory, by name; `prefix` ends with a slash or is empty.
    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<(String, About)>, Errno> {
        let mut entries: Vec<(String, About)> = Vec::new();
        let mut marker = String::new();
        loop {
            let parameters = [
                ("prefix", prefix),
                ("delimiter", "/"),
                ("include", "metadata"),
                ("marker", marker.as_str()),
            ];
            let page = self.page(&parameters).await?;
            let directories = page.prefixes.iter().map(|name| (name.trim_end_matches('/'), None));
            let blobs = page.blobs.iter().map(|blob| (blob.name.as_str(), Some(blob)));
            for (name, blob) in directories.chain(blobs) {
                let Some(name) = name.strip_prefix(prefix).filter(|it| is_name(it)) else {
                    continue;
                };
                let modified_at = blob.and_then(|it| Timestamp::parse_rfc1123(&it.modified));
                let about = About {
                    is_directory: blob.is_none_or(|it| it.is_directory),
                    length_bytes: blob.map_or(0, |it| it.length_bytes),
                    modified_at: modified_at.unwrap_or(Timestamp(0)),
                };
                entries.push((name.to_owned(), about));
            }
            if entries.len() > ENTRIES_MAX {
                self.note(&format!("`{prefix}` has more than {ENTRIES_MAX} entries"));
                return Err(Errno::EOVERFLOW);
            }
            match page.next_marker {
                Some(next) => marker = next,
                None => break,
            }
        }
        // A directory may be marked and have something in it; a blob of its name hides it.
        entries.sort_by(|(one, a), (other, b)| {
            one.cmp(other).then(a.is_directory.cmp(&b.is_directory))
        });
        entries.dedup_by(|(one, _), (other, _)| one == other);
        Ok(entries)
    }

    /// Bytes of a blob; fewer than asked for at its end.
    pub(super) async fn read(&self, name: &str, first: u64, length: u64) -> Result<Bytes, Errno> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        let last = first.saturating_add(length - 1);
        let range = format!("bytes={first}-{last}");
        let url = self.container.blob(name);
        let fetched = again(|| async {
            let request = self.client()?.get(&url).header("x-ms-version", VERSION);
            let response = self.send(request.header("x-ms-range", &range), &url).await?;
            response.bytes().await.map_err(|error| Fault::Passing(self.broken(&url, &error)))
        });
        match fetched.await {
            Ok(bytes) => Ok(bytes),
            Err(Refused { status: Some(StatusCode::RANGE_NOT_SATISFIABLE), .. }) => {
                Ok(Bytes::new())
            }
            Err(refused) => Err(self.refused(&refused)),
        }
    }

    /// Writes a blob into a file.
    pub(super) async fn fetch(&self, name: &str, length: u64, file: &File) -> Result<(), Errno> {
        let mut first = 0;
        while first < length {
            let bytes = self.read(name, first, PIECE_BYTES.min(length - first)).await?;
            if bytes.is_empty() {
                break;
            }
            file.write_all_at(&bytes, first)?;
            first += u64::try_from(bytes.len()).map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Makes a blob of a file, in place of an older one.
    pub(super) async fn put(&self, name: &str, file: File, length: u64) -> Result<(), Errno> {
        let blob = Blob {
            container: &self.container,
            name,
            headers: HeaderMap::new(),
            file: Arc::new(file),
            length_bytes: length,
        };
        put(&self.transfer, &blob).await.map_err(|failure| {
            let details: Vec<&str> = failure.details.iter().map(|it| it.value.as_str()).collect();
            self.note(&format!("`{name}` was not kept: {}", details.join(", ")));
            match failure.code.as_str() {
                "FileUploadAccessDenied" => Errno::EACCES,
                "FileUploadContainerNotFound" => Errno::ENOENT,
                _ => Errno::EIO,
            }
        })
    }

    /// Marks a directory.
    pub(super) async fn put_directory(&self, name: &str) -> Result<(), Errno> {
        let mark = format!("x-ms-meta-{DIRECTORY_MARK}");
        let with = |request: RequestBuilder| {
            let request = request.header("x-ms-blob-type", "BlockBlob").header(&mark, "true");
            request.header(CONTENT_LENGTH, 0)
        };
        self.on_blob(Method::PUT, name, with).await.map(drop)
    }

    /// Removes a blob with its snapshots.
    pub(super) async fn remove(&self, name: &str) -> Result<(), Errno> {
        let with = |request: RequestBuilder| request.header("x-ms-delete-snapshots", "include");
        self.on_blob(Method::DELETE, name, with).await.map(drop)
    }

    /// Copies a blob onto another.
    pub(super) async fn copy(&self, from: &str, to: &str) -> Result<(), Errno> {
        let source = self.container.blob(from);
        let with = |request: RequestBuilder| {
            request.header("x-ms-copy-source", &source).header(CONTENT_LENGTH, 0)
        };
        let mut response = self.on_blob(Method::PUT, to, with).await?;
        for _ in 0..COPY_LOOKS_MAX {
            let status = response.headers().get("x-ms-copy-status");
            match status.and_then(|it| it.to_str().ok()) {
                Some("pending") => {}
                Some("success") | None => return Ok(()),
                Some(_) => return Err(Errno::EIO),
            }
            crate::clock::sleep(std::time::Duration::from_millis(COPY_PAUSE_MS)).await;
            response = self.on_blob(Method::HEAD, to, |it| it).await?;
        }
        Err(Errno::ETIMEDOUT)
    }

    async fn page(&self, parameters: &[(&str, &str)]) -> Result<BlobPage, Errno> {
        let url = self.container.list_with(parameters.iter().copied());
        let response = self.ask(|client| client.get(&url)).await.map_err(|it| self.refused(&it))?;
        let body = response.bytes().await.map_err(|_broken| Errno::EIO)?;
        blob_page(&body).map_err(|error| {
            self.note(&format!("the list of blobs can not be read: {error}"));
            Errno::EIO
        })
    }

    async fn on_blob(
        &self,
        method: Method,
        name: &str,
        with: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Errno> {
        let url = self.container.blob(name);
        let asked = self.ask(|client| with(client.request(method.clone(), &url))).await;
        asked.map_err(|refused| self.refused(&refused))
    }

    async fn ask(
        &self,
        request: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, Refused> {
        again(|| async {
            let request = request(self.client()?).header("x-ms-version", VERSION);
            self.send(request, &self.address()).await
        })
        .await
    }

    fn client(&self) -> Result<&reqwest::Client, Fault<Refused>> {
        let refused = |error: reqwest::Error| Refused { status: None, said: with_causes(&error) };
        self.transfer.client().map_err(|error| Fault::Lasting(refused(error)))
    }

    async fn send(&self, request: RequestBuilder, url: &str) -> Result<Response, Fault<Refused>> {
        let sent = request.send().await;
        let response = sent.map_err(|error| Fault::Passing(self.broken(url, &error)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let code = response.headers().get("x-ms-error-code").and_then(|code| code.to_str().ok());
        let said = format!("{status} {} {}", code.unwrap_or_default(), without_query(url));
        let refused = Refused { status: Some(status), said };
        let is_passing =
            matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
                || status.is_server_error();
        Err(if is_passing { Fault::Passing(refused) } else { Fault::Lasting(refused) })
    }

    fn broken(&self, url: &str, error: &reqwest::Error) -> Refused {
        let said = format!("{}: {}", without_query(url), with_causes(error));
        Refused { status: None, said }
    }

    /// What a program is told, and the log if it is nothing usual.
    fn refused(&self, refused: &Refused) -> Errno {
        if refused.status == Some(StatusCode::NOT_FOUND) {
            return Errno::ENOENT;
        }
        self.note(&refused.said);
        match refused.status {
            Some(StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED) => Errno::EACCES,
            // A lease, or a state that does not allow it.
            Some(StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED) => Errno::EBUSY,
            Some(StatusCode::PAYLOAD_TOO_LARGE) => Errno::EFBIG,
            Some(_) | None => Errno::EIO,
        }
    }
}

/// An answer that is none.
struct Refused {
    status: Option<StatusCode>,
    said: String,
}

/// Whether a file can have this name.
fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0']) && name.len() <= 255
}
