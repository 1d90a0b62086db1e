//! The page with the results: a section for each subject, between two marks.

use std::fs;
use std::path::Path;

/// Puts what was measured of a subject, with versions and machine, into the page.
pub(super) fn write(root: &Path, subject: &str, text: &str, about: &str) -> Result<(), String> {
    let page = root.join("docs/performance.md");
    let shown = page.display();
    let old = fs::read_to_string(&page).map_err(|cause| format!("{shown}: {cause}"))?;
    let new = with_section(&old, subject, &format!("{text}\n\n{about} Machine: {}.", machine()));
    let new = new.ok_or_else(|| format!("{shown} has no place for the results of {subject}"))?;
    fs::write(&page, new).map_err(|cause| format!("{shown}: {cause}"))
}

/// The page with another text between the marks of a subject; `None` when it has none.
fn with_section(page: &str, subject: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {subject}: begin -->"), format!("<!-- {subject}: end -->"));
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{text}\n{end}{after}"))
}

/// What this machine is.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim());
        value.unwrap_or("unknown").to_owned()
    };
    let processors = read("/proc/cpuinfo");
    let n_processors = processors.lines().filter(|line| line.starts_with("processor")).count();
    let model = value(&processors, "model name");
    let memory = value(&read("/proc/meminfo"), "MemTotal");
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').nth(2).unwrap_or_default();
    format!(
        "{n_processors} processors ({model}), {memory} of memory, Linux {}, shared with other \
         work (15-minute load {load})",
        kernel.trim()
    )
}

#[cfg(test)]
mod tests {
    use super::with_section;

    #[test]
    fn a_section_takes_the_place_of_the_one_before() {
        let page = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n";
        let new = with_section(page, "x", "new").expect("it has the marks");
        assert_eq!(new, page.replace("old", "new"));
        assert_eq!(with_section(page, "y", "new"), None);
    }
}
