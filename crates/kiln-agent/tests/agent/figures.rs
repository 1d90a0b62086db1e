//! What a node and a task cost here; run with `--nocapture` to see the figures.

use std::fs;
use std::time::Instant;

use crate::rig::{Rig, command};
use kiln_wire::node::{Outcome, Report};

/// Tasks that are run for a figure.
const TASKS: usize = 300;

#[tokio::test]
async fn apart() {
    measure("namespaces").await;
}

#[tokio::test]
async fn plain() {
    measure("plain").await;
}

#[expect(clippy::disallowed_methods, reason = "it measures")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::print_stdout, reason = "its purpose")]
async fn measure(kind: &str) {
    let begun = now();
    let mut rig = Rig::ready(kind).await;
    let ready = begun.elapsed();
    let mut seen = rig.reports.len();
    let begun = now();
    for number in 0..TASKS {
        rig.run(command(&format!("one-{number}"), "true")).await;
        wait_for_ends(&mut rig, &mut seen, 1).await;
    }
    let alone = begun.elapsed() / u32::try_from(TASKS).expect("few");
    let begun = now();
    for number in 0..TASKS {
        rig.run(command(&format!("many-{number}"), "true")).await;
    }
    wait_for_ends(&mut rig, &mut seen, TASKS).await;
    let together = begun.elapsed() / u32::try_from(TASKS).expect("few");
    let status = fs::read_to_string(format!("/proc/{}/status", rig.agent.id())).expect("running");
    let size = status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("Thr"));
    let size: Vec<&str> = size.collect();
    let begun = now();
    rig.leave().await;
    println!(
        "{kind}: agent started and node ready in {ready:?}; a task alone takes {alone:?}, \
         one of many {together:?}; the agent: {size:?}; gone in {:?}",
        begun.elapsed()
    );
}

/// Waits until `count` more attempts have ended; `seen` reports were looked at before.
async fn wait_for_ends(rig: &mut Rig, seen: &mut usize, count: usize) {
    let mut n_ended = 0;
    while n_ended < count {
        rig.wait_after(*seen, "the end of a task", |_| Some(())).await;
        match rig.reports.get(*seen) {
            Some((_, Report::Ended { outcome, .. })) => {
                assert_eq!(*outcome, Outcome::Exited { exit_code: 0 });
                n_ended += 1;
            }
            Some((
                _,
                Report::BootBegan { .. }
                | Report::Booted { .. }
                | Report::BootFailed { .. }
                | Report::StartTask { .. }
                | Report::RetentionOver
                | Report::Started { .. }
                | Report::Contained { .. }
                | Report::Coordinated { .. },
            ))
            | None => {}
        }
        *seen += 1;
    }
}
