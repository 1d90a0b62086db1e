//! One difference between api-versions is one file.

use super::tree::{Finding, Tree, code_lines};

/// Files of a `changes` folder that hold tables, not a change.
const TABLES: [&str; 3] = ["mod.rs", "additions.rs", "removals.rs"];

/// Every file in a `changes` folder defines exactly one `CHANGE`.
pub(super) fn hold_one_change(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .filter(|(path, _)| {
            path.rsplit_once("/changes/")
                .is_some_and(|(_, file)| !file.contains('/') && !TABLES.contains(&file))
        })
        .filter_map(|(path, text)| {
            let n_changes =
                code_lines(text).filter(|(_, line)| line.contains("const CHANGE: ")).count();
            let message = format!("{n_changes} definitions of `CHANGE`, must be one");
            (n_changes != 1).then(|| Finding::file(path, message))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::check;
    use super::*;

    #[test]
    fn two_changes_in_a_file_are_found() {
        let one = "pub(super) const CHANGE: Change = Change {};\n";
        let files = [
            ("w/src/changes/additions.rs", ""),
            ("w/src/changes/mod.rs", ""),
            ("w/src/changes/v1_none.rs", ""),
            ("w/src/changes/v1_one.rs", one),
            ("w/src/changes/v1_two.rs", &one.repeat(2)),
        ];
        check(hold_one_change, &files, &["w/src/changes/v1_none.rs", "w/src/changes/v1_two.rs"]);
    }
}
