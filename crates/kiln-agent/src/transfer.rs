//! HTTP to the places where files come from and go to.

use std::sync::OnceLock;
use std::time::Duration;

use kiln_domain::batch::command::EnvironmentSetting;
use kiln_domain::batch::task::FailureInfo;

use crate::clock;

/// Tries for one request.
const TRIES_MAX: u32 = 5;
/// Pause after the first failed try, in milliseconds; doubled by each further one.
const PAUSE_MS: u64 = 200;
/// Time to connect, in seconds.
const CONNECT_SECONDS_MAX: u64 = 10;
/// Time without a byte, in seconds.
const SILENCE_SECONDS_MAX: u64 = 60;

/// Speaks HTTP as the node's variables say.
#[derive(Debug, Default)]
pub(crate) struct Transfer {
    settings: Vec<EnvironmentSetting>,
    client: OnceLock<reqwest::Client>,
}

/// Why one try failed.
#[derive(Debug)]
pub(crate) enum Fault<E = FailureInfo> {
    /// Another try may succeed.
    Passing(E),
    /// No try will.
    Lasting(E),
}

impl Transfer {
    /// Goes through the proxy and trusts the certificates that `settings` name.
    pub(crate) fn new(settings: Vec<EnvironmentSetting>) -> Self {
        Self { settings, client: OnceLock::new() }
    }

    /// The client of all requests.
    pub(crate) fn client(&self) -> Result<&reqwest::Client, reqwest::Error> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = build_client(&self.settings)?;
        Ok(self.client.get_or_init(|| client))
    }
}

/// A client that knows nothing of the agent's own environment.
fn build_client(settings: &[EnvironmentSetting]) -> Result<reqwest::Client, reqwest::Error> {
    let value = |names: [&str; 2]| {
        let mut found = names.iter().filter_map(|name| {
            settings.iter().rev().find(|setting| setting.name == *name && !setting.value.is_empty())
        });
        found.next().map(|setting| setting.value.as_str())
    };
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .user_agent(concat!("kiln/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
        .read_timeout(Duration::from_secs(SILENCE_SECONDS_MAX));
    let direct = value(["NO_PROXY", "no_proxy"]).and_then(reqwest::NoProxy::from_string);
    if let Some(proxy) = value(["HTTPS_PROXY", "https_proxy"]) {
        builder = builder.proxy(reqwest::Proxy::https(proxy)?.no_proxy(direct.clone()));
    }
    if let Some(proxy) = value(["HTTP_PROXY", "http_proxy"]) {
        builder = builder.proxy(reqwest::Proxy::http(proxy)?.no_proxy(direct));
    }
    let bundle = value(["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"]);
    if let Some(pem) = bundle.and_then(|path| std::fs::read(path).ok()) {
        builder = builder.tls_built_in_root_certs(false);
        for certificate in reqwest::Certificate::from_pem_bundle(&pem)? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build()
}

/// Tries until it succeeds, can not succeed, or was tried often enough.
pub(crate) async fn again<T, E, F>(mut attempt: impl FnMut() -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, Fault<E>>>,
{
    let mut n_tries = 1;
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(Fault::Lasting(failure)) => return Err(failure),
            Err(Fault::Passing(failure)) if n_tries == TRIES_MAX => return Err(failure),
            Err(Fault::Passing(_)) => {
                clock::sleep(Duration::from_millis(PAUSE_MS << (n_tries - 1))).await;
                n_tries += 1;
            }
        }
    }
}

/// A URL without its signature.
pub(crate) fn without_query(url: &str) -> &str {
    url.split_once('?').map_or(url, |(address, _)| address)
}

/// What an error and its causes say, without URLs: they may hold a signature.
pub(crate) fn with_causes(error: &reqwest::Error) -> String {
    use std::error::Error as _;
    let mut texts = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    if texts.is_empty() { "no answer".to_owned() } else { texts.join(": ") }
}
