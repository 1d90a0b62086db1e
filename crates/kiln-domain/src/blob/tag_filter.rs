//! Questions about the tags of blobs.

use super::tags::Tags;
use crate::comparison::Comparison;

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagTest {
    /// The key of a tag.
    pub key: String,
    /// How its value is compared: values are texts, ordered by their bytes.
    pub comparison: Comparison,
    /// With what.
    pub value: String,
}

impl TagTest {
    /// Whether it holds for a value that is there.
    pub fn holds(&self, found: &str) -> bool {
        self.comparison.holds(found.cmp(&self.value))
    }
}

/// A question about the tags of one blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagFilter {
    /// The tag is there and its value compares so.
    Test(TagTest),
    /// All of these hold.
    All(Vec<Self>),
    /// One of these holds.
    Any(Vec<Self>),
}

impl TagFilter {
    /// Whether it holds for these tags; a tag that is not there compares in no way.
    pub fn holds(&self, tags: &Tags) -> bool {
        match self {
            Self::Test(test) => tags.get(&test.key).is_some_and(|found| test.holds(found)),
            Self::All(parts) => parts.iter().all(|part| part.holds(tags)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(tags)),
        }
    }
}

/// What blobs are looked for: all of the tests hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Only blobs of this container.
    pub container: Option<String>,
    /// What holds for their tags.
    pub tests: Vec<TagTest>,
}

impl Search {
    /// The test by which an index finds the fewest candidates: one for a single value, if there
    /// is one.
    pub fn leading(&self) -> Option<&TagTest> {
        let equal = self.tests.iter().find(|test| test.comparison == Comparison::Equal);
        equal.or_else(|| self.tests.first())
    }

    /// Whether all tests hold for these tags.
    pub fn holds(&self, tags: &Tags) -> bool {
        let holds = |test: &TagTest| tags.get(&test.key).is_some_and(|found| test.holds(found));
        self.tests.iter().all(holds)
    }
}

#[cfg(test)]
mod tests {
    use super::{Comparison, Search, TagFilter, TagTest, Tags};

    fn test(key: &str, comparison: Comparison, value: &str) -> TagTest {
        TagTest { key: key.to_owned(), comparison, value: value.to_owned() }
    }

    #[test]
    fn values_are_compared_as_texts() {
        let pairs = [("a", "10"), ("b", "x")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let tags = Tags::admit(pairs).expect("allowed");
        for (key, comparison, value, expected) in [
            ("a", Comparison::Equal, "10", true),
            ("a", Comparison::NotEqual, "10", false),
            ("a", Comparison::Less, "9", true),
            ("a", Comparison::LessOrEqual, "10", true),
            ("a", Comparison::Greater, "10", false),
            ("a", Comparison::GreaterOrEqual, "10", true),
            ("c", Comparison::NotEqual, "10", false),
        ] {
            let filter = TagFilter::Test(test(key, comparison, value));
            assert_eq!(filter.holds(&tags), expected, "{filter:?}");
        }
        let yes = || TagFilter::Test(test("b", Comparison::Equal, "x"));
        let no = || TagFilter::Test(test("b", Comparison::Equal, "y"));
        assert!(TagFilter::All(vec![yes(), yes()]).holds(&tags));
        assert!(!TagFilter::All(vec![yes(), no()]).holds(&tags));
        assert!(TagFilter::Any(vec![no(), yes()]).holds(&tags));
    }

    #[test]
    fn an_equality_leads_a_search() {
        let tests = vec![test("a", Comparison::Less, "1"), test("b", Comparison::Equal, "2")];
        let search = Search { container: None, tests };
        assert_eq!(search.leading().map(|test| test.key.as_str()), Some("b"));
    }
}
