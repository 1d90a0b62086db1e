//! What an operator or a user set for a whole storage account.

use serde::{Deserialize, Serialize};

use super::content::Deletion;
use super::service::ServiceProperties;
use crate::span::Span;
use crate::time::Timestamp;

/// What is set for a whole storage account; what is absent is off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StorageSettings {
    /// Days for which deleted blobs can be brought back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blobs_kept_days: Option<u32>,
    /// Whether deleted snapshots and versions may be removed for good before their time.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allows_permanent_delete: bool,
    /// Days for which deleted containers can be brought back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub containers_kept_days: Option<u32>,
    /// Whether changed and deleted blobs leave a version behind.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keeps_versions: bool,
    /// What clients set besides.
    pub service: ServiceProperties,
    /// What user delegation keys are made under; made with the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delegation_secret: Option<DelegationSecret>,
}

/// What the user delegation keys of an account are made under: whoever knows it can make them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DelegationSecret(pub String);

impl std::fmt::Debug for DelegationSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DelegationSecret").finish_non_exhaustive()
    }
}

impl StorageSettings {
    /// How long a blob that is deleted now is kept, if it is.
    pub fn blob_deletion(&self, now: Timestamp) -> Option<Deletion> {
        self.blobs_kept_days.map(|days| kept(now, days))
    }

    /// How long a container that is deleted now is kept, if it is.
    pub fn container_deletion(&self, now: Timestamp) -> Option<Deletion> {
        self.containers_kept_days.map(|days| kept(now, days))
    }
}

fn kept(now: Timestamp, days: u32) -> Deletion {
    Deletion { deleted_at: now, purge_at: now.plus(Span::days(i64::from(days))) }
}
