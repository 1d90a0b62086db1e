//! What a node does, kept apart and plain.
//!
//! As root the nodes are those of root, as another user those of an ordinary user, and what
//! is promised differs: each test says how.

use std::fs;
use std::path::Path;

use kiln_domain::batch::command::{
    AccessScope, AuthenticationTokenSettings, ElevationLevel, EnvironmentSetting, ResourceFile,
};
use kiln_domain::batch::task::{TaskConstraints, TaskSpec};
use kiln_domain::span::Span;
use kiln_wire::auth::task_token::TaskToken;
use kiln_wire::node::{FileAnswer, FileRefusal, FileRequest, Outcome, Report, ToAgent};

use crate::rig::web::Web;
use crate::rig::{
    FIRST_UID, Rig, command, failure_of, file_at, is_root, pause, setting, start_task, task, until,
};
use ElevationLevel::{Admin, NonAdmin};

on_each_kind!(
    says_hello_and_boots,
    runs_a_start_task_again_until_it_succeeds,
    shares_what_a_start_task_copies,
    gives_up_a_start_task,
    an_ordinary_user_reaches_nothing_of_the_server,
    tells_how_a_task_ended,
    tells_what_a_task_took,
    counts_what_a_task_does_not_wait_for,
    kills_what_a_task_leaves,
    stops_a_task_with_all_it_started,
    gives_tasks_their_variables,
    gives_a_token_to_a_task_that_asks_for_one,
    runs_a_task_again_in_its_directory,
    keeps_a_directory_for_its_time,
    refuses_to_follow_links_out,
    streams_files,
    sends_again_what_is_not_acknowledged,
    ends_at_a_signal,
    restarts,
    a_killed_agent_leaves_its_tasks_to_the_next_one,
    a_start_task_changes_what_it_may,
    what_an_administrator_reaches_of_the_server,
    a_node_that_is_kept_apart_sees_only_its_own_processes,
    files_belong_to_whom_the_node_says,
    the_node_dies_with_its_agent,
);

/// An ordinary user gets nodes of another kind.
fn expected_isolation(kind: &str) -> &str {
    match (kind, is_root()) {
        ("namespaces", false) => "namespaces-rootless",
        (kind, _) => kind,
    }
}

async fn says_hello_and_boots(kind: &str) {
    let mut rig = Rig::start(kind).await;
    assert_eq!(rig.hello.isolation, expected_isolation(kind));
    assert_eq!((rig.hello.boot, rig.hello.running.len()), (0, 0));
    assert_eq!(rig.hello.link_secret, "hush");
    rig.prepare(1, None, vec![]).await;
    rig.wait("booted", |report| matches!(report, Report::Booted { boot: 1, .. }).then_some(()))
        .await;
    let request = FileRequest::List { path: String::new(), recursive: false };
    let (answer, _) = rig.ask(request).await.expect("a list");
    let FileAnswer::List { files } = answer else { panic!("{answer:?}") };
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["applications", "fsmounts", "shared", "startup", "volatile", "workitems"]);
    rig.leave().await;
}

async fn runs_a_start_task_again_until_it_succeeds(kind: &str) {
    let mut rig = Rig::start(kind).await;
    let script = "echo $AZ_BATCH_TASK_USER_IDENTITY $0; \
                  echo x >> $AZ_BATCH_NODE_SHARED_DIR/runs; \
                  test $(wc -l < $AZ_BATCH_NODE_SHARED_DIR/runs) = 3";
    rig.prepare(1, Some(start_task(script, Admin, 5)), vec![]).await;
    let info = rig.start_task().await;
    assert_eq!((info.exit_code, info.retry_count, info.failure), (Some(0), 2, None));
    assert!(info.last_retry_at.is_some() && info.ended_at.is_some() && !info.is_running);
    assert_eq!(rig.file("startup/stdout.txt").await, "PoolAdmin /bin/sh\n");
    assert_eq!(rig.file("shared/runs").await, "x\nx\nx\n");
    let runs = rig
        .reports
        .iter()
        .filter(|(_, report)| matches!(report, Report::StartTask { info, .. } if info.is_running));
    assert_eq!(runs.count(), 3);
    rig.leave().await;
}

async fn shares_what_a_start_task_copies(kind: &str) {
    let mut rig = Rig::start(kind).await;
    let web = Web::start().await;
    web.answer("/program", 200, "echo shared");
    let program = ResourceFile {
        http_url: Some(web.url("/program")),
        file_path: Some("program".into()),
        ..ResourceFile::default()
    };
    let script = "cp -r program $AZ_BATCH_NODE_SHARED_DIR/new; \
                  cp -p program $AZ_BATCH_NODE_SHARED_DIR/same";
    let mut install = start_task(script, Admin, 0);
    install.resource_files.push(program);
    rig.prepare(1, Some(install), vec![]).await;
    assert_eq!(rig.start_task().await.failure, None);
    let script = "cd $AZ_BATCH_NODE_SHARED_DIR; sh new; sh same";
    assert_eq!(rig.script("t", NonAdmin, script).await, (0, "shared\nshared\n".to_owned()));
    rig.leave().await;
}

async fn gives_up_a_start_task(kind: &str) {
    let mut rig = Rig::start(kind).await;
    rig.prepare(1, Some(start_task("exit 4", NonAdmin, 1)), vec![]).await;
    let info = rig.start_task().await;
    assert_eq!((info.exit_code, info.retry_count), (Some(4), 1));
    assert_eq!(info.failure.map(|failure| failure.code).as_deref(), Some("FailureExitCode"));
    rig.leave().await;
}

async fn an_ordinary_user_reaches_nothing_of_the_server(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let data = rig.config.hidden[0].clone();
    let script = format!("id -u; cat /etc/shadow {data}/secret; echo x > {data}/nodes/x");
    let (exit_code, printed) = rig.script("t", NonAdmin, &script).await;
    if is_root() || kind == "namespaces" {
        assert_ne!(exit_code, 0);
        assert!(!printed.contains("secret\n") && !printed.contains("root:"), "{printed}");
        assert!(!Path::new(&data).join("nodes/x").exists());
    } else {
        // A plain node of an ordinary user has that user's rights, and says so.
        assert_eq!((exit_code, rig.hello.isolation.as_str()), (0, "plain"));
    }
    if is_root() {
        assert_ne!(printed.lines().next(), Some("0"), "{printed}");
    }
    rig.leave().await;
}

async fn tells_how_a_task_ended(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let exited = |exit_code| Outcome::Exited { exit_code };
    for (id, line, expected) in [
        ("ok", "true", exited(0)),
        ("code", "/bin/sh -c \"exit 42\"", exited(42)),
        ("signal", "sh -c 'kill -TERM $$'", exited(143)),
        ("pipe", "bash -c 'yes | head -n 1 > /dev/null; exit ${PIPESTATUS[0]}'", exited(141)),
        ("quotes", "test 'a  b' = a\\ \\ b", exited(0)),
    ] {
        let attempt = rig.run(command(id, line)).await;
        assert_eq!(rig.outcome(&attempt).await, expected, "{id}");
    }
    for (id, line, code) in [
        ("none", "no-such-program --x", "CommandProgramNotFound"),
        ("nowhere", "/no/such/program", "CommandProgramNotFound"),
        ("denied", "/etc/passwd", "CommandLaunchFailed"),
        ("open", "echo 'unclosed", "CommandLaunchFailed"),
        ("empty", " ", "CommandProgramNotFound"),
    ] {
        let attempt = rig.run(command(id, line)).await;
        assert_eq!(failure_of(rig.outcome(&attempt).await).code, code, "{id}");
    }
    let limit = TaskConstraints {
        max_wall_clock_time: Span::parse("PT0.2S"),
        ..TaskConstraints::default()
    };
    let late = TaskSpec { constraints: limit, ..command("late", "sleep 1000") };
    let attempt = rig.run(late).await;
    assert_eq!(rig.outcome(&attempt).await, Outcome::TimedOut);
    rig.leave().await;
}

/// Less processor time than a hundred thousand rounds of a shell take anywhere.
fn busy() -> Span {
    Span::from_std(std::time::Duration::from_millis(20))
}

async fn tells_what_a_task_took(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    // Work that the shell waits for and, in a group, work that it does not wait for.
    let script = "head -c 3000000 /dev/zero > file; \
                  head -c 30000000 /dev/zero | tail -c 30000000 > /dev/null; \
                  i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
    let attempt = rig.run(task("t", script, NonAdmin)).await;
    let (outcome, usage) = rig.ended(&attempt).await;
    assert_eq!(outcome, Outcome::Exited { exit_code: 0 });
    let usage = usage.expect("its process ran");
    assert!(usage.user_cpu >= busy(), "{usage:?}");
    assert!(usage.wall_clock > Span::seconds(0), "{usage:?}");
    assert!((30_000_000..1_000_000_000).contains(&usage.peak_memory_bytes), "{usage:?}");
    assert!(usage.read_ops > 100 && usage.write_ops > 100, "{usage:?}");
    assert!((3_000_000..300_000_000).contains(&usage.write_bytes), "{usage:?}");
    let attempt = rig.run(command("none", "no-such-program")).await;
    assert_eq!(rig.ended(&attempt).await.1, None);
    rig.leave().await;
}

async fn counts_what_a_task_does_not_wait_for(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let work = "for i in {1..400000}; do true; done; touch done; sleep 1000";
    let script = format!("(setsid bash -c \"{work}\" &); until test -e done; do sleep 0.2; done");
    let line = format!("bash -c '{script}'");
    let attempt = rig.run(command("t", &line)).await;
    let (outcome, usage) = rig.ended(&attempt).await;
    assert_eq!(outcome, Outcome::Exited { exit_code: 0 });
    let usage = usage.expect("its process ran");
    // Far more than it takes to wait for it.
    let much = Span::from_std(std::time::Duration::from_millis(200));
    assert_eq!(usage.user_cpu >= much, rig.has_group(), "{usage:?}");
    rig.leave().await;
}

/// A process that left its parent, its session and its variables behind.
fn daemon(mark: &str) -> String {
    format!("setsid setsid sh -c \"exec -a {mark} sleep 1000\" > /dev/null 2>&1 &")
}

async fn kills_what_a_task_leaves(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let line =
        format!("bash -c '{} sleep 0.1; true'", daemon(&rig.mark()).replace("sh -c", "bash -c"));
    let attempt = rig.run(command("t", &line)).await;
    assert_eq!(rig.outcome(&attempt).await, Outcome::Exited { exit_code: 0 });
    let left: Vec<String> =
        rig.processes().into_iter().filter(|line| line.contains("mark-")).collect();
    assert_eq!(left, Vec::<String>::new());
    rig.leave().await;
}

async fn stops_a_task_with_all_it_started(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let daemon = daemon(&rig.mark()).replace("sh -c", "bash -c");
    let line = format!("bash -c '{daemon} sleep 0.1; echo up; sleep 1000'");
    let attempt = rig.run(command("t", &line)).await;
    let output = "workitems/job/job-1/t/stdout.txt";
    loop {
        let request = FileRequest::Read { path: output.to_owned(), first: 0, last: None };
        match rig.ask(request).await {
            Ok((_, content)) if content == b"up\n" => break,
            Ok(_) | Err(FileRefusal::NotFound) => pause().await,
            Err(refusal) => panic!("{refusal:?}"),
        }
    }
    assert!(rig.processes().iter().any(|line| line.starts_with(&rig.mark())));
    rig.send(ToAgent::Stop { attempt: attempt.clone() }).await;
    assert_eq!(rig.outcome(&attempt).await, Outcome::Stopped);
    let left: Vec<String> =
        rig.processes().into_iter().filter(|line| line.contains("mark-")).collect();
    assert_eq!(left, Vec::<String>::new());
    let kind = kiln_wire::node::AttemptKind::Task;
    let unknown = kiln_wire::node::AttemptId {
        job_key: 1,
        task_id: "x".into(),
        attempt: 3,
        kind,
        sequence: 1,
    };
    rig.send(ToAgent::Stop { attempt: unknown.clone() }).await;
    assert_eq!(rig.outcome(&unknown).await, Outcome::Stopped);
    rig.leave().await;
}

async fn gives_tasks_their_variables(kind: &str) {
    let mut rig = Rig::start(kind).await;
    let bundle = Path::new(&rig.config.hidden[0]).join("ca.pem");
    fs::write(&bundle, "certificates").expect("written");
    let given: Vec<EnvironmentSetting> = vec![
        setting("AZ_BATCH_ACCOUNT_URL", "https://kilndev.here.batch.azure.com/"),
        setting("REQUESTS_CA_BUNDLE", bundle.to_str().expect("text")),
    ];
    rig.prepare(1, None, given).await;
    let settings = vec![setting("FROM_BOTH", "task"), setting("EMPTY", "")];
    let mut task = task("t", "pwd; env; cat $REQUESTS_CA_BUNDLE; cat", NonAdmin);
    task.environment_settings = settings;
    let id = rig.run(task).await;
    assert_eq!(rig.outcome(&id).await, Outcome::Exited { exit_code: 0 });
    let printed = rig.file("workitems/job/job-1/t/stdout.txt").await;
    let root = match kind {
        "namespaces" => "/mnt/batch/tasks".to_owned(),
        _ => format!("{}/tasks", rig.config.directory),
    };
    let directory = format!("{root}/workitems/job/job-1/t");
    for line in [
        format!("{directory}/wd"),
        format!("HOME={directory}/wd"),
        format!("AZ_BATCH_NODE_ROOT_DIR={root}"),
        format!("AZ_BATCH_NODE_SHARED_DIR={root}/shared"),
        format!("AZ_BATCH_NODE_STARTUP_DIR={root}/startup"),
        format!("AZ_BATCH_TASK_DIR={directory}"),
        format!("AZ_BATCH_TASK_WORKING_DIR={directory}/wd"),
        "AZ_BATCH_ACCOUNT_NAME=kilndev".to_owned(),
        "AZ_BATCH_ACCOUNT_URL=https://kilndev.here.batch.azure.com/".to_owned(),
        "AZ_BATCH_POOL_ID=pool".to_owned(),
        format!("AZ_BATCH_NODE_ID={}", rig.config.node_id),
        "AZ_BATCH_JOB_ID=job".to_owned(),
        "AZ_BATCH_TASK_ID=t".to_owned(),
        "AZ_BATCH_TASK_USER=_azbatch".to_owned(),
        "AZ_BATCH_TASK_USER_IDENTITY=PoolNonAdmin".to_owned(),
        "AZ_BATCH_NODE_IS_DEDICATED=true".to_owned(),
        "FROM_JOB=job".to_owned(),
        "FROM_BOTH=task".to_owned(),
        "EMPTY=".to_owned(),
        "AZ_BATCH_TASK_RESERVED_EPHEMERAL_DISK_SPACE_BYTES=0".to_owned(),
        "certificates".to_owned(),
    ] {
        assert!(printed.lines().any(|printed| printed == line), "no {line} in {printed}");
    }
    assert!(!printed.contains("CARGO"), "the agent's own variables: {printed}");
    rig.leave().await;
}

async fn gives_a_token_to_a_task_that_asks_for_one(kind: &str) {
    let mut rig = Rig::start(kind).await;
    rig.prepare(1, None, vec![]).await;
    let print = "echo token=$AZ_BATCH_AUTHENTICATION_TOKEN";
    let plain = rig.run(task("plain", print, NonAdmin)).await;
    assert_eq!(rig.outcome(&plain).await, Outcome::Exited { exit_code: 0 });
    assert_eq!(rig.file("workitems/job/job-1/plain/stdout.txt").await, "token=\n");
    let mut task = task("t", print, NonAdmin);
    let access = vec![AccessScope::Job];
    task.authentication_token_settings = Some(AuthenticationTokenSettings { access });
    let id = rig.run(task).await;
    assert_eq!(rig.outcome(&id).await, Outcome::Exited { exit_code: 0 });
    let printed = rig.file("workitems/job/job-1/t/stdout.txt").await;
    let token = printed.trim_end().strip_prefix("token=").expect("a line");
    let token = TaskToken::parse(&format!("Bearer {token}")).expect("a token");
    assert_eq!((token.node_id(), token.attempt()), (rig.config.node_id.as_str(), &id));
    assert!(token.is_made_with(&rig.config.link_secret));
    rig.leave().await;
}

async fn runs_a_task_again_in_its_directory(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let script = "echo out; echo x >> kept; cat kept | wc -l";
    let one = rig.run_attempt(task("t", script, NonAdmin), 1).await;
    assert_eq!(rig.outcome(&one).await, Outcome::Exited { exit_code: 0 });
    // A repeated command runs nothing.
    rig.run_attempt(task("t", script, NonAdmin), 1).await;
    let two = rig.run_attempt(task("t", script, NonAdmin), 2).await;
    assert_eq!(rig.outcome(&two).await, Outcome::Exited { exit_code: 0 });
    assert_eq!(rig.file("workitems/job/job-1/t/stdout.txt").await, "out\n2\n");
    // A new attempt takes the place of one that runs.
    let three = rig.run_attempt(task("t", "sleep 1000", NonAdmin), 3).await;
    let four = rig.run_attempt(task("t", "true", NonAdmin), 4).await;
    assert_eq!(rig.outcome(&three).await, Outcome::Stopped);
    assert_eq!(rig.outcome(&four).await, Outcome::Exited { exit_code: 0 });
    rig.send(ToAgent::RemoveDirectory { path: "workitems/job/job-1/t".into() }).await;
    // A task of the same name begins with nothing, however long the removal takes.
    let five = rig.run_attempt(task("t", "ls", NonAdmin), 5).await;
    assert_eq!(rig.outcome(&five).await, Outcome::Exited { exit_code: 0 });
    assert_eq!(rig.file("workitems/job/job-1/t/stdout.txt").await, "");
    let removed = rig.directory().join("removed");
    until(|| fs::read_dir(&removed).is_ok_and(|it| it.count() == 0)).await;
    rig.leave().await;
}

async fn keeps_a_directory_for_its_time(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let mut short = task("short", "echo kept", NonAdmin);
    short.constraints.retention_time = Some(Span::seconds(1));
    let one = rig.run_attempt(short, 1).await;
    let other = rig.run_attempt(task("usual", "true", NonAdmin), 1).await;
    assert_eq!(rig.outcome(&one).await, Outcome::Exited { exit_code: 0 });
    assert_eq!(rig.outcome(&other).await, Outcome::Exited { exit_code: 0 });
    assert_eq!(rig.file("workitems/job/job-1/short/stdout.txt").await, "kept\n");
    let tasks = rig.directory().join("tasks/workitems/job/job-1");
    until(|| !tasks.join("short").exists()).await;
    assert!(tasks.join("usual").exists(), "a week has not passed");
    rig.leave().await;
}

async fn refuses_to_follow_links_out(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let script = "ln -s /etc/passwd passwd; ln -s ../../../../../../secret up; \
                  ln -s /etc etc; mkfifo pipe; echo inside > file; ln -s file in";
    let (exit_code, printed) = rig.script("t", NonAdmin, script).await;
    assert_eq!(exit_code, 0, "{printed}");
    let wd = "workitems/job/job-1/t/wd";
    let read = |path: String| FileRequest::Read { path, first: 0, last: None };
    for path in [
        format!("{wd}/passwd"),
        format!("{wd}/up"),
        format!("{wd}/etc/passwd"),
        format!("{wd}/../../../../../../secret"),
        "../../secret".to_owned(),
    ] {
        assert_eq!(rig.ask(read(path.clone())).await, Err(FileRefusal::Outside), "{path}");
    }
    assert_eq!(rig.file(&format!("{wd}/in")).await, "inside\n");
    let pipe = rig.ask(read(format!("{wd}/pipe"))).await;
    assert!(matches!(pipe, Err(FileRefusal::Failed { .. })), "{pipe:?}");
    // Nor does the agent write through a link that an earlier attempt left.
    let web = Web::start().await;
    web.answer("/file", 200, "planted");
    let files =
        vec![file_at(web.url("/file"), "etc/kiln-planted"), file_at(web.url("/file"), "up")];
    let again = TaskSpec { resource_files: files, ..command("t", "true") };
    let id = rig.run_attempt(again, 2).await;
    assert_eq!(failure_of(rig.outcome(&id).await).code, "ResourceDirectoryCreateFailed");
    assert!(!Path::new("/etc/kiln-planted").exists());
    let secret = fs::read_to_string(Path::new(&rig.config.hidden[0]).join("secret"));
    assert_eq!(secret.expect("there"), "secret");
    rig.leave().await;
}

async fn streams_files(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let (exit_code, printed) =
        rig.script("t", NonAdmin, "head -c 3000000 /dev/zero > big; printf 0123456789 > ten").await;
    assert_eq!(exit_code, 0, "{printed}");
    let wd = "workitems/job/job-1/t/wd";
    let big = FileRequest::Read { path: format!("{wd}/big"), first: 1, last: None };
    let (answer, content) = rig.ask(big).await.expect("bytes");
    assert!(matches!(answer, FileAnswer::Bytes { length_bytes: 2_999_999, .. }), "{answer:?}");
    assert_eq!(content.len(), 2_999_999);
    let ten = |first, last| FileRequest::Read { path: format!("{wd}/ten"), first, last };
    assert_eq!(rig.ask(ten(2, Some(4))).await.expect("bytes").1, b"234");
    let past = rig.ask(ten(10, None)).await;
    assert_eq!(past, Err(FileRefusal::OutOfRange { length_bytes: 10 }));
    let stat = FileRequest::Stat { path: format!("{wd}/ten") };
    let (answer, _) = rig.ask(stat).await.expect("about it");
    let FileAnswer::Stat { info } = answer else { panic!("{answer:?}") };
    assert_eq!((info.length_bytes, info.mode, info.is_directory), (10, 0o100_644, false));
    let remove = FileRequest::Remove { path: format!("{wd}/ten"), recursive: false };
    assert_eq!(rig.ask(remove.clone()).await.expect("removed").0, FileAnswer::Removed);
    assert_eq!(rig.ask(remove).await, Err(FileRefusal::NotFound));
    rig.leave().await;
}

async fn sends_again_what_is_not_acknowledged(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    rig.acknowledges = false;
    let short = rig.run(command("short", "true")).await;
    assert_eq!(rig.outcome(&short).await, Outcome::Exited { exit_code: 0 });
    let long =
        rig.run(task("long", "while ! test -e stop; do sleep 0.02; done; exit 3", NonAdmin)).await;
    let wd = rig.directory().join("tasks/workitems/job/job-1/long/wd");
    until(|| wd.exists()).await;
    let numbers: Vec<u64> = rig.reports.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [1, 2]);
    let incarnation = rig.hello.incarnation.clone();
    rig.reports.clear();
    rig.reconnect(1).await;
    assert_eq!(rig.hello.running, std::slice::from_ref(&long));
    assert_eq!((rig.hello.incarnation.clone(), rig.hello.boot), (incarnation, 1));
    fs::write(wd.join("stop"), "").expect("written");
    assert_eq!(rig.outcome(&long).await, Outcome::Exited { exit_code: 3 });
    let numbers: Vec<u64> = rig.reports.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [2, 3]);
    rig.leave().await;
}

async fn ends_at_a_signal(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let daemon = daemon(&rig.mark()).replace("sh -c", "bash -c");
    rig.run(command("t", &format!("bash -c '{daemon} sleep 0.1; touch up; sleep 1000'"))).await;
    let up = rig.directory().join("tasks/workitems/job/job-1/t/wd/up");
    until(|| up.exists()).await;
    let pid = rustix::process::Pid::from_child(&rig.agent);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("sent");
    rig.expect_clean_end().await;
}

async fn restarts(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let id = rig.run(task("t", "touch kept; sleep 1000", NonAdmin)).await;
    let mut short = task("short", "touch kept; sleep 1000", NonAdmin);
    short.constraints.retention_time = Some(Span::seconds(1));
    rig.run(short).await;
    let tasks = rig.directory().join("tasks/workitems/job/job-1");
    let kept = tasks.join("t/wd/kept");
    until(|| kept.exists() && tasks.join("short/wd/kept").exists()).await;
    rig.prepare(1, None, vec![]).await;
    rig.prepare(2, None, vec![]).await;
    assert_eq!(rig.outcome(&id).await, Outcome::Stopped);
    rig.wait("booted", |report| matches!(report, Report::Booted { boot: 2, .. }).then_some(()))
        .await;
    until(|| !tasks.join("short").exists()).await;
    assert!(kept.exists(), "a week has not passed");
    let (exit_code, printed) = rig.script("u", NonAdmin, "echo again").await;
    assert_eq!((exit_code, printed.as_str()), (0, "again\n"));
    rig.leave().await;
}

async fn a_killed_agent_leaves_its_tasks_to_the_next_one(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let kept_for = |id: &str, script: &str, seconds| {
        let mut task = task(id, script, NonAdmin);
        task.constraints.retention_time = Some(Span::seconds(seconds));
        task
    };
    // One that has ended, one that runs when the agent is killed, and one that stays.
    rig.run(kept_for("runs", "touch up; sleep 1000", 1)).await;
    let tasks = rig.directory().join("tasks/workitems/job/job-1");
    until(|| tasks.join("runs/wd/up").exists()).await;
    let usual = rig.run(command("usual", "true")).await;
    assert_eq!(rig.outcome(&usual).await, Outcome::Exited { exit_code: 0 });
    let ended = rig.run(kept_for("ended", "true", 8)).await;
    assert_eq!(rig.outcome(&ended).await, Outcome::Exited { exit_code: 0 });
    rig.replace_agent().await;
    assert!(tasks.join("ended").exists() && tasks.join("runs").exists());
    rig.prepare(1, None, vec![]).await;
    until(|| !tasks.join("ended").exists() && !tasks.join("runs").exists()).await;
    assert!(tasks.join("usual").exists(), "a week has not passed");
    // No command reads or changes what the agents know, unless it has the rights of their user.
    let journal = rig.directory().join("retention.jsonl");
    assert!(fs::read_to_string(&journal).expect("there").contains("job-1/usual"));
    let script = format!("cat {0}; echo x > {0}", journal.display());
    let (exit_code, printed) = rig.script("t", NonAdmin, &script).await;
    let has_rights = kind == "plain" && !is_root();
    assert_eq!(exit_code == 0, has_rights, "{printed}");
    assert_eq!(printed.contains("job-1/usual"), has_rights, "{printed}");
    rig.leave().await;
}

async fn a_start_task_changes_what_it_may(kind: &str) {
    let mut rig = Rig::start(kind).await;
    let mark = rig.mark();
    let script = format!("id -u; hostname; echo {mark} > /etc/{mark} && ls /etc/{mark}; ls /tmp");
    rig.prepare(1, Some(start_task(&script, Admin, 0)), vec![]).await;
    assert_eq!(rig.start_task().await.exit_code, Some(0));
    let (exit_code, read) = rig.script("t", NonAdmin, &format!("cat /etc/{mark}")).await;
    let is_on_the_machine = fs::remove_file(Path::new("/etc").join(&mark)).is_ok();
    let printed = rig.file("startup/stdout.txt").await;
    let may_change = kind == "namespaces" || is_root();
    assert_eq!(printed.contains("/etc/mark-"), may_change, "{printed}");
    assert_eq!((exit_code == 0, read.trim() == mark), (may_change, may_change), "{read}");
    if kind == "namespaces" {
        assert!(printed.starts_with("0\ntvm-"), "{printed}");
        assert!(!is_on_the_machine, "it stays in the node");
    } else {
        // It has the rights of the user who runs the agent, on the machine itself.
        let user = rustix::process::geteuid().as_raw();
        assert!(
            printed.starts_with(&format!("{user}\n")) && !printed.contains("\ntvm-"),
            "{printed}"
        );
        assert_eq!(is_on_the_machine, is_root());
    }
    rig.leave().await;
}

async fn what_an_administrator_reaches_of_the_server(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let data = rig.config.hidden[0].clone();
    let base = rig.base.path().display().to_string();
    fs::write(rig.base.path().join("visible"), "visible").expect("written");
    if kind == "plain" {
        // All of it. Nothing is tried here that would change the machine.
        let script = format!("cat {base}/visible {data}/secret; ls {data}");
        let (exit_code, printed) = rig.script("t", Admin, &script).await;
        assert_eq!((exit_code, printed.as_str()), (0, "visiblesecretlink.sock\nnodes\nsecret\n"));
        return rig.leave().await;
    }
    let script = format!(
        "cat {base}/visible; ls {data}; mkdir {data} && ls -A {data}; rmdir {data}; \
         ls {data}; umount /tmp; mount -t tmpfs x /mnt; mknod d b 254 0; \
         cat /proc/1/environ; ls /proc/1/root/; ls /proc/1/fd; \
         echo 1 > /proc/sys/kernel/sysrq; \
         find /sys/fs/cgroup -name cgroup.procs; \
         cat /proc/self/mountinfo; unshare -m ls {data}; unshare -Urm ls {data}"
    );
    let (_, printed) = rig.script("t", Admin, &script).await;
    // What has other file systems mounted below, an ordinary user's node does not see.
    assert!(printed.starts_with("visible") || !is_root(), "{printed}");
    for secret in ["secret", "link.sock", "cgroup.procs", "nodes\n"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
    for refusal in ["umount", "mount: ", "mknod: ", "/proc/1/environ: ", "sysrq: "] {
        assert!(printed.contains(refusal), "no {refusal} in {printed}");
    }
    assert!(Path::new(&data).join("secret").exists());
    rig.leave().await;
}

async fn a_node_that_is_kept_apart_sees_only_its_own_processes(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let agent = rig.agent.id();
    let script = format!("ls -d /proc/[0-9]* | wc -l; ps ax -o args=; ps -o args= -p {agent}");
    let (_, printed) = rig.script("t", Admin, &script).await;
    let count: u32 = printed.lines().next().and_then(|n| n.parse().ok()).expect("a number");
    let program = crate::rig::agent_program().display().to_string();
    if kind == "namespaces" {
        assert!(count < 8, "{printed}");
    }
    assert_eq!(printed.contains(&format!("{program} agent")), kind == "plain", "{printed}");
    rig.leave().await;
}

async fn files_belong_to_whom_the_node_says(kind: &str) {
    use std::os::unix::fs::MetadataExt as _;
    let mut rig = Rig::ready(kind).await;
    let wd = |id: &str| rig.directory().join("tasks/workitems/job/job-1").join(id).join("wd/mine");
    let (of_t, of_u) = (wd("t"), wd("u"));
    if !is_root() {
        // The only user of the node is who runs the agent: as its root, where what others own
        // nobody owns, or as on the machine.
        let user = rustix::process::geteuid().as_raw();
        let (own, others) = if kind == "plain" { (user, 0) } else { (0, 65_534) };
        let script = "id -u; stat -c %u /etc/shadow; touch mine; stat -c %u mine";
        let printed = rig.script("t", NonAdmin, script).await;
        assert_eq!(printed, (0, format!("{own}\n{others}\n{own}\n")));
        assert_eq!(fs::metadata(of_t).expect("there").uid(), user);
        return rig.leave().await;
    }
    let script = "stat -c %u /etc/shadow /usr/bin/env; whoami; id -gn; \
                  touch mine; stat -c %U mine; chown 33:33 mine && stat -c %u mine";
    let (exit_code, printed) = rig.script("t", Admin, script).await;
    assert_eq!((exit_code, printed.as_str()), (0, "0\n0\nroot\nroot\nroot\n33\n"));
    let owner = fs::metadata(of_t).expect("there").uid();
    assert_eq!(owner, if kind == "plain" { 33 } else { FIRST_UID + 33 });
    // Users of a plain node have no names.
    let (_, printed) = rig.script("u", NonAdmin, "whoami 2> /dev/null; touch mine").await;
    assert_eq!(printed, if kind == "plain" { "" } else { "_azbatch\n" });
    assert!(fs::metadata(of_u).expect("there").uid() >= FIRST_UID);
    rig.leave().await;
}

async fn the_node_dies_with_its_agent(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let line = format!("bash -c 'touch up; exec -a {} sleep 1000'", rig.mark());
    rig.run(command("t", &line)).await;
    until(|| rig.processes().iter().any(|line| line.starts_with("mark-"))).await;
    rig.agent.kill().expect("killed");
    rig.agent.wait().expect("reaped");
    until(|| rig.processes().is_empty()).await;
}
