//! Request headers of the Blob service, read into words of the domain.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use kiln_domain::blob::condition::{Conditions, EtagTest};
use kiln_domain::blob::container::PublicAccess;
use kiln_domain::blob::content::ContentProperties;
use kiln_domain::blob::limits::BLOCK_ID_BYTES_MAX;
use kiln_domain::blob::metadata::Metadata;
use kiln_domain::blob::rejection::BlobRejection;
use kiln_domain::blob::tags::Tags;
use kiln_domain::blob::tier::Tier;
use kiln_domain::time::Timestamp;

use super::error::BlobError;

/// What a blob is when nobody says it.
pub const DEFAULT_CONTENT_TYPE: &str = "application/octet-stream";
/// What the names of metadata headers begin with.
const METADATA_PREFIX: &str = "x-ms-meta-";

/// Names and values of headers.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a>(pub &'a [(String, String)]);

impl<'a> Headers<'a> {
    /// The first value of a header that has one; names compare without case.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// The conditions of the request.
    pub fn conditions(&self) -> Result<Conditions, BlobError> {
        Ok(Conditions {
            if_match: self.get("If-Match").map(etag_test),
            if_none_match: self.get("If-None-Match").map(etag_test),
            if_modified_since: self.time("If-Modified-Since")?,
            if_unmodified_since: self.time("If-Unmodified-Since")?,
        })
    }

    /// The conditions on the source of a copy.
    pub fn source_conditions(&self) -> Result<Conditions, BlobError> {
        Ok(Conditions {
            if_match: self.get("x-ms-source-if-match").map(etag_test),
            if_none_match: self.get("x-ms-source-if-none-match").map(etag_test),
            if_modified_since: self.time("x-ms-source-if-modified-since")?,
            if_unmodified_since: self.time("x-ms-source-if-unmodified-since")?,
        })
    }

    fn time(&self, name: &str) -> Result<Option<Timestamp>, BlobError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match Timestamp::parse_rfc1123(value) {
            Some(time) => Ok(Some(time)),
            None => Err(BlobError::invalid_header(name, value)),
        }
    }

    /// The metadata to attach.
    pub fn metadata(&self) -> Result<Metadata, BlobRejection> {
        let pairs = self.0.iter().filter_map(|(name, value)| {
            let (prefix, rest) = name.split_at_checked(METADATA_PREFIX.len())?;
            let is_metadata = prefix.eq_ignore_ascii_case(METADATA_PREFIX);
            is_metadata.then(|| (rest.to_owned(), value.clone()))
        });
        Metadata::admit(pairs)
    }

    /// Who may read a container.
    pub fn public_access(&self) -> Result<PublicAccess, BlobError> {
        let name = "x-ms-blob-public-access";
        match self.get(name) {
            None => Ok(PublicAccess::Private),
            Some("blob") => Ok(PublicAccess::Blob),
            Some("container" | "true") => Ok(PublicAccess::Container),
            Some(other) => Err(BlobError::invalid_header(name, other)),
        }
    }

    /// What is kept with the content of a Put Blob: the headers made for it, else the plain
    /// ones.
    pub fn properties_of_put(&self) -> ContentProperties {
        let pick = |own, plain| self.get(own).or_else(|| self.get(plain)).map(str::to_owned);
        ContentProperties {
            content_type: pick("x-ms-blob-content-type", "Content-Type")
                .or_else(|| Some(DEFAULT_CONTENT_TYPE.to_owned())),
            encoding: pick("x-ms-blob-content-encoding", "Content-Encoding"),
            language: pick("x-ms-blob-content-language", "Content-Language"),
            cache_control: pick("x-ms-blob-cache-control", "Cache-Control"),
            ..self.properties()
        }
    }

    /// What is kept with the content by operations whose plain headers are of their own body.
    pub fn properties(&self) -> ContentProperties {
        let own = |name| self.get(name).map(str::to_owned);
        ContentProperties {
            content_type: own("x-ms-blob-content-type"),
            encoding: own("x-ms-blob-content-encoding"),
            language: own("x-ms-blob-content-language"),
            disposition: own("x-ms-blob-content-disposition"),
            cache_control: own("x-ms-blob-cache-control"),
            md5: own("x-ms-blob-content-md5"),
        }
    }

    /// The tier to put a blob in.
    pub fn tier(&self) -> Result<Option<Tier>, BlobError> {
        let name = "x-ms-access-tier";
        match self.get(name) {
            None => Ok(None),
            Some(text) => match Tier::parse(text) {
                Some(tier) => Ok(Some(tier)),
                None => Err(BlobError::invalid_header(name, text)),
            },
        }
    }

    /// The tags to give a blob: pairs as in a query.
    pub fn tags(&self) -> Result<Tags, BlobRejection> {
        let text = self.get("x-ms-tags").unwrap_or_default();
        Tags::admit(form_urlencoded::parse(text.as_bytes()).into_owned())
    }

    /// A number that a header tells.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, BlobError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(BlobError::invalid_header(name, text)),
        }
    }

    /// The checksum of a body that a header tells.
    pub fn md5(&self, name: &str) -> Result<Option<[u8; 16]>, BlobError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let decoded = STANDARD.decode(value).ok().and_then(|bytes| bytes.try_into().ok());
        match decoded {
            Some(md5) => Ok(Some(md5)),
            None => {
                let message = "The MD5 value specified in the request is invalid. The MD5 value \
                               must be 128 bits and Base64-encoded.";
                Err(BlobError::new(400, "InvalidMd5", message))
            }
        }
    }
}

/// A checksum as headers show it.
pub fn md5_text(md5: [u8; 16]) -> String {
    STANDARD.encode(md5)
}

/// Decides whether `id` can be a block id.
pub fn check_block_id(id: &str) -> Result<(), BlobRejection> {
    match STANDARD.decode(id) {
        Ok(bytes) if (1..=BLOCK_ID_BYTES_MAX).contains(&bytes.len()) => Ok(()),
        Ok(_) | Err(_) => Err(BlobRejection::InvalidBlockId { id: id.to_owned() }),
    }
}

fn etag_test(text: &str) -> EtagTest {
    if text == "*" {
        return EtagTest::Any;
    }
    let strong = text.split(',').map(str::trim).filter(|tag| !tag.starts_with("W/"));
    EtagTest::OneOf(strong.map(|tag| tag.trim_matches('"').to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::{EtagTest, Headers, check_block_id};

    fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn conditions() {
        let headers = headers(&[
            ("if-match", "\"0x1\", W/\"0x2\", 0x3"),
            ("if-none-match", "*"),
            ("if-modified-since", ""),
        ]);
        let conditions = Headers(&headers).conditions().expect("readable");
        let tags = vec!["0x1".to_owned(), "0x3".to_owned()];
        assert_eq!(conditions.if_match, Some(EtagTest::OneOf(tags)));
        assert_eq!(conditions.if_none_match, Some(EtagTest::Any));
        assert_eq!(conditions.if_modified_since, None);
    }

    #[test]
    fn own_headers_win_over_plain_ones() {
        let headers = headers(&[
            ("content-type", "application/xml"),
            ("x-ms-blob-content-type", "text/plain"),
            ("content-language", "de"),
            ("x-ms-meta-AB", "1"),
        ]);
        let headers = Headers(&headers);
        let put = headers.properties_of_put();
        assert_eq!(
            (put.content_type.as_deref(), put.language.as_deref()),
            (Some("text/plain"), Some("de"))
        );
        assert_eq!(headers.properties().language, None);
        let metadata = headers.metadata().expect("allowed");
        assert_eq!(metadata.iter().collect::<Vec<_>>(), [("AB", "1")]);
    }

    #[test]
    fn block_ids() {
        for (id, is_good) in [
            ("QQ==", true),
            ("", false),
            ("QQ", false),
            ("!!!!", false),
            (&"QUFB".repeat(21), true),
            (&"QUFB".repeat(22), false),
        ] {
            assert_eq!(check_block_id(id).is_ok(), is_good, "{id}");
        }
    }
}
