//! What a user attaches to a container or a blob: names and values.

use serde::{Deserialize, Serialize};

use super::limits::METADATA_BYTES_MAX;
use super::rejection::BlobRejection;

/// Names and values in the order they were given; names keep their case and differ by more
/// than it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metadata(Vec<(String, String)>);

impl Metadata {
    /// Decides whether `pairs` may be attached, and trims the values.
    pub fn admit(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, BlobRejection> {
        let mut kept: Vec<(String, String)> = Vec::new();
        let mut size_bytes = 0;
        for (name, value) in pairs {
            let value = value.trim().to_owned();
            if !is_identifier(&name) {
                return Err(BlobRejection::InvalidMetadataName { name });
            }
            size_bytes += name.len() + value.len();
            match kept.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&name)) {
                Some((_, known)) => {
                    known.push(',');
                    known.push_str(&value);
                }
                None => kept.push((name, value)),
            }
        }
        if size_bytes > METADATA_BYTES_MAX {
            return Err(BlobRejection::MetadataTooLarge { size_bytes });
        }
        Ok(Self(kept))
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether nothing is attached.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether `name` is an identifier as C# has them.
fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::{BlobRejection, Metadata};

    fn admit(pairs: &[(&str, &str)]) -> Result<Metadata, BlobRejection> {
        Metadata::admit(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn names_keep_their_case_and_values_are_trimmed() {
        let kept = admit(&[("AB", " x "), ("hdi_isfolder", "true")]).expect("allowed");
        assert_eq!(kept.iter().collect::<Vec<_>>(), [("AB", "x"), ("hdi_isfolder", "true")]);
    }

    #[test]
    fn a_repeated_name_joins_its_values() {
        let kept = admit(&[("a", "1"), ("A", "2")]).expect("allowed");
        assert_eq!(kept.iter().collect::<Vec<_>>(), [("a", "1,2")]);
    }

    #[test]
    fn what_is_refused() {
        for bad in ["", "1a", "a-b", "a b", "a.b"] {
            let refused = Err(BlobRejection::InvalidMetadataName { name: bad.to_owned() });
            assert_eq!(admit(&[(bad, "x")]), refused, "{bad}");
        }
        let refused = Err(BlobRejection::MetadataTooLarge { size_bytes: 8193 });
        assert_eq!(admit(&[("a", &"x".repeat(8192))]), refused);
        assert!(admit(&[("a", &"x".repeat(8191))]).is_ok());
    }
}
