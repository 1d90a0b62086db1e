//! Lists of containers and blobs, as XML.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use kiln_domain::blob::container::{Container, PublicAccess};
use kiln_domain::blob::content::Blob;
use kiln_domain::blob::lease::{Lease, LeaseState, state_of};
use kiln_domain::blob::listing::{Entry, Page};
use kiln_domain::blob::metadata::Metadata;

use kiln_domain::blob::kind::BlobKind;
use kiln_domain::time::Timestamp;

use super::gates::Gates;
use super::xml::Writer;
use super::{kind, marker};

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
    /// Whether metadata is wanted.
    pub includes_metadata: bool,
    /// The time for which the state of leases is told.
    pub now: Timestamp,
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
pub fn containers(asked: &Asked, page: &Page<Container>) -> String {
    let mut xml = Writer::new();
    xml.open("EnumerationResults", &[("ServiceEndpoint", &asked.service_endpoint)]);
    echo(&mut xml, asked);
    xml.open("Containers", &[]);
    for entry in &page.entries {
        let Entry::Item(container) = entry else { continue };
        xml.open("Container", &[]);
        xml.leaf("Name", &container.name);
        xml.open("Properties", &[]);
        xml.leaf("Last-Modified", &container.modified_at.to_rfc1123());
        xml.leaf("Etag", &container.modified_at.to_etag());
        lease(&mut xml, container.lease.as_ref(), asked.now);
        xml.optional("PublicAccess", public_access_name(container.public_access));
        xml.leaf("HasImmutabilityPolicy", "false");
        xml.leaf("HasLegalHold", "false");
        xml.close("Properties");
        if asked.includes_metadata {
            metadata(&mut xml, &container.metadata);
        }
        xml.close("Container");
    }
    xml.close("Containers");
    next_marker(&mut xml, page.next.as_deref());
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
    next_marker(&mut xml, page.next.as_deref());
    xml.close("EnumerationResults");
    xml.finish()
}

fn blob(xml: &mut Writer, asked: &Asked, blob: &Blob, gates: &Gates) {
    let properties = &blob.properties;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    xml.open("Blob", &[]);
    name(xml, &blob.name, gates);
    xml.open("Properties", &[]);
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
    xml.leaf("BlobType", kind::name(blob.kind));
    if gates.has_tier() && blob.kind == BlobKind::Block {
        xml.leaf("AccessTier", blob.tier().as_str());
        if blob.details.tier.is_none() {
            xml.leaf("AccessTierInferred", "true");
        }
    }
    lease(xml, blob.lease.as_ref(), asked.now);
    xml.leaf("ServerEncrypted", "true");
    xml.close("Properties");
    if asked.includes_metadata {
        metadata(xml, &blob.metadata);
    }
    xml.close("Blob");
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

fn next_marker(xml: &mut Writer, next: Option<&str>) {
    let text = next.map(marker::encode).unwrap_or_default();
    xml.leaf("NextMarker", &text);
}

#[cfg(test)]
mod tests {
    use super::super::version::ServiceVersion;
    use super::{Asked, Blob, BlobKind, Entry, Gates, Metadata, Page, Timestamp, blobs};

    #[test]
    fn a_list_of_blobs() {
        let asked = Asked {
            service_endpoint: "http://h/acct/".to_owned(),
            prefix: "a".to_owned(),
            delimiter: "/".to_owned(),
            max_results: Some(2),
            includes_metadata: true,
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
            next: Some("b".to_owned()),
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
