//! What a request makes its success depend on: conditions and the id of a lease.

use kiln_domain::blob::condition::Conditions;
use kiln_domain::blob::content::{Blob, CopyStatus};
use kiln_domain::blob::encryption::{Encryption, expect_same};
use kiln_domain::blob::lease::{self, Lease, Leased};
use kiln_domain::blob::rejection::BlobRejection;
use kiln_domain::blob::tag_filter::TagFilter;
use kiln_domain::blob::tags::Tags;
use kiln_domain::time::Timestamp;
use kiln_wire::blob::encryption;
use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::tag_filter;
use uuid::Uuid;

use super::call::Call;
use super::failure::Failure;

pub(super) const IF_TAGS: &str = "x-ms-if-tags";

/// What a request makes its success depend on. Conditions are looked at before leases.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    pub(super) conditions: Conditions,
    pub(super) lease_id: Option<String>,
    pub(super) tags: Option<TagFilter>,
    pub(super) now: Timestamp,
    /// The key or scope that the request brings.
    pub(super) encryption: Option<Encryption>,
}

impl Guard {
    pub(super) fn of(call: &Call) -> Result<Self, Failure> {
        Ok(Self {
            conditions: call.conditions()?,
            lease_id: lease_id(call, "x-ms-lease-id")?,
            tags: tags(call)?,
            now: call.received_at,
            encryption: encryption::read(call.headers())?,
        })
    }

    /// What the headers say of the source of a copy: conditions and its key.
    pub(super) fn of_source(call: &Call) -> Result<Self, Failure> {
        let conditions = call.headers().source_conditions()?;
        let encryption = encryption::read_source(call.headers())?;
        let now = call.received_at;
        Ok(Self { conditions, lease_id: None, tags: None, now, encryption })
    }

    /// Decides whether `blob` may be read.
    pub(super) fn admit_read(&self, blob: &Blob) -> Result<(), BlobRejection> {
        self.conditions.decide_read(blob.face())?;
        self.admit_tags(&blob.tags)?;
        lease::admit_read(Leased::Blob, blob.lease.as_ref(), self.lease_id.as_deref(), self.now)
    }

    /// Decides whether the request brings the key that `blob` was written with.
    pub(super) fn expect_key(&self, blob: &Blob) -> Result<(), BlobRejection> {
        expect_same(blob.details.encryption.as_ref(), self.encryption.as_ref())
    }

    /// Decides whether `blob` may be changed or deleted.
    pub(super) fn admit_change(&self, blob: &Blob) -> Result<(), BlobRejection> {
        self.conditions.decide_change(blob.face())?;
        self.admit_tags(&blob.tags)?;
        self.admit_lease(blob.lease.as_ref())?;
        expect_no_copy(blob)
    }

    /// Decides whether `blob` may be changed in place: also that nothing keeps it as it is.
    pub(super) fn admit_rewrite(&self, blob: &Blob) -> Result<(), BlobRejection> {
        self.admit_change(blob)?;
        blob.details.protection.admit_change(self.now)
    }

    /// Decides whether the blob `name` may be created, or overwritten when it is `present`.
    pub(super) fn admit_put(
        &self,
        name: &str,
        present: Option<&Blob>,
    ) -> Result<(), BlobRejection> {
        self.conditions.decide_put(name, present.map(Blob::face))?;
        match present {
            Some(blob) => self.admit_tags(&blob.tags)?,
            None => self.admit_tags(&Tags::default())?,
        }
        self.admit_lease(present.and_then(|blob| blob.lease.as_ref()))?;
        present.map_or(Ok(()), expect_no_copy)
    }

    /// Decides whether the tags are as the request expects.
    pub(super) fn admit_tags(&self, found: &Tags) -> Result<(), BlobRejection> {
        match &self.tags {
            Some(filter) if !filter.holds(found) => {
                Err(BlobRejection::ConditionNotMet { condition: IF_TAGS })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Decides whether the holder of `lease`, if there is one, lets this request change things.
    pub(super) fn admit_lease(&self, lease: Option<&Lease>) -> Result<(), BlobRejection> {
        lease::admit_change(Leased::Blob, lease, self.lease_id.as_deref(), self.now)
    }

    /// The lease of a blob after this request has changed it.
    pub(super) fn lease_left(&self, lease: Option<Lease>) -> Option<Lease> {
        lease::after_change(lease, self.lease_id.as_deref(), self.now)
    }
}

fn expect_no_copy(blob: &Blob) -> Result<(), BlobRejection> {
    match &blob.details.copy {
        Some(copy) if copy.status == CopyStatus::Pending => {
            Err(BlobRejection::CopyPending { name: blob.name.clone() })
        }
        Some(_) | None => Ok(()),
    }
}

fn tags(call: &Call) -> Result<Option<TagFilter>, BlobError> {
    let Some(text) = call.headers().get(IF_TAGS) else { return Ok(None) };
    match tag_filter::condition(text) {
        Ok(filter) => Ok(Some(filter)),
        Err(invalid) => {
            let error = BlobError::invalid_header(IF_TAGS, text);
            Err(error.with_detail("Reason", invalid.to_string()))
        }
    }
}

/// The id of a lease that a header tells, in its usual spelling.
pub(super) fn lease_id(call: &Call, header: &str) -> Result<Option<String>, BlobError> {
    let Some(text) = call.headers().get(header) else { return Ok(None) };
    match Uuid::try_parse(text) {
        Ok(id) => Ok(Some(id.to_string())),
        Err(_not_an_id) => Err(BlobError::invalid_header(header, text)),
    }
}
