//! The headers that tell of a blob.

use kiln_domain::blob::content::{Blob, CopyRecord, CopyStatus};
use kiln_domain::blob::edition::Edition;
use kiln_domain::blob::encryption::Encryption;
use kiln_domain::blob::kind::BlobKind;
use kiln_domain::blob::lease::{Lease, LeaseState, state_of};
use kiln_domain::time::Timestamp;
use kiln_wire::blob::encryption;
use kiln_wire::blob::headers::DEFAULT_CONTENT_TYPE;
use kiln_wire::blob::kind;

use super::answer::{with_face, with_metadata};
use super::call::Call;
use super::immutability::with_protection;
use crate::http::Response;

/// The headers that tell of a blob, apart from checksums.
pub(super) fn describe(call: &Call, blob: &Blob, response: Response) -> Response {
    with_kept(call, blob, describe_itself(call, blob, response))
}

/// The same without what was said of its content: the body is not that.
pub(super) fn describe_itself(call: &Call, blob: &Blob, response: Response) -> Response {
    let response = with_face(response, blob.modified_at, &call.gates)
        .with_header("Accept-Ranges", "bytes")
        .with_header("x-ms-blob-type", kind::name(blob.kind));
    let response = with_lease(response, blob.lease.as_ref(), call.received_at);
    with_metadata(with_details(call, blob, response), &blob.metadata)
}

/// How it stands with a lease.
pub(super) fn with_lease(response: Response, lease: Option<&Lease>, now: Timestamp) -> Response {
    let state = state_of(lease, now);
    let status = if state.is_locked() { "locked" } else { "unlocked" };
    let response = response
        .with_header("x-ms-lease-status", status)
        .with_header("x-ms-lease-state", state.as_str());
    match (state, lease) {
        (LeaseState::Leased, Some(lease)) => {
            let duration = if lease.lasts_seconds.is_some() { "fixed" } else { "infinite" };
            response.with_header("x-ms-lease-duration", duration)
        }
        (_, _) => response,
    }
}

fn with_details(call: &Call, blob: &Blob, mut response: Response) -> Response {
    let (gates, details) = (&call.gates, &blob.details);
    if gates.has_creation_time() {
        response = response.with_header("x-ms-creation-time", blob.created_at.to_rfc1123());
    }
    if gates.has_encryption_headers() {
        response = response.with_header("x-ms-server-encrypted", "true");
    }
    match &details.encryption {
        Some(Encryption::Key(hash)) => {
            response = response.with_header(encryption::HASH, hash.as_str());
        }
        Some(Encryption::Scope(name)) => {
            response = response.with_header(encryption::SCOPE, name.as_str());
        }
        None => {}
    }
    if gates.has_tier() && call.method == "HEAD" {
        response = with_tier(blob, response);
    }
    if let Some(copy) = &details.copy {
        response = with_copy(response, copy);
    }
    match blob.kind {
        BlobKind::Block => {}
        BlobKind::Append => {
            response = response
                .with_header("x-ms-blob-committed-block-count", details.n_appended.to_string());
            if details.is_sealed {
                response = response.with_header("x-ms-blob-sealed", "true");
            }
        }
        BlobKind::Page => {
            response = response
                .with_header("x-ms-blob-sequence-number", details.sequence_number.to_string());
            if let Some(at) = details.incremental {
                response = response
                    .with_header("x-ms-incremental-copy", "true")
                    .with_header("x-ms-copy-destination-snapshot", at.to_iso_seven());
            }
        }
    }
    if !blob.tags.is_empty() {
        response = response.with_header("x-ms-tag-count", blob.tags.len().to_string());
    }
    if let Some(at) = details.version_at {
        response = response.with_header("x-ms-version-id", at.to_iso_seven());
        if blob.edition == Edition::Current {
            response = response.with_header("x-ms-is-current-version", "true");
        }
    }
    with_protection(response, blob)
}

fn with_tier(blob: &Blob, response: Response) -> Response {
    match (blob.kind, blob.details.tier) {
        (_, Some(state)) => response
            .with_header("x-ms-access-tier", state.tier.as_str())
            .with_header("x-ms-access-tier-change-time", state.changed_at.to_rfc1123()),
        (BlobKind::Block, None) => response
            .with_header("x-ms-access-tier", blob.tier().as_str())
            .with_header("x-ms-access-tier-inferred", "true"),
        (BlobKind::Append | BlobKind::Page, None) => response,
    }
}

fn with_copy(response: Response, copy: &CopyRecord) -> Response {
    let copied_bytes = copy.copied_bytes.unwrap_or(copy.size_bytes);
    let mut response = response
        .with_header("x-ms-copy-id", copy.id.as_str())
        .with_header("x-ms-copy-source", copy.source.as_str())
        .with_header("x-ms-copy-status", copy.status.as_str())
        .with_header("x-ms-copy-progress", format!("{copied_bytes}/{}", copy.size_bytes));
    if copy.status != CopyStatus::Pending {
        let completed_at = copy.completed_at.to_rfc1123();
        response = response.with_header("x-ms-copy-completion-time", completed_at);
    }
    if let Some(reason) = &copy.reason {
        response = response.with_header("x-ms-copy-status-description", reason.as_str());
    }
    response
}

/// The headers that are kept with the content; a token may say others.
fn with_kept(call: &Call, blob: &Blob, mut response: Response) -> Response {
    let properties = &blob.properties;
    let content_type = properties.content_type.as_deref().unwrap_or(DEFAULT_CONTENT_TYPE);
    let kept = [
        ("Content-Type", Some(content_type)),
        ("Content-Encoding", properties.encoding.as_deref()),
        ("Content-Language", properties.language.as_deref()),
        ("Content-Disposition", properties.disposition.as_deref()),
        ("Cache-Control", properties.cache_control.as_deref()),
    ];
    for (name, value) in kept {
        let from_token = call.token.as_ref().and_then(|token| {
            token.response_headers().find(|(header, _)| *header == name).map(|(_, value)| value)
        });
        if let Some(value) = from_token.or(value) {
            response = response.with_header(name, value);
        }
    }
    response
}
