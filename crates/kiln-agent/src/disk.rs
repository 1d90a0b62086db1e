//! Watches how much of its node's disk a command takes: no quota of the kernel does that on
//! every file system, so its files are counted again and again.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kiln_domain::batch::task::FailureInfo;

use crate::boot::Boot;
use crate::clock;
use crate::command::Command;

/// Least time between two looks.
const LOOK_EACH: Duration = Duration::from_secs(1);
/// Parts of the time that are not spent on looking, for each that is.
const REST: u32 = 20;
/// Bytes of a block, as the kernel counts blocks of a file.
const BLOCK_BYTES: u64 = 512;

/// Comes back once the directory of `command` takes more of the disk than it may, or what its user
/// has where all commands of the node write takes more than all of them may; never where that is
/// not limited.
pub(crate) async fn exceeded(boot: &Boot, command: &Command) -> FailureInfo {
    let (Some(own_max), Some(shared_max)) =
        (boot.node.disk_limit(command.slots), boot.shared_disk_limit())
    else {
        return std::future::pending().await;
    };
    let own = command.shared.as_ref().map_or(&command.directory, |(directory, _)| directory);
    let own = vec![boot.node.place_of(own)];
    let shared = boot.node.shared_places();
    let user = command.account.owner.map(|owner| owner.uid);
    loop {
        let (own, shared) = (own.clone(), shared.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let began_at = clock::now();
            let is_over = |places: &[PathBuf], user, limit| taken(places, user, limit) > limit;
            let (own, shared) = (is_over(&own, None, own_max), is_over(&shared, user, shared_max));
            (own, shared, clock::now().since(began_at))
        });
        let looked_for = match looked.await {
            Ok((true, _, _)) => return FailureInfo::disk_full(own_max),
            Ok((_, true, _)) => return FailureInfo::disk_full(shared_max),
            Ok((false, false, looked_for)) => looked_for,
            Err(error) => {
                tracing::error!(%error, "bug: the disk can not be watched");
                return std::future::pending().await;
            }
        };
        clock::sleep(LOOK_EACH.max(looked_for.saturating_mul(REST))).await;
    }
}

/// Bytes on the disk of all that `user`, or anyone, has in `places`; more than `limit` need not be
/// counted. Links are not followed, other file systems not entered, and a file with many names
/// counts once.
fn taken(places: &[PathBuf], user: Option<u32>, limit: u64) -> u64 {
    let mut n_bytes: u64 = 0;
    let mut seen = BTreeSet::new();
    let mut rest: Vec<(PathBuf, u64)> =
        places.iter().filter_map(|place| Some((place.clone(), device_of(place)?))).collect();
    while let Some((directory, device)) = rest.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            // What is gone again takes nothing.
            let Ok(found) = entry.metadata() else { continue };
            if found.dev() != device
                || (found.nlink() > 1 && !found.is_dir() && !seen.insert(found.ino()))
            {
                continue;
            }
            if user.is_none_or(|user| found.uid() == user) {
                n_bytes = n_bytes.saturating_add(found.blocks().saturating_mul(BLOCK_BYTES));
            }
            if n_bytes > limit {
                return n_bytes;
            }
            if found.is_dir() {
                rest.push((entry.path(), device));
            }
        }
    }
    n_bytes
}

fn device_of(place: &Path) -> Option<u64> {
    Some(fs::symlink_metadata(place).ok()?.dev())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::taken;

    #[test]
    fn files_are_counted_once_and_links_not_followed() {
        let place = tempfile::tempdir().expect("a directory");
        let inner = place.path().join("a/b");
        fs::create_dir_all(&inner).expect("made");
        let counted = || taken(&[place.path().to_owned()], None, u64::MAX);
        let empty = counted();
        fs::write(inner.join("file"), vec![1; 1 << 20]).expect("written");
        let one = counted();
        assert!((1 << 20..2 << 20).contains(&(one - empty)), "{empty} {one}");
        fs::hard_link(inner.join("file"), place.path().join("same")).expect("linked");
        symlink("/usr", place.path().join("out")).expect("linked");
        assert!(counted() < one + (1 << 16), "{one} {}", counted());
        assert!(taken(&[place.path().to_owned()], None, 1000) > 1000);
        assert_eq!(taken(&[place.path().to_owned()], Some(u32::MAX), u64::MAX), 0);
        assert_eq!(taken(&[place.path().join("none")], None, 0), 0);
    }
}
