//! What holds of every Rust file: it says what it is for, it is small, somebody declares it.

use super::tree::{Finding, Tree};

/// A file longer than this is two files. Aim for 500.
const LINES_MAX: usize = 700;

/// The first line of a file says what it is for.
pub(super) fn begin_with_their_purpose(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(path, _)| Finding::file(path, "the first line must be `//! ` and what this is for"))
        .collect()
}

/// A person holds a file in mind.
pub(super) fn stay_small(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .filter_map(|(path, text)| {
            let n_lines = text.lines().count();
            let message = format!("{n_lines} lines, at most {LINES_MAX}: split it by subject");
            (LINES_MAX < n_lines).then(|| Finding::file(path, message))
        })
        .collect()
}

/// A file that no module declares is dead, and the compiler never says so.
pub(super) fn are_declared(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .filter(|(path, _)| path.contains("/src/") && !is_root(path))
        .filter(|(path, _)| !is_declared(tree, path))
        .map(|(path, _)| Finding::file(path, "no module declares this file: delete it"))
        .collect()
}

fn is_root(path: &str) -> bool {
    path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs") || path.contains("/src/bin/")
}

fn is_declared(tree: &Tree, path: &str) -> bool {
    let file = path.strip_suffix("/mod.rs").or_else(|| path.strip_suffix(".rs")).unwrap_or(path);
    let Some((folder, name)) = file.rsplit_once('/') else {
        return false;
    };
    let declaration = format!("mod {name};");
    let by_path = format!("#[path = \"{name}.rs\"]");
    ["mod.rs", "lib.rs", "main.rs"]
        .into_iter()
        .map(|parent| format!("{folder}/{parent}"))
        .chain([format!("{folder}.rs")])
        .filter_map(|parent| tree.text(&parent))
        .any(|text| {
            text.lines().any(|line| {
                let line = line.trim();
                line == declaration
                    || line.strip_suffix(&declaration).is_some_and(|it| it.ends_with(' '))
                    || line == by_path
            })
        })
}

#[cfg(test)]
mod tests {
    use super::super::tree::check;
    use super::*;

    #[test]
    fn a_file_without_purpose_is_found() {
        let files = [("a/src/lib.rs", "//! Says it.\n"), ("a/src/b.rs", "use x;\n")];
        check(begin_with_their_purpose, &files, &["a/src/b.rs"]);
    }

    #[test]
    fn a_long_file_is_found() {
        let long = "//! Long.\n".repeat(LINES_MAX + 1);
        let files = [("a/src/lib.rs", long.as_str()), ("a/src/b.rs", "//! Short.\n")];
        check(stay_small, &files, &["a/src/lib.rs"]);
    }

    #[test]
    fn a_file_nobody_declares_is_found() {
        let files = [
            ("a/src/lib.rs", "mod one;\npub(crate) mod two;\nmod many;\n"),
            ("a/src/one.rs", ""),
            ("a/src/two/mod.rs", "mod inner;\n"),
            ("a/src/two/inner.rs", ""),
            ("a/src/two/lost.rs", ""),
            ("a/src/any.rs", ""),
            ("a/tests/suite.rs", ""),
        ];
        check(are_declared, &files, &["a/src/any.rs", "a/src/two/lost.rs"]);
    }
}
