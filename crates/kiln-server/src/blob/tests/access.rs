//! Who may do what, and how addresses are read.

use kiln_wire::auth::sas::{Terms, account_sas, blob_sas, container_sas};

use super::{DEV_STORAGE_ACCOUNT, DEV_STORAGE_KEY, World, run};
use crate::clock;
use bytes::Bytes;

const LATER: &str = "2099-01-01T00:00:00Z";

fn terms<'a>(permissions: &'a str) -> Terms<'a> {
    Terms { permissions, expiry: LATER, ..Terms::default() }
}

fn container_token(container: &str, permissions: &str) -> String {
    container_sas(DEV_STORAGE_ACCOUNT, DEV_STORAGE_KEY, container, terms(permissions))
        .expect("made")
}

async fn world() -> World {
    let world = World::new().await;
    world.container("con1").await;
    world.put("/con1/b", "content").await;
    world
}

#[test]
fn a_wrong_key_is_told_what_to_sign() {
    run(async {
        let world = world().await;
        let got = world.send_as(DEV_STORAGE_ACCOUNT, "d3Jvbmc=", "GET /con1/b", Bytes::new()).await;
        assert_eq!(got.outcome(), "403 AuthenticationFailed");
        let detail = "Server used following string to sign: 'GET\n\n\n";
        assert!(got.text().contains(&detail.replace('\'', "&apos;")), "{}", got.text());
        let got = world.send("GET /con1/b\nx-ms-date: Sat, 21 Mar 2020 02:14:05 GMT", "").await;
        assert_eq!(got.outcome(), "403 AuthenticationFailed");
        let got = world.send_unsigned("GET /con1/b\nAuthorization: Bearer x", "").await;
        assert_eq!(got.outcome(), "403 AuthenticationFailed");
    });
}

#[test]
fn tokens_allow_what_they_say() {
    run(async {
        let world = world().await;
        let put = |name: &str, token: &str| {
            format!("PUT /con1/{name}?{token}\nx-ms-blob-type: BlockBlob")
        };
        let read = container_token("con1", "r");
        let write = container_token("con1", "w");
        let create = container_token("con1", "c");
        let list = container_token("con1", "l");
        let mismatch = "403 AuthorizationPermissionMismatch";
        for (head, outcome) in [
            (format!("GET /con1/b?{read}"), "200"),
            (format!("GET /con1/b?{write}"), mismatch),
            (format!("GET /con2/b?{read}"), "403 AuthenticationFailed"),
            (put("new", &read), mismatch),
            (put("new", &write), "201"),
            (put("new", &write), "201"),
            (put("newer", &create), "201"),
            (put("newer", &create), "403 UnauthorizedBlobOverwrite"),
            (format!("GET /con1?restype=container&comp=list&{list}"), "200"),
            (format!("GET /con1?restype=container&comp=list&{read}"), mismatch),
            (format!("DELETE /con1/b?{read}"), mismatch),
            (format!("DELETE /con1?restype=container&{write}"), mismatch),
            (format!("GET /con1/b?{read}x"), "403 AuthenticationFailed"),
        ] {
            assert_eq!(world.send_unsigned(&head, "").await.outcome(), outcome, "{head}");
        }
        let token = blob_sas(DEV_STORAGE_ACCOUNT, DEV_STORAGE_KEY, "con1", "b", terms("r"));
        let token = token.expect("made");
        let got = world.send_unsigned(&format!("GET /con1/b?{token}"), "").await;
        assert_eq!((got.status, got.header("x-ms-version")), (200, "2021-12-02"));
        let got = world.send_unsigned(&format!("GET /con1/new?{token}"), "").await;
        assert_eq!(got.outcome(), "403 AuthenticationFailed");
        let token = account_sas(DEV_STORAGE_ACCOUNT, DEV_STORAGE_KEY, "s", terms("lr"));
        let token = token.expect("made");
        for (head, outcome) in [
            (format!("GET /?comp=list&{token}"), "200"),
            (format!("GET /con1/b?{token}"), "403 AuthorizationResourceTypeMismatch"),
        ] {
            assert_eq!(world.send_unsigned(&head, "").await.outcome(), outcome, "{head}");
        }
    });
}

#[test]
fn conditions_on_tags_and_broken_leases_take_letters_of_their_own() {
    run(async {
        let world = world().await;
        world
            .send(
                "PUT /con1/b?comp=tags",
                "<Tags><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tags>",
            )
            .await;
        let mismatch = "403 AuthorizationPermissionMismatch";
        let check = async |head: String, outcome: &str| {
            assert_eq!(world.send_unsigned(&head, "").await.outcome(), outcome, "{head}");
        };
        let get = |letters: &str| format!("GET /con1/b?{}", container_token("con1", letters));
        let condition = "x-ms-if-tags: k = 'v'";
        check(get("r"), "200").await;
        check(format!("{}\n{condition}", get("r")), mismatch).await;
        check(format!("{}\n{condition}", get("rt")), "200").await;
        check(format!("{}\nx-ms-if-tags: k = 'w'", get("rt")), "412 ConditionNotMet").await;
        let lease = |letters: &str, action: &str| {
            let token = container_token("con1", letters);
            format!(
                "PUT /con1/b?comp=lease&{token}\nx-ms-lease-action: {action}\nx-ms-lease-duration: -1"
            )
        };
        check(lease("d", "acquire"), mismatch).await;
        check(lease("w", "acquire"), "201").await;
        check(lease("r", "break"), mismatch).await;
        check(lease("d", "break"), "202").await;
        check(lease("w", "break"), "202").await;
        let policy =
            format!("DELETE /con1/b?comp=immutabilityPolicies&{}", container_token("con1", "w"));
        check(policy.clone(), mismatch).await;
        check(policy.replace(&container_token("con1", "w"), &container_token("con1", "i")), "200")
            .await;
    });
}

#[test]
fn a_token_with_a_key_besides_is_refused() {
    run(async {
        let world = world().await;
        let token = container_token("con1", "r");
        let got = world.send(&format!("GET /con1/b?{token}"), "").await;
        assert_eq!(got.outcome(), "400 InvalidAuthenticationInfo");
    });
}

#[test]
fn a_copy_needs_the_right_to_read_its_source() {
    run(async {
        let world = world().await;
        world.container("con2").await;
        let token = container_token("con2", "cw");
        let source = "http://127.0.0.1:10000/devstoreaccount1/con1/b";
        let head = format!("PUT /con2/stolen?{token}\nx-ms-copy-source: {source}");
        let got = world.send_unsigned(&head, "").await;
        assert_eq!(got.outcome(), "403 CannotVerifyCopySource");
        let head = format!("{head}?{}", container_token("con1", "r"));
        assert_eq!(world.send_unsigned(&head, "").await.outcome(), "202");
    });
}

#[test]
fn public_access_needs_no_key() {
    run(async {
        let world = world().await;
        let (get, list) = ("GET /con1/b", "GET /con1?restype=container&comp=list");
        let acl = |level: &str| format!("PUT /con1?restype=container&comp=acl\n{level}");
        for (level, of_blob, of_list) in [
            ("x-ms-blob-public-access: container", 200, 200),
            ("x-ms-blob-public-access: blob", 200, 404),
            ("", 404, 404),
        ] {
            assert_eq!(world.send(&acl(level), "").await.status, 200);
            assert_eq!(world.send_unsigned(get, "").await.status, of_blob, "{level}");
            assert_eq!(world.send_unsigned(list, "").await.status, of_list, "{level}");
            assert_ne!(world.send_unsigned("DELETE /con1/b", "").await.status, 202);
        }
        let new = world.send_unsigned("GET /con1/b\nx-ms-version: 2021-12-02", "").await;
        assert_eq!(new.outcome(), "401 NoAuthenticationInformation");
        assert!(new.header("www-authenticate").starts_with("Bearer authorization_uri=https://"));
    });
}

#[test]
fn stored_policies_can_be_taken_back() {
    run(async {
        let world = world().await;
        let policies = format!(
            "<SignedIdentifiers><SignedIdentifier><Id>p</Id><AccessPolicy>\
             <Expiry>{LATER}</Expiry><Permission>r</Permission></AccessPolicy>\
             </SignedIdentifier></SignedIdentifiers>"
        );
        let acl = "/con1?restype=container&comp=acl";
        assert_eq!(world.send(&format!("PUT {acl}"), policies).await.status, 200);
        let got = world.send(&format!("GET {acl}"), "").await;
        assert!(got.text().contains("<Permission>r</Permission>"), "{}", got.text());
        let terms = Terms { policy: "p", ..Terms::default() };
        let token = container_sas(DEV_STORAGE_ACCOUNT, DEV_STORAGE_KEY, "con1", terms);
        let head = format!("GET /con1/b?{}", token.expect("made"));
        assert_eq!(world.send_unsigned(&head, "").await.status, 200);
        assert_eq!(world.send(&format!("PUT {acl}"), "").await.status, 200);
        let got = world.send_unsigned(&head, "").await;
        assert_eq!(got.outcome(), "403 AuthenticationFailed");
    });
}

#[test]
fn addresses_of_every_style() {
    run(async {
        let world = world().await;
        let cloud = "Host: devstoreaccount1.blob.core.windows.net";
        for (head, status) in [
            (format!("GET //con1/b\n{cloud}"), 200),
            ("GET //devstoreaccount1/con1/b".to_owned(), 200),
            ("GET //devstoreaccount1-secondary/con1/b".to_owned(), 200),
            ("GET //con1/b".to_owned(), 200),
            ("GET //con1?restype=container&comp=list&marker=".to_owned(), 200),
            ("GET //con1/b\nHost: other.blob.core.windows.net".to_owned(), 404),
        ] {
            let got = world.send(&head, "").await;
            assert_eq!(got.status, status, "{head}: {}", got.text());
        }
        world.put("/con1/dir%2Fa%20b", "x").await;
        assert_eq!(world.send("GET /con1/dir/a%20b", "").await.text(), "x");
    });
}

#[test]
fn dates_of_other_times_are_refused() {
    run(async {
        let world = world().await;
        let ago = |minutes: i64| {
            let at = clock::now().0 - minutes * 60 * 10_000_000;
            kiln_domain::time::Timestamp(at).to_rfc1123()
        };
        for (minutes, status) in [(0, 200), (14, 200), (-14, 200), (16, 403), (-16, 403)] {
            let head = format!("GET /con1/b\nx-ms-date: {}", ago(minutes));
            assert_eq!(world.send(&head, "").await.status, status, "{minutes}");
        }
    });
}

#[test]
fn deleting_the_past_takes_letters_of_its_own() {
    run(async {
        let world = world().await;
        let moment = "2026-01-02T03:04:05.0000010Z";
        let mismatch = "403 AuthorizationPermissionMismatch";
        for (query, right, wrong, outcome) in [
            (format!("snapshot={moment}"), "d", "xy", "404 BlobNotFound"),
            (format!("versionid={moment}"), "x", "dy", "404 BlobNotFound"),
            (format!("snapshot={moment}&deletetype=permanent"), "y", "dx", "409 FeatureNotEnabled"),
        ] {
            for (letters, outcome) in [(right, outcome), (wrong, mismatch)] {
                let token = container_token("con1", letters);
                let got = world.send_unsigned(&format!("DELETE /con1/b?{query}&{token}"), "").await;
                assert_eq!(got.outcome(), outcome, "{query} {letters}");
            }
        }
    });
}
