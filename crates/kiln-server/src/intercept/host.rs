//! Which of Azure's host names end at this Kiln.

/// Domains the authority may sign for; its certificate says so.
pub const DOMAINS: [&str; 4] = [
    "blob.core.windows.net",
    "batch.azure.com",
    "login.microsoftonline.com",
    "management.azure.com",
];

/// A host name that belongs to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AzureHost {
    /// `ACCOUNT.blob.core.windows.net`, or its `-secondary` twin.
    Blob {
        /// The storage account.
        account: String,
    },
    /// `ACCOUNT.REGION.batch.azure.com`.
    Batch {
        /// The Batch account.
        account: String,
        /// The region; any is taken.
        region: String,
    },
}

impl AzureHost {
    /// Reads a host name without port, in any case; `None` if it names no account.
    pub fn parse(host: &str) -> Option<Self> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        if let Some(account) = host.strip_suffix(".blob.core.windows.net") {
            let account = account.strip_suffix("-secondary").unwrap_or(account);
            return is_label(account).then(|| Self::Blob { account: account.to_owned() });
        }
        let (account, region) = host.strip_suffix(".batch.azure.com")?.split_once('.')?;
        (is_label(account) && is_label(region))
            .then(|| Self::Batch { account: account.to_owned(), region: region.to_owned() })
    }
}

fn is_label(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(is_inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::AzureHost;

    fn check(host: &str, expected: &str) {
        let text = match AzureHost::parse(host) {
            Some(AzureHost::Blob { account }) => format!("blob {account}"),
            Some(AzureHost::Batch { account, region }) => format!("batch {account} {region}"),
            None => "none".to_owned(),
        };
        assert_eq!(text, expected, "{host}");
    }

    #[test]
    fn host_names() {
        check("devstoreaccount1.blob.core.windows.net", "blob devstoreaccount1");
        check("DevStore.Blob.Core.Windows.Net.", "blob devstore");
        check("acc-secondary.blob.core.windows.net", "blob acc");
        check("kilndev.westeurope.batch.azure.com", "batch kilndev westeurope");
        check("kilndev.batch.azure.com", "none");
        check("a.b.westeurope.batch.azure.com", "none");
        check("a.b.blob.core.windows.net", "none");
        check(".blob.core.windows.net", "none");
        check("blob.core.windows.net", "none");
        check("acc.blob.core.windows.net.evil.example", "none");
        check("acc.queue.core.windows.net", "none");
    }
}
