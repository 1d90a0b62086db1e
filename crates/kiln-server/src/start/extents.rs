//! Opening the bytes of blobs, where they were before.
//!
//! Names and bytes belong together. A file in the data directory says where the bytes are, so
//! that a Kiln that is told otherwise refuses to start, rather than to answer that its blobs
//! are broken.

use std::io;
use std::path::{Path, PathBuf};

use kiln_extents::Extents;

use super::StartError;
use crate::config::Config;

/// Says where the bytes are; without it they are files in the data directory.
const NOTE: &str = "extents-place";
/// The folder of files.
const FOLDER: &str = "extents";
/// The lock by which a backup holds up the removing of bytes.
pub(crate) const LOCK_OF_EXTENTS: &str = "extents.lock";

/// Where the bytes of the blobs of a data directory are, if they are not files in it.
///
/// # Errors
/// When the note about it can not be read.
pub fn place_of(data: &Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(data.join(NOTE)) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|it| !it.is_empty())),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(cause),
    }
}

/// The folder of files of a data directory.
pub(crate) fn folder_of(data: &Path) -> PathBuf {
    data.join(FOLDER)
}

/// Opens the bytes where the settings say, which is where they were before.
pub(super) async fn open(config: &Config) -> Result<Extents, StartError> {
    let note = config.data.join(NOTE);
    let noted = |cause| StartError::ExtentsNote { path: note.clone(), cause };
    let before = place_of(&config.data).map_err(noted)?;
    let has_files = folder_of(&config.data).exists();
    let wanted = config.extents.as_ref().map(|place| place.name().to_owned());
    if before != wanted && (before.is_some() || has_files) {
        let name = |place: Option<String>| place.unwrap_or_else(|| "the data directory".to_owned());
        return Err(StartError::OtherExtents { before: name(before), wanted: name(wanted) });
    }
    let extents = match &config.extents {
        None => Extents::open(&folder_of(&config.data))?,
        Some(place) => {
            let extents = Extents::open_objects(place).await?;
            std::fs::write(&note, format!("{}\n", place.name())).map_err(noted)?;
            extents
        }
    };
    Ok(extents.with_lock(config.data.join(LOCK_OF_EXTENTS)))
}
