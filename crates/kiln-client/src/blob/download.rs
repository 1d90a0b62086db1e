//! Blobs to files: ranges of one state of the blob, several at a time, checked at the end.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use fast_md5::Md5;
use kiln_wire::blob::headers::md5_text;
use reqwest::Method;
use tokio::task::JoinSet;

use super::BlobClient;
use super::retry::{TransferError, retry};
use super::send::Transfer;
use crate::ClientError;
use crate::transport::blob_path;

/// Bytes asked for at once.
const RANGE_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes read at once when a file is checked.
const CHECK_BYTES: usize = 1024 * 1024;

/// What is known of a blob.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlobFacts {
    /// Bytes of content.
    pub size_bytes: u64,
    /// Its entity tag.
    pub etag: String,
    /// The MD5 of its content in base64, where it is known.
    pub content_md5: Option<String>,
}

impl BlobClient {
    /// What is known of a blob.
    ///
    /// # Errors
    /// When the service refuses (`BlobNotFound`) or can not be reached.
    pub async fn blob_facts(&self, container: &str, blob: &str) -> Result<BlobFacts, ClientError> {
        let call = Self::call(Method::HEAD, blob_path(container, blob));
        let response = self.transport.send(call).await?;
        let header = |name: &str| {
            response.headers().get(name).and_then(|it| it.to_str().ok()).map(str::to_owned)
        };
        Ok(BlobFacts {
            size_bytes: header("content-length").and_then(|it| it.parse().ok()).unwrap_or(0),
            etag: header("etag").unwrap_or_default(),
            content_md5: header("content-md5"),
        })
    }

    /// Writes the content of a blob to a file, which is there only when all of it is; answers
    /// with its size.
    ///
    /// # Errors
    /// When the file can not be written, the blob changes meanwhile (`ConditionNotMet`), the
    /// service refuses or can not be reached for long, or what came is not what is kept.
    pub async fn fetch_file(
        &self,
        container: &str,
        blob: &str,
        file: &Path,
        transfer: &Transfer,
    ) -> Result<u64, TransferError> {
        let facts = transfer.permitted(retry(|| self.blob_facts(container, blob))).await?;
        let failed = |cause| TransferError::File { doing: "write", path: file.to_owned(), cause };
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(".kiln-part");
        let beside = Unfinished(file.with_file_name(name));
        let options = File::options().read(true).write(true).create(true).truncate(true).clone();
        let target = Arc::new(options.open(&beside.0).map_err(failed)?);
        self.fetch_ranges(&blob_path(container, blob), &facts, &target, file, transfer).await?;
        check(target, &facts, blob, file).await?;
        std::fs::rename(&beside.0, file).map_err(failed)?;
        Ok(facts.size_bytes)
    }

    async fn fetch_ranges(
        &self,
        path: &str,
        facts: &BlobFacts,
        target: &Arc<File>,
        file: &Path,
        transfer: &Transfer,
    ) -> Result<(), TransferError> {
        let mut fetching: JoinSet<Result<(), TransferError>> = JoinSet::new();
        let mut start = 0;
        while start < facts.size_bytes {
            let length = RANGE_BYTES.min(facts.size_bytes - start);
            let (client, transfer, etag) = (self.clone(), transfer.clone(), facts.etag.clone());
            let (target, path, file) = (Arc::clone(target), path.to_owned(), file.to_owned());
            let permit = transfer.permit().await;
            fetching.spawn(async move {
                let _permit = permit;
                let bytes = retry(|| client.range(&path, &etag, start, length)).await?;
                let written =
                    tokio::task::spawn_blocking(move || target.write_all_at(&bytes, start));
                written.await?.map_err(|cause| TransferError::File {
                    doing: "write",
                    path: file,
                    cause,
                })?;
                transfer.told(length);
                Ok(())
            });
            start += length;
            while let Some(done) = fetching.try_join_next() {
                done??;
            }
        }
        while let Some(done) = fetching.join_next().await {
            done??;
        }
        Ok(())
    }

    async fn range(
        &self,
        path: &str,
        etag: &str,
        start: u64,
        length: u64,
    ) -> Result<Bytes, ClientError> {
        let last = start + length - 1;
        let call = Self::call(Method::GET, path.to_owned())
            .header("x-ms-range", format!("bytes={start}-{last}"))
            .header("if-match", etag);
        let response = self.transport.send(call).await?;
        self.transport.read(response).await
    }
}

/// A file that is removed unless it was renamed.
#[derive(Debug)]
struct Unfinished(std::path::PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It is gone when all went well.
        drop(std::fs::remove_file(&self.0));
    }
}

/// Reads the file again and compares: a range that came broken does not stay unnoticed.
async fn check(
    target: Arc<File>,
    facts: &BlobFacts,
    blob: &str,
    file: &Path,
) -> Result<(), TransferError> {
    let (size_bytes, expected) = (facts.size_bytes, facts.content_md5.clone());
    let checking = tokio::task::spawn_blocking(move || -> std::io::Result<bool> {
        if target.metadata()?.len() != size_bytes {
            return Ok(false);
        }
        let Some(expected) = expected else { return Ok(true) };
        let (mut md5, mut reader) = (Md5::new(), target.as_ref());
        let mut buffer = vec![0; CHECK_BYTES];
        std::io::Seek::rewind(&mut reader)?;
        loop {
            let n_bytes = reader.read(&mut buffer)?;
            if n_bytes == 0 {
                return Ok(md5_text(md5.finalize()) == expected);
            }
            md5.update(buffer.get(..n_bytes).unwrap_or_default());
        }
    });
    let failed = |cause| TransferError::File { doing: "check", path: file.to_owned(), cause };
    if checking.await?.map_err(failed)? {
        Ok(())
    } else {
        Err(TransferError::Mismatch { blob: blob.to_owned() })
    }
}
