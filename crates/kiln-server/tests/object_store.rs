//! The `object_store` crate's own tests of a store, against the Blob endpoint of a server in
//! this process. What they need of us they say themselves.

use std::path::Path;
use std::time::Duration;

use kiln_server::accounts::{DEV_STORAGE_ACCOUNT, DEV_STORAGE_KEY};
use kiln_server::config::Config;
use kiln_server::{Running, clock};
use kiln_wire::auth::{SignedRequest, shared_key_blob};
use object_store::azure::{MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::signer::Signer as _;
use object_store::{ObjectStoreExt as _, integration};

/// A server and a client of one of its containers.
struct World {
    store: MicrosoftAzure,
    server: Running,
    _data: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let free = "127.0.0.1:0".parse().expect("an address");
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/batch/agent.sh");
        let config = Config {
            batch_listen: free,
            blob_listen: free,
            ..Config::new(data.path().to_owned(), program)
        };
        let server = kiln_server::start(config).await.expect("the server starts");
        let origin = server.blob_url().trim_end_matches('/').to_owned();
        let origin = origin.trim_end_matches(&format!("/{DEV_STORAGE_ACCOUNT}"));
        create_container(origin, "con").await;
        let store = client(format!("{origin}/{DEV_STORAGE_ACCOUNT}"));
        Self { store, server, _data: data }
    }
}

fn client(endpoint: String) -> MicrosoftAzure {
    MicrosoftAzureBuilder::new()
        .with_endpoint(endpoint)
        .with_allow_http(true)
        .with_account(DEV_STORAGE_ACCOUNT)
        .with_access_key(DEV_STORAGE_KEY)
        .with_container_name("con")
        .build()
        .expect("a client")
}

/// Makes a container, which that crate leaves to others.
async fn create_container(origin: &str, name: &str) {
    let path = format!("/{DEV_STORAGE_ACCOUNT}/{name}");
    let date = clock::now().to_rfc1123();
    let query = [("restype".to_owned(), "container".to_owned())];
    let headers = [("x-ms-date", date.as_str()), ("x-ms-version", "2021-12-02")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let signed = SignedRequest { method: "PUT", raw_path: &path, query: &query, headers: &headers };
    let authorization =
        shared_key_blob::sign(&signed, DEV_STORAGE_ACCOUNT, DEV_STORAGE_KEY).expect("signed");
    let mut request = reqwest::Client::new()
        .put(format!("{origin}{path}?restype=container"))
        .header("authorization", authorization);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 201, "{:?}", answer.text().await);
}

#[tokio::test]
async fn objects_are_put_read_listed_and_deleted() {
    let World { store, .. } = &World::start().await;
    integration::put_get_delete_list(store).await;
    integration::stream_get(store).await;
    integration::get_opts(store).await;
    integration::put_get_attributes(store).await;
}

#[tokio::test]
async fn an_address_signed_by_the_client_opens_its_object() {
    let World { store, server, .. } = &World::start().await;
    let place = object_store::path::Path::from("a/b.txt");
    store.put(&place, "content".into()).await.expect("put");
    // What it signs is right where the account is in the host alone.
    let port = reqwest::Url::parse(server.blob_url()).expect("a URL").port().expect("a port");
    let host = format!("{DEV_STORAGE_ACCOUNT}.blob.localhost");
    let signer = client(format!("http://{host}:{port}"));
    let hour = Duration::from_hours(1);
    let url = signer.signed_url(http::Method::GET, &place, hour).await.expect("signed");
    let http = reqwest::Client::builder().resolve(&host, ([127, 0, 0, 1], port).into()).build();
    let answer = http.expect("a client").get(url).send().await.expect("an answer");
    assert_eq!((answer.status().as_u16(), &*answer.text().await.expect("text")), (200, "content"));
}

#[tokio::test]
async fn lists_know_directories_offsets_and_pages() {
    let World { store, .. } = &World::start().await;
    integration::list_with_offset_exclusivity(store).await;
    integration::list_uses_directories_correctly(store).await;
    integration::list_with_delimiter(store).await;
    integration::list_paginated(store, store).await;
}

#[tokio::test]
async fn objects_are_copied_and_renamed() {
    let World { store, .. } = &World::start().await;
    integration::rename_and_copy(store).await;
    integration::copy_if_not_exists(store).await;
    integration::copy_rename_nonexistent_object(store).await;
}

#[tokio::test]
async fn writers_at_once_see_each_other() {
    let World { store, .. } = &World::start().await;
    integration::put_opts(store, true).await;
}

#[tokio::test]
async fn parts_become_one_object() {
    let World { store, .. } = &World::start().await;
    integration::multipart(store, store).await;
    integration::multipart_race_condition(store, false).await;
    integration::multipart_out_of_order(store).await;
}
