//! Sources of copies outside of this Kiln, and which of them may be asked.
//!
//! A server that fetches what clients name could be made to ask places that only it can reach.
//! So names must lead to public addresses, unless the operator allows the host; addresses of
//! the link itself, where clouds keep the secrets of machines, are never asked. The check is
//! where addresses are found for names, so that no second look-up can answer otherwise, and
//! answers that lead elsewhere are not followed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::TryStreamExt;
use kiln_domain::blob::content::ContentProperties;
use kiln_domain::blob::metadata::Metadata;
use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::headers::Headers;
use kiln_wire::blob::range::Range;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Response, StatusCode, Url};

use super::super::call::Call;
use super::super::failure::Failure;
use crate::http::Body;

/// Time to connect, in seconds.
const CONNECT_SECONDS_MAX: u64 = 10;
/// Time without a byte, in seconds.
const SILENCE_SECONDS_MAX: u64 = 60;

/// A place outside of this Kiln.
#[derive(Clone)]
pub(in crate::blob) struct Remote {
    url: Url,
    authorization: Option<String>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The query may hold a signature.
        f.debug_struct("Remote").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

impl Remote {
    pub(in crate::blob) fn new(url: Url, authorization: Option<String>) -> Self {
        Self { url, authorization }
    }
}

/// What a place outside answered, its body still to be read.
pub(in crate::blob) struct Found {
    pub(in crate::blob) length: Option<u64>,
    pub(in crate::blob) properties: ContentProperties,
    pub(in crate::blob) metadata: Metadata,
    pub(in crate::blob) body: Body,
}

/// Asks places outside of this Kiln; clones share connections.
#[derive(Clone, Debug)]
pub(in crate::blob) struct Fetcher {
    allowed: Arc<[String]>,
    client: Arc<OnceLock<reqwest::Client>>,
}

impl Fetcher {
    /// One that asks public addresses and, wherever they are, the `allowed` hosts: `name`,
    /// `name:port`, or `*` for all.
    pub(in crate::blob) fn new(allowed: &[String]) -> Self {
        Self { allowed: allowed.into(), client: Arc::default() }
    }

    /// Asks for a part of what is there, or all of it.
    pub(in crate::blob) async fn get(
        &self,
        source: &Remote,
        range: Option<Range>,
        conditions: Vec<(&'static str, String)>,
    ) -> Result<Found, Failure> {
        self.check_literal(&source.url)?;
        let client = self.client()?;
        let mut request = client.get(source.url.clone());
        if let Some(range) = range {
            request = request.header("Range", range.to_string());
        }
        if let Some(authorization) = &source.authorization {
            request =
                request.header("Authorization", authorization).header("x-ms-version", "2023-11-03");
        }
        for (name, value) in conditions {
            request = request.header(name, value);
        }
        let response = request.send().await.map_err(|cause| {
            tracing::debug!(
                cause = &cause as &dyn std::error::Error,
                "a copy source was not reached"
            );
            let message = "The copy source cannot be reached, or may not be asked by this server.";
            cannot_verify(404, message)
        })?;
        found(response, range.is_some())
    }

    /// An address in place of a name is never looked up.
    fn check_literal(&self, url: &Url) -> Result<(), Failure> {
        let host = url.host_str().unwrap_or_default();
        let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() else { return Ok(()) };
        let port = url.port_or_known_default();
        if may_ask(ip, is_allowed(&self.allowed, host, port)) {
            return Ok(());
        }
        let message = "The address of the copy source is not one that this server may ask.";
        Err(cannot_verify(403, message))
    }

    fn client(&self) -> Result<&reqwest::Client, Failure> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let built = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(Arc::new(PublicNames { allowed: Arc::clone(&self.allowed) }))
            .user_agent(concat!("kiln/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
            .read_timeout(Duration::from_secs(SILENCE_SECONDS_MAX))
            .build();
        match built {
            Ok(client) => Ok(self.client.get_or_init(|| client)),
            Err(cause) => {
                tracing::error!(cause = &cause as &dyn std::error::Error, "no client for copies");
                Err(BlobError::internal().into())
            }
        }
    }
}

/// The conditions on the source, as the source itself understands them.
pub(in crate::blob) fn conditions(call: &Call) -> Vec<(&'static str, String)> {
    let names = [
        ("x-ms-source-if-match", "If-Match"),
        ("x-ms-source-if-none-match", "If-None-Match"),
        ("x-ms-source-if-modified-since", "If-Modified-Since"),
        ("x-ms-source-if-unmodified-since", "If-Unmodified-Since"),
    ];
    let value = |(ours, theirs)| Some((theirs, call.headers().get(ours)?.to_owned()));
    names.into_iter().filter_map(value).collect()
}

fn found(response: Response, is_part: bool) -> Result<Found, Failure> {
    let wanted = if is_part { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    match response.status() {
        status if status == wanted => {}
        StatusCode::NOT_MODIFIED | StatusCode::PRECONDITION_FAILED => {
            let message = "The source condition specified using HTTP conditional header(s) is \
                           not met.";
            return Err(BlobError::new(412, "SourceConditionNotMet", message).into());
        }
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) => {
            let message = format!("The copy source answered with the status {}.", status.as_u16());
            return Err(cannot_verify(status.as_u16(), message));
        }
        status => {
            let message = format!("The copy source answered with the status {}.", status.as_u16());
            return Err(cannot_verify(400, message));
        }
    }
    let pairs: Vec<(String, String)> = response
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect();
    let headers = Headers(&pairs);
    let mut properties = headers.properties_of_put();
    properties.disposition = headers.get("Content-Disposition").map(str::to_owned);
    properties.md5 = if is_part { None } else { headers.get("Content-MD5").map(str::to_owned) };
    Ok(Found {
        length: response.content_length(),
        metadata: headers.metadata()?,
        properties,
        body: Body::from_stream(response.bytes_stream().map_err(std::io::Error::other)),
    })
}

fn cannot_verify(status: u16, message: impl Into<String>) -> Failure {
    BlobError::new(status, "CannotVerifyCopySource", message).into()
}

/// Finds addresses of names, and leaves out those that may not be asked.
#[derive(Debug)]
struct PublicNames {
    allowed: Arc<[String]>,
}

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        let is_allowed = is_allowed(&self.allowed, name.as_str(), None);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let fit: Vec<SocketAddr> =
                found.filter(|address| may_ask(address.ip(), is_allowed)).collect();
            if fit.is_empty() {
                return Err("the name leads to no address that may be asked".into());
            }
            let addresses: Addrs = Box::new(fit.into_iter());
            Ok(addresses)
        })
    }
}

/// Whether the operator allows a host, wherever it is; without a port, on any.
fn is_allowed(allowed: &[String], host: &str, port: Option<u16>) -> bool {
    let with_port = port.map(|port| format!("{host}:{port}"));
    allowed.iter().any(|entry| {
        let name = entry.rsplit_once(':').map_or(entry.as_str(), |(name, _)| name);
        entry == "*"
            || entry.eq_ignore_ascii_case(host)
            || with_port.as_ref().is_some_and(|it| entry.eq_ignore_ascii_case(it))
            || (port.is_none() && name.eq_ignore_ascii_case(host))
    })
}

/// Whether an address may be asked.
fn may_ask(ip: IpAddr, is_allowed: bool) -> bool {
    let ip = ip.to_canonical();
    !is_of_link(ip) && (is_allowed || is_public(ip))
}

/// Addresses of the link itself, and the ones where clouds tell machines their secrets.
fn is_of_link(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip == Ipv4Addr::new(168, 63, 129, 16),
        IpAddr::V6(ip) => {
            ip.is_unicast_link_local() || ip == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
        }
    }
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            let is_special = a == 0
                || a >= 240
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (18..20).contains(&b));
            !(ip.is_loopback()
                || ip.is_private()
                || ip.is_link_local()
                || ip.is_multicast()
                || ip.is_broadcast()
                || ip.is_documentation()
                || is_shared
                || is_special)
        }
        IpAddr::V6(ip) => match ip.segments() {
            // Addresses of the old network, translated.
            [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                let [a, b] = high.to_be_bytes();
                let [c, d] = low.to_be_bytes();
                is_public(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
            }
            _ => {
                !(ip.is_loopback()
                    || ip.is_unspecified()
                    || ip.is_unique_local()
                    || ip.is_unicast_link_local()
                    || ip.is_multicast())
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{is_allowed, may_ask};

    #[test]
    fn public_addresses_may_be_asked_and_others_when_allowed() {
        for (ip, public, allowed) in [
            ("20.60.1.1", true, true),
            ("2603:1030::1", true, true),
            ("127.0.0.1", false, true),
            ("10.0.0.1", false, true),
            ("172.16.0.1", false, true),
            ("192.168.1.1", false, true),
            ("100.64.0.1", false, true),
            ("0.0.0.0", false, true),
            ("198.18.0.1", false, true),
            ("255.255.255.255", false, true),
            ("::1", false, true),
            ("fc00::1", false, true),
            ("::ffff:127.0.0.1", false, true),
            ("64:ff9b::7f00:1", false, true),
            ("169.254.169.254", false, false),
            ("168.63.129.16", false, false),
            ("::ffff:169.254.169.254", false, false),
            ("fe80::1", false, false),
            ("fd00:ec2::254", false, false),
        ] {
            let ip = ip.parse().expect("an address");
            assert_eq!((may_ask(ip, false), may_ask(ip, true)), (public, allowed), "{ip}");
        }
    }

    #[test]
    fn hosts_are_allowed_by_name_and_port() {
        let allowed = ["files".to_owned(), "127.0.0.1:9000".to_owned()];
        assert!(is_allowed(&allowed, "FILES", Some(80)));
        assert!(is_allowed(&allowed, "files", None));
        assert!(is_allowed(&allowed, "127.0.0.1", Some(9000)));
        assert!(!is_allowed(&allowed, "127.0.0.1", Some(9001)));
        assert!(!is_allowed(&allowed, "other", None));
        assert!(is_allowed(&["*".to_owned()], "other", Some(1)));
    }
}
