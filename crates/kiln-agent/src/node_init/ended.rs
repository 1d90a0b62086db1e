//! Children of a node's first process that ended, and what they took.
#![expect(unsafe_code, reason = "waitid with an identity and wait4 have no safe wrapper")]

use std::fs::File;
use std::mem::MaybeUninit;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use kiln_domain::batch::usage::Usage;
use kiln_domain::span::Span;
use rustix::process::{WaitId, WaitIdOptions, waitid};

/// Bytes of a block, as the kernel counts blocks of a process.
const BLOCK_BYTES: u64 = 512;
/// Bytes of what the kernel says of the counters of a process.
const COUNTERS_BYTES_MAX: usize = 512;

/// A child that ended.
pub(crate) struct Ended {
    /// 128 + signal when a signal ended it.
    pub(crate) exit_code: i32,
    pub(crate) usage: Usage,
}

/// Whether there is a child that ended or that may yet end.
pub(crate) fn has_children() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    waitid(WaitId::All, options).err() != Some(rustix::io::Errno::CHILD)
}

/// Takes a child that ended off the list of processes; `None` when somebody else did. `counted` is
/// what its [`Counters`] said: they are gone with it.
pub(crate) fn collect(pid: i32, counted: Option<[u64; 4]>) -> Option<Ended> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both places may be written; asks without waiting.
    let reaped = unsafe { libc::wait4(pid, &raw mut status, libc::WNOHANG, usage.as_mut_ptr()) };
    if reaped != pid {
        return None;
    }
    // SAFETY: all members are integers, for which zero is a value.
    let usage = usage_of(&unsafe { usage.assume_init() });
    let exit_code = if libc::WIFSIGNALED(status) {
        128 + libc::WTERMSIG(status)
    } else {
        libc::WEXITSTATUS(status)
    };
    let usage = match counted {
        Some([read_ops, write_ops, read_bytes, write_bytes]) => {
            Usage { read_ops, write_ops, read_bytes, write_bytes, ..usage }
        }
        None => usage,
    };
    Some(Ended { exit_code, usage })
}

/// A child that ended and still is on the list of processes.
pub(crate) fn next_ended() -> Option<i32> {
    let mut about = MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the place may be written; asks without waiting.
    let found = unsafe { libc::waitid(libc::P_ALL, 0, about.as_mut_ptr(), options) };
    if found != 0 {
        return None;
    }
    // SAFETY: all of it is integers, for which zero is a value.
    let about = unsafe { about.assume_init() };
    // SAFETY: `waitid` fills in this member, or leaves it zero.
    let pid = unsafe { about.si_pid() };
    (pid > 0).then_some(pid)
}

/// What a process and the descendants it waited for took, as the kernel counts it always.
fn usage_of(counted: &libc::rusage) -> Usage {
    let time = |time: libc::timeval| {
        let us = time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_usec);
        Span::from_std(Duration::from_micros(u64::try_from(us).unwrap_or(0)))
    };
    let number = |number| u64::try_from(number).unwrap_or(0);
    Usage {
        user_cpu: time(counted.ru_utime),
        kernel_cpu: time(counted.ru_stime),
        peak_memory_bytes: number(counted.ru_maxrss).saturating_mul(1024),
        read_ops: number(counted.ru_inblock),
        write_ops: number(counted.ru_oublock),
        read_bytes: number(counted.ru_inblock).saturating_mul(BLOCK_BYTES),
        write_bytes: number(counted.ru_oublock).saturating_mul(BLOCK_BYTES),
        ..Usage::default()
    }
}

/// Where the kernel counts what a process and the descendants it waited for read and write.
/// Opened while it runs: the file of a process that ended belongs to the machine's root.
#[derive(Debug)]
pub(crate) struct Counters(File);

impl Counters {
    /// Those of a process that runs; `None` where the kernel does not count.
    pub(crate) fn open(pid: i32) -> Option<Self> {
        File::open(format!("/proc/{pid}/io")).ok().map(Self)
    }

    /// Reads, writes, bytes read and bytes written.
    pub(crate) fn read(&self) -> Option<[u64; 4]> {
        let mut text = [0; COUNTERS_BYTES_MAX];
        let n_read = self.0.read_at(&mut text, 0).ok()?;
        let text = str::from_utf8(text.get(..n_read)?).ok()?;
        let number = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(found, _)| *found == name)?.1.parse().ok()
        };
        Some([number("syscr")?, number("syscw")?, number("read_bytes")?, number("write_bytes")?])
    }
}
