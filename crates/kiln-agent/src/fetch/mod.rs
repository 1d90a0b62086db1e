//! Brings the resource files of a command to its working directory.

mod cache;
mod download;

use std::io;
use std::path::Path;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kiln_domain::batch::command::ResourceFile;
use kiln_domain::batch::task::FailureInfo;
use kiln_wire::blob::listed::{BlobPage, blob_page};
use reqwest::StatusCode;

use self::cache::Cache;
use self::download::download;
use crate::node_init::message::UserId;
use crate::transfer::{Fault, Transfer, again, with_causes, without_query};
use crate::url::Parts;
use kiln_files::{Directory, is_below};

/// Files fetched at once for one command.
const FILES_AT_ONCE_MAX: usize = 8;
/// Blobs of one container.
const BLOBS_MAX: usize = 100_000;
/// Bytes of one page of a list.
const PAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Permission bits of a fetched file.
const FILE_MODE: u32 = 0o770;
/// Permission bits of a directory made for one.
const DIRECTORY_MODE: u32 = 0o770;

/// Code of a failure to list a container.
const LIST_ERROR: &str = "ResourceContainerListMiscError";

/// Fetches what resource files stand for.
#[derive(Debug)]
pub(crate) struct Fetcher {
    transfer: Arc<Transfer>,
    cache: Cache,
}

/// One file to fetch.
struct Wanted {
    url: String,
    path: String,
    mode: u32,
}

impl Fetcher {
    /// Fetches by `transfer`, and keeps what it can below `directory`.
    pub(crate) fn new(transfer: Arc<Transfer>, directory: &Path) -> io::Result<Self> {
        Ok(Self { transfer, cache: Cache::create(&directory.join("cache"))? })
    }

    /// Fetches `files` into `directory`.
    pub(crate) async fn fetch(
        &self,
        files: &[ResourceFile],
        directory: &Directory,
        owner: Option<UserId>,
    ) -> Result<(), FailureInfo> {
        let mut wanted = Vec::new();
        for file in files {
            wanted.extend(self.wanted(file).await?);
        }
        stream::iter(wanted.into_iter().map(Ok))
            .try_for_each_concurrent(FILES_AT_ONCE_MAX, |file| async move {
                self.fetch_one(&file, directory, owner).await
            })
            .await
    }

    /// What a resource file stands for.
    async fn wanted(&self, file: &ResourceFile) -> Result<Vec<Wanted>, FailureInfo> {
        let mode = file.file_mode.as_deref().and_then(|mode| u32::from_str_radix(mode, 8).ok());
        let mode = mode.unwrap_or(FILE_MODE) & 0o7777;
        let path = file.file_path.as_deref().unwrap_or_default();
        if !is_below(path) {
            let message = "The path of a resource file leads out of the working directory";
            return Err(failure("ResourceFileCreateFailed", message, path));
        }
        if let Some(url) = &file.http_url {
            let parts = parse(url)?;
            return Ok(vec![Wanted { url: parts.whole(), path: path.to_owned(), mode }]);
        }
        let Some(url) = &file.storage_container_url else {
            let name = file.auto_storage_container_name.as_deref().unwrap_or_default();
            let message = "The node knows no storage account for the container";
            return Err(failure("BlobDownloadMiscError", message, name));
        };
        let container = parse(url)?;
        let prefix = file.blob_prefix.as_deref().unwrap_or_default();
        let names = self.list(&container, prefix).await?;
        let in_directory = |name: &str| match path.trim_end_matches('/') {
            "" => name.to_owned(),
            path => format!("{path}/{name}"),
        };
        // A name that ends with a slash stands for a directory.
        let files = names.iter().filter(|name| !name.ends_with('/') && is_below(name));
        Ok(files
            .map(|name| Wanted { url: container.blob(name), path: in_directory(name), mode })
            .collect())
    }

    async fn list(&self, container: &Parts, prefix: &str) -> Result<Vec<String>, FailureInfo> {
        let mut names = Vec::new();
        let mut marker = String::new();
        loop {
            let url = container.list(prefix, &marker);
            let page = again(|| self.list_page(&url)).await?;
            names.extend(page.blobs.into_iter().map(|blob| blob.name));
            match page.next_marker {
                Some(next) => marker = next,
                None => return Ok(names),
            }
            if names.len() > BLOBS_MAX {
                let message = "The container holds too many blobs";
                return Err(failure(LIST_ERROR, message, without_query(&container.whole())));
            }
        }
    }

    async fn list_page(&self, url: &str) -> Result<BlobPage, Fault> {
        let response = self.get_list(url).await?;
        let mut xml = Vec::new();
        let mut bytes = response.bytes_stream();
        while let Some(part) = bytes.next().await {
            xml.extend_from_slice(&part.map_err(|error| broken(url, &error))?);
            if xml.len() > PAGE_BYTES_MAX {
                let message = "The list of blobs is too long";
                return Err(Fault::Lasting(failure(LIST_ERROR, message, without_query(url))));
            }
        }
        blob_page(&xml).map_err(|error| {
            let message = "The list of blobs can not be read";
            Fault::Lasting(failure(LIST_ERROR, message, &error.to_string()))
        })
    }

    async fn fetch_one(
        &self,
        file: &Wanted,
        directory: &Directory,
        owner: Option<UserId>,
    ) -> Result<(), FailureInfo> {
        let (above, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        let directory = directory.make(above, owner, DIRECTORY_MODE).map_err(|error| {
            let message = "A directory for a resource file can not be made";
            failure("ResourceDirectoryCreateFailed", message, &format!("{above}: {error}"))
        })?;
        let place = (&directory, name);
        again(|| download(&self.transfer, &self.cache, file, place, owner)).await
    }

    async fn get_list(&self, url: &str) -> Result<reqwest::Response, Fault> {
        let client = self.transfer.client().map_err(|error| no_client(&error))?;
        let response = client.get(url).send().await.map_err(|error| broken(url, &error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let detail = format!("{status} {}", without_query(url));
        let failed = |code, message| failure(code, message, &detail);
        let misc = "Miscellaneous error encountered while listing one of the specified Azure Blob \
                    container(s)";
        Err(match status {
            StatusCode::NOT_FOUND => Fault::Lasting(failed(
                "ResourceContainerNotFound",
                "One of the specified Azure Blob container(s) is not found",
            )),
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Fault::Lasting(failed(
                "ResourceContainerAccessDenied",
                "Access for one of the specified Azure Blob container(s) is denied",
            )),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                Fault::Passing(failed(LIST_ERROR, misc))
            }
            status if status.is_server_error() => Fault::Passing(failed(LIST_ERROR, misc)),
            _ => Fault::Lasting(failed(LIST_ERROR, misc)),
        })
    }
}

fn parse(url: &str) -> Result<Parts, FailureInfo> {
    let message = "The URL of a resource file makes no sense";
    Parts::parse(url).ok_or_else(|| failure("BlobDownloadMiscError", message, without_query(url)))
}

fn no_client(error: &reqwest::Error) -> Fault {
    let message = "The settings for downloads make no sense";
    Fault::Lasting(failure("BlobDownloadMiscError", message, &with_causes(error)))
}

fn broken(url: &str, error: &reqwest::Error) -> Fault {
    let code = if error.is_timeout() { "BlobDownloadTimedOut" } else { "BlobDownloadMiscError" };
    let detail = format!("{}: {}", without_query(url), with_causes(error));
    Fault::Passing(failure(code, "A resource file can not be downloaded", &detail))
}

fn failure(code: &str, message: &str, detail: &str) -> FailureInfo {
    FailureInfo::user_error(code, message).with_detail("Message", detail)
}
