//! What operators see of requests: figures, ids in log lines, those that took long.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tracing::{Span, debug, info, info_span};

use super::{Refusal, Request, Response, ResponseBody};
use crate::clock;
use crate::monitor::{Metrics, Of, Operation, Service};

/// Time after which a request is told of in the log.
const SLOW_AFTER: Duration = Duration::from_secs(5);
/// Characters of a client's id in log lines.
const CLIENT_ID_LENGTH_MAX: usize = 128;

/// Watches the requests of a service.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    service: Service,
    metrics: Arc<Metrics>,
}

/// Which operation a request asks for, once that is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked(Arc<OnceLock<Operation>>);

/// A request that is worked on; no longer so when this is dropped.
#[derive(Debug)]
pub(super) struct Watched {
    watch: Watch,
    asked: Asked,
    method: http::Method,
    /// Without the query, which may hold secrets.
    path: String,
    began_at: Instant,
}

impl Asked {
    /// It is this one.
    pub(crate) fn note(&self, operation: Operation) {
        // The first to know says so.
        self.0.get_or_init(|| operation);
    }
}

impl Watch {
    pub(crate) fn new(service: Service, metrics: &Arc<Metrics>) -> Self {
        Self { service, metrics: Arc::clone(metrics) }
    }

    /// What the log lines of a request carry: the ids that its client sees.
    pub(super) fn span(&self, request: &Request) -> Span {
        let name = match self.service {
            Service::Batch => "client-request-id",
            Service::Blob => "x-ms-client-request-id",
        };
        let given = request.header(name).unwrap_or_default();
        let client_request_id: String = given.chars().take(CLIENT_ID_LENGTH_MAX).collect();
        // As a debug text, in which nothing breaks the line.
        info_span!("request", request_id = %request.request_id, ?client_request_id)
    }

    /// A request begins.
    pub(super) fn begin(&self, request: &Request) -> Watched {
        let of = Of { service: self.service };
        self.metrics.in_work.get_or_create(&of).inc();
        if let Some(length) = request.header("content-length").and_then(|it| it.parse().ok()) {
            self.metrics.received_bytes.get_or_create(&of).inc_by(length);
        }
        Watched {
            watch: self.clone(),
            asked: request.asked.clone(),
            method: request.method.clone(),
            path: request.raw_path.clone(),
            began_at: clock::tick(),
        }
    }

    /// The engine refused something.
    pub(super) fn refused(&self, refusal: Refusal) {
        self.metrics.refused(self.service, refusal);
    }
}

impl Watched {
    /// The head of the answer is ready.
    pub(super) fn end(self, response: &Response) {
        let took = self.began_at.elapsed();
        let operation = self.asked.0.get().copied().unwrap_or(Operation::Unknown);
        let Watch { service, metrics } = &self.watch;
        metrics.answered(*service, operation, response.status, took);
        metrics.sent_bytes.get_or_create(&Of { service: *service }).inc_by(length(&response.body));
        let (status, took_ms) = (response.status, took.as_millis());
        let (service, method, path) = (service.as_str(), &self.method, &self.path);
        if took >= SLOW_AFTER {
            info!(service, %operation, %method, path, status, took_ms, "a request took long");
        } else {
            debug!(service, %operation, %method, path, status, took_ms, "a request was answered");
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watch.metrics.in_work.get_or_create(&Of { service: self.watch.service }).dec();
    }
}

/// Bytes of the body of an answer, where they are known.
fn length(body: &ResponseBody) -> u64 {
    match body {
        ResponseBody::Bytes(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        ResponseBody::Stream { length, .. } => length.unwrap_or_default(),
        ResponseBody::Pieces { length, .. } => *length,
        ResponseBody::Empty | ResponseBody::HeadOnly { .. } | ResponseBody::Upgrade(_) => 0,
    }
}
