//! What runs for a job beside its tasks, and tasks that run on several nodes.

use std::time::{Duration, UNIX_EPOCH};

use kiln_domain::batch::command::ElevationLevel;
use kiln_domain::batch::task::TaskSpec;
use kiln_domain::time::Timestamp;
use kiln_wire::node::{AttemptId, AttemptKind, Instance, Outcome, Report, Run, ToAgent};

use crate::rig::web::Web;
use crate::rig::{Rig, file_at, is_root, task, until};
use ElevationLevel::{Admin, NonAdmin};

on_each_kind!(
    tasks_read_what_a_preparation_brought,
    a_release_waits_for_all_else_of_its_job,
    a_coordination_command_leaves_its_daemons_running,
    a_failed_coordination_command_is_told,
    a_later_run_waits_for_both_commands_of_an_earlier_one,
);

const DIRECTORY: &str = "workitems/job/job-1/t";

fn of_kind(kind: AttemptKind, run: Run) -> Run {
    Run { attempt: AttemptId { kind, ..run.attempt.clone() }, ..run }
}

/// A command of an instance of the task `t`, which has two.
fn instance(rig: &Rig, kind: AttemptKind, spec: TaskSpec, attempt: u32) -> Run {
    let run = rig.attempt(TaskSpec { id: "t".to_owned(), ..spec }, attempt);
    let number = if let AttemptKind::Subtask { number } = kind { number } else { 0 };
    let own = if number == 0 { DIRECTORY.to_owned() } else { format!("{DIRECTORY}/{number}") };
    let instance = Instance {
        number,
        addresses: vec!["127.0.0.1".to_owned(), "127.0.0.2".to_owned()],
        shared_directory: DIRECTORY.to_owned(),
        common_resource_files: Vec::new(),
    };
    Run { directory: own, instance: Some(instance), ..of_kind(kind, run) }
}

async fn coordinated(rig: &mut Rig, id: &AttemptId) {
    rig.wait("the end of a coordination command", |report| {
        matches!(report, Report::Coordinated { attempt, .. } if attempt == id).then_some(())
    })
    .await;
}

async fn tasks_read_what_a_preparation_brought(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let script =
        "umask 077; mkdir d; umask 022; echo brought > file; test -z \"$AZ_BATCH_JOB_PREP_DIR\"";
    let preparation = rig.attempt(task("prep", script, Admin), 1);
    let preparation = rig.order(of_kind(AttemptKind::Preparation, preparation)).await;
    assert_eq!(rig.outcome(&preparation).await, Outcome::Exited { exit_code: 0 });
    let script = "cat $AZ_BATCH_JOB_PREP_WORKING_DIR/file; \
                  cat $AZ_BATCH_JOB_PREP_DIR/wd/file; \
                  touch $AZ_BATCH_JOB_PREP_WORKING_DIR/mine && echo written";
    let reads = rig.attempt(task("t", script, NonAdmin), 1);
    let preparation_directory = Some("workitems/job/job-1/prep".to_owned());
    let reads = rig.order(Run { preparation_directory, ..reads }).await;
    rig.outcome(&reads).await;
    let printed = rig.file(&format!("{DIRECTORY}/stdout.txt")).await;
    let has_users = is_root();
    assert_eq!(
        printed,
        if has_users { "brought\nbrought\n" } else { "brought\nbrought\nwritten\n" }
    );
    rig.leave().await;
}

async fn a_release_waits_for_all_else_of_its_job(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let mark = rig.mark();
    let script = |name: &str| {
        format!("sleep 600 & echo {mark}; touch $AZ_BATCH_NODE_SHARED_DIR/{name}; wait")
    };
    let first = rig.run(task("a", &script("a"), NonAdmin)).await;
    let second = rig.run(task("b", &script("b"), NonAdmin)).await;
    let shared = rig.directory().join("tasks/shared");
    until(|| shared.join("a").exists() && shared.join("b").exists()).await;
    let release = rig.attempt(task("release", "date +%s%N", NonAdmin), 1);
    let directory = release.directory.clone();
    let release = rig.order(of_kind(AttemptKind::Release, release)).await;
    assert_eq!(rig.outcome(&release).await, Outcome::Exited { exit_code: 0 });
    let printed = rig.file(&format!("{directory}/stdout.txt")).await;
    let began = UNIX_EPOCH + Duration::from_nanos(printed.trim().parse().expect("a time"));
    for id in [&first, &second] {
        let ended = rig.reports.iter().find_map(|(_, report)| {
            if let Report::Ended { attempt, outcome: Outcome::Stopped, at, .. } = report {
                (attempt == id).then_some(*at)
            } else {
                None
            }
        });
        assert!(ended.expect("a report") <= Timestamp::from_system(began), "{id:?} was stopped");
    }
    rig.leave().await;
}

async fn a_coordination_command_leaves_its_daemons_running(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let web = Web::start().await;
    web.answer("/common", 200, "common");
    let daemon = "(until test -e $AZ_BATCH_TASK_SHARED_DIR/ask; do sleep 0.02; done; \
                  echo daemon > $AZ_BATCH_TASK_SHARED_DIR/answer; sleep 600) & \
                  cat $AZ_BATCH_TASK_SHARED_DIR/common $AZ_BATCH_TASK_WORKING_DIR/own";
    let mut spec = task("t", daemon, NonAdmin);
    spec.resource_files.push(file_at(web.url("/common"), "own"));
    let subtask = AttemptKind::Subtask { number: 0 };
    let mut run = instance(&rig, subtask, spec, 1);
    if let Some(instance) = &mut run.instance {
        instance.common_resource_files.push(file_at(web.url("/common"), "common"));
    }
    let coordination = rig.order(run.clone()).await;
    coordinated(&mut rig, &coordination).await;
    // The order may come twice.
    rig.order(run).await;
    let script = "touch $AZ_BATCH_TASK_SHARED_DIR/ask; \
                  until test -s $AZ_BATCH_TASK_SHARED_DIR/answer; do sleep 0.02; done; \
                  cat $AZ_BATCH_TASK_SHARED_DIR/answer; cat own; echo; echo $CCP_NODES; \
                  test $AZ_BATCH_IS_CURRENT_NODE_MASTER = true";
    let main = instance(&rig, AttemptKind::Task, task("t", script, NonAdmin), 1);
    let main = rig.order(main).await;
    assert_eq!(rig.outcome(&main).await, Outcome::Exited { exit_code: 0 });
    let printed = rig.file(&format!("{DIRECTORY}/stdout.txt")).await;
    assert_eq!(printed, "daemon\ncommon\n2 127.0.0.1 1 127.0.0.2 1\n");
    let printed = rig.file(&format!("{DIRECTORY}/coordination_stdout.txt")).await;
    assert_eq!(printed, "commoncommon");
    rig.send(ToAgent::Stop { attempt: coordination.clone() }).await;
    assert_eq!(rig.outcome(&coordination).await, Outcome::Stopped);
    let left: Vec<_> = rig.processes().into_iter().filter(|it| it.contains("sleep")).collect();
    assert_eq!(left, Vec::<String>::new());
    let n_announced = rig.reports.iter().filter(|(_, it)| matches!(it, Report::Coordinated { .. }));
    assert_eq!(n_announced.count(), 1);
    rig.leave().await;
}

async fn a_failed_coordination_command_is_told(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let subtask = AttemptKind::Subtask { number: 1 };
    let fails = instance(&rig, subtask, task("t", "echo $PWD; sleep 600 & exit 5", NonAdmin), 1);
    let fails = rig.order(fails).await;
    assert_eq!(rig.outcome(&fails).await, Outcome::Exited { exit_code: 5 });
    let printed = rig.file(&format!("{DIRECTORY}/1/stdout.txt")).await;
    assert!(printed.ends_with("/workitems/job/job-1/t/1/wd\n"), "{printed}");
    rig.leave().await;
}

async fn a_later_run_waits_for_both_commands_of_an_earlier_one(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let primary = AttemptKind::Subtask { number: 0 };
    let coordinate = |number| AttemptKind::Subtask { number };
    let daemon = task("t", "sleep 600 &", NonAdmin);
    let first = instance(&rig, primary, daemon, 1);
    let first = rig.order(first).await;
    coordinated(&mut rig, &first).await;
    let main = instance(&rig, AttemptKind::Task, task("t", "sleep 600", NonAdmin), 1);
    let main = rig.order(main).await;
    let next = instance(&rig, coordinate(1), task("t", "true", NonAdmin), 2);
    let next = rig.order(next).await;
    assert_eq!(rig.outcome(&first).await, Outcome::Stopped);
    assert_eq!(rig.outcome(&main).await, Outcome::Stopped);
    coordinated(&mut rig, &next).await;
    rig.leave().await;
}
