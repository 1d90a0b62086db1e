//! What the pattern of an output file says.

use std::collections::BTreeMap;

use glob::{MatchOptions, Pattern};

/// How a name is matched: a dot at its beginning only by a dot in the pattern.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// A pattern, resolved to a place in the node's view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilePattern {
    /// The directory before the first wildcard, or that of the file; no slash at either end.
    pub(crate) base: String,
    /// What is to be matched below; one name without wildcards when there are none.
    pub(crate) parts: Vec<Part>,
    /// Whether there is a wildcard.
    pub(crate) has_wildcard: bool,
}

/// One level of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// This name.
    Name(String),
    /// Names like this.
    Like(Pattern),
    /// Any number of directories.
    AnyDirectories,
}

impl FilePattern {
    /// Resolves `pattern` from `directory` on, a path from the root of the node's view.
    pub(crate) fn resolve(
        pattern: &str,
        directory: &str,
        variables: &BTreeMap<String, String>,
    ) -> Self {
        let pattern = expand(pattern, variables);
        let whole =
            if pattern.starts_with('/') { pattern } else { format!("{directory}/{pattern}") };
        let mut names: Vec<&str> = Vec::new();
        for name in whole.split('/') {
            match name {
                "" | "." => {}
                ".." => drop(names.pop()),
                name => names.push(name),
            }
        }
        let first = names.iter().position(|name| is_wild(name));
        let n_before = first.unwrap_or_else(|| names.len().saturating_sub(1));
        let (base, rest) = names.split_at_checked(n_before).unwrap_or((&names, &[]));
        let mut parts: Vec<Part> = rest.iter().map(|name| part(name)).collect();
        if parts.last() == Some(&Part::AnyDirectories) {
            // All files in them are meant.
            parts.push(part("*"));
        }
        Self { base: base.join("/"), parts, has_wildcard: first.is_some() }
    }

    /// The name of the blob for the file at `path`, relative to the base; `prefix` is the path
    /// that the destination names.
    pub(crate) fn blob_name(&self, path: &str, prefix: Option<&str>) -> String {
        let prefix = prefix.unwrap_or_default().trim_start_matches('/');
        match (prefix, self.has_wildcard) {
            ("", _) => path.to_owned(),
            (prefix, false) => prefix.to_owned(),
            (prefix, true) => format!("{}/{path}", prefix.trim_end_matches('/')),
        }
    }
}

impl Part {
    /// Whether it stands for `name`.
    pub(crate) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Name(own) => own == name,
            Self::Like(pattern) => pattern.matches_with(name, OPTIONS),
            Self::AnyDirectories => !name.starts_with('.'),
        }
    }
}

fn is_wild(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

fn part(name: &str) -> Part {
    if name == "**" {
        return Part::AnyDirectories;
    }
    if !is_wild(name) {
        return Part::Name(name.to_owned());
    }
    let mut single = name.to_owned();
    while single.contains("**") {
        single = single.replace("**", "*");
    }
    // What is no pattern, `a[b`, is a name.
    Pattern::new(&single).map_or_else(|_no_pattern| Part::Name(name.to_owned()), Part::Like)
}

/// Puts values in place of `$NAME` and `${NAME}`; unknown variables stay as they are.
fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let (name, behind) = braced.unwrap_or_else(|| {
            let end = after.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            after.split_at_checked(end.unwrap_or(after.len())).unwrap_or((after, ""))
        });
        match variables.get(name) {
            Some(value) => {
                out.push_str(value);
                rest = behind;
            }
            None => {
                out.push('$');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{FilePattern, Part, part};

    fn resolve(pattern: &str) -> FilePattern {
        let variables = [("OUT", "/mnt/out"), ("N", "7")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        FilePattern::resolve(pattern, "/mnt/t/wd", &BTreeMap::from(variables))
    }

    #[track_caller]
    fn check(pattern: &str, expected: &str) {
        let FilePattern { base, parts, .. } = resolve(pattern);
        let parts = parts.iter().map(|part| match part {
            Part::Name(name) => name.clone(),
            Part::Like(pattern) => format!("~{pattern}"),
            Part::AnyDirectories => "~~".to_owned(),
        });
        let parts: Vec<String> = parts.collect();
        assert_eq!(format!("{base} {}", parts.join(" ")), expected, "{pattern}");
    }

    #[test]
    fn a_pattern_begins_where_its_first_wildcard_is() {
        check("result.txt", "mnt/t/wd result.txt");
        check("../stdout.txt", "mnt/t stdout.txt");
        check("../std*.txt", "mnt/t ~std*.txt");
        check("a/b?/c", "mnt/t/wd/a ~b? c");
        check("a/**/*.csv", "mnt/t/wd/a ~~ ~*.csv");
        check("a/**", "mnt/t/wd/a ~~ ~*");
        check("./a//b/../x[0-9].txt", "mnt/t/wd/a ~x[0-9].txt");
        check("/opt/x/*.log", "opt/x ~*.log");
        check("../../../../../x", " x");
        check("a**b", "mnt/t/wd ~a*b");
        check("a[b", "mnt/t/wd a[b");
    }

    #[test]
    fn variables_are_put_in_first() {
        check("$OUT/*.txt", "mnt/out ~*.txt");
        check("x${N}y$N.txt", "mnt/t/wd x7y7.txt");
        check("$NONE/$", "mnt/t/wd/$NONE $");
        check("${OUT", "mnt/t/wd ${OUT");
    }

    #[track_caller]
    fn check_name(pattern: &str, matching: &[&str], others: &[&str]) {
        for name in matching {
            assert!(part(pattern).matches(name), "{pattern} {name}");
        }
        for name in others {
            assert!(!part(pattern).matches(name), "{pattern} {name}");
        }
    }

    #[test]
    fn wildcards_stand_for_names() {
        check_name("abc*", &["abc", "abcdef"], &["ab", ".abc"]);
        check_name("*.gif", &["a.gif"], &[".a.gif", "a.gif2"]);
        check_name(".*.gif", &[".a.gif"], &["a.gif"]);
        check_name("?", &["a"], &["", "ab", "."]);
        check_name("[abc]x", &["ax", "cx"], &["dx"]);
        check_name("[a-c]x", &["bx"], &["dx"]);
        check_name("[!abc]x", &["dx"], &["ax"]);
        check_name("abc[*]", &["abc*"], &["abcd"]);
        check_name("**", &["any"], &[".git"]);
    }

    #[track_caller]
    fn check_blob(pattern: &str, path: &str, prefix: Option<&str>, expected: &str) {
        assert_eq!(resolve(pattern).blob_name(path, prefix), expected, "{pattern}");
    }

    #[test]
    fn a_path_names_one_blob_or_a_directory_of_blobs() {
        check_blob("a/r.txt", "r.txt", None, "r.txt");
        check_blob("a/r.txt", "r.txt", Some("out/one.txt"), "out/one.txt");
        check_blob("a/**/*.txt", "b/r.txt", None, "b/r.txt");
        check_blob("a/**/*.txt", "b/r.txt", Some("out"), "out/b/r.txt");
        check_blob("../std*.txt", "stdout.txt", Some("/logs/"), "logs/stdout.txt");
    }
}
