//! Where a running Kiln is found: `DATA/endpoints.json`, readable by its owner only.

use std::path::PathBuf;

use kiln_server::intercept::Published;
use serde::{Deserialize, Serialize};

use crate::data::{DataDirectory, write_whole};
use crate::failure::{Failure, NOT_RUNNING};

const FILE: &str = "endpoints.json";

/// Where a running Kiln is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Endpoints {
    /// The server's process.
    pub(crate) pid: u32,
    /// `http://127.0.0.1:8700`.
    pub(crate) batch_url: String,
    /// `http://127.0.0.1:10000`; an account's blobs are below `/ACCOUNT`.
    pub(crate) blob_url: String,
    /// The endpoint for operators.
    #[serde(default)]
    pub(crate) monitor_url: String,
    /// Names of the Batch accounts at the start.
    pub(crate) batch_accounts: Vec<String>,
    /// Names of the storage accounts at the start.
    pub(crate) storage_accounts: Vec<String>,
    /// The interception proxy.
    pub(crate) proxy_url: String,
    /// Certificate of the interception's authority.
    pub(crate) ca_file: PathBuf,
    /// The system's certificates and the authority's.
    pub(crate) trust_bundle: PathBuf,
}

impl Endpoints {
    /// Those of the Kiln that serves `data`; `None` if none does.
    pub(crate) fn find(data: &DataDirectory) -> Result<Option<Self>, Failure> {
        if !data.exists() || !data.is_served()? {
            return Ok(None);
        }
        let path = data.file(FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            // It is about to start, or to stop.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => {
                let what = format!("cannot read `{}`", path.display());
                return Err(Failure::new(what).because(cause));
            }
        };
        let found = serde_json::from_slice(&text).map_err(|cause| {
            Failure::new(format!("cannot read `{}`", path.display()))
                .because(cause)
                .hint("was it written by another version of Kiln? Restart `kiln up`")
        })?;
        Ok(Some(found))
    }

    /// Those of the Kiln that serves `data`, which must run.
    pub(crate) fn require(data: &DataDirectory) -> Result<Self, Failure> {
        Self::find(data)?.ok_or_else(|| {
            Failure::new(format!("no Kiln runs on `{}`", data.path().display()))
                .hint("start one with `kiln up`, or name its directory with --data DIR")
                .code(NOT_RUNNING)
        })
    }

    /// Tells client commands.
    pub(crate) fn publish(&self, data: &DataDirectory) -> Result<(), Failure> {
        write_whole(&data.file(FILE), self.to_json()?.as_bytes(), 0o600)
    }

    /// Takes it back; a file that stays does no harm, for the lock is gone.
    pub(crate) fn withdraw(data: &DataDirectory) {
        if let Err(error) = std::fs::remove_file(data.file(FILE)) {
            tracing::debug!(%error, "endpoints.json stays");
        }
    }

    /// As in the file.
    pub(crate) fn to_json(&self) -> Result<String, Failure> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|cause| Failure::new("cannot write JSON").because(cause))?;
        Ok(format!("{text}\n"))
    }

    /// Where the interception is found.
    pub(crate) fn interception(&self) -> Published {
        Published {
            proxy_url: self.proxy_url.clone(),
            ca_file: self.ca_file.clone(),
            trust_bundle: self.trust_bundle.clone(),
        }
    }

    /// The Blob endpoint of one account, path style.
    pub(crate) fn blob_url_of(&self, account: &str) -> String {
        format!("{}/{account}", self.blob_url)
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoints;
    use crate::data::DataDirectory;

    #[test]
    fn a_stale_file_is_not_believed() {
        let scratch = tempfile::tempdir().expect("a directory");
        let data = DataDirectory::at(scratch.path().to_owned());
        let endpoints = Endpoints {
            pid: 1,
            batch_url: "http://127.0.0.1:1".into(),
            blob_url: "http://127.0.0.1:2".into(),
            monitor_url: "http://127.0.0.1:4".into(),
            batch_accounts: vec!["kilndev".into()],
            storage_accounts: vec!["devstoreaccount1".into()],
            proxy_url: "http://127.0.0.1:3".into(),
            ca_file: "/ca.pem".into(),
            trust_bundle: "/bundle.pem".into(),
        };
        endpoints.publish(&data).expect("a file");
        assert_eq!(Endpoints::find(&data).expect("an answer"), None);
        let lock = data.lock().expect("the lock");
        assert_eq!(Endpoints::find(&data).expect("an answer"), Some(endpoints));
        drop(lock);
        assert!(Endpoints::require(&data).is_err());
    }
}
