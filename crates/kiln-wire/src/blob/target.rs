//! Which account, container and blob a request is about.

use percent_encoding::percent_decode_str;

use kiln_domain::blob::name::ROOT_CONTAINER;

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The storage account.
    pub account: String,
    /// The container, if one is named.
    pub container: Option<String>,
    /// The blob, if one is named.
    pub blob: Option<String>,
    /// Whether the account stood in the path.
    pub is_path_style: bool,
    /// Whether the secondary endpoint was meant.
    pub is_secondary: bool,
}

/// The address as it came.
#[derive(Clone, Copy, Debug)]
pub struct Address<'a> {
    /// The `Host` header.
    pub host: &'a str,
    /// Path as on the wire.
    pub raw_path: &'a str,
    /// Whether the query says that the path ends with a container.
    pub is_for_container: bool,
    /// The account that the request is signed with, or else the default account: the one to
    /// take when the address names none.
    pub fallback_account: Option<&'a str>,
}

/// Why an address leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// No such account.
    #[error("storage account `{account}` does not exist")]
    UnknownAccount {
        /// What stood in its place.
        account: String,
    },
    /// The path is not text, or has a blob without a container.
    #[error("the path is not well formed")]
    InvalidPath,
}

/// Names that hosts of the cloud end with.
const CLOUD_SUFFIX: &str = ".blob.core.windows.net";
/// What the secondary endpoint adds to the account.
const SECONDARY: &str = "-secondary";

impl Target {
    /// Reads an address. The host names the account when it begins `ACCOUNT.blob.`; else the
    /// first part of the path does.
    pub fn parse(
        address: Address<'_>,
        mut is_account: impl FnMut(&str) -> bool,
    ) -> Result<Self, BadAddress> {
        let path = address.raw_path.strip_prefix('/').unwrap_or(address.raw_path);
        if let Some((account, is_secondary)) = account_of_host(address.host, &mut is_account)? {
            let found = Self::within(account, path, false, address.is_for_container)?;
            return Ok(Self { is_secondary, ..found });
        }
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        let first = decode(first)?;
        let primary = first.strip_suffix(SECONDARY).unwrap_or(&first);
        for account in [&first, primary] {
            if is_account(account) {
                let is_secondary = *account != *first;
                let rest = if is_secondary { without_account(account, rest) } else { rest };
                let found = Self::within(account.to_owned(), rest, true, address.is_for_container)?;
                return Ok(Self { is_secondary, ..found });
            }
        }
        match address.fallback_account {
            Some(account) if is_account(account) => {
                Self::within(account.to_owned(), path, false, address.is_for_container)
            }
            Some(_) | None => Err(BadAddress::UnknownAccount { account: first }),
        }
    }

    fn within(
        account: String,
        path: &str,
        is_path_style: bool,
        is_for_container: bool,
    ) -> Result<Self, BadAddress> {
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        let (first, rest) = (decode(first)?, decode(rest)?);
        let (container, blob) = match (first.as_str(), rest.as_str()) {
            ("", "") => (None, None),
            ("", _) => return Err(BadAddress::InvalidPath),
            (_, "") if is_for_container || path.ends_with('/') => (Some(first), None),
            (_, "") => (Some(ROOT_CONTAINER.to_owned()), Some(first)),
            (_, _) => (Some(first), Some(rest)),
        };
        Ok(Self { account, container, blob, is_path_style, is_secondary: false })
    }
}

/// The path behind the secondary account. The Python SDK of today puts the secondary account in
/// front of the primary one.
fn without_account<'a>(account: &str, path: &'a str) -> &'a str {
    match path.strip_prefix(account) {
        Some("") => "",
        Some(rest) => rest.strip_prefix('/').unwrap_or(path),
        None => path,
    }
}

fn account_of_host(
    host: &str,
    mut is_account: impl FnMut(&str) -> bool,
) -> Result<Option<(String, bool)>, BadAddress> {
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    let mut labels = name.split('.');
    let (Some(first), Some("blob")) = (labels.next(), labels.next()) else { return Ok(None) };
    let primary = first.strip_suffix(SECONDARY).unwrap_or(first);
    for account in [first, primary] {
        if is_account(account) {
            return Ok(Some((account.to_owned(), account != first)));
        }
    }
    if name.to_ascii_lowercase().ends_with(CLOUD_SUFFIX) {
        return Err(BadAddress::UnknownAccount { account: first.to_owned() });
    }
    Ok(None)
}

fn decode(text: &str) -> Result<String, BadAddress> {
    match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_not_text) => Err(BadAddress::InvalidPath),
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, Target};

    fn check(host: &str, raw_path: &str, fallback: Option<&str>, expected: &str) {
        let (raw_path, is_for_container) = match raw_path.strip_suffix("?c") {
            Some(raw_path) => (raw_path, true),
            None => (raw_path, false),
        };
        let address = Address { host, raw_path, is_for_container, fallback_account: fallback };
        let found = match Target::parse(address, |name| ["acct", "dev"].contains(&name)) {
            Ok(target) => format!(
                "{}{} {} {}",
                target.account,
                if target.is_secondary { "*" } else { "" },
                target.container.as_deref().unwrap_or("-"),
                target.blob.as_deref().unwrap_or("-")
            ),
            Err(bad) => bad.to_string(),
        };
        assert_eq!(found, expected, "{host}{raw_path}");
    }

    #[test]
    fn path_style() {
        let host = "127.0.0.1:10000";
        check(host, "/acct", None, "acct - -");
        check(host, "/acct/", None, "acct - -");
        check(host, "/acct/c?c", None, "acct c -");
        check(host, "/acct/c/?c", None, "acct c -");
        check(host, "/acct/c/b", None, "acct c b");
        check(host, "/acct/c/d/b%20c", None, "acct c d/b c");
        check(host, "/acct/c/dir%2Fa%20b.txt", None, "acct c dir/a b.txt");
        check(host, "/acct/c/a+b/../x", None, "acct c a+b/../x");
        check(host, "/acct/b", None, "acct $root b");
        check(host, "/acct-secondary/c/b", None, "acct* c b");
        check(host, "/acct-secondary/acct/", None, "acct* - -");
        check(host, "/acct-secondary/acct/c/b", None, "acct* c b");
        check(host, "/acct-secondary/accts/b", None, "acct* accts b");
        check("azurite:10000", "/acct/c/b", None, "acct c b");
    }

    #[test]
    fn host_style() {
        check("acct.blob.core.windows.net", "/c/b", None, "acct c b");
        check("acct.blob.localhost:10000", "/acct/b", None, "acct acct b");
        check("acct-secondary.blob.core.windows.net", "/", None, "acct* - -");
        check("acct.blob.core.windows.net", "/b", None, "acct $root b");
        check(
            "other.blob.core.windows.net",
            "/acct/c/b",
            Some("dev"),
            "storage account `other` does not exist",
        );
    }

    #[test]
    fn an_address_without_account_belongs_to_the_signer() {
        let host = "127.0.0.1:10000";
        check(host, "/c1?c", Some("dev"), "dev c1 -");
        check(host, "/c1/b", Some("dev"), "dev c1 b");
        check(host, "/c1/b", None, "storage account `c1` does not exist");
        check(host, "//b", Some("dev"), "the path is not well formed");
        check(host, "/acct/c/%FF", None, "the path is not well formed");
    }
}
