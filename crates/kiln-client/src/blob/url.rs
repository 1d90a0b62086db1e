//! URLs of accounts, containers and blobs, taken apart.

use percent_encoding::percent_decode_str;
use reqwest::Url;

use crate::ClientError;

/// What a URL of the Blob service names.
#[derive(Clone, PartialEq, Eq)]
pub struct BlobUrl {
    /// Where the account is: `https://ACCOUNT.blob.core.windows.net`, or in path style
    /// `http://127.0.0.1:10000/ACCOUNT`.
    pub endpoint: String,
    /// The account.
    pub account: String,
    /// The container; empty when the account is meant.
    pub container: String,
    /// The blob, or how names begin; empty when the container is meant.
    pub blob: String,
    /// The shared access signature, as a query without its question mark.
    pub signature: Option<String>,
}

impl BlobUrl {
    /// Takes `text` apart. The account is in the host's name where that says `.blob.`, and else
    /// the first part of the path.
    ///
    /// # Errors
    /// When it is no `http` or `https` URL, or names no account.
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        let invalid = || ClientError::Endpoint { text: without_query(text) };
        let url = Url::parse(text).map_err(|_not_a_url| invalid())?;
        let is_http = matches!(url.scheme(), "http" | "https");
        let host = url.host_str().filter(|_| is_http).ok_or_else(invalid)?;
        let path = url.path().trim_start_matches('/');
        let (origin, of_host) = (url.origin().ascii_serialization(), host.split_once(".blob."));
        let (endpoint, account, rest) = match of_host {
            Some((account, _)) => (origin, account.to_owned(), path),
            None => {
                let (account, rest) = path.split_once('/').unwrap_or((path, ""));
                (format!("{origin}/{account}"), account.to_owned(), rest)
            }
        };
        if account.is_empty() {
            return Err(invalid());
        }
        let (container, blob) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let is_signed = url.query_pairs().any(|(name, _)| name == "sig");
        Ok(Self {
            endpoint,
            account,
            container: plain(container),
            blob: plain(blob),
            signature: url.query().filter(|_| is_signed).map(str::to_owned),
        })
    }
}

impl std::fmt::Debug for BlobUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobUrl")
            .field("endpoint", &self.endpoint)
            .field("container", &self.container)
            .field("blob", &self.blob)
            .finish_non_exhaustive()
    }
}

/// A URL as it may be shown: a signature is a secret.
fn without_query(text: &str) -> String {
    text.split('?').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::BlobUrl;

    fn check(text: &str, expected: [&str; 5]) {
        let url = BlobUrl::parse(text).expect("a URL");
        let signature = url.signature.unwrap_or_default();
        let found = [url.endpoint, url.account, url.container, url.blob, signature];
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn urls_are_taken_apart() {
        let cloud = "https://pics.blob.core.windows.net";
        check(&format!("{cloud}/c/a%20b/d.txt"), [cloud, "pics", "c", "a b/d.txt", ""]);
        check(cloud, [cloud, "pics", "", "", ""]);
        let here = "http://127.0.0.1:10000/dev";
        check(&format!("{here}/c/b?sv=1&sig=x%3D"), [here, "dev", "c", "b", "sv=1&sig=x%3D"]);
        check(&format!("{here}/c?snapshot=1"), [here, "dev", "c", "", ""]);
        for bad in ["ftp://a.blob.b/c", "http://127.0.0.1:10000", "c/b", ""] {
            assert!(BlobUrl::parse(bad).is_err(), "{bad}");
        }
    }
}
