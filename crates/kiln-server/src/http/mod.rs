//! HTTP in and out: what the services see of the engine in `kiln-http`.
//!
//! The engine knows neither the clock nor Azure. Here a request gets its time and its id, and
//! an answer its date; what the engine refuses by itself is put in the words of the service.

mod request;
mod watch;

use tracing::Instrument as _;

pub use kiln_http::{
    Body, BodyError, FileRange, Handler, Headers, Listener, Piece, Refusal, Response, ResponseBody,
    serve_connection,
};
pub use request::Request;
pub(crate) use watch::{Asked, Watch};

/// Seconds after which a client that found the server busy should come back.
pub const BUSY_RETRY_AFTER_SECONDS: u32 = 1;

/// Which of Azure's codes the refusals of the engine have: its own front ends give none.
pub fn code_of(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Busy => "ServerBusy",
        Refusal::Failed => "InternalError",
        Refusal::TooSlow => "OperationTimedOut",
        Refusal::TargetTooLong => "InvalidUri",
        Refusal::HeadTooLarge | Refusal::UnknownExpectation | Refusal::UnknownCoding => {
            "InvalidHeaderValue"
        }
        Refusal::Malformed(_) | Refusal::UnknownVersion => "InvalidInput",
    }
}

/// A handler that calls a service, of which each request holds a clone.
pub(crate) fn handler_of<S, F>(
    service: &S,
    watch: &Watch,
    call: impl Fn(S, Request) -> F + Send + Sync + 'static,
    refuse: impl Fn(&S, Refusal) -> Response + Send + Sync + 'static,
) -> Handler
where
    S: Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let (answering, refusing) = (service.clone(), service.clone());
    let (watch, refused) = (watch.clone(), watch.clone());
    Handler::new(
        move |request| {
            let request = Request::receive(request);
            let received_at = request.received_at;
            let (span, watched) = (watch.span(&request), watch.begin(&request));
            let answering = call(answering.clone(), request);
            let answered = async move {
                let response = dated(answering.await, received_at);
                watched.end(&response);
                response
            };
            answered.instrument(span)
        },
        move |refusal| {
            refused.refused(refusal);
            dated(refuse(&refusing, refusal), crate::clock::now())
        },
    )
}

/// The answer with its date.
fn dated(response: Response, at: kiln_domain::time::Timestamp) -> Response {
    if response.header("Date").is_some() {
        return response;
    }
    response.with_header("Date", at.to_rfc1123())
}
