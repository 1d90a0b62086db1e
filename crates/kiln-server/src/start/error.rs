//! Why the server did not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use kiln_extents::ExtentFailure;
use kiln_store::StoreError;

use crate::intercept::InterceptionError;

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The state can not be opened or read.
    #[error("the state in the data directory can not be used")]
    Store(#[from] StoreError),
    /// The folder of blob bytes can not be opened.
    #[error("the blob bytes in the data directory can not be used")]
    Extents(#[from] ExtentFailure),
    /// A folder for files of tasks can not be used.
    #[error("the folder `{}` for files of tasks can not be used", path.display())]
    Files {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The note that says where the bytes are can not be read or written.
    #[error("`{}`, which says where the bytes of blobs are, can not be used", path.display())]
    ExtentsNote {
        /// The note.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The bytes are somewhere else than the settings say.
    #[error("the bytes of these blobs are in {before}, and not in {wanted}")]
    OtherExtents {
        /// Where they are.
        before: String,
        /// What the settings say.
        wanted: String,
    },
    /// A listen address can not be bound.
    #[error("the {endpoint} endpoint can not listen on {address}")]
    Listen {
        /// `Batch` or `Blob`.
        endpoint: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The socket for agents can not be bound.
    #[error("the socket for agents, `{}`, can not be bound", path.display())]
    Link {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The interception can not be set up.
    #[error("the interception of Azure's names can not be set up")]
    Interception(#[from] InterceptionError),
    /// A well-known key would open the door to others.
    #[error(
        "account `{account}` has a published key, which is good on loopback only, \
         but the {endpoint} endpoint is to listen on {address}"
    )]
    WellKnownKey {
        /// The account.
        account: String,
        /// `Batch` or `Blob`.
        endpoint: &'static str,
        /// The address.
        address: SocketAddr,
    },
}

impl StartError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Listen { endpoint, address, .. } => Some(format!(
                "is another Kiln or Azurite running? Choose another address with \
                 --{}-listen, port 0 takes a free one (asked: {address})",
                endpoint.to_lowercase()
            )),
            Self::WellKnownKey { account, .. } => Some(format!(
                "make an account of your own with `kiln account create`, then remove `{account}` \
                 with `kiln account remove`, or regenerate both its keys"
            )),
            Self::Store(StoreError::TooNew { .. }) => {
                Some("use the Kiln that wrote it, or a newer one".to_owned())
            }
            Self::Store(cause) if cause.is_damaged() => Some(
                "the database was cut or changed by something else: bring the last backup to \
                 another place with `kiln restore`, and keep this file"
                    .to_owned(),
            ),
            Self::OtherExtents { .. } => {
                Some("set --extents as it was, or begin with another data directory".to_owned())
            }
            Self::Store(_)
            | Self::Extents(_)
            | Self::ExtentsNote { .. }
            | Self::Files { .. }
            | Self::Link { .. }
            | Self::Interception(_) => None,
        }
    }
}
