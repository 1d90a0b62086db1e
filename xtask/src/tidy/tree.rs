//! The repository's text files, as the rules see them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Folders that hold nothing of ours.
const FOLDERS_LEFT_OUT: [&str; 5] = ["target", ".git", "node_modules", "__pycache__", "corpus"];
/// Kinds of files that rules read.
const KINDS: [&str; 9] = ["rs", "toml", "md", "py", "js", "cjs", "sql", "svg", "txt"];

/// Every text file of the repository, by its path from the root with `/` between names.
#[derive(Debug, Default)]
pub(super) struct Tree {
    files: BTreeMap<String, String>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) path: String,
    pub(super) line: Option<usize>,
    pub(super) message: String,
}

impl Finding {
    pub(super) fn file(path: &str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, message: message.into() }
    }

    pub(super) fn line(path: &str, line_idx: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: Some(line_idx + 1), message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.message),
            None => write!(f, "{}: {}", self.path, self.message),
        }
    }
}

impl Tree {
    /// Reads the files below `root`.
    pub(super) fn load(root: &Path) -> Result<Self, String> {
        let mut tree = Self::default();
        tree.load_folder(root, "")?;
        Ok(tree)
    }

    fn load_folder(&mut self, root: &Path, folder: &str) -> Result<(), String> {
        let place = root.join(folder);
        let told = |cause| format!("cannot read {}: {cause}", place.display());
        for entry in std::fs::read_dir(&place).map_err(told)? {
            let entry = entry.map_err(told)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let kind = entry.file_type().map_err(told)?;
            if kind.is_dir() && !FOLDERS_LEFT_OUT.contains(&name.as_str()) {
                self.load_folder(root, &path)?;
            } else if kind.is_file() && is_text(&name) {
                let bytes = std::fs::read(entry.path()).map_err(told)?;
                self.files.insert(path, String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        Ok(())
    }

    /// A tree made of these paths and texts.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Self { files: files.iter().map(owned).collect() }
    }

    /// Path and text of every file, sorted by path.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The Rust files among them.
    pub(super) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(|(path, _)| path.ends_with(".rs"))
    }

    /// The text of one file.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether there is such a file, or a folder with such a file in it.
    pub(super) fn has(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.files.contains_key(path) || self.files.keys().any(|it| it.starts_with(&folder))
    }
}

fn is_text(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, kind)| KINDS.contains(&kind))
        || name.starts_with("LICENSE")
}

/// The lines that are code: comments and blank lines are left out.
pub(super) fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().filter(|(_, line)| {
        let start = line.trim_start();
        !start.is_empty() && !start.starts_with("//")
    })
}

/// Runs a rule over a small tree and compares the paths it complains about.
#[cfg(test)]
#[track_caller]
pub(super) fn check(rule: super::Rule, files: &[(&str, &str)], expected: &[&str]) {
    let found: Vec<String> = rule(&Tree::of(files)).into_iter().map(|it| it.path).collect();
    assert_eq!(found, expected);
}
