//! The variables that lead a program to the proxy and make it trust the authority.

use std::path::PathBuf;

use super::host::DOMAINS;

/// Where the interception of a running Kiln is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// `http://127.0.0.1:PORT` of the forward proxy.
    pub proxy_url: String,
    /// Certificate of the authority alone, for runtimes that add to their own trust.
    pub ca_file: PathBuf,
    /// The system's certificates and the authority's, for runtimes that replace their trust.
    pub trust_bundle: PathBuf,
}

/// Names and values of the variables, in a fixed order.
///
/// `no_proxy` is what the program would have been given otherwise: it is kept, but for
/// entries that would keep Azure's names away from the proxy.
pub fn environment(published: &Published, no_proxy: Option<&str>) -> Vec<(String, String)> {
    let proxy = published.proxy_url.clone();
    let bundle = published.trust_bundle.display().to_string();
    let authority = published.ca_file.display().to_string();
    let direct = direct_hosts(no_proxy.unwrap_or_default());
    [
        ("HTTPS_PROXY", proxy.clone()),
        ("https_proxy", proxy),
        ("NO_PROXY", direct.clone()),
        ("no_proxy", direct),
        ("REQUESTS_CA_BUNDLE", bundle.clone()),
        ("CURL_CA_BUNDLE", bundle.clone()),
        ("SSL_CERT_FILE", bundle),
        ("NODE_EXTRA_CA_CERTS", authority),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// `NO_PROXY` for a program: loopback, and what `existing` names besides Azure.
fn direct_hosts(existing: &str) -> String {
    let mut hosts = vec!["127.0.0.1", "localhost", "::1"];
    for entry in existing.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty()) {
        if !hosts.contains(&entry) && !covers_azure(entry) {
            hosts.push(entry);
        }
    }
    hosts.join(",")
}

fn covers_azure(entry: &str) -> bool {
    let suffix = entry.trim_start_matches(['*', '.']).to_ascii_lowercase();
    let is_below = |inner: &str, outer: &str| {
        inner == outer || inner.strip_suffix(outer).is_some_and(|rest| rest.ends_with('.'))
    };
    suffix.is_empty()
        || DOMAINS.iter().any(|domain| is_below(domain, &suffix) || is_below(&suffix, domain))
}

#[cfg(test)]
mod tests {
    use super::direct_hosts;

    #[test]
    fn hosts_that_bypass_the_proxy() {
        let check = |existing, expected| assert_eq!(direct_hosts(existing), expected, "{existing}");
        check("", "127.0.0.1,localhost,::1");
        check("localhost, .corp.example", "127.0.0.1,localhost,::1,.corp.example");
        check("*", "127.0.0.1,localhost,::1");
        check(".windows.net,azure.com", "127.0.0.1,localhost,::1");
        check("acc.blob.core.windows.net", "127.0.0.1,localhost,::1");
        check("notazure.com,net", "127.0.0.1,localhost,::1,notazure.com");
    }
}
