//! Copies: within this Kiln, from elsewhere, awaited or beside.

use bytes::Bytes;
use kiln_domain::blob::content::CopyStatus;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use super::{World, noise, run};
use crate::accounts::DEV_STORAGE_ACCOUNT;

const HERE: &str = "http://127.0.0.1:10000/devstoreaccount1";

/// Another server: it has the bytes under `/file`, a part of them when a range is asked, and
/// leads from `/moved` to there. Answers with where it is.
async fn elsewhere(content: Bytes) -> (String, JoinSet<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_closed) => break,
                }
            }
            let head = String::from_utf8(head).expect("text").to_ascii_lowercase();
            let (status, body) = answer(&head, &content);
            let shown = format!(
                "HTTP/1.1 {status}\r\nContent-Type: text/from-elsewhere\r\nlocation: /file\r\n\
                 x-ms-meta-origin: elsewhere\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(shown.as_bytes()).await.ok();
            stream.write_all(&body).await.ok();
        }
    });
    (format!("http://{address}"), serving)
}

fn answer(head: &str, content: &Bytes) -> (&'static str, Bytes) {
    let path = head.split(' ').nth(1).expect("a path");
    let range = head.lines().find_map(|line| line.strip_prefix("range: bytes="));
    match (path, range) {
        ("/file", None) => ("200 OK", content.clone()),
        ("/file", Some(range)) => {
            let (start, end) = range.trim().split_once('-').expect("a range");
            let start: usize = start.parse().expect("a number");
            let end: usize = end.parse::<usize>().expect("a number") + 1;
            ("206 Partial Content", content.slice(start..end))
        }
        ("/moved", _) => ("302 Found", Bytes::new()),
        (_, _) => ("404 Not Found", Bytes::new()),
    }
}

async fn world_with(source: &str) -> World {
    let mut world = World::new().await;
    let host = source.trim_start_matches("http://").to_owned();
    world.service = world.service.clone().with_copy_hosts(&[host]);
    world.container("con").await;
    world
}

/// Waits until the copy to a blob is not under way any longer.
async fn settled(world: &World, name: &str) -> String {
    loop {
        let got = world.send(&format!("HEAD /con/{name}"), "").await;
        let status = got.header("x-ms-copy-status").to_owned();
        if status != CopyStatus::Pending.as_str() {
            return status;
        }
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_copy_from_elsewhere_goes_on_beside() {
    run(async {
        let content = noise(300_000);
        let (source, _serving) = elsewhere(content.clone()).await;
        let world = world_with(&source).await;
        let started = world.send(&format!("PUT /con/b\nx-ms-copy-source: {source}/file"), "").await;
        assert_eq!(
            (started.outcome().as_str(), started.header("x-ms-copy-status")),
            ("202", "pending")
        );
        assert_eq!(settled(&world, "b").await, "success");
        let got = world.send("GET /con/b", "").await;
        assert_eq!(got.body, content);
        assert_eq!(got.header("content-type"), "text/from-elsewhere");
        assert_eq!(got.header("x-ms-meta-origin"), "elsewhere");
        assert_eq!(got.header("x-ms-copy-id"), started.header("x-ms-copy-id"));
        let none = world.send(&format!("PUT /con/c\nx-ms-copy-source: {source}/none"), "").await;
        assert_eq!(none.outcome(), "404 CannotVerifyCopySource");
        let moved = world.send(&format!("PUT /con/c\nx-ms-copy-source: {source}/moved"), "").await;
        assert_eq!(moved.outcome(), "400 CannotVerifyCopySource");
        let abort = format!(
            "PUT /con/b?comp=copy&copyid={}\nx-ms-copy-action: abort",
            started.header("x-ms-copy-id")
        );
        assert_eq!(world.send(&abort, "").await.outcome(), "409 NoPendingCopyOperation");
    });
}

#[test]
fn a_copy_that_was_under_way_is_taken_up_again() {
    run(async {
        let content = noise(300_000);
        let (source, _serving) = elsewhere(content.clone()).await;
        let world = world_with(&source).await;
        // A server that ended between its answer and the content left this behind.
        world.send(&format!("PUT /con/b\nx-ms-copy-source: {source}/file"), "").await;
        settled(&world, "b").await;
        let op = |tx: &mut kiln_store::Tx<'_>| -> Result<(), kiln_store::StoreError> {
            let key = tx.container(DEV_STORAGE_ACCOUNT, "con")?.expect("there").key;
            let mut blob = tx.blob(key, "b")?.expect("there");
            let copy = blob.details.copy.as_mut().expect("a copy");
            copy.status = CopyStatus::Pending;
            let id = copy.id.clone();
            blob.size_bytes = 0;
            tx.put_pending_copy(key, "b", &id)?;
            tx.put_blob(key, &blob, &[])
        };
        world.service.store.write(op).await.expect("kept");
        assert_eq!(world.send("GET /con/b", "").await.body.len(), 0);
        let refused = world.send("PUT /con/b\nx-ms-blob-type: BlockBlob", "x").await;
        assert_eq!(refused.outcome(), "409 PendingCopyOperation");
        world.service.resume_copies().await.expect("resumed");
        assert_eq!(settled(&world, "b").await, "success");
        assert_eq!(world.send("GET /con/b", "").await.body, content);
    });
}

#[test]
fn only_allowed_places_are_asked() {
    run(async {
        let (source, _serving) = elsewhere(noise(10)).await;
        let world = World::new().await;
        world.container("con").await;
        for address in
            [source.as_str(), "http://169.254.169.254", "http://[::1]:9", "http://localhost:9"]
        {
            let head =
                format!("PUT /con/b\nx-ms-copy-source: {address}/file\nx-ms-requires-sync: true");
            let got = world.send(&head, "").await;
            assert_eq!(got.header("x-ms-error-code"), "CannotVerifyCopySource", "{address}");
            assert!(matches!(got.status, 403 | 404), "{address}");
        }
        let odd = world.send("PUT /con/b\nx-ms-copy-source: ftp://a/b", "").await;
        assert_eq!(odd.outcome(), "400 InvalidHeaderValue");
    });
}

#[test]
fn content_is_put_from_addresses() {
    run(async {
        let content = noise(300_000);
        let (source, _serving) = elsewhere(content.clone()).await;
        let world = world_with(&source).await;
        world
            .send(
                "PUT /con/a\nx-ms-blob-type: BlockBlob\nContent-Type: text/x\nx-ms-tags: k=v",
                content.clone(),
            )
            .await;
        let n_files = world.n_files().await;
        for (address, content_type) in
            [(format!("{source}/file"), "text/from-elsewhere"), (format!("{HERE}/con/a"), "text/x")]
        {
            for extra in ["x-ms-blob-type: BlockBlob", "x-ms-requires-sync: true"] {
                let head = format!(
                    "PUT /con/b\nx-ms-copy-source: {address}\n{extra}\nx-ms-copy-source-tag-option: COPY"
                );
                let got = world.send(&head, "").await;
                assert!(matches!(got.status, 201 | 202), "{}", got.text());
                let got = world.send("GET /con/b", "").await;
                assert_eq!((got.header("content-type"), &got.body), (content_type, &content));
            }
        }
        assert_eq!(world.n_files().await, n_files, "the last one shares its content");
        assert_eq!(world.send("HEAD /con/b", "").await.header("x-ms-tag-count"), "1");
        let put = format!("PUT /con/b\nx-ms-blob-type: BlockBlob\nx-ms-copy-source: {HERE}/con/a");
        let wrong = world
            .send(&format!("{put}\nx-ms-source-content-md5: AAAAAAAAAAAAAAAAAAAAAA=="), "")
            .await;
        assert_eq!(wrong.outcome(), "400 Md5Mismatch");
        let stale = world.send(&format!("{put}\nx-ms-source-if-match: \"0x1\""), "").await;
        assert_eq!(stale.outcome(), "412 SourceConditionNotMet");
        let none = world.send(&put.replace("con/a", "con/none"), "").await;
        assert_eq!(none.outcome(), "404 CannotVerifyCopySource");
    });
}

#[test]
fn blocks_appends_and_pages_come_from_addresses() {
    run(async {
        let content = noise(300_032);
        let (source, _serving) = elsewhere(content.clone()).await;
        let world = world_with(&source).await;
        world.put("/con/a", content.clone()).await;
        world.send("PUT /con/log\nx-ms-blob-type: AppendBlob", "").await;
        world
            .send("PUT /con/disk\nx-ms-blob-type: PageBlob\nx-ms-blob-content-length: 4096", "")
            .await;
        for address in [format!("{source}/file"), format!("{HERE}/con/a")] {
            for (id, range) in [("AAAA", "bytes=0-99999"), ("BBBB", "bytes=100000-300031")] {
                let head = format!(
                    "PUT /con/b?comp=block&blockid={id}\nx-ms-copy-source: {address}\nx-ms-source-range: {range}"
                );
                assert_eq!(world.send(&head, "").await.outcome(), "201");
            }
            let list = "<BlockList><Latest>AAAA</Latest><Latest>BBBB</Latest></BlockList>";
            assert_eq!(world.send("PUT /con/b?comp=blocklist", list).await.outcome(), "201");
            assert_eq!(world.send("GET /con/b", "").await.body, content);
            let part = world.send("GET /con/b\nRange: bytes=99990-100010", "").await;
            assert_eq!(part.body, content[99_990..=100_010]);

            let from = format!("x-ms-copy-source: {address}\nx-ms-source-range: bytes=512-1023");
            let head = format!("PUT /con/log?comp=appendblock\n{from}");
            assert_eq!(world.send(&head, "").await.outcome(), "201");
            let head = format!(
                "PUT /con/disk?comp=page\nx-ms-page-write: update\nx-ms-range: bytes=1024-1535\n{from}"
            );
            assert_eq!(world.send(&head, "").await.outcome(), "201");
            let got = world.send("GET /con/disk\nRange: bytes=1024-1535", "").await;
            assert_eq!(got.body, content[512..1024]);
        }
        assert_eq!(world.send("GET /con/log", "").await.body.len(), 1024);
        world.send("DELETE /con/a", "").await;
        assert_eq!(world.send("GET /con/b", "").await.body, content, "shared content stays");
        world.send("DELETE /con/b", "").await;
        assert_eq!(world.n_files().await, 0);
    });
}
