//! XML as the Blob service reads and writes it.

use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::Event;

use kiln_domain::blob::block::BlockSource;
use kiln_domain::blob::container::StoredPolicy;
use kiln_domain::blob::tags::Tags;

/// The first line of every document.
const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>";
/// Elements inside each other: more than any document of the service has.
const DEPTH_MAX: usize = 8;

/// A document being written.
#[derive(Debug)]
pub struct Writer {
    text: String,
}

impl Writer {
    /// An empty document.
    pub fn new() -> Self {
        Self { text: DECLARATION.to_owned() }
    }

    /// Opens an element; `attributes` are written as they are.
    pub fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.text.push('<');
        self.text.push_str(name);
        for (key, value) in attributes {
            self.text.push(' ');
            self.text.push_str(key);
            self.text.push_str("=\"");
            self.text.push_str(&escape(*value));
            self.text.push('"');
        }
        self.text.push('>');
    }

    /// Closes an element.
    pub fn close(&mut self, name: &str) {
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push('>');
    }

    /// An element with text in it.
    pub fn leaf(&mut self, name: &str, text: &str) {
        if text.is_empty() {
            self.text.push('<');
            self.text.push_str(name);
            self.text.push_str(" />");
            return;
        }
        self.leaf_with(name, &[], text);
    }

    /// An element with attributes and text in it.
    pub fn leaf_with(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        self.open(name, attributes);
        self.text.push_str(&escape(text));
        self.close(name);
    }

    /// An element with text in it, if there is text.
    pub fn optional(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.leaf(name, text);
        }
    }

    /// The document.
    pub fn finish(self) -> String {
        self.text
    }
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

/// The body is not the document that the operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is not the XML document that the operation takes")]
pub struct InvalidXml;

/// An element that was read.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) children: Vec<Self>,
}

impl Element {
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }
}

/// Reads `<BlockList>`: which blocks, and where each is looked for.
pub fn block_list(body: &[u8]) -> Result<Vec<(BlockSource, String)>, InvalidXml> {
    let root = parse(body)?;
    if root.name != "BlockList" {
        return Err(InvalidXml);
    }
    let line = |element: Element| {
        let source = match element.name.as_str() {
            "Committed" => BlockSource::Committed,
            "Uncommitted" => BlockSource::Uncommitted,
            "Latest" => BlockSource::Latest,
            _ => return Err(InvalidXml),
        };
        Ok((source, element.text.trim().to_owned()))
    };
    root.children.into_iter().map(line).collect()
}

/// Reads `<Tags>`: keys and values.
pub fn tags(body: &[u8]) -> Result<Vec<(String, String)>, InvalidXml> {
    let root = parse(body)?;
    if root.name != "Tags" {
        return Err(InvalidXml);
    }
    let Some(set) = root.child("TagSet") else { return Ok(Vec::new()) };
    let tag = |element: &Element| {
        let text = |name| element.child(name).map(|it| it.text.clone()).ok_or(InvalidXml);
        if element.name == "Tag" { Ok((text("Key")?, text("Value")?)) } else { Err(InvalidXml) }
    };
    set.children.iter().map(tag).collect()
}

/// Writes the tags of a blob.
pub fn write_tags(xml: &mut Writer, tags: &Tags) {
    xml.open("Tags", &[]);
    xml.open("TagSet", &[]);
    for (key, value) in tags.iter() {
        xml.open("Tag", &[]);
        xml.leaf("Key", key);
        xml.leaf("Value", value);
        xml.close("Tag");
    }
    xml.close("TagSet");
    xml.close("Tags");
}

/// Reads `<SignedIdentifiers>`: the stored access policies of a container.
pub fn stored_policies(body: &[u8]) -> Result<Vec<StoredPolicy>, InvalidXml> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    let root = parse(body)?;
    if root.name != "SignedIdentifiers" {
        return Err(InvalidXml);
    }
    let text = |element: Option<&Element>| {
        element.map(|element| element.text.trim()).filter(|it| !it.is_empty()).map(str::to_owned)
    };
    let policy = |element: &Element| {
        if element.name != "SignedIdentifier" {
            return Err(InvalidXml);
        }
        let terms = element.child("AccessPolicy");
        let term = |name| text(terms.and_then(|terms| terms.child(name)));
        Ok(StoredPolicy {
            id: text(element.child("Id")).unwrap_or_default(),
            start: term("Start"),
            expiry: term("Expiry"),
            permission: term("Permission"),
        })
    };
    root.children.iter().map(policy).collect()
}

/// Writes the stored access policies of a container.
pub fn write_policies(policies: &[StoredPolicy]) -> String {
    let mut xml = Writer::new();
    xml.open("SignedIdentifiers", &[]);
    for policy in policies {
        xml.open("SignedIdentifier", &[]);
        xml.leaf("Id", &policy.id);
        xml.open("AccessPolicy", &[]);
        xml.optional("Start", policy.start.as_deref());
        xml.optional("Expiry", policy.expiry.as_deref());
        xml.optional("Permission", policy.permission.as_deref());
        xml.close("AccessPolicy");
        xml.close("SignedIdentifier");
    }
    xml.close("SignedIdentifiers");
    xml.finish()
}

/// Reads a document of any kind.
pub(super) fn parse(body: &[u8]) -> Result<Element, InvalidXml> {
    let text = std::str::from_utf8(body).map_err(|_not_text| InvalidXml)?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut open: Vec<Element> = Vec::new();
    loop {
        let event = reader.read_event().map_err(|_not_xml| InvalidXml)?;
        let closed = match event {
            Event::Start(start) => {
                if open.len() >= DEPTH_MAX {
                    return Err(InvalidXml);
                }
                open.push(named(start.local_name().as_ref())?);
                None
            }
            Event::Empty(empty) => Some(named(empty.local_name().as_ref())?),
            Event::End(_) => Some(open.pop().ok_or(InvalidXml)?),
            Event::Text(text) => {
                let text = text.decode().map_err(|_not_text| InvalidXml)?;
                push_text(&mut open, &text)?;
                None
            }
            Event::CData(data) => {
                let text = data.decode().map_err(|_not_text| InvalidXml)?;
                push_text(&mut open, &text)?;
                None
            }
            Event::GeneralRef(reference) => {
                let resolved = reference.resolve_char_ref().map_err(|_not_a_char| InvalidXml)?;
                let name = reference.decode().map_err(|_not_text| InvalidXml)?;
                match (resolved, resolve_predefined_entity(&name)) {
                    (Some(resolved), _) => push_text(&mut open, &resolved.to_string())?,
                    (None, Some(text)) => push_text(&mut open, text)?,
                    (None, None) => return Err(InvalidXml),
                }
                None
            }
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => None,
            Event::DocType(_) | Event::Eof => return Err(InvalidXml),
        };
        if let Some(closed) = closed {
            match open.last_mut() {
                Some(parent) => parent.children.push(closed),
                None => return Ok(closed),
            }
        }
    }
}

fn named(name: &[u8]) -> Result<Element, InvalidXml> {
    let name = String::from_utf8(name.to_vec()).map_err(|_not_text| InvalidXml)?;
    Ok(Element { name, ..Element::default() })
}

fn push_text(open: &mut [Element], text: &str) -> Result<(), InvalidXml> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(InvalidXml),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{
        BlockSource, InvalidXml, Tags, Writer, block_list, stored_policies, write_policies,
        write_tags,
    };

    #[test]
    fn block_lists() {
        let body = "\u{feff}<?xml version='1.0' encoding='utf-8'?>\n<BlockList>\n  <Latest>QQ==</Latest>\
                    <Committed>Qg&#61;=</Committed><Uncommitted> Qw== </Uncommitted></BlockList>";
        let expected = [
            (BlockSource::Latest, "QQ==".to_owned()),
            (BlockSource::Committed, "Qg==".to_owned()),
            (BlockSource::Uncommitted, "Qw==".to_owned()),
        ];
        assert_eq!(block_list(body.as_bytes()), Ok(expected.to_vec()));
        for empty in ["<BlockList></BlockList>", "<?xml version=\"1.0\"?><BlockList />"] {
            assert_eq!(block_list(empty.as_bytes()), Ok(Vec::new()), "{empty}");
        }
        for bad in [
            "",
            "no xml",
            "<BlockList>",
            "<Other/>",
            "<BlockList><Odd>a</Odd></BlockList>",
            "<BlockList><Latest>&odd;</Latest></BlockList>",
            "<!DOCTYPE a><BlockList/>",
        ] {
            assert_eq!(block_list(bad.as_bytes()), Err(InvalidXml), "{bad}");
        }
        let deep = format!("{}{}", "<BlockList>".repeat(9), "</BlockList>".repeat(9));
        assert_eq!(block_list(deep.as_bytes()), Err(InvalidXml));
    }

    #[test]
    fn tags_round_trip() {
        let pairs = [("a b".to_owned(), "x/y".to_owned()), ("k".to_owned(), String::new())];
        let tags = Tags::admit(pairs.clone()).expect("allowed");
        let mut xml = Writer::new();
        write_tags(&mut xml, &tags);
        assert_eq!(super::tags(xml.finish().as_bytes()), Ok(pairs.to_vec()));
        for bad in ["", "<Tag/>", "<Tags><TagSet><Tag><Key>k</Key></Tag></TagSet></Tags>"] {
            assert_eq!(super::tags(bad.as_bytes()), Err(InvalidXml), "{bad}");
        }
    }

    #[test]
    fn policies_round_trip() {
        let body = "<SignedIdentifiers><SignedIdentifier><Id>a&amp;b</Id><AccessPolicy>\
                    <Start>2009-09-28T08:49:37.0000000Z</Start><Permission>rwd</Permission>\
                    </AccessPolicy></SignedIdentifier><SignedIdentifier><Id>c</Id>\
                    </SignedIdentifier></SignedIdentifiers>";
        let policies = stored_policies(body.as_bytes()).expect("policies");
        let [first, second] = policies.as_slice() else { panic!("{policies:?}") };
        assert_eq!((first.id.as_str(), first.permission.as_deref()), ("a&b", Some("rwd")));
        assert_eq!((second.id.as_str(), &second.expiry), ("c", &None));
        assert_eq!(stored_policies(write_policies(&policies).as_bytes()), Ok(policies));
        assert_eq!(stored_policies(b" \n"), Ok(Vec::new()));
        assert_eq!(stored_policies(b"<BlockList/>"), Err(InvalidXml));
    }

    #[test]
    fn text_is_escaped() {
        let mut xml = Writer::new();
        xml.open("a", &[("k", "\"<")]);
        xml.leaf("b", "x & <y>");
        xml.leaf("c", "");
        xml.close("a");
        let text = xml.finish();
        assert!(text.ends_with("<a k=\"&quot;&lt;\"><b>x &amp; &lt;y&gt;</b><c /></a>"), "{text}");
    }
}
