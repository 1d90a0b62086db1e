//! Starts one process without copying this one: the child borrows our memory until it runs
//! its program, on a stack of its own, while the thread that made it waits.
//!
//! Between the clone and the program the child allocates nothing and returns from nothing:
//! all it needs is laid out in a [`Plan`] before.
#![expect(unsafe_code, reason = "clone, execve and signal dispositions have no safe wrapper")]

use std::cell::Cell;
use std::convert::Infallible;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr;
use std::sync::atomic::AtomicI32;

use rustix::process::{Gid, Resource, Rlimit, Uid, setrlimit};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::CLONE_INTO_CGROUP;
use super::message::{Input, Rights, Spawn, SpawnStep, UserId};

/// Bytes of the child's stack.
const STACK_BYTES: usize = 128 * 1024;
/// The child borrows our memory, and this thread waits until it gives it back. What the kernel
/// calls its thread id is its process id.
const FLAGS: c_int = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PARENT_SETTID;
/// File mode bits that a process's files lack.
const UMASK: u32 = 0o022;

/// Why no process was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Where it went wrong.
    pub(crate) step: SpawnStep,
    /// The operating system's error number.
    pub(crate) errno: i32,
}

/// Where a child begins: its stack, used again and again, because a thread has one child at a time
/// that has not run its program.
#[derive(Debug)]
pub(crate) struct Site(Box<[MaybeUninit<u8>]>);

impl Site {
    /// A new one.
    pub(crate) fn new() -> Self {
        Self(Box::new_uninit_slice(STACK_BYTES))
    }
}

/// All that the child reads, and the one thing it writes.
struct Plan {
    /// Paths to try, in order.
    programs: Vec<CString>,
    argv: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    directory: CString,
    streams: [c_int; 3],
    group: Option<c_int>,
    /// Files to write to in order to be counted.
    places: Vec<c_int>,
    user: Option<UserId>,
    rights: Rights,
    has_terminal: bool,
    processes_max: Option<u64>,
    failure: Cell<Option<Failure>>,
}

/// Starts the process; answers its id once its program runs. `groups` are its control group, if
/// it has one, and its places. The id is in `starting` before the process could end.
pub(crate) fn spawn(
    request: &Spawn,
    streams: [BorrowedFd<'_>; 3],
    groups: &[BorrowedFd<'_>],
    site: &mut Site,
    starting: &AtomicI32,
) -> Result<i32, Failure> {
    let nonsense = Failure { step: SpawnStep::Request, errno: libc::EINVAL };
    let to_c = |text: &String| CString::new(text.as_str()).map_err(|_nul| nonsense);
    let argv = request.argv.iter().map(to_c).collect::<Result<Vec<_>, _>>()?;
    let environment = request.environment.iter().map(to_c).collect::<Result<Vec<_>, _>>()?;
    let name = request.argv.first().ok_or(nonsense)?;
    let programs =
        candidates(name, &request.environment).iter().map(to_c).collect::<Result<_, _>>()?;
    let (group, places) = match groups {
        [group, places @ ..] if request.has_group => (Some(group), places),
        places => (None, places),
    };
    let plan = Plan {
        programs,
        argv: pointers(&argv),
        environment: pointers(&environment),
        directory: to_c(&request.directory)?,
        streams: streams.map(|stream| stream.as_raw_fd()),
        group: group.map(|group| group.as_raw_fd()),
        places: places.iter().map(|place| place.as_raw_fd()).collect(),
        user: request.user,
        rights: request.rights,
        has_terminal: request.input == Input::Terminal,
        processes_max: request.processes_max,
        failure: Cell::new(None),
    };
    let pid = clone_into_group(&plan, site, starting)
        .map_err(|error| Failure { step: SpawnStep::Clone, errno: errno_of(&error) })?;
    match plan.failure.get() {
        None => Ok(pid),
        Some(failure) => {
            // The child ended at once: take it off the list of those to be waited for.
            let process = rustix::process::Pid::from_raw(pid);
            let _reaped = rustix::process::waitpid(process, rustix::process::WaitOptions::empty());
            Err(failure)
        }
    }
}

/// Paths under which a program may lie: as named when it has a slash, else along `PATH`.
fn candidates(name: &str, environment: &[String]) -> Vec<String> {
    if name.contains('/') {
        return vec![name.to_owned()];
    }
    let path = environment.iter().rev().find_map(|setting| setting.strip_prefix("PATH="));
    let in_directory = |directory: &str| match directory {
        "" => format!("./{name}"),
        directory => format!("{directory}/{name}"),
    };
    path.unwrap_or_default().split(':').map(in_directory).collect()
}

fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
}

fn errno_of(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

/// Clones into the plan's group, or, where `clone3` is not allowed, lets the child join it.
fn clone_into_group(plan: &Plan, site: &mut Site, starting: &AtomicI32) -> io::Result<i32> {
    match clone3(plan, site, starting) {
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {
            clone_plain(plan, site, starting)
        }
        other => other,
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn clone3(plan: &Plan, site: &mut Site, starting: &AtomicI32) -> io::Result<i32> {
    // SAFETY: all members of `clone_args` are integers, for which zero is a value.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = u64::from(FLAGS.cast_unsigned());
    arguments.parent_tid = u64::try_from(starting.as_ptr().addr()).map_err(io::Error::other)?;
    arguments.exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
    let bottom = site.0.as_mut_ptr().addr().next_multiple_of(16);
    arguments.stack = u64::try_from(bottom).map_err(io::Error::other)?;
    arguments.stack_size = u64::try_from(STACK_BYTES - 32).map_err(io::Error::other)?;
    if let Some(group) = plan.group {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = u64::try_from(group).map_err(io::Error::other)?;
    }
    let plan: *const Plan = plan;
    let number = isize::try_from(libc::SYS_clone3).map_err(io::Error::other)?;
    let size = size_of::<libc::clone_args>();
    let result: isize;
    // SAFETY: the child runs `child` on its own stack, never leaves this block, and ends or
    // runs another program before we go on (CLONE_VFORK); `plan` outlives it for that reason.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") number => result,
            in("rdi") &raw const arguments,
            in("rsi") size,
            in("r12") child as extern "C" fn(*const c_void) -> !,
            in("r13") plan,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x21",
            "blr x20",
            "brk #1",
            "2:",
            in("x8") number,
            inlateout("x0") &raw const arguments => result,
            in("x1") size,
            in("x20") child as extern "C" fn(*const c_void) -> !,
            in("x21") plan,
        );
    }
    match i32::try_from(result).map_err(io::Error::other)? {
        pid if pid > 0 => Ok(pid),
        errno => Err(io::Error::from_raw_os_error(-errno)),
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn clone3(_: &Plan, _: &mut Site, _: &AtomicI32) -> io::Result<i32> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

fn clone_plain(plan: &Plan, site: &mut Site, starting: &AtomicI32) -> io::Result<i32> {
    extern "C" fn enter(plan: *mut c_void) -> c_int {
        // SAFETY: `plan` is the plan that `clone_plain` passes, which waits for us.
        let joined = join_group(unsafe { &*plan.cast_const().cast::<Plan>() });
        if joined { child(plan.cast_const()) } else { end() }
    }
    let top = site.0.as_mut_ptr_range().end;
    let top = top.wrapping_byte_sub(top.addr() % 16);
    let plan: *const Plan = plan;
    // SAFETY: the child has its own stack and ends or runs another program before we go on,
    // so that `plan` outlives it.
    let pid = unsafe {
        libc::clone(
            enter,
            top.cast(),
            FLAGS | libc::SIGCHLD,
            plan.cast_mut().cast(),
            starting.as_ptr(),
        )
    };
    if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(pid) }
}

/// In the child, where it could not be cloned into its group.
fn join_group(plan: &Plan) -> bool {
    use rustix::fs::{Mode, OFlags, openat};
    let Some(group) = plan.group else {
        return true;
    };
    // SAFETY: the descriptor is open as long as the plan, which the parent keeps.
    let group = unsafe { BorrowedFd::borrow_raw(group) };
    let joined = openat(group, c"cgroup.procs", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .and_then(|procs| rustix::io::write(&procs, b"0"));
    if let Err(error) = joined {
        plan.failure.set(Some(Failure { step: SpawnStep::Group, errno: error.raw_os_error() }));
    }
    joined.is_ok()
}

/// The child's whole life before its program.
extern "C" fn child(plan: *const c_void) -> ! {
    // SAFETY: `plan` is the plan of the parent, which waits for us.
    let plan = unsafe { &*plan.cast::<Plan>() };
    let Err(failure) = prepare(plan);
    plan.failure.set(Some(failure));
    end()
}

fn end() -> ! {
    // SAFETY: ends the child only, without running anything of ours.
    unsafe { libc::_exit(127) }
}

/// Becomes the program; comes back only with a failure.
fn prepare(plan: &Plan) -> Result<Infallible, Failure> {
    let at = |step| move |error: rustix::io::Errno| Failure { step, errno: error.raw_os_error() };
    rustix::process::setsid().map_err(at(SpawnStep::Clone))?;
    for place in &plan.places {
        // SAFETY: the descriptor is open as long as the plan, which the parent keeps.
        let place = unsafe { BorrowedFd::borrow_raw(*place) };
        rustix::io::write(place, b"0").map_err(at(SpawnStep::Group))?;
    }
    for (target, stream) in (0..).zip(plan.streams) {
        // SAFETY: replaces one of the standard descriptors of the child, which has its own
        // table of them.
        let result = unsafe { libc::dup2(stream, target) };
        if result < 0 {
            let errno = errno_of(&io::Error::last_os_error());
            return Err(Failure { step: SpawnStep::Streams, errno });
        }
    }
    if plan.has_terminal {
        // SAFETY: standard input is open by now.
        let terminal = unsafe { BorrowedFd::borrow_raw(0) };
        rustix::process::ioctl_tiocsctty(terminal).map_err(at(SpawnStep::Streams))?;
    }
    if let Some(limit) = plan.processes_max {
        let limit = Rlimit { current: Some(limit), maximum: Some(limit) };
        // A machine that allows fewer has its own limit.
        let _lower = setrlimit(Resource::Nproc, limit);
    }
    reset_signals();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(UMASK));
    if let Some(UserId { uid, gid, shared_gid }) = plan.user {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        set_thread_groups(&[gid, Gid::from_raw(shared_gid)]).map_err(at(SpawnStep::User))?;
        set_thread_res_gid(gid, gid, gid).map_err(at(SpawnStep::User))?;
        set_thread_res_uid(uid, uid, uid).map_err(at(SpawnStep::User))?;
    }
    if plan.rights == Rights::User && plan.user.is_none() {
        crate::isolate::capabilities::drop_all();
    }
    rustix::process::chdir(plan.directory.as_c_str()).map_err(at(SpawnStep::Directory))?;
    let mut failure = Failure { step: SpawnStep::Program, errno: libc::ENOENT };
    for program in &plan.programs {
        // To look costs less than to try in vain.
        if plan.programs.len() > 1 && is_missing(program) {
            continue;
        }
        // SAFETY: all three are lists of texts that end with zero, kept by the parent.
        unsafe {
            libc::execve(program.as_ptr(), plan.argv.as_ptr(), plan.environment.as_ptr());
        }
        match errno_of(&io::Error::last_os_error()) {
            libc::ENOENT | libc::ENOTDIR => {}
            errno => failure.errno = errno,
        }
        if failure.errno != libc::ENOENT && failure.errno != libc::EACCES {
            break;
        }
    }
    Err(failure)
}

fn is_missing(program: &CStr) -> bool {
    let looked = rustix::fs::stat(program);
    matches!(looked, Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR))
}

/// Gives the program the dispositions of a fresh process.
fn reset_signals() {
    // SAFETY: the child has its own dispositions; none of ours is a handler.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
    let mut none = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigemptyset` makes a set of what it is given.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
    }
    // SAFETY: `none` is a set by now; the old one is not asked for.
    unsafe {
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::candidates;

    #[test]
    fn programs_are_looked_up_along_the_path() {
        let environment = ["PATH=/no".to_owned(), "PATH=/bin::/opt/x".to_owned()];
        assert_eq!(candidates("ls", &environment), ["/bin/ls", "./ls", "/opt/x/ls"]);
        assert_eq!(candidates("./ls", &environment), ["./ls"]);
        assert_eq!(candidates("ls", &[]), ["./ls"]);
    }
}
