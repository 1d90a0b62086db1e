//! The endpoint for operators: figures, whether the process lives, whether it is ready.
//!
//! It says no secrets and no names of anything that users made, and takes no input. It listens
//! on loopback unless told otherwise, because it asks nobody who they are.

mod metrics;
mod present;
mod ready;

use std::sync::{Arc, OnceLock};

use serde_json::json;

use crate::http::{Handler, Response};
use crate::server::Server;

pub use metrics::Metrics;
pub(crate) use metrics::{Of, Operation, Service};
use present::Seen;
use ready::{NotReady, Readiness};

/// Requests that are answered at once; each looks at the store.
const REQUESTS_MAX: usize = 8;
/// What the figures are written in.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The endpoint; clones share all.
#[derive(Clone, Debug)]
pub(crate) struct Monitor {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    metrics: Arc<Metrics>,
    readiness: Readiness,
    /// Set once all of it runs.
    server: OnceLock<Arc<Server>>,
}

impl Monitor {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        let (readiness, server) = (Readiness::default(), OnceLock::new());
        Self { inner: Arc::new(Inner { metrics, readiness, server }) }
    }

    /// All parts of the server run.
    pub(crate) fn set_running(&self, server: &Arc<Server>) {
        // Set once, at the end of the start.
        drop(self.inner.server.set(Arc::clone(server)));
    }

    /// The server stops: nobody new should be sent to it.
    pub(crate) fn set_stopping(&self) {
        self.inner.readiness.set_stopping();
    }

    /// What answers its requests.
    pub(crate) fn handler(&self) -> Handler {
        let this = self.clone();
        let answer = move |request: kiln_http::Request| {
            let this = this.clone();
            async move {
                let is_read = matches!(request.method.as_str(), "GET" | "HEAD");
                let path = request.path;
                drop(request.body);
                if is_read { this.answer(&path).await } else { Response::new(405) }
            }
        };
        let refuse = |refusal: crate::http::Refusal| Response::new(refusal.status());
        Handler::with_places(answer, refuse, REQUESTS_MAX)
    }

    async fn answer(&self, path: &str) -> Response {
        match path {
            "/healthz" => said(200, "lives\n"),
            "/readyz" => match self.ready().await {
                Ok(()) => said(200, "ready\n"),
                Err(why) => said(503, format!("not ready: {why}\n")),
            },
            "/metrics" => {
                let ready = self.ready().await;
                let present = &self.inner.metrics.present;
                present.is_ready.set(i64::from(ready.is_ok()));
                self.look().iter().for_each(|seen| present.set(seen));
                match self.inner.metrics.text() {
                    Ok(text) => said(200, text).with_header("Content-Type", OPEN_METRICS),
                    Err(_never) => Response::new(500),
                }
            }
            "/status" => {
                let ready = self.ready().await;
                let status = json!({
                    "version": env!("CARGO_PKG_VERSION"),
                    "isReady": ready.is_ok(),
                    "whyNotReady": ready.err().map(|why| why.to_string()),
                    "seen": self.look(),
                });
                said(200, format!("{status}\n")).with_header("Content-Type", "application/json")
            }
            _ => Response::new(404),
        }
    }

    async fn ready(&self) -> Result<(), NotReady> {
        self.inner.readiness.ask(self.inner.server.get()).await
    }

    /// What is so now; nothing before all of it runs.
    fn look(&self) -> Option<Seen> {
        self.inner.server.get().map(|server| Seen::by(server))
    }
}

fn said(status: u16, text: impl Into<bytes::Bytes>) -> Response {
    Response::new(status).with_body(text)
}
