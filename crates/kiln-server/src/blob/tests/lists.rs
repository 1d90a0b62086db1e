//! Lists with all they can include, and searches by tags.

use kiln_domain::blob::settings::StorageSettings;
use kiln_domain::span::Span;
use tokio_util::sync::CancellationToken;

use super::editions::set;
use super::{World, run};
use crate::clock;

/// The blobs of a list, all pages of `size`: name, then a sign for what it is.
async fn blobs(world: &World, query: &str, size: usize) -> String {
    let (mut shown, mut marker) = (Vec::new(), String::new());
    loop {
        let head = format!(
            "GET /con?restype=container&comp=list{query}&maxresults={size}&marker={marker}"
        );
        let got = world.send(&head, "").await;
        assert_eq!(got.outcome(), "200", "{}", got.text());
        let text = got.text().to_owned();
        let mut n_on_page = 0;
        for part in text.replace("<BlobPrefix>", "<Blob>").split("<Blob>").skip(1) {
            let inside = |name: &str| {
                let (_, rest) = part.split_once(&format!("<{name}>"))?;
                rest.split_once(&format!("</{name}>")).map(|(value, _)| value)
            };
            let mut word = inside("Name").expect("a name").to_owned();
            for (name, sign) in [("Deleted", "-"), ("Snapshot", "@"), ("IsCurrentVersion", "*")] {
                if inside(name).is_some() {
                    word.push_str(sign);
                }
            }
            if inside("HasVersionsOnly").is_some() {
                word.push('!');
            }
            if inside("VersionId").is_some() && inside("IsCurrentVersion").is_none() {
                word.push('v');
            }
            shown.push(word);
            n_on_page += 1;
        }
        assert!(n_on_page <= size);
        match text.split_once("<NextMarker>") {
            Some((_, rest)) => {
                rest.split_once("</NextMarker>").expect("closed").0.clone_into(&mut marker);
            }
            None => return shown.join(" "),
        }
    }
}

#[test]
fn the_past_is_listed_when_asked_for() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        for name in ["a", "b", "d/x", "d/y"] {
            world.put(&format!("/con/{name}"), "1").await;
        }
        for _ in 0..3 {
            world.send("PUT /con/b?comp=snapshot", "").await;
        }
        world.send("PUT /con/d/x?comp=snapshot", "").await;
        world.send("PUT /con/c?comp=block&blockid=AAAA", "x").await;
        for size in [1, 2, 5000] {
            assert_eq!(blobs(&world, "", size).await, "a b d/x d/y");
            let past = blobs(&world, "&include=snapshots", size).await;
            assert_eq!(past, "a b@ b@ b@ b d/x@ d/x d/y");
            let all = blobs(&world, "&include=snapshots,uncommittedblobs", size).await;
            assert_eq!(all, "a b@ b@ b@ b c d/x@ d/x d/y");
            let folded = blobs(&world, "&include=snapshots&delimiter=/", size).await;
            assert_eq!(folded, "a b@ b@ b@ b d/");
        }
        let odd = world.send("GET /con?restype=container&comp=list&include=all", "").await;
        assert_eq!(odd.outcome(), "400 InvalidQueryParameterValue");
    });
}

#[test]
fn what_is_deleted_is_listed_when_asked_for() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        set(&world, StorageSettings { blobs_kept_days: Some(7), ..Default::default() }).await;
        for name in ["a", "b"] {
            world.put(&format!("/con/{name}"), "1").await;
        }
        world.put("/con/a", "2").await;
        world.send("DELETE /con/b", "").await;
        assert_eq!(blobs(&world, "", 9).await, "a");
        assert_eq!(blobs(&world, "&include=snapshots", 9).await, "a");
        assert_eq!(blobs(&world, "&include=deleted", 9).await, "a b-");
        assert_eq!(blobs(&world, "&include=deleted,snapshots", 1).await, "a-@ a b-");
        let head = "GET /con?restype=container&comp=list&include=deleted&prefix=b";
        let got = world.send(head, "").await;
        assert!(got.text().contains("<RemainingRetentionDays>6</RemainingRetentionDays>"));
    });
}

#[test]
fn versions_and_tags_are_listed_when_asked_for() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        set(&world, StorageSettings { keeps_versions: true, ..Default::default() }).await;
        for _ in 0..2 {
            world.send("PUT /con/a\nx-ms-blob-type: BlockBlob\nx-ms-tags: k=v", "1").await;
        }
        assert_eq!(blobs(&world, "", 9).await, "a*");
        assert_eq!(blobs(&world, "&include=versions", 1).await, "av a*");
        world.send("DELETE /con/a", "").await;
        assert_eq!(blobs(&world, "", 9).await, "");
        assert_eq!(blobs(&world, "&include=versions", 1).await, "av av");
        let got =
            world.send("GET /con?restype=container&comp=list&include=versions,tags", "").await;
        assert!(got.text().contains("<Tag><Key>k</Key><Value>v</Value></Tag>"), "{}", got.text());
    });
}

#[test]
fn names_of_which_only_versions_are_left_are_listed_when_asked_for() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        set(&world, StorageSettings { keeps_versions: true, ..Default::default() }).await;
        for name in ["a", "a", "b", "d/x", "d/y"] {
            world.put(&format!("/con/{name}"), "1").await;
        }
        world.send("PUT /con/b?comp=snapshot", "").await;
        for name in ["a", "d/x", "d/y"] {
            world.send(&format!("DELETE /con/{name}"), "").await;
        }
        for size in [1, 2, 5000] {
            assert_eq!(blobs(&world, "", size).await, "b*");
            let left = blobs(&world, "&include=deletedwithversions", size).await;
            assert_eq!(left, "a!v b* d/x!v d/y!v");
            let folded = blobs(&world, "&include=deletedwithversions&delimiter=/", size).await;
            assert_eq!(folded, "a!v b* d/");
            let both = blobs(&world, "&include=deletedwithversions,snapshots", size).await;
            assert_eq!(both, "a!v b@ b* d/x!v d/y!v");
            let all = blobs(&world, "&include=deletedwithversions,versions", size).await;
            assert_eq!(all, "av av b* d/xv d/yv");
        }
        // The last of them is shown.
        let versions =
            world.send("GET /con?restype=container&comp=list&include=versions", "").await;
        let last = versions.text().split("<VersionId>").nth(2).expect("a second version");
        let last = last.split_once('<').expect("closed").0;
        let head = "GET /con?restype=container&comp=list&include=deletedwithversions";
        assert!(world.send(head, "").await.text().contains(last));
        assert_eq!(world.send(&format!("DELETE /con/a?versionid={last}"), "").await.status, 202);
        assert!(world.send(head, "").await.text().contains("<Name>a</Name>"));
    });
}

#[test]
fn containers_of_the_service_are_listed_when_asked_for() {
    run(async {
        let world = World::new().await;
        for name in ["$logs", "$root", "$blobchangefeed", "con"] {
            world.container(name).await;
        }
        let list = async |query: &str| {
            let (mut shown, mut marker) = (Vec::new(), String::new());
            loop {
                let head = format!("GET /?comp=list&maxresults=1{query}&marker={marker}");
                let got = world.send(&head, "").await;
                let rest = got.text().split_once("<Container><Name>").map(|(_, rest)| rest);
                shown.extend(rest.and_then(|it| it.split('<').next()).map(str::to_owned));
                match got.text().split_once("<NextMarker>") {
                    Some((_, rest)) => {
                        rest.split_once('<').expect("closed").0.clone_into(&mut marker);
                    }
                    None => return shown.join(" "),
                }
            }
        };
        assert_eq!(list("").await, "$root con");
        assert_eq!(list("&include=system").await, "$blobchangefeed $logs $root con");
    });
}

#[test]
fn a_deleted_container_comes_back_until_its_time_is_over() {
    run(async {
        let world = World::new().await;
        set(&world, StorageSettings { containers_kept_days: Some(7), ..Default::default() }).await;
        world.container("con").await;
        world.put("/con/b", "1").await;
        world.send("DELETE /con?restype=container", "").await;
        assert_eq!(world.send("GET /con/b", "").await.outcome(), "404 ContainerNotFound");
        let list = world.send("GET /?comp=list", "").await;
        assert!(!list.text().contains("<Name>con</Name>"));
        let list = world.send("GET /?comp=list&include=deleted", "").await;
        let (_, rest) = list.text().split_once("<Version>").expect("a version");
        let version = rest.split_once("</Version>").expect("closed").0.to_owned();
        let restore = |name: &str, version: &str| {
            format!(
                "PUT /{name}?restype=container&comp=undelete\nx-ms-deleted-container-name: con\nx-ms-deleted-container-version: {version}"
            )
        };
        let odd = world.send(&restore("back", "00000000000000FF"), "").await;
        assert_eq!(odd.outcome(), "404 ContainerNotFound");
        world.container("taken").await;
        let taken = world.send(&restore("taken", &version), "").await;
        assert_eq!(taken.outcome(), "409 ContainerAlreadyExists");
        assert_eq!(world.send(&restore("back", &version), "").await.outcome(), "201");
        assert_eq!(world.send("GET /back/b", "").await.text(), "1");
        world.send("DELETE /back?restype=container", "").await;
        let later = clock::now().plus(Span::days(8));
        world.service.reclaim(later, &CancellationToken::new()).await.expect("reclaimed");
        let list = world.send("GET /?comp=list&include=deleted", "").await;
        assert!(!list.text().contains("<Name>back</Name>"), "{}", list.text());
    });
}

/// What is found, all pages of `size`: container and name.
async fn found(world: &World, place: &str, filter: &str, size: usize) -> String {
    let (mut shown, mut marker) = (Vec::new(), String::new());
    let filter: String = form_urlencoded::byte_serialize(filter.as_bytes()).collect();
    loop {
        let head =
            format!("GET {place}comp=blobs&where={filter}&maxresults={size}&marker={marker}");
        let got = world.send(&head, "").await;
        assert_eq!(got.outcome(), "200", "{}", got.text());
        for part in got.text().split("<Blob><Name>").skip(1) {
            let (name, rest) = part.split_once("</Name><ContainerName>").expect("a container");
            shown.push(format!("{}/{name}", rest.split_once('<').expect("closed").0));
        }
        match got.text().split_once("<NextMarker>") {
            Some((_, rest)) => {
                rest.split_once("</NextMarker>").expect("closed").0.clone_into(&mut marker);
            }
            None => return shown.join(" "),
        }
    }
}

#[test]
fn blobs_are_found_by_tags_page_by_page() {
    run(async {
        let world = World::new().await;
        for container in ["con", "dos"] {
            world.container(container).await;
            for (name, tags) in [("x", "a=1&b=2"), ("y", "a=2&b=2"), ("z", "a=3"), ("w", "")] {
                let head = format!(
                    "PUT /{container}/{name}\nx-ms-blob-type: BlockBlob\nx-ms-tags: {tags}"
                );
                assert_eq!(world.send(&head, "1").await.status, 201);
            }
        }
        for size in [1, 3, 5000] {
            let check = async |place: &str, filter: &str, expected: &str| {
                assert_eq!(found(&world, place, filter, size).await, expected, "{filter}");
            };
            check("/?", "b = '2'", "con/x con/y dos/x dos/y").await;
            check("/?", "a >= '2' AND a < '3'", "con/y dos/y").await;
            check("/?", "a > '1'", "con/y con/z dos/y dos/z").await;
            check("/?", "a > '1' AND b = '2' AND @container = 'dos'", "dos/y").await;
            check("/con?restype=container&", "a = '1'", "con/x").await;
            check("/?", "c = '1'", "").await;
        }
        world.send("PUT /con/x?comp=tags", "<Tags><TagSet></TagSet></Tags>").await;
        assert_eq!(found(&world, "/con?restype=container&", "a = '1'", 9).await, "");
        let odd = world.send("GET /?comp=blobs&where=nothing", "").await;
        assert_eq!(odd.outcome(), "400 InvalidQueryParameterValue");
    });
}

#[test]
fn a_condition_may_ask_for_tags() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        world.send("PUT /con/b\nx-ms-blob-type: BlockBlob\nx-ms-tags: state=new", "1").await;
        for (head, filter, outcome) in [
            ("GET /con/b", "state = 'new'", "200"),
            ("GET /con/b", "state <> 'new'", "412 ConditionNotMet"),
            ("DELETE /con/b", "state = 'old' OR other = 'x'", "412 ConditionNotMet"),
            ("DELETE /con/b", "state", "400 InvalidHeaderValue"),
            ("DELETE /con/b", "state = 'old' OR state = 'new'", "202"),
        ] {
            let got = world.send(&format!("{head}\nx-ms-if-tags: {filter}"), "").await;
            assert_eq!(got.outcome(), outcome, "{head} {filter}");
        }
    });
}
