//! Files to blobs: small ones at once, large ones block by block, several at a time.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use fast_md5::Md5;
use kiln_wire::blob::headers::md5_text;
use kiln_wire::blob::listed::staged_blocks;
use reqwest::Method;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::BlobClient;
use super::retry::{TransferError, retry};
use crate::ClientError;
use crate::transport::blob_path;

/// Bytes of one block, and of the largest file that is sent at once.
const BLOCK_BYTES: u64 = 8 * 1024 * 1024;
/// Blocks of one blob.
const BLOCKS_MAX: u64 = 50_000;
/// Bytes of one block of a file that needs large ones.
const BLOCK_BYTES_MAX: u64 = 4_000 * 1024 * 1024;

/// How transfers share the way: as many requests at once as there are permits.
#[derive(Clone)]
pub struct Transfer {
    permits: Arc<Semaphore>,
    on_bytes: Arc<dyn Fn(u64) + Send + Sync>,
}

impl Transfer {
    /// At most `parallel` requests at once; `on_bytes` hears of each part that is done.
    pub fn new(parallel: usize, on_bytes: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self { permits: Arc::new(Semaphore::new(parallel.max(1))), on_bytes: Arc::new(on_bytes) }
    }

    /// Tells that a part of so many bytes is done.
    pub fn told(&self, n_bytes: u64) {
        (self.on_bytes)(n_bytes);
    }

    /// Waits for a permit, which goes back when it is dropped. They are never closed.
    pub(crate) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }

    /// Runs `work` once there is a permit for it.
    pub(crate) async fn permitted<T>(&self, work: impl Future<Output = T>) -> T {
        let _permit = self.permit().await;
        work.await
    }
}

impl std::fmt::Debug for Transfer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transfer").field("permits", &self.permits).finish_non_exhaustive()
    }
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Bytes of the file.
    pub size_bytes: u64,
    /// Those of them that an earlier try had left there.
    pub resumed_bytes: u64,
}

impl BlobClient {
    /// Makes or replaces a blob with the content of a file. Of a large file, blocks that an
    /// earlier try staged and that hold the same bytes are not sent again.
    ///
    /// # Errors
    /// When the file can not be read, the service refuses or can not be reached for long.
    pub async fn send_file(
        &self,
        file: &Path,
        container: &str,
        blob: &str,
        content_type: &str,
        transfer: &Transfer,
    ) -> Result<Sent, TransferError> {
        let failed = |cause| TransferError::File { doing: "read", path: file.to_owned(), cause };
        let mut content = File::open(file).await.map_err(failed)?;
        let size_bytes = content.metadata().await.map_err(failed)?.len();
        let to = Target { container, blob, content_type };
        if size_bytes > BLOCK_BYTES {
            return self.send_blocks(content, size_bytes, file, to, transfer).await;
        }
        let mut bytes = Vec::new();
        transfer
            .permitted(async {
                content.read_to_end(&mut bytes).await.map_err(failed)?;
                let bytes = Bytes::from(bytes);
                let size_bytes = length_of(&bytes);
                retry(|| self.put_whole(to, bytes.clone())).await?;
                transfer.told(size_bytes);
                Ok(Sent { size_bytes, resumed_bytes: 0 })
            })
            .await
    }

    async fn put_whole(&self, to: Target<'_>, bytes: Bytes) -> Result<(), ClientError> {
        let md5 = md5_text(fast_md5::digest(&bytes));
        let call = Self::call(Method::PUT, blob_path(to.container, to.blob))
            .header("x-ms-blob-type", "BlockBlob")
            .header("x-ms-blob-content-type", to.content_type)
            .header("content-type", "application/octet-stream")
            .header("content-md5", md5)
            .body(bytes);
        self.transport.send(call).await.map(drop)
    }

    async fn send_blocks(
        &self,
        mut content: File,
        size_bytes: u64,
        file: &Path,
        to: Target<'_>,
        transfer: &Transfer,
    ) -> Result<Sent, TransferError> {
        let block_bytes = size_bytes.div_ceil(BLOCKS_MAX).max(BLOCK_BYTES);
        if block_bytes > BLOCK_BYTES_MAX {
            return Err(TransferError::TooLarge { path: file.to_owned() });
        }
        let staged = self.staged(to).await?;
        let mut sent = Sent::default();
        let (mut whole, mut ids) = (Md5::new(), Vec::new());
        let mut sending: JoinSet<Result<(), ClientError>> = JoinSet::new();
        loop {
            // A permit before the block is read: what waits for its turn waits in the file.
            let permit = transfer.permit().await;
            let block = read_block(&mut content, block_bytes).await.map_err(|cause| {
                TransferError::File { doing: "read", path: file.to_owned(), cause }
            })?;
            if block.is_empty() {
                break;
            }
            whole.update(&block);
            let (n_bytes, id) = (length_of(&block), block_id(ids.len(), &block));
            sent.size_bytes += n_bytes;
            if staged.get(&id) == Some(&n_bytes) {
                sent.resumed_bytes += n_bytes;
                transfer.told(n_bytes);
            } else {
                let (client, transfer, id) = (self.clone(), transfer.clone(), id.clone());
                let path = blob_path(to.container, to.blob);
                sending.spawn(async move {
                    let _permit = permit;
                    retry(|| client.put_block(&path, &id, block.clone())).await?;
                    transfer.told(n_bytes);
                    Ok(())
                });
            }
            ids.push(id);
            while let Some(done) = sending.try_join_next() {
                done??;
            }
        }
        while let Some(done) = sending.join_next().await {
            done??;
        }
        let md5 = md5_text(whole.finalize());
        retry(|| self.commit_blocks(to, &ids, &md5)).await?;
        Ok(sent)
    }

    async fn put_block(&self, path: &str, id: &str, block: Bytes) -> Result<(), ClientError> {
        let md5 = md5_text(fast_md5::digest(&block));
        let call = Self::call(Method::PUT, path.to_owned())
            .query("comp", "block")
            .query("blockid", id)
            .header("content-md5", md5)
            .body(block);
        self.transport.send(call).await.map(drop)
    }

    async fn commit_blocks(
        &self,
        to: Target<'_>,
        ids: &[String],
        md5: &str,
    ) -> Result<(), ClientError> {
        let mut list = r#"<?xml version="1.0" encoding="utf-8"?><BlockList>"#.to_owned();
        for id in ids {
            // Writing to a string does not fail.
            let _written = write!(list, "<Latest>{id}</Latest>");
        }
        list.push_str("</BlockList>");
        let call = Self::call(Method::PUT, blob_path(to.container, to.blob))
            .query("comp", "blocklist")
            .header("content-type", "text/plain")
            .header("x-ms-blob-content-type", to.content_type)
            .header("x-ms-blob-content-md5", md5)
            .body(list);
        self.transport.send(call).await.map(drop)
    }

    /// The blocks that wait for their list, with their sizes.
    async fn staged(&self, to: Target<'_>) -> Result<BTreeMap<String, u64>, TransferError> {
        let answer = retry(|| async {
            let call = Self::call(Method::GET, blob_path(to.container, to.blob))
                .query("comp", "blocklist")
                .query("blocklisttype", "uncommitted");
            let response = self.transport.send(call).await?;
            self.transport.read(response).await
        });
        match answer.await {
            Ok(body) => {
                let listed = staged_blocks(&body).map_err(|source| ClientError::Decode {
                    asked: format!("GET {}?comp=blocklist", to.blob),
                    source: source.into(),
                })?;
                Ok(listed.into_iter().collect())
            }
            // Nothing is there, or this signature may write only: all is sent.
            Err(error) if error.service().is_some_and(|it| matches!(it.status, 403 | 404)) => {
                Ok(BTreeMap::new())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Where a file goes.
#[derive(Clone, Copy, Debug)]
struct Target<'a> {
    container: &'a str,
    blob: &'a str,
    content_type: &'a str,
}

async fn read_block(content: &mut File, block_bytes: u64) -> std::io::Result<Bytes> {
    let mut block = Vec::new();
    content.take(block_bytes).read_to_end(&mut block).await?;
    Ok(block.into())
}

/// An id of the block's place and content: the same id is the same block.
fn block_id(idx: usize, block: &[u8]) -> String {
    use base64::Engine as _;
    let mut id = Vec::from(u64::try_from(idx).unwrap_or(u64::MAX).to_be_bytes());
    id.extend(fast_md5::digest(block));
    base64::engine::general_purpose::STANDARD.encode(id)
}

fn length_of(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
