//! Append blobs and page blobs.

use super::{World, noise, run};

#[test]
fn an_append_blob_grows_until_it_is_sealed() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        let made = world.send("PUT /con/log\nx-ms-blob-type: AppendBlob", "").await;
        assert_eq!(made.outcome(), "201");
        let full = world.send("PUT /con/odd\nx-ms-blob-type: AppendBlob", "x").await;
        assert_eq!(full.outcome(), "400 InvalidHeaderValue");
        let append = "PUT /con/log?comp=appendblock";
        let mut expected = Vec::new();
        for (n, piece) in [noise(10), noise(100_000), noise(7), noise(20_000), noise(20_000)]
            .into_iter()
            .enumerate()
        {
            let got = world.send(append, piece.clone()).await;
            let offset = expected.len().to_string();
            let shown = [
                got.header("x-ms-blob-append-offset"),
                got.header("x-ms-blob-committed-block-count"),
            ];
            assert_eq!((got.status, shown), (201, [offset.as_str(), (n + 1).to_string().as_str()]));
            expected.extend_from_slice(&piece);
        }
        assert_eq!(world.send("GET /con/log", "").await.body, expected);
        let part = world.send("GET /con/log\nRange: bytes=5-120009", "").await;
        assert_eq!(part.body, expected[5..120_010]);
        let head = world.send("HEAD /con/log", "").await;
        assert_eq!(head.header("x-ms-blob-type"), "AppendBlob");

        let taken = world.send("PUT /con/log?comp=snapshot", "").await;
        let at = taken.header("x-ms-snapshot").to_owned();
        world.send(append, "more").await;
        let past = world.send(&format!("GET /con/log?snapshot={at}"), "").await;
        assert_eq!(past.body, expected);
        expected.extend_from_slice(b"more");
        assert_eq!(world.send("GET /con/log", "").await.body, expected);

        let size = expected.len();
        for (condition, outcome) in [
            (
                format!("x-ms-blob-condition-appendpos: {}", size - 1),
                "412 AppendPositionConditionNotMet",
            ),
            (format!("x-ms-blob-condition-maxsize: {size}"), "412 MaxBlobSizeConditionNotMet"),
            (format!("x-ms-blob-condition-appendpos: {size}"), "201"),
        ] {
            let got = world.send(&format!("{append}\n{condition}"), "!").await;
            assert_eq!(got.outcome(), outcome, "{condition}");
        }
        assert_eq!(world.send("PUT /con/log?comp=seal", "").await.outcome(), "200");
        assert_eq!(world.send(append, "x").await.outcome(), "409 BlobIsSealed");
        let head = world.send("HEAD /con/log", "").await;
        assert_eq!(head.header("x-ms-blob-sealed"), "true");
        world.put("/con/block", "x").await;
        let wrong = world.send("PUT /con/block?comp=appendblock", "x").await;
        assert_eq!(wrong.outcome(), "409 InvalidBlobType");
        let wrong = world.send("PUT /con/log?comp=block&blockid=AAAA", "x").await;
        assert_eq!(wrong.outcome(), "409 InvalidBlobType");
        world.send("DELETE /con/log\nx-ms-delete-snapshots: include", "").await;
        assert_eq!(world.n_files().await, 0);
    });
}

#[test]
fn many_small_appends_are_few_pieces() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        world.send("PUT /con/log\nx-ms-blob-type: AppendBlob", "").await;
        for _ in 0..100 {
            assert_eq!(world.send("PUT /con/log?comp=appendblock", noise(1000)).await.status, 201);
        }
        let n_pieces = world.service.store.read(|view| {
            let key =
                view.container(crate::accounts::DEV_STORAGE_ACCOUNT, "con")?.expect("there").key;
            let blob = view.blob(key, "log")?.expect("there");
            let list = blob.pieces.expect("a list");
            Ok::<_, kiln_store::StoreError>(view.pieces(list, 0, blob.size_bytes, 999)?.len())
        });
        assert!(n_pieces.expect("read") <= 4);
        assert_eq!(world.send("GET /con/log", "").await.body.len(), 100_000);
    });
}

/// Writes bytes of `value` at pages `from` to `to`.
async fn write(world: &World, from: usize, to: usize, value: u8) {
    let range = format!("x-ms-range: bytes={}-{}", from * 512, to * 512 - 1);
    let head = format!("PUT /con/disk?comp=page\nx-ms-page-write: update\n{range}");
    let got = world.send(&head, vec![value; (to - from) * 512]).await;
    assert_eq!(got.outcome(), "201", "{}", got.text());
}

async fn clear(world: &World, from: usize, to: usize) {
    let range = format!("x-ms-range: bytes={}-{}", from * 512, to * 512 - 1);
    let head = format!("PUT /con/disk?comp=page\nx-ms-page-write: clear\n{range}");
    assert_eq!(world.send(&head, "").await.outcome(), "201");
}

/// The pages of a list of ranges, `0-2` or `!0-2` when cleared.
async fn ranges(world: &World, query: &str) -> String {
    let got = world.send(&format!("GET /con/disk?comp=pagelist{query}"), "").await;
    assert_eq!(got.outcome(), "200", "{}", got.text());
    let mut shown = Vec::new();
    for part in got.text().split("<Start>").skip(1) {
        let (start, rest) = part.split_once("</Start><End>").expect("an end");
        let (end, rest) = rest.split_once("</End>").expect("an end");
        let number = |text: &str| text.parse::<usize>().expect("a number");
        let sign = if rest.starts_with("</ClearRange>") { "!" } else { "" };
        shown.push(format!("{sign}{}-{}", number(start) / 512, (number(end) + 1) / 512));
    }
    shown.join(" ")
}

/// The same, asked for in pages of so many.
async fn ranges_by_pages(world: &World, query: &str, size: usize) -> String {
    let (mut shown, mut marker) = (Vec::new(), String::new());
    loop {
        let query = format!("{query}&maxresults={size}&marker={marker}");
        let page = ranges(world, &query).await;
        assert!(page.split_whitespace().count() <= size, "{page}");
        shown.push(page);
        let got = world.send(&format!("GET /con/disk?comp=pagelist{query}"), "").await;
        match got.text().split_once("<NextMarker>") {
            Some((_, rest)) => {
                rest.split_once("</NextMarker>").expect("closed").0.clone_into(&mut marker);
            }
            None => return shown.join(" "),
        }
    }
}

/// The same difference by the URL of the snapshot, and all ranges in pages.
async fn other_ways_to_ask(world: &World, at: &str, difference: &str) {
    let url = format!("http://127.0.0.1:10000/devstoreaccount1/con/disk?snapshot={at}");
    let by_url = format!("\nx-ms-previous-snapshot-url: {url}");
    assert_eq!(ranges(world, &by_url).await, difference);
    let odd = "GET /con/disk?comp=pagelist\nx-ms-previous-snapshot-url: http://h/con/disk";
    assert_eq!(world.send(odd, "").await.outcome(), "400 InvalidHeaderValue");
    assert_eq!(ranges_by_pages(world, &format!("&prevsnapshot={at}"), 1).await, difference);
    for size in [1, 2, 5] {
        let all = ranges(world, "").await;
        assert_eq!(ranges_by_pages(world, "", size).await, all, "{size}");
    }
    let odd = world.send("GET /con/disk?comp=pagelist&marker=behind", "").await;
    assert_eq!(odd.outcome(), "400 InvalidQueryParameterValue");
}

#[test]
fn pages_are_written_cleared_and_compared() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        let create = "PUT /con/disk\nx-ms-blob-type: PageBlob\nx-ms-blob-content-length:";
        let odd = world.send(&format!("{create} 1000"), "").await;
        assert_eq!(odd.outcome(), "400 InvalidHeaderValue");
        assert_eq!(world.send(&format!("{create} 512000"), "").await.outcome(), "201");
        assert_eq!(ranges(&world, "").await, "");
        assert_eq!(world.send("GET /con/disk", "").await.body, vec![0; 512_000]);
        write(&world, 10, 20, 1).await;
        write(&world, 20, 300, 2).await;
        write(&world, 15, 25, 3).await;
        clear(&world, 12, 14).await;
        assert_eq!(ranges(&world, "").await, "10-12 14-300");
        let mut expected = vec![0; 512_000];
        for (from, to, value) in [(10, 20, 1), (20, 300, 2), (15, 25, 3), (12, 14, 0)] {
            expected[from * 512..to * 512].fill(value);
        }
        assert_eq!(world.send("GET /con/disk", "").await.body, expected);
        let part = world.send("GET /con/disk\nRange: bytes=5000-20000", "").await;
        assert_eq!(part.body, expected[5000..=20000]);

        let taken = world.send("PUT /con/disk?comp=snapshot", "").await;
        let at = taken.header("x-ms-snapshot").to_owned();
        write(&world, 25, 26, 9).await;
        write(&world, 400, 401, 9).await;
        clear(&world, 10, 11).await;
        let difference = ranges(&world, &format!("&prevsnapshot={at}")).await;
        assert_eq!(difference, "!10-11 25-26 400-401");
        other_ways_to_ask(&world, &at, &difference).await;
        assert_eq!(ranges(&world, &format!("&snapshot={at}")).await, "10-12 14-300");
        let past = world.send(&format!("GET /con/disk?snapshot={at}"), "").await;
        assert_eq!(past.body, expected);

        let range = "x-ms-page-write: update\nx-ms-range: bytes";
        for (headers, size, outcome) in [
            (format!("{range}=0-510"), 511, "416 InvalidPageRange"),
            (format!("{range}=512000-512511"), 512, "416 InvalidPageRange"),
            (format!("{range}=0-1023"), 512, "400 InvalidHeaderValue"),
            (
                format!("{range}=0-511\nx-ms-if-sequence-number-lt: 0"),
                512,
                "412 SequenceNumberConditionNotMet",
            ),
        ] {
            let got =
                world.send(&format!("PUT /con/disk?comp=page\n{headers}"), vec![1; size]).await;
            assert_eq!(got.outcome(), outcome, "{headers}");
        }
        let properties = "PUT /con/disk?comp=properties";
        let number = "x-ms-sequence-number-action: update\nx-ms-blob-sequence-number: 7";
        let numbered = world.send(&format!("{properties}\n{number}"), "").await;
        assert_eq!((numbered.status, numbered.header("x-ms-blob-sequence-number")), (200, "7"));
        let size = "x-ms-blob-content-length: 5632";
        assert_eq!(world.send(&format!("{properties}\n{size}"), "").await.outcome(), "200");
        let head = world.send("HEAD /con/disk", "").await;
        let shown = [head.header("x-ms-blob-sequence-number"), head.header("content-length")];
        assert_eq!(shown[0], "7");
        assert_eq!(world.send("GET /con/disk", "").await.body.len(), 5632);
        assert_eq!(
            world.send(&format!("{properties}\nx-ms-blob-content-length: 512000"), "").await.status,
            200
        );
        assert_eq!(ranges(&world, "").await, "");
        world.send("DELETE /con/disk\nx-ms-delete-snapshots: include", "").await;
        assert_eq!(world.n_files().await, 0);
    });
}

#[test]
fn a_large_page_blob_is_read_in_windows() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        let head = "PUT /con/disk\nx-ms-blob-type: PageBlob\nx-ms-blob-content-length: 2097152";
        assert_eq!(world.send(head, "").await.outcome(), "201");
        let mut expected = vec![0; 2_097_152];
        for n in (0..1500).step_by(2) {
            let value = u8::try_from(n % 251).expect("below 251");
            write(&world, n, n + 1, value).await;
            expected[n * 512..(n + 1) * 512].fill(value);
        }
        assert_eq!(world.send("GET /con/disk", "").await.body, expected);
    });
}

#[test]
fn an_incremental_copy_takes_over_a_snapshot() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        let create = "PUT /con/disk\nx-ms-blob-type: PageBlob\nx-ms-blob-content-length: 8192";
        world.send(create, "").await;
        let mut copies = Vec::new();
        for value in [1, 2] {
            write(&world, 3, 4, value).await;
            let taken = world.send("PUT /con/disk?comp=snapshot", "").await;
            let at = taken.header("x-ms-snapshot");
            let source = format!("http://127.0.0.1:10000/devstoreaccount1/con/disk?snapshot={at}");
            let head = format!("PUT /con/copy?comp=incrementalcopy\nx-ms-copy-source: {source}");
            assert_eq!(world.send(&head, "").await.outcome(), "202");
            let got = world.send("HEAD /con/copy", "").await;
            assert_eq!(got.header("x-ms-incremental-copy"), "true");
            copies.push(got.header("x-ms-copy-destination-snapshot").to_owned());
        }
        for (at, value) in copies.iter().zip([1, 2]) {
            let got = world.send(&format!("GET /con/copy?snapshot={at}"), "").await;
            assert_eq!(got.body.get(3 * 512).copied(), Some(value));
        }
        let base = "http://127.0.0.1:10000/devstoreaccount1/con/disk";
        let head = format!("PUT /con/copy?comp=incrementalcopy\nx-ms-copy-source: {base}");
        assert_eq!(world.send(&head, "").await.outcome(), "400 InvalidHeaderValue");
    });
}
