//! Index tags of a blob: names and values that blobs can be found by.

use serde::{Deserialize, Serialize};

use super::limits::{TAG_KEY_LENGTH, TAG_VALUE_LENGTH_MAX, TAGS_MAX};
use super::rejection::BlobRejection;

/// Keys and values, sorted by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tags(Vec<(String, String)>);

impl Tags {
    /// Decides whether a blob takes these tags.
    pub fn admit(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, BlobRejection> {
        let mut pairs: Vec<(String, String)> = pairs.into_iter().collect();
        pairs.sort();
        if pairs.len() > TAGS_MAX {
            return Err(BlobRejection::TooManyTags { n_tags: pairs.len() });
        }
        for (idx, (key, value)) in pairs.iter().enumerate() {
            let is_repeated = pairs.iter().take(idx).any(|(earlier, _)| earlier == key);
            let is_valid = TAG_KEY_LENGTH.contains(&key.chars().count())
                && value.chars().count() <= TAG_VALUE_LENGTH_MAX
                && key.chars().chain(value.chars()).all(is_tag_char);
            if is_repeated || !is_valid {
                return Err(BlobRejection::InvalidTag { key: key.clone(), value: value.clone() });
            }
        }
        Ok(Self(pairs))
    }

    /// Keys and values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Letters, digits, space and seven signs.
fn is_tag_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, ' ' | '+' | '-' | '.' | '/' | ':' | '=' | '_')
}

#[cfg(test)]
mod tests {
    use super::{BlobRejection, Tags};

    fn admit(pairs: &[(&str, &str)]) -> Result<Tags, BlobRejection> {
        Tags::admit(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn rules_of_tags() {
        let tags = admit(&[("b", ""), ("a c", "x/y=1")]).expect("allowed");
        assert_eq!(tags.iter().collect::<Vec<_>>(), [("a c", "x/y=1"), ("b", "")]);
        assert_eq!((tags.get("b"), tags.get("c")), (Some(""), None));
        let long = "k".repeat(128);
        assert!(admit(&[(&long, &"v".repeat(256))]).is_ok());
        for bad in [("", "v"), ("k\u{e9}", "v"), ("k", "v&w"), ("k", &"v".repeat(257))] {
            assert!(matches!(admit(&[bad]), Err(BlobRejection::InvalidTag { .. })), "{bad:?}");
        }
        assert!(admit(&[("k", "1"), ("k", "2")]).is_err());
        let keys: Vec<String> = (0..11).map(|n| n.to_string()).collect();
        let many: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "v")).collect();
        assert_eq!(admit(&many), Err(BlobRejection::TooManyTags { n_tags: 11 }));
        assert!(many.get(..10).is_some_and(|ten| admit(ten).is_ok()));
    }
}
