//! Lists of containers and blobs, as XML.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use kiln_domain::blob::container::{Container, PublicAccess};
use kiln_domain::blob::content::{Blob, CopyRecord, CopyStatus, Deletion};
use kiln_domain::blob::edition::Edition;
use kiln_domain::blob::immutability::Protection;
use kiln_domain::blob::lease::{Lease, LeaseState, state_of};
use kiln_domain::blob::listing::{Entry, Page};
use kiln_domain::blob::metadata::Metadata;

use kiln_domain::blob::kind::BlobKind;
use kiln_domain::time::Timestamp;

use super::error::BlobError;
use super::gates::Gates;
use super::xml::{Writer, write_tags};
use super::{kind, marker};

/// Seconds of a day.
const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// What a client asked a list for, repeated in the answer.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Where the service is, with a slash at the end.
    pub service_endpoint: String,
    /// `prefix`.
    pub prefix: String,
    /// `marker`.
    pub marker: String,
    /// `maxresults`, if given.
    pub max_results: Option<usize>,
    /// `delimiter`.
    pub delimiter: String,
    /// What is wanted besides names and properties.
    pub includes: Includes,
    /// The time for which the state of leases is told.
    pub now: Timestamp,
}

/// What is wanted in a list besides names and properties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word that a client gives or not")]
pub struct Includes {
    /// Metadata.
    pub metadata: bool,
    /// Snapshots.
    pub snapshots: bool,
    /// Versions.
    pub versions: bool,
    /// What is deleted and can be brought back.
    pub deleted: bool,
    /// Blobs that have staged blocks and nothing else.
    pub uncommitted: bool,
    /// The copy that content came from.
    pub copy: bool,
    /// Tags.
    pub tags: bool,
    /// Policies that keep blobs as they are.
    pub policies: bool,
    /// Legal holds.
    pub holds: bool,
    /// Names of which only versions are left.
    pub deleted_with_versions: bool,
    /// Containers of the service itself.
    pub system: bool,
}

impl Includes {
    /// Reads the words of `include`.
    pub fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Result<Self, BlobError> {
        let mut includes = Self::default();
        for word in words.flat_map(|text| text.split(',')).map(str::trim) {
            match word.to_ascii_lowercase().as_str() {
                "metadata" => includes.metadata = true,
                "snapshots" => includes.snapshots = true,
                "versions" => includes.versions = true,
                "deleted" => includes.deleted = true,
                "uncommittedblobs" => includes.uncommitted = true,
                "copy" => includes.copy = true,
                "tags" => includes.tags = true,
                "immutabilitypolicy" => includes.policies = true,
                "legalhold" => includes.holds = true,
                "deletedwithversions" => includes.deleted_with_versions = true,
                "system" => includes.system = true,
                // What this would add, no blob here has.
                "" | "permissions" => {}
                _ => {
                    let reason = "not something that a list can include";
                    return Err(BlobError::invalid_parameter("include", word, reason));
                }
            }
        }
        Ok(includes)
    }
}

/// A container in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerItem {
    /// The container.
    pub container: Container,
    /// Tells it from others of its name that were deleted.
    pub number: i64,
}

/// The text by which a client names a deleted container.
pub fn container_version(number: i64) -> String {
    format!("{number:016X}")
}

/// The number in such a text.
pub fn parse_container_version(text: &str) -> Option<i64> {
    i64::from_str_radix(text, 16).ok()
}

/// The names that public access levels have in headers and lists.
pub fn public_access_name(access: PublicAccess) -> Option<&'static str> {
    match access {
        PublicAccess::Private => None,
        PublicAccess::Blob => Some("blob"),
        PublicAccess::Container => Some("container"),
    }
}

/// The list of containers.
pub fn containers(asked: &Asked, page: &Page<ContainerItem>) -> String {
    let mut xml = Writer::new();
    xml.open("EnumerationResults", &[("ServiceEndpoint", &asked.service_endpoint)]);
    echo(&mut xml, asked);
    xml.open("Containers", &[]);
    for entry in &page.entries {
        let Entry::Item(ContainerItem { container, number }) = entry else { continue };
        xml.open("Container", &[]);
        xml.leaf("Name", &container.name);
        if container.deleted.is_some() {
            xml.leaf("Deleted", "true");
            xml.leaf("Version", &container_version(*number));
        }
        xml.open("Properties", &[]);
        xml.leaf("Last-Modified", &container.modified_at.to_rfc1123());
        xml.leaf("Etag", &container.modified_at.to_etag());
        lease(&mut xml, container.lease.as_ref(), asked.now);
        xml.optional("PublicAccess", public_access_name(container.public_access));
        xml.leaf("HasImmutabilityPolicy", "false");
        xml.leaf("HasLegalHold", "false");
        deletion(&mut xml, container.deleted, asked.now);
        xml.close("Properties");
        if asked.includes.metadata {
            metadata(&mut xml, &container.metadata);
        }
        xml.close("Container");
    }
    xml.close("Containers");
    next_marker(&mut xml, page.next.as_ref());
    xml.close("EnumerationResults");
    xml.finish()
}

/// The list of blobs of one container.
pub fn blobs(asked: &Asked, container: &str, page: &Page<Blob>, gates: &Gates) -> String {
    let mut xml = Writer::new();
    let attributes =
        [("ServiceEndpoint", asked.service_endpoint.as_str()), ("ContainerName", container)];
    xml.open("EnumerationResults", &attributes);
    echo(&mut xml, asked);
    if !asked.delimiter.is_empty() {
        xml.leaf("Delimiter", &asked.delimiter);
    }
    xml.open("Blobs", &[]);
    for entry in &page.entries {
        match entry {
            Entry::Prefix(prefix) => {
                xml.open("BlobPrefix", &[]);
                name(&mut xml, prefix, gates);
                xml.close("BlobPrefix");
            }
            Entry::Item(item) => blob(&mut xml, asked, item, gates),
        }
    }
    xml.close("Blobs");
    next_marker(&mut xml, page.next.as_ref());
    xml.close("EnumerationResults");
    xml.finish()
}

/// Whether a blob of a list, its last version, stands for a name of which only versions are
/// left: in lists that show versions each stands for itself.
pub fn is_for_its_name(blob: &Blob, includes: Includes) -> bool {
    matches!(blob.edition, Edition::Version(_)) && !includes.versions
}

fn blob(xml: &mut Writer, asked: &Asked, blob: &Blob, gates: &Gates) {
    xml.open("Blob", &[]);
    name(xml, &blob.name, gates);
    if blob.deleted.is_some() {
        xml.leaf("Deleted", "true");
    }
    if let Edition::Snapshot(at) = blob.edition {
        xml.leaf("Snapshot", &at.to_iso_seven());
    }
    if let Some(at) = blob.details.version_at {
        xml.leaf("VersionId", &at.to_iso_seven());
        if blob.edition.is_current() {
            xml.leaf("IsCurrentVersion", "true");
        }
        if is_for_its_name(blob, asked.includes) {
            xml.leaf("HasVersionsOnly", "true");
        }
    }
    xml.open("Properties", &[]);
    properties(xml, blob, gates);
    kept_by_kind(xml, blob, gates);
    lease(xml, blob.lease.as_ref(), asked.now);
    if let Some(record) = blob.details.copy.as_ref().filter(|_| asked.includes.copy) {
        copy(xml, record);
    }
    xml.leaf("ServerEncrypted", "true");
    if !blob.tags.is_empty() {
        xml.leaf("TagCount", &blob.tags.len().to_string());
    }
    deletion(xml, blob.deleted, asked.now);
    protection(xml, blob.details.protection, asked.includes);
    xml.close("Properties");
    if asked.includes.metadata {
        metadata(xml, &blob.metadata);
    }
    if asked.includes.tags && !blob.tags.is_empty() {
        write_tags(xml, &blob.tags);
    }
    xml.close("Blob");
}

fn properties(xml: &mut Writer, blob: &Blob, gates: &Gates) {
    let properties = &blob.properties;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    if gates.has_creation_time() {
        xml.leaf("Creation-Time", &blob.created_at.to_rfc1123());
    }
    xml.leaf("Last-Modified", &blob.modified_at.to_rfc1123());
    xml.leaf("Etag", &blob.modified_at.to_etag());
    xml.leaf("Content-Length", &blob.size_bytes.to_string());
    xml.leaf("Content-Type", &text(&properties.content_type));
    xml.leaf("Content-Encoding", &text(&properties.encoding));
    xml.leaf("Content-Language", &text(&properties.language));
    xml.leaf("Content-CRC64", "");
    xml.leaf("Content-MD5", &text(&properties.md5));
    xml.leaf("Cache-Control", &text(&properties.cache_control));
    xml.leaf("Content-Disposition", &text(&properties.disposition));
}

/// The type of a blob and what only its type has.
fn kept_by_kind(xml: &mut Writer, blob: &Blob, gates: &Gates) {
    let details = &blob.details;
    if blob.kind == BlobKind::Page {
        xml.leaf("x-ms-blob-sequence-number", &details.sequence_number.to_string());
    }
    xml.leaf("BlobType", kind::name(blob.kind));
    if details.incremental.is_some() {
        xml.leaf("IncrementalCopy", "true");
    }
    if details.is_sealed {
        xml.leaf("Sealed", "true");
    }
    match (blob.kind, details.tier) {
        (_, _) if !gates.has_tier() => {}
        (_, Some(state)) => {
            xml.leaf("AccessTier", state.tier.as_str());
            xml.leaf("AccessTierChangeTime", &state.changed_at.to_rfc1123());
        }
        (BlobKind::Block, None) => {
            xml.leaf("AccessTier", blob.tier().as_str());
            xml.leaf("AccessTierInferred", "true");
        }
        (BlobKind::Append | BlobKind::Page, None) => {}
    }
}

fn copy(xml: &mut Writer, copy: &CopyRecord) {
    let copied_bytes = copy.copied_bytes.unwrap_or(copy.size_bytes);
    xml.leaf("CopyId", &copy.id);
    xml.leaf("CopySource", &copy.source);
    xml.leaf("CopyStatus", copy.status.as_str());
    xml.leaf("CopyProgress", &format!("{copied_bytes}/{}", copy.size_bytes));
    if copy.status != CopyStatus::Pending {
        xml.leaf("CopyCompletionTime", &copy.completed_at.to_rfc1123());
    }
    xml.optional("CopyStatusDescription", copy.reason.as_deref());
}

/// When something was deleted, and how long it can be brought back.
fn deletion(xml: &mut Writer, deletion: Option<Deletion>, now: Timestamp) {
    let Some(Deletion { deleted_at, purge_at }) = deletion else { return };
    let days_left = purge_at.since(now).as_secs() / SECONDS_PER_DAY;
    xml.leaf("DeletedTime", &deleted_at.to_rfc1123());
    xml.leaf("RemainingRetentionDays", &days_left.to_string());
}

/// What keeps a blob as it is.
fn protection(xml: &mut Writer, protection: Protection, includes: Includes) {
    if let Some(policy) = protection.policy.filter(|_| includes.policies) {
        xml.leaf("ImmutabilityPolicyUntilDate", &policy.until.to_rfc1123());
        xml.leaf("ImmutabilityPolicyMode", policy.mode.as_str());
    }
    if protection.has_legal_hold && includes.holds {
        xml.leaf("LegalHold", "true");
    }
}

/// How it stands with a lease.
fn lease(xml: &mut Writer, lease: Option<&Lease>, now: Timestamp) {
    let state = state_of(lease, now);
    xml.leaf("LeaseStatus", if state.is_locked() { "locked" } else { "unlocked" });
    xml.leaf("LeaseState", state.as_str());
    if let (LeaseState::Leased, Some(lease)) = (state, lease) {
        let duration = if lease.lasts_seconds.is_some() { "fixed" } else { "infinite" };
        xml.leaf("LeaseDuration", duration);
    }
}

/// A name; one that XML cannot hold is percent-encoded and marked.
fn name(xml: &mut Writer, name: &str, gates: &Gates) {
    if !gates.has_encoded_names() || name.chars().all(is_xml_char) {
        xml.leaf("Name", name);
        return;
    }
    let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC).to_string();
    xml.leaf_with("Name", &[("Encoded", "true")], &encoded);
}

fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{FFFD}' | '\u{10000}'..)
}

fn echo(xml: &mut Writer, asked: &Asked) {
    xml.leaf("Prefix", &asked.prefix);
    xml.leaf("Marker", &asked.marker);
    if let Some(max_results) = asked.max_results {
        xml.leaf("MaxResults", &max_results.to_string());
    }
}

fn metadata(xml: &mut Writer, metadata: &Metadata) {
    xml.open("Metadata", &[]);
    for (name, value) in metadata.iter() {
        xml.leaf(name, value);
    }
    xml.close("Metadata");
}

fn next_marker(xml: &mut Writer, next: Option<&(String, i64)>) {
    let text = next.map(|(name, moment)| marker::encode(name, *moment)).unwrap_or_default();
    xml.leaf("NextMarker", &text);
}

#[cfg(test)]
mod tests {
    use super::super::version::ServiceVersion;
    use kiln_domain::blob::listing::PRESENT;

    use super::{Asked, Blob, BlobKind, Entry, Gates, Includes, Metadata, Page, Timestamp, blobs};

    #[test]
    fn a_list_of_blobs() {
        let asked = Asked {
            service_endpoint: "http://h/acct/".to_owned(),
            prefix: "a".to_owned(),
            delimiter: "/".to_owned(),
            max_results: Some(2),
            includes: Includes { metadata: true, ..Includes::default() },
            marker: String::new(),
            now: Timestamp(0),
        };
        let pair = ("Key".to_owned(), "v&w".to_owned());
        let blob = Blob {
            size_bytes: 7,
            metadata: Metadata::admit([pair]).expect("allowed"),
            ..Blob::new("a\u{1}".to_owned(), BlobKind::Block, Timestamp(0))
        };
        let page = Page {
            entries: vec![Entry::Prefix("a/".to_owned()), Entry::Item(blob)],
            next: Some(("b".to_owned(), PRESENT)),
        };
        let text = blobs(&asked, "c", &page, &Gates::of(ServiceVersion::NEWEST));
        for part in [
            "<EnumerationResults ServiceEndpoint=\"http://h/acct/\" ContainerName=\"c\">",
            "<Prefix>a</Prefix><Marker /><MaxResults>2</MaxResults><Delimiter>/</Delimiter>",
            "<BlobPrefix><Name>a/</Name></BlobPrefix>",
            "<Name Encoded=\"true\">a%01</Name>",
            "<Etag>0x89F7FF5F7B58000</Etag>",
            "<Content-Length>7</Content-Length>",
            "<Metadata><Key>v&amp;w</Key></Metadata>",
            "<NextMarker>2!",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
