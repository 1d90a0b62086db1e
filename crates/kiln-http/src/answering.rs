//! Who answers requests, and how many at once.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::error;

use crate::limits::REQUESTS_MAX;
use crate::{Refusal, Request, Response};

type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;

/// Answers requests; clones share one bound on how many at once.
#[derive(Clone)]
pub struct Handler {
    inner: Arc<Inner>,
}

struct Inner {
    call: Box<dyn Fn(Request) -> Answer + Send + Sync>,
    refuse: Box<dyn Fn(Refusal) -> Response + Send + Sync>,
    places: Semaphore,
}

impl Handler {
    /// A handler that answers with `call`, and with `refuse` where the engine says no. A
    /// request's body is dropped before its answer is there, else the connection ends.
    pub fn new<F>(
        call: impl Fn(Request) -> F + Send + Sync + 'static,
        refuse: impl Fn(Refusal) -> Response + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Response> + Send + 'static,
    {
        Self::with_places(call, refuse, REQUESTS_MAX)
    }

    /// The same with a bound of its own on requests at once.
    pub fn with_places<F>(
        call: impl Fn(Request) -> F + Send + Sync + 'static,
        refuse: impl Fn(Refusal) -> Response + Send + Sync + 'static,
        n_places: usize,
    ) -> Self
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let call = Box::new(move |request| -> Answer { Box::pin(call(request)) });
        let places = Semaphore::new(n_places);
        Self { inner: Arc::new(Inner { call, refuse: Box::new(refuse), places }) }
    }

    /// The answer to a request, and its place, which is to be held until the answer is sent.
    pub(crate) async fn answer(&self, request: Request) -> (Response, Option<SemaphorePermit<'_>>) {
        let Ok(place) = self.inner.places.try_acquire() else {
            return (self.refuse(Refusal::Busy), None);
        };
        let answering = AssertUnwindSafe((self.inner.call)(request)).catch_unwind();
        let response = match answering.await {
            Ok(response) => response,
            Err(_panic) => {
                error!("bug: a handler panicked");
                self.refuse(Refusal::Failed)
            }
        };
        (response, Some(place))
    }

    /// The answer to what the engine refuses.
    pub(crate) fn refuse(&self, refusal: Refusal) -> Response {
        (self.inner.refuse)(refusal)
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_free = self.inner.places.available_permits();
        f.debug_struct("Handler").field("places_free", &n_free).finish_non_exhaustive()
    }
}
