//! Keeps the output files of a command in containers once it has ended.

pub(crate) mod blob;
mod find;
mod log;
mod pattern;

use std::io;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use kiln_domain::batch::command::{OutputFile, OutputFileContainer};
use kiln_domain::batch::task::FailureInfo;

use self::log::Log;
use self::pattern::FilePattern;
use crate::command::Command;
use crate::isolate::identity::as_user;
use crate::node::Node;
use crate::transfer::{Transfer, without_query};
use crate::url::Parts;
use kiln_files::Directory;

/// Files of one command that are uploaded at once.
const FILES_AT_ONCE_MAX: usize = 8;

/// A pattern and what becomes of the files it finds.
struct Output {
    pattern: String,
    container: OutputFileContainer,
}

/// Uploads what output files stand for.
#[derive(Debug)]
pub(crate) struct Uploader {
    transfer: Arc<Transfer>,
}

/// One file to upload.
struct Due {
    /// What it was found by.
    output: Arc<Output>,
    /// From the root of the node's view on.
    path: String,
    blob_name: String,
}

impl Uploader {
    /// Uploads by `transfer`.
    pub(crate) fn new(transfer: Arc<Transfer>) -> Self {
        Self { transfer }
    }

    /// Uploads the output files of `command` that are wanted after this exit code. Each file
    /// is tried; the first that failed says why.
    pub(crate) async fn upload(
        &self,
        node: &Node,
        command: &Command,
        exit_code: i32,
    ) -> Result<(), FailureInfo> {
        let holds = |file: &&OutputFile| file.upload_options.upload_condition.holds_for(exit_code);
        let files: Vec<&OutputFile> = command.output_files.iter().filter(holds).collect();
        if files.is_empty() {
            return Ok(());
        }
        let prepared = node.view().and_then(|view| {
            let directory = node.root.enter(&command.directory, kiln_files::Links::Below)?;
            Ok((Arc::new(view), directory))
        });
        let (view, directory) = prepared.map_err(|error| misc(&error.to_string()))?;
        let mut failures = Vec::new();
        let mut due = Vec::new();
        let mut notes = Vec::new();
        for file in files {
            let Some(container) = file.destination.container.clone() else { continue };
            let output = Arc::new(Output { pattern: file.file_pattern.clone(), container });
            let place = format!("{}/{}/wd", node.root_in_view, command.directory);
            let pattern = FilePattern::resolve(&file.file_pattern, &place, &command.variables);
            match find_all(&view, &pattern, command).await {
                Ok(paths) => {
                    notes.push(format!("{} files like {}", paths.len(), file.file_pattern));
                    due.extend(paths.into_iter().map(|path| Due {
                        blob_name: pattern.blob_name(&path, output.container.path.as_deref()),
                        path: format!("{}/{path}", pattern.base),
                        output: Arc::clone(&output),
                    }));
                }
                Err(error) => failures.push((file.file_pattern.clone(), misc(&error.to_string()))),
            }
        }
        // Made only now: `../*.txt` does not mean them.
        let log = Log::create(&directory, command.account.owner)
            .map_err(|error| misc(&error.to_string()))?;
        for note in &notes {
            log.note(note);
        }
        for (pattern, failure) in &failures {
            log.failure(failure, pattern, "", "");
        }
        let (view, log) = (&view, &log);
        let done: Vec<_> = stream::iter(due)
            .map(|due| async move { self.upload_one(&due, view, command, log).await })
            .buffered(FILES_AT_ONCE_MAX)
            .collect()
            .await;
        let mut failed = failures.into_iter().map(|(_, failure)| failure);
        match failed.next().or_else(|| done.into_iter().find_map(Result::err)) {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// Makes a blob of a file of this machine.
    pub(crate) async fn keep(
        &self,
        container_url: &str,
        name: &str,
        file: std::fs::File,
    ) -> Result<(), FailureInfo> {
        let container = Parts::parse(container_url)
            .ok_or_else(|| misc("the URL of the container makes no sense"))?;
        let length_bytes = file.metadata().map_err(|error| misc(&error.to_string()))?.len();
        let headers = blob::headers(&[])?;
        let file = Arc::new(file);
        let blob = blob::Blob { container: &container, name, headers, file, length_bytes };
        blob::put(&self.transfer, &blob).await
    }

    async fn upload_one(
        &self,
        due: &Due,
        view: &Arc<Directory>,
        command: &Command,
        log: &Log,
    ) -> Result<(), FailureInfo> {
        let container = &due.output.container;
        let place = without_query(&container.container_url);
        log.note(&format!("uploading /{} to {place}/{}", due.path, due.blob_name));
        let uploaded = async {
            let address = Parts::parse(&container.container_url)
                .ok_or_else(|| misc("the URL of the container makes no sense"))?;
            let (file, length_bytes) =
                open(view, &due.path, command).await.map_err(|error| misc(&error.to_string()))?;
            let blob = blob::Blob {
                container: &address,
                name: &due.blob_name,
                headers: blob::headers(&container.upload_headers)?,
                file: Arc::new(file),
                length_bytes,
            };
            blob::put(&self.transfer, &blob).await
        };
        match uploaded.await {
            Ok(()) => {
                log.note(&format!("uploaded /{}", due.path));
                Ok(())
            }
            Err(failure) => {
                log.failure(&failure, &due.output.pattern, &due.path, place);
                let failure = failure.with_detail("FilePath", format!("/{}", due.path));
                Err(failure.with_detail("Container", place))
            }
        }
    }
}

/// Looks for the files of a pattern as the user of the task, on a thread that may wait.
async fn find_all(
    view: &Arc<Directory>,
    pattern: &FilePattern,
    command: &Command,
) -> io::Result<std::collections::BTreeSet<String>> {
    let (view, pattern, owner) = (Arc::clone(view), pattern.clone(), command.account.owner);
    let found =
        tokio::task::spawn_blocking(move || as_user(owner, || find::find(&view, &pattern))).await;
    found.map_err(io::Error::other)??
}

/// Opens a file as the user of the task.
async fn open(
    view: &Arc<Directory>,
    path: &str,
    command: &Command,
) -> io::Result<(std::fs::File, u64)> {
    let (view, path, owner) = (Arc::clone(view), path.to_owned(), command.account.owner);
    let opened =
        tokio::task::spawn_blocking(move || as_user(owner, || find::open(&view, &path))).await;
    opened.map_err(io::Error::other)??
}

fn misc(detail: &str) -> FailureInfo {
    let message = "Miscellaneous error encountered while uploading one of the output files";
    FailureInfo::user_error("FileUploadMiscError", message).with_detail("Message", detail)
}
