//! Keys that clients bring.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sha2::Digest;

use super::{World, noise, run};

/// The headers that bring a key, and its hash.
fn key(byte: u8) -> (String, String) {
    let key = [byte; 32];
    let hash = STANDARD.encode(sha2::Sha256::digest(key));
    let key = STANDARD.encode(key);
    let headers = format!(
        "x-ms-encryption-key: {key}\nx-ms-encryption-key-sha256: {hash}\n\
         x-ms-encryption-algorithm: AES256"
    );
    (headers, hash)
}

const NEEDED: &str = "409 BlobUsesCustomerSpecifiedEncryption";
const DIFFERS: &str = "409 BlobCustomerSpecifiedEncryptionMismatch";

#[test]
fn what_adds_to_a_blob_with_a_key_brings_it() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        let ((own, _), (other, _)) = (key(1), key(2));
        for head in ["x-ms-blob-type: AppendBlob", PAGES] {
            let name = if head == PAGES { "page" } else { "append" };
            let made = world.send(&format!("PUT /con/{name}\n{head}\n{own}"), "").await;
            assert_eq!(made.outcome(), "201");
        }
        let page = noise(512);
        for (head, body, done) in [
            ("PUT /con/append?comp=appendblock", &page, "201"),
            (
                "PUT /con/page?comp=page\nx-ms-page-write: update\nx-ms-range: bytes=0-511",
                &page,
                "201",
            ),
            ("PUT /con/append?comp=snapshot", &Bytes::new(), "201"),
        ] {
            assert_eq!(world.send(head, body.clone()).await.outcome(), NEEDED, "{head}");
            let got = world.send(&format!("{head}\n{other}"), body.clone()).await;
            assert_eq!(got.outcome(), DIFFERS, "{head}");
            let got = world.send(&format!("{head}\n{own}"), body.clone()).await;
            assert_eq!(got.outcome(), done, "{head}");
        }
        for name in ["append", "page"] {
            let got = world.send(&format!("GET /con/{name}\n{own}"), "").await;
            assert_eq!(got.body, page, "{name}");
        }
    });
}

const PAGES: &str = "x-ms-blob-type: PageBlob\nx-ms-blob-content-length: 512";

#[test]
fn blocks_are_listed_with_the_key_they_were_staged_with() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        let ((own, _), (other, _)) = (key(1), key(2));
        let block = |id: &str| format!("PUT /con/b?comp=block&blockid={id}");
        let made = world.send(&format!("{}\n{own}", block("QQ==")), "one").await;
        assert_eq!(made.outcome(), "201");
        assert_eq!(world.send(&block("Qg=="), "two").await.outcome(), NEEDED);
        let got = world.send(&format!("{}\n{other}", block("Qg==")), "two").await;
        assert_eq!(got.outcome(), DIFFERS);
        let world = world.reopen().await;
        let list = "PUT /con/b?comp=blocklist";
        let body = "<BlockList><Latest>QQ==</Latest></BlockList>";
        assert_eq!(world.send(list, body).await.outcome(), NEEDED);
        assert_eq!(world.send(&format!("{list}\n{other}"), body).await.outcome(), DIFFERS);
        assert_eq!(world.send(&format!("{list}\n{own}"), body).await.outcome(), "201");
        // What the blob is made of asks for its key; a list without it makes another blob.
        assert_eq!(world.send(list, body).await.outcome(), NEEDED);
        assert_eq!(world.send(&block("Qg=="), "two").await.outcome(), "201");
        let body = "<BlockList><Latest>Qg==</Latest></BlockList>";
        assert_eq!(world.send(list, body).await.outcome(), "201");
        assert_eq!(world.send("GET /con/b", "").await.text(), "two");
    });
}

#[test]
fn the_source_of_a_copy_is_read_with_its_key() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        let ((own, hash), (other, _)) = (key(1), key(2));
        let put = format!("PUT /con/from\nx-ms-blob-type: BlockBlob\n{own}");
        assert_eq!(world.send(&put, "content").await.outcome(), "201");
        let source = "x-ms-copy-source: http://127.0.0.1:10000/devstoreaccount1/con/from";
        let of_source =
            |headers: &str| headers.replace("x-ms-encryption", "x-ms-source-encryption");
        for (head, done) in [
            ("PUT /con/started", "202"),
            ("PUT /con/awaited\nx-ms-requires-sync: true", "202"),
            ("PUT /con/put\nx-ms-blob-type: BlockBlob", "201"),
            ("PUT /con/block?comp=block&blockid=QQ==", "201"),
        ] {
            let ask = format!("{head}\n{source}");
            assert_eq!(world.send(&ask, "").await.outcome(), NEEDED, "{head}");
            // The key of the target is another matter.
            let got = world.send(&format!("{ask}\n{own}"), "").await;
            assert_eq!(got.outcome(), NEEDED, "{head}");
            let got = world.send(&format!("{ask}\n{}", of_source(&other)), "").await;
            assert_eq!(got.outcome(), DIFFERS, "{head}");
            let got = world.send(&format!("{ask}\n{}\n{own}", of_source(&own)), "").await;
            assert_eq!(got.outcome(), done, "{head}");
        }
        for name in ["started", "awaited", "put"] {
            let got = world.send(&format!("GET /con/{name}\n{own}"), "").await;
            assert_eq!((got.text(), got.header("x-ms-encryption-key-sha256")), ("content", &*hash));
        }
    });
}

#[test]
fn a_blob_with_a_key_of_its_own_is_read_with_it() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        let ((own, hash), (other, _)) = (key(1), key(2));
        let put = format!("PUT /con/b\nx-ms-blob-type: BlockBlob\n{own}");
        let made = world.send(&put, "content").await;
        assert_eq!((made.status, made.header("x-ms-encryption-key-sha256")), (201, &*hash));
        for method in ["GET", "HEAD"] {
            let got = world.send(&format!("{method} /con/b\n{own}"), "").await;
            assert_eq!((got.status, got.header("x-ms-encryption-key-sha256")), (200, &*hash));
            let got = world.send(&format!("{method} /con/b\n{other}"), "").await;
            assert_eq!(got.outcome(), "409 BlobCustomerSpecifiedEncryptionMismatch", "{method}");
            let got = world.send(&format!("{method} /con/b"), "").await;
            assert_eq!(got.outcome(), "409 BlobUsesCustomerSpecifiedEncryption", "{method}");
        }
        let meta = "PUT /con/b?comp=metadata";
        let got = world.send(meta, "").await;
        assert_eq!(got.outcome(), "409 BlobUsesCustomerSpecifiedEncryption");
        assert_eq!(world.send(&format!("{meta}\n{own}"), "").await.outcome(), "200");
        world.put("/con/plain", "content").await;
        let got = world.send(&format!("GET /con/plain\n{own}"), "").await;
        assert_eq!(got.outcome(), "409 BlobDoesNotUseCustomerSpecifiedEncryption");
        let scope = "x-ms-encryption-scope: s";
        let put = format!("PUT /con/scoped\nx-ms-blob-type: BlockBlob\n{scope}");
        let made = world.send(&put, "content").await;
        assert_eq!((made.status, made.header("x-ms-encryption-scope")), (201, "s"));
        let got = world.send("GET /con/scoped", "").await;
        assert_eq!((got.text(), got.header("x-ms-encryption-scope")), ("content", "s"));
    });
}
