//! The whole interception, ready to run beside the endpoints.

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::authority::AuthorityError;
use super::{Authority, Handlers, Proxy, Published, Upstream, trust};

/// What the machine says about certificates and proxies, in the variables of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// `SSL_CERT_FILE`.
    pub ssl_cert_file: Option<PathBuf>,
    /// `HTTPS_PROXY`.
    pub https_proxy: Option<String>,
    /// `NO_PROXY`.
    pub no_proxy: Option<String>,
}

/// Why there is no interception.
#[derive(Debug, thiserror::Error)]
pub enum InterceptionError {
    /// The authority can not be used.
    #[error("the certificate authority cannot be used")]
    Authority(#[source] AuthorityError),
    /// No port for the proxy.
    #[error("the proxy finds no port on 127.0.0.1")]
    Bind(#[source] io::Error),
}

/// The interception with its port bound.
#[derive(Debug)]
pub struct Interception {
    proxy: Proxy,
    listener: TcpListener,
    published: Published,
}

impl Interception {
    /// Opens the authority in `data`/tls and binds a port on loopback. The proxy stops when
    /// `stop` is cancelled.
    ///
    /// # Errors
    /// When the authority's files are damaged or there is no port.
    pub async fn bind(
        data: &Path,
        surroundings: &Surroundings,
        handlers: Handlers,
        stop: CancellationToken,
    ) -> Result<Self, InterceptionError> {
        let directory = data.join("tls");
        let own = directory.join("trust-bundle.pem");
        let system = trust::system_bundle(surroundings.ssl_cert_file.as_deref(), &own);
        if system.is_none() {
            warn!(
                "no system certificates were found: programs under Kiln trust Kiln only; \
                 install ca-certificates or set SSL_CERT_FILE"
            );
        }
        let authority = Authority::open(&directory, system.as_deref(), (handlers.now)())
            .map_err(InterceptionError::Authority)?;
        let listener =
            bind_again(&directory.join("proxy-port")).await.map_err(InterceptionError::Bind)?;
        let address = listener.local_addr().map_err(InterceptionError::Bind)?;
        let published = Published {
            proxy_url: format!("http://{address}"),
            ca_file: authority.ca_file().to_owned(),
            trust_bundle: authority.trust_bundle().to_owned(),
        };
        let proxy = Proxy::new(Arc::new(authority), upstream(surroundings), handlers, stop);
        Ok(Self { proxy, listener, published })
    }

    /// Where it is found.
    pub fn published(&self) -> &Published {
        &self.published
    }

    /// Serves until stopped.
    pub async fn run(self) {
        self.proxy.run(self.listener).await;
    }
}

/// Binds the port of the last time if it is free: nodes outlive the server, and their tasks
/// keep the variables they were started with.
async fn bind_again(port_file: &Path) -> io::Result<TcpListener> {
    let last = std::fs::read_to_string(port_file).ok().and_then(|text| text.trim().parse().ok());
    if let Some(port) = last
        && let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
    {
        return Ok(listener);
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    std::fs::write(port_file, listener.local_addr()?.port().to_string())?;
    Ok(listener)
}

/// The machine's own proxy; one that can not be used is told and left out.
fn upstream(surroundings: &Surroundings) -> Option<Upstream> {
    let https_proxy = surroundings.https_proxy.as_deref().unwrap_or_default();
    let no_proxy = surroundings.no_proxy.as_deref().unwrap_or_default();
    Upstream::parse(https_proxy, no_proxy).unwrap_or_else(|error| {
        warn!(%error, "other hosts are reached directly");
        None
    })
}

#[cfg(test)]
mod tests {
    use super::bind_again;

    #[tokio::test]
    async fn the_port_is_kept_while_it_is_free() {
        let file = std::env::temp_dir().join(format!("kiln-port-{}", std::process::id()));
        let port =
            |listener: &tokio::net::TcpListener| listener.local_addr().expect("an address").port();
        let first = bind_again(&file).await.expect("a port");
        let other = bind_again(&file).await.expect("another port");
        assert_ne!(port(&first), port(&other));
        let last = port(&other);
        drop((first, other));
        assert_eq!(port(&bind_again(&file).await.expect("the port")), last);
        std::fs::remove_file(&file).expect("to remove the file");
    }
}
