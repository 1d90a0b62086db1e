//! What a refused Blob request is answered with.

use kiln_domain::blob::lease::Leased;
use kiln_domain::blob::rejection::BlobRejection;
use kiln_domain::time::Timestamp;

use super::target::BadAddress;
use super::xml::{InvalidXml, Writer};
use crate::auth::sas::SasRefusal;

/// The status, code and words of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobError {
    /// The status code.
    pub status: u16,
    /// Azure's name for it.
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
    /// More elements of the document, in order.
    pub details: Vec<(&'static str, String)>,
    /// More headers.
    pub headers: Vec<(&'static str, String)>,
}

impl BlobError {
    /// A refusal without details.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, code, message, details: Vec::new(), headers: Vec::new() }
    }

    /// The same with one more element.
    #[must_use]
    pub fn with_detail(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.details.push((name, text.into()));
        self
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The document that tells it.
    pub fn body(&self, request_id: &str, at: Timestamp) -> String {
        let mut xml = Writer::new();
        xml.open("Error", &[]);
        xml.leaf("Code", self.code);
        let time = at.to_iso_seven();
        let message = format!("{}\nRequestId:{request_id}\nTime:{time}", self.message);
        xml.leaf("Message", &message);
        for (name, text) in &self.details {
            xml.leaf(name, text);
        }
        xml.close("Error");
        xml.finish()
    }

    /// A header that cannot be read.
    pub fn invalid_header(name: &str, value: &str) -> Self {
        let message = "The value for one of the HTTP headers is not in the correct format.";
        Self::new(400, "InvalidHeaderValue", message)
            .with_detail("HeaderName", name)
            .with_detail("HeaderValue", value)
    }

    /// A header that must be there.
    pub fn missing_header(name: &str) -> Self {
        let message = "An HTTP header that's mandatory for this request is not specified.";
        Self::new(400, "MissingRequiredHeader", message).with_detail("HeaderName", name)
    }

    /// A query parameter that cannot be read.
    pub fn invalid_parameter(name: &str, value: &str, reason: &str) -> Self {
        let message =
            "Value for one of the query parameters specified in the request URI is invalid.";
        Self::new(400, "InvalidQueryParameterValue", message)
            .with_detail("QueryParameterName", name)
            .with_detail("QueryParameterValue", value)
            .with_detail("Reason", reason)
    }

    /// A query parameter outside of its limits.
    pub fn parameter_out_of_range(name: &str, value: &str) -> Self {
        let message = "One of the query parameters specified in the request URI is outside the \
                       permissible range.";
        Self::new(400, "OutOfRangeQueryParameterValue", message)
            .with_detail("QueryParameterName", name)
            .with_detail("QueryParameterValue", value)
    }

    /// A query parameter that must be there.
    pub fn missing_parameter(name: &str) -> Self {
        let message = "A query parameter that's mandatory for this request is not specified.";
        Self::new(400, "MissingRequiredQueryParameter", message)
            .with_detail("QueryParameterName", name)
    }

    /// No one may come in like this.
    pub fn authentication_failed(detail: impl Into<String>) -> Self {
        let message = "Server failed to authenticate the request. Make sure the value of \
                       Authorization header is formed correctly including the signature.";
        Self::new(403, "AuthenticationFailed", message)
            .with_detail("AuthenticationErrorDetail", detail)
    }

    /// The signature is not one that an account key makes.
    pub fn wrong_signature(found: &str, string_to_sign: &str) -> Self {
        Self::authentication_failed(format!(
            "The MAC signature found in the HTTP request '{found}' is not the same as any \
             computed signature. Server used following string to sign: '{string_to_sign}'."
        ))
    }

    /// The body is longer than the operation takes.
    pub fn body_too_large(limit_bytes: u64) -> Self {
        let message = "The request body is too large and exceeds the maximum permissible limit.";
        Self::new(413, "RequestBodyTooLarge", message)
            .with_detail("MaxLimit", limit_bytes.to_string())
    }

    /// The bytes that arrived are not those that were hashed.
    pub fn md5_mismatch(sent: &str, computed: &str) -> Self {
        let message = "The MD5 value specified in the request did not match with the MD5 value \
                       calculated by the server.";
        Self::new(400, "Md5Mismatch", message)
            .with_detail("UserSpecifiedMd5", sent)
            .with_detail("ServerCalculatedMd5", computed)
    }

    /// An operation of the service that is not served here.
    pub fn not_served(operation: &str) -> Self {
        Self::new(501, "NotImplemented", format!("Kiln does not serve the operation {operation}."))
    }

    /// An operation that only accounts with real directories have, which there are none of.
    pub fn for_hierarchies(operation: &str) -> Self {
        let message = format!(
            "The operation is not supported in this scenario: {operation} is for accounts with a \
             hierarchical namespace."
        );
        Self::new(409, "BlobOperationNotSupported", message)
    }

    /// Something broke; the log knows more.
    pub fn internal() -> Self {
        let message = "The server encountered an internal error. Please retry the request.";
        Self::new(500, "InternalError", message)
    }

    /// The range lies outside of the blob.
    pub fn invalid_range(size_bytes: u64) -> Self {
        let message = "The range specified is invalid for the current size of the resource.";
        Self::new(416, "InvalidRange", message)
            .with_header("Content-Range", format!("bytes */{size_bytes}"))
    }
}

impl From<BlobRejection> for BlobError {
    #[expect(clippy::too_many_lines, reason = "one line for each rule, nothing else")]
    fn from(rejection: BlobRejection) -> Self {
        use BlobRejection as R;
        let (status, code, message) = match &rejection {
            R::ContainerExists { .. } => {
                (409, "ContainerAlreadyExists", "The specified container already exists.")
            }
            R::ContainerNotFound { .. } => {
                (404, "ContainerNotFound", "The specified container does not exist.")
            }
            R::BlobNotFound { .. } => (404, "BlobNotFound", "The specified blob does not exist."),
            R::BlobExists { .. } => {
                (409, "BlobAlreadyExists", "The specified blob already exists.")
            }
            R::OverwriteNotPermitted { .. } => (
                403,
                "UnauthorizedBlobOverwrite",
                "This request is not authorized to perform blob overwrites.",
            ),
            R::InvalidName { .. } => (
                400,
                "InvalidResourceName",
                "The specified resource name contains invalid characters.",
            ),
            R::NameOutOfRange { .. } => {
                (400, "OutOfRangeInput", "One of the request inputs is out of range.")
            }
            R::InvalidMetadataName { .. } => (
                400,
                "InvalidMetadata",
                "The metadata specified is invalid. It has characters that are not permitted.",
            ),
            R::MetadataTooLarge { .. } => (
                400,
                "MetadataTooLarge",
                "The size of the specified metadata exceeds the maximum size permitted.",
            ),
            R::ConditionNotMet { .. } => (
                412,
                "ConditionNotMet",
                "The condition specified using HTTP conditional header(s) is not met.",
            ),
            R::NotModified { .. } => (
                304,
                "ConditionNotMet",
                "The condition specified using HTTP conditional header(s) is not met.",
            ),
            R::UnsatisfiableCondition { .. } => (
                400,
                "UnsatisfiableCondition",
                "The request includes an unsatisfiable condition for this operation.",
            ),
            R::TooManyConditions => (
                400,
                "MultipleConditionHeadersNotSupported",
                "Multiple condition headers are not supported.",
            ),
            R::InvalidBlockId { .. } => (
                400,
                "InvalidQueryParameterValue",
                "The block id is not base64 text of at most 64 bytes.",
            ),
            R::BlockIdLengthDiffers { .. } => {
                (400, "InvalidBlobOrBlock", "The specified blob or block content is invalid.")
            }
            R::BlockNotFound { .. } => {
                (400, "InvalidBlockList", "The specified block list is invalid.")
            }
            R::BlockListTooLong { .. } => {
                (400, "BlockListTooLong", "The block list may not contain more than 50,000 blocks.")
            }
            R::TooManyStagedBlocks { .. } => (
                409,
                "BlockCountExceedsLimit",
                "The uncommitted block count cannot exceed the maximum limit of 100,000 blocks.",
            ),
            R::TooManyTags { .. } => (
                400,
                "InvalidTag",
                "The tags specified are invalid. A blob has at most 10 of them.",
            ),
            R::InvalidTag { .. } => (
                400,
                "InvalidTag",
                "The tags specified are invalid. It has characters that are not permitted, or \
                 its length is out of range.",
            ),
            R::WrongKind { .. } => {
                (409, "InvalidBlobType", "The blob type is invalid for this operation.")
            }
            R::TierNotForKind { .. } => (
                400,
                "InvalidBlobTier",
                "The specified blob tier is invalid for a blob of this type.",
            ),
            R::Archived { .. } => {
                (409, "BlobArchived", "This operation is not permitted on an archived blob.")
            }
            R::UnderPolicy { .. } | R::ContainerHasProtectedBlobs { .. } => (
                409,
                "BlobImmutableDueToPolicy",
                "This operation is not permitted as the blob is immutable due to a policy.",
            ),
            R::UnderLegalHold => (
                409,
                "BlobImmutableDueToLegalHold",
                "This operation is not permitted as the blob is immutable due to one or more legal \
                 holds.",
            ),
            R::PolicyEndsInThePast { .. } => (
                400,
                "InvalidHeaderValue",
                "The value for one of the HTTP headers is not in the correct format.",
            ),
            R::SnapshotsPresent { .. } => (
                409,
                "SnapshotsPresent",
                "This operation is not permitted while the blob has snapshots.",
            ),
            R::CopyPending { .. } => {
                (409, "PendingCopyOperation", "There is currently a pending copy operation.")
            }
            R::NoCopyPending { .. } => {
                (409, "NoPendingCopyOperation", "There is currently no pending copy operation.")
            }
            R::LeaseIdMissing { of: Leased::Blob } => (
                412,
                "LeaseIdMissing",
                "There is currently a lease on the blob and no lease ID was specified in the request.",
            ),
            R::LeaseIdMissing { of: Leased::Container } => (
                412,
                "LeaseIdMissing",
                "There is currently a lease on the container and no lease ID was specified in the \
             request.",
            ),
            R::LeaseIdMismatch { of: Leased::Blob } => (
                412,
                "LeaseIdMismatchWithBlobOperation",
                "The lease ID specified did not match the lease ID for the blob.",
            ),
            R::LeaseIdMismatch { of: Leased::Container } => (
                412,
                "LeaseIdMismatchWithContainerOperation",
                "The lease ID specified did not match the lease ID for the container.",
            ),
            R::LeaseNotPresent { of: Leased::Blob } => (
                412,
                "LeaseNotPresentWithBlobOperation",
                "There is currently no lease on the blob.",
            ),
            R::LeaseNotPresent { of: Leased::Container } => (
                412,
                "LeaseNotPresentWithContainerOperation",
                "There is currently no lease on the container.",
            ),
            R::LeaseAlreadyPresent => {
                (409, "LeaseAlreadyPresent", "There is already a lease present.")
            }
            R::LeaseIsBreakingAndCannotBeAcquired => (
                409,
                "LeaseIsBreakingAndCannotBeAcquired",
                "The lease ID matched, but the lease is currently in breaking state and cannot be \
             acquired until it is broken.",
            ),
            R::LeaseIsBreakingAndCannotBeChanged => (
                409,
                "LeaseIsBreakingAndCannotBeChanged",
                "The lease ID matched, but the lease is currently in breaking state and cannot be \
             changed.",
            ),
            R::LeaseIsBrokenAndCannotBeRenewed => (
                409,
                "LeaseIsBrokenAndCannotBeRenewed",
                "The lease ID matched, but the lease has been broken explicitly and cannot be renewed.",
            ),
            R::LeaseIdMismatchWithLeaseOperation => (
                409,
                "LeaseIdMismatchWithLeaseOperation",
                "The lease ID specified did not match the lease ID for the resource.",
            ),
            R::LeaseNotPresentWithLeaseOperation => (
                409,
                "LeaseNotPresentWithLeaseOperation",
                "There is currently no lease on the resource.",
            ),
            R::AppendPositionNotMet { .. } => (
                412,
                "AppendPositionConditionNotMet",
                "The append position condition specified was not met.",
            ),
            R::MaxBlobSizeNotMet { .. } => (
                412,
                "MaxBlobSizeConditionNotMet",
                "The max blob size condition specified was not met.",
            ),
            R::Sealed { .. } => (
                409,
                "BlobIsSealed",
                "The specified blob is sealed and its contents can't be \
                  modified unless the blob is re-created.",
            ),
            R::TooManyAppendedBlocks { .. } => (
                409,
                "BlockCountExceedsLimit",
                "The committed block count cannot exceed the maximum limit of 50,000 blocks.",
            ),
            R::InvalidPageBlobSize { .. } => (
                400,
                "InvalidHeaderValue",
                "The value for one of the HTTP headers is not in the correct format.",
            ),
            R::InvalidPageRange { .. } => {
                (416, "InvalidPageRange", "The page range specified is invalid.")
            }
            R::PageRangeOutside { .. } => {
                (416, "InvalidPageRange", "The page range specified is invalid.")
            }
            R::SequenceNumberNotMet { .. } => (
                412,
                "SequenceNumberConditionNotMet",
                "The sequence number condition specified was not met.",
            ),
            R::EncryptionKeyNeeded => (
                409,
                "BlobUsesCustomerSpecifiedEncryption",
                "The blob is encrypted with customer specified encryption, but it was not provided \
                 in the request.",
            ),
            R::EncryptionKeyDiffers => (
                409,
                "BlobCustomerSpecifiedEncryptionMismatch",
                "The given customer specified encryption does not match the encryption used to \
                 encrypt the blob.",
            ),
            R::EncryptionKeyNotUsed => (
                409,
                "BlobDoesNotUseCustomerSpecifiedEncryption",
                "Customer specified encryption was provided in the request, but the blob does not \
                 use it.",
            ),
            R::TooManyPolicies { .. } | R::InvalidPolicyId { .. } => {
                (400, "InvalidXmlDocument", "XML specified is not syntactically valid.")
            }
        };
        Self::new(status, code, message).with_detail("Reason", rejection.to_string())
    }
}

impl From<BadAddress> for BlobError {
    fn from(bad: BadAddress) -> Self {
        match bad {
            BadAddress::UnknownAccount { account } => {
                Self::new(404, "ResourceNotFound", "The specified resource does not exist.")
                    .with_detail("Reason", format!("no storage account is called `{account}`"))
            }
            BadAddress::InvalidPath => Self::new(
                400,
                "InvalidUri",
                "The requested URI does not represent any resource on the server.",
            ),
        }
    }
}

impl From<InvalidXml> for BlobError {
    fn from(InvalidXml: InvalidXml) -> Self {
        Self::new(400, "InvalidXmlDocument", "XML specified is not syntactically valid.")
    }
}

impl From<SasRefusal> for BlobError {
    fn from(refusal: SasRefusal) -> Self {
        use SasRefusal as R;
        let detail = refusal.to_string();
        let (code, message) = match &refusal {
            R::Signature { string_to_sign } => {
                return Self::authentication_failed(format!(
                    "Signature did not match. String to sign used was '{string_to_sign}'."
                ));
            }
            R::Malformed { .. }
            | R::DelegationKey { .. }
            | R::User { .. }
            | R::TooEarly { .. }
            | R::Expired { .. }
            | R::PolicyNotFound { .. } => return Self::authentication_failed(detail),
            R::Protocol => (
                "AuthorizationProtocolMismatch",
                "This request is not authorized to perform this operation using this protocol.",
            ),
            R::SourceIp { peer } => {
                let error = Self::new(
                    403,
                    "AuthorizationSourceIPMismatch",
                    "This request is not authorized to perform this operation using this source IP.",
                );
                let peer = peer.map_or_else(|| "unknown".to_owned(), |peer| peer.to_string());
                return error.with_detail("SourceIP", peer);
            }
            R::Service => (
                "AuthorizationServiceMismatch",
                "This request is not authorized to perform this operation using this service.",
            ),
            R::ResourceType => (
                "AuthorizationResourceTypeMismatch",
                "This request is not authorized to perform this operation using this resource type.",
            ),
            R::Permission => (
                "AuthorizationPermissionMismatch",
                "This request is not authorized to perform this operation using this permission.",
            ),
        };
        Self::new(403, code, message)
    }
}

#[cfg(test)]
mod tests {
    use super::{BlobError, BlobRejection, Timestamp};

    #[test]
    fn the_document_of_an_error() {
        let name = "c".to_owned();
        let error = BlobError::from(BlobRejection::ContainerNotFound { name });
        let body = error.body("the-id", Timestamp(0));
        assert_eq!(
            body,
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>ContainerNotFound</Code>\
             <Message>The specified container does not exist.\nRequestId:the-id\n\
             Time:1970-01-01T00:00:00.0000000Z</Message>\
             <Reason>container `c` does not exist</Reason></Error>"
        );
    }
}
