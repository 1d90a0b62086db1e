//! Reads a page of the list of blobs in a container.

use quick_xml::Reader;
use quick_xml::events::Event;

/// One page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// Names of the blobs.
    pub(super) names: Vec<String>,
    /// Where the next page begins; empty at the end.
    pub(super) next_marker: String,
}

/// Takes names and marker out of the service's XML.
pub(super) fn read(xml: &str) -> Result<Page, quick_xml::Error> {
    let mut reader = Reader::from_str(xml.trim_start_matches('\u{feff}'));
    let mut page = Page::default();
    let mut within: Vec<Vec<u8>> = Vec::new();
    let mut text = String::new();
    loop {
        match reader.read_event()? {
            Event::Start(tag) => {
                within.push(tag.name().as_ref().to_vec());
                text.clear();
            }
            Event::Text(part) => text.push_str(&part.decode()?),
            Event::CData(part) => text.push_str(&part.decode()?),
            Event::GeneralRef(reference) => match reference.resolve_char_ref()? {
                Some(character) => text.push(character),
                None => {
                    let name = reference.decode()?;
                    text.push_str(
                        quick_xml::escape::resolve_predefined_entity(&name).unwrap_or_default(),
                    );
                }
            },
            Event::End(_) => {
                let path: Vec<&[u8]> = within.iter().rev().take(2).map(Vec::as_slice).collect();
                match path.as_slice() {
                    [b"Name", b"Blob"] => page.names.push(std::mem::take(&mut text)),
                    [b"NextMarker", ..] => page.next_marker = std::mem::take(&mut text),
                    _ => {}
                }
                within.pop();
                text.clear();
            }
            Event::Eof => return Ok(page),
            Event::Empty(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn reads_names_and_marker() {
        let page = read(
            "\u{feff}<?xml version=\"1.0\"?><EnumerationResults ContainerName=\"c\"><Blobs>\
             <Blob><Name>a &amp; b&#x21;</Name><Properties><Name>no</Name></Properties></Blob>\
             <BlobPrefix><Name>no/</Name></BlobPrefix>\n<Blob><Name>d/é</Name></Blob></Blobs>\
             <NextMarker>m&lt;1</NextMarker></EnumerationResults>",
        )
        .expect("well formed");
        assert_eq!(page.names, ["a & b!", "d/é"]);
        assert_eq!(page.next_marker, "m<1");
    }

    #[test]
    fn the_last_page_has_no_marker() {
        let page = read("<E><Blobs/><NextMarker/></E>").expect("well formed");
        assert_eq!((page.names.len(), page.next_marker.as_str()), (0, ""));
        assert!(read("<E><Blobs></E>").is_err());
    }
}
