//! What the kernel counts of processes.

use std::fs;

/// What Linux counts processor time in.
const US_PER_TICK: f64 = 10_000.0;

/// A process and all that descends from it, as it is now; parents come first.
pub(super) fn tree(pid: u32) -> Vec<u32> {
    let mut pids = vec![pid];
    let mut n_seen = 0;
    while let Some(parent) = pids.get(n_seen) {
        n_seen += 1;
        // A child belongs to the thread that started it.
        let threads = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
        let children: Vec<u32> = threads
            .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
            .flat_map(|text| text.split_whitespace().flat_map(str::parse).collect::<Vec<u32>>())
            .collect();
        pids.extend(children);
    }
    pids
}

/// Microseconds of processor that a process took so far.
pub(super) fn cpu_us(pid: u32) -> f64 {
    let of = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything; user and system time stand behind it.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let (user, system) = (fields.next()?, fields.next()?);
        Some(user.parse::<f64>().ok()? + system.parse::<f64>().ok()?)
    };
    of().unwrap_or(0.0) * US_PER_TICK
}

/// Microseconds of processor that the threads of a process took, to the nanosecond, and how
/// often they were woken. Threads that ended are not counted.
pub(super) fn activity(pid: u32) -> (f64, f64) {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of = |thread: fs::DirEntry| {
        let said = |name: &str| fs::read_to_string(thread.path().join(name)).unwrap_or_default();
        let ns = said("schedstat").split(' ').next().and_then(|it| it.parse::<f64>().ok());
        let status = said("status");
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        let n_woken = line.and_then(|it| it.trim().parse::<f64>().ok());
        (ns.unwrap_or(0.0) / 1000.0, n_woken.unwrap_or(0.0))
    };
    threads.map(of).fold((0.0, 0.0), |(us, n), (more_us, more)| (us + more_us, n + more))
}

/// A line of what the kernel says of a process's memory, in MiB.
pub(super) fn memory_mib(pid: u32, name: &str) -> f64 {
    let of = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()
    };
    of().unwrap_or(0.0) / 1024.0
}
