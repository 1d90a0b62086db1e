//! Queries of what a blob says.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use kiln_domain::blob::kind::BlobKind;
use kiln_domain::blob::query::InvalidQuery;
use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::query::avro::Encoder;
use kiln_wire::blob::query::request::{REQUEST_BYTES_MAX, read};
use kiln_wire::blob::query::{Event, Machine};
use tokio::sync::OwnedSemaphorePermit;

use super::answer::Answer;
use super::call::Call;
use super::describe::describe_itself;
use super::failure::Failure;
use super::guard::Guard;
use super::{BlobService, get, receive};
use crate::clock;
use crate::http::{Body, Response, ResponseBody};

/// `POST /CONTAINER/BLOB?comp=query`.
pub(super) async fn contents(call: &Call, body: &mut Body) -> Answer {
    if !call.gates.has_queries() {
        let version = call.gates.version;
        return Err(BlobError::invalid_header("x-ms-version", version.as_str()).into());
    }
    let request = read(&receive::document(body, REQUEST_BYTES_MAX).await?)?;
    let place = call.service.reserve_query()?;
    let (blob, size_bytes, content) =
        get::as_body(&call.service, &call.spot(), &Guard::of(call)?, None)?;
    blob.kind.expect(BlobKind::Block)?;
    let machine = Box::new(Machine::new(request, call.received_at).map_err(BlobError::from)?);
    let mut running =
        Running { machine, content, piece: Bytes::new(), is_last: false, _place: place };
    let encoder = Encoder::new(*clock::new_id().as_bytes(), size_bytes);
    let mut begin = Vec::new();
    encoder.begin(&mut begin);
    // Names that the columns do not have are refused before the answer begins.
    while running.machine.is_unbound() {
        let (next, events) = running.advance().await?;
        events.iter().for_each(|event| encoder.push(event, &mut begin));
        running = next;
    }
    let begin = stream::iter([Ok(Bytes::from(begin))]);
    let rest = stream::unfold((encoder, Some(running)), |(encoder, mut running)| async move {
        loop {
            let now = running.take().filter(|running| !running.machine.has_ended())?;
            match now.advance().await {
                Ok((next, events)) => {
                    if !events.is_empty() {
                        let mut out = Vec::new();
                        events.iter().for_each(|event| encoder.push(event, &mut out));
                        return Some((Ok(Bytes::from(out)), (encoder, Some(next))));
                    }
                    running = Some(next);
                }
                Err(stopped) => return Some((Err(stopped.into()), (encoder, None))),
            }
        }
    });
    let mut response =
        describe_itself(call, &blob, Response::new(200)).with_header("Content-Type", "avro/binary");
    response.body = ResponseBody::Stream { length: None, stream: Box::pin(begin.chain(rest)) };
    Ok(response)
}

impl BlobService {
    /// A place among the queries under way.
    fn reserve_query(&self) -> Result<OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.queries).try_acquire_owned().map_err(|_none_left| {
            let message = "Too many queries are under way. Please retry the request.";
            BlobError::new(503, "ServerBusy", message).into()
        })
    }
}

/// A query under way, which goes on when its client has read what there was.
struct Running {
    machine: Box<Machine>,
    content: Body,
    piece: Bytes,
    is_last: bool,
    /// Given back when the query ends.
    _place: OwnedSemaphorePermit,
}

impl Running {
    /// Takes a step, on a thread on which nobody waits.
    async fn advance(mut self) -> Result<(Self, Vec<Event>), Stopped> {
        if self.piece.is_empty() && !self.is_last {
            match self.content.next().await {
                Some(piece) => self.piece = piece?,
                None => self.is_last = true,
            }
        }
        let stepping = tokio::task::spawn_blocking(move || {
            let events = self.machine.step(&mut self.piece, self.is_last);
            events.map(|events| (self, events))
        });
        match stepping.await {
            Ok(stepped) => Ok(stepped?),
            Err(stopped) => Err(io::Error::other(stopped).into()),
        }
    }
}

/// Why a query does not go on.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Invalid(#[from] InvalidQuery),
    #[error(transparent)]
    Content(#[from] io::Error),
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Invalid(invalid) => BlobError::from(invalid).into(),
            Stopped::Content(cause) => {
                tracing::warn!(%cause, "a query stopped");
                BlobError::internal().into()
            }
        }
    }
}

impl From<Stopped> for io::Error {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Invalid(invalid) => Self::other(invalid),
            Stopped::Content(cause) => cause,
        }
    }
}
