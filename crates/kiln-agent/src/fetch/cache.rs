//! Keeps what was fetched, so that tasks with a common input fetch it once.
//!
//! What is kept lies outside of the node's view, and tasks get copies: what a task does to
//! its file, no other task sees. Whether it is still what lies under its URL, and whether the
//! task may have it, is asked for each task anew.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::statvfs;

/// Bytes of all that is kept.
const KEPT_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;
/// Bytes of one file that is kept.
const FILE_BYTES_MAX: u64 = KEPT_BYTES_MAX / 2;
/// What is fetched may take this part of the free disk at the most to be kept.
const FREE_PART: u64 = 4;
/// URLs that are known.
const URLS_MAX: usize = 10_000;
/// Parameters of a URL that say who may read, not what is read.
const SIGNATURE_PARAMETERS: [&str; 19] = [
    "se", "sig", "sip", "ske", "skoid", "sks", "skt", "sktid", "skv", "sp", "spr", "sr", "srt",
    "ss", "st", "sv", "si", "saoid", "scid",
];

/// Files that were fetched.
#[derive(Debug)]
pub(crate) struct Cache {
    directory: PathBuf,
    state: Mutex<State>,
}

/// Where the content of one URL is kept; locked while it is being fetched.
pub(crate) type Slot = Arc<tokio::sync::Mutex<Option<Kept>>>;

/// Where a file can be kept once it is there; until then it is removed with this value.
#[derive(Debug)]
pub(crate) struct Place(PathBuf);

/// The content of one URL.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Which version of it.
    pub(crate) etag: String,
    path: PathBuf,
}

#[derive(Debug, Default)]
struct State {
    known: HashMap<String, Known>,
    /// URLs by their last use.
    uses: BTreeMap<u64, String>,
    last_use: u64,
    last_file: u64,
    kept_bytes: u64,
}

#[derive(Debug)]
struct Known {
    slot: Slot,
    used: u64,
    /// File and its bytes, once there is one.
    file: Option<(PathBuf, u64)>,
}

impl Cache {
    /// An empty one in `directory`, which it owns.
    pub(crate) fn create(directory: &Path) -> io::Result<Self> {
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir(directory)?;
        fs::set_permissions(directory, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        Ok(Self { directory: directory.to_owned(), state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the content of `url` is kept.
    pub(crate) fn slot(&self, url: &str) -> Slot {
        let key = key(url);
        let mut state = self.state();
        state.last_use += 1;
        let now = state.last_use;
        state.uses.insert(now, key.clone());
        let known = state.known.entry(key).or_insert_with(|| Known {
            slot: Slot::default(),
            used: 0,
            file: None,
        });
        let before = std::mem::replace(&mut known.used, now);
        let slot = Arc::clone(&known.slot);
        state.uses.remove(&before);
        state.drop_oldest();
        slot
    }

    /// A place for a file of so many bytes; `None` if it is too large to be kept.
    pub(crate) fn place(&self, length_bytes: u64) -> Option<Place> {
        let disk = statvfs(&self.directory).ok()?;
        let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
        if length_bytes > FILE_BYTES_MAX || length_bytes > free_bytes / FREE_PART {
            return None;
        }
        let mut state = self.state();
        state.last_file += 1;
        Some(Place(self.directory.join(state.last_file.to_string())))
    }

    /// Keeps a file that was fetched from `url`.
    pub(crate) fn keep(&self, url: &str, etag: String, place: Place, length_bytes: u64) -> Kept {
        let path = place.keep();
        let mut state = self.state();
        match state.known.get_mut(&key(url)) {
            Some(known) => {
                let before = known.file.replace((path.clone(), length_bytes));
                state.kept_bytes += length_bytes;
                state.forget(before);
                state.drop_oldest();
            }
            // Its URL was not used for so long that it was forgotten meanwhile.
            None => drop(fs::remove_file(&path)),
        }
        Kept { etag, path }
    }
}

impl Place {
    /// The file, empty.
    pub(crate) fn create(&self) -> io::Result<File> {
        File::create_new(&self.0)
    }

    fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            // It may not have been made.
            let _absent = fs::remove_file(&self.0);
        }
    }
}

impl Kept {
    /// The content, which stays readable when it is no longer kept; `None` if it is not.
    pub(crate) fn open(&self) -> Option<File> {
        File::open(&self.path).ok()
    }
}

impl State {
    fn drop_oldest(&mut self) {
        while self.kept_bytes > KEPT_BYTES_MAX || self.known.len() > URLS_MAX {
            let Some((_, oldest)) = self.uses.pop_first() else { return };
            let file = self.known.remove(&oldest).and_then(|known| known.file);
            self.forget(file);
        }
    }

    fn forget(&mut self, file: Option<(PathBuf, u64)>) {
        if let Some((path, length_bytes)) = file {
            self.kept_bytes = self.kept_bytes.saturating_sub(length_bytes);
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(%error, path = %path.display(), "failed to remove a kept file");
            }
        }
    }
}

/// What a URL names, whoever reads it.
fn key(url: &str) -> String {
    let Some((address, query)) = url.split_once('?') else { return url.to_owned() };
    let says_what = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        !SIGNATURE_PARAMETERS.contains(&name)
    };
    let rest: Vec<&str> = query.split('&').filter(says_what).collect();
    if rest.is_empty() { address.to_owned() } else { format!("{address}?{}", rest.join("&")) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::{Cache, key};

    #[test]
    fn a_signature_does_not_name_a_file() {
        assert_eq!(key("https://h/c/a"), "https://h/c/a");
        assert_eq!(key("https://h/c/a?sv=1&sr=b&sig=x%3D&se=2"), "https://h/c/a");
        assert_eq!(key("https://h/c/a?snapshot=1&sig=x"), "https://h/c/a?snapshot=1");
    }

    #[test]
    fn a_newer_version_takes_the_place_of_the_older() {
        let place = tempfile::tempdir().expect("a directory");
        let cache = Cache::create(&place.path().join("cache")).expect("made");
        let _slot = cache.slot("http://h/a?sig=1");
        let keep = |text: &str| {
            let place = cache.place(3).expect("room");
            place.create().and_then(|mut it| it.write_all(text.as_bytes())).expect("written");
            cache.keep("http://h/a?sig=2", text.to_owned(), place, 3)
        };
        let one = keep("one");
        let open = one.open().expect("kept");
        let two = keep("two");
        assert!(one.open().is_none() && two.open().is_some());
        assert_eq!(std::io::read_to_string(open).expect("readable"), "one");
        assert_eq!(cache.state().kept_bytes, 3);
        assert!(cache.place(u64::MAX).is_none());
        // What is not fetched whole leaves nothing behind.
        drop(cache.place(3).expect("room").create().expect("made"));
        let left = fs::read_dir(place.path().join("cache")).expect("there").count();
        assert_eq!(left, 1);
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let place = tempfile::tempdir().expect("a directory");
        let cache = Cache::create(&place.path().join("cache")).expect("made");
        for number in 0..super::URLS_MAX {
            cache.slot(&format!("http://h/{number}"));
        }
        cache.slot("http://h/0");
        cache.slot("http://h/new");
        let state = cache.state();
        assert!(state.known.contains_key("http://h/0"));
        assert!(!state.known.contains_key("http://h/1"));
        assert_eq!((state.known.len(), state.uses.len()), (super::URLS_MAX, super::URLS_MAX));
    }
}
