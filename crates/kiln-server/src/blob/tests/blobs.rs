//! Block blobs: content, conditions, ranges, blocks.

use bytes::Bytes;

use super::{World, noise, run};

#[test]
fn content_of_every_size_comes_back() {
    run(async {
        let world = World::new().await;
        world.container("sizes").await;
        for size in [0, 1, 32 * 1024, 32 * 1024 + 1, 3_000_000] {
            let content = noise(size);
            world.put("/sizes/b", content.clone()).await;
            let got = world.send("GET /sizes/b", "").await;
            assert_eq!((got.status, got.body.len()), (200, size));
            assert_eq!(got.body, content);
            assert_ne!(got.header("content-md5"), "");
        }
        assert_eq!(world.n_files().await, 1, "only the last large one is kept");
        assert_eq!(world.send("DELETE /sizes/b", "").await.outcome(), "202");
        assert_eq!(world.n_files().await, 0);
    });
}

#[test]
fn ranges_of_inline_and_of_file_content() {
    run(async {
        let world = World::new().await;
        world.container("ranges").await;
        for size in [1000, 100_000] {
            let content = noise(size);
            world.put("/ranges/b", content.clone()).await;
            for (header, expected) in [
                ("x-ms-range: bytes=0-33554431", Some(0..size)),
                ("Range: bytes=10-19", Some(10..20)),
                ("x-ms-range: bytes=990-", Some(990..size)),
                ("x-ms-range: bytes=None-", None),
                ("Range: bytes=-5", None),
            ] {
                let got = world.send(&format!("GET /ranges/b\n{header}"), "").await;
                match expected {
                    Some(range) => {
                        let shown = format!("bytes {}-{}/{size}", range.start, range.end - 1);
                        assert_eq!(
                            (got.status, got.header("content-range")),
                            (206, shown.as_str())
                        );
                        assert_eq!(got.body, content[range]);
                    }
                    None => assert_eq!((got.status, got.body), (200, content.clone()), "{header}"),
                }
            }
            let beyond = world.send(&format!("GET /ranges/b\nRange: bytes={size}-"), "").await;
            assert_eq!(beyond.outcome(), "416 InvalidRange");
            assert_eq!(beyond.header("content-range"), format!("bytes */{size}"));
        }
        world.put("/ranges/empty", "").await;
        let got = world.send("GET /ranges/empty\nx-ms-range: bytes=0-33554431", "").await;
        assert_eq!(got.outcome(), "416 InvalidRange");
        assert_eq!(world.send("GET /ranges/empty", "").await.outcome(), "200");
    });
}

#[test]
fn a_range_may_ask_for_its_checksum() {
    run(async {
        let world = World::new().await;
        world.container("sums").await;
        world.put("/sums/b", noise(100)).await;
        let head = "GET /sums/b\nx-ms-range: bytes=0-9\nx-ms-range-get-content-md5: true";
        let got = world.send(head, "").await;
        assert_eq!(got.status, 206);
        assert_ne!(got.header("content-md5"), "");
        assert_ne!(got.header("content-md5"), got.header("x-ms-blob-content-md5"));
    });
}

#[test]
fn checksums_are_verified() {
    run(async {
        let world = World::new().await;
        world.container("md5").await;
        for (md5, outcome) in [
            ("XUFAKrxLKna5cZ2REBfFkg==", "201"),
            ("AAAAAAAAAAAAAAAAAAAAAA==", "400 Md5Mismatch"),
            ("nonsense", "400 InvalidMd5"),
        ] {
            let head = format!("PUT /md5/b\nx-ms-blob-type: BlockBlob\nContent-MD5: {md5}");
            assert_eq!(world.send(&head, "hello").await.outcome(), outcome);
        }
    });
}

#[test]
fn writes_keep_to_their_conditions() {
    run(async {
        let world = World::new().await;
        world.container("when").await;
        let put = |condition: &str| format!("PUT /when/b\nx-ms-blob-type: BlockBlob\n{condition}");
        let missing = world.send(&put("If-Match: *"), "0").await;
        assert_eq!(missing.outcome(), "412 ConditionNotMet");
        assert_eq!(world.send(&put("If-None-Match: *"), "1").await.outcome(), "201");
        let exists = world.send(&put("If-None-Match: *"), "2").await;
        assert_eq!(exists.outcome(), "409 BlobAlreadyExists");
        let etag = world.send("HEAD /when/b", "").await.header("etag").to_owned();
        let new = world.send(&put(&format!("If-Match: {etag}")), "3").await;
        assert_eq!(new.outcome(), "201");
        let stale = world.send(&put(&format!("If-Match: {etag}")), "4").await;
        assert_eq!(stale.outcome(), "412 ConditionNotMet");
        let etag = new.header("etag");
        let got = world.send(&format!("GET /when/b\nIf-None-Match: {etag}"), "").await;
        assert_eq!((got.status, got.text()), (304, ""));
        assert_eq!(world.send("GET /when/b", "").await.text(), "3");
        let gone = world.send("GET /when/none\nIf-Match: *", "").await;
        assert_eq!(gone.outcome(), "404 BlobNotFound");
    });
}

#[test]
fn of_many_creators_one_wins() {
    run(async {
        let world = World::new().await;
        world.container("race").await;
        let tries = (0..20).map(|n| {
            let head = "PUT /race/lock\nx-ms-blob-type: BlockBlob\nIf-None-Match: *";
            world.send(head, format!("{n}"))
        });
        let outcomes = futures_util::future::join_all(tries).await;
        assert_eq!(outcomes.iter().filter(|got| got.status == 201).count(), 1);
        assert_eq!(outcomes.iter().filter(|got| got.status == 409).count(), 19);
    });
}

fn list(ids: &str) -> String {
    let lines = ids.split_whitespace().map(|id| format!("<Latest>{id}</Latest>"));
    format!("<?xml version=\"1.0\"?><BlockList>{}</BlockList>", lines.collect::<String>())
}

#[test]
fn blocks_become_a_blob() {
    run(async {
        let world = World::new().await;
        world.container("blocks").await;
        let (small, large) = (noise(10), noise(200_000));
        for (id, content) in [("AAAA", &small), ("BBBB", &large), ("CCCC", &small)] {
            let head = format!("PUT /blocks/b?comp=block&blockid={id}");
            assert_eq!(world.send(&head, content.clone()).await.outcome(), "201");
        }
        assert_eq!(world.send("HEAD /blocks/b", "").await.outcome(), "404 BlobNotFound");
        let odd = world.send("PUT /blocks/b?comp=block&blockid=AA==BB", "x").await;
        assert_eq!(odd.outcome(), "400 InvalidQueryParameterValue");
        let long = world.send("PUT /blocks/b?comp=block&blockid=AAAABBBB", "x").await;
        assert_eq!(long.outcome(), "400 InvalidBlobOrBlock");
        let missing = world.send("PUT /blocks/b?comp=blocklist", list("AAAA DDDD")).await;
        assert_eq!(missing.outcome(), "400 InvalidBlockList");
        let head = "PUT /blocks/b?comp=blocklist\nx-ms-blob-content-type: text/x";
        assert_eq!(world.send(head, list("AAAA BBBB AAAA")).await.outcome(), "201");
        let got = world.send("GET /blocks/b", "").await;
        let expected: Bytes = [small.as_ref(), &large, &small].concat().into();
        assert_eq!((got.header("content-type"), &got.body), ("text/x", &expected));
        let part = world.send("GET /blocks/b\nRange: bytes=5-200014", "").await;
        assert_eq!(part.body, expected[5..200_015]);
        let blocks = world.send("GET /blocks/b?comp=blocklist&blocklisttype=all", "").await;
        assert_eq!(blocks.text().matches("<Name>").count(), 3, "{}", blocks.text());
        assert!(blocks.text().contains("<UncommittedBlocks></UncommittedBlocks>"));
        assert_eq!(world.n_files().await, 1);
        let head = "PUT /blocks/b?comp=blocklist";
        assert_eq!(world.send(head, list("")).await.outcome(), "201");
        assert_eq!(world.send("GET /blocks/b", "").await.text(), "");
        assert_eq!(world.n_files().await, 0);
    });
}

#[test]
fn limits_depend_on_the_version() {
    run(async {
        let world = World::new().await;
        world.container("limits").await;
        let body = noise(4 * 1024 * 1024 + 1);
        for (version, outcome) in [("2015-07-08", "413 RequestBodyTooLarge"), ("2016-05-31", "201")]
        {
            let head = format!("PUT /limits/b?comp=block&blockid=AAAA\nx-ms-version: {version}");
            assert_eq!(world.send(&head, body.clone()).await.outcome(), outcome, "{version}");
        }
    });
}

#[test]
fn metadata_and_properties_are_replaced_whole() {
    run(async {
        let world = World::new().await;
        world.container("props").await;
        let head = "PUT /props/b\nx-ms-blob-type: BlockBlob\nContent-Type: text/plain\n\
                    x-ms-blob-cache-control: no-cache\nx-ms-meta-one: 1";
        let first = world.send(head, "x").await.header("etag").to_owned();
        let got = world.send("HEAD /props/b", "").await;
        assert_eq!(got.header("content-type"), "text/plain");
        assert_eq!(got.header("x-ms-meta-one"), "1");
        world.send("PUT /props/b?comp=metadata\nx-ms-meta-two: 2", "").await;
        let head = "PUT /props/b?comp=properties\nx-ms-blob-content-language: de";
        assert_eq!(world.send(head, "").await.outcome(), "200");
        let got = world.send("HEAD /props/b", "").await;
        assert_eq!((got.header("x-ms-meta-one"), got.header("x-ms-meta-two")), ("", "2"));
        assert_eq!((got.header("cache-control"), got.header("content-language")), ("", "de"));
        assert_eq!(got.header("content-type"), "application/octet-stream");
        assert_ne!(got.header("etag"), first);
        let head = "PUT /props/b?comp=metadata\nx-ms-meta-bad-name: 2";
        assert_eq!(world.send(head, "").await.outcome(), "400 InvalidMetadata");
    });
}

#[test]
fn copies_share_content_and_outlive_it() {
    run(async {
        let world = World::new().await;
        world.container("copies").await;
        let content = noise(100_000);
        world.put("/copies/a%20(1)", content.clone()).await;
        let source = "http://127.0.0.1:10000/devstoreaccount1/copies/a%20(1)";
        let copied = world.send(&format!("PUT /copies/b\nx-ms-copy-source: {source}"), "").await;
        assert_eq!((copied.status, copied.header("x-ms-copy-status")), (202, "success"));
        assert_eq!(world.n_files().await, 1);
        world.send("DELETE /copies/a%20(1)", "").await;
        let got = world.send("GET /copies/b", "").await;
        assert_eq!((got.header("x-ms-copy-status"), &got.body), ("success", &content));
        let gone = world.send(&format!("PUT /copies/c\nx-ms-copy-source: {source}"), "").await;
        assert_eq!(gone.outcome(), "404 CannotVerifyCopySource");
        world.send("DELETE /copies/b", "").await;
        assert_eq!(world.n_files().await, 0);
    });
}

#[test]
fn a_reader_keeps_what_it_began_to_read() {
    run(async {
        let world = World::new().await;
        world.container("pins").await;
        let content = noise(3_000_000);
        world.put("/pins/b", content.clone()).await;
        let mut request = world.request("GET /pins/b?sv=2021-12-02", Bytes::new());
        let head = "PUT /pins?restype=container&comp=acl\nx-ms-blob-public-access: blob";
        assert_eq!(world.send(head, "").await.outcome(), "200");
        request.query.clear();
        let answer = world.service.call(request).await;
        world.put("/pins/b", "other").await;
        assert_eq!(world.n_files().await, 1, "kept for the reader");
        assert_eq!(super::read(answer).await.body, content);
        assert_eq!(world.n_files().await, 0);
    });
}
