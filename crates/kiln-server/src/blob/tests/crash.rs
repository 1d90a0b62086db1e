//! What is left after a service ended without a word.

use kiln_domain::blob::limits::STAGED_BLOCKS_KEPT_DAYS;
use kiln_domain::span::Span;
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
        assert_eq!(world.n_files(), 2);

        let world = world.reopen().await;
        let swept = world.service.sweep().expect("swept");
        assert_eq!((swept.n_seen, swept.n_removed), (2, 1));
        assert_eq!(world.send("GET /kept/large", "").await.body, content);
        assert_eq!(world.send("GET /kept/small", "").await.text(), "small");
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
        assert_eq!(world.n_files(), 4);
        world.service.reclaim(clock::now(), &stop).await.expect("reclaimed");
        assert_eq!(world.n_files(), 2);
        let later = clock::now().plus(Span::days(STAGED_BLOCKS_KEPT_DAYS + 1));
        world.service.reclaim(later, &stop).await.expect("reclaimed");
        assert_eq!(world.n_files(), 1);
        assert_eq!(world.send("GET /here/b", "").await.status, 200);
    });
}
