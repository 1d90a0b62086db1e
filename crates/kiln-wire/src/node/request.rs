//! What the server asks of a node's agent and waits for: users of the node, logs of the agent.

use std::fmt;

use kiln_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Something that the agent does at once, and answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum NodeRequest {
    /// Make a user.
    AddUser {
        /// As it is to be.
        user: NodeUser,
    },
    /// Change a user that was made so; it stays an administrator or none.
    ChangeUser {
        /// As it is to be.
        user: NodeUser,
    },
    /// Remove a user that was made so.
    RemoveUser {
        /// Its name.
        name: String,
    },
    /// Upload what the agent logged, after having answered.
    UploadLogs {
        /// Where to; holds its own authorization.
        container_url: SecretUrl,
        /// What the names of the blobs begin with.
        directory: String,
        /// Nothing that was written last before this.
        from: Timestamp,
        /// Nothing that was begun after this.
        until: Option<Timestamp>,
    },
}

/// A user of a node for logging in to it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeUser {
    /// Its name.
    pub name: String,
    /// Whether it may administer the node.
    pub is_admin: bool,
    /// What its password is checked against, in the form of `crypt`; none lets it in by key only.
    pub password_hash: Option<String>,
    /// A line for its `authorized_keys`.
    pub ssh_public_key: Option<String>,
    /// When it is removed.
    pub expires_at: Timestamp,
}

/// A URL that opens something to everyone who knows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretUrl(pub String);

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum NodeAnswer {
    /// It is done.
    Done,
    /// So many files are being uploaded.
    Uploading {
        /// How many.
        n_files: u32,
    },
}

/// Why a request was not met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum NodeRefusal {
    /// There is a user of that name.
    UserExists,
    /// There is none that was made so.
    UserNotFound,
    /// The node is of a kind that does not offer it.
    Unsupported {
        /// Why not, as a sentence.
        reason: String,
    },
    /// It did not work.
    Failed {
        /// What went wrong.
        message: String,
    },
}

impl fmt::Debug for NodeUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeUser")
            .field("name", &self.name)
            .field("is_admin", &self.is_admin)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.split(['?', '#']).next().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use kiln_domain::time::Timestamp;

    use super::{NodeRequest, NodeUser, SecretUrl};

    #[test]
    fn secrets_are_not_printed() {
        let user = NodeUser {
            name: "ann".to_owned(),
            is_admin: true,
            password_hash: Some("$6$hidden".to_owned()),
            ssh_public_key: None,
            expires_at: Timestamp(0),
        };
        let logs = NodeRequest::UploadLogs {
            container_url: SecretUrl("http://h/c?sig=hidden".to_owned()),
            directory: "d".to_owned(),
            from: Timestamp(0),
            until: None,
        };
        let shown = format!("{:?} {logs:?}", NodeRequest::AddUser { user });
        assert!(shown.contains("ann") && shown.contains("http://h/c"), "{shown}");
        assert!(!shown.contains("hidden"), "{shown}");
    }
}
