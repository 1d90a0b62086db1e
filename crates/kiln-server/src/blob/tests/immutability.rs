//! Policies and legal holds.

use kiln_domain::blob::settings::StorageSettings;
use kiln_domain::span::Span;

use super::editions::set;
use super::{World, run};
use crate::clock;

const POLICY: &str = "409 BlobImmutableDueToPolicy";
const HOLD: &str = "409 BlobImmutableDueToLegalHold";

/// The header of a policy that ends in so many minutes.
fn until(minutes: i64) -> String {
    let end = clock::now().plus(Span::minutes(minutes)).to_rfc1123();
    format!("x-ms-immutability-policy-until-date: {end}")
}

async fn check(world: &World, head: &str, expected: &str) {
    assert_eq!(world.send(head, "").await.outcome(), expected, "{head}");
}

#[test]
fn what_a_policy_or_a_hold_keeps_is_not_changed() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        world.put("/con/b", "kept").await;
        let policy = format!("PUT /con/b?comp=immutabilityPolicies\n{}", until(60));
        let hold = "PUT /con/b?comp=legalhold\nx-ms-legal-hold: true";
        let (set_it, free_it) = (policy.as_str(), "DELETE /con/b?comp=immutabilityPolicies");
        let release = "PUT /con/b?comp=legalhold\nx-ms-legal-hold: false";
        for (keep, let_go, refusal) in [(set_it, free_it, POLICY), (hold, release, HOLD)] {
            let before = world.send("HEAD /con/b", "").await.header("etag").to_owned();
            check(&world, keep, "200").await;
            check(&world, "PUT /con/b\nx-ms-blob-type: BlockBlob", refusal).await;
            check(&world, "PUT /con/b?comp=metadata\nx-ms-meta-a: 1", refusal).await;
            check(&world, "PUT /con/b?comp=properties", refusal).await;
            check(&world, "DELETE /con/b", refusal).await;
            check(&world, "DELETE /con?restype=container", POLICY).await;
            let list = world.send("PUT /con/b?comp=blocklist", "<BlockList/>").await;
            assert_eq!(list.outcome(), refusal);
            let copy =
                "PUT /con/b\nx-ms-copy-source: http://127.0.0.1:10000/devstoreaccount1/con/b";
            check(&world, copy, refusal).await;
            check(&world, "PUT /con/b?comp=tier\nx-ms-access-tier: Cool", "200").await;
            check(&world, "PUT /con/b?comp=snapshot", "201").await;
            let got = world.send("GET /con/b", "").await;
            assert_eq!((got.text(), got.header("etag")), ("kept", before.as_str()));
            check(&world, let_go, "200").await;
            // Snapshots do not take over what keeps their blob.
            check(&world, "DELETE /con/b\nx-ms-delete-snapshots: only", "202").await;
            check(&world, "PUT /con/b?comp=metadata\nx-ms-meta-a: 1", "200").await;
        }
        check(&world, "DELETE /con?restype=container", "202").await;
    });
}

#[test]
fn a_blob_may_be_kept_from_its_beginning() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        let made = [
            ("b", "x-ms-blob-type: BlockBlob".to_owned()),
            ("a", "x-ms-blob-type: AppendBlob".to_owned()),
            ("p", "x-ms-blob-type: PageBlob\nx-ms-blob-content-length: 512".to_owned()),
        ];
        for (name, kind) in made {
            let policy = format!("{}\nx-ms-immutability-policy-mode: Locked", until(60));
            check(&world, &format!("PUT /con/{name}\n{kind}\n{policy}"), "201").await;
            let got = world.send(&format!("HEAD /con/{name}"), "").await;
            assert_eq!(got.header("x-ms-immutability-policy-mode"), "locked");
            assert_eq!(got.header("x-ms-legal-hold"), "");
            check(&world, &format!("DELETE /con/{name}"), POLICY).await;
        }
        let append = world.send("PUT /con/a?comp=appendblock", "x").await;
        assert_eq!(append.outcome(), POLICY);
        check(&world, "PUT /con/a?comp=seal", POLICY).await;
        let clear = "PUT /con/p?comp=page\nx-ms-page-write: clear\nx-ms-range: bytes=0-511";
        check(&world, clear, POLICY).await;
        // A locked policy is made longer, and nothing else.
        let policies = "/con/b?comp=immutabilityPolicies";
        check(&world, &format!("DELETE {policies}"), POLICY).await;
        check(&world, &format!("PUT {policies}\n{}", until(90)), POLICY).await;
        let locked = |minutes| {
            format!("PUT {policies}\n{}\nx-ms-immutability-policy-mode: locked", until(minutes))
        };
        check(&world, &locked(30), POLICY).await;
        check(&world, &locked(90), "200").await;
        check(&world, &locked(-1), "400 InvalidHeaderValue").await;
        check(&world, &format!("PUT {policies}"), "400 MissingRequiredHeader").await;
        check(&world, "PUT /con/b?comp=legalhold", "400 MissingRequiredHeader").await;
        let past = format!("PUT /con/new\nx-ms-blob-type: BlockBlob\n{}", until(-1));
        check(&world, &past, "400 InvalidHeaderValue").await;
        check(
            &world,
            &format!("PUT /con/none?comp=immutabilityPolicies\n{}", until(1)),
            "404 BlobNotFound",
        )
        .await;
    });
}

#[test]
fn a_version_that_is_kept_outlives_its_blob() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        set(&world, StorageSettings { keeps_versions: true, ..Default::default() }).await;
        let held = "PUT /con/b\nx-ms-blob-type: BlockBlob\nx-ms-legal-hold: true";
        let first = world.send(held, "1").await.header("x-ms-version-id").to_owned();
        check(&world, "PUT /con/b?comp=metadata\nx-ms-meta-a: 1", HOLD).await;
        // The name may get other content, or go: what it meant before is still there.
        world.put("/con/b", "2").await;
        assert_eq!(world.send("HEAD /con/b", "").await.header("x-ms-legal-hold"), "");
        check(&world, "DELETE /con/b", "202").await;
        let version = format!("/con/b?versionid={first}");
        let got = world.send(&format!("GET {version}"), "").await;
        assert_eq!((got.text(), got.header("x-ms-legal-hold")), ("1", "true"));
        check(&world, &format!("DELETE {version}"), HOLD).await;
        check(&world, "DELETE /con?restype=container", POLICY).await;
        let list = "GET /con?restype=container&comp=list&include=versions,legalhold";
        assert_eq!(world.send(list, "").await.text().matches("<LegalHold>true</").count(), 1);
        let release = format!("PUT {version}&comp=legalhold\nx-ms-legal-hold: false");
        check(&world, &release, "200").await;
        check(&world, &format!("DELETE {version}"), "202").await;
        let policy = format!("PUT /con/c\nx-ms-blob-type: BlockBlob\n{}", until(60));
        check(&world, &policy, "201").await;
        let list = "GET /con?restype=container&comp=list&include=immutabilitypolicy";
        let shown = world.send(list, "").await;
        assert!(shown.text().contains("<ImmutabilityPolicyMode>unlocked</"), "{}", shown.text());
        check(
            &world,
            "PUT /con/c?comp=expiry\nx-ms-expiry-option: NeverExpire",
            "409 BlobOperationNotSupported",
        )
        .await;
    });
}
