//! The house rules a compiler cannot check.
//!
//! A rule is a plain function from the tree of files to what is wrong in it, in a file of its
//! own, with a test that it can fail. This file runs them all over the repository.

mod banned_names;
mod change_files;
mod crate_edges;
mod documents;
mod module_files;
mod places;
mod rules_page;
mod tree;

use crate::report;
use std::path::Path;
use tree::{Finding, Tree};

type Rule = fn(&Tree) -> Vec<Finding>;

/// All rules, in the order a person fixes them.
const RULES: [Rule; 12] = [
    module_files::begin_with_their_purpose,
    module_files::stay_small,
    module_files::are_declared,
    banned_names::are_not_used,
    crate_edges::are_the_listed_ones,
    crate_edges::lints_are_inherited,
    places::keep_their_words,
    change_files::hold_one_change,
    documents::link_to_files,
    documents::list_every_api_version,
    documents::list_every_operation,
    rules_page::have_tests,
];

/// Runs every rule; says what is wrong and answers whether nothing was.
pub(crate) fn run(root: &Path) -> bool {
    let tree = match Tree::load(root) {
        Ok(tree) => tree,
        Err(why) => {
            report::say(&format!("tidy: {why}"));
            return false;
        }
    };
    let findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    for finding in &findings {
        report::say(&format!("tidy: {finding}"));
    }
    report::say(&format!("tidy: {} files, {} findings", tree.files().count(), findings.len()));
    findings.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_is_tidy() {
        let root = crate::repository_root();
        let tree = Tree::load(&root).unwrap();
        let findings: Vec<String> =
            RULES.iter().flat_map(|rule| rule(&tree)).map(|it| it.to_string()).collect();
        assert!(findings.is_empty(), "{}", findings.join("\n"));
    }
}
