//! Removes directories beside all other work: one leaves its place at once, however much is in
//! it, and is emptied by a thread of low priority that goes on where an earlier one stopped.

use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::fmt;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, ResolveFlags, openat2, renameat, unlinkat};
use rustix::io::Errno;
use tracing::{info, warn};

use crate::directory::Directory;

/// Names that are read of a directory before those are removed.
const NAMES_AT_ONCE: usize = 4096;
/// Levels of directories that are open at once; what lies deeper is moved up first.
const LEVELS_MAX: usize = 32;
/// Niceness of the thread: anything else goes first.
const NICENESS: i32 = 19;

/// Where directories go to be removed.
pub struct Trash {
    yard: Arc<Yard>,
    wake: Option<SyncSender<()>>,
    janitor: Mutex<Option<JoinHandle<()>>>,
}

/// What the janitor shares with those who bring something.
#[derive(Debug)]
struct Yard {
    place: PathBuf,
    n_taken: AtomicU64,
    ends: AtomicBool,
}

impl fmt::Debug for Trash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trash").field("place", &self.yard.place).finish_non_exhaustive()
    }
}

impl Trash {
    /// Removes what is brought to `place`, and first what an earlier process left there.
    ///
    /// # Errors
    /// When the place can not be made.
    pub fn open(place: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&place)?;
        let yard = Yard { place, n_taken: AtomicU64::new(0), ends: AtomicBool::new(false) };
        let yard = Arc::new(yard);
        // One wish to look is enough for all that was brought before the look.
        let (wake, woken) = sync_channel(1);
        let working = Arc::clone(&yard);
        let named = std::thread::Builder::new().name("janitor".to_owned());
        let janitor = named.spawn(move || working.work(&woken))?;
        let trash = Self { yard, wake: Some(wake), janitor: Mutex::new(Some(janitor)) };
        trash.look();
        Ok(trash)
    }

    /// Takes away what lies at `path`, on the file system of the place; whether something did.
    ///
    /// # Errors
    /// When it can not be moved.
    pub fn take(&self, path: &Path) -> io::Result<bool> {
        self.taken(|to| Ok(renameat(CWD, path, CWD, to)?))
    }

    /// Takes away what lies at `path` below an open directory.
    ///
    /// # Errors
    /// When it can not be moved.
    pub fn take_below(&self, root: &Directory, path: &str) -> io::Result<bool> {
        self.taken(|to| {
            let (above, name) = root.parent(path)?;
            Ok(renameat(above.as_fd(), name, CWD, to)?)
        })
    }

    fn taken(&self, rename: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<bool> {
        match rename(&self.yard.free_name()) {
            Ok(()) => {
                self.look();
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn look(&self) {
        if let Some(wake) = &self.wake {
            // A full channel has the same wish in it.
            let _asked = wake.try_send(());
        }
    }

    /// Stops the janitor; what is left is for the next one.
    fn end(&mut self) {
        self.yard.ends.store(true, Ordering::Relaxed);
        self.wake = None;
        let janitor = self.janitor.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if janitor.is_some_and(|janitor| janitor.join().is_err()) {
            warn!("bug: the janitor broke");
        }
    }
}

impl Drop for Trash {
    fn drop(&mut self) {
        self.end();
    }
}

impl Yard {
    /// A name in the place that nothing has, not even what an earlier process left.
    fn free_name(&self) -> PathBuf {
        loop {
            let number = self.n_taken.fetch_add(1, Ordering::Relaxed);
            let path = self.place.join(number.to_string());
            if path.symlink_metadata().is_err() {
                return path;
            }
        }
    }

    fn work(&self, woken: &Receiver<()>) {
        if let Err(error) = rustix::process::nice(NICENESS) {
            info!(%error, "the janitor works as urgently as others");
        }
        let mut stuck = HashSet::new();
        while woken.recv().is_ok() {
            while let Some(name) = self.next(&stuck) {
                match self.remove(&name) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => return,
                    Err(error) => {
                        let place = self.place.display();
                        warn!(%error, "`{}` in `{place}` can not be removed", name.display());
                        stuck.insert(name);
                    }
                }
            }
        }
    }

    /// Something that is to be removed, but nothing that can not be.
    fn next(&self, stuck: &HashSet<PathBuf>) -> Option<PathBuf> {
        let entries = std::fs::read_dir(&self.place).ok()?;
        let mut names = entries.flatten().map(|entry| PathBuf::from(entry.file_name()));
        names.find(|name| !stuck.contains(name))
    }

    fn remove(&self, name: &Path) -> io::Result<()> {
        let place =
            rustix::fs::open(&self.place, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let name = CString::new(name.as_os_str().as_encoded_bytes())?;
        self.remove_one(&place, &name, 0)
    }

    /// Removes what has this name. No link is followed, and no file system entered that is
    /// mounted there.
    fn remove_one(&self, above: &OwnedFd, name: &CStr, level: usize) -> io::Result<()> {
        if self.ends.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match unlinkat(above, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
        match unlinkat(above, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        if level >= LEVELS_MAX {
            return Ok(renameat(above, name, CWD, self.free_name())?);
        }
        let inner = enter(above, name)?;
        loop {
            let names = first_names(&inner)?;
            if names.is_empty() {
                break;
            }
            for inner_name in names {
                self.remove_one(&inner, &inner_name, level + 1)?;
            }
        }
        Ok(unlinkat(above, name, AtFlags::REMOVEDIR)?)
    }
}

/// Opens a directory, which its owner may have closed to everyone.
fn enter(above: &OwnedFd, name: &CStr) -> io::Result<OwnedFd> {
    let open = |flags| {
        let flags = flags | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV;
        openat2(above, name, flags, Mode::empty(), resolve)
    };
    // To empty it takes the right to write and to enter, not only to read.
    let path = open(OFlags::PATH)?;
    let own = format!("/proc/self/fd/{}", path.as_raw_fd());
    match rustix::fs::chmod(own, Mode::RWXU) {
        // Who may do all needs no right.
        Ok(()) | Err(Errno::PERM | Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(open(OFlags::RDONLY)?)
}

fn first_names(directory: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
        if names.len() == NAMES_AT_ONCE {
            break;
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::Path;
    use std::sync::atomic::Ordering;

    use super::{LEVELS_MAX, Trash};
    use crate::directory::Directory;

    /// Waits until the janitor has removed all that was brought.
    fn finish(trash: &Trash) {
        while fs::read_dir(&trash.yard.place).expect("a place").next().is_some() {
            std::thread::yield_now();
        }
    }

    fn fill(path: &Path, levels: usize) {
        let mut here = path.to_owned();
        for _ in 0..levels {
            here.push("d");
        }
        fs::create_dir_all(&here).expect("made");
        fs::write(here.join("file"), "x").expect("written");
    }

    #[test]
    fn removes_what_is_deep_closed_and_linked() {
        let scratch = tempfile::tempdir().expect("a directory");
        let kept = scratch.path().join("kept");
        fill(&kept, 1);
        let old = scratch.path().join("old");
        fill(&old, 3 * LEVELS_MAX);
        symlink(&kept, old.join("link")).expect("linked");
        fs::create_dir(old.join("closed")).expect("made");
        fs::write(old.join("closed/file"), "x").expect("written");
        fs::set_permissions(old.join("closed"), fs::Permissions::from_mode(0o000)).expect("closed");
        let trash = Trash::open(scratch.path().join("trash")).expect("a place");
        assert!(trash.take(&old).expect("taken"));
        assert!(!old.exists(), "it leaves its place at once");
        assert!(!trash.take(&old).expect("nothing is there"));
        finish(&trash);
        assert!(kept.join("d/file").exists(), "no link is followed");
    }

    #[test]
    fn goes_on_where_an_earlier_one_stopped() {
        let scratch = tempfile::tempdir().expect("a directory");
        let place = scratch.path().join("trash");
        fill(&place.join("0"), 2);
        fill(&scratch.path().join("a/b"), 1);
        let trash = Trash::open(place.clone()).expect("a place");
        let root = Directory::open_root(scratch.path()).expect("opened");
        assert!(trash.take_below(&root, "a/b").expect("taken"));
        finish(&trash);
        // One that ends leaves the rest where it is.
        trash.yard.ends.store(true, Ordering::Relaxed);
        fill(&scratch.path().join("late"), 2);
        trash.take(&scratch.path().join("late")).expect("taken");
        drop(trash);
        assert_eq!(fs::read_dir(&place).expect("a place").count(), 1);
        finish(&Trash::open(place).expect("a place"));
    }
}
