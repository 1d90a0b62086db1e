//! A client of the Batch endpoint: asks until it knows what became of what it asked for.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use kiln_clock::{now, pause, within};
use kiln_server::accounts::{DEV_BATCH_ACCOUNT, DEV_BATCH_KEY};
use kiln_server::http::{Body, Headers, Request, Response, ResponseBody};
use kiln_wire::auth::{SignedRequest, shared_key_batch};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::world::World;

/// What clients speak.
const VERSION: &str = "2024-07-01.20.0";
/// Time after which an answer is not waited for any more.
const PATIENCE: Duration = Duration::from_secs(60);
/// Tries of one request.
const TRIES_MAX: u32 = 300;

/// A definite answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Azure's name for a refusal.
    pub(crate) code: String,
    pub(crate) body: Value,
}

impl Reply {
    pub(crate) fn is_done(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Asks until there is a definite answer; `None` when the run is broken.
pub(crate) async fn ask(
    world: &Arc<World>,
    method: &Method,
    path: &str,
    body: Option<&Value>,
) -> Option<Reply> {
    for _ in 0..TRIES_MAX {
        if world.broken().is_some() {
            return None;
        }
        pause(world.chance.ms(0, 3)).await;
        if world.faults.happens(&world.chance, world.faults.lost_request) {
            pause(world.chance.ms(10, 2_000)).await;
            continue;
        }
        match once(world, method, path, body).await {
            Once::Unheard => {}
            Once::Answered(status @ 500.., _) => world.note(&format!("{method} {path}: {status}")),
            Once::Answered(..)
                if world.faults.happens(&world.chance, world.faults.lost_request) => {}
            Once::Answered(status, body) => {
                let code = body.get("code").and_then(Value::as_str).unwrap_or_default().to_owned();
                world.note(&format!("{method} {path}: {status} {code}"));
                return Some(Reply { status, code, body });
            }
        }
        pause(world.chance.ms(100, 1_000)).await;
    }
    world.breaks(format!("{method} {path} gets no answer"));
    None
}

/// What came of one try.
enum Once {
    /// There is no answer; whether it was heard is not known.
    Unheard,
    Answered(u16, Value),
}

async fn once(world: &World, method: &Method, path: &str, body: Option<&Value>) -> Once {
    let Some(life) = world.life().filter(|life| life.server().is_some()) else {
        return Once::Unheard;
    };
    let Some(request) = request(method, path, body) else { return Once::Unheard };
    let (answer, answered) = oneshot::channel();
    let serving = Arc::downgrade(&life);
    life.spawn(async move {
        if let Some(life) = serving.upgrade()
            && let Some(response) = life.call(request).await
        {
            drop(answer.send(response));
        }
    });
    drop(life);
    let Ok(Ok(response)) = within(PATIENCE, answered).await else { return Once::Unheard };
    pause(world.chance.ms(0, 3)).await;
    let Response { status, body, .. } = response;
    let ResponseBody::Bytes(bytes) = body else { return Once::Answered(status, Value::Null) };
    Once::Answered(status, serde_json::from_slice(&bytes).unwrap_or_default())
}

fn request(method: &Method, path: &str, body: Option<&Value>) -> Option<Request> {
    let query = vec![("api-version".to_owned(), VERSION.to_owned())];
    let bytes = body.map(Value::to_string).unwrap_or_default();
    let mut pairs = vec![("ocp-date".to_owned(), now().to_rfc1123())];
    if method == Method::POST || method == Method::PUT || method == Method::PATCH {
        pairs.push(("content-length".to_owned(), bytes.len().to_string()));
    }
    if body.is_some() {
        let kind = "application/json; odata=minimalmetadata".to_owned();
        pairs.push(("content-type".to_owned(), kind));
    }
    let signed =
        SignedRequest { method: method.as_str(), raw_path: path, query: &query, headers: &pairs };
    let signature = shared_key_batch::sign(&signed, DEV_BATCH_ACCOUNT, DEV_BATCH_KEY).ok()?;
    pairs.push(("authorization".to_owned(), signature));
    let mut headers = Headers::default();
    for (name, value) in &pairs {
        headers.push(name, value);
    }
    Some(Request::receive(kiln_http::Request {
        method: method.clone(),
        path: path.to_owned(),
        query: format!("api-version={VERSION}"),
        headers,
        host: "127.0.0.1:8700".to_owned(),
        is_tls: false,
        peer: None,
        body: Body::from_bytes(bytes),
    }))
}
