//! One connection, from its first request to its last.

use std::net::SocketAddr;

use bytes::Buf as _;
use http::Method;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::head::{self, Head, Scan};
use crate::io::{Io, Transport};
use crate::limits::{HEAD_BUFFER_BYTES, HEAD_TIMEOUT, IDLE_TIMEOUT};
use crate::output::{self, Form};
use crate::{Body, Handler, Refusal, Request, Response, ResponseBody};

/// Empty lines that some clients send behind a body, before the next request.
const EMPTY_LINES_MAX: usize = 4;

/// Serves one connection until its client, or `stop`, ends it. A request under way when `stop`
/// is cancelled is answered.
pub async fn serve_connection(
    transport: impl Into<Transport>,
    is_tls: bool,
    peer: Option<SocketAddr>,
    handler: Handler,
    stop: CancellationToken,
) {
    let connection = Connection { is_tls, peer, handler, stop };
    connection.serve(Io::new(transport.into())).await;
}

/// What is the same for all requests of a connection.
struct Connection {
    is_tls: bool,
    peer: Option<SocketAddr>,
    handler: Handler,
    stop: CancellationToken,
}

impl Connection {
    async fn serve(&self, mut io: Io) {
        loop {
            match self.next_head(&mut io).await {
                Ok(Some(head)) => match self.exchange(io, head).await {
                    Some(kept) => io = kept,
                    None => return,
                },
                Ok(None) => {
                    io.shut_down().await;
                    return;
                }
                Err(refusal) => {
                    debug!(peer = ?self.peer, %refusal, "a request was not read");
                    return refuse(io, &self.handler, refusal).await;
                }
            }
        }
    }

    /// The head of the next request; `None` when there is none to come.
    async fn next_head(&self, io: &mut Io) -> Result<Option<Head>, Refusal> {
        if !self.begins(io).await {
            return Ok(None);
        }
        let mut scan = Scan::default();
        let reading = async {
            loop {
                if let Some(end) = scan.end(&io.buffer)? {
                    return head::parse(&io.buffer.split_to(end)).map(Some);
                }
                match io.fill(HEAD_BUFFER_BYTES).await {
                    Ok(0) | Err(_) => return Ok(None),
                    Ok(_) => {}
                }
            }
        };
        timeout(HEAD_TIMEOUT, reading).await.unwrap_or(Err(Refusal::TooSlow))
    }

    /// Waits for the first byte of a request; whether it came.
    async fn begins(&self, io: &mut Io) -> bool {
        for _ in 0..=EMPTY_LINES_MAX {
            while io.buffer.starts_with(b"\r\n") {
                io.buffer.advance(2);
            }
            if !io.buffer.is_empty() {
                return true;
            }
            io.trim();
            let read = tokio::select! {
                biased;
                () = self.stop.cancelled() => return false,
                read = timeout(IDLE_TIMEOUT, io.fill(HEAD_BUFFER_BYTES)) => read,
            };
            match read {
                Ok(Ok(n)) if n > 0 => {}
                Ok(Ok(_) | Err(_)) | Err(_) => return false,
            }
        }
        false
    }

    /// Answers one request; gives the connection back if it can be used again.
    async fn exchange(&self, io: Io, head: Head) -> Option<Io> {
        let Head { method, is_http_11, keeps_alive, .. } = head;
        let is_head = method == Method::HEAD;
        let (body, loan) = Body::lend(io, head.framing, head.expects_continue);
        let request = Request {
            method,
            path: head.path,
            query: head.query,
            host: head.host,
            headers: head.headers,
            is_tls: self.is_tls,
            peer: self.peer,
            body,
        };
        let (response, place) = self.handler.answer(request).await;
        let Some((mut io, mut rest)) = loan.reclaim() else {
            debug!(peer = ?self.peer, "bug: a handler answered and kept the body");
            return None;
        };
        if let ResponseBody::Upgrade(_) = response.body {
            if rest.is_done() && is_http_11 {
                self.switch(io, response).await;
            }
            drop(place);
            return None;
        }
        let keeps_alive = keeps_alive && rest.can_be_drained() && !self.stop.is_cancelled();
        let form = Form { is_head, is_http_11, keeps_alive };
        let keeps_alive = match output::send(&mut io, response, form).await {
            Ok(keeps_alive) => keeps_alive,
            Err(error) => {
                debug!(%error, peer = ?self.peer, "an answer was not sent whole");
                return None;
            }
        };
        drop(place);
        let is_read = rest.drain(&mut io).await;
        if keeps_alive && is_read {
            return Some(io);
        }
        if is_read {
            io.shut_down().await;
        } else {
            io.linger().await;
        }
        None
    }
}

impl Connection {
    /// Goes on in another protocol, until that or `stop` ends it.
    async fn switch(&self, mut io: Io, mut response: Response) {
        let ResponseBody::Upgrade(upgrade) =
            std::mem::replace(&mut response.body, ResponseBody::Empty)
        else {
            return;
        };
        if let Err(error) = output::switch(&mut io, response, upgrade.protocol).await {
            debug!(%error, peer = ?self.peer, "a change of protocol was not told");
            return;
        }
        tokio::select! {
            () = upgrade.serve(io) => {}
            () = self.stop.cancelled() => {}
        }
    }
}

/// Answers what the engine refuses, and closes.
pub(crate) async fn refuse(mut io: Io, handler: &Handler, refusal: Refusal) {
    let form = Form { is_head: false, is_http_11: true, keeps_alive: false };
    match output::send(&mut io, handler.refuse(refusal), form).await {
        Ok(_) => io.linger().await,
        Err(error) => debug!(%error, "a refusal was not sent"),
    }
}
