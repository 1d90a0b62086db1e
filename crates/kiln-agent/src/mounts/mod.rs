//! File systems that the pool mounts on its nodes, before anything runs there.
//!
//! A container of blobs is served by the agent itself ([`blob`]); a share of a server is the
//! kernel's matter ([`server`]). All are mounted in the node's own name space, so they vanish with
//! the node, and who removes its directory on the machine does not go through them.

mod blob;
mod log;
mod options;
mod server;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kiln_domain::batch::command::EnvironmentSetting;
use kiln_domain::batch::task::FailureInfo;
use kiln_wire::node::Mount;
use tokio::sync::oneshot;

use self::blob::Wanted;
use self::log::Log;
use self::options::blob_options;
use crate::clock;
use crate::isolate::mount::{Mounting, mount_in_node};
use crate::node::Node;

/// Seconds that one mount may take.
const MOUNT_SECONDS_MAX: u64 = 60;
/// Seconds for which the end of a node waits for what its tasks wrote to become blobs.
const END_SECONDS_MAX: u64 = 60;
/// Bytes of files that are open for writing in one container, which lie on this machine's disk
/// until they are closed.
const SPOOL_BYTES_MAX: u64 = 64 * 1024 * 1024 * 1024;
/// The node's directory for them, which its tasks do not see.
const SPOOL_DIRECTORY: &str = "spool";
/// Code of the failure of a mount.
const FAILED: &str = "MountConfigurationFailed";

/// A mount that stands.
#[derive(Debug)]
pub(crate) struct Mounted {
    path: String,
    thread: std::thread::JoinHandle<()>,
    ended: oneshot::Receiver<()>,
}

/// What a thread needs to mount something.
struct Order {
    init: i32,
    place: String,
    what: What,
    log: Arc<Log>,
}

enum What {
    Blob(Box<Wanted>),
    Server(server::Ask),
}

/// Mounts all that a pool wants; the first that can not be mounted says why.
pub(crate) async fn mount_all(
    node: &Node,
    directory: &Path,
    mounts: &[Mount],
    environment: &[EnvironmentSetting],
) -> Result<(), FailureInfo> {
    for mount in mounts {
        let path = mount.path();
        let begun = begin(node, directory, mount, environment);
        let (mounted, ready) = begun.map_err(|error| failed(path, &error.to_string()))?;
        node.add_mount(mounted);
        let limit = Duration::from_secs(MOUNT_SECONDS_MAX);
        let made = tokio::select! {
            made = ready => made.unwrap_or_else(|_ended| Err("the mount broke".to_owned())),
            () = clock::sleep(limit) => Err(format!("no answer within {MOUNT_SECONDS_MAX} seconds")),
        };
        made.map_err(|said| failed(path, &said))?;
    }
    Ok(())
}

impl Mounted {
    /// Waits until it is no more, for all that was written is kept then; its node has ended.
    pub(crate) async fn end(self) {
        let Self { path, thread, ended } = self;
        tokio::select! {
            _told = ended => {
                if thread.join().is_err() {
                    tracing::error!(path, "a mount broke");
                }
            }
            () = clock::sleep(Duration::from_secs(END_SECONDS_MAX)) => {
                tracing::warn!(path, "a mount does not end");
            }
        }
    }
}

fn begin(
    node: &Node,
    directory: &Path,
    mount: &Mount,
    environment: &[EnvironmentSetting],
) -> io::Result<(Mounted, oneshot::Receiver<Result<(), String>>)> {
    let owner = node.accounts.root().owner;
    let path = format!("fsmounts/{}", mount.path());
    drop(node.root.make(&path, owner, 0o755)?);
    let log = Arc::new(Log::create(node, mount.path())?);
    let what = match mount {
        Mount::Blob(blob) => {
            let spools = directory.join(SPOOL_DIRECTORY);
            std::fs::create_dir_all(&spools)?;
            let url = blob.container_url.clone().unwrap_or_default().0;
            let given = blob.wanted.blobfuse_options.as_deref().unwrap_or_default();
            What::Blob(Box::new(Wanted {
                url,
                options: blob_options(given),
                environment: environment.to_vec(),
                owner,
                spools,
                spool_bytes_max: SPOOL_BYTES_MAX,
                log: Arc::clone(&log),
            }))
        }
        Mount::Nfs(mount) => What::Server(server::Ask::Nfs(mount.clone())),
        Mount::Cifs(mount) => What::Server(server::Ask::Cifs(mount.clone())),
        Mount::FileShare(mount) => What::Server(server::Ask::FileShare(mount.clone())),
    };
    let place = format!("{}/{path}", node.root_in_view);
    let order = Order { init: node.init_pid(), place, what, log };
    let (tell_ready, ready) = oneshot::channel();
    let (tell_end, ended) = oneshot::channel();
    let named = std::thread::Builder::new().name("mount".to_owned());
    let thread = named.spawn(move || {
        carry_out(order, tell_ready);
        // Nobody may wait for it any more.
        let _unheard = tell_end.send(());
    })?;
    Ok((Mounted { path: mount.path().to_owned(), thread, ended }, ready))
}

/// Mounts, tells whether that worked, and serves.
fn carry_out(order: Order, tell: oneshot::Sender<Result<(), String>>) {
    let Order { init, place, what, log } = order;
    let note_ignored = |ignored: &[String]| {
        if !ignored.is_empty() {
            log.note(&format!("options without effect: {}", ignored.join(", ")));
        }
    };
    let told = |made: Result<(), String>| {
        match &made {
            Ok(()) => log.note("mounted"),
            Err(said) => log.note(&format!("not mounted: {said}")),
        }
        // Whoever does not wait any more has given up the node.
        let _unheard = tell.send(made);
    };
    match what {
        What::Blob(wanted) => {
            note_ignored(&wanted.options.ignored);
            match blob::mount(*wanted, init, &place) {
                Ok(serve) => {
                    told(Ok(()));
                    match serve() {
                        Ok(()) => log.note("ended"),
                        Err(error) => log.note(&format!("ended: {error}")),
                    }
                }
                Err(said) => told(Err(said)),
            }
        }
        What::Server(ask) => match ask.mounting() {
            Ok((mounting, ignored)) => {
                note_ignored(&ignored);
                let made = mount_in_node(init, &place, &mounting);
                told(made.map_err(|error| advice(&mounting, &error)));
            }
            Err(error) => told(Err(format!("the server has no address: {error}"))),
        },
    }
}

/// What the kernel said, and what to do about it.
fn advice(Mounting { kind, source, .. }: &Mounting, error: &io::Error) -> String {
    let advice = match error.raw_os_error() {
        Some(libc::ENODEV) => {
            format!(" (the kernel lacks the file system `{kind}`: install it, or modprobe {kind})")
        }
        _ => String::new(),
    };
    format!("`{source}`: {error}{advice}")
}

fn failed(path: &str, said: &str) -> FailureInfo {
    let message = format!("The file system at fsmounts/{path} can not be mounted: {said}");
    FailureInfo::user_error(FAILED, &message).with_detail("RelativeMountPath", path)
}
