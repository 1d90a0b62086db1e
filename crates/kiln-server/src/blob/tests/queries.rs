//! Queries of what a blob says.

use bytes::Bytes;

use super::{Got, World, run};

const NUMBERS: &str = "100,200,300,400\n150,250,350,450\n";

fn asking(query: &str, more: &str) -> String {
    format!(
        "<QueryRequest><QueryType>SQL</QueryType><Expression>{query}</Expression>{more}\
         </QueryRequest>"
    )
}

async fn ask(world: &World, head: &str, query: &str) -> Got {
    world.send(&format!("POST {head}"), asking(query, "")).await
}

/// The rows of an answer: what stands in its blocks of data, which are found by their mark.
fn rows(got: &Got) -> String {
    assert_eq!((got.status, got.header("Content-Type")), (200, "avro/binary"), "{got:?}");
    let body = &got.body;
    assert!(body.starts_with(b"Obj\x01"));
    let mark = &body[body.len() - 16..];
    let mut rows = Vec::new();
    let mut rest = &body[..];
    let mut kinds = Vec::new();
    while let Some(at) = rest.windows(16).position(|it| it == mark) {
        let block = &rest[..at];
        if !block.starts_with(b"Obj\x01") {
            let (count, block) = long(block);
            let (length, record) = long(block);
            assert_eq!((count, length), (1, i64::try_from(record.len()).expect("small")));
            let (kind, record) = long(record);
            kinds.push(kind);
            if kind == 0 {
                let (length, data) = long(record);
                assert_eq!(length, i64::try_from(data.len()).expect("small"));
                rows.extend_from_slice(data);
            }
        }
        rest = &rest[at + 16..];
    }
    // Progress, and the end.
    assert_eq!(kinds[kinds.len() - 2..], [2, 3]);
    String::from_utf8(rows).expect("text")
}

fn long(bytes: &[u8]) -> (i64, &[u8]) {
    let mut number = 0;
    for (idx, byte) in bytes.iter().enumerate() {
        number |= i64::from(byte & 0x7f) << (7 * idx);
        if byte & 0x80 == 0 {
            return (number >> 1, &bytes[idx + 1..]);
        }
    }
    panic!("no number");
}

#[test]
fn a_query_answers_with_rows_of_the_blob() {
    run(async {
        let world = World::new().await;
        world.send("PUT /con?restype=container", "").await;
        let put = "PUT /con/b\nx-ms-blob-type: BlockBlob\nx-ms-blob-content-type: text/csv\n\
                   x-ms-blob-content-encoding: odd\nx-ms-meta-a: b";
        world.send(put, NUMBERS).await;
        let got =
            ask(&world, "/con/b?comp=query", "SELECT _2 FROM BlobStorage WHERE _1 > 100").await;
        assert_eq!(rows(&got), "250\n");
        assert_eq!(got.header("x-ms-blob-type"), "BlockBlob");
        assert_eq!(got.header("x-ms-meta-a"), "b");
        assert_eq!(got.header("x-ms-lease-state"), "available");
        assert!(!got.header("ETag").is_empty());
        // What was said of the content is not so of the answer.
        assert_eq!(got.header("Content-Encoding"), "");
        let snapshot = world.send("PUT /con/b?comp=snapshot", "").await;
        let at = snapshot.header("x-ms-snapshot").to_owned();
        world.send(put, "").await;
        let head = format!("/con/b?comp=query&snapshot={at}");
        assert_eq!(rows(&ask(&world, &head, "SELECT * FROM BlobStorage").await), NUMBERS);
        assert_eq!(rows(&ask(&world, "/con/b?comp=query", "SELECT * FROM BlobStorage").await), "");
    });
}

#[test]
fn a_large_blob_is_queried_as_it_is_read() {
    run(async {
        let world = World::new().await;
        world.send("PUT /con?restype=container", "").await;
        let content: String = (0..600_000).map(|n| format!("{n},line {n}\n")).collect();
        assert!(content.len() > 8 * 1024 * 1024);
        world.send("PUT /con/b\nx-ms-blob-type: BlockBlob", Bytes::from(content.clone())).await;
        let got = ask(&world, "/con/b?comp=query", "SELECT * FROM BlobStorage").await;
        assert_eq!(rows(&got), content);
        let got = ask(&world, "/con/b?comp=query", "SELECT COUNT(*) FROM BlobStorage").await;
        assert_eq!(rows(&got), "600000\n");
        let got = ask(&world, "/con/b?comp=query", "SELECT _2 FROM BlobStorage LIMIT 1").await;
        assert_eq!(rows(&got), "line 0\n");
    });
}

#[test]
fn queries_are_refused_by_the_codes_of_the_service() {
    run(async {
        let world = World::new().await;
        world.send("PUT /con?restype=container", "").await;
        world.send("PUT /con/b\nx-ms-blob-type: BlockBlob\nx-ms-tags: a=1", "Id,Name\n1,a\n").await;
        world.send("PUT /con/log\nx-ms-blob-type: AppendBlob", "").await;
        let all = asking("SELECT * FROM BlobStorage", "");
        let named = |query: &str| {
            let form = "<InputSerialization><Format><Type>delimited</Type>\
                        <DelimitedTextConfiguration><HasHeaders>true</HasHeaders>\
                        </DelimitedTextConfiguration></Format></InputSerialization>";
            asking(query, form)
        };
        let arrow =
            "<OutputSerialization><Format><Type>arrow</Type></Format></OutputSerialization>";
        for (head, body, expected) in [
            ("/con/b", asking("SELECT", ""), "400 ErrorProcessingQueryExpression"),
            (
                "/con/b",
                asking("SELECT name FROM BlobStorage", ""),
                "400 ErrorProcessingQueryExpression",
            ),
            ("/con/b", named("SELECT name FROM BlobStorage"), "200"),
            (
                "/con/b",
                named("SELECT other FROM BlobStorage"),
                "400 ErrorProcessingQueryExpression",
            ),
            ("/con/b", asking("SELECT * FROM BlobStorage", arrow), "501 NotImplemented"),
            ("/con/b", "no document".to_owned(), "400 InvalidXmlDocument"),
            ("/con/b", "x".repeat(70_000), "413 RequestBodyTooLarge"),
            ("/con/none", all.clone(), "404 BlobNotFound"),
            ("/none/b", all.clone(), "404 ContainerNotFound"),
            ("/con/log", all.clone(), "409 InvalidBlobType"),
            (
                "/con/b\nIf-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT",
                all.clone(),
                "304 ConditionNotMet",
            ),
            ("/con/b\nIf-Match: odd", all.clone(), "412 ConditionNotMet"),
            ("/con/b\nx-ms-if-tags: \"a\" = '1'", all.clone(), "200"),
            ("/con/b\nx-ms-if-tags: \"a\" = '2'", all.clone(), "412 ConditionNotMet"),
            ("/con/b\nx-ms-lease-id: odd", all.clone(), "400 InvalidHeaderValue"),
            ("/con/b\nx-ms-version: 2019-07-07", all.clone(), "400 InvalidHeaderValue"),
        ] {
            let (path, headers) = head.split_once('\n').unwrap_or((head, "content-language: en"));
            let got = world.send(&format!("POST {path}?comp=query\n{headers}"), body).await;
            assert_eq!(got.outcome(), expected, "{head}: {got:?}");
        }
        let public = "PUT /open?restype=container\nx-ms-blob-public-access: container";
        world.send(public, "").await;
        world.send("PUT /open/b\nx-ms-blob-type: BlockBlob", NUMBERS).await;
        let got =
            world.send_unsigned("POST /open/b?comp=query\nx-ms-version: 2021-12-02", all).await;
        assert!(matches!(got.status, 401 | 403 | 404), "{got:?}");
    });
}
