//! A container of blobs as a file system, served by the agent.
//!
//! In reading order: [`session`] what the kernel asks, [`files`] what that means, [`tree`] names
//! and their numbers, [`spool`] what is written, [`blobs`] requests to the storage account.

mod blobs;
mod files;
mod session;
mod spool;
mod tree;

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use fuser::{Config, SessionACL};
use kiln_domain::batch::command::EnvironmentSetting;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::mount::MountFlags;

use self::blobs::Blobs;
use self::files::Files;
use self::session::Session;
use self::spool::Room;
use super::log::Log;
use super::options::BlobOptions;
use crate::isolate::mount::{Mounting, mount_in_node};
use crate::node_init::message::UserId;
use crate::transfer::Transfer;

/// Requests of the kernel that are answered at once.
const THREADS_MAX: usize = 8;
/// Where the kernel hands out file systems that programs serve.
const DEVICE: &str = "/dev/fuse";

/// A container that is to be mounted.
pub(super) struct Wanted {
    /// What opens it.
    pub(super) url: String,
    pub(super) options: BlobOptions,
    /// Proxy and certificates.
    pub(super) environment: Vec<EnvironmentSetting>,
    /// To whom all belongs, as the machine sees it.
    pub(super) owner: Option<UserId>,
    /// Where what is written lies until it is a blob, and how much that may be.
    pub(super) spools: PathBuf,
    pub(super) spool_bytes_max: u64,
    pub(super) log: Arc<Log>,
}

/// Mounts a container at `place` of the node whose first process is `init`, and tells how it is
/// served from then on, until nobody has it mounted any more.
pub(super) fn mount(
    wanted: Wanted,
    init: i32,
    place: &str,
) -> Result<impl FnOnce() -> io::Result<()> + Send + use<>, String> {
    let Wanted { url, options, environment, owner, spools, spool_bytes_max, log } = wanted;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("blob-mount")
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let blobs = Blobs::new(Transfer::new(environment), &url, Arc::clone(&log))
        .ok_or("the URL of the container makes no sense")?;
    runtime.block_on(blobs.probe())?;
    let device = open_device()?;
    let read_only = if options.is_read_only { MountFlags::RDONLY } else { MountFlags::empty() };
    let mounting = Mounting {
        kind: "fuse",
        source: blobs.address(),
        flags: MountFlags::NOSUID | MountFlags::NODEV | read_only,
        data: format!(
            "fd={},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions",
            device.as_raw_fd()
        ),
    };
    mount_in_node(init, place, &mounting).map_err(|error| error.to_string())?;
    let room = Room::new(spool_bytes_max);
    let (attributes_for, entries_for) = (options.attributes_for, options.entries_for);
    let files = Files::new(blobs, runtime, spools, room, attributes_for);
    let is_read_only = options.is_read_only;
    let session = Session { files, owner, is_read_only, attributes_for, entries_for };
    let mut config = Config::default();
    config.n_threads = Some(THREADS_MAX);
    let session = fuser::Session::from_fd(session, device, SessionACL::All, config);
    let session = session.map_err(|error| error.to_string())?;
    Ok(move || session.run())
}

fn open_device() -> Result<OwnedFd, String> {
    open(DEVICE, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(|error| {
        let advice = if error == Errno::NOENT {
            "the kernel lacks FUSE: modprobe fuse"
        } else {
            "run Kiln as root where this device may be opened"
        };
        format!("`{DEVICE}` can not be opened ({error}): {advice}")
    })
}
