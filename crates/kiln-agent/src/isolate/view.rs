//! What a node sees of its machine, put together inside the node's own mount name space.
//!
//! Runs in the first process of the node before it serves. The process's current directory
//! is the one that holds the layers (`upper`, `work`, `lower`, `root`, `tmp`): everything is
//! named from there, because the way to it may be closed to the node's users.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags, mount, mount_bind,
    mount_bind_recursive, mount_change, move_mount, unmount,
};

use super::SetupError;

/// Where the node's root directory lies in the view, without the slash.
pub(crate) const TASKS_DIRECTORY: &str = "mnt/batch/tasks";
/// Where the engine of containers has its own directory in the view, without the slash: not below
/// the node's root, all of which containers see.
pub(crate) const ENGINE_DIRECTORY: &str = "mnt/batch/containers";

/// Devices that every node has.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Beginnings of the names of devices that a node has when its machine does.
const DEVICES_OF_MACHINE: [&str; 4] = ["nvidia", "dri", "kfd", "infiniband"];

/// Makes changes of mounts in this name space stay in it.
pub(crate) fn detach_from_machine() -> Result<(), SetupError> {
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", flags).map_err(|error| SetupError::new("keep mounts private", error))
}

/// Attaches a tree that was opened elsewhere.
pub(crate) fn attach(tree: &OwnedFd, place: &str) -> Result<(), SetupError> {
    move_mount(tree, "", CWD, place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|error| SetupError::new(format!("attach a tree at `{place}`"), error))
}

/// Mounts the layers on each other: what the node writes lies in `upper`.
pub(crate) fn mount_overlay(lower: &str, upper: &str, work: &str, place: &str) -> io::Result<()> {
    // Without `userxattr` a package manager can not replace a directory within a user
    // name space.
    let layers = format!("lowerdir={lower},upperdir={upper},workdir={work},userxattr");
    let layers = std::ffi::CString::new(layers)?;
    Ok(mount("overlay", place, "overlay", MountFlags::empty(), layers.as_c_str())?)
}

/// Gives the view in `root` its own `/proc`, `/dev`, `/run` and `/tmp`, and shows directories of
/// the machine at these places.
pub(crate) fn furnish(root: &str, shown: &[(&str, Shown<'_>)]) -> Result<(), SetupError> {
    let places = shown.iter().map(|(place, _)| *place);
    for directory in ["proc", "dev", "sys", "run", "tmp"].into_iter().chain(places) {
        let path = format!("{root}/{directory}");
        fs::create_dir_all(&path)
            .map_err(|error| SetupError::new(format!("make `{path}`"), error))?;
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    // Users see their own processes only; so do those who lack the rights to look into others.
    mount_new("proc", &format!("{root}/proc"), flags, c"hidepid=invisible")
        .or_else(|_older_kernel| mount_new("proc", &format!("{root}/proc"), flags, c""))?;
    let tmpfs = MountFlags::NOSUID | MountFlags::NODEV;
    mount_new("tmpfs", &format!("{root}/run"), tmpfs, c"mode=755")?;
    let place = format!("{root}/run/lock");
    fs::create_dir(&place)
        .and_then(|()| set_mode(&place, 0o1777))
        .map_err(|error| SetupError::new(format!("make `{place}`"), error))?;
    let place = format!("{root}/tmp");
    mount_bind("tmp", &place).map_err(|error| SetupError::new(format!("bind `{place}`"), error))?;
    furnish_devices(&format!("{root}/dev"))?;
    for (place, what) in shown {
        let place = format!("{root}/{place}");
        match what {
            Shown::Tree(tree) => attach(tree, &place)?,
            Shown::Path(path) => mount_bind(*path, &place)
                .map_err(|error| SetupError::new(format!("bind `{place}`"), error))?,
        }
    }
    Ok(())
}

/// Hides the machine's control groups: a node has no business there, and the engine of containers
/// leaves those of its command alone when it sees none.
pub(crate) fn hide_groups(root: &str) -> Result<(), SetupError> {
    let place = format!("{root}/sys/fs/cgroup");
    if !Path::new(&place).exists() {
        return Ok(());
    }
    mount_new("tmpfs", &place, MountFlags::NOSUID | MountFlags::NODEV, c"size=4k,mode=755")
}

/// A directory of the machine, as the one who makes the view can reach it.
pub(crate) enum Shown<'a> {
    /// Opened by a process with more rights.
    Tree(&'a OwnedFd),
    /// By name.
    Path(&'a Path),
}

fn furnish_devices(place: &str) -> Result<(), SetupError> {
    mount_new("tmpfs", place, MountFlags::NOSUID, c"mode=755,size=1m")?;
    for device in DEVICES {
        bind_device(device, place)?;
    }
    for entry in fs::read_dir("/dev").into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        if DEVICES_OF_MACHINE.iter().any(|beginning| name.starts_with(beginning)) {
            // One that can not be had is one that the node does not have.
            let _absent = bind_device(&name, place);
        }
    }
    let links = [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ];
    let furnish = || {
        for (name, target) in links {
            symlink(target, format!("{place}/{name}"))?;
        }
        fs::create_dir(format!("{place}/shm"))?;
        fs::create_dir(format!("{place}/pts"))
    };
    furnish().map_err(|error| SetupError::new(format!("furnish `{place}`"), error))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount_new("tmpfs", &format!("{place}/shm"), flags, c"mode=1777")?;
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    let options = c"newinstance,ptmxmode=0666,mode=620";
    mount_new("devpts", &format!("{place}/pts"), flags, options)
}

fn bind_device(name: &str, place: &str) -> Result<(), SetupError> {
    let (source, target) = (format!("/dev/{name}"), format!("{place}/{name}"));
    let failed = |error| SetupError::new(format!("bind `{source}`"), error);
    if fs::metadata(&source).map_err(failed)?.is_dir() {
        fs::create_dir(&target).map_err(failed)?;
    } else {
        drop(File::create(&target).map_err(failed)?);
    }
    mount_bind_recursive(&source, &target)
        .map_err(|error| SetupError::new(format!("bind `{source}`"), error))
}

fn mount_new(
    kind: &str,
    place: &str,
    flags: MountFlags,
    options: &std::ffi::CStr,
) -> Result<(), SetupError> {
    mount(kind, place, kind, flags, options)
        .map_err(|error| SetupError::new(format!("mount {kind} at `{place}`"), error))
}

fn set_mode(path: &str, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Makes `root` the root directory; the machine's can not be reached any more.
pub(crate) fn enter(root: &str, host_name: &str) -> Result<(), SetupError> {
    let entered = rustix::process::chdir(root)
        .and_then(|()| rustix::process::pivot_root(".", "."))
        .and_then(|()| unmount(".", UnmountFlags::DETACH))
        .and_then(|()| rustix::process::chdir("/"));
    entered.map_err(|error| SetupError::new("enter the view", error))?;
    rustix::system::sethostname(host_name.as_bytes())
        .map_err(|error| SetupError::new("set the host name", error))
}

/// Makes all of a mounted tree read-only.
#[expect(unsafe_code, reason = "mount_setattr has no safe wrapper")]
pub(crate) fn set_read_only(tree: BorrowedFd<'_>, is_recursive: bool) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: passes an open descriptor and a struct that outlives the call.
    unsafe { set_attributes(tree, &attributes, is_recursive) }
}

/// Shows a tree with owners translated as the user name space `users` says.
#[expect(unsafe_code, reason = "mount_setattr has no safe wrapper")]
pub(crate) fn set_id_map(tree: BorrowedFd<'_>, users: impl AsFd) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: u64::try_from(users.as_fd().as_raw_fd()).map_err(io::Error::other)?,
    };
    // SAFETY: passes open descriptors and a struct that outlives the call.
    unsafe { set_attributes(tree, &attributes, false) }
}

/// # Safety
///
/// Descriptors in `attributes` are open.
#[expect(unsafe_code, reason = "mount_setattr has no safe wrapper")]
unsafe fn set_attributes(
    tree: BorrowedFd<'_>,
    attributes: &libc::mount_attr,
    is_recursive: bool,
) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let flags = libc::AT_EMPTY_PATH | if is_recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the caller keeps the descriptors open; the text ends with zero and the size
    // is that of the struct.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(attributes),
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
