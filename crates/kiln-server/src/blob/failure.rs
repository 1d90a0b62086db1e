//! Why an operation came to no good end.

use std::io;

use kiln_domain::blob::rejection::BlobRejection;
use kiln_extents::ExtentFailure;
use kiln_store::StoreError;
use kiln_wire::auth::sas::SasRefusal;
use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::target::BadAddress;
use kiln_wire::blob::version::NoVersion;
use kiln_wire::blob::xml::InvalidXml;

/// Why an operation came to no good end.
#[derive(Debug)]
pub(super) enum Failure {
    /// The client is told why.
    Refused(Box<BlobError>),
    /// The client went away in the middle of its body.
    BodyEnded(io::Error),
    /// The store failed.
    Store(StoreError),
    /// The disk failed.
    Extent(ExtentFailure),
}

impl Failure {
    /// The answer to it; what the client must not see goes to the log, here and only here.
    pub(super) fn into_error(self, request_id: &str) -> BlobError {
        match self {
            Self::Refused(error) => *error,
            Self::BodyEnded(cause) => {
                tracing::debug!(request_id, %cause, "a body ended early");
                BlobError::new(400, "InvalidInput", "The body of the request ended early.")
            }
            Self::Store(cause) => {
                tracing::error!(request_id, cause = &cause as &dyn std::error::Error, "store");
                of_disk(cause.is_disk_full(), cause.is_disk_failing())
            }
            Self::Extent(cause) => {
                tracing::error!(request_id, cause = &cause as &dyn std::error::Error, "extents");
                of_disk(cause.is_disk_full(), cause.is_failing())
            }
        }
    }
}

/// What a client can do about a disk: wait for room, or for it to come back.
fn of_disk(is_full: bool, is_failing: bool) -> BlobError {
    if is_full {
        BlobError::new(507, "InsufficientStorage", "The disk of this server is full.")
    } else if is_failing {
        let message = "The disk of this server cannot be read or written at the moment.";
        BlobError::new(503, "ServerBusy", message)
    } else {
        BlobError::internal()
    }
}

impl From<BlobError> for Failure {
    fn from(error: BlobError) -> Self {
        Self::Refused(Box::new(error))
    }
}

impl From<BlobRejection> for Failure {
    fn from(rejection: BlobRejection) -> Self {
        BlobError::from(rejection).into()
    }
}

impl From<SasRefusal> for Failure {
    fn from(refusal: SasRefusal) -> Self {
        BlobError::from(refusal).into()
    }
}

impl From<BadAddress> for Failure {
    fn from(bad: BadAddress) -> Self {
        BlobError::from(bad).into()
    }
}

impl From<InvalidXml> for Failure {
    fn from(invalid: InvalidXml) -> Self {
        BlobError::from(invalid).into()
    }
}

impl From<NoVersion<'_>> for Failure {
    fn from(NoVersion(text): NoVersion<'_>) -> Self {
        BlobError::invalid_header("x-ms-version", text).into()
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<ExtentFailure> for Failure {
    fn from(failure: ExtentFailure) -> Self {
        Self::Extent(failure)
    }
}
