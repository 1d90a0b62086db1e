//! A container: what is known of it, who may read it without a key.

use serde::{Deserialize, Serialize};

use super::condition::Face;
use super::content::Deletion;
use super::lease::Lease;
use super::limits::{POLICIES_MAX, POLICY_ID_LENGTH_MAX};
use super::metadata::Metadata;
use super::rejection::BlobRejection;
use crate::time::Timestamp;

/// A container of one storage account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its name within the account.
    pub name: String,
    /// Time of the last change of the container itself; its entity tag is made of it.
    pub modified_at: Timestamp,
    /// What users attached.
    pub metadata: Metadata,
    /// What needs no key or signature.
    pub public_access: PublicAccess,
    /// Policies that shared access signatures may name.
    pub policies: Vec<StoredPolicy>,
    /// Who alone may delete it.
    pub lease: Option<Lease>,
    /// Set when it was deleted and can still be brought back.
    pub deleted: Option<Deletion>,
}

impl Container {
    /// What conditions look at.
    pub fn face(&self) -> Face {
        Face { modified_at: self.modified_at }
    }

    /// The policy called `id`.
    pub fn policy(&self, id: &str) -> Option<&StoredPolicy> {
        self.policies.iter().find(|policy| policy.id == id)
    }
}

/// What may be read of a container without a key or a signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PublicAccess {
    /// Nothing.
    #[default]
    Private,
    /// Blobs whose name is known.
    Blob,
    /// Blobs, their list and the container's properties.
    Container,
}

/// A stored access policy: the part of shared access signatures that can be changed after
/// they were handed out. Values are kept as they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPolicy {
    /// Name within the container.
    pub id: String,
    /// Not valid before.
    pub start: Option<String>,
    /// Not valid after.
    pub expiry: Option<String>,
    /// What is allowed, as letters.
    pub permission: Option<String>,
}

/// Decides whether a container takes these policies.
pub fn check_policies(policies: &[StoredPolicy]) -> Result<(), BlobRejection> {
    if policies.len() > POLICIES_MAX {
        return Err(BlobRejection::TooManyPolicies { n_policies: policies.len() });
    }
    for (idx, policy) in policies.iter().enumerate() {
        let is_repeated = policies.iter().take(idx).any(|earlier| earlier.id == policy.id);
        if !(1..=POLICY_ID_LENGTH_MAX).contains(&policy.id.chars().count()) || is_repeated {
            return Err(BlobRejection::InvalidPolicyId { id: policy.id.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{StoredPolicy, check_policies};

    fn check(ids: &[&str], is_allowed: bool) {
        let policies: Vec<_> = ids
            .iter()
            .map(|id| StoredPolicy { id: (*id).to_owned(), ..StoredPolicy::default() })
            .collect();
        assert_eq!(check_policies(&policies).is_ok(), is_allowed, "{ids:?}");
    }

    #[test]
    fn rules_of_policies() {
        check(&[], true);
        check(&["a", "b", "c", "d", "e"], true);
        check(&["a", "b", "c", "d", "e", "f"], false);
        check(&["a", "a"], false);
        check(&[""], false);
        check(&[&"x".repeat(65)], false);
    }
}
