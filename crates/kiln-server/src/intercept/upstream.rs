//! The proxy this machine itself must use to reach the world, if there is one.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::head::{HEAD_BYTES_MAX, host_and_port};

/// A forward proxy, and the hosts that are reached without it.
#[derive(Clone, PartialEq, Eq)]
pub struct Upstream {
    host: String,
    port: u16,
    authorization: Option<String>,
    direct: Vec<String>,
}

/// The variable names a proxy that Kiln can not use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// Not `http://HOST:PORT`.
    #[error("HTTPS_PROXY must name an HTTP proxy, http://HOST:PORT")]
    NotAnHttpProxy,
}

impl Upstream {
    /// Reads the values of `HTTPS_PROXY` and `NO_PROXY`; `None` when no proxy is named.
    pub fn parse(https_proxy: &str, no_proxy: &str) -> Result<Option<Self>, UpstreamError> {
        let text = https_proxy.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let bare = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) => return Err(UpstreamError::NotAnHttpProxy),
            None => text,
        };
        let bare = bare.split('/').next().unwrap_or_default();
        let (user, place) = match bare.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, bare),
        };
        let (host, port) = host_and_port(place, 80).ok_or(UpstreamError::NotAnHttpProxy)?;
        let direct = no_proxy.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty());
        Ok(Some(Self {
            host: host.to_owned(),
            port,
            authorization: user.map(basic),
            direct: direct.map(str::to_ascii_lowercase).collect(),
        }))
    }

    /// Whether `host` is reached without this proxy.
    pub fn bypasses(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let is_loopback = host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        is_loopback
            || self.direct.iter().any(|entry| {
                let suffix = entry.trim_start_matches(['*', '.']);
                suffix.is_empty()
                    || host == suffix
                    || host.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'))
            })
    }

    /// Opens a tunnel through this proxy.
    pub(super) async fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        let place = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let mut ask = format!("CONNECT {place}:{port} HTTP/1.1\r\nHost: {place}:{port}\r\n");
        if let Some(value) = &self.authorization {
            ask.push_str("Proxy-Authorization: ");
            ask.push_str(value);
            ask.push_str("\r\n");
        }
        ask.push_str("\r\n");
        stream.write_all(ask.as_bytes()).await?;
        let answer = read_answer(&mut stream).await?;
        let status = answer.split_ascii_whitespace().nth(1).unwrap_or_default();
        if status.starts_with('2') {
            return Ok(stream);
        }
        let line = answer.lines().next().unwrap_or_default();
        Err(io::Error::other(format!("the proxy {}:{} answered `{line}`", self.host, self.port)))
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// Reads up to the empty line and not one byte further: what follows belongs to the tunnel.
async fn read_answer(stream: &mut TcpStream) -> io::Result<String> {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= HEAD_BYTES_MAX {
            return Err(io::Error::other("the proxy's answer is too long"));
        }
        answer.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn basic(user: &str) -> String {
    let plain: Vec<u8> = percent_decode_str(user).collect();
    format!("Basic {}", STANDARD.encode(plain))
}

#[cfg(test)]
mod tests {
    use super::Upstream;

    #[test]
    fn proxies() {
        let check = |text: &str, expected: &str| {
            let shown = match Upstream::parse(text, "") {
                Ok(Some(up)) => {
                    format!("{} {} {}", up.host, up.port, up.authorization.unwrap_or_default())
                }
                Ok(None) => "none".to_owned(),
                Err(error) => error.to_string(),
            };
            assert_eq!(shown.trim_end(), expected, "{text}");
        };
        check("", "none");
        check("http://proxy:3128", "proxy 3128");
        check("proxy:3128", "proxy 3128");
        check("http://proxy/", "proxy 80");
        check("http://me:p%40ss@proxy:1", "proxy 1 Basic bWU6cEBzcw==");
        check("socks5://proxy:1", "HTTPS_PROXY must name an HTTP proxy, http://HOST:PORT");
    }

    #[test]
    fn hosts_without_it() {
        let up = Upstream::parse("p:1", "localhost,.corp.example, 10.0.0.1")
            .expect("a proxy")
            .expect("a proxy");
        for (host, expected) in [
            ("a.corp.example", true),
            ("corp.example", true),
            ("notcorp.example", false),
            ("10.0.0.1", true),
            ("127.0.0.1", true),
            ("::1", true),
            ("pypi.org", false),
        ] {
            assert_eq!(up.bypasses(host), expected, "{host}");
        }
    }
}
