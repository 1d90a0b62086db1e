//! Downloads one file, from the network or from what is kept.

use std::fs::File;
use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fast_md5::{DIGEST_LENGTH, Md5};
use futures_util::StreamExt as _;
use reqwest::header::{CACHE_CONTROL, ETAG, HeaderMap, HeaderName, IF_NONE_MATCH};
use reqwest::{Response, StatusCode};

use super::cache::{Cache, Place};
use super::{Wanted, failure};
use crate::node_init::message::UserId;
use crate::transfer::{Fault, Transfer, without_query};
use kiln_files::Directory;

/// Header with the checksum of what is sent.
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// Where the bytes of a file are.
enum Source {
    /// They are kept.
    Kept(File),
    /// They are still to come.
    Coming(Response),
}

/// Brings the file to `name` in `directory`.
pub(super) async fn download(
    transfer: &Transfer,
    cache: &Cache,
    wanted: &Wanted,
    (directory, name): (&Directory, &str),
    owner: Option<UserId>,
) -> Result<(), Fault> {
    let source = open(transfer, cache, &wanted.url).await?;
    let target = directory.create(name, owner, wanted.mode).map_err(|error| {
        let message = "A resource file can not be made";
        let detail = format!("{}: {error}", wanted.path);
        Fault::Lasting(failure("ResourceFileCreateFailed", message, &detail))
    })?;
    match source {
        Source::Coming(response) => receive(response, &wanted.url, target).await,
        Source::Kept(kept) => {
            let copied = tokio::task::spawn_blocking(move || copy(&kept, target)).await;
            let copied = copied.map_err(io::Error::other).and_then(|copied| copied);
            copied.map_err(|error| not_written(&wanted.url, &error))
        }
    }
}

/// Finds where the bytes of a URL are. What can be kept is fetched by one task at a time: the
/// others wait for it.
async fn open(transfer: &Transfer, cache: &Cache, url: &str) -> Result<Source, Fault> {
    let slot = cache.slot(url);
    let mut kept = slot.lock().await;
    let mut response = None;
    let found = kept.as_ref().and_then(|known| Some((known.etag.clone(), known.open()?)));
    if let Some((etag, file)) = found {
        drop(kept);
        let answer = get(transfer, url, Some(&etag)).await?;
        if answer.status() == StatusCode::NOT_MODIFIED {
            return Ok(Source::Kept(file));
        }
        response = Some(answer);
        kept = slot.lock().await;
    }
    let response = match response {
        Some(response) => response,
        None => get(transfer, url, None).await?,
    };
    let Some((etag, length_bytes, place)) = room(cache, &response) else {
        return Ok(Source::Coming(response));
    };
    let file = place.create().map_err(|error| not_written(url, &error))?;
    receive(response, url, file).await?;
    let now = cache.keep(url, etag, place, length_bytes);
    let file = now.open();
    *kept = Some(now);
    file.map(Source::Kept).ok_or_else(|| {
        Fault::Passing(failure("BlobDownloadMiscError", "A kept file is gone", without_query(url)))
    })
}

/// Version, length and place of what can be kept.
fn room(cache: &Cache, response: &Response) -> Option<(String, u64, Place)> {
    let header = |name: HeaderName| response.headers().get(name)?.to_str().ok();
    let etag = header(ETAG).filter(|etag| !etag.starts_with("W/"))?;
    if header(CACHE_CONTROL).is_some_and(|control| control.contains("no-store")) {
        return None;
    }
    let length_bytes = response.content_length()?;
    Some((etag.to_owned(), length_bytes, cache.place(length_bytes)?))
}

/// Writes what comes, and compares it with its checksum.
async fn receive(response: Response, url: &str, mut target: File) -> Result<(), Fault> {
    let expected = checksum(response.headers());
    let mut found = expected.as_ref().map(|_| Md5::new());
    let mut bytes = response.bytes_stream();
    while let Some(part) = bytes.next().await {
        let part = part.map_err(|error| super::broken(url, &error))?;
        if let Some(found) = &mut found {
            found.update(&part);
        }
        target.write_all(&part).map_err(|error| not_written(url, &error))?;
    }
    if found.map(|found| found.finalize().to_vec()) != expected {
        let message = "A resource file does not have its checksum";
        return Err(Fault::Passing(failure("BlobDownloadMiscError", message, without_query(url))));
    }
    Ok(())
}

/// The checksum that the server sends along, if it does and it is one.
fn checksum(headers: &HeaderMap) -> Option<Vec<u8>> {
    let checksum = STANDARD.decode(headers.get(CONTENT_MD5)?.as_bytes()).ok()?;
    (checksum.len() == DIGEST_LENGTH).then_some(checksum)
}

/// Copies a file, by sharing its blocks where the file system can do that.
fn copy(kept: &File, mut target: File) -> io::Result<()> {
    if rustix::fs::ioctl_ficlone(&target, kept).is_ok() {
        return Ok(());
    }
    io::copy(&mut &*kept, &mut target).map(drop)
}

/// Asks for a URL, or whether it changed.
async fn get(transfer: &Transfer, url: &str, etag: Option<&str>) -> Result<Response, Fault> {
    let client = transfer.client().map_err(|error| super::no_client(&error))?;
    let mut request = client.get(url);
    if let Some(etag) = etag {
        request = request.header(IF_NONE_MATCH, etag);
    }
    let response = request.send().await.map_err(|error| super::broken(url, &error))?;
    let status = response.status();
    if status.is_success() || (status == StatusCode::NOT_MODIFIED && etag.is_some()) {
        return Ok(response);
    }
    let detail = format!("{status} {}", without_query(url));
    let failed = |code, message| failure(code, message, &detail);
    Err(match status {
        StatusCode::NOT_FOUND => {
            Fault::Lasting(failed("BlobNotFound", "The specified Azure Blob(s) is not found"))
        }
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Fault::Lasting(failed(
            "BlobAccessDenied",
            "Access for one of the specified Azure Blob(s) is denied",
        )),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Fault::Passing(failed("BlobDownloadTimedOut", "The download was put off too often"))
        }
        status => {
            let message = "Miscellaneous error encountered while downloading one of the specified \
                           Azure Blob(s)";
            let failure = failed("BlobDownloadMiscError", message);
            if status.is_server_error() { Fault::Passing(failure) } else { Fault::Lasting(failure) }
        }
    })
}

fn not_written(url: &str, error: &io::Error) -> Fault {
    let is_full = error.kind() == io::ErrorKind::StorageFull;
    let code = if is_full { "DiskFull" } else { "ResourceFileWriteFailed" };
    let detail = format!("{}: {error}", without_query(url));
    Fault::Lasting(failure(code, "A resource file can not be written", &detail))
}
