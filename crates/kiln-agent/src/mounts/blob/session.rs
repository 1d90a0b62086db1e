//! The kernel's side of a mounted container: what it asks, and what it is answered.

use std::ffi::OsStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::BsdFileFlags;
use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenAccMode, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use super::blobs::About;
use super::files::{Access, Files, Replace};
use crate::node_init::message::UserId;
use kiln_domain::time::Timestamp;

/// Bytes of a block, as programs are told.
const BLOCK_BYTES: u32 = 4096;
/// The number of an entry that the kernel does not know yet.
const UNKNOWN: INodeNo = INodeNo(0xffff_ffff);

/// A container, as the kernel asks for it.
pub(super) struct Session {
    pub(super) files: Files,
    /// To whom all belongs, as the machine sees it.
    pub(super) owner: Option<UserId>,
    pub(super) is_read_only: bool,
    pub(super) attributes_for: Duration,
    pub(super) entries_for: Duration,
}

impl Session {
    fn attributes(&self, number: INodeNo, about: About) -> FileAttr {
        let at = UNIX_EPOCH + about.modified_at.since(Timestamp(0));
        let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let (uid, gid) = self.owner.map_or(own, |owner| (owner.uid, owner.gid));
        FileAttr {
            ino: number,
            size: about.length_bytes,
            blocks: about.length_bytes.div_ceil(512),
            atime: at,
            mtime: at,
            ctime: at,
            crtime: at,
            kind: kind(about.is_directory),
            // All users of a node may use what its pool mounts.
            perm: if self.is_read_only { 0o555 } else { 0o777 },
            nlink: 1,
            uid,
            gid,
            rdev: 0,
            blksize: BLOCK_BYTES,
            flags: 0,
        }
    }

    fn answer_entry(&self, found: Result<(INodeNo, About), Errno>, reply: ReplyEntry) {
        match found {
            Ok((number, about)) => {
                let attributes = self.attributes(number, about);
                reply.entry_with_ttls(
                    &self.entries_for,
                    &self.attributes_for,
                    &attributes,
                    Generation(0),
                );
            }
            Err(error) => reply.error(error),
        }
    }

    fn answer_attributes(&self, number: INodeNo, found: Result<About, Errno>, reply: ReplyAttr) {
        match found {
            Ok(about) => reply.attr(&self.attributes_for, &self.attributes(number, about)),
            Err(error) => reply.error(error),
        }
    }
}

fn kind(is_directory: bool) -> FileType {
    if is_directory { FileType::Directory } else { FileType::RegularFile }
}

/// Names of blobs are text.
fn text(name: &OsStr) -> Result<&str, Errno> {
    name.to_str().ok_or(Errno::EILSEQ)
}

fn answer(done: Result<(), Errno>, reply: ReplyEmpty) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

fn answer_open(opened: Result<u64, Errno>, reply: ReplyOpen) {
    match opened {
        Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::empty()),
        Err(error) => reply.error(error),
    }
}

impl Filesystem for Session {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.answer_entry(text(name).and_then(|name| self.files.lookup(parent, name)), reply);
    }

    fn forget(&self, _: &Request, number: INodeNo, n_times: u64) {
        self.files.forget(number, n_times);
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.answer_attributes(number, self.files.about(number), reply);
    }

    // Blobs have no owner, mode or chosen time: a program that sets them goes on.
    fn setattr(
        &self,
        _: &Request,
        number: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let resized = size.map_or(Ok(()), |size| self.files.resize(number, size));
        let found = resized.and_then(|()| self.files.about(number));
        self.answer_attributes(number, found, reply);
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let made = text(name).and_then(|name| self.files.make_directory(parent, name));
        self.answer_entry(made, reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(text(name).and_then(|name| self.files.unlink(parent, name)), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(text(name).and_then(|name| self.files.remove_directory(parent, name)), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let rename = || {
            if !RenameFlags::RENAME_NOREPLACE.contains(flags) {
                return Err(Errno::EINVAL);
            }
            let replace = if flags.is_empty() { Replace::Allowed } else { Replace::Refused };
            self.files.rename((parent, text(name)?), (new_parent, text(new_name)?), replace)
        };
        answer(rename(), reply);
    }

    fn open(&self, _: &Request, number: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let access = match flags.acc_mode() {
            OpenAccMode::O_RDONLY => Access::Read,
            OpenAccMode::O_WRONLY | OpenAccMode::O_RDWR => Access::Write,
        };
        answer_open(self.files.open(number, access), reply);
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        match text(name).and_then(|name| self.files.create(parent, name)) {
            Ok((number, about, handle)) => {
                let attributes = self.attributes(number, about);
                let (handle, flags) = (FileHandle(handle), FopenFlags::empty());
                reply.created(&self.attributes_for, &attributes, Generation(0), handle, flags);
            }
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.files.read(number, handle.0, offset, size) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let written = self.files.write(number, handle.0, offset, data);
        match written.and_then(|()| u32::try_from(data.len()).map_err(|_large| Errno::EINVAL)) {
            Ok(size) => reply.written(size),
            Err(error) => reply.error(error),
        }
    }

    fn flush(
        &self,
        _: &Request,
        number: INodeNo,
        handle: FileHandle,
        _: LockOwner,
        reply: ReplyEmpty,
    ) {
        answer(self.files.flush(number, handle.0), reply);
    }

    fn fsync(
        &self,
        _: &Request,
        number: INodeNo,
        handle: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        answer(self.files.flush(number, handle.0), reply);
    }

    fn release(
        &self,
        _: &Request,
        number: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.files.release(number, handle.0);
        reply.ok();
    }

    fn opendir(&self, _: &Request, number: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        answer_open(self.files.open_directory(number), reply);
    }

    fn readdir(
        &self,
        _: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let mut next = offset;
        loop {
            let full = match next {
                0 => reply.add(number, 1, FileType::Directory, "."),
                1 => reply.add(UNKNOWN, 2, FileType::Directory, ".."),
                index => match self.files.entry(handle.0, index - 2) {
                    Ok(Some((name, is_directory))) => {
                        reply.add(UNKNOWN, index + 1, kind(is_directory), &name)
                    }
                    Ok(None) => return reply.ok(),
                    Err(error) => return reply.error(error),
                },
            };
            if full {
                return reply.ok();
            }
            next += 1;
        }
    }

    fn releasedir(
        &self,
        _: &Request,
        number: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.files.release(number, handle.0);
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let (all, left) = self.files.space();
        let blocks = |bytes: u64| bytes / u64::from(BLOCK_BYTES);
        let (files, name_max) = (u64::from(u32::MAX), 255);
        let (left, block) = (blocks(left), BLOCK_BYTES);
        reply.statfs(blocks(all), left, left, files, files, block, name_max, block);
    }
}
