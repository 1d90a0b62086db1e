//! The past of blobs: snapshots, versions, and what was deleted and is kept.

use kiln_domain::blob::settings::StorageSettings;
use kiln_domain::span::Span;
use kiln_store::StoreError;
use tokio_util::sync::CancellationToken;

use super::{World, noise, run};
use crate::accounts::DEV_STORAGE_ACCOUNT;
use crate::clock;

pub(super) async fn set(world: &World, settings: StorageSettings) {
    let op = move |tx: &mut kiln_store::Tx<'_>| {
        tx.update_storage_settings(DEV_STORAGE_ACCOUNT, &settings)
    };
    assert!(world.service.store.write::<_, StoreError>(op).await.expect("kept"));
}

#[test]
fn snapshots_stay_as_they_were() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        let (first, second) = (noise(100_000), noise(90_000));
        world.put("/con/b", first.clone()).await;
        let taken = world.send("PUT /con/b?comp=snapshot\nx-ms-meta-of: 1", "").await;
        assert_eq!(taken.outcome(), "201");
        let at = taken.header("x-ms-snapshot").to_owned();
        assert_eq!(world.n_files().await, 1, "content is shared");
        world.put("/con/b", second.clone()).await;
        assert_eq!(world.n_files().await, 2);
        let past = format!("/con/b?snapshot={at}");
        let got = world.send(&format!("GET {past}"), "").await;
        assert_eq!((got.header("x-ms-meta-of"), &got.body), ("1", &first));
        assert_eq!(world.send("GET /con/b", "").await.body, second);
        let refused = world.send(&format!("PUT {past}\nx-ms-blob-type: BlockBlob"), "x").await;
        assert_eq!(refused.outcome(), "400 InvalidQueryParameterValue");
        let odd = world.send("GET /con/b?snapshot=yesterday", "").await;
        assert_eq!(odd.outcome(), "400 InvalidQueryParameterValue");
        let source = format!("http://127.0.0.1:10000/devstoreaccount1{past}");
        let back = world.send(&format!("PUT /con/b\nx-ms-copy-source: {source}"), "").await;
        assert_eq!(back.outcome(), "202");
        assert_eq!(world.send("GET /con/b", "").await.body, first);
        assert_eq!(world.n_files().await, 1);

        assert_eq!(world.send("DELETE /con/b", "").await.outcome(), "409 SnapshotsPresent");
        world.send("PUT /con/b?comp=snapshot", "").await;
        assert_eq!(world.send(&format!("DELETE {past}"), "").await.outcome(), "202");
        assert_eq!(world.send(&format!("GET {past}"), "").await.outcome(), "404 BlobNotFound");
        let only = world.send("DELETE /con/b\nx-ms-delete-snapshots: only", "").await;
        assert_eq!(only.outcome(), "202");
        world.send("PUT /con/b?comp=snapshot", "").await;
        let all = world.send("DELETE /con/b\nx-ms-delete-snapshots: include", "").await;
        assert_eq!((all.status, all.header("x-ms-delete-type-permanent")), (202, "true"));
        assert_eq!(world.n_files().await, 0);
    });
}

#[test]
fn versions_are_kept_where_the_account_says_so() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        set(&world, StorageSettings { keeps_versions: true, ..Default::default() }).await;
        let put = "PUT /con/b\nx-ms-blob-type: BlockBlob";
        let first = world.send(put, "1").await.header("x-ms-version-id").to_owned();
        let second = world.send(put, "2").await.header("x-ms-version-id").to_owned();
        let meta = world.send("PUT /con/b?comp=metadata\nx-ms-meta-a: 3", "").await;
        let third = meta.header("x-ms-version-id").to_owned();
        for (version, content, meta, is_current) in
            [(&first, "1", "", ""), (&second, "2", "", ""), (&third, "2", "3", "true")]
        {
            let got = world.send(&format!("GET /con/b?versionid={version}"), "").await;
            let headers = [got.header("x-ms-version-id"), got.header("x-ms-meta-a")];
            assert_eq!((got.text(), headers), (content, [version.as_str(), meta]));
            assert_eq!(got.header("x-ms-is-current-version"), is_current);
        }
        assert_eq!(world.send("DELETE /con/b", "").await.outcome(), "202");
        assert_eq!(world.send("GET /con/b", "").await.outcome(), "404 BlobNotFound");
        let last = format!("/con/b?versionid={third}");
        assert_eq!(world.send(&format!("GET {last}"), "").await.text(), "2");
        assert_eq!(world.send(&format!("DELETE {last}"), "").await.outcome(), "202");
        assert_eq!(world.send(&format!("GET {last}"), "").await.outcome(), "404 BlobNotFound");
    });
}

#[test]
fn what_was_deleted_comes_back_until_its_time_is_over() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        set(&world, StorageSettings { blobs_kept_days: Some(7), ..Default::default() }).await;
        let content = noise(100_000);
        world.put("/con/b", content.clone()).await;
        let at =
            world.send("PUT /con/b?comp=snapshot", "").await.header("x-ms-snapshot").to_owned();
        let delete = "DELETE /con/b\nx-ms-delete-snapshots: include";
        let deleted = world.send(delete, "").await;
        assert_eq!(deleted.header("x-ms-delete-type-permanent"), "false");
        assert_eq!(world.send("GET /con/b", "").await.outcome(), "404 BlobNotFound");
        assert_eq!(world.send(delete, "").await.outcome(), "404 BlobNotFound");
        assert_eq!(world.send("PUT /con/b?comp=undelete", "").await.outcome(), "200");
        assert_eq!(world.send("GET /con/b", "").await.body, content);
        let past = world.send(&format!("GET /con/b?snapshot={at}"), "").await;
        assert_eq!(past.body, content);
        let none = world.send("PUT /con/none?comp=undelete", "").await;
        assert_eq!(none.outcome(), "404 BlobNotFound");

        // What is overwritten is a deleted snapshot; after its time all is gone.
        world.send(delete, "").await;
        world.put("/con/b", "small").await;
        assert_eq!(world.n_files().await, 1);
        let later = clock::now().plus(Span::days(8));
        world.service.reclaim(later, &CancellationToken::new()).await.expect("reclaimed");
        assert_eq!(world.n_files().await, 0);
        assert_eq!(world.send("GET /con/b", "").await.text(), "small");
        let gone = world.send(&format!("GET /con/b?snapshot={at}"), "").await;
        assert_eq!(gone.outcome(), "404 BlobNotFound");
    });
}

#[test]
fn deleted_snapshots_go_for_good_where_it_is_allowed() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        let kept = StorageSettings { blobs_kept_days: Some(7), ..Default::default() };
        set(&world, kept.clone()).await;
        world.put("/con/b", noise(100_000)).await;
        let at =
            world.send("PUT /con/b?comp=snapshot", "").await.header("x-ms-snapshot").to_owned();
        world.send("DELETE /con/b\nx-ms-delete-snapshots: only", "").await;
        let for_good = format!("DELETE /con/b?snapshot={at}&deletetype=Permanent");
        assert_eq!(world.send(&for_good, "").await.outcome(), "409 FeatureNotEnabled");
        set(&world, StorageSettings { allows_permanent_delete: true, ..kept }).await;
        assert_eq!(world.send(&for_good, "").await.outcome(), "202");
        assert_eq!(world.send(&for_good, "").await.outcome(), "404 BlobNotFound");
        let present = world.send("DELETE /con/b?deletetype=permanent", "").await;
        assert_eq!(present.outcome(), "400 InvalidQueryParameterValue");
    });
}

#[test]
fn an_archived_blob_is_not_read() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        world.put("/con/b", "1").await;
        let tier = |name: &str| format!("PUT /con/b?comp=tier\nx-ms-access-tier: {name}");
        assert_eq!(world.send(&tier("Cool"), "").await.outcome(), "200");
        let got = world.send("HEAD /con/b", "").await;
        assert_eq!(
            (got.header("x-ms-access-tier"), got.header("x-ms-access-tier-inferred")),
            ("Cool", "")
        );
        assert_ne!(got.header("x-ms-access-tier-change-time"), "");
        assert_eq!(world.send(&tier("Archive"), "").await.outcome(), "200");
        assert_eq!(world.send("GET /con/b", "").await.outcome(), "409 BlobArchived");
        assert_eq!(world.send("HEAD /con/b", "").await.outcome(), "200");
        let put = "PUT /con/b\nx-ms-blob-type: BlockBlob";
        assert_eq!(world.send(put, "2").await.outcome(), "409 BlobArchived");
        assert_eq!(world.send(&tier("Hot"), "").await.outcome(), "202");
        assert_eq!(world.send("GET /con/b", "").await.text(), "1");
        assert_eq!(world.send(&tier("P10"), "").await.outcome(), "400 InvalidBlobTier");
        assert_eq!(world.send(&tier("Warm"), "").await.outcome(), "400 InvalidHeaderValue");
    });
}

#[test]
fn tags_are_set_with_the_blob_or_later() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        let put = "PUT /con/b\nx-ms-blob-type: BlockBlob\nx-ms-tags: a=1&b%20c=x%2Fy";
        assert_eq!(world.send(put, "1").await.outcome(), "201");
        let got = world.send("HEAD /con/b", "").await;
        let etag = got.header("etag").to_owned();
        assert_eq!(got.header("x-ms-tag-count"), "2");
        let tags = "<Tags><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tags>";
        assert_eq!(world.send("PUT /con/b?comp=tags", tags).await.outcome(), "204");
        let got = world.send("GET /con/b?comp=tags", "").await;
        assert!(got.text().ends_with(tags), "{}", got.text());
        assert_eq!(world.send("HEAD /con/b", "").await.header("etag"), etag);
        let bad = world.send("PUT /con/b\nx-ms-blob-type: BlockBlob\nx-ms-tags: a=%26", "1").await;
        assert_eq!(bad.outcome(), "400 InvalidTag");
    });
}
