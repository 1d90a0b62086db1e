//! Uploads of files of any size, block by block.

use std::fmt::Write as _;

use bytes::Bytes;
use reqwest::Method;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::BlobClient;
use crate::ClientError;
use crate::transport::{Service, Transport};

/// Bytes of one block.
const BLOCK_BYTES: usize = 8 * 1024 * 1024;
/// Blocks of one blob.
const BLOCKS_MAX: usize = 50_000;

/// Why a file was not uploaded.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The file can not be read.
    #[error("the file cannot be read")]
    Read(#[source] std::io::Error),
    /// The file is larger than a blob can be.
    #[error("the file has more than {} bytes", BLOCKS_MAX * BLOCK_BYTES)]
    TooLarge,
    /// The service refused, or could not be reached.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Makes or replaces the blob at `url`, which carries a shared access signature, with what
/// `content` gives; `on_bytes` hears of each part that arrived, in bytes.
///
/// # Errors
/// When `content` can not be read, the service refuses or can not be reached.
pub async fn upload_to_url(
    url: &str,
    mut content: impl AsyncRead + Unpin,
    on_bytes: impl Fn(u64),
) -> Result<(), UploadError> {
    let transport = Transport::new(Service::Blob, url, None)?;
    let separator = if url.contains('?') { '&' } else { '?' };
    let mut list = r#"<?xml version="1.0" encoding="utf-8"?><BlockList>"#.to_owned();
    for number in 0.. {
        let block = read_block(&mut content).await.map_err(UploadError::Read)?;
        if block.is_empty() {
            break;
        }
        if number == BLOCKS_MAX {
            return Err(UploadError::TooLarge);
        }
        // Eight digits are base64 too.
        let id = format!("{number:08}");
        let n_bytes = u64::try_from(block.len()).unwrap_or(u64::MAX);
        let call = BlobClient::call(Method::PUT, String::new()).body(block);
        transport.follow(&format!("{url}{separator}comp=block&blockid={id}"), call).await?;
        on_bytes(n_bytes);
        // Writing to a string does not fail.
        let _written = write!(list, "<Latest>{id}</Latest>");
    }
    list.push_str("</BlockList>");
    let call = BlobClient::call(Method::PUT, String::new())
        .header("content-type", "text/plain")
        .header("x-ms-blob-content-type", "application/octet-stream")
        .body(list);
    transport.follow(&format!("{url}{separator}comp=blocklist"), call).await?;
    Ok(())
}

/// The next block; empty at the end.
async fn read_block(content: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Bytes> {
    let mut block = Vec::new();
    let limit = u64::try_from(BLOCK_BYTES).unwrap_or(u64::MAX);
    content.take(limit).read_to_end(&mut block).await?;
    Ok(block.into())
}
