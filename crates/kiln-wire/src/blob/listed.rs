//! What clients read of the service's lists: containers, blobs, staged blocks.

use super::xml::{Element, InvalidXml, parse};

/// The metadata by which programs know a blob that only stands for a directory.
pub const DIRECTORY_MARK: &str = "hdi_isfolder";

/// A blob in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlobItem {
    /// Its name.
    pub name: String,
    /// Bytes of content.
    pub length_bytes: u64,
    /// Time of the last change (RFC 1123).
    pub modified: String,
    /// `BlockBlob`, `AppendBlob` or `PageBlob`.
    pub kind: String,
    /// Its access tier; empty where there is none.
    pub tier: String,
    /// The MD5 of its content in base64; empty where it is not known.
    pub content_md5: String,
    /// Whether it only stands for a directory, as far as the list shows metadata.
    pub is_directory: bool,
}

/// One page of a list of blobs, as a client reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlobPage {
    /// The blobs, in name order.
    pub blobs: Vec<BlobItem>,
    /// What names have in common up to the delimiter, where one was asked for.
    pub prefixes: Vec<String>,
    /// Where the next page begins; `None` at the end.
    pub next_marker: Option<String>,
}

/// A container in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerItem {
    /// Its name.
    pub name: String,
    /// Time of the last change (RFC 1123).
    pub modified: String,
}

/// One page of a list of containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerPage {
    /// The containers, in name order.
    pub containers: Vec<ContainerItem>,
    /// Where the next page begins; `None` at the end.
    pub next_marker: Option<String>,
}

/// Reads `<EnumerationResults>` of a container: one page of its blobs.
///
/// # Errors
/// When the body is another document, or none.
pub fn blob_page(body: &[u8]) -> Result<BlobPage, InvalidXml> {
    let root = enumeration(body)?;
    let items = root.child("Blobs").map(|it| it.children.as_slice()).unwrap_or_default();
    let item = |blob: &Element| {
        let property = |name| text(blob.child("Properties").and_then(|it| it.child(name)));
        let mark = blob.child("Metadata").and_then(|it| it.child(DIRECTORY_MARK));
        BlobItem {
            name: name(blob),
            length_bytes: property("Content-Length").parse().unwrap_or(0),
            modified: property("Last-Modified"),
            kind: property("BlobType"),
            tier: property("AccessTier"),
            content_md5: property("Content-MD5"),
            is_directory: mark.is_some_and(|it| it.text.eq_ignore_ascii_case("true")),
        }
    };
    Ok(BlobPage {
        blobs: items.iter().filter(|it| it.name == "Blob").map(item).collect(),
        prefixes: items.iter().filter(|it| it.name == "BlobPrefix").map(name).collect(),
        next_marker: next_marker(&root),
    })
}

/// Reads `<EnumerationResults>` of an account: one page of its containers.
///
/// # Errors
/// When the body is another document, or none.
pub fn container_page(body: &[u8]) -> Result<ContainerPage, InvalidXml> {
    let root = enumeration(body)?;
    let items = root.child("Containers").map(|it| it.children.as_slice()).unwrap_or_default();
    let item = |container: &Element| {
        let modified = container.child("Properties").and_then(|it| it.child("Last-Modified"));
        ContainerItem { name: name(container), modified: text(modified) }
    };
    Ok(ContainerPage {
        containers: items.iter().map(item).collect(),
        next_marker: next_marker(&root),
    })
}

/// Reads `<BlockList>` as it is answered: ids and sizes of the staged blocks.
///
/// # Errors
/// When the body is another document, or none.
pub fn staged_blocks(body: &[u8]) -> Result<Vec<(String, u64)>, InvalidXml> {
    let root = parse(body)?;
    if root.name != "BlockList" {
        return Err(InvalidXml);
    }
    let blocks = root.child("UncommittedBlocks").map(|it| it.children.as_slice());
    let block =
        |block: &Element| (name(block), text(block.child("Size")).parse().unwrap_or_default());
    Ok(blocks.unwrap_or_default().iter().map(block).collect())
}

fn enumeration(body: &[u8]) -> Result<Element, InvalidXml> {
    let root = parse(body)?;
    if root.name == "EnumerationResults" { Ok(root) } else { Err(InvalidXml) }
}

fn name(element: &Element) -> String {
    element.child("Name").map(|it| it.text.clone()).unwrap_or_default()
}

fn text(element: Option<&Element>) -> String {
    element.map(|it| it.text.trim().to_owned()).unwrap_or_default()
}

fn next_marker(root: &Element) -> Option<String> {
    root.child("NextMarker").map(|it| it.text.clone()).filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{blob_page, container_page, staged_blocks};

    #[test]
    fn a_page_of_blobs() {
        let xml = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<EnumerationResults>\
            <Prefix></Prefix><Blobs>\n<Blob><Name>a &amp; b&#x2F;c</Name><Properties>\
            <Content-Length>12</Content-Length><AccessTier>Hot</AccessTier><Name>no</Name>\
            </Properties></Blob><BlobPrefix><Name>d/</Name></BlobPrefix><Blob><Name>é</Name>\
            </Blob></Blobs><NextMarker>m&lt;1</NextMarker></EnumerationResults>";
        let page = blob_page(xml.as_bytes()).expect("a page");
        let shown: Vec<_> = page
            .blobs
            .iter()
            .map(|it| format!("{} {} {}", it.name, it.length_bytes, it.tier))
            .collect();
        assert_eq!(shown, ["a & b/c 12 Hot", "é 0 "]);
        assert_eq!(page.prefixes, ["d/"]);
        assert_eq!(page.next_marker.as_deref(), Some("m<1"));
        let last = "<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>";
        assert_eq!(blob_page(last.as_bytes()).expect("a page").next_marker, None);
        assert!(blob_page(b"").is_err());
        assert!(blob_page(b"<EnumerationResults><Blobs></EnumerationResults>").is_err());
    }

    #[test]
    fn a_page_of_containers() {
        let xml = "<EnumerationResults><Containers><Container><Name>c1</Name><Properties>\
            <Last-Modified>then</Last-Modified></Properties></Container></Containers>\
            <NextMarker>c2</NextMarker></EnumerationResults>";
        let page = container_page(xml.as_bytes()).expect("a page");
        assert_eq!(page.containers[0].name, "c1");
        assert_eq!(page.containers[0].modified, "then");
        assert_eq!(page.next_marker.as_deref(), Some("c2"));
        assert!(container_page(b"<BlockList/>").is_err());
    }

    #[test]
    fn staged_blocks_are_told_from_committed_ones() {
        let xml = "<BlockList><CommittedBlocks><Block><Name>AA==</Name><Size>1</Size></Block>\
            </CommittedBlocks><UncommittedBlocks><Block><Name>QQ==</Name><Size>7</Size></Block>\
            </UncommittedBlocks></BlockList>";
        assert_eq!(staged_blocks(xml.as_bytes()), Ok(vec![("QQ==".to_owned(), 7)]));
        assert_eq!(staged_blocks(b"<BlockList/>"), Ok(Vec::new()));
        assert!(staged_blocks(b"<EnumerationResults/>").is_err());
    }
}
