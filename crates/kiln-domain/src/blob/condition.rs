//! Whether a request's conditions let it go ahead.

use crate::time::Timestamp;

use super::rejection::BlobRejection;

/// Entity tags a request names, unquoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EtagTest {
    /// `*`: whatever is there.
    Any,
    /// One of these; a weak tag matches nothing and is left out.
    OneOf(Vec<String>),
}

impl EtagTest {
    fn is_met_by(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => tags.iter().any(|tag| tag == etag),
        }
    }
}

/// The conditions of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Go ahead when the tag is one of these.
    pub if_match: Option<EtagTest>,
    /// Go ahead when the tag is none of these.
    pub if_none_match: Option<EtagTest>,
    /// Go ahead when modified after this time.
    pub if_modified_since: Option<Timestamp>,
    /// Go ahead when not modified after this time.
    pub if_unmodified_since: Option<Timestamp>,
}

/// What conditions look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Face {
    /// Time of the last change; the entity tag is made of it.
    pub modified_at: Timestamp,
}

impl Face {
    fn is_later_than(self, time: Timestamp) -> bool {
        self.modified_at.truncated_to_seconds() > time.truncated_to_seconds()
    }
}

const IF_MATCH: &str = "If-Match";
const IF_NONE_MATCH: &str = "If-None-Match";
const IF_MODIFIED_SINCE: &str = "If-Modified-Since";
const IF_UNMODIFIED_SINCE: &str = "If-Unmodified-Since";

impl Conditions {
    /// Decides whether a read of what shows `face` goes ahead.
    pub fn decide_read(&self, face: Face) -> Result<(), BlobRejection> {
        self.check_combination()?;
        let etag = face.modified_at.to_etag();
        if let Some(test) = &self.if_match {
            return pass(test.is_met_by(&etag), IF_MATCH);
        }
        if let Some(time) = self.if_unmodified_since {
            return pass(!face.is_later_than(time), IF_UNMODIFIED_SINCE);
        }
        match &self.if_none_match {
            Some(EtagTest::Any) => {
                return Err(BlobRejection::UnsatisfiableCondition { condition: IF_NONE_MATCH });
            }
            Some(test) if test.is_met_by(&etag) => {
                return Err(BlobRejection::NotModified { condition: IF_NONE_MATCH });
            }
            Some(_) => return Ok(()),
            None => {}
        }
        match self.if_modified_since {
            Some(time) if !face.is_later_than(time) => {
                Err(BlobRejection::NotModified { condition: IF_MODIFIED_SINCE })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Decides whether a change of what exists and shows `face` goes ahead.
    pub fn decide_change(&self, face: Face) -> Result<(), BlobRejection> {
        self.check_combination()?;
        let etag = face.modified_at.to_etag();
        if let Some(test) = &self.if_match {
            return pass(test.is_met_by(&etag), IF_MATCH);
        }
        if let Some(test) = &self.if_none_match {
            return pass(!test.is_met_by(&etag), IF_NONE_MATCH);
        }
        if let Some(time) = self.if_modified_since {
            return pass(face.is_later_than(time), IF_MODIFIED_SINCE);
        }
        if let Some(time) = self.if_unmodified_since {
            return pass(!face.is_later_than(time), IF_UNMODIFIED_SINCE);
        }
        Ok(())
    }

    /// Decides whether the blob `name` may be written whole: created when nothing shows a
    /// face, overwritten otherwise.
    pub fn decide_put(&self, name: &str, face: Option<Face>) -> Result<(), BlobRejection> {
        self.check_combination()?;
        match (face, &self.if_none_match, &self.if_match) {
            (Some(_), Some(EtagTest::Any), _) => {
                Err(BlobRejection::BlobExists { name: name.to_owned() })
            }
            (Some(face), _, _) => self.decide_change(face),
            (None, _, Some(_)) => Err(BlobRejection::ConditionNotMet { condition: IF_MATCH }),
            (None, _, None) => Ok(()),
        }
    }

    /// One condition is fine; of two, only a tag and the time that goes with it, and then
    /// the tag decides.
    fn check_combination(&self) -> Result<(), BlobRejection> {
        let n_given = usize::from(self.if_match.is_some())
            + usize::from(self.if_none_match.is_some())
            + usize::from(self.if_modified_since.is_some())
            + usize::from(self.if_unmodified_since.is_some());
        let is_pair = (self.if_match.is_some() && self.if_unmodified_since.is_some())
            || (self.if_none_match.is_some() && self.if_modified_since.is_some());
        if n_given <= 1 || (n_given == 2 && is_pair) {
            Ok(())
        } else {
            Err(BlobRejection::TooManyConditions)
        }
    }
}

fn pass(is_met: bool, condition: &'static str) -> Result<(), BlobRejection> {
    if is_met { Ok(()) } else { Err(BlobRejection::ConditionNotMet { condition }) }
}

#[cfg(test)]
mod tests {
    use super::{Conditions, EtagTest, Face};
    use crate::time::{TICKS_PER_SECOND, Timestamp};

    const T: Timestamp = Timestamp(100 * TICKS_PER_SECOND + 5);

    /// Reads `match * none-match same since -1 until 1`, answers with the three decisions:
    /// read, change, put over nothing.
    fn check(text: &str, read: &str, change: &str, create: &str) {
        let mut conditions = Conditions::default();
        let words: Vec<&str> = text.split_whitespace().collect();
        for pair in words.chunks(2) {
            let tags = || match pair[1] {
                "*" => EtagTest::Any,
                "same" => EtagTest::OneOf(vec!["0x1".to_owned(), T.to_etag()]),
                _ => EtagTest::OneOf(vec!["0x1".to_owned()]),
            };
            let time = || {
                let offset: i64 = pair[1].parse().expect("seconds");
                Timestamp((100 + offset) * TICKS_PER_SECOND)
            };
            match pair[0] {
                "match" => conditions.if_match = Some(tags()),
                "none-match" => conditions.if_none_match = Some(tags()),
                "since" => conditions.if_modified_since = Some(time()),
                _ => conditions.if_unmodified_since = Some(time()),
            }
        }
        let word = |result: Result<(), super::BlobRejection>| match result {
            Ok(()) => "ok".to_owned(),
            Err(rejection) => {
                let text = format!("{rejection:?}");
                text.split([' ', '{']).next().unwrap_or_default().to_owned()
            }
        };
        let face = Face { modified_at: T };
        assert_eq!(word(conditions.decide_read(face)), read, "read: {text}");
        assert_eq!(word(conditions.decide_change(face)), change, "change: {text}");
        assert_eq!(word(conditions.decide_put("b", None)), create, "create: {text}");
    }

    #[test]
    fn one_condition() {
        check("", "ok", "ok", "ok");
        check("match *", "ok", "ok", "ConditionNotMet");
        check("match same", "ok", "ok", "ConditionNotMet");
        check("match other", "ConditionNotMet", "ConditionNotMet", "ConditionNotMet");
        check("none-match *", "UnsatisfiableCondition", "ConditionNotMet", "ok");
        check("none-match same", "NotModified", "ConditionNotMet", "ok");
        check("none-match other", "ok", "ok", "ok");
    }

    #[test]
    fn times_compare_by_the_second() {
        check("since -1", "ok", "ok", "ok");
        check("since 0", "NotModified", "ConditionNotMet", "ok");
        check("since 1", "NotModified", "ConditionNotMet", "ok");
        check("until -1", "ConditionNotMet", "ConditionNotMet", "ok");
        check("until 0", "ok", "ok", "ok");
    }

    #[test]
    fn of_an_allowed_pair_the_tag_decides() {
        check("match same until -1", "ok", "ok", "ConditionNotMet");
        check("none-match other since 1", "ok", "ok", "ok");
        check("none-match same since -1", "NotModified", "ConditionNotMet", "ok");
        let many = "TooManyConditions";
        check("match same since -1", many, many, many);
        check("match same none-match other", many, many, many);
    }

    #[test]
    fn creating_over_a_blob_says_it_exists() {
        let conditions = Conditions { if_none_match: Some(EtagTest::Any), ..Conditions::default() };
        let refused = conditions.decide_put("b", Some(Face { modified_at: T }));
        assert_eq!(refused, Err(super::BlobRejection::BlobExists { name: "b".to_owned() }));
    }
}
