//! Which operation a request asks for, and what right it takes.

use crate::auth::sas::Scope;

/// The operations of the Blob service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are Azure's own")]
pub enum Operation {
    ListContainers,
    GetServiceProperties,
    SetServiceProperties,
    GetServiceStats,
    GetUserDelegationKey,
    GetAccountInformation,
    Batch,
    Preflight,
    CreateContainer,
    GetContainerProperties,
    SetContainerMetadata,
    GetContainerAcl,
    SetContainerAcl,
    DeleteContainer,
    ListBlobs,
    PutBlob,
    PutBlock,
    PutBlockList,
    GetBlockList,
    GetBlob,
    GetBlobProperties,
    GetBlobMetadata,
    QueryBlobContents,
    SetBlobMetadata,
    SetBlobProperties,
    DeleteBlob,
    UndeleteBlob,
    SnapshotBlob,
    LeaseBlob,
    LeaseContainer,
    SetBlobTier,
    GetBlobTags,
    SetBlobTags,
    CopyBlob,
    AbortCopyBlob,
    CopyBlobFromUrl,
    IncrementalCopyBlob,
    PutBlobFromUrl,
    PutBlockFromUrl,
    AppendBlockFromUrl,
    PutPageFromUrl,
    RestoreContainer,
    FindBlobsByTags,
    FindBlobsByTagsInContainer,
    AppendBlock,
    SealAppendBlob,
    PutPage,
    GetPageRanges,
    SetImmutabilityPolicy,
    DeleteImmutabilityPolicy,
    SetLegalHold,
    SetExpiry,
    /// An operation of the service that is not served, by Azure's name for it.
    Unserved(&'static str),
}

/// What the path of a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The account.
    Service,
    /// A container.
    Container,
    /// A blob.
    Blob,
}

/// What tells operations apart.
#[derive(Clone, Copy, Debug)]
pub struct Signs<'a> {
    /// The verb.
    pub method: &'a str,
    /// What the path names.
    pub place: Place,
    /// `restype`, or empty.
    pub restype: &'a str,
    /// `comp`, or empty.
    pub comp: &'a str,
    /// Whether and how content comes from an `x-ms-copy-source`.
    pub copying: Copying,
    /// Whether there is an `x-ms-blob-type`.
    pub has_blob_type: bool,
    /// Whether a snapshot or a version is named.
    pub is_of_past: bool,
}

/// Whether and how content comes from an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copying {
    /// It comes with the request.
    Not,
    /// It may come after the answer.
    Beside,
    /// It comes before the answer.
    Awaited,
}

/// Why no operation fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoOperation {
    /// The resource has no such verb.
    Verb,
    /// The resource has no such `comp` or `restype`.
    Parameter,
    /// The operation is not for snapshots and versions.
    OfPast,
}

impl Operation {
    /// The operation that these signs ask for.
    pub fn of(signs: Signs<'_>) -> Result<Self, NoOperation> {
        let Signs { restype, comp, .. } = signs;
        if signs.method == "OPTIONS" {
            return Ok(Self::Preflight);
        }
        if restype == "account" && comp == "properties" && is_read(signs.method) {
            return Ok(Self::GetAccountInformation);
        }
        match signs.place {
            Place::Service => of_service(signs.method, restype, comp),
            Place::Container if restype == "container" => of_container(signs.method, comp),
            Place::Container => Err(NoOperation::Parameter),
            Place::Blob => of_blob(signs),
        }
    }

    /// What right it takes.
    pub fn rights(self) -> Rights {
        let (scope, account, service) = match self {
            Self::ListContainers => (Scope::Service, Some("l"), None),
            Self::GetServiceProperties | Self::GetServiceStats => (Scope::Service, Some("r"), None),
            Self::SetServiceProperties => (Scope::Service, Some("w"), None),
            Self::GetUserDelegationKey | Self::Preflight => (Scope::Service, None, None),
            Self::GetAccountInformation | Self::Batch => (Scope::Service, ANY_LETTER, ANY_LETTER),
            Self::CreateContainer => (Scope::Container, Some("cw"), None),
            Self::GetContainerProperties => (Scope::Container, Some("r"), None),
            Self::SetContainerMetadata => (Scope::Container, Some("w"), None),
            Self::GetContainerAcl | Self::SetContainerAcl => (Scope::Container, None, None),
            Self::DeleteContainer => (Scope::Container, Some("d"), None),
            Self::ListBlobs => (Scope::Container, Some("l"), Some("l")),
            Self::PutBlob
            | Self::PutBlock
            | Self::PutBlockList
            | Self::CopyBlob
            | Self::CopyBlobFromUrl
            | Self::IncrementalCopyBlob
            | Self::PutBlobFromUrl
            | Self::PutBlockFromUrl
            | Self::SnapshotBlob => (Scope::Object, Some("cw"), Some("cw")),
            Self::GetBlockList
            | Self::GetBlob
            | Self::GetBlobProperties
            | Self::GetBlobMetadata
            | Self::QueryBlobContents => (Scope::Object, Some("r"), Some("r")),
            Self::SetBlobMetadata
            | Self::SetBlobProperties
            | Self::SetBlobTier
            | Self::LeaseBlob
            | Self::UndeleteBlob
            | Self::SetExpiry
            | Self::AbortCopyBlob => (Scope::Object, Some("w"), Some("w")),
            Self::AppendBlock | Self::AppendBlockFromUrl => (Scope::Object, Some("aw"), Some("aw")),
            Self::SealAppendBlob | Self::PutPage | Self::PutPageFromUrl => {
                (Scope::Object, Some("w"), Some("w"))
            }
            Self::GetPageRanges => (Scope::Object, Some("r"), Some("r")),
            Self::SetImmutabilityPolicy | Self::DeleteImmutabilityPolicy | Self::SetLegalHold => {
                (Scope::Object, Some("i"), Some("i"))
            }
            Self::GetBlobTags | Self::SetBlobTags => (Scope::Object, Some("t"), Some("t")),
            Self::FindBlobsByTags => (Scope::Service, Some("f"), None),
            Self::FindBlobsByTagsInContainer => (Scope::Container, Some("f"), Some("f")),
            Self::RestoreContainer => (Scope::Container, Some("w"), None),
            Self::LeaseContainer => (Scope::Container, Some("w"), None),
            Self::DeleteBlob => (Scope::Object, Some("d"), Some("d")),
            Self::Unserved(_) => (Scope::Object, None, None),
        };
        Rights { scope, account_letters: account, service_letters: service }
    }

    /// Whether it reads a blob: what public access to blobs allows.
    pub fn is_blob_read(self) -> bool {
        matches!(
            self,
            Self::GetBlockList
                | Self::GetPageRanges
                | Self::GetBlob
                | Self::GetBlobProperties
                | Self::GetBlobMetadata
        )
    }

    /// Whether it may name a snapshot or a version.
    fn fits_the_past(self) -> bool {
        self.is_blob_read()
            || matches!(
                self,
                Self::DeleteBlob
                    | Self::QueryBlobContents
                    | Self::SetBlobTier
                    | Self::GetBlobTags
                    | Self::SetBlobTags
                    | Self::SetImmutabilityPolicy
                    | Self::DeleteImmutabilityPolicy
                    | Self::SetLegalHold
                    | Self::GetAccountInformation
                    | Self::Unserved(_)
            )
    }

    /// Whether it reads a container: what public access to a container allows besides.
    pub fn is_container_read(self) -> bool {
        matches!(self, Self::ListBlobs | Self::GetContainerProperties)
    }
}

/// Any letter will do.
const ANY_LETTER: Option<&str> = Some("racwdxyltfmeopiu");

/// What right an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// What part of an account it touches.
    pub scope: Scope,
    /// Letters of which an account signature needs one; `None` if none is enough.
    pub account_letters: Option<&'static str>,
    /// Letters of which a signature for a container or blob needs one; `None` if none is
    /// enough.
    pub service_letters: Option<&'static str>,
}

fn is_read(method: &str) -> bool {
    matches!(method, "GET" | "HEAD")
}

fn of_service(method: &str, restype: &str, comp: &str) -> Result<Operation, NoOperation> {
    use Operation as O;
    Ok(match (method, restype, comp) {
        ("GET", "", "list") => O::ListContainers,
        ("GET", "service", "properties") => O::GetServiceProperties,
        ("PUT", "service", "properties") => O::SetServiceProperties,
        ("GET", "service", "stats") => O::GetServiceStats,
        ("POST", "service", "userdelegationkey") => O::GetUserDelegationKey,
        // The JavaScript SDK takes an account in the path for a container.
        ("POST", "" | "container", "batch") => O::Batch,
        ("GET", "", "blobs") => O::FindBlobsByTags,
        ("GET" | "HEAD" | "PUT" | "POST" | "DELETE", _, _) => return Err(NoOperation::Parameter),
        (_, _, _) => return Err(NoOperation::Verb),
    })
}

fn of_container(method: &str, comp: &str) -> Result<Operation, NoOperation> {
    use Operation as O;
    Ok(match (method, comp) {
        ("PUT", "") => O::CreateContainer,
        ("GET" | "HEAD", "" | "metadata") => O::GetContainerProperties,
        ("PUT", "metadata") => O::SetContainerMetadata,
        ("GET" | "HEAD", "acl") => O::GetContainerAcl,
        ("PUT", "acl") => O::SetContainerAcl,
        ("DELETE", "") => O::DeleteContainer,
        ("GET", "list") => O::ListBlobs,
        ("PUT", "lease") => O::LeaseContainer,
        ("PUT", "undelete") => O::RestoreContainer,
        ("PUT", "rename") => O::Unserved("Rename Container"),
        ("POST", "batch") => O::Batch,
        ("GET", "blobs") => O::FindBlobsByTagsInContainer,
        ("GET" | "HEAD" | "PUT" | "POST" | "DELETE", _) => return Err(NoOperation::Parameter),
        (_, _) => return Err(NoOperation::Verb),
    })
}

fn of_blob(signs: Signs<'_>) -> Result<Operation, NoOperation> {
    use Operation as O;
    let is_of_past = signs.is_of_past;
    let is_copy = signs.copying != Copying::Not;
    let operation = match (signs.method, signs.comp) {
        ("PUT", "") if is_copy && signs.has_blob_type => O::PutBlobFromUrl,
        ("PUT", "") if signs.copying == Copying::Awaited => O::CopyBlobFromUrl,
        ("PUT", "") if is_copy => O::CopyBlob,
        ("PUT", "") => O::PutBlob,
        ("PUT", "block") if is_copy => O::PutBlockFromUrl,
        ("PUT", "block") => O::PutBlock,
        ("PUT", "blocklist") => O::PutBlockList,
        ("GET", "blocklist") => O::GetBlockList,
        ("GET", "") => O::GetBlob,
        ("HEAD", "") => O::GetBlobProperties,
        ("GET" | "HEAD", "metadata") => O::GetBlobMetadata,
        ("PUT", "metadata") => O::SetBlobMetadata,
        ("PUT", "properties") => O::SetBlobProperties,
        ("DELETE", "") => O::DeleteBlob,
        ("PUT", "lease") => O::LeaseBlob,
        ("PUT", "snapshot") => O::SnapshotBlob,
        ("PUT", "undelete") => O::UndeleteBlob,
        ("PUT", "copy") => O::AbortCopyBlob,
        ("PUT", "tier") => O::SetBlobTier,
        ("GET", "tags") => O::GetBlobTags,
        ("PUT", "tags") => O::SetBlobTags,
        ("PUT", "appendblock") if is_copy => O::AppendBlockFromUrl,
        ("PUT", "appendblock") => O::AppendBlock,
        ("PUT", "seal") => O::SealAppendBlob,
        ("PUT", "page") if is_copy => O::PutPageFromUrl,
        ("PUT", "page") => O::PutPage,
        ("GET", "pagelist") => O::GetPageRanges,
        ("POST", "query") => O::QueryBlobContents,
        ("PUT", "expiry") => O::SetExpiry,
        ("PUT", "legalhold") => O::SetLegalHold,
        ("PUT", "immutabilityPolicies") => O::SetImmutabilityPolicy,
        ("DELETE", "immutabilityPolicies") => O::DeleteImmutabilityPolicy,
        ("PUT", "incrementalcopy") => O::IncrementalCopyBlob,
        ("GET" | "HEAD" | "PUT" | "POST" | "DELETE", _) => return Err(NoOperation::Parameter),
        (_, _) => return Err(NoOperation::Verb),
    };
    if is_of_past && !operation.fits_the_past() {
        return Err(NoOperation::OfPast);
    }
    Ok(operation)
}

#[cfg(test)]
mod tests {
    use super::{Copying, NoOperation, Operation, Place, Signs};

    fn check(method: &str, place: Place, query: &str, expected: Result<Operation, NoOperation>) {
        let (restype, comp) = query.split_once(' ').expect("restype comp");
        let signs = Signs {
            method,
            place,
            restype,
            comp,
            copying: Copying::Not,
            has_blob_type: false,
            is_of_past: false,
        };
        assert_eq!(Operation::of(signs), expected, "{method} {query}");
    }

    #[test]
    fn operations() {
        check("GET", Place::Service, " list", Ok(Operation::ListContainers));
        check("HEAD", Place::Blob, "account properties", Ok(Operation::GetAccountInformation));
        check("PUT", Place::Container, "container ", Ok(Operation::CreateContainer));
        check("GET", Place::Container, "container list", Ok(Operation::ListBlobs));
        check("PUT", Place::Blob, " ", Ok(Operation::PutBlob));
        check("PUT", Place::Blob, " lease", Ok(Operation::LeaseBlob));
        check("PUT", Place::Blob, " odd", Err(NoOperation::Parameter));
        check("PATCH", Place::Blob, " ", Err(NoOperation::Verb));
        check("OPTIONS", Place::Container, " odd", Ok(Operation::Preflight));
        check("POST", Place::Service, " batch", Ok(Operation::Batch));
        check("POST", Place::Service, "container batch", Ok(Operation::Batch));
        check("POST", Place::Container, "container batch", Ok(Operation::Batch));
        check("GET", Place::Container, " list", Err(NoOperation::Parameter));
    }
}
