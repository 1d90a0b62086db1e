//! Makes a blob of a file: in one request, or in blocks if it is large.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use kiln_domain::batch::command::UploadHeader;
use kiln_domain::batch::task::FailureInfo;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, RequestBuilder, StatusCode};

use super::misc;
use crate::transfer::{Fault, Transfer, again, with_causes, without_query};
use crate::url::Parts;

/// Bytes of the largest file that is uploaded by one request, and of a block of a larger one.
const BLOCK_BYTES: u64 = 8 * 1024 * 1024;
/// Blocks of one blob.
const BLOCKS_MAX: u64 = 50_000;
/// Blocks of one file that are uploaded at once.
const BLOCKS_AT_ONCE_MAX: usize = 4;
/// Bytes that are read at once.
const PIECE_BYTES: u64 = 256 * 1024;
/// The version of the protocol that is spoken.
pub(crate) const VERSION: &str = "2021-12-02";
/// Headers that are not the user's to set.
const OWN_HEADERS: [&str; 7] = [
    "authorization",
    "connection",
    "content-length",
    "host",
    "transfer-encoding",
    "x-ms-blob-type",
    "x-ms-version",
];

/// A blob to be.
pub(crate) struct Blob<'a> {
    /// Where.
    pub(crate) container: &'a Parts,
    /// Its name.
    pub(crate) name: &'a str,
    /// From the user.
    pub(crate) headers: HeaderMap,
    /// Its content.
    pub(crate) file: Arc<File>,
    /// Bytes of it.
    pub(crate) length_bytes: u64,
}

/// The headers that an output file names.
pub(crate) fn headers(given: &[UploadHeader]) -> Result<HeaderMap, FailureInfo> {
    let mut headers = HeaderMap::new();
    for UploadHeader { name, value } in given {
        let value = value.as_deref().unwrap_or_default();
        let parsed = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
        let Some((name, value)) = parsed.filter(|(name, _)| !OWN_HEADERS.contains(&name.as_str()))
        else {
            return Err(misc(&format!("the header `{name}` can not be sent")));
        };
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Makes the blob, in place of an older one.
pub(crate) async fn put(transfer: &Transfer, blob: &Blob<'_>) -> Result<(), FailureInfo> {
    let client = transfer.client().map_err(|error| misc(&with_causes(&error)))?;
    let whole = blob.container.blob(blob.name);
    let address = whole.as_str();
    let request = &|url: &str| client.put(url).header("x-ms-version", VERSION);
    if blob.length_bytes <= BLOCK_BYTES {
        let put = || {
            let request = request(address).headers(blob.headers.clone());
            let request = request.header("x-ms-blob-type", "BlockBlob");
            send(with_part(request, blob, 0, blob.length_bytes), address)
        };
        return again(put).await;
    }
    let block_bytes = BLOCK_BYTES.max(blob.length_bytes.div_ceil(BLOCKS_MAX));
    let n_blocks = blob.length_bytes.div_ceil(block_bytes);
    let put_block = |index: u64| async move {
        let url =
            blob.container.with_query(blob.name, &format!("comp=block&blockid={}", id(index)));
        let first = index * block_bytes;
        let length = block_bytes.min(blob.length_bytes - first);
        again(|| send(with_part(request(&url), blob, first, length), address)).await
    };
    stream::iter((0..n_blocks).map(Ok))
        .try_for_each_concurrent(BLOCKS_AT_ONCE_MAX, put_block)
        .await?;
    let url = blob.container.with_query(blob.name, "comp=blocklist");
    let blocks: String =
        (0..n_blocks).map(|index| format!("<Latest>{}</Latest>", id(index))).collect();
    let list = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{blocks}</BlockList>");
    again(|| send(request(&url).headers(blob.headers.clone()).body(list.clone()), address)).await
}

/// Name of a block, of the same length for all; base64 as it must be, though it needs no decoding.
fn id(index: u64) -> String {
    format!("{index:08}")
}

fn with_part(request: RequestBuilder, blob: &Blob<'_>, first: u64, length: u64) -> RequestBuilder {
    let content = Body::wrap_stream(part(Arc::clone(&blob.file), first, length));
    request.header(CONTENT_LENGTH, length).body(content)
}

/// A part of a file, read as it is sent.
fn part(file: Arc<File>, first: u64, length: u64) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold((file, first, length), |(file, first, rest)| async move {
        if rest == 0 {
            return Ok(None);
        }
        let wanted = usize::try_from(rest.min(PIECE_BYTES)).map_err(io::Error::other)?;
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; wanted];
            file.read_exact_at(&mut piece, first).map(|()| (Bytes::from(piece), file))
        });
        let (piece, file) = read.await.map_err(io::Error::other)??;
        let length = u64::try_from(wanted).map_err(io::Error::other)?;
        Ok(Some((piece, (file, first + length, rest - length))))
    })
    .boxed()
}

async fn send(request: RequestBuilder, address: &str) -> Result<(), Fault> {
    let response = request.send().await.map_err(|error| {
        Fault::Passing(misc(&format!("{}: {}", without_query(address), with_causes(&error))))
    })?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let code = response.headers().get("x-ms-error-code").and_then(|code| code.to_str().ok());
    let detail = format!("{status} {} {}", code.unwrap_or_default(), without_query(address));
    let failed = |code, message: &str| {
        FailureInfo::user_error(code, message).with_detail("Message", &detail)
    };
    Err(match status {
        StatusCode::NOT_FOUND => {
            let message = "One of the specified Azure container(s) was not found while attempting \
                           to upload an output file";
            Fault::Lasting(failed("FileUploadContainerNotFound", message))
        }
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => {
            let message = "Access was denied to one of the specified Azure container(s) while \
                           attempting to upload an output file";
            Fault::Lasting(failed("FileUploadAccessDenied", message))
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Fault::Passing(misc(&detail))
        }
        status if status.is_server_error() => Fault::Passing(misc(&detail)),
        _ => Fault::Lasting(misc(&detail)),
    })
}
