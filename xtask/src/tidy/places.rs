//! Some words belong to one place: SQL, api-versions, starting programs.

use super::tree::{Finding, Tree, code_lines};

/// Words that may appear only below certain paths.
struct Place {
    words: &'static [&'static str],
    allowed: &'static [&'static str],
    why: &'static str,
}

const PLACES: [Place; 3] = [
    Place {
        words: &["rusqlite", "INSERT INTO ", "DELETE FROM ", "CREATE TABLE ", "SELECT * "],
        allowed: &[
            "crates/kiln-store/",
            "crates/kiln-domain/src/blob/query/",
            "crates/kiln-wire/src/blob/query/",
            "crates/kiln-server/src/blob/tests/queries.rs",
        ],
        why: "only kiln-store contains SQL, apart from what clients ask of blobs",
    },
    Place {
        words: &["ApiVersion", "api_version::"],
        allowed: &[
            "crates/kiln-wire/",
            "fuzz/",
            "crates/kiln-server/src/batch/",
            "crates/kiln-server/src/http/",
        ],
        why: "only kiln-wire and the server's HTTP edge know that api-versions exist",
    },
    Place {
        words: &["Command::new(", "posix_spawn", "libc::fork", "execve"],
        allowed: &[
            "crates/kiln-agent/src/isolate",
            "crates/kiln-agent/src/node.rs",
            "crates/kiln-agent/src/node_init",
            "crates/kiln-provision/src/",
            "crates/kiln-cli/src/",
            "xtask/src/program.rs",
            "benches/plane/src/process.rs",
        ],
        why: "only the agent's isolate and node_init modules, provision and the command line \
              start programs",
    },
];

/// Each of these words appears only where it belongs. Tests may use any of them.
pub(super) fn keep_their_words(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.rust() {
        if path.contains("/tests/") || path.starts_with("xtask/src/tidy/") {
            continue;
        }
        for place in &PLACES {
            if place.allowed.iter().any(|it| path.starts_with(it)) {
                continue;
            }
            let shipped = text.split("#[cfg(test)]").next().unwrap_or(text);
            for (line_idx, line) in code_lines(shipped) {
                if let Some(word) = place.words.iter().find(|it| line.contains(**it)) {
                    let message = format!("`{}` here: {}", word.trim_end(), place.why);
                    findings.push(Finding::line(path, line_idx, message));
                }
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
    fn sql_outside_the_store_is_found() {
        let sql = "const Q: &str = \"INSERT INTO pool VALUES (1)\";\n";
        let files =
            [("crates/kiln-server/src/pool.rs", sql), ("crates/kiln-store/src/pool.rs", sql)];
        check(keep_their_words, &files, &["crates/kiln-server/src/pool.rs"]);
    }

    #[test]
    fn a_version_behind_the_edge_is_found() {
        let files = [
            ("crates/kiln-server/src/batch/edge.rs", "use kiln_wire::api_version::ApiVersion;\n"),
            ("crates/kiln-store/src/task.rs", "fn add(version: ApiVersion) {}\n"),
        ];
        check(keep_their_words, &files, &["crates/kiln-store/src/task.rs"]);
    }

    #[test]
    fn a_program_started_elsewhere_is_found() {
        let starts = "let it = Command::new(\"ls\");\n";
        let files = [
            ("crates/kiln-agent/src/files.rs", starts),
            ("crates/kiln-agent/src/node_init/spawn.rs", starts),
            ("crates/kiln-agent/tests/run.rs", starts),
            ("crates/kiln-store/src/lib.rs", "// Command::new( in a comment is fine\n"),
        ];
        check(keep_their_words, &files, &["crates/kiln-agent/src/files.rs"]);
    }
}
