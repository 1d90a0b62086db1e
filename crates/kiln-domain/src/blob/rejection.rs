//! Why a Blob request is refused.
//!
//! One variant per rule, with the values that rule looked at. Their codes, statuses and
//! wording are given on the wire, one per variant.

use super::kind::BlobKind;
use super::lease::Leased;
use super::tier::Tier;
use crate::time::Timestamp;

/// Why a Blob request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlobRejection {
    /// The container exists already.
    #[error("container `{name}` exists already")]
    ContainerExists {
        /// Its name.
        name: String,
    },
    /// No container of that name.
    #[error("container `{name}` does not exist")]
    ContainerNotFound {
        /// The name asked for.
        name: String,
    },
    /// No blob of that name.
    #[error("blob `{name}` does not exist")]
    BlobNotFound {
        /// The name asked for.
        name: String,
    },
    /// The request wanted to create the blob, and it is there.
    #[error("blob `{name}` exists already")]
    BlobExists {
        /// Its name.
        name: String,
    },
    /// The permission at hand creates blobs and does not overwrite them.
    #[error("blob `{name}` exists and the signature does not allow to overwrite it")]
    OverwriteNotPermitted {
        /// Its name.
        name: String,
    },
    /// A name with characters that are not allowed.
    #[error("name `{name}` holds characters that are not allowed")]
    InvalidName {
        /// The name.
        name: String,
    },
    /// A name that is too short or too long.
    #[error("name `{name}` is too short or too long")]
    NameOutOfRange {
        /// The name.
        name: String,
    },
    /// A metadata name that is no identifier.
    #[error("metadata name `{name}` is not an identifier")]
    InvalidMetadataName {
        /// The name.
        name: String,
    },
    /// Too much metadata.
    #[error("metadata of {size_bytes} bytes is too large")]
    MetadataTooLarge {
        /// Bytes of its names and values.
        size_bytes: usize,
    },
    /// A condition of the request does not hold.
    #[error("condition `{condition}` does not hold")]
    ConditionNotMet {
        /// The header that failed.
        condition: &'static str,
    },
    /// The client's copy is still good.
    #[error("not modified, by condition `{condition}`")]
    NotModified {
        /// The header that says so.
        condition: &'static str,
    },
    /// A condition that can never hold for this operation.
    #[error("condition `{condition}` cannot be met by this operation")]
    UnsatisfiableCondition {
        /// The header.
        condition: &'static str,
    },
    /// More conditions than may be combined.
    #[error("these conditions cannot be combined")]
    TooManyConditions,
    /// A block id that is not base64 of 1 to 64 bytes.
    #[error("block id `{id}` is not base64 of 1 to 64 bytes")]
    InvalidBlockId {
        /// The id as sent.
        id: String,
    },
    /// A block id of another length than those staged before.
    #[error("block id `{id}` differs in length from the other ids of this blob")]
    BlockIdLengthDiffers {
        /// The id as sent.
        id: String,
    },
    /// The list names a block that is not there.
    #[error("block `{id}` is not among the {searched} blocks of this blob")]
    BlockNotFound {
        /// The id as sent.
        id: String,
        /// Where it was looked for.
        searched: &'static str,
    },
    /// The list names too many blocks.
    #[error("a block list of {n_blocks} is too long")]
    BlockListTooLong {
        /// Blocks named.
        n_blocks: usize,
    },
    /// Too many blocks wait for their list.
    #[error("{n_blocks} staged blocks are the most one blob may have")]
    TooManyStagedBlocks {
        /// Blocks staged.
        n_blocks: usize,
    },
    /// Too many stored access policies.
    #[error("{n_policies} stored access policies are more than allowed")]
    TooManyPolicies {
        /// Policies sent.
        n_policies: usize,
    },
    /// A stored access policy with an id that is empty, too long or repeated.
    #[error("`{id}` cannot be the id of a stored access policy")]
    InvalidPolicyId {
        /// The id.
        id: String,
    },
    /// More index tags than a blob may have.
    #[error("{n_tags} tags are more than a blob may have")]
    TooManyTags {
        /// Tags sent.
        n_tags: usize,
    },
    /// An index tag that is empty, too long, repeated or has characters that are not allowed.
    #[error("`{key}` = `{value}` cannot be a tag")]
    InvalidTag {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
    /// The operation is for blobs of another kind.
    #[error("the blob is {found:?}, the operation is for {wanted:?}")]
    WrongKind {
        /// What the blob is.
        found: BlobKind,
        /// What it would have to be.
        wanted: BlobKind,
    },
    /// The tier is none that a blob of this kind can be in.
    #[error("tier `{}` is not for {kind:?} blobs", .tier.as_str())]
    TierNotForKind {
        /// The tier.
        tier: Tier,
        /// What the blob is.
        kind: BlobKind,
    },
    /// The request changes what somebody has a lease of, and shows no lease id.
    #[error("there is a lease on the {of:?} and no lease id in the request")]
    LeaseIdMissing {
        /// What is leased.
        of: Leased,
    },
    /// The request shows another lease id than the lease has.
    #[error("the lease id does not match the lease on the {of:?}")]
    LeaseIdMismatch {
        /// What is leased.
        of: Leased,
    },
    /// The request shows a lease id and there is no lease.
    #[error("there is no lease on the {of:?}")]
    LeaseNotPresent {
        /// What is not leased.
        of: Leased,
    },
    /// Somebody else has the lease.
    #[error("there is a lease already")]
    LeaseAlreadyPresent,
    /// The lease is about to end and cannot be had before.
    #[error("the lease is breaking and cannot be acquired until it is broken")]
    LeaseIsBreakingAndCannotBeAcquired,
    /// The lease is about to end and keeps its id until then.
    #[error("the lease is breaking and cannot be changed")]
    LeaseIsBreakingAndCannotBeChanged,
    /// The lease was ended by somebody.
    #[error("the lease was broken and cannot be renewed")]
    LeaseIsBrokenAndCannotBeRenewed,
    /// The lease has another id.
    #[error("the lease id does not match the lease")]
    LeaseIdMismatchWithLeaseOperation,
    /// There is no lease to do this with.
    #[error("there is no lease")]
    LeaseNotPresentWithLeaseOperation,
    /// The blob's tier does not let its content be read or changed.
    #[error("blob `{name}` is in the tier Archive")]
    Archived {
        /// Its name.
        name: String,
    },
    /// A policy keeps the blob, or itself, as it is.
    #[error("a policy keeps the blob as it is until {}", .until.to_rfc1123())]
    UnderPolicy {
        /// Until when.
        until: Timestamp,
    },
    /// A legal hold keeps the blob as it is.
    #[error("a legal hold keeps the blob as it is")]
    UnderLegalHold,
    /// A policy that ended before it began.
    #[error("a policy until {} would have ended already", .until.to_rfc1123())]
    PolicyEndsInThePast {
        /// Until when.
        until: Timestamp,
    },
    /// The container has blobs that are kept as they are.
    #[error("container `{name}` has blobs that a policy or a legal hold keeps")]
    ContainerHasProtectedBlobs {
        /// Its name.
        name: String,
    },
    /// The blob has snapshots, and the request does not say what becomes of them.
    #[error("blob `{name}` has snapshots")]
    SnapshotsPresent {
        /// Its name.
        name: String,
    },
    /// The blob is the target of a copy under way.
    #[error("a copy to blob `{name}` is under way")]
    CopyPending {
        /// Its name.
        name: String,
    },
    /// There is no such copy under way.
    #[error("copy `{id}` is not under way")]
    NoCopyPending {
        /// The id sent.
        id: String,
    },
    /// The blob is not as long as the append expects.
    #[error("the blob has {size_bytes} bytes")]
    AppendPositionNotMet {
        /// Bytes it has.
        size_bytes: u64,
    },
    /// The blob would be longer than the append allows.
    #[error("the blob would have {size_bytes} bytes")]
    MaxBlobSizeNotMet {
        /// Bytes it would have.
        size_bytes: u64,
    },
    /// The blob takes no more.
    #[error("blob `{name}` is sealed")]
    Sealed {
        /// Its name.
        name: String,
    },
    /// As much was appended as can be.
    #[error("{n_blocks} blocks are the most that can be appended to a blob")]
    TooManyAppendedBlocks {
        /// Blocks appended.
        n_blocks: u32,
    },
    /// A page blob cannot have this size.
    #[error("a page blob cannot have {size_bytes} bytes")]
    InvalidPageBlobSize {
        /// The size asked for.
        size_bytes: u64,
    },
    /// The range is not one of whole pages.
    #[error("{start} to {end} is not a range of whole pages")]
    InvalidPageRange {
        /// Its first byte.
        start: u64,
        /// The byte behind its last.
        end: u64,
    },
    /// The pages lie outside of the blob.
    #[error("the pages lie outside of the blob, which has {size_bytes} bytes")]
    PageRangeOutside {
        /// Bytes of the blob.
        size_bytes: u64,
    },
    /// The sequence number is not as the request expects.
    #[error("the sequence number is {found}")]
    SequenceNumberNotMet {
        /// What it is.
        found: u64,
    },
    /// The blob was written with a key, and the request brings none.
    #[error("the blob was written with a key that the request must bring")]
    EncryptionKeyNeeded,
    /// The blob was written with another key.
    #[error("the blob was written with another key than the request brings")]
    EncryptionKeyDiffers,
    /// The blob was written without a key, and the request brings one.
    #[error("the blob was written without a key, and the request brings one")]
    EncryptionKeyNotUsed,
}
