//! Checksums of content, and content in frames.

use bytes::Bytes;
use kiln_wire::blob::checksum::{Crc64, crc64_text};
use kiln_wire::blob::headers::md5_text;
use kiln_wire::blob::structured::{Decoder, Encoder, FORM};

use super::{Got, World, noise, run};

fn crc(bytes: &[u8]) -> String {
    crc64_text(Crc64::of(bytes))
}

fn md5(bytes: &[u8]) -> String {
    md5_text(fast_md5::digest(bytes))
}

fn framed(content: &Bytes) -> Bytes {
    let mut encoder = Encoder::new(u64::try_from(content.len()).expect("small"));
    let mut out = vec![encoder.begin()];
    encoder.push(content.clone(), &mut out);
    out.push(encoder.end());
    out.concat().into()
}

fn unframed(got: &Got) -> Vec<u8> {
    assert_eq!(got.header("x-ms-structured-body"), FORM);
    let length = got.header("x-ms-structured-content-length").parse().expect("a length");
    let mut decoder = Decoder::new(u64::try_from(got.body.len()).ok(), length);
    let mut content = Vec::new();
    decoder.push(got.body.clone(), &mut content).expect("a frame");
    decoder.finish().expect("whole");
    content.concat()
}

#[test]
fn content_is_what_its_checksums_say() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        for content in [Bytes::from("small"), noise(100_000)] {
            let other = crc(b"other");
            for path in ["/con/b", "/con/b?comp=block&blockid=QQ==", "/con/b?comp=blocklist"] {
                let body = match path {
                    "/con/b?comp=blocklist" => Bytes::from("<BlockList></BlockList>"),
                    _ => content.clone(),
                };
                let send = |headers: String| {
                    let head = format!("PUT {path}\nx-ms-blob-type: BlockBlob\n{headers}");
                    let (world, body) = (&world, body.clone());
                    async move { world.send(&head, body).await }
                };
                let (crc, md5) = (crc(&body), md5(&body));
                let put = send(format!("x-ms-content-crc64: {crc}")).await;
                assert_eq!((put.status, put.header("x-ms-content-crc64")), (201, &*crc), "{path}");
                let wrong = send(format!("x-ms-content-crc64: {other}")).await;
                assert_eq!(wrong.outcome(), "400 Crc64Mismatch", "{path}");
                let wrong = send(format!("Content-MD5: {}", self::md5(b"other"))).await;
                assert_eq!(wrong.outcome(), "400 Md5Mismatch", "{path}");
                let both = send(format!("x-ms-content-crc64: {crc}\nContent-MD5: {md5}")).await;
                assert_eq!(both.outcome(), "400 InvalidInput", "{path}");
                let odd = send("x-ms-content-crc64: AAAA".to_owned()).await;
                assert_eq!(odd.outcome(), "400 InvalidHeaderValue", "{path}");
                let odd = send("Content-MD5: AAAA".to_owned()).await;
                assert_eq!(odd.outcome(), "400 InvalidMd5", "{path}");
                let put = send(format!("Content-MD5: {md5}")).await;
                assert_eq!((put.status, put.header("Content-MD5")), (201, &*md5), "{path}");
            }
        }
    });
}

#[test]
fn writes_are_answered_with_a_checksum_their_version_knows() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        for (version, has_crc) in [("2018-11-09", false), ("2019-02-02", true)] {
            let head = format!("PUT /con/b?comp=block&blockid=QQ==\nx-ms-version: {version}");
            let got = world.send(&head, "content").await;
            let (crc, md5) = (crc(b"content"), md5(b"content"));
            let expected = if has_crc { (&*crc, "") } else { ("", &*md5) };
            let told = (got.header("x-ms-content-crc64"), got.header("Content-MD5"));
            assert_eq!((told, got.status), (expected, 201), "{version}");
        }
    });
}

#[test]
fn ranges_have_checksums_of_their_own() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        let content = noise(100_000);
        world.put("/con/b", content.clone()).await;
        let part = &content[10..5010];
        let (by_crc, by_md5) =
            ("x-ms-range-get-content-crc64: true", "x-ms-range-get-content-md5: true");
        let get = "GET /con/b\nx-ms-range: bytes=10-5009";
        let got = world.send(&format!("{get}\n{by_crc}"), "").await;
        assert_eq!((got.status, got.header("x-ms-content-crc64")), (206, &*crc(part)));
        assert_eq!(got.body, part);
        let got = world.send(&format!("{get}\n{by_md5}"), "").await;
        assert_eq!((got.status, got.header("Content-MD5")), (206, &*md5(part)));
        for head in [
            format!("{get}\n{by_crc}\n{by_md5}"),
            format!("GET /con/b\n{by_crc}"),
            format!("GET /con/b\n{by_md5}"),
        ] {
            let got = world.send(&head, "").await;
            assert_eq!(got.outcome(), "400 InvalidHeaderValue", "{head}");
        }
    });
}

#[test]
fn content_comes_and_goes_in_frames() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        for size in [0, 1, 10_000, 9_000_000] {
            let content = noise(size);
            let head = format!(
                "PUT /con/b\nx-ms-blob-type: BlockBlob\nx-ms-structured-body: {FORM}\n\
                 x-ms-structured-content-length: {size}"
            );
            let put = world.send(&head, framed(&content)).await;
            assert_eq!((put.status, put.header("x-ms-structured-body")), (201, FORM), "{size}");
            assert_eq!(put.header("Content-MD5"), md5(&content), "{size}");
            assert_eq!(world.send("GET /con/b", "").await.body, content, "{size}");
            let got = world.send(&format!("GET /con/b\nx-ms-structured-body: {FORM}"), "").await;
            assert_eq!((got.status, unframed(&got)), (200, content.to_vec()), "{size}");
        }
        let head = format!("GET /con/b\nx-ms-structured-body: {FORM}\nx-ms-range: bytes=5-4999999");
        let got = world.send(&head, "").await;
        assert_eq!(got.header("Content-Range"), "bytes 5-4999999/9000000");
        assert_eq!((got.status, unframed(&got)), (206, noise(9_000_000)[5..5_000_000].to_vec()));
    });
}

#[test]
fn frames_that_are_none_are_refused() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        let content = noise(100);
        let head = |form: &str, length: &str| {
            format!(
                "PUT /con/b?comp=block&blockid=QQ==\nx-ms-structured-body: {form}\n\
                 x-ms-structured-content-length: {length}"
            )
        };
        let body = framed(&content);
        let mut wrong = body.to_vec();
        wrong[30] ^= 1;
        for (form, length, body, outcome) in [
            (FORM, "100", body.clone(), "201"),
            (FORM, "101", body.clone(), "400 InvalidInput"),
            (FORM, "x", body.clone(), "400 InvalidHeaderValue"),
            (FORM, "", body.clone(), "400 MissingRequiredHeader"),
            ("XSM/2.0", "100", body.clone(), "400 InvalidHeaderValue"),
            (FORM, "100", body.slice(..body.len() - 1), "400 InvalidInput"),
            (FORM, "100", content.clone(), "400 InvalidInput"),
            (FORM, "100", wrong.into(), "400 Crc64Mismatch"),
        ] {
            let got = world.send(&head(form, length), body).await;
            assert_eq!(got.outcome(), outcome, "{form} {length}");
        }
    });
}
