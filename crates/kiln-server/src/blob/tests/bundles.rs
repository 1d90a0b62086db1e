//! Batches: many requests in one.

use kiln_wire::auth::sas::{Terms, container_sas};
use kiln_wire::auth::{SignedRequest, shared_key_blob};

use super::{DEV_STORAGE_ACCOUNT, DEV_STORAGE_KEY, Got, World, run};
use crate::clock;

const TYPE: &str = "Content-Type: multipart/mixed; boundary=batch_x";

/// A part that is signed with `key`.
fn part(id: usize, request: &str, key: &str) -> String {
    let (line, extra) = request.split_once('\n').unwrap_or((request, ""));
    let (method, target) = line.split_once(' ').expect("verb and target");
    let target = format!("/{DEV_STORAGE_ACCOUNT}{target}");
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query: Vec<(String, String)> =
        form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let mut headers = vec![("x-ms-date".to_owned(), clock::now().to_rfc1123())];
    headers.extend(extra.lines().map(|line| {
        let (name, value) = line.split_once(": ").expect("name: value");
        (name.to_owned(), value.to_owned())
    }));
    let signed = SignedRequest { method, raw_path: path, query: &query, headers: &headers };
    let authorization = shared_key_blob::sign(&signed, DEV_STORAGE_ACCOUNT, key).expect("signed");
    headers.push(("Authorization".to_owned(), authorization));
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    part_of(id, &format!("{method} {target} HTTP/1.1\r\n{headers}"))
}

fn part_of(id: usize, head: &str) -> String {
    format!(
        "--batch_x\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\
         Content-ID: {id}\r\n\r\n{head}\r\n"
    )
}

async fn send(world: &World, target: &str, parts: &[String]) -> Got {
    let body = format!("{}--batch_x--\r\n", parts.concat());
    world.send(&format!("POST {target}\n{TYPE}"), body).await
}

/// Number, status and code of each answer.
fn answers(got: &Got) -> Vec<String> {
    assert_eq!(got.status, 202, "{}", got.text());
    let boundary = got.header("Content-Type").rsplit_once('=').expect("a boundary").1;
    let text = got.text();
    assert!(text.ends_with(&format!("\r\n--{boundary}--\r\n")), "{text}");
    let delimiter = format!("--{boundary}\r\n");
    let parts = text.split(&delimiter).skip(1);
    let found = parts.map(|part| {
        let value = |name: &str| {
            let line = part.lines().find_map(|line| line.strip_prefix(name));
            line.map_or("", str::trim).to_owned()
        };
        let status = value("HTTP/1.1 ");
        let status = status.split(' ').next().expect("a status").to_owned();
        let told = format!("{} {status} {}", value("Content-ID:"), value("x-ms-error-code:"));
        told.trim().to_owned()
    });
    found.collect()
}

#[test]
fn many_blobs_are_deleted_at_once() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        for name in ["a", "b", "c d"] {
            world.put(&format!("/con/{}", name.replace(' ', "%20")), "content").await;
        }
        let parts = [
            part(0, "DELETE /con/a", DEV_STORAGE_KEY),
            part(1, "DELETE /con/none", DEV_STORAGE_KEY),
            part(2, "DELETE /con/c%20d", DEV_STORAGE_KEY),
            part(3, "DELETE /con/b", "d3Jvbmc="),
            part(4, "DELETE /none/b", DEV_STORAGE_KEY),
        ];
        let got = send(&world, "/?comp=batch", &parts).await;
        let expected = [
            "0 202",
            "1 404 BlobNotFound",
            "2 202",
            "3 403 AuthenticationFailed",
            "4 404 ContainerNotFound",
        ];
        assert_eq!(answers(&got), expected);
        assert_eq!(world.send("GET /con/a", "").await.status, 404);
        assert_eq!(world.send("GET /con/b", "").await.status, 200);
    });
}

#[test]
fn tiers_of_many_blobs_are_set_at_once() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        world.put("/con/a", "content").await;
        world.put("/con/b", "content").await;
        let parts: Vec<String> = ["a", "b"]
            .iter()
            .enumerate()
            .map(|(id, name)| {
                let request = format!("PUT /con/{name}?comp=tier\nx-ms-access-tier: Cool");
                part(id, &request, DEV_STORAGE_KEY)
            })
            .collect();
        let got = send(&world, "/con?restype=container&comp=batch", &parts).await;
        assert_eq!(answers(&got), ["0 200", "1 200"]);
        let got = world.send("HEAD /con/b", "").await;
        assert_eq!(got.header("x-ms-access-tier"), "Cool");
    });
}

#[test]
fn each_part_has_rights_of_its_own() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        world.put("/con/a", "content").await;
        world.put("/con/b", "content").await;
        let terms =
            |permissions| Terms { permissions, expiry: "2099-01-01T00:00:00Z", ..Terms::default() };
        let token = |permissions| {
            container_sas(DEV_STORAGE_ACCOUNT, DEV_STORAGE_KEY, "con", terms(permissions))
                .expect("made")
        };
        let (read, delete) = (token("r"), token("d"));
        let line = |blob: &str, token: &str| {
            format!("DELETE /{DEV_STORAGE_ACCOUNT}/con/{blob}?{token} HTTP/1.1\r\n")
        };
        let body = format!(
            "{}{}{}--batch_x--\r\n",
            part_of(0, &line("a", &read)),
            part_of(1, &line("b", &delete)),
            part_of(2, &format!("DELETE /{DEV_STORAGE_ACCOUNT}/con/a HTTP/1.1\r\n")),
        );
        let head = format!("POST /con?restype=container&comp=batch&{read}\n{TYPE}");
        let got = world.send_unsigned(&head, body).await;
        let expected =
            ["0 403 AuthorizationPermissionMismatch", "1 202", "2 401 NoAuthenticationInformation"];
        assert_eq!(answers(&got), expected);
    });
}

#[test]
fn batches_that_are_none_are_refused_whole() {
    run(async {
        let world = World::new().await;
        world.container("con").await;
        world.container("other").await;
        world.put("/con/a", "content").await;
        let key = DEV_STORAGE_KEY;
        let delete = part(0, "DELETE /con/a", key);
        let tier = part(1, "PUT /con/a?comp=tier\nx-ms-access-tier: Cool", key);
        let get = part(1, "GET /con/a", key);
        let elsewhere = part(1, "DELETE /other/a", key);
        let of_con = "/con?restype=container&comp=batch";
        for (target, parts, outcome) in [
            ("/?comp=batch", vec![delete.clone(), tier], "400 InvalidInput"),
            ("/?comp=batch", vec![delete.clone(), get], "400 InvalidInput"),
            (of_con, vec![delete.clone(), elsewhere], "400 InvalidInput"),
            ("/?comp=batch", vec![], "400 InvalidInput"),
            ("/?comp=batch", vec![delete.clone(); 257], "400 ExceedsMaxBatchRequestCount"),
        ] {
            assert_eq!(send(&world, target, &parts).await.outcome(), outcome);
        }
        let odd = world.send("POST /?comp=batch\nContent-Type: text/plain", delete).await;
        assert_eq!(odd.outcome(), "400 InvalidHeaderValue");
        assert_eq!(world.send("GET /con/a", "").await.status, 200);
    });
}
