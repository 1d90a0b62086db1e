//! Reads the XML of a blob list.

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::error::DecodeError;

/// A blob in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlobItem {
    /// Its name.
    pub name: String,
    /// Bytes of content.
    pub length_bytes: u64,
}

/// One page of a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) blobs: Vec<BlobItem>,
    pub(super) next_marker: Option<String>,
}

pub(super) fn parse(body: &[u8]) -> Result<Page, DecodeError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut reader = Reader::from_reader(body);
    let mut page = Page::default();
    let mut path: Vec<Vec<u8>> = Vec::new();
    let mut text = String::new();
    let mut blob = BlobItem::default();
    let mut has_root = false;
    loop {
        match reader.read_event()? {
            Event::Start(start) => {
                has_root = true;
                text.clear();
                path.push(start.name().as_ref().to_vec());
            }
            Event::Text(part) => {
                text.push_str(&part.decode().map_err(quick_xml::Error::from)?);
            }
            Event::GeneralRef(name) => {
                let name = name.decode().map_err(quick_xml::Error::from)?;
                let entity = format!("&{name};");
                text.push_str(
                    &quick_xml::escape::unescape(&entity).map_err(quick_xml::Error::from)?,
                );
            }
            Event::End(_) => {
                let ended: Vec<&[u8]> = path.iter().skip(1).map(Vec::as_slice).collect();
                match ended.as_slice() {
                    [b"Blobs", b"Blob"] => page.blobs.push(std::mem::take(&mut blob)),
                    [b"Blobs", b"Blob", b"Name"] => blob.name = std::mem::take(&mut text),
                    [b"Blobs", b"Blob", b"Properties", b"Content-Length"] => {
                        blob.length_bytes = text.trim().parse().unwrap_or(0);
                    }
                    [b"NextMarker"] if !text.is_empty() => page.next_marker = Some(text.clone()),
                    _ => {}
                }
                text.clear();
                path.pop();
            }
            Event::Eof if has_root => return Ok(page),
            Event::Eof => return Err(DecodeError::Missing("EnumerationResults")),
            Event::Empty(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_page() {
        let xml = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<EnumerationResults>\
            <Prefix></Prefix><Blobs>\n<Blob><Name>a &amp; b&#x2F;c</Name><Properties>\
            <Content-Length>12</Content-Length><Etag>x</Etag></Properties></Blob>\
            <BlobPrefix><Name>d/</Name></BlobPrefix><Blob><Name>e</Name></Blob></Blobs>\
            <NextMarker>m</NextMarker></EnumerationResults>";
        let page = parse(xml.as_bytes()).expect("a page");
        let shown: Vec<_> =
            page.blobs.iter().map(|blob| format!("{} {}", blob.name, blob.length_bytes)).collect();
        assert_eq!(shown, ["a & b/c 12", "e 0"]);
        assert_eq!(page.next_marker.as_deref(), Some("m"));
        let empty = "<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>";
        assert_eq!(parse(empty.as_bytes()).expect("a page").next_marker, None);
        assert!(parse(b"").is_err());
        assert!(parse(b"<a></b>").is_err());
    }
}
