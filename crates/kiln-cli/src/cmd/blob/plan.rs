//! What a copy consists of: which file goes to which blob, and back.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::place::Remote;
use crate::failure::Failure;

/// One file and the blob it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) file: PathBuf,
    pub(super) blob: String,
    pub(super) size_bytes: u64,
}

/// Whether folders are meant whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    One,
    Folders,
}

/// The files below `from`, and the blobs they become at `to`.
pub(super) fn of_upload(from: &Path, to: &str, reach: Reach) -> Result<Vec<Pair>, Failure> {
    let unreadable =
        |cause| Failure::new(format!("cannot read `{}`", from.display())).because(cause);
    let told = fs::metadata(from).map_err(unreadable)?;
    if !told.is_dir() {
        let blob = if to.is_empty() || to.ends_with('/') {
            format!("{to}{}", text_of(from.file_name().unwrap_or_default().as_ref())?)
        } else {
            to.to_owned()
        };
        return Ok(vec![Pair { file: from.to_owned(), blob, size_bytes: told.len() }]);
    }
    if reach == Reach::One {
        return Err(Failure::usage(format!("`{}` is a folder", from.display()))
            .hint("--recursive copies it and all that is in it"));
    }
    let base = if to.is_empty() || to.ends_with('/') { to.to_owned() } else { format!("{to}/") };
    let mut pairs = Vec::new();
    let mut folders = vec![from.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed =
            |cause| Failure::new(format!("cannot read `{}`", folder.display())).because(cause);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let told = fs::metadata(&path).map_err(failed)?;
            if told.is_dir() {
                folders.push(path);
            } else if told.is_file() {
                let below = path.strip_prefix(from).unwrap_or(&path);
                let blob = format!("{base}{}", text_of(below)?);
                pairs.push(Pair { file: path, blob, size_bytes: told.len() });
            }
        }
    }
    pairs.sort_by(|one, other| one.blob.cmp(&other.blob));
    Ok(pairs)
}

/// The files at `to` that blobs of a folder become; the blobs are named with their sizes.
pub(super) fn of_folder(
    from: &str,
    blobs: impl IntoIterator<Item = (String, u64)>,
    to: &Path,
) -> Result<Vec<Pair>, Failure> {
    let mut pairs = Vec::new();
    for (blob, size_bytes) in blobs {
        let below = blob.strip_prefix(from).unwrap_or(&blob).trim_start_matches('/').to_owned();
        // Stubs stand for folders, and have no content.
        if below.is_empty() || below.ends_with('/') {
            continue;
        }
        pairs.push(Pair { file: to.join(safe(&below, &blob)?), blob, size_bytes });
    }
    Ok(pairs)
}

/// The file at `to` that one blob becomes.
pub(super) fn of_blob(from: &Remote, size_bytes: u64, to: &Path) -> Result<Pair, Failure> {
    let last = from.blob.rsplit('/').next().unwrap_or_default();
    let is_folder = to.is_dir() || to.as_os_str().to_string_lossy().ends_with('/');
    let file = if is_folder { to.join(safe(last, &from.blob)?) } else { to.to_owned() };
    Ok(Pair { file, blob: from.blob.clone(), size_bytes })
}

/// A path that stays where it belongs: names of blobs are other people's.
fn safe<'n>(below: &'n str, blob: &str) -> Result<&'n Path, Failure> {
    let path = Path::new(below);
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if path.components().all(is_plain) && !below.is_empty() {
        return Ok(path);
    }
    Err(Failure::new(format!("the name `{blob}` leads out of the folder"))
        .hint("copy this blob alone, to a file of your choice"))
}

fn text_of(path: &Path) -> Result<&str, Failure> {
    path.to_str().ok_or_else(|| {
        Failure::new(format!("`{}` is no name of a blob: it is no text", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Reach, of_folder, of_upload};

    fn blobs_of(pairs: &[super::Pair]) -> Vec<&str> {
        pairs.iter().map(|pair| pair.blob.as_str()).collect()
    }

    #[test]
    fn files_find_their_names() {
        let scratch = tempfile::tempdir().expect("a folder");
        let top = scratch.path().join("top");
        std::fs::create_dir_all(top.join("deep")).expect("folders");
        std::fs::write(top.join("one"), "1").expect("a file");
        std::fs::write(top.join("deep/two"), "22").expect("a file");
        let file = top.join("one");
        for (to, expected) in [("", "one"), ("a/", "a/one"), ("a/b", "a/b")] {
            let pairs = of_upload(&file, to, Reach::One).expect("a plan");
            assert_eq!(blobs_of(&pairs), [expected], "{to}");
        }
        assert!(of_upload(&top, "a", Reach::One).is_err());
        for to in ["a", "a/"] {
            let pairs = of_upload(&top, to, Reach::Folders).expect("a plan");
            assert_eq!(blobs_of(&pairs), ["a/deep/two", "a/one"]);
        }
    }

    #[test]
    fn names_do_not_lead_out_of_a_folder() {
        let to = Path::new("/here");
        let good = [("a/b/c".to_owned(), 1), ("a/stub/".to_owned(), 0)];
        let pairs = of_folder("a/", good, to).expect("a plan");
        assert_eq!(
            pairs.iter().map(|it| it.file.as_path()).collect::<Vec<_>>(),
            [Path::new("/here/b/c")]
        );
        for bad in ["a/../../x", "a/b/../../../x"] {
            assert!(of_folder("a/", [(bad.to_owned(), 1)], to).is_err(), "{bad}");
        }
    }
}
