//! What a task may take of its machine. Where the machine can not limit, tasks take what they like.

use kiln_domain::batch::command::ElevationLevel;
use kiln_domain::span::Span;
use kiln_wire::node::{Outcome, Report, SlotLimits};

use crate::rig::{Rig, task, until};
use ElevationLevel::NonAdmin;

on_each_kind!(
    a_task_starts_no_more_processes_than_its_slots_may,
    a_task_takes_no_more_memory_than_its_slots_may,
    a_task_takes_no_more_processor_time_than_its_slots_may,
    a_task_takes_no_more_disk_than_its_slots_may,
);

async fn limited(kind: &str, slot_limits: SlotLimits) -> Rig {
    let mut rig = Rig::limited(kind, slot_limits).await;
    rig.prepare(1, None, vec![]).await;
    rig.wait("booted", |report| matches!(report, Report::Booted { boot: 1, .. }).then_some(()))
        .await;
    rig
}

fn can(name: &str) -> bool {
    kiln_agent::probe().iter().any(|capability| capability.name == name && capability.is_available)
}

async fn a_task_starts_no_more_processes_than_its_slots_may(kind: &str) {
    let limits = SlotLimits { processes: Some(20), ..SlotLimits::default() };
    let mut rig = limited(kind, limits).await;
    let many = "for i in $(seq 40); do sleep 1000 & done; echo all";
    let (exit_code, printed) = rig.script("many", NonAdmin, many).await;
    let is_refused = exit_code != 0 && printed.to_lowercase().contains("fork");
    assert_eq!(is_refused, can("limits on processes"), "{printed}");
    // One task at its limit is not in the way of another.
    let full = "for i in $(seq 17); do sleep 1000 & done; touch up; sleep 1000";
    rig.run(task("full", full, NonAdmin)).await;
    let up = rig.directory().join("tasks/workitems/job/job-1/full/wd/up");
    until(|| up.exists()).await;
    let few = "for i in $(seq 10); do sleep 0.01 & done; wait; echo all";
    assert_eq!(rig.script("few", NonAdmin, few).await, (0, "all\n".to_owned()));
    // More slots, more processes; and the next task has its own limit again.
    rig.slots = 3;
    assert_eq!(rig.script("large", NonAdmin, many).await, (0, "all\n".to_owned()));
    rig.slots = 1;
    let (exit_code, _) = rig.script("again", NonAdmin, many).await;
    assert_eq!(exit_code != 0, can("limits on processes"));
    rig.leave().await;
}

async fn a_task_takes_no_more_memory_than_its_slots_may(kind: &str) {
    let limits = SlotLimits { memory_bytes: Some(64 << 20), ..SlotLimits::default() };
    let mut rig = limited(kind, limits).await;
    let hold = |bytes: u64| format!("head -c {bytes} /dev/zero | tail -c {bytes} > /dev/null");
    for (id, bytes) in [("large", 200_000_000), ("small", 20_000_000), ("again", 200_000_000)] {
        let attempt = rig.run(task(id, &hold(bytes), NonAdmin)).await;
        let (outcome, usage) = rig.ended(&attempt).await;
        let is_killed = bytes > 64 << 20 && can("limits on memory");
        let exit_code = if is_killed { 137 } else { 0 };
        assert_eq!(outcome, Outcome::Exited { exit_code }, "{id}");
        let held = usage.expect("its process ran").peak_memory_bytes;
        let most = if is_killed { 64 << 20 } else { bytes * 2 };
        assert!((most / 4..=most + (1 << 20)).contains(&held), "{id} held {held}");
    }
    rig.leave().await;
}

async fn a_task_takes_no_more_processor_time_than_its_slots_may(kind: &str) {
    let limits = SlotLimits { milli_processors: Some(200), ..SlotLimits::default() };
    let mut rig = limited(kind, limits).await;
    let attempt =
        rig.run(task("t", "timeout 1 sh -c \"while :; do :; done\"; true", NonAdmin)).await;
    let (outcome, usage) = rig.ended(&attempt).await;
    assert_eq!(outcome, Outcome::Exited { exit_code: 0 });
    let usage = usage.expect("its process ran");
    if can("limits on processors") {
        assert!(
            usage.user_cpu < Span::from_std(std::time::Duration::from_millis(500)),
            "{usage:?}"
        );
    }
    rig.leave().await;
}

async fn a_task_takes_no_more_disk_than_its_slots_may(kind: &str) {
    let limits = SlotLimits { disk_bytes: Some(8 << 20), ..SlotLimits::default() };
    let mut rig = limited(kind, limits).await;
    let write = |n_bytes: u64, then: &str| format!("head -c {n_bytes} /dev/zero > file; {then}");
    let attempt = rig.run(task("large", &write(20_000_000, "sleep 1000"), NonAdmin)).await;
    match rig.outcome(&attempt).await {
        Outcome::Exceeded { failure } => assert_eq!(failure.code, "DiskFull"),
        other @ (Outcome::Exited { .. }
        | Outcome::UploadFailed { .. }
        | Outcome::TimedOut
        | Outcome::Stopped
        | Outcome::NotStarted { .. }) => panic!("{other:?}"),
    }
    // More slots, more room; and one task that took too much is not in the way of another.
    assert_eq!(rig.script("small", NonAdmin, &write(2_000_000, "true")).await.0, 0);
    rig.slots = 4;
    assert_eq!(rig.script("wide", NonAdmin, &write(20_000_000, "sleep 1.5")).await.0, 0);
    rig.leave().await;
}
