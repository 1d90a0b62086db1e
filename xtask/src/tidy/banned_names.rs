//! Names that say nothing, with what to do instead.

use super::tree::{Finding, Tree};

const BANNED: [(&str, &str); 9] = [
    ("util", "name the file after what its functions are about"),
    ("utils", "name the file after what its functions are about"),
    ("common", "move each item to the module it is about, or name what is shared"),
    ("helper", "move each item beside its one user, or name what it is about"),
    ("helpers", "move each item beside its users, or name what they are about"),
    ("manager", "name the loop or the table it is: `reconcile`, `dispatch`, `sessions`"),
    ("imp", "name the platform or the mechanism: `linux`, `overlay`"),
    ("misc", "split by subject"),
    ("handler", "name the operation: `task`, `pool`"),
];

/// No file or folder of code carries such a name.
pub(super) fn are_not_used(tree: &Tree) -> Vec<Finding> {
    let is_code = |path: &str| [".rs", ".py", ".js", ".cjs"].iter().any(|it| path.ends_with(it));
    let mut findings = Vec::new();
    for (path, _) in tree.files().filter(|(path, _)| is_code(path)) {
        let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
        for (name, instead) in BANNED {
            if stem.split('/').any(|part| part == name) {
                findings.push(Finding::file(path, format!("`{name}` says nothing: {instead}")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::tree::check;
    use super::*;

    #[test]
    fn empty_names_are_found() {
        let files = [
            ("a/src/utils.rs", ""),
            ("a/src/common/pool.rs", ""),
            ("a/src/commons.rs", ""),
            ("docs/common.md", ""),
            ("tests/helpers.py", ""),
        ];
        check(
            are_not_used,
            &files,
            &["a/src/common/pool.rs", "a/src/utils.rs", "tests/helpers.py"],
        );
    }
}
