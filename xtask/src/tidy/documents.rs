//! Documents say what is so: their links lead somewhere, their tables match the code.

use super::tree::{Finding, Tree, code_lines};
use std::collections::BTreeSet;

const README: &str = "README.md";
const API_VERSIONS: &str = "crates/kiln-wire/src/api_version.rs";
/// The server's table of contents.
const ROUTES: &str = "crates/kiln-server/src/batch/mod.rs";
/// Modules of operations, and the row of the README that lists them.
const ROWS: &[(&str, &str)] = &[
    ("image", "images"),
    ("pool", "pools"),
    ("pool_change", "changes of pools"),
    ("pool_size", "sizes of pools"),
    ("autoscale", "autoscale"),
    ("node", "nodes"),
    ("node_action", "actions on nodes"),
    ("node_count", "numbers of nodes"),
    ("pool_metrics", "usage metrics of pools"),
    ("node_user", "users of nodes"),
    ("node_log", "logs of nodes"),
    ("node_login", "ways into nodes"),
    ("node_extension", "extensions of nodes"),
    ("job", "jobs"),
    ("preparation", "preparation and release of jobs"),
    ("job_schedule", "job schedules"),
    ("task", "tasks"),
    ("subtask", "subtasks"),
    ("certificate", "certificates"),
    ("application", "applications"),
    ("package", "application packages"),
    ("statistics", "statistics"),
];

/// Links from a document to a file of the repository have such a file behind them.
pub(super) fn link_to_files(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| path.ends_with(".md")) {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (line_idx, line) in text.lines().enumerate() {
            for target in links(line).filter(|it| !leads_out(it)) {
                let file = target.split('#').next().unwrap_or(target);
                if !file.is_empty() && !tree.has(&joined(folder, file)) {
                    let message = format!("the link to `{target}` leads nowhere");
                    findings.push(Finding::line(path, line_idx, message));
                }
            }
        }
    }
    findings
}

/// The README names every api-version the code knows.
pub(super) fn list_every_api_version(tree: &Tree) -> Vec<Finding> {
    let (Some(readme), Some(table)) = (tree.text(README), tree.text(API_VERSIONS)) else {
        return Vec::new();
    };
    let shipped = table.split("#[cfg(test)]").next().unwrap_or(table);
    let mut known: Vec<&str> = code_lines(shipped).flat_map(|(_, line)| quoted(line)).collect();
    known.retain(|it| is_api_version(it));
    known.sort_unstable();
    known.dedup();
    known
        .into_iter()
        .filter(|version| !readme.contains(&format!("`{version}`")))
        .map(|version| Finding::file(README, format!("api-version `{version}` is not listed")))
        .collect()
}

/// The README's table of Batch operations is the server's own.
pub(super) fn list_every_operation(tree: &Tree) -> Vec<Finding> {
    let (Some(readme), Some(routes)) = (tree.text(README), tree.text(ROUTES)) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for (module, row) in ROWS {
        let served = operations(routes, module);
        let listed = row_of(readme, row);
        for operation in served.difference(&listed) {
            findings.push(Finding::file(README, format!("`{operation}` of {row} is not listed")));
        }
        for operation in listed.difference(&served) {
            findings.push(Finding::file(README, format!("`{operation}` of {row} is not served")));
        }
    }
    findings
}

/// The functions of `module` that are called with the request's `call`.
fn operations(routes: &str, module: &str) -> BTreeSet<String> {
    let prefix = format!(" {module}::");
    code_lines(routes)
        .filter_map(|(_, line)| line.split_once(&prefix))
        .filter_map(|(_, rest)| rest.split_once("(call"))
        .map(|(name, _)| name.replace('_', " "))
        .collect()
}

/// The operations in the row of the README's table that begins with `| row |`.
fn row_of(readme: &str, row: &str) -> BTreeSet<String> {
    let start = format!("| {row} | ");
    readme
        .lines()
        .filter_map(|line| line.strip_prefix(&start))
        .flat_map(|cells| cells.trim_end_matches([' ', '|']).split(", "))
        .map(|it| it.split(" (").next().unwrap_or(it).to_owned())
        .collect()
}

/// The targets of `[text](target)` in a line.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

fn leads_out(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:")
}

fn joined(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|it| !it.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// The string literals of a line, as far as they hold no quotes themselves.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('"').skip(1).step_by(2)
}

/// Whether the text is spelled `YYYY-MM-DD` with an optional dotted tail.
fn is_api_version(text: &str) -> bool {
    let date = text.split('.').next().unwrap_or(text);
    let is_dated = date.len() == 10
        && date.split('-').map(str::len).eq([4, 2, 2])
        && date.chars().all(|it| it.is_ascii_digit() || it == '-');
    is_dated && text.chars().all(|it| it.is_ascii_digit() || it == '-' || it == '.')
}

#[cfg(test)]
mod tests {
    use super::super::tree::check;
    use super::*;

    #[test]
    fn a_link_to_nowhere_is_found() {
        let text = "[a](docs/a.md#part) [b](docs/b.md) [out](https://example.com/c.md)";
        let files = [("README.md", text), ("docs/a.md", "[up](../README.md) [self](#x)")];
        check(link_to_files, &files, &["README.md"]);
    }

    #[test]
    fn an_unlisted_api_version_is_found() {
        let table = "const ALL: [&str; 2] = [\"2017-01-01.4.0\", \"2025-06-01\"];\n";
        let complete = "`2017-01-01.4.0` `2025-06-01`";
        check(list_every_api_version, &[(README, complete), (API_VERSIONS, table)], &[]);
        check(
            list_every_api_version,
            &[(README, "`2025-06-01`"), (API_VERSIONS, table)],
            &[README],
        );
    }

    #[test]
    fn an_operation_that_is_not_served_is_found() {
        let routes = "(\"POST\", [\"jobs\"]) => job::add(call).await,\n\
                      (\"GET\", [\"jobs\", job]) => job::get_all(call, job),\n";
        let readme = "| jobs | add, get all (of an account) |\n";
        check(list_every_operation, &[(README, readme), (ROUTES, routes)], &[]);
        let readme = "| jobs | add, forget |\n";
        check(list_every_operation, &[(README, readme), (ROUTES, routes)], &[README, README]);
    }
}
