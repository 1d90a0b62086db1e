//! Every promise on the page of rules has a test that shows it.

use std::collections::BTreeSet;

use super::tree::{Finding, Tree};

const PAGE: &str = "docs/rules.md";
/// What makes tests of the functions that it lists.
const LIST: &str = "on_each_kind!(";

/// Each line of the page ends with names of tests, and there are such tests.
pub(super) fn have_tests(tree: &Tree) -> Vec<Finding> {
    let Some(page) = tree.text(PAGE) else { return Vec::new() };
    let tests = tests(tree);
    let mut findings = Vec::new();
    for (line_idx, line) in page.lines().enumerate().filter(|(_, line)| line.starts_with("- ")) {
        let named: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
        let last_is_name = line.trim_end().ends_with('`');
        match named.last() {
            Some(name) if last_is_name && tests.contains(name) => {}
            Some(name) if last_is_name => {
                let message = format!("there is no test `{name}`");
                findings.push(Finding::line(PAGE, line_idx, message));
            }
            Some(_) | None => {
                let message = "the line ends without the name of its test";
                findings.push(Finding::line(PAGE, line_idx, message));
            }
        }
    }
    findings
}

/// The names of all tests, of Rust and of Python.
fn tests(tree: &Tree) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for (path, text) in tree.files() {
        let is_python = path.ends_with(".py");
        if !is_python && !path.ends_with(".rs") {
            continue;
        }
        let listed = text.split(LIST).skip(1).filter_map(|rest| rest.split(')').next());
        names.extend(listed.flat_map(|list| list.split(',').map(str::trim)));
        let mut is_test = is_python;
        for line in text.lines().map(str::trim_start) {
            if line.starts_with("#[") && !is_python {
                is_test |= line.contains("test]") || line.contains("test(");
                continue;
            }
            let name = match line.split_once(if is_python { "def " } else { "fn " }) {
                Some((_, rest)) if is_test => rest.split(['(', '<']).next(),
                Some(_) | None => None,
            };
            names.extend(name);
            // Within `proptest!` a comment may stand between the attribute and its function.
            is_test = is_python || (is_test && (line.starts_with("//") || line.is_empty()));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::tree::check;
    use super::*;

    #[test]
    fn a_rule_without_its_test_is_found() {
        let code = "#[tokio::test]\nasync fn it_holds() {}\n\nfn helper() {}\n";
        let listed = "on_each_kind!(\n    on_both,\n    twice,\n);\n";
        let python = "def test_it_too():\n    pass\n";
        let files = |page| [(PAGE, page), ("a.rs", code), ("b.rs", listed), ("t.py", python)];
        check(
            have_tests,
            &files("# Rules\n\n- It `is` so. `it_holds`\n- So. `test_it_too`\n- Both. `twice`\n"),
            &[],
        );
        check(
            have_tests,
            &files("- No test.\n- Not one `helper`\n- `it_holds` first\n"),
            &[PAGE; 3],
        );
    }
}
