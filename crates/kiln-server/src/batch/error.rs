//! Why an operation did not happen, inside the server.

use kiln_domain::rejection::Rejection;
use kiln_store::StoreError;
use kiln_wire::batch::error::Refusal;
use tracing::error;

/// Why an operation did not happen.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpError {
    /// A rule said no.
    #[error("the request was refused")]
    Rejected(#[from] Rejection),
    /// The state could not be read or changed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// A kept document can not be read.
    #[error("a kept {what} can not be read")]
    Damaged {
        what: &'static str,
        #[source]
        cause: serde_json::Error,
    },
}

impl OpError {
    /// The same of a body that is the member `parent` of another.
    pub(super) fn within(self, parent: &str) -> Self {
        match self {
            Self::Rejected(rejection) => rejection.within(parent).into(),
            Self::Store(_) | Self::Damaged { .. } => self,
        }
    }

    /// The rule that said no, for those who go on without.
    pub(super) fn into_rejection(self) -> Result<Rejection, StoreError> {
        match self {
            Self::Rejected(rejection) => Ok(rejection),
            Self::Store(cause) => Err(cause),
            Self::Damaged { what, cause } => Err(StoreError::Damaged { what, cause }),
        }
    }
}

impl From<OpError> for Refusal {
    fn from(failed: OpError) -> Self {
        match failed {
            OpError::Rejected(rejection) => rejection.into(),
            OpError::Store(_) | OpError::Damaged { .. } => {
                error!(error = %crate::chain(&failed), "an operation failed");
                let OpError::Store(cause) = &failed else { return Self::internal_error() };
                if cause.is_disk_full() {
                    disk_full()
                } else if cause.is_disk_failing() {
                    busy("The disk of the server cannot be written. Nothing was kept.")
                } else {
                    Self::internal_error()
                }
            }
        }
    }
}

/// There is no room for what is to be kept.
pub(super) fn disk_full() -> Refusal {
    busy("The disk of the server is full. Nothing was kept.")
}

/// Clients of every generation try a busy server again, and wait before they do.
fn busy(message: &str) -> Refusal {
    Refusal { message: message.to_owned(), ..Refusal::server_busy() }
}
