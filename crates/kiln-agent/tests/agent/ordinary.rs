//! The whole suite once more as an ordinary user, whose nodes are of another kind.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::rig::{PROGRAM_VARIABLE, agent_program, is_root};

/// A user of the machine that nobody is.
const UID: u32 = 54_322;
/// Tests of the suite at the least: fewer are not the suite.
const TESTS_MIN: usize = 120;

#[test]
#[expect(clippy::disallowed_methods, reason = "it starts this program once more")]
fn all_of_it_holds_for_an_ordinary_user() {
    if !is_root() {
        return;
    }
    // What is tested may lie where others may not go.
    let place = tempfile::Builder::new().prefix("kiln-user-").tempdir_in("/var/tmp").expect("made");
    let open = |path: &std::path::Path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("allowed");
    };
    open(place.path());
    let suite = place.path().join("suite");
    fs::copy(std::env::current_exe().expect("known"), &suite).expect("copied");
    let agent = place.path().join("agent");
    fs::copy(agent_program(), &agent).expect("copied");
    open(&suite);
    open(&agent);
    let ran = Command::new(&suite)
        .args(["--test-threads", "4"])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env(PROGRAM_VARIABLE, &agent)
        .current_dir("/")
        .uid(UID)
        .gid(UID)
        .output()
        .expect("started");
    let printed = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{printed}");
    let n_ok = printed.lines().filter(|line| line.ends_with("... ok")).count();
    assert!(n_ok >= TESTS_MIN, "{n_ok} tests ran: {printed}");
}
