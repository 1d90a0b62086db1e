//! Containers and lists.

use super::{World, run};

#[test]
fn a_container_lives_and_dies() {
    run(async {
        let world = World::new().await;
        let get = "GET /con1?restype=container";
        assert_eq!(world.send(get, "").await.outcome(), "404 ContainerNotFound");
        let made = world.send("PUT /con1?restype=container\nx-ms-meta-a: 1", "").await;
        assert_eq!(made.status, 201);
        assert!(made.header("etag").starts_with("\"0x8"));
        assert!(made.header("last-modified").ends_with(" GMT"));
        let again = world.send("PUT /con1?restype=container", "").await;
        assert_eq!(again.outcome(), "409 ContainerAlreadyExists");
        assert!(again.text().contains("<Code>ContainerAlreadyExists</Code>"));
        let found = world.send(get, "").await;
        assert_eq!((found.status, found.header("x-ms-meta-a")), (200, "1"));
        world.put("/con1/b", "x").await;
        assert_eq!(world.send("DELETE /con1?restype=container", "").await.outcome(), "202");
        assert_eq!(world.send(get, "").await.outcome(), "404 ContainerNotFound");
        world.container("con1").await;
        assert_eq!(world.send("GET /con1/b", "").await.outcome(), "404 BlobNotFound");
    });
}

#[test]
fn names_are_checked() {
    run(async {
        let world = World::new().await;
        for (name, outcome) in
            [("ab", "400 OutOfRangeInput"), ("Abc", "400 InvalidResourceName"), ("$root", "201")]
        {
            let made = world.send(&format!("PUT /{name}?restype=container"), "").await;
            assert_eq!(made.outcome(), outcome, "{name}");
        }
        world.put("/in-root.txt", "r").await;
        assert_eq!(world.send("GET /$root/in-root.txt", "").await.text(), "r");
    });
}

#[test]
fn a_head_that_fails_has_no_body() {
    run(async {
        let world = World::new().await;
        let got = world.send("HEAD /con1?restype=container", "").await;
        assert_eq!(got.outcome(), "404 ContainerNotFound");
        assert_eq!((got.text(), got.header("content-type")), ("", ""));
    });
}

#[test]
fn answers_carry_what_clients_compare() {
    run(async {
        let world = World::new().await;
        let got = world.send("GET /?comp=list\nx-ms-client-request-id: mine", "").await;
        assert_eq!(got.header("x-ms-client-request-id"), "mine");
        assert_eq!(got.header("x-ms-version"), "2021-12-02");
        assert_eq!(got.header("content-type"), "application/xml");
        for name in ["x-ms-request-id", "date", "server"] {
            assert_ne!(got.header(name), "", "{name}");
        }
        let future = world.send("GET /?comp=list\nx-ms-version: 2031-01-01", "").await;
        assert_eq!((future.status, future.header("x-ms-version")), (200, "2026-10-06"));
        let odd = world.send("GET /?comp=list\nx-ms-version: latest", "").await;
        assert_eq!(odd.outcome(), "400 InvalidHeaderValue");
    });
}

#[test]
fn lists_are_paged() {
    run(async {
        let world = World::new().await;
        world.container("lists").await;
        let names = ["a/1", "a/2", "b", "c/1", "d"];
        for name in names {
            world.put(&format!("/lists/{name}"), name).await;
        }
        for (query, expected) in [
            ("", "a/1 a/2 b c/1 d"),
            ("&prefix=a/", "a/1 a/2"),
            ("&delimiter=/", "a/ b c/ d"),
            ("&startFrom=b", "b c/1 d"),
            ("&startFrom=a/2&endBefore=d", "a/2 b c/1"),
            ("&prefix=none", ""),
        ] {
            for page in ["", "&maxresults=1", "&maxresults=2"] {
                let (mut found, mut marker) = (Vec::new(), String::new());
                loop {
                    let target = format!(
                        "GET /lists?restype=container&comp=list{query}{page}&marker={marker}"
                    );
                    let got = world.send(&target, "").await;
                    assert_eq!(got.status, 200, "{}", got.text());
                    found.extend(between(got.text(), "<Name>", "</Name>"));
                    match between(got.text(), "<NextMarker>", "</NextMarker>").pop() {
                        Some(next) => marker = next,
                        None => break,
                    }
                }
                assert_eq!(found.join(" "), expected, "{query}{page}");
            }
        }
        for (query, outcome) in [
            ("&maxresults=0", "400 OutOfRangeQueryParameterValue"),
            ("&maxresults=x", "400 InvalidQueryParameterValue"),
            ("&marker=x", "400 InvalidQueryParameterValue"),
        ] {
            let target = format!("GET /lists?restype=container&comp=list{query}");
            assert_eq!(world.send(&target, "").await.outcome(), outcome, "{query}");
        }
    });
}

fn between(text: &str, open: &str, close: &str) -> Vec<String> {
    let pieces = text.split(open).skip(1);
    pieces.filter_map(|piece| piece.split_once(close)).map(|(found, _)| found.to_owned()).collect()
}

#[test]
fn containers_are_listed_by_prefix() {
    run(async {
        let world = World::new().await;
        for name in ["in1", "in2", "out"] {
            world.container(name).await;
        }
        let got = world.send("GET /?comp=list&prefix=in&maxresults=1&include=", "").await;
        assert_eq!(between(got.text(), "<Name>", "</Name>"), ["in1"]);
        let marker = between(got.text(), "<NextMarker>", "</NextMarker>").pop().expect("more");
        let got = world.send(&format!("GET /?comp=list&prefix=in&marker={marker}"), "").await;
        assert_eq!(between(got.text(), "<Name>", "</Name>"), ["in2"]);
        assert!(got.text().contains("<NextMarker />"));
    });
}

#[test]
fn what_is_not_served_says_so() {
    run(async {
        let world = World::new().await;
        let got = world.send("PUT /con1?restype=container&comp=rename", "").await;
        assert_eq!(got.outcome(), "501 NotImplemented");
        assert!(got.text().contains("Rename Container"), "{}", got.text());
        assert_eq!(world.send("PATCH /con1/b", "").await.outcome(), "405 UnsupportedHttpVerb");
        let odd = world.send("GET /con1/b?comp=odd", "").await;
        assert_eq!(odd.outcome(), "400 InvalidQueryParameterValue");
    });
}
