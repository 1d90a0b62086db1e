//! Finds what is left of a task where no control group keeps its processes together.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read as _;

use rustix::process::{Pid, Signal, kill_process};

/// Bytes of a process's environment that are searched.
const ENVIRONMENT_BYTES_MAX: u64 = 1024 * 1024;

/// The flag of the kernel's own threads in `/proc/PID/stat` (`PF_KTHREAD`).
const KERNEL_THREAD: u32 = 0x0020_0000;

/// What one look at the processes of a task found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Some, which were killed.
    Killed,
    /// None, but one that shows no environment at all: so does a process in the middle of
    /// `execve`, whose old environment is gone and whose new one is not there yet.
    Unclear,
    /// None.
    Clear,
}

/// What a process's environment says of whose it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Marked {
    Yes,
    No,
    Unclear,
}

/// One process, as `/proc` shows it.
struct Seen {
    pid: i32,
    parent: i32,
    session: i32,
}

/// Kills every process of `session`, every one with the variable `mark` in its environment
/// and all their descendants.
pub(crate) fn kill(session: Option<i32>, mark: &str) -> Look {
    let seen = processes();
    let mut found = BTreeSet::new();
    let mut is_unclear = false;
    for process in &seen {
        let marked = if Some(process.session) == session {
            Marked::Yes
        } else {
            look_for_mark(process.pid, mark)
        };
        match marked {
            Marked::Yes => {
                found.insert(process.pid);
            }
            Marked::Unclear => is_unclear = true,
            Marked::No => {}
        }
    }
    loop {
        let n_found = found.len();
        let children = seen.iter().filter(|process| found.contains(&process.parent));
        let children: Vec<i32> = children.map(|process| process.pid).collect();
        found.extend(children);
        if found.len() == n_found {
            break;
        }
    }
    for pid in found.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        // One that ended meanwhile is what we want; one that is not ours can not be helped.
        let _ended = kill_process(pid, Signal::KILL);
    }
    match (found.is_empty(), is_unclear) {
        (false, _) => Look::Killed,
        (true, true) => Look::Unclear,
        (true, false) => Look::Clear,
    }
}

/// All processes but the first, ourselves and those that ended.
fn processes() -> Vec<Seen> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| *pid != 1 && *pid != own).filter_map(see).collect()
}

/// `None` when the process ended, or is a thread of the kernel.
fn see(pid: i32) -> Option<Seen> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut members = rest.split(' ');
    let state = members.next()?;
    let parent = members.next()?.parse().ok()?;
    let session = members.nth(1)?.parse().ok()?;
    let flags: u32 = members.nth(2)?.parse().ok()?;
    let is_task = !matches!(state, "Z" | "X") && flags & KERNEL_THREAD == 0;
    is_task.then_some(Seen { pid, parent, session })
}

fn look_for_mark(pid: i32, mark: &str) -> Marked {
    let mut environment = Vec::new();
    let Ok(file) = File::open(format!("/proc/{pid}/environ")) else {
        return Marked::No;
    };
    // A process that ends or that we may not look into has no mark.
    if file.take(ENVIRONMENT_BYTES_MAX).read_to_end(&mut environment).is_err() {
        return Marked::No;
    }
    if environment.is_empty() {
        return Marked::Unclear;
    }
    let mut settings = environment.split(|byte| *byte == 0);
    if settings.any(|setting| setting == mark.as_bytes()) { Marked::Yes } else { Marked::No }
}
