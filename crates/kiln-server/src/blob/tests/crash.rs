//! What is left after a service ended without a word.

use kiln_domain::blob::limits::STAGED_BLOCKS_KEPT_DAYS;
use kiln_domain::span::Span;
use kiln_store::{ExtentPlace, StoreError};
use tokio_util::sync::CancellationToken;

use super::{World, noise, run};
use crate::clock;

#[test]
fn what_was_answered_is_there_and_the_rest_is_swept() {
    run(async {
        let world = World::new().await;
        world.container("kept").await;
        let content = noise(100_000);
        world.put("/kept/large", content.clone()).await;
        world.put("/kept/small", "small").await;
        // Bytes of an upload that never came to its commit.
        let mut upload = world.service.extents.upload();
        upload.write(content.clone()).await.expect("written");
        upload.finish().await.expect("durable");
        upload.keep();
        assert_eq!(world.n_files().await, 2);

        let world = world.reopen().await;
        let swept = world.service.sweep().expect("swept");
        assert_eq!((swept.n_seen, swept.n_removed), (2, 1));
        assert_eq!(world.send("GET /kept/large", "").await.body, content);
        assert_eq!(world.send("GET /kept/small", "").await.text(), "small");
    });
}

#[test]
fn files_of_failed_commits_are_removed_while_the_service_runs() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        let content = noise(100_000);
        world.put("/con/kept", content.clone()).await;
        world.put("/con/gone", content.clone()).await;
        assert_eq!(world.send("DELETE /con/gone", "").await.status, 202);
        // An operation that names a file, and does not come to its commit.
        let mut upload = world.service.extents.upload();
        upload.write(content.clone()).await.expect("written");
        let kept = upload.finish().await.expect("durable");
        let op = move |tx: &mut kiln_store::Tx<'_>| -> Result<(), StoreError> {
            tx.insert_extent(&ExtentPlace::File(kept.id.0))?;
            upload.keep();
            Err(StoreError::Closed)
        };
        assert!(world.service.store.write(op).await.is_err());
        assert_eq!(world.n_files().await, 2);
        world.service.settle().await.expect("settled");
        assert_eq!(world.n_files().await, 1);
        assert_eq!(world.send("GET /con/kept", "").await.body, content);
        world.service.settle().await.expect("settled again");
        assert_eq!(world.n_files().await, 1);
    });
}

#[test]
fn deleted_containers_and_stale_blocks_are_taken_back() {
    run(async {
        let world = World::new().await;
        let stop = CancellationToken::new();
        for name in ["gone", "here"] {
            world.container(name).await;
            world.put(&format!("/{name}/b"), noise(100_000)).await;
            let head = format!("PUT /{name}/up?comp=block&blockid=AAAA");
            assert_eq!(world.send(&head, noise(100_000)).await.status, 201);
        }
        world.send("DELETE /gone?restype=container", "").await;
        assert_eq!(world.n_files().await, 4);
        world.service.reclaim(clock::now(), &stop).await.expect("reclaimed");
        assert_eq!(world.n_files().await, 2);
        let later = clock::now().plus(Span::days(STAGED_BLOCKS_KEPT_DAYS + 1));
        world.service.reclaim(later, &stop).await.expect("reclaimed");
        assert_eq!(world.n_files().await, 1);
        assert_eq!(world.send("GET /here/b", "").await.status, 200);
    });
}
