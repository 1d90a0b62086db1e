//! Brings packages of applications to the node: each once, for all commands that want it.
//!
//! A package is downloaded beside the node's files, unpacked out of sight of the commands and
//! then moved to its place: a directory that is there is whole.

mod unpack;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use kiln_domain::batch::task::FailureInfo;
use kiln_wire::node::{Package, PackageSource};
use tokio::sync::OnceCell;

use self::unpack::unpack;
use crate::node::Node;
use crate::transfer::{Fault, Transfer, again, with_causes, without_query};
use kiln_files::{Directory, Links, is_below};

/// Where packages are, below the node's root.
const APPLICATIONS: &str = "applications";
/// Where packages are unpacked, below the node's root.
const UNPACKED: &str = "volatile/packages";
/// Bytes of one package's file.
const PACKAGE_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;
/// Permission bits of directories.
const DIRECTORY_MODE: u32 = 0o755;

/// The packages of a node.
#[derive(Debug)]
pub(crate) struct Packages {
    transfer: Arc<Transfer>,
    node: Arc<Node>,
    /// Where downloads are kept, on the machine.
    downloads: PathBuf,
    /// Those that are there or come, by their directories.
    brought: Mutex<HashMap<String, Arc<OnceCell<()>>>>,
    n_downloads: AtomicU64,
}

impl Packages {
    /// The packages of `node`, whose files are in `directory`.
    pub(crate) fn new(
        transfer: Arc<Transfer>,
        node: Arc<Node>,
        directory: &Path,
    ) -> io::Result<Self> {
        let downloads = directory.join("packages");
        // What an earlier start of the node left half done.
        for leftover in [&downloads, &directory.join("tasks").join(UNPACKED)] {
            match fs::remove_dir_all(leftover) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::create_dir_all(&downloads)?;
        let (brought, n_downloads) = (Mutex::default(), AtomicU64::new(0));
        Ok(Self { transfer, node, downloads, brought, n_downloads })
    }

    /// Comes back when all of `packages` are on the node.
    pub(crate) async fn bring(&self, packages: &[Package]) -> Result<(), FailureInfo> {
        for Package { reference, source } in packages {
            let name = match &reference.version {
                Some(version) => format!("{} {version}", reference.application_id),
                None => format!("{} (default version)", reference.application_id),
            };
            let Some(source) = source else {
                return Err(failure("The application package is not there", &name));
            };
            let brought = Arc::clone(
                self.brought
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .entry(source.directory.clone())
                    .or_default(),
            );
            brought.get_or_try_init(|| self.bring_one(&name, source)).await?;
        }
        Ok(())
    }

    async fn bring_one(&self, name: &str, source: &PackageSource) -> Result<(), FailureInfo> {
        let failed = |error: &io::Error| {
            let code = if error.kind() == io::ErrorKind::StorageFull {
                "DiskFull"
            } else {
                "ApplicationPackageError"
            };
            let message = "The application package can not be put on the node";
            FailureInfo::user_error(code, message)
                .with_detail("Message", format!("{name}: {error}"))
        };
        if !is_below(&source.directory) || source.directory.contains('/') {
            return Err(failed(&io::ErrorKind::InvalidFilename.into()));
        }
        let root = &self.node.root;
        let place = format!("{APPLICATIONS}/{}", source.directory);
        if root.enter(&place, Links::Refused).is_ok() {
            return Ok(());
        }
        // Another name for each try: one that was given up may still be at work.
        let number = self.n_downloads.fetch_add(1, Ordering::Relaxed);
        let zip = self.downloads.join(format!("{number}.zip"));
        again(|| self.download(&source.url, &zip)).await?;
        let unpacked = format!("{UNPACKED}/{number}");
        let owner = self.node.accounts.root().owner;
        let target = root.make(&unpacked, owner, DIRECTORY_MODE).map_err(|error| failed(&error))?;
        let unpacking = tokio::task::spawn_blocking(move || {
            let unpacked = unpack(&zip, &target, owner);
            fs::remove_file(&zip).and(unpacked)
        });
        let unpacked_whole = unpacking.await.map_err(io::Error::other).and_then(|result| result);
        unpacked_whole
            .and_then(|()| settle(root, &unpacked, &place))
            .map_err(|error| failed(&error))
    }

    /// Tries to download a file.
    async fn download(&self, url: &str, to: &Path) -> Result<(), Fault> {
        let address = without_query(url);
        let lasting = |detail: String| {
            let message = "The application package can not be downloaded";
            Fault::Lasting(failure(message, &format!("{address}: {detail}")))
        };
        let broken = |error: &reqwest::Error| {
            let message = "The application package can not be downloaded";
            Fault::Passing(failure(message, &format!("{address}: {}", with_causes(error))))
        };
        let client = self.transfer.client().map_err(|error| lasting(with_causes(&error)))?;
        let response = client.get(url).send().await.map_err(|error| broken(&error))?;
        let status = response.status();
        if status.is_server_error() {
            return Err(broken_by(address, status));
        }
        if !status.is_success() {
            return Err(lasting(status.to_string()));
        }
        let written = |error: io::Error| lasting(error.to_string());
        let mut file = File::create(to).map_err(written)?;
        let mut bytes = response.bytes_stream();
        let mut n_bytes = 0_u64;
        while let Some(part) = bytes.next().await {
            let part = part.map_err(|error| broken(&error))?;
            n_bytes = n_bytes.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
            if n_bytes > PACKAGE_BYTES_MAX {
                return Err(lasting(format!("it has more than {PACKAGE_BYTES_MAX} bytes")));
            }
            file.write_all(&part).map_err(written)?;
        }
        Ok(())
    }
}

/// Moves what was unpacked to its place, unless another did so before.
fn settle(root: &Directory, unpacked: &str, place: &str) -> io::Result<()> {
    match root.rename(unpacked, place) {
        Ok(()) => Ok(()),
        Err(_) if root.enter(place, Links::Refused).is_ok() => {
            let (above, name) = root.parent(unpacked)?;
            above.remove_all(name)
        }
        Err(error) => Err(error),
    }
}

fn broken_by(address: &str, status: reqwest::StatusCode) -> Fault {
    let message = "The application package can not be downloaded";
    Fault::Passing(failure(message, &format!("{address}: {status}")))
}

fn failure(message: &str, detail: &str) -> FailureInfo {
    FailureInfo::user_error("ApplicationPackageError", message).with_detail("Message", detail)
}
