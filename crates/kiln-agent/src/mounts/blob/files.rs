//! The files of a container: what each call of a program means for its blobs.
//!
//! What is written goes to a spool on this machine first and becomes a blob when the program
//! closes the file or asks for it to be kept: only then is it told whether that worked.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fuser::{Errno, INodeNo};

use super::blobs::{About, Blobs};
use super::spool::{Room, Spool};
use super::tree::Tree;
use crate::clock;
use kiln_domain::time::Timestamp;

/// Bytes that are fetched ahead of a program that reads from the front to the back.
const AHEAD_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes that are fetched at least for one that reads here and there.
const AROUND_BYTES: u64 = 256 * 1024;
/// Names of which it is remembered what a list said about them.
const BELIEVED_MAX: usize = 10_000;

/// The files of one container.
pub(super) struct Files {
    pub(super) blobs: Blobs,
    runtime: tokio::runtime::Runtime,
    /// Where spools lie.
    directory: PathBuf,
    room: Arc<Room>,
    state: Mutex<State>,
    believed_for: Duration,
}

struct State {
    tree: Tree,
    last_handle: u64,
    handles: HashMap<u64, Arc<Handle>>,
    /// By the number of the file.
    spools: HashMap<u64, Arc<Spool>>,
    /// What a list said, and when.
    believed: HashMap<String, (Timestamp, About)>,
}

/// What a program has open.
enum Handle {
    Reader(Mutex<Ahead>),
    Writer(Arc<Spool>),
    Directory(Vec<(String, bool)>),
}

/// What was fetched last.
#[derive(Default)]
struct Ahead {
    first: u64,
    bytes: Bytes,
}

/// Whether a file is opened to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// Whether a file may take the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replace {
    Allowed,
    Refused,
}

impl Files {
    /// The files of `blobs`; what is written lies in `directory` meanwhile.
    pub(super) fn new(
        blobs: Blobs,
        runtime: tokio::runtime::Runtime,
        directory: PathBuf,
        room: Arc<Room>,
        believed_for: Duration,
    ) -> Self {
        let (handles, spools, believed) = (HashMap::new(), HashMap::new(), HashMap::new());
        let state = State { tree: Tree::new(), last_handle: 0, handles, spools, believed };
        Self { blobs, runtime, directory, room, state: Mutex::new(state), believed_for }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// The name of an entry of a directory.
    fn child(&self, parent: INodeNo, name: &str) -> Result<String, Errno> {
        let above = self.state().tree.path(parent)?;
        Ok(if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") })
    }

    /// Finds an entry of a directory.
    pub(super) fn lookup(&self, parent: INodeNo, name: &str) -> Result<(INodeNo, About), Errno> {
        let path = self.child(parent, name)?;
        let about = self.about_path(&path)?;
        Ok((self.state().tree.tell(&path), about))
    }

    /// The kernel forgets a number.
    pub(super) fn forget(&self, number: INodeNo, n_times: u64) {
        self.state().tree.forget(number, n_times);
    }

    /// What a file is like.
    pub(super) fn about(&self, number: INodeNo) -> Result<About, Errno> {
        if let Some(spool) = self.spool(number) {
            return Ok(about_spool(&spool));
        }
        let path = self.state().tree.path(number)?;
        self.about_path(&path)
    }

    fn about_path(&self, path: &str) -> Result<About, Errno> {
        let directory = About { is_directory: true, length_bytes: 0, modified_at: Timestamp(0) };
        if path.is_empty() {
            return Ok(directory);
        }
        let is_empty = {
            let state = self.state();
            let number = state.tree.number(path);
            if let Some(spool) = number.and_then(|number| state.spools.get(&number.0)) {
                return Ok(about_spool(spool));
            }
            if let Some((at, about)) = state.believed.get(path)
                && clock::now().since(*at) < self.believed_for
            {
                return Ok(*about);
            }
            state.tree.is_empty_directory(path)
        };
        match self.wait(self.blobs.about(path)) {
            Err(Errno::ENOENT) if is_empty => Ok(directory),
            Err(Errno::ENOENT) => match self.wait(self.blobs.has_prefix(&format!("{path}/")))? {
                true => Ok(directory),
                false => Err(Errno::ENOENT),
            },
            found => found,
        }
    }

    fn disbelieve(&self, path: &str) {
        self.state().believed.remove(path);
    }

    fn spool(&self, number: INodeNo) -> Option<Arc<Spool>> {
        self.state().spools.get(&number.0).cloned()
    }

    fn hand_out(&self, handle: Handle) -> u64 {
        let mut state = self.state();
        state.last_handle += 1;
        let number = state.last_handle;
        state.handles.insert(number, Arc::new(handle));
        number
    }

    fn handle(&self, handle: u64) -> Result<Arc<Handle>, Errno> {
        self.state().handles.get(&handle).cloned().ok_or(Errno::EBADF)
    }

    /// Opens a file.
    pub(super) fn open(&self, number: INodeNo, access: Access) -> Result<u64, Errno> {
        match access {
            Access::Read => Ok(self.hand_out(Handle::Reader(Mutex::default()))),
            Access::Write => {
                let spool = match self.spool(number) {
                    Some(spool) => spool,
                    None => {
                        let about = self.about(number)?;
                        if about.is_directory {
                            return Err(Errno::EISDIR);
                        }
                        Arc::new(self.new_spool(Some(about.length_bytes))?)
                    }
                };
                Ok(self.hand_out_writer(number, spool))
            }
        }
    }

    /// Two that open a file at once get the same spool.
    fn hand_out_writer(&self, number: INodeNo, spool: Arc<Spool>) -> u64 {
        let spool = {
            let mut state = self.state();
            let spool = Arc::clone(state.spools.entry(number.0).or_insert(spool));
            spool.state().n_handles += 1;
            spool
        };
        self.hand_out(Handle::Writer(spool))
    }

    fn new_spool(&self, blob: Option<u64>) -> Result<Spool, Errno> {
        let made = Spool::create(&self.directory, Arc::clone(&self.room), blob);
        made.inspect_err(|error| self.blobs.note(&format!("no spool can be made: {error:?}")))
    }

    /// Makes a file and opens it.
    pub(super) fn create(
        &self,
        parent: INodeNo,
        name: &str,
    ) -> Result<(INodeNo, About, u64), Errno> {
        let path = self.child(parent, name)?;
        let spool = Arc::new(self.new_spool(None)?);
        let about = about_spool(&spool);
        self.disbelieve(&path);
        let number = self.state().tree.tell(&path);
        Ok((number, about, self.hand_out_writer(number, spool)))
    }

    /// Brings what the blob has to a spool that changes a part of it.
    fn fill(&self, number: INodeNo, spool: &Spool) -> Result<(), Errno> {
        if !spool.state().awaits_content {
            return Ok(());
        }
        let _turn = spool.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *spool.state();
        if before.awaits_content {
            let path = self.state().tree.path(number)?;
            self.wait(self.blobs.fetch(&path, before.length_bytes, spool.file()))?;
            spool.state().awaits_content = false;
        }
        Ok(())
    }

    /// Reads of an open file.
    pub(super) fn read(
        &self,
        number: INodeNo,
        handle: u64,
        offset: u64,
        size: u32,
    ) -> Result<Bytes, Errno> {
        let handle = self.handle(handle)?;
        let writer = match &*handle {
            Handle::Writer(spool) => Some(Arc::clone(spool)),
            // What another program is writing is there at once.
            Handle::Reader(_) => self.spool(number),
            Handle::Directory(_) => return Err(Errno::EISDIR),
        };
        match (writer, &*handle) {
            (Some(spool), _) => {
                self.fill(number, &spool)?;
                let size = usize::try_from(size).map_err(std::io::Error::other)?;
                Ok(spool.read(offset, size)?.into())
            }
            (None, Handle::Reader(ahead)) => {
                let path = self.state().tree.path(number)?;
                self.read_ahead(&path, ahead, offset, size.into())
            }
            (None, Handle::Writer(_) | Handle::Directory(_)) => Err(Errno::EBADF),
        }
    }

    fn read_ahead(
        &self,
        path: &str,
        ahead: &Mutex<Ahead>,
        offset: u64,
        size: u64,
    ) -> Result<Bytes, Errno> {
        let mut ahead = ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let length = u64::try_from(ahead.bytes.len()).map_err(std::io::Error::other)?;
        let end = ahead.first.saturating_add(length);
        if offset < ahead.first || offset.saturating_add(size) > end {
            let is_in_order = offset == 0 || (ahead.first..=end).contains(&offset);
            let wanted = size.max(if is_in_order { AHEAD_BYTES } else { AROUND_BYTES });
            let bytes = self.wait(self.blobs.read(path, offset, wanted))?;
            *ahead = Ahead { first: offset, bytes };
        }
        let from = usize::try_from(offset - ahead.first).map_err(std::io::Error::other)?;
        let size = usize::try_from(size).map_err(std::io::Error::other)?;
        let to = from.saturating_add(size).min(ahead.bytes.len());
        Ok(ahead.bytes.slice(from.min(to)..to))
    }

    /// Writes to an open file.
    pub(super) fn write(
        &self,
        number: INodeNo,
        handle: u64,
        offset: u64,
        data: &[u8],
    ) -> Result<(), Errno> {
        match &*self.handle(handle)? {
            Handle::Writer(spool) => {
                self.fill(number, spool)?;
                spool.write(offset, data)
            }
            Handle::Reader(_) | Handle::Directory(_) => Err(Errno::EBADF),
        }
    }

    /// Cuts or lengthens a file.
    pub(super) fn resize(&self, number: INodeNo, length_bytes: u64) -> Result<(), Errno> {
        let is_open = self.spool(number);
        let spool = match &is_open {
            Some(spool) => Arc::clone(spool),
            None => Arc::new(self.new_spool(Some(self.about(number)?.length_bytes))?),
        };
        if length_bytes > 0 {
            self.fill(number, &spool)?;
        }
        spool.resize(length_bytes)?;
        match is_open {
            Some(_) => Ok(()),
            None => self.keep(number, &spool),
        }
    }

    /// Makes a blob of what was written by a handle.
    pub(super) fn flush(&self, number: INodeNo, handle: u64) -> Result<(), Errno> {
        match &*self.handle(handle)? {
            Handle::Writer(spool) => self.keep(number, spool),
            Handle::Reader(_) | Handle::Directory(_) => Ok(()),
        }
    }

    fn keep(&self, number: INodeNo, spool: &Spool) -> Result<(), Errno> {
        let _turn = spool.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let length = {
            let mut state = spool.state();
            if !state.is_dirty || state.is_gone {
                return Ok(());
            }
            // What is written from here on makes it dirty again.
            state.is_dirty = false;
            state.length_bytes
        };
        let put = || {
            let path = self.state().tree.path(number)?;
            self.disbelieve(&path);
            self.wait(self.blobs.put(&path, spool.file().try_clone()?, length))
        };
        put().inspect_err(|_failed| spool.state().is_dirty = true)
    }

    /// Closes what was open.
    pub(super) fn release(&self, number: INodeNo, handle: u64) {
        let Some(handle) = self.state().handles.remove(&handle) else { return };
        if let Handle::Writer(spool) = &*handle {
            // A program that was killed did not flush. One that did was told what failed.
            let _noted = self.keep(number, spool);
            let mut state = self.state();
            let n_handles = {
                let mut spool = spool.state();
                spool.n_handles -= 1;
                spool.n_handles
            };
            if n_handles == 0 {
                state.spools.remove(&number.0);
            }
        }
    }

    /// Removes a file.
    pub(super) fn unlink(&self, parent: INodeNo, name: &str) -> Result<(), Errno> {
        let path = self.child(parent, name)?;
        let is_spooled = self.give_up_spool(&path);
        self.disbelieve(&path);
        match self.wait(self.blobs.remove(&path)) {
            Err(Errno::ENOENT) if is_spooled => {}
            removed => removed?,
        }
        self.state().tree.remove(&path);
        Ok(())
    }

    /// What is written to a name that is gone becomes no blob. Answers whether anything is.
    fn give_up_spool(&self, path: &str) -> bool {
        let spool = {
            let state = self.state();
            let number = state.tree.number(path);
            number.and_then(|number| state.spools.get(&number.0).cloned())
        };
        let Some(spool) = spool else { return false };
        // One that becomes a blob right now does so before.
        let _turn = spool.turn.lock().unwrap_or_else(PoisonError::into_inner);
        spool.state().is_gone = true;
        true
    }

    /// Gives a file another name. A directory has none of its own to change.
    pub(super) fn rename(
        &self,
        (parent, name): (INodeNo, &str),
        (new_parent, new_name): (INodeNo, &str),
        replace: Replace,
    ) -> Result<(), Errno> {
        let (from, to) = (self.child(parent, name)?, self.child(new_parent, new_name)?);
        if self.about_path(&from)?.is_directory {
            // Programs that move files copy what they can not rename.
            return Err(Errno::EXDEV);
        }
        match (self.about_path(&to), replace) {
            (Ok(About { is_directory: true, .. }), _) => return Err(Errno::EISDIR),
            (Ok(_), Replace::Refused) => return Err(Errno::EEXIST),
            (Ok(_), Replace::Allowed) | (Err(Errno::ENOENT), _) => {}
            (Err(error), _) => return Err(error),
        }
        let number = self.state().tree.number(&from);
        if let Some((number, spool)) = number.and_then(|it| Some((it, self.spool(it)?))) {
            self.keep(number, &spool)?;
        }
        if from == to {
            return Ok(());
        }
        self.give_up_spool(&to);
        self.wait(self.blobs.copy(&from, &to))?;
        self.wait(self.blobs.remove(&from))?;
        for path in [&from, &to] {
            self.disbelieve(path);
        }
        self.state().tree.rename(&from, &to);
        Ok(())
    }

    /// Makes a directory.
    pub(super) fn make_directory(
        &self,
        parent: INodeNo,
        name: &str,
    ) -> Result<(INodeNo, About), Errno> {
        let path = self.child(parent, name)?;
        self.wait(self.blobs.put_directory(&path))?;
        self.disbelieve(&path);
        let about = About { is_directory: true, length_bytes: 0, modified_at: clock::now() };
        Ok((self.state().tree.tell(&path), about))
    }

    /// Removes an empty directory.
    pub(super) fn remove_directory(&self, parent: INodeNo, name: &str) -> Result<(), Errno> {
        let path = self.child(parent, name)?;
        let prefix = format!("{path}/");
        let is_used = {
            let state = self.state();
            let mut paths = state.spools.keys().filter_map(|it| state.tree.path(INodeNo(*it)).ok());
            paths.any(|path| path.starts_with(&prefix))
        };
        if is_used || self.wait(self.blobs.has_below(&prefix))? {
            return Err(Errno::ENOTEMPTY);
        }
        // Some programs mark a directory by its name, some by its name and a slash.
        for mark in [&path, &prefix] {
            match self.wait(self.blobs.remove(mark)) {
                Err(Errno::ENOENT) => {}
                removed => removed?,
            }
        }
        self.disbelieve(&path);
        self.state().tree.remove(&path);
        Ok(())
    }

    /// Opens a directory: what it shows is what it held then.
    pub(super) fn open_directory(&self, number: INodeNo) -> Result<u64, Errno> {
        let path = self.state().tree.path(number)?;
        let prefix = if path.is_empty() { path } else { format!("{path}/") };
        let listed = self.wait(self.blobs.list(&prefix))?;
        let mut state = self.state();
        let now = clock::now();
        if state.believed.len() + listed.len() > BELIEVED_MAX {
            state.believed.clear();
        }
        let believed = listed.iter().take(BELIEVED_MAX);
        let believed = believed.map(|(name, about)| (format!("{prefix}{name}"), (now, *about)));
        state.believed.extend(believed);
        let mut entries: Vec<(String, bool)> =
            listed.into_iter().map(|(name, about)| (name, about.is_directory)).collect();
        entries.extend(state.tree.empty_in(&prefix).map(|name| (name.to_owned(), true)));
        // What is being written is there though it is no blob yet.
        let written = state.spools.iter().filter(|(_, spool)| !spool.state().is_gone);
        let written = written.filter_map(|(number, _)| state.tree.path(INodeNo(*number)).ok());
        entries.extend(written.filter_map(|path| {
            let name = path.strip_prefix(&prefix)?;
            (!name.contains('/')).then(|| (name.to_owned(), false))
        }));
        drop(state);
        entries.sort();
        entries.dedup_by(|(one, _), (other, _)| one == other);
        Ok(self.hand_out(Handle::Directory(entries)))
    }

    /// An entry of an open directory, and whether it is a directory.
    pub(super) fn entry(&self, handle: u64, index: u64) -> Result<Option<(String, bool)>, Errno> {
        match &*self.handle(handle)? {
            Handle::Directory(entries) => {
                Ok(usize::try_from(index).ok().and_then(|index| entries.get(index).cloned()))
            }
            Handle::Reader(_) | Handle::Writer(_) => Err(Errno::ENOTDIR),
        }
    }

    /// All disk space for what is written, and what is left of it, in bytes.
    pub(super) fn space(&self) -> (u64, u64) {
        self.room.left()
    }
}

fn about_spool(spool: &Spool) -> About {
    let length_bytes = spool.state().length_bytes;
    About { is_directory: false, length_bytes, modified_at: clock::now() }
}
