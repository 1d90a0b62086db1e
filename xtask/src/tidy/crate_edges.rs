//! Which crate may use which; a line added here is a visible decision.

use super::tree::{Finding, Tree};

/// Each crate and the crates of ours it may depend on.
const EDGES: [(&str, &[&str]); 16] = [
    ("kiln-domain", &[]),
    ("kiln-clock", &["kiln-domain"]),
    ("kiln-extents", &[]),
    ("kiln-http", &[]),
    ("kiln-scheduler", &["kiln-domain"]),
    ("kiln-wire", &["kiln-domain"]),
    ("kiln-store", &["kiln-domain"]),
    ("kiln-files", &["kiln-domain", "kiln-wire"]),
    ("kiln-provision", &["kiln-domain", "kiln-files"]),
    ("kiln-agent", &["kiln-clock", "kiln-domain", "kiln-wire", "kiln-files"]),
    (
        "kiln-server",
        &[
            "kiln-clock",
            "kiln-domain",
            "kiln-http",
            "kiln-scheduler",
            "kiln-wire",
            "kiln-store",
            "kiln-extents",
            "kiln-files",
            "kiln-provision",
        ],
    ),
    ("kiln-client", &["kiln-domain", "kiln-wire"]),
    ("kiln-cli", &["kiln-server", "kiln-agent", "kiln-client", "kiln-domain", "kiln-wire"]),
    ("plane", &["kiln-server", "kiln-domain", "kiln-wire"]),
    (
        "kiln-sim",
        &[
            "kiln-agent",
            "kiln-clock",
            "kiln-domain",
            "kiln-extents",
            "kiln-files",
            "kiln-http",
            "kiln-provision",
            "kiln-server",
            "kiln-store",
            "kiln-wire",
        ],
    ),
    ("xtask", &[]),
];

/// Crates that decide, and what none of them may use: no runtime, no database, no HTTP.
/// `kiln-wire` frames node messages over any byte stream, whose traits are tokio's.
const PURE: [(&str, &[&str]); 3] =
    [("kiln-domain", &[]), ("kiln-scheduler", &[]), ("kiln-wire", &["tokio"])];
const IMPURE_DEPENDENCIES: [&str; 8] =
    ["tokio", "hyper", "hyper-util", "reqwest", "rusqlite", "rustix", "libc", "tempfile"];

/// Every dependency between our crates is a listed one, and the pure crates stay pure.
pub(super) fn are_the_listed_ones(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in manifests(tree) {
        let Some(manifest) = parse(text) else {
            findings.push(Finding::file(path, "this is not valid TOML"));
            continue;
        };
        let name = folder_name(path);
        let Some((_, allowed)) = EDGES.iter().find(|(it, _)| *it == name) else {
            findings.push(Finding::file(path, format!("list `{name}` in tidy's table of edges")));
            continue;
        };
        for used in dependencies(&manifest) {
            let is_ours = used.starts_with("kiln-");
            if is_ours && !allowed.contains(&used.as_str()) {
                findings.push(Finding::file(path, format!("`{name}` must not use `{used}`")));
            }
            if is_too_impure(name, &used) {
                let message = format!("`{name}` is pure: it must not use `{used}`");
                findings.push(Finding::file(path, message));
            }
        }
    }
    findings
}

/// Every crate has the workspace's lints, and the name of its folder.
pub(super) fn lints_are_inherited(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in manifests(tree) {
        let Some(manifest) = parse(text) else {
            continue;
        };
        let inherits = at(&manifest, "lints", "workspace").and_then(toml::Value::as_bool);
        if inherits != Some(true) {
            findings.push(Finding::file(path, "say `[lints] workspace = true`"));
        }
        let name = at(&manifest, "package", "name").and_then(toml::Value::as_str);
        if name != Some(folder_name(path)) {
            findings.push(Finding::file(path, "the crate is named as its folder"));
        }
    }
    findings
}

fn is_too_impure(name: &str, used: &str) -> bool {
    let exceptions = PURE.iter().find(|(it, _)| *it == name).map(|(_, exceptions)| exceptions);
    exceptions.is_some_and(|it| !it.contains(&used) && IMPURE_DEPENDENCIES.contains(&used))
}

fn manifests(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    let is_ours = |path: &str| {
        ["crates/", "xtask/", "benches/"].iter().any(|folder| path.starts_with(folder))
    };
    tree.files().filter(move |(path, _)| path.ends_with("/Cargo.toml") && is_ours(path))
}

fn folder_name(path: &str) -> &str {
    let folder = path.strip_suffix("/Cargo.toml").unwrap_or(path);
    folder.rsplit_once('/').map_or(folder, |(_, name)| name)
}

fn parse(text: &str) -> Option<toml::Table> {
    text.parse().ok()
}

fn at<'a>(manifest: &'a toml::Table, section: &str, key: &str) -> Option<&'a toml::Value> {
    manifest.get(section)?.as_table()?.get(key)
}

fn dependencies(manifest: &toml::Table) -> Vec<String> {
    ["dependencies", "build-dependencies"]
        .iter()
        .filter_map(|section| manifest.get(*section)?.as_table())
        .flat_map(|table| table.keys().cloned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::check;
    use super::*;

    const GOOD: &str = "[package]\nname = \"kiln-store\"\n[dependencies]\n\
                        kiln-domain.workspace = true\n[lints]\nworkspace = true\n";

    #[test]
    fn an_unlisted_edge_is_found() {
        let agent = "[dependencies]\nkiln-server.workspace = true\n";
        let files = [
            ("crates/kiln-agent/Cargo.toml", agent),
            ("crates/kiln-new/Cargo.toml", ""),
            ("crates/kiln-store/Cargo.toml", GOOD),
        ];
        let expected = ["crates/kiln-agent/Cargo.toml", "crates/kiln-new/Cargo.toml"];
        check(are_the_listed_ones, &files, &expected);
    }

    #[test]
    fn a_pure_crate_with_a_runtime_is_found() {
        let tokio = "[dependencies]\ntokio = \"1\"\n";
        let files =
            [("crates/kiln-domain/Cargo.toml", tokio), ("crates/kiln-wire/Cargo.toml", tokio)];
        check(are_the_listed_ones, &files, &["crates/kiln-domain/Cargo.toml"]);
    }

    #[test]
    fn a_crate_with_lints_of_its_own_is_found() {
        let bare = "[package]\nname = \"kiln-wire\"\n";
        let misnamed = GOOD.replace("kiln-store", "kiln-shop");
        let files = [
            ("crates/kiln-extents/Cargo.toml", misnamed.as_str()),
            ("crates/kiln-store/Cargo.toml", GOOD),
            ("crates/kiln-wire/Cargo.toml", bare),
        ];
        let expected = ["crates/kiln-extents/Cargo.toml", "crates/kiln-wire/Cargo.toml"];
        check(lints_are_inherited, &files, &expected);
    }
}
