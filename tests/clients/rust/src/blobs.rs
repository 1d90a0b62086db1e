//! What all blobs have.

use std::collections::HashMap;

use azure_core::http::{RequestContent, StatusCode};
use azure_storage_blob::models::{
    AccessTier, BlobClientAcquireLeaseResultHeaders as _,
    BlobClientCreateSnapshotResultHeaders as _, BlobClientDeleteOptions,
    BlobClientGetPropertiesResultHeaders as _, BlobClientSetPropertiesOptions,
    BlobClientStartCopyFromUrlResultHeaders as _, BlobServiceProperties, BlobTags,
    BlockBlobClientUploadOptions, CopyStatus, DeleteSnapshotsOptionType, RetentionPolicy,
};
use futures::TryStreamExt;
use time::{Duration, OffsetDateTime};

use crate::{Result, World, body, expect, refused};

pub(crate) async fn content(world: &World) -> Result {
    let blob = world.blob("rust-content", b"0123456789").await?;
    expect(crate::content(&blob).await?, b"0123456789".to_vec())?;
    let once = BlockBlobClientUploadOptions::default().if_not_exists();
    let again = blob.upload(body(b"again"), Some(once)).await;
    refused(again, StatusCode::Conflict, "BlobAlreadyExists")?;
    // Large content goes up in blocks and comes down in ranges.
    let large: Vec<u8> = (0..9_000_001_u32).map(|n| u8::try_from(n % 251).unwrap_or(0)).collect();
    blob.upload(body(&large), None).await?;
    expect(crate::content(&blob).await? == large, true)?;
    let mut buffer = vec![0; large.len()];
    blob.download_into(&mut buffer, None).await?;
    expect(buffer == large, true)?;
    blob.upload(body(b""), None).await?;
    expect(crate::content(&blob).await?, Vec::new())?;
    expect(blob.exists().await?, true)?;
    blob.get_account_info(None).await?;
    blob.delete(None).await?;
    expect(blob.exists().await?, false)?;
    refused(blob.get_properties(None).await, StatusCode::NotFound, "BlobNotFound")
}

pub(crate) async fn properties(world: &World) -> Result {
    let blob = world.blob("rust-properties", b"content").await?;
    let metadata = HashMap::from([("of".to_owned(), "rust".to_owned())]);
    blob.set_metadata(&metadata, None).await?;
    let options = BlobClientSetPropertiesOptions {
        blob_content_language: Some("en".to_owned()),
        ..Default::default()
    };
    blob.set_properties(Some(options)).await?;
    blob.set_tier(AccessTier::Cool, None).await?;
    let found = blob.get_properties(None).await?;
    expect(found.content_language()?.as_deref(), Some("en"))?;
    expect(found.access_tier()?.as_deref(), Some("Cool"))?;
    expect(found.metadata()?.get("of").map(String::as_str), Some("rust"))
}

pub(crate) async fn tags(world: &World) -> Result {
    let blob = world.blob("rust-tags", b"content").await?;
    let word = format!("w{}", world.suffix);
    let tags = HashMap::from([("rust".to_owned(), word.clone())]);
    blob.set_tags(RequestContent::try_from(BlobTags::from(tags))?, None).await?;
    let kept = blob.get_tags(None).await?.into_model()?.blob_tag_set.unwrap_or_default();
    expect(kept.first().and_then(|tag| tag.value.clone()), Some(word.clone()))?;
    let filter = format!("\"rust\"='{word}'");
    let container = world.service.blob_container_client(&format!("rust-tags-{}", world.suffix));
    let found = container.find_blobs_by_tags(&filter, None)?.into_pages();
    let found: Vec<_> = found.try_collect().await?;
    expect(found.len(), 1)?;
    let mut n_found = 0;
    let mut pages = world.service.find_blobs_by_tags(&filter, None)?.into_pages();
    while let Some(page) = pages.try_next().await? {
        n_found += page.into_model()?.blob_items.len();
    }
    expect(n_found, 1)
}

pub(crate) async fn snapshots(world: &World) -> Result {
    let blob = world.blob("rust-snapshots", b"before").await?;
    let taken = blob.create_snapshot(None).await?.snapshot()?.unwrap_or_default();
    blob.upload(body(b"after"), None).await?;
    let past = blob.with_snapshot(&taken)?;
    expect(crate::content(&past).await?, b"before".to_vec())?;
    refused(blob.delete(None).await, StatusCode::Conflict, "SnapshotsPresent")?;
    let options = BlobClientDeleteOptions {
        delete_snapshots: Some(DeleteSnapshotsOptionType::Include),
        ..Default::default()
    };
    blob.delete(Some(options)).await?;
    refused(past.get_properties(None).await, StatusCode::NotFound, "BlobNotFound")
}

pub(crate) async fn leases(world: &World) -> Result {
    let blob = world.blob("rust-blob-leases", b"leased").await?;
    let id = blob.acquire_lease(15, None).await?.lease_id()?.unwrap_or_default();
    let without = blob.upload(body(b"without"), None).await;
    refused(without, StatusCode::PreconditionFailed, "LeaseIdMissing")?;
    blob.renew_lease(id.clone(), None).await?;
    let other = "11111111-2222-3333-4444-555555555555".to_owned();
    blob.change_lease(id, other.clone(), None).await?;
    blob.release_lease(other, None).await?;
    blob.acquire_lease(-1, None).await?;
    blob.break_lease(None).await?;
    blob.upload(body(b"without"), None).await?;
    Ok(())
}

pub(crate) async fn copies(world: &World) -> Result {
    let source = world.blob("rust-copies", b"copied").await?;
    let container = world.service.blob_container_client(&format!("rust-copies-{}", world.suffix));
    let target = container.blob_client("target");
    let copy = target.start_copy_from_url(source.url().as_str().to_owned(), None).await?;
    expect(copy.copy_status()?, Some(CopyStatus::Success))?;
    expect(crate::content(&target).await?, b"copied".to_vec())?;
    let id = copy.copy_id()?.unwrap_or_default();
    refused(target.abort_copy(&id, None).await, StatusCode::Conflict, "NoPendingCopyOperation")?;
    let whole = container.blob_client("whole");
    let url = source.url().as_str().to_owned();
    whole.block_blob_client().upload_blob_from_url(url, None).await?;
    expect(crate::content(&whole).await?, b"copied".to_vec())
}

pub(crate) async fn protection(world: &World) -> Result {
    let blob = world.blob("rust-protection", b"kept").await?;
    let expiry = OffsetDateTime::now_utc() + Duration::hours(1);
    blob.set_immutability_policy(&expiry, None).await?;
    let shown = blob.get_properties(None).await?.immutability_policy_expires_on()?;
    expect(shown.map(OffsetDateTime::unix_timestamp), Some(expiry.unix_timestamp()))?;
    refused(blob.delete(None).await, StatusCode::Conflict, "BlobImmutableDueToPolicy")?;
    blob.delete_immutability_policy(None).await?;
    blob.set_legal_hold(true, None).await?;
    refused(blob.delete(None).await, StatusCode::Conflict, "BlobImmutableDueToLegalHold")?;
    blob.set_legal_hold(false, None).await?;
    blob.delete(None).await?;
    Ok(())
}

pub(crate) async fn undelete(world: &World) -> Result {
    let blob = world.blob("rust-undelete", b"deleted").await?;
    let kept = |policy| async move {
        let changed =
            BlobServiceProperties { delete_retention_policy: Some(policy), ..Default::default() };
        world.service.set_properties(changed.try_into()?, None).await?;
        Result::<()>::Ok(())
    };
    let days = RetentionPolicy { enabled: Some(true), days: Some(1), ..Default::default() };
    kept(days).await?;
    blob.delete(None).await?;
    blob.undelete(None).await?;
    let found = crate::content(&blob).await;
    kept(RetentionPolicy { enabled: Some(false), ..Default::default() }).await?;
    expect(found?, b"deleted".to_vec())
}
