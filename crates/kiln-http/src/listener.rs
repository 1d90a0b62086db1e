//! Accepts connections, a bounded number at once.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::connection::{refuse, serve_connection};
use crate::io::{Io, Transport};
use crate::limits::{ACCEPT_PAUSE, CONNECTIONS_MAX, DRAIN_TIMEOUT, REFUSALS_MAX};
use crate::{Handler, Refusal};

/// A bound address that is about to be served.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    address: SocketAddr,
    connections_max: usize,
}

impl Listener {
    /// Binds `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is taken or not this machine's.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let inner = TcpListener::bind(address).await?;
        let address = inner.local_addr()?;
        Ok(Self { inner, address, connections_max: CONNECTIONS_MAX })
    }

    /// The same with a bound of its own on connections at once.
    #[must_use]
    pub fn with_connections_max(self, connections_max: usize) -> Self {
        Self { connections_max, ..self }
    }

    /// The address with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves connections until `stop` is cancelled, then lets the open ones finish.
    pub async fn serve(self, handler: Handler, stop: CancellationToken) {
        let door = Door {
            places: Arc::new(Semaphore::new(self.connections_max)),
            refusals: Arc::new(Semaphore::new(REFUSALS_MAX)),
            handler,
            stop,
        };
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = door.stop.cancelled() => break,
                accepted = self.inner.accept() => accepted,
            };
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((stream, peer)) => door.admit(stream, peer, &mut connections),
                Err(error) => {
                    warn!(%error, address = %self.address, "a connection was not accepted");
                    // An elapsed pause is the wanted outcome.
                    drop(timeout(ACCEPT_PAUSE, door.stop.cancelled()).await);
                }
            }
        }
        drop(self.inner);
        let drained = async { while connections.join_next().await.is_some() {} };
        if timeout(DRAIN_TIMEOUT, drained).await.is_err() {
            debug!(address = %self.address, "connections still open were cut");
        }
    }
}

/// Who may come in.
struct Door {
    places: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    handler: Handler,
    stop: CancellationToken,
}

impl Door {
    fn admit(&self, stream: TcpStream, peer: SocketAddr, connections: &mut JoinSet<()>) {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "no TCP_NODELAY");
        }
        let (handler, stop) = (self.handler.clone(), self.stop.clone());
        if let Some(place) = take_place(&self.places) {
            connections.spawn(async move {
                serve_connection(stream, false, Some(peer), handler, stop).await;
                drop(place);
            });
        } else if let Some(place) = take_place(&self.refusals) {
            connections.spawn(async move {
                refuse(Io::new(Transport::Tcp(stream)), &handler, Refusal::Busy).await;
                drop(place);
            });
        } else {
            debug!(%peer, "too many connections: one was closed unheard");
        }
    }
}

fn take_place(places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(places).try_acquire_owned().ok()
}
