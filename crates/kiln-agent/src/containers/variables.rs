//! The variables of a container: those of its command, as far as they make sense in it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::mounts::Mount;

/// Variables that speak of the node's own programs and settings.
const OF_NODE: [&str; 4] = ["PATH", "PIP_BREAK_SYSTEM_PACKAGES", "PIP_ROOT_USER_ACTION", "PWD"];

/// What of the variables of a command its container gets: `given` are the names that the user
/// chose, which are never left out; of the others, those go that name a place on the node that the
/// container does not see.
pub(super) fn of(
    variables: &BTreeMap<String, String>,
    given: &[String],
    root: &str,
    mounts: &[Mount],
) -> BTreeMap<String, String> {
    let root = Mount { path: root.to_owned(), is_read_only: false };
    let is_seen = |value: &str| !root.shows(value) || mounts.iter().any(|it| it.shows(value));
    let all = variables.iter().filter(|(name, value)| {
        given.contains(name) || (!OF_NODE.contains(&name.as_str()) && is_seen(value))
    });
    all.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Variables as the engine reads them: lines of a file, and what does not fit into a line as a
/// list of its settings.
pub(super) fn files(variables: &BTreeMap<String, String>) -> (String, String) {
    let (long, short): (Vec<_>, Vec<_>) =
        variables.iter().partition(|(_, value)| value.contains(['\n', '\r']));
    let lines: String = short.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    let texts = long.iter().map(|(name, value)| toml_text(&format!("{name}={value}")));
    let list = texts.collect::<Vec<_>>().join(", ");
    (lines, format!("[containers]\nenv = [{list}]\n"))
}

/// A text as TOML writes it.
fn toml_text(text: &str) -> String {
    let mut written = String::with_capacity(text.len() + 2);
    written.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => {
                written.push('\\');
                written.push(letter);
            }
            letter if letter.is_control() => {
                // Writing to a string does not fail.
                let _written = write!(written, "\\u{:04X}", u32::from(letter));
            }
            letter => written.push(letter),
        }
    }
    written.push('"');
    written
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::mounts::Mount;
    use super::{files, of};

    fn variables(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn variables_of_what_is_not_mounted_are_left_out() {
        let all = variables(&[
            ("AZ_BATCH_NODE_ROOT_DIR", "/r"),
            ("AZ_BATCH_NODE_SHARED_DIR", "/r/shared"),
            ("AZ_BATCH_TASK_DIR", "/r/workitems/j/job-1/t"),
            ("AZ_BATCH_TASK_WORKING_DIR", "/r/workitems/j/job-1/t/wd"),
            ("AZ_BATCH_POOL_ID", "p"),
            ("MINE", "/r/shared/x"),
            ("OTHER", "/r2"),
            ("PATH", "/bin"),
        ]);
        let mount = |path: &str| Mount { path: path.to_owned(), is_read_only: false };
        let names = |mounts: &[Mount], given: &[&str]| {
            let given: Vec<String> = given.iter().map(|name| (*name).to_owned()).collect();
            of(&all, &given, "/r", mounts).into_keys().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(&[], &["MINE"]), "AZ_BATCH_POOL_ID MINE OTHER");
        assert_eq!(
            names(&[mount("/r/workitems/j/job-1/t")], &["PATH"]),
            "AZ_BATCH_POOL_ID AZ_BATCH_TASK_DIR AZ_BATCH_TASK_WORKING_DIR OTHER PATH"
        );
        assert!(names(&[mount("/r")], &[]).contains("AZ_BATCH_NODE_ROOT_DIR"));
    }

    #[test]
    fn a_value_of_several_lines_is_a_setting() {
        let (lines, settings) = files(&variables(&[("A", "b c"), ("K", "1\n\"2\"\\")]));
        assert_eq!(lines, "A=b c\n");
        assert_eq!(settings, "[containers]\nenv = [\"K=1\\u000A\\\"2\\\"\\\\\"]\n");
    }
}
