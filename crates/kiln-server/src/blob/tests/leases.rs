//! Leases: who alone may change a blob or delete a container.

use super::{Got, World, run};

const A: &str = "00000000-0000-0000-0000-00000000000a";
const B: &str = "00000000-0000-0000-0000-00000000000b";

/// Asks something of the lease of `place`; `headers` is the action and more, one a line.
async fn lease(world: &World, place: &str, headers: &str) -> Got {
    let query = if place.matches('/').count() > 1 {
        "?comp=lease"
    } else {
        "?restype=container&comp=lease"
    };
    world.send(&format!("PUT {place}{query}\nx-ms-lease-action: {headers}"), "").await
}

#[test]
fn a_leased_blob_is_changed_by_its_holder_alone() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        world.put("/con/b", "1").await;
        let etag = world.send("HEAD /con/b", "").await.header("etag").to_owned();
        let headers = format!("acquire\nx-ms-lease-duration: -1\nx-ms-proposed-lease-id: {A}");
        let taken = lease(&world, "/con/b", &headers).await;
        assert_eq!((taken.outcome().as_str(), taken.header("x-ms-lease-id")), ("201", A));
        assert_eq!(taken.header("etag"), etag, "a lease changes nothing of the blob");
        let got = world.send("HEAD /con/b", "").await;
        let shown = ["x-ms-lease-status", "x-ms-lease-state", "x-ms-lease-duration"];
        assert_eq!(shown.map(|name| got.header(name)), ["locked", "leased", "infinite"]);
        let list = world.send("GET /con?restype=container&comp=list", "").await;
        assert!(list.text().contains("<LeaseState>leased</LeaseState>"), "{}", list.text());
        for head in [
            "PUT /con/b\nx-ms-blob-type: BlockBlob",
            "PUT /con/b?comp=block&blockid=AAAA",
            "PUT /con/b?comp=blocklist",
            "PUT /con/b?comp=metadata",
            "PUT /con/b?comp=properties",
            "PUT /con/b?comp=tags",
            "PUT /con/b\nx-ms-copy-source: http://127.0.0.1:10000/devstoreaccount1/con/b",
            "DELETE /con/b",
        ] {
            let body = match head {
                _ if head.contains("blocklist") => "<BlockList><Latest>AAAA</Latest></BlockList>",
                _ if head.contains("tags") => "<Tags><TagSet></TagSet></Tags>",
                _ if head.contains("copy") || head.starts_with("DELETE") => "",
                _ => "2",
            };
            let without = world.send(head, body).await;
            assert_eq!(without.outcome(), "412 LeaseIdMissing", "{head}");
            let wrong = world.send(&format!("{head}\nx-ms-lease-id: {B}"), body).await;
            assert_eq!(wrong.outcome(), "412 LeaseIdMismatchWithBlobOperation", "{head}");
            let right = world.send(&format!("{head}\nx-ms-lease-id: {A}"), body).await;
            assert!(right.status < 300, "{head}: {}", right.outcome());
        }
        world.put("/con/b", "3").await;
        let none = world.send(&format!("GET /con/b\nx-ms-lease-id: {A}"), "").await;
        assert_eq!(none.outcome(), "412 LeaseNotPresentWithBlobOperation");
    });
}

#[test]
fn a_lease_is_renewed_changed_broken_and_released() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        world.put("/con/b", "1").await;
        let headers = format!("acquire\nx-ms-lease-duration: 15\nx-ms-proposed-lease-id: {A}");
        assert_eq!(lease(&world, "/con/b", &headers).await.outcome(), "201");
        let again = format!("acquire\nx-ms-lease-duration: 15\nx-ms-proposed-lease-id: {B}");
        assert_eq!(lease(&world, "/con/b", &again).await.outcome(), "409 LeaseAlreadyPresent");
        let renewed = lease(&world, "/con/b", &format!("renew\nx-ms-lease-id: {A}")).await;
        assert_eq!((renewed.outcome().as_str(), renewed.header("x-ms-lease-id")), ("200", A));
        let change = format!("change\nx-ms-lease-id: {A}\nx-ms-proposed-lease-id: {B}");
        let changed = lease(&world, "/con/b", &change).await;
        assert_eq!((changed.outcome().as_str(), changed.header("x-ms-lease-id")), ("200", B));
        let broken = lease(&world, "/con/b", "break\nx-ms-lease-break-period: 10").await;
        assert_eq!((broken.outcome().as_str(), broken.header("x-ms-lease-time")), ("202", "10"));
        let got = world.send("HEAD /con/b", "").await;
        assert_eq!(got.header("x-ms-lease-state"), "breaking");
        let released = lease(&world, "/con/b", &format!("release\nx-ms-lease-id: {B}")).await;
        assert_eq!(released.outcome(), "200");
        let broken = lease(&world, "/con/b", "break").await;
        assert_eq!(broken.outcome(), "409 LeaseNotPresentWithLeaseOperation");
        for (headers, outcome) in [
            ("acquire", "400 MissingRequiredHeader"),
            ("acquire\nx-ms-lease-duration: 14", "400 InvalidHeaderValue"),
            ("acquire\nx-ms-lease-duration: 61", "400 InvalidHeaderValue"),
            (
                "acquire\nx-ms-lease-duration: 15\nx-ms-proposed-lease-id: x",
                "400 InvalidHeaderValue",
            ),
            ("renew", "400 MissingRequiredHeader"),
            ("steal", "400 InvalidHeaderValue"),
            ("break\nx-ms-lease-break-period: 61", "400 InvalidHeaderValue"),
        ] {
            assert_eq!(lease(&world, "/con/b", headers).await.outcome(), outcome, "{headers}");
        }
    });
}

#[test]
fn a_leased_container_is_deleted_by_its_holder_alone() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        let headers = format!("acquire\nx-ms-lease-duration: 60\nx-ms-proposed-lease-id: {A}");
        assert_eq!(lease(&world, "/con", &headers).await.outcome(), "201");
        let got = world.send("GET /con?restype=container", "").await;
        assert_eq!(got.header("x-ms-lease-duration"), "fixed");
        world.put("/con/b", "blobs do not mind").await;
        let delete = "DELETE /con?restype=container";
        assert_eq!(world.send(delete, "").await.outcome(), "412 LeaseIdMissing");
        let wrong = world.send(&format!("{delete}\nx-ms-lease-id: {B}"), "").await;
        assert_eq!(wrong.outcome(), "412 LeaseIdMismatchWithContainerOperation");
        let right = world.send(&format!("{delete}\nx-ms-lease-id: {A}"), "").await;
        assert_eq!(right.outcome(), "202");
    });
}
