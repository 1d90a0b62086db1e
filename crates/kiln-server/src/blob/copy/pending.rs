//! Copies from elsewhere, which go on after they were answered.

use std::sync::{Arc, PoisonError};

use kiln_domain::blob::content::{Blob, Block, CopyStatus};
use kiln_domain::time::Timestamp;
use kiln_store::{ContainerKey, ExtentUses, StoreError, Tx};
use kiln_wire::blob::error::BlobError;
use reqwest::Url;
use tokio::sync::OwnedSemaphorePermit;

use super::super::BlobService;
use super::super::failure::Failure;
use super::super::receive::{self, INLINE_BYTES_MAX, Received};
use super::remote::{Found, Remote};

/// Bytes of one such copy.
const COPY_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024 * 1024;
/// Copies that are resumed in one step.
const COPIES_PER_STEP: usize = 64;

/// A copy under way: its target and its name.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) key: ContainerKey,
    pub(super) name: String,
    pub(super) id: String,
}

impl BlobService {
    /// A place among the copies under way.
    pub(super) fn reserve_copy(&self) -> Result<OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.copies).try_acquire_owned().map_err(|_none_left| {
            let message = "Too many copies are under way. Please retry the request.";
            BlobError::new(503, "ServerBusy", message).into()
        })
    }

    /// Brings a copy to its end beside the caller.
    pub(super) fn go_on_copying(
        &self,
        pending: Pending,
        found: Found,
        place: OwnedSemaphorePermit,
    ) {
        let this = self.clone();
        let mut under_way = self.copying.lock().unwrap_or_else(PoisonError::into_inner);
        while under_way.try_join_next().is_some() {}
        under_way.spawn(async move {
            let taken = this.take_copy(found).await;
            this.end_copy(pending, taken).await;
            drop(place);
        });
    }

    /// Leaves copies under way to the next server.
    pub(in crate::blob) fn stop_copies(&self) {
        self.copying.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }

    async fn take_copy(&self, found: Found) -> Result<Received, Failure> {
        let mut body = found.body;
        let limits = (COPY_BYTES_MAX, INLINE_BYTES_MAX);
        receive::take(&self.extents, &mut body, found.length, limits).await
    }

    async fn end_copy(&self, pending: Pending, taken: Result<Received, Failure>) {
        let now = self.stamps.next();
        let ended = match taken {
            Ok(received) => self.store.write(move |tx| succeed(tx, &pending, received, now)).await,
            Err(failure) => {
                let reason = reason(failure);
                self.store.write(move |tx| fail(tx, &pending, reason, now)).await
            }
        };
        match ended {
            Ok(freed) => self.remove_files(freed).await,
            Err(failure) => tracing::error!(?failure, "the end of a copy was not kept"),
        }
    }

    /// Begins anew what was under way when the last server ended.
    pub(in crate::blob) async fn resume_copies(&self) -> Result<(), StoreError> {
        let under_way = self.store.read(|view| view.pending_copies(COPIES_PER_STEP))?;
        for (key, name, id) in under_way {
            let pending = Pending { key, name, id };
            let place = Arc::clone(&self.copies).acquire_owned().await;
            let source = self.store.read(|view| view.blob(key, &pending.name))?;
            let copy = source.and_then(|blob| blob.details.copy);
            let url = copy.and_then(|copy| Url::parse(&copy.source).ok());
            match (url, place) {
                (Some(url), Ok(place)) => {
                    match self.remote.get(&Remote::new(url, None), None, Vec::new()).await {
                        Ok(found) => self.go_on_copying(pending, found, place),
                        Err(failure) => self.end_copy(pending, Err(failure)).await,
                    }
                }
                (_, _) => self.end_copy(pending, Err(BlobError::internal().into())).await,
            }
        }
        Ok(())
    }
}

/// The target of a copy, if it is still waited for.
fn target(tx: &mut Tx<'_>, pending: &Pending) -> Result<Option<Blob>, StoreError> {
    tx.delete_pending_copy(pending.key, &pending.name, &pending.id)?;
    let found = tx.blob(pending.key, &pending.name)?;
    Ok(found.filter(|blob| {
        let copy = blob.details.copy.as_ref();
        copy.is_some_and(|copy| copy.id == pending.id && copy.status == CopyStatus::Pending)
    }))
}

fn succeed(
    tx: &mut Tx<'_>,
    pending: &Pending,
    received: Received,
    now: Timestamp,
) -> Result<Vec<u64>, Failure> {
    let Some(mut blob) = target(tx, pending)? else { return Ok(Vec::new()) };
    let size_bytes = received.size_bytes;
    let extent = received.keep(tx)?;
    let mut uses = ExtentUses::default();
    tx.release_content(pending.key, &blob, &mut uses)?;
    uses.add(extent);
    blob.size_bytes = size_bytes;
    blob.modified_at = now;
    if let Some(copy) = &mut blob.details.copy {
        copy.status = CopyStatus::Success;
        copy.size_bytes = size_bytes;
        copy.copied_bytes = None;
        copy.completed_at = now;
    }
    tx.put_blob(pending.key, &blob, &[Block { id: String::new(), extent, offset: 0, size_bytes }])?;
    Ok(tx.apply_extent_uses(uses)?)
}

fn fail(
    tx: &mut Tx<'_>,
    pending: &Pending,
    reason: String,
    now: Timestamp,
) -> Result<Vec<u64>, Failure> {
    let Some(mut blob) = target(tx, pending)? else { return Ok(Vec::new()) };
    blob.modified_at = now;
    if let Some(copy) = &mut blob.details.copy {
        copy.status = CopyStatus::Failed;
        copy.reason = Some(reason);
        copy.completed_at = now;
    }
    tx.update_blob(pending.key, &blob)?;
    Ok(Vec::new())
}

/// What a client is told of a failure: status, code and a few words.
fn reason(failure: Failure) -> String {
    let error = match failure {
        Failure::BodyEnded(_) => {
            BlobError::new(400, "CannotVerifyCopySource", "The copy source ended early.")
        }
        Failure::Refused(_) | Failure::Store(_) | Failure::Extent(_) => failure.into_error("copy"),
    };
    format!("{} {} \"{}\"", error.status, error.code, error.message)
}
