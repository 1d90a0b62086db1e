//! Copies of a data directory: made beside a running Kiln, and brought back to a new place.
//!
//! A backup is laid out as a data directory: names, the bytes that they stand for, the authority
//! that programs were told to trust, and the settings. What lies on nodes and what nodes left is
//! no part of it: a restored Kiln begins its nodes anew.
//!
//! The order keeps a backup whole at each moment. Removing of bytes is held up, then the names
//! are copied as they are at one moment, then the bytes that they stand for, beside those of the
//! backup before. The new names take the place of the old ones by a rename, and what only those
//! stood for goes last.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use kiln_domain::time::Timestamp;
use kiln_extents::{ExtentFailure, FileId, Hold, Inventory, ObjectPlace};
use kiln_store::StoreError;
use serde::{Deserialize, Serialize};

use crate::blob::fsck::{self, Depth, FsckError, Report};
use crate::start::{LOCK_OF_EXTENTS, folder_of};

/// What says that a directory is a backup, and that it is whole.
pub const MANIFEST: &str = "backup.json";
/// The layout of backups that this program makes and reads.
const FORMAT: u32 = 1;
const DATABASE: &str = "kiln.db";
/// What else is kept: files and directories of files, where they are there.
const OTHERS: [&str; 2] = ["kiln.toml", "tls"];

/// Why there is no backup, or nothing is restored from it.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Two backups of one Kiln at once.
    #[error("another backup of this Kiln is being made")]
    Busy,
    /// The directory is none that a backup was made to.
    #[error("`{}` holds no whole backup", path.display())]
    NotABackup {
        /// Which.
        path: PathBuf,
    },
    /// It was made by a newer Kiln.
    #[error("the backup has format {found}, this Kiln knows up to {FORMAT}: use a newer one")]
    TooNew {
        /// Its format.
        found: u32,
    },
    /// There is something already where it is to go.
    #[error("`{}` is not empty, and nothing is overwritten", path.display())]
    NotEmpty {
        /// Where.
        path: PathBuf,
    },
    /// Names and bytes do not belong together.
    #[error("the backup is damaged: {} findings", report.n_findings)]
    Damaged {
        /// What is wrong.
        report: Box<Report>,
    },
    /// The names failed.
    #[error("the names cannot be copied")]
    Store(#[from] StoreError),
    /// The bytes failed.
    #[error("the bytes cannot be copied")]
    Extents(#[from] ExtentFailure),
    /// The check failed.
    #[error("the backup cannot be checked")]
    Check(#[from] FsckError),
    /// A file failed.
    #[error("could not {doing} `{}`", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// With which.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// How far the work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many bytes are to be gone through, in all.
    Total(u64),
    /// So many more are done.
    Done(u64),
}

/// What a backup holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Files of bytes.
    pub n_files: u64,
    /// Bytes in these.
    pub n_bytes: u64,
    /// Those of them that were copied now; the others were there.
    pub n_files_copied: u64,
    /// Bytes in those.
    pub n_bytes_copied: u64,
    /// Files that names stand for and that are not there: damage of the Kiln, not of the backup.
    pub missing: Vec<u64>,
}

/// The manifest of a backup.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    format: u32,
    /// The release that made it.
    kiln: String,
    made_at: String,
}

/// Makes a backup of the data directory `data` in the directory `to`.
///
/// The bytes are at `place` if not in the data directory. What an earlier backup left is used.
/// Blocks the thread, which must be one that a runtime lends.
///
/// # Errors
/// When something can not be read or written; the earlier backup is whole then.
pub fn back_up(
    data: &Path,
    place: Option<&ObjectPlace>,
    to: &Path,
    now: Timestamp,
    mut tell: impl FnMut(Progress),
) -> Result<Made, BackupError> {
    let lock = data.join(LOCK_OF_EXTENTS);
    let taken = Hold::take(&lock).map_err(failed("lock", &lock))?;
    let _hold = taken.ok_or(BackupError::Busy)?;
    make_directory(to)?;
    // It holds keys, whoever made it.
    fs::set_permissions(to, Permissions::from_mode(0o700)).map_err(failed("close", to))?;
    let names = to.join("kiln.db.new");
    let files = kiln_store::copy(data, &names)?;
    let from = match place {
        Some(place) => Inventory::of_objects(place),
        None => Inventory::of_folder(&folder_of(data)),
    };
    let found = from.sizes()?;
    let mut made = Made::default();
    let mut wanted = BTreeMap::new();
    for file in files {
        match found.get(&FileId(file)) {
            Some(size_bytes) => wanted.extend([(FileId(file), *size_bytes)]),
            None => made.missing.push(file),
        }
    }
    made.n_files = wanted.len().try_into().unwrap_or(u64::MAX);
    made.n_bytes = wanted.values().sum();
    tell(Progress::Total(made.n_bytes));
    let copied = from.copy_to(&folder_of(to), &wanted, |n| tell(Progress::Done(n)))?;
    (made.n_files_copied, made.n_bytes_copied) = (copied.n_files, copied.n_bytes);
    for name in OTHERS {
        copy_all(&data.join(name), &to.join(name))?;
    }
    let whole = to.join(DATABASE);
    fs::rename(&names, &whole).map_err(failed("name", &whole))?;
    let manifest = Manifest {
        format: FORMAT,
        kiln: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: now.to_iso(),
    };
    write_manifest(to, &manifest)?;
    Inventory::of_folder(&folder_of(to)).remove_others(&wanted)?;
    Ok(made)
}

/// Brings the backup in `from` to the data directory `to`, and checks it there.
///
/// The directory must be empty or not there. Of a damaged backup nothing is left, unless
/// `accepts_damage`. Blocks the thread, which must be one that a runtime lends.
///
/// # Errors
/// When it is no backup, damaged, or something can not be read or written.
pub fn restore(
    from: &Path,
    to: &Path,
    accepts_damage: bool,
    mut tell: impl FnMut(Progress),
) -> Result<Report, BackupError> {
    require_manifest(from)?;
    let is_taken = match fs::read_dir(to) {
        Ok(mut entries) => entries.next().is_some(),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => false,
        Err(cause) => return Err(failed("list", to)(cause)),
    };
    if is_taken {
        return Err(BackupError::NotEmpty { path: to.to_owned() });
    }
    // It gets its name when it is whole.
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".restoring");
    let beside = to.with_file_name(name);
    remove_all(&beside)?;
    let restored = restore_to(&beside, from, accepts_damage, &mut tell);
    let named = restored.and_then(|report| {
        // An empty directory gives its place to another.
        fs::rename(&beside, to).map_err(failed("name", to))?;
        sync(to.parent().unwrap_or(to))?;
        Ok(report)
    });
    if named.is_err() {
        remove_all(&beside)?;
    }
    named
}

fn restore_to(
    to: &Path,
    from: &Path,
    accepts_damage: bool,
    tell: &mut impl FnMut(Progress),
) -> Result<Report, BackupError> {
    make_directory(to)?;
    let bytes = Inventory::of_folder(&folder_of(from));
    let found = bytes.sizes()?;
    // Each is copied, and read again.
    tell(Progress::Total(found.values().sum::<u64>().saturating_mul(2)));
    copy_file(&from.join(DATABASE), &to.join(DATABASE))?;
    bytes.copy_to(&folder_of(to), &found, |n| tell(Progress::Done(n)))?;
    for name in OTHERS {
        copy_all(&from.join(name), &to.join(name))?;
    }
    let report = fsck::check(to, None, Depth::Content, |n| tell(Progress::Done(n)))?;
    sync(to)?;
    if report.n_findings == 0 || accepts_damage {
        Ok(report)
    } else {
        Err(BackupError::Damaged { report: Box::new(report) })
    }
}

/// Whether a directory is a backup: none that a Kiln may serve.
pub fn is_backup(directory: &Path) -> bool {
    directory.join(MANIFEST).exists()
}

fn require_manifest(from: &Path) -> Result<(), BackupError> {
    let none = || BackupError::NotABackup { path: from.to_owned() };
    let text = fs::read(from.join(MANIFEST)).map_err(|_absent| none())?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|_cut| none())?;
    if manifest.format > FORMAT {
        return Err(BackupError::TooNew { found: manifest.format });
    }
    Ok(())
}

/// Writes the manifest, all of which is on the disk then with what it is about.
fn write_manifest(to: &Path, manifest: &Manifest) -> Result<(), BackupError> {
    let (path, beside) = (to.join(MANIFEST), to.join("backup.json.new"));
    let text = serde_json::to_vec_pretty(manifest).unwrap_or_default();
    let write = || -> io::Result<()> {
        let mut options = File::options();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(&text)
    };
    write().map_err(failed("write", &beside))?;
    sync(to)?;
    fs::rename(&beside, &path).map_err(failed("name", &path))?;
    sync(to)
}

/// Copies a file, or a directory of files; nothing where there is none.
fn copy_all(from: &Path, to: &Path) -> Result<(), BackupError> {
    match fs::metadata(from) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return copy_file(from, to),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(failed("look at", from)(cause)),
    }
    make_directory(to)?;
    let entries = fs::read_dir(from).map_err(failed("list", from))?;
    for entry in entries {
        let entry = entry.map_err(failed("list", from))?;
        if entry.file_type().is_ok_and(|it| it.is_file()) {
            copy_file(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<(), BackupError> {
    fs::copy(from, to).map(drop).map_err(failed("copy", from))
}

fn make_directory(path: &Path) -> Result<(), BackupError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(failed("make", path))
}

fn remove_all(path: &Path) -> Result<(), BackupError> {
    match fs::remove_dir_all(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(cause)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Brings all that was written to the file system of `path` to its disk.
fn sync(path: &Path) -> Result<(), BackupError> {
    let sync = || rustix::fs::syncfs(File::open(path)?).map_err(io::Error::from);
    sync().map_err(failed("sync", path))
}

fn failed<'p>(doing: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> BackupError + 'p {
    move |cause| BackupError::File { doing, path: path.to_owned(), cause }
}
