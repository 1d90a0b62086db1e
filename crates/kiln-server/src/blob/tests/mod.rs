//! The service in process: requests in, answers out.

mod access;
mod blobs;
mod bundles;
mod checksums;
mod containers;
mod copies;
mod crash;
mod editions;
mod fsck;
mod immutability;
mod keys;
mod kinds;
mod leases;
mod lists;
mod queries;
mod service;
mod tokens;

use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use kiln_extents::Extents;
use kiln_store::Store;
use kiln_wire::auth::{SignedRequest, shared_key_blob};

use super::BlobService;
use crate::accounts::{self, Accounts, DEV_STORAGE_ACCOUNT, DEV_STORAGE_KEY};
use crate::clock;
use crate::http::{Asked, Body, FileRange, Headers, Piece, Request, Response, ResponseBody};

/// A service over a directory of its own.
struct World {
    service: BlobService,
    directory: PathBuf,
    peer: std::net::SocketAddr,
    is_tls: bool,
}

impl Drop for World {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

/// An answer with its body read.
#[derive(Debug)]
struct Got {
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    /// Status and code: `404 BlobNotFound`.
    fn outcome(&self) -> String {
        format!("{} {}", self.status, self.header("x-ms-error-code")).trim().to_owned()
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(work)
}

impl World {
    async fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("kiln-blob-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::remove_dir_all(&directory).ok();
        std::fs::create_dir_all(&directory).expect("a directory");
        Self::open(directory).await
    }

    async fn open(directory: PathBuf) -> Self {
        let store = Arc::new(Store::open(&directory, Box::new(|_| {})).expect("a store"));
        accounts::ensure_any(&store).await.expect("accounts");
        let extents = Extents::open(&directory.join("extents")).expect("extents");
        let service = BlobService::new(Arc::clone(&store), extents, Accounts::new(store));
        Self { service, directory, peer: ([127, 0, 0, 1], 4000).into(), is_tls: false }
    }

    /// Ends the service without a word and opens its directory again.
    async fn reopen(mut self) -> Self {
        let directory = std::mem::take(&mut self.directory);
        drop(self);
        Self::open(directory).await
    }

    /// Signs and sends a request to the development account, path style. `head` is a verb and
    /// a target behind the account, then headers, one a line.
    async fn send(&self, head: &str, body: impl Into<Bytes>) -> Got {
        self.send_as(DEV_STORAGE_ACCOUNT, DEV_STORAGE_KEY, head, body.into()).await
    }

    async fn send_as(&self, account: &str, key: &str, head: &str, body: Bytes) -> Got {
        let mut request = self.request(head, body);
        for (name, value) in
            [("x-ms-date", clock::now().to_rfc1123()), ("x-ms-version", "2021-12-02".to_owned())]
        {
            if !request.headers.contains_key(name) {
                request.headers.insert(name, &value);
            }
        }
        let headers = request.header_pairs();
        let signed = SignedRequest {
            method: request.method.as_str(),
            raw_path: &request.raw_path,
            query: &request.query,
            headers: &headers,
        };
        let authorization = shared_key_blob::sign(&signed, account, key).expect("signed");
        request.headers.insert("authorization", &authorization);
        self.call(request).await
    }

    /// Sends a request as it is.
    async fn send_unsigned(&self, head: &str, body: impl Into<Bytes>) -> Got {
        self.call(self.request(head, body.into())).await
    }

    fn request(&self, head: &str, body: Bytes) -> Request {
        let mut lines = head.lines().map(str::trim);
        let line = lines.next().expect("a first line");
        let (method, target) = line.split_once(' ').expect("verb and target");
        let target = match target.strip_prefix("//") {
            Some(rest) => format!("/{rest}"),
            None => format!("/{DEV_STORAGE_ACCOUNT}{target}"),
        };
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let mut headers = Headers::default();
        headers.insert("content-length", &body.len().to_string());
        let mut host = "127.0.0.1:10000".to_owned();
        for line in lines {
            let (name, value) = line.split_once(':').expect("name: value");
            if name.eq_ignore_ascii_case("host") {
                value.trim().clone_into(&mut host);
            }
            headers.insert(name, value.trim());
        }
        Request {
            method: method.parse().expect("a verb"),
            raw_path: path.to_owned(),
            raw_query: query.to_owned(),
            query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            headers,
            host,
            is_tls: self.is_tls,
            peer: Some(self.peer),
            body: Body::from_stream(futures_util::stream::iter(
                body.chunks(100_000).map(|piece| Ok(body.slice_ref(piece))).collect::<Vec<_>>(),
            )),
            received_at: clock::now(),
            request_id: clock::new_id(),
            asked: Asked::default(),
        }
    }

    async fn call(&self, request: Request) -> Got {
        read(self.service.call(request).await).await
    }

    /// Makes a container.
    async fn container(&self, name: &str) {
        let made = self.send(&format!("PUT /{name}?restype=container"), "").await;
        assert_eq!(made.status, 201, "{}", made.text());
    }

    /// Puts a blob and answers with its entity tag.
    async fn put(&self, path: &str, content: impl Into<Bytes>) -> String {
        let head = format!("PUT {path}\nx-ms-blob-type: BlockBlob");
        let made = self.send(&head, content).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.header("etag").to_owned()
    }

    /// Files on the disk, when those that are being removed are gone.
    async fn n_files(&self) -> usize {
        let mut removing = std::mem::take(&mut *self.service.removing.lock().expect("no panic"));
        while removing.join_next().await.is_some() {}
        fn count(directory: &std::path::Path) -> usize {
            let entries = std::fs::read_dir(directory).expect("a directory");
            let each = entries.map(|entry| {
                let path = entry.expect("an entry").path();
                if path.is_dir() { count(&path) } else { 1 }
            });
            each.sum()
        }
        count(&self.directory.join("extents"))
    }
}

async fn read(response: Response) -> Got {
    let headers =
        response.headers.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
    let body = match response.body {
        ResponseBody::Empty | ResponseBody::HeadOnly { .. } | ResponseBody::Upgrade(_) => {
            Bytes::new()
        }
        ResponseBody::Bytes(bytes) => bytes,
        ResponseBody::Stream { length, mut stream } => {
            let mut all = BytesMut::new();
            while let Some(piece) = stream.next().await {
                all.extend_from_slice(&piece.expect("bytes"));
            }
            assert!(length.is_none_or(|length| u64::try_from(all.len()) == Ok(length)));
            all.freeze()
        }
        ResponseBody::Pieces { length, mut stream } => {
            let mut all = Vec::new();
            while let Some(piece) = stream.next().await {
                match piece.expect("a piece") {
                    Piece::Bytes(bytes) => all.extend_from_slice(&bytes),
                    Piece::File(FileRange { file, offset, length }) => {
                        let start = all.len();
                        all.resize(start + usize::try_from(length).expect("small"), 0);
                        file.read_exact_at(&mut all[start..], offset).expect("a part of a file");
                    }
                }
            }
            assert_eq!(length, u64::try_from(all.len()).expect("small"));
            all.into()
        }
    };
    Got { status: response.status, headers, body }
}

fn noise(size: usize) -> Bytes {
    (0..size).map(|n| u8::try_from(n * 31 % 253).expect("below 253")).collect()
}
