//! Takes back what nothing names any longer.

use std::time::Duration;

use kiln_domain::blob::limits::STAGED_BLOCKS_KEPT_DAYS;
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use kiln_extents::{FileId, Swept};
use kiln_store::{ContainerKey, ExtentPlace, ExtentUses, Tx};
use tokio_util::sync::CancellationToken;

use super::BlobService;
use super::failure::Failure;
use crate::clock;

/// Blobs taken away in one commit.
const BLOBS_PER_COMMIT: usize = 256;
/// Time between two looks at what nobody announced.
const PAUSE: Duration = Duration::from_secs(3600);

impl BlobService {
    /// Takes back what nothing names any longer, until `stop`: first files that a crash left,
    /// then blobs of deleted containers and staged blocks that nobody came back for.
    pub async fn reclaim_until(&self, stop: CancellationToken) {
        let sweeping = {
            let this = self.clone();
            tokio::task::spawn_blocking(move || this.sweep())
        };
        match sweeping.await {
            Ok(Ok(swept)) if swept.n_removed > 0 => {
                tracing::info!(n_files = swept.n_removed, "removed files that no blob names");
            }
            Ok(Ok(_)) => {}
            Ok(Err(failure)) => tracing::error!(?failure, "sweeping stopped early"),
            Err(cause) => tracing::error!(%cause, "sweeping stopped early"),
        }
        if let Err(failure) = self.resume_copies().await {
            tracing::error!(?failure, "copies under way were not taken up again");
        }
        loop {
            // What a backup held up.
            self.extents.remove(Vec::new()).await;
            if let Err(failure) = self.settle().await {
                tracing::error!(?failure, "files of failed commits are left for later");
            }
            if let Err(failure) = self.reclaim(clock::now(), &stop).await {
                tracing::error!(?failure, "reclaiming stopped early; it goes on later");
            }
            tokio::select! {
                () = stop.cancelled() => return self.stop_copies(),
                () = self.reclaim.notified() => {}
                () = clock::pause(PAUSE) => {}
            }
        }
    }

    /// Removes the files of earlier runs that no extent is in. Blocks the thread.
    pub(super) fn sweep(&self) -> Result<Swept, Failure> {
        self.extents.sweep(|ids| -> Result<Vec<FileId>, Failure> {
            let files: Vec<u64> = ids.iter().map(|id| id.0).collect();
            let unnamed = self.store.read(|view| view.unnamed_files(&files))?;
            Ok(unnamed.into_iter().map(FileId).collect())
        })
    }

    /// Removes the files of commits that failed.
    pub(super) async fn settle(&self) -> Result<(), Failure> {
        let entrusted = self.extents.take_entrusted();
        if entrusted.is_empty() {
            return Ok(());
        }
        let files: Vec<u64> = entrusted.iter().map(|id| id.0).collect();
        match self.unnamed_since(files).await {
            Ok(unnamed) => {
                self.extents.remove(unnamed.into_iter().map(FileId).collect()).await;
                Ok(())
            }
            Err(failure) => {
                self.extents.entrust(entrusted);
                Err(failure)
            }
        }
    }

    /// Those of `files` that no commit until now named for good.
    async fn unnamed_since(&self, files: Vec<u64>) -> Result<Vec<u64>, Failure> {
        self.store.write(after_all).await?;
        let unnamed = self.store.read(|view| view.unnamed_files(&files))?;
        // What was named and is no longer must not be named again by a lost commit.
        self.store.flush().await?;
        Ok(unnamed)
    }

    /// Takes away the blobs of deleted containers, stale staged blocks and what was deleted and
    /// kept for its time, a few per commit.
    pub(super) async fn reclaim(
        &self,
        now: Timestamp,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        loop {
            let op = move |tx: &mut Tx<'_>| tx.expire_containers(now, BLOBS_PER_COMMIT);
            let n_expired = self.store.write(op).await?;
            if n_expired == 0 || stop.is_cancelled() {
                break;
            }
        }
        for key in self.store.read(|view| view.deleted_containers())? {
            let mut is_empty = false;
            while !is_empty && !stop.is_cancelled() {
                let taken = self.store.write(move |tx| take_some(tx, key)).await?;
                is_empty = taken.0;
                self.remove_files(taken.1).await;
            }
        }
        let before = Timestamp(now.0 - Span::days(STAGED_BLOCKS_KEPT_DAYS).ticks());
        loop {
            let op = move |tx: &mut Tx<'_>| take_stale(tx, before);
            let (n_uploads, freed) = self.store.write(op).await?;
            self.remove_files(freed).await;
            if n_uploads == 0 || stop.is_cancelled() {
                break;
            }
        }
        loop {
            let (n_expired, freed) = self.store.write(move |tx| take_expired(tx, now)).await?;
            self.remove_files(freed).await;
            if n_expired == 0 || stop.is_cancelled() {
                return Ok(());
            }
        }
    }
}

/// A commit that comes after all that wait now. It writes, so that nothing is left either of what
/// a failed one had written to the log of the database.
fn after_all(tx: &mut Tx<'_>) -> Result<(), Failure> {
    let extent = tx.insert_extent(&ExtentPlace::Inline(Vec::new()))?;
    let (mut used, mut unused) = (ExtentUses::default(), ExtentUses::default());
    used.add(extent);
    unused.remove(extent);
    tx.apply_extent_uses(used)?;
    tx.apply_extent_uses(unused)?;
    Ok(())
}

/// Takes some blobs of a deleted container; whether it was empty, and files set free.
fn take_some(tx: &mut Tx<'_>, key: ContainerKey) -> Result<(bool, Vec<u64>), Failure> {
    let mut uses = ExtentUses::default();
    let n_blobs = tx.take_blobs(key, BLOBS_PER_COMMIT, &mut uses)?;
    let (n_uploads, staged) = tx.take_uploads(key, BLOBS_PER_COMMIT)?;
    for block in &staged {
        uses.remove(block.extent);
    }
    let is_empty = n_blobs == 0 && n_uploads == 0;
    if is_empty {
        tx.delete_container(key)?;
    }
    Ok((is_empty, tx.apply_extent_uses(uses)?))
}

fn take_stale(tx: &mut Tx<'_>, before: Timestamp) -> Result<(usize, Vec<u64>), Failure> {
    let uploads = tx.stale_uploads(before, BLOBS_PER_COMMIT)?;
    let mut uses = ExtentUses::default();
    for (key, name) in &uploads {
        for block in tx.take_staged_blocks(*key, name)? {
            uses.remove(block.extent);
        }
    }
    Ok((uploads.len(), tx.apply_extent_uses(uses)?))
}

/// Takes away editions of blobs whose time is over; how many, and files set free.
fn take_expired(tx: &mut Tx<'_>, now: Timestamp) -> Result<(usize, Vec<u64>), Failure> {
    let expired = tx.purgeable_blobs(now, BLOBS_PER_COMMIT)?;
    let mut uses = ExtentUses::default();
    for (key, blob) in &expired {
        tx.release_content(*key, blob, &mut uses)?;
        tx.delete_blob(*key, &blob.name, blob.edition.moment())?;
    }
    Ok((expired.len(), tx.apply_extent_uses(uses)?))
}
