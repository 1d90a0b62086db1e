//! Where the processors' time goes: `cargo xtask bench tasks --profile`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use super::flame::Frame;
use super::{Setting, kiln, pause};
use crate::bench::page;
use crate::program;
use crate::report;

/// Samples of a second and of a processor.
const FREQUENCY: usize = 499;
/// Time that `perf` needs to begin.
const BEGINS_IN: Duration = Duration::from_secs(1);
/// Where the picture goes.
const PICTURE: &str = "docs/tasks.svg";
/// What takes less of a task's time, in microseconds, is told together.
const SHOWN_US_MIN: f64 = 3.0;

/// What a sample is counted as, by who was running and a name among its callers; the first that
/// fits counts.
const PARTS: [(&str, &str, &str); 18] = [
    ("server", "commits: SQLite's log and the disk", "execute_batch"),
    ("server", "taking in reports", "reports::take"),
    ("server", "placing tasks", "dispatch::commit"),
    ("server", "adding tasks, in the commit", "kiln_store::writer"),
    ("server", "waking those who look at jobs", "job_end::run"),
    ("server", "reading what agents say", "link::"),
    ("server", "HTTP and JSON of requests", "kiln_http"),
    ("server", "planning", "dispatch::run"),
    ("agent", "directories and files", "kiln_files::directory"),
    ("agent", "control groups", "isolate::group"),
    ("agent", "limits", "isolate::seats"),
    ("agent", "asking for a process", "node_init::channel"),
    ("agent", "notes for the next agent", "retention"),
    ("agent", "messages of the link", "link::carry"),
    ("agent", "attempts", "command::run"),
    ("first process", "starting", "spawn::spawn"),
    ("first process", "messages", "channel::"),
    ("first process", "collecting what ended", "ended::"),
];

/// Takes samples while tasks run, draws who called whom and tells where a task's time goes.
pub(super) fn run(setting: &Setting<'_>, folder: &Path) -> Result<(), String> {
    let data = folder.join("perf.data");
    let mut perf = None;
    let mut pids = Vec::new();
    let watched = kiln::tasks(setting, folder, |seen| {
        pids = seen.to_vec();
        perf = Some(record(&data)?);
        pause(BEGINS_IN);
        Ok(())
    });
    if let Some(perf) = perf {
        end(perf, folder)?;
    }
    let (rate, _) = watched?;
    let mut script = program::command("perf", folder);
    script.args(["script", "--no-inline", "-F", "comm,pid,tid,ip,sym", "-i"]).arg(&data);
    let text = program::run_quietly(script.stderr(Stdio::null()))?;
    let mut profile = Profile::new(&pids);
    profile.read(&text);
    let n_tasks = setting.extent.n_tasks;
    let title = format!("{n_tasks} tasks, {rate:.0} a second: processor time by caller");
    let picture = profile.root.svg(&title);
    std::fs::write(setting.root.join(PICTURE), picture).map_err(|cause| cause.to_string())?;
    let table = profile.table(n_tasks);
    report::say(&table);
    page::write(
        setting.root,
        "profile",
        &table,
        &format!("{n_tasks} tasks; `perf` on all processors."),
    )
}

fn record(data: &Path) -> Result<Child, String> {
    let mut perf = program::command("perf", data.parent().unwrap_or(data));
    perf.args(["record", "-a", "-q", "-F", &FREQUENCY.to_string()])
        .args(["--call-graph", "dwarf,16384", "-o"])
        .arg(data)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    perf.spawn().map_err(|_cause| "install `perf` (Debian's package is `linux-perf`)".to_owned())
}

/// Lets `perf` write what it has.
fn end(mut perf: Child, folder: &Path) -> Result<(), String> {
    let mut kill = program::command("kill", folder);
    program::run_quietly(kill.arg("-INT").arg(perf.id().to_string()))?;
    perf.wait().map(drop).map_err(|cause| cause.to_string())
}

/// Samples by who was running.
struct Profile {
    /// The server, the agent and the node's first process.
    pids: Vec<String>,
    root: Frame,
    parts: BTreeMap<(&'static str, &'static str), usize>,
}

impl Profile {
    fn new(pids: &[u32]) -> Self {
        let pids = pids.iter().map(ToString::to_string).collect();
        Self { pids, root: Frame::default(), parts: BTreeMap::new() }
    }

    /// Reads what `perf script` tells: for each sample a line with the name and the number of
    /// the process, then its callers, the innermost first.
    fn read(&mut self, text: &str) {
        let mut sample: Option<(&'static str, Vec<String>)> = None;
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [] => {
                    if let Some((who, callers)) = sample.take() {
                        self.add(who, &callers);
                    }
                }
                [_, .., last] | [last] if sample.is_none() => {
                    let pid = last.split('/').next().unwrap_or_default();
                    let name = words.first().copied().unwrap_or_default();
                    sample = Some((self.who(name, pid), Vec::new()));
                }
                [_, name @ ..] => {
                    if let Some((_, callers)) = &mut sample {
                        callers.push(plain(&name.join(" ")));
                    }
                }
            }
        }
        if let Some((who, callers)) = sample.take() {
            self.add(who, &callers);
        }
    }

    fn who(&self, name: &str, pid: &str) -> &'static str {
        match self.pids.iter().position(|it| it == pid) {
            Some(0) => "server",
            Some(1) => "agent",
            Some(_) => "first process",
            None if name == "swapper" => "idle",
            None if name == "true" => "tasks",
            // Until then it has the name of the thread that made it.
            None if name == "starter" => "tasks, until their program runs",
            None if name == "xtask" => "client",
            None => "the rest, mostly the kernel's threads",
        }
    }

    fn add(&mut self, who: &'static str, callers: &[String]) {
        if who == "idle" {
            return;
        }
        let names = callers.iter().rev().map(String::as_str);
        let names = names.filter(|name| *name != "[unknown]" && !is_common(name));
        self.root.add([who].into_iter().chain(names));
        let is_its = |part: &&(&str, &str, &str)| {
            part.0 == who && callers.iter().any(|caller| caller.contains(part.2))
        };
        let what = PARTS.iter().find(is_its).map_or("other", |part| part.1);
        *self.parts.entry((who, what)).or_default() += 1;
    }

    fn table(&self, n_tasks: usize) -> String {
        let us = |n_samples: usize| 1e6 * n_samples as f64 / FREQUENCY as f64 / n_tasks as f64;
        let mut lines =
            vec!["| who | what | µs for a task |".to_owned(), "| --- | --- | --- |".to_owned()];
        for (who, frame) in self.root.callees() {
            lines.push(format!("| **{who}** | all | {:.0} |", us(frame.n_samples())));
            let parts =
                self.parts.iter().filter(|((whose, what), _)| *whose == who && *what != "other");
            let mut parts: Vec<_> = parts.map(|((_, what), n)| (us(*n), *what)).collect();
            parts.sort_by(|a, b| b.0.total_cmp(&a.0));
            for (us, what) in parts.into_iter().filter(|part| part.0 >= SHOWN_US_MIN) {
                lines.push(format!("| | {what} | {us:.0} |"));
            }
        }
        lines.join("\n")
    }
}

/// A name without its hash and the parameters of its types.
fn plain(name: &str) -> String {
    let name = name.rsplit_once("::h").filter(|(_, hash)| hash.len() == 16).map_or(name, |it| it.0);
    name.replace("::{{closure}}", "").replace("{closure#0}", "")
}

/// Callers that every sample has, and that tell nothing.
fn is_common(name: &str) -> bool {
    [
        "tokio::runtime",
        "std::",
        "core::",
        "<core::",
        "<std::",
        "__libc_start",
        "start_thread",
        "clone3",
    ]
    .iter()
    .any(|common| name.starts_with(common))
        || ["_start", "main"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::Profile;

    #[test]
    fn samples_are_told_apart() {
        let text = "kiln  7/7 \n\t ff entry_SYSCALL\n\t 1 kiln_store::writer::run::h0123456789abcdef\n\n\
                    swapper 0/0\n\tff idle\n\nstarter 9/9\n\tff execve\n\nstore-writer 7/8 \n\tff fsync\n";
        let mut profile = Profile::new(&[7, 8, 9]);
        profile.read(text);
        let counts: Vec<_> = profile.root.callees().map(|it| (it.0, it.1.n_samples())).collect();
        assert_eq!(counts, [("first process", 1), ("server", 2)]);
        assert_eq!(profile.parts.get(&("server", "adding tasks, in the commit")), Some(&1));
        assert!(profile.table(1).contains("| **server** | all | 4008 |"));
    }
}
