//! Commands in containers. Where the machine has no engine, what is said of that.
#![expect(clippy::wildcard_enum_match_arm, reason = "each wait is for one kind of report")]

use kiln_domain::batch::attempt::AttemptKind;
use kiln_domain::batch::command::ElevationLevel;
use kiln_domain::batch::container::{
    BindMount, ContainerConfiguration, ContainerInfo, ContainerKind, ContainerRegistry,
    ContainerSettings, HostPath, WorkingDirectory,
};
use kiln_domain::batch::task::TaskSpec;
use kiln_wire::node::shell::{ShellSpec, Terminal, ToShell, WindowSize};
use kiln_wire::node::{AttemptId, Instance, Outcome, Prepare, Report, Run, SlotLimits, ToAgent};

use crate::rig::registry::Registry;
use crate::rig::shell::Said;
use crate::rig::{
    Rig, command, failure_of, is_root, preparation, setting, start_task, task, until, user,
};
use ElevationLevel::{Admin, NonAdmin};

on_each_kind!(pools_of_containers_and_others_are_kept_apart);

/// The kind of nodes that run containers.
const APART: &str = "namespaces";

/// Whether nodes can run containers here; said when they can not.
#[expect(clippy::print_stderr, reason = "who runs the tests hears what was left out")]
fn can_run() -> bool {
    let has = |name: &str| kiln_agent::probe().iter().any(|it| it.name == name && it.is_available);
    let has_shell = std::path::Path::new("/bin/busybox").exists();
    let has_all = has("containers") && has_shell && is_root();
    if !has_all {
        eprintln!("note: no tests of containers, which need root, podman, crun and busybox-static");
    }
    has_all
}

/// Tells of its terminal.
const TERMINAL: &str = "[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo $TERM $(cat /etc/image); exit 6";

fn configuration(images: &[String]) -> ContainerConfiguration {
    ContainerConfiguration {
        kind: ContainerKind::DockerCompatible,
        container_image_names: images.to_vec(),
        container_registries: Vec::new(),
    }
}

async fn prepare(rig: &mut Rig, boot: u32, containers: ContainerConfiguration) {
    let containers = Some(containers);
    let prepare = Prepare { containers, ..preparation(boot) };
    rig.send(ToAgent::Prepare(Box::new(prepare))).await;
}

/// A node that is ready for containers, and a registry; `None` where there are none.
async fn ready(limits: SlotLimits) -> Option<(Rig, Registry)> {
    if !can_run() {
        return None;
    }
    let registry = Registry::start().await;
    let mut rig = Rig::limited(APART, limits).await;
    prepare(&mut rig, 1, configuration(&[registry.image()])).await;
    booted(&mut rig, 0, 1).await;
    Some((rig, registry))
}

async fn booted(rig: &mut Rig, seen: usize, boot: u32) {
    rig.wait_after(seen, "booted", |report| match report {
        Report::Booted { boot: it, .. } if *it == boot => Some(Ok(())),
        Report::BootFailed { boot: it, message, details, .. } if *it == boot => {
            Some(Err(format!("{message} {details:?}")))
        }
        _ => None,
    })
    .await
    .expect("it boots");
}

fn settings(image: &str) -> ContainerSettings {
    ContainerSettings { image_name: image.to_owned(), ..ContainerSettings::default() }
}

fn contained(task: TaskSpec, settings: ContainerSettings) -> TaskSpec {
    TaskSpec { container_settings: Some(settings), ..task }
}

/// Runs a task to its end; answers its exit code and what it printed.
async fn run(rig: &mut Rig, spec: TaskSpec) -> (i32, String) {
    let id = spec.id.clone();
    let attempt = rig.run(spec).await;
    let outcome = rig.outcome(&attempt).await;
    let Outcome::Exited { exit_code } = outcome else { panic!("{outcome:?}") };
    let mut printed = rig.file(&format!("workitems/job/job-1/{id}/stdout.txt")).await;
    printed.push_str(&rig.file(&format!("workitems/job/job-1/{id}/stderr.txt")).await);
    (exit_code, printed)
}

async fn container_at_end(rig: &mut Rig, id: &AttemptId) -> Option<ContainerInfo> {
    rig.wait("its end", |report| match report {
        Report::Ended { attempt, container, .. } if attempt == id => Some(container.clone()),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn a_command_runs_in_the_image_it_names() {
    let Some((mut rig, registry)) = ready(SlotLimits::default()).await else { return };
    let image = registry.image();
    let script = "cat /etc/image; echo $AZ_BATCH_TASK_ID in $PWD; echo hello > made; exit 3";
    let spec = contained(task("t", script, NonAdmin), settings(&image));
    let attempt = rig.run(spec).await;
    let running = rig
        .wait("its container", |report| match report {
            Report::Contained { container, .. } => Some(container.clone()),
            _ => None,
        })
        .await;
    assert_eq!((running.container_id.len(), running.state.as_str()), (64, "running"));
    assert_eq!(rig.outcome(&attempt).await, Outcome::Exited { exit_code: 3 });
    let ended = container_at_end(&mut rig, &attempt).await;
    assert_eq!(ended, Some(ContainerInfo { state: "exited".to_owned(), ..running }));
    let printed = rig.file("workitems/job/job-1/t/stdout.txt").await;
    let (first, second) = printed.split_once('\n').expect("two lines");
    assert_eq!(first, "from the image");
    assert!(second.starts_with("t in ") && second.ends_with("/job-1/t/wd\n"), "{second}");
    assert_eq!(rig.file("workitems/job/job-1/t/wd/made").await, "hello\n");
    // Without a command it does what its image does; elsewhere, when the task wants that.
    let image_default = ContainerSettings {
        working_directory: WorkingDirectory::ContainerImageDefault,
        ..settings(&image)
    };
    let own = contained(command("own", ""), image_default.clone());
    assert_eq!(run(&mut rig, own).await, (0, "from the image\n".to_owned()));
    let elsewhere = contained(task("pwd", "echo $PWD $PATH $FROM_IMAGE", NonAdmin), image_default);
    assert_eq!(run(&mut rig, elsewhere).await, (0, "/home /bin yes\n".to_owned()));
    // An administrator is root there; whoever is not is the task's user.
    let who = |id: &str, level| contained(task(id, "id -u", level), settings(&image));
    assert_eq!(run(&mut rig, who("admin", Admin)).await, (0, "0\n".to_owned()));
    let (_, uid) = run(&mut rig, who("user", NonAdmin)).await;
    assert_ne!(uid, "0\n");
    // Options are those of Docker.
    let options = ContainerSettings {
        container_run_options: Some("--rm -w /etc -e MORE='b c' --entrypoint /bin/sh".to_owned()),
        ..settings(&image)
    };
    let with = contained(command("with", "-c 'pwd; echo $MORE'"), options);
    assert_eq!(run(&mut rig, with).await, (0, "/etc\nb c\n".to_owned()));
    rig.leave().await;
}

#[tokio::test]
async fn a_shell_is_in_the_container_of_its_task() {
    let Some((mut rig, registry)) = ready(SlotLimits::default()).await else { return };
    let script = "echo mine > made; until [ -e go ]; do sleep 0.1; done; exit 3";
    let spec = contained(task("t", script, NonAdmin), settings(&registry.image()));
    let run = rig.attempt(spec, 1);
    let attempt = rig.order(run.clone()).await;
    rig.wait("its container", |report| matches!(report, Report::Contained { .. }).then_some(()))
        .await;
    // Beside what runs there, which it sees.
    let look = "cat /etc/image made; echo $AZ_BATCH_TASK_ID in $PWD; cat /proc/1/cmdline; id -u";
    let beside = rig.shell(run.clone(), ShellSpec::default(), look).await;
    let uid = beside.output.rsplit('\0').next().map(str::to_owned).expect("its user");
    assert!(beside.output.starts_with("from the image\nmine\nt in "), "{beside:?}");
    assert!(beside.output.contains("/job-1/t/wd\n/bin/sh\0-c\0echo mine"), "{beside:?}");
    assert!(!["", "0\n"].contains(&uid.as_str()), "{beside:?}");
    let command = |words: &[&str]| ShellSpec {
        command: words.iter().map(|word| (*word).to_owned()).collect(),
        terminal: None,
    };
    let apart = rig.shell(run.clone(), command(&["sh", "-c", "echo no >&2; exit 4"]), "").await;
    let said = |exit_code, output: &str, errors: &str| Said {
        exit_code,
        output: output.to_owned(),
        errors: errors.to_owned(),
    };
    assert_eq!(apart, said(4, "", "no\n"));
    // One that nobody hears any more ends with what it runs; the task does not.
    let shell = rig.open_shell(run.clone(), command(&["sleep", "7654"])).await.expect("a shell");
    let is_asleep = "cat /proc/[0-9]*/cmdline | head -c 4096";
    while !rig.shell(run.clone(), ShellSpec::default(), is_asleep).await.output.contains("7654") {}
    rig.tell(shell, ToShell::Close).await;
    while rig.shell(run.clone(), ShellSpec::default(), is_asleep).await.output.contains("7654") {}
    let end = rig.shell(run.clone(), ShellSpec::default(), "echo > go").await;
    assert_eq!(end, said(0, "", ""));
    assert_eq!(rig.outcome(&attempt).await, Outcome::Exited { exit_code: 3 });
    // Afterwards in another one of the same image, with all the task had.
    let look = "cat /etc/image made; echo $AZ_BATCH_TASK_ID; id -u; echo also >> made; exit 5";
    let after = rig.shell(run.clone(), ShellSpec::default(), look).await;
    assert_eq!(after, said(5, &format!("from the image\nmine\nt\n{uid}"), ""));
    assert_eq!(rig.file("workitems/job/job-1/t/wd/made").await, "mine\nalso\n");
    let none = rig.shell(run.clone(), command(&["no-such-program"]), "").await;
    assert!((125..=127).contains(&none.exit_code), "{none:?}");
    assert!(none.errors.contains("no-such-program"), "{none:?}");
    let terminal =
        Terminal { name: "vt100".to_owned(), size: WindowSize { rows: 33, columns: 77 } };
    let at_terminal = ShellSpec { terminal: Some(terminal), ..command(&["sh", "-c", TERMINAL]) };
    // Nothing is typed: what comes before the engine has set the terminal is echoed as it is.
    let shell = rig.open_shell(run, at_terminal).await.expect("a shell");
    let told = rig.said(shell).await;
    assert_eq!(told, said(6, "vt100 from the image\r\n", ""));
    assert!(rig.processes().iter().all(|it| !it.contains("podman")), "{:?}", rig.processes());
    rig.leave().await;
}

#[tokio::test]
async fn images_are_brought_once() {
    let Some((mut rig, registry)) = ready(SlotLimits::default()).await else { return };
    assert_eq!(registry.n_pulls(), 1);
    let latest = format!("{}/tool", registry.host());
    let spec = |n: usize, image: &str| {
        contained(task(&format!("t{n}"), "true", NonAdmin), settings(image))
    };
    let mut attempts = Vec::new();
    for n in 0..4 {
        attempts.push(rig.run(spec(n, &latest)).await);
    }
    for attempt in attempts {
        assert_eq!(rig.outcome(&attempt).await, Outcome::Exited { exit_code: 0 });
    }
    // The tag `latest` is another name of what is there.
    let manifests =
        |name: &str| registry.web.requests("GET", &format!("/v2/tool/manifests/{name}")).len();
    assert_eq!((manifests("1"), manifests("latest")), (1, 1));
    assert_eq!(registry.n_pulls(), 1);
    // Images outlast a reboot.
    let seen = rig.reports.len();
    prepare(&mut rig, 2, configuration(&[registry.image(), latest.clone()])).await;
    booted(&mut rig, seen, 2).await;
    assert_eq!(run(&mut rig, spec(9, &latest)).await.0, 0);
    assert_eq!(manifests("1") + manifests("latest"), 2);
    rig.leave().await;
}

#[tokio::test]
async fn registries_hear_who_asks() {
    if !can_run() {
        return;
    }
    let registry = Registry::start().await;
    registry.protect("me", "hush-hush");
    let mut rig = Rig::start(APART).await;
    let known = |password: &str| ContainerRegistry {
        registry_server: Some(registry.host()),
        user_name: Some("me".to_owned()),
        password: Some(password.to_owned()),
        identity_reference: None,
    };
    prepare(&mut rig, 1, configuration(&[registry.image()])).await;
    let failed = rig
        .wait("the boot", |report| match report {
            Report::BootFailed { code, message, details, .. } => {
                Some((code.clone(), format!("{message} {details:?}")))
            }
            _ => None,
        })
        .await;
    assert_eq!(failed.0.as_deref(), Some("ContainerInvalidImage"), "{}", failed.1);
    assert!(failed.1.contains(&registry.image()), "{}", failed.1);
    let seen = rig.reports.len();
    let configuration = ContainerConfiguration {
        container_registries: vec![known("hush-hush")],
        ..configuration(&[registry.image()])
    };
    prepare(&mut rig, 2, configuration).await;
    booted(&mut rig, seen, 2).await;
    // A task may know better than its pool, or worse.
    let other = format!("{}/tool", registry.host());
    let with = |id: &str, password: &str| {
        let settings = ContainerSettings { registry: Some(known(password)), ..settings(&other) };
        contained(task(id, "true", NonAdmin), settings)
    };
    let attempt = rig.run(with("wrong", "guess")).await;
    assert_eq!(failure_of(rig.outcome(&attempt).await).code, "ContainerInvalidImage");
    assert_eq!(run(&mut rig, with("right", "hush-hush")).await.0, 0);
    // Nothing of what proved it is left on the node.
    let left = rig.directory().join("containers/asked");
    let left = std::fs::read_dir(left).expect("there").count();
    assert_eq!(left, 0);
    rig.leave().await;
}

#[tokio::test]
async fn a_container_sees_of_its_node_what_it_asks_for() {
    let Some((mut rig, registry)) = ready(SlotLimits::default()).await else { return };
    let image = registry.image();
    let mount = |source, is_read_only| BindMount { source: Some(source), is_read_only };
    let with = |mounts: Option<Vec<BindMount>>| ContainerSettings {
        container_host_batch_bind_mounts: mounts,
        working_directory: WorkingDirectory::ContainerImageDefault,
        ..settings(&image)
    };
    let script = "for d in ROOT SHARED STARTUP; do eval v=\\$AZ_BATCH_NODE_${d}_DIR; \
                  [ -n \"$v\" ] && [ -d $v ] && echo $d; done; \
                  echo task ${AZ_BATCH_TASK_WORKING_DIR:-none}; \
                  [ -z $AZ_BATCH_NODE_SHARED_DIR ] || echo x > $AZ_BATCH_NODE_SHARED_DIR/x$AZ_BATCH_TASK_ID";
    let spec = |id: &str, mounts| {
        let line = format!("/bin/sh -c {}", shell_words::quote(script));
        let spec = TaskSpec { user_identity: user(NonAdmin), ..command(id, &line) };
        contained(spec, with(mounts))
    };
    let (_, all) = run(&mut rig, spec("all", None)).await;
    assert!(all.starts_with("ROOT\nSHARED\nSTARTUP\ntask /"), "{all}");
    let (_, none) = run(&mut rig, spec("none", Some(vec![]))).await;
    assert_eq!(none, "task none\n");
    let shared = vec![mount(HostPath::Shared, false), mount(HostPath::Task, false)];
    let (exit_code, some) = run(&mut rig, spec("some", Some(shared))).await;
    assert!(exit_code == 0 && some.starts_with("SHARED\ntask /"), "{some}");
    assert_eq!(rig.file("shared/xsome").await, "x\n");
    let read_only = vec![mount(HostPath::Shared, true)];
    let (exit_code, refused) = run(&mut rig, spec("only", Some(read_only))).await;
    assert!(exit_code != 0 && refused.contains("Read-only"), "{refused}");
    rig.leave().await;
}

#[tokio::test]
async fn variables_reach_the_container_whole() {
    let Some((mut rig, registry)) = ready(SlotLimits::default()).await else { return };
    let odd = "one\ntwo \"three\" \\ 'four' $five";
    let environment_settings = vec![setting("ODD", odd), setting("PLAIN", "a b=c # d")];
    let line = "/bin/sh -c 'echo \"$ODD|$PLAIN|$FROM_JOB|$USER\"; [ $HOME = $PWD ]'";
    let spec = TaskSpec { environment_settings, ..command("t", line) };
    let (exit_code, printed) = run(&mut rig, contained(spec, settings(&registry.image()))).await;
    let (odd_seen, rest) = printed.split_once('|').expect("parts");
    assert_eq!(odd_seen, odd);
    assert_eq!((exit_code, rest), (0, "a b=c # d|job|_azbatch\n"));
    rig.leave().await;
}

#[tokio::test]
async fn what_can_not_run_in_a_container_says_why() {
    let Some((mut rig, registry)) = ready(SlotLimits::default()).await else { return };
    let image = registry.image();
    let options = |options: &str| ContainerSettings {
        container_run_options: Some(options.to_owned()),
        ..settings(&image)
    };
    let none = format!("{}/none:1", registry.host());
    for (id, spec, code, word) in [
        (
            "option",
            contained(command("option", "true"), options("--runtime x")),
            "ContainerInvalidSettings",
            "--runtime",
        ),
        (
            "quote",
            contained(command("quote", "true"), options("'a")),
            "ContainerInvalidSettings",
            "quote",
        ),
        (
            "mount",
            contained(command("mount", "true"), options("-v /no/where:/x")),
            "ContainerInvalidSettings",
            "/no/where",
        ),
        (
            "name",
            contained(command("name", "true"), settings("Not An Image")),
            "ContainerInvalidImage",
            "Not An Image",
        ),
        (
            "none",
            contained(command("none", "true"), settings(&none)),
            "ContainerInvalidImage",
            "none:1",
        ),
        (
            "program",
            contained(command("program", "/nothing 1"), settings(&image)),
            "CommandProgramNotFound",
            "/nothing",
        ),
    ] {
        let attempt = rig.run(spec).await;
        let failure = failure_of(rig.outcome(&attempt).await);
        let said = format!("{failure:?}");
        assert!(failure.code == code && said.contains(word), "{id}: {said}");
        let info = container_at_end(&mut rig, &attempt).await;
        let error = info.map(|info| info.error).unwrap_or_default();
        assert_eq!(error.contains("/nothing"), id == "program", "{id}: {error}");
    }
    // What the program itself says with those numbers is its own word.
    for exit_code in 125..=127 {
        let id = format!("own-{exit_code}");
        let spec = contained(task(&id, &format!("exit {exit_code}"), NonAdmin), settings(&image));
        assert_eq!(run(&mut rig, spec).await.0, exit_code);
    }
    rig.leave().await;
}

#[tokio::test]
async fn a_container_ends_with_its_command() {
    let limits = SlotLimits { memory_bytes: Some(64 << 20), ..SlotLimits::default() };
    let Some((mut rig, registry)) = ready(limits).await else { return };
    let image = registry.image();
    // What it started in the background, and itself when its end is asked for.
    let script = "sleep 1000 & echo up > up; sleep 1001";
    let attempt = rig.run(contained(task("t", script, NonAdmin), settings(&image))).await;
    let up = rig.directory().join("tasks/workitems/job/job-1/t/wd/up");
    until(|| up.exists()).await;
    assert!(rig.processes().iter().any(|it| it.contains("sleep 1000")));
    rig.send(ToAgent::Stop { attempt: attempt.clone() }).await;
    assert_eq!(rig.outcome(&attempt).await, Outcome::Stopped);
    let of_containers = |rig: &Rig| {
        rig.processes()
            .into_iter()
            .filter(|it| it.contains("conmon") || it.contains("sleep"))
            .count()
    };
    assert_eq!(of_containers(&rig), 0);
    let store = rig.directory().join("containers/store/overlay-containers");
    let n_made = std::fs::read_dir(store).expect("there").flatten();
    let n_made = n_made.filter(|it| it.file_type().is_ok_and(|it| it.is_dir())).count();
    assert_eq!(n_made, 0, "it is removed");
    // It takes no more than the slots of its task may.
    let bytes = 200_000_000;
    let hold = format!("head -c {bytes} /dev/zero | tail -c {bytes} > /dev/null");
    let (exit_code, _) =
        run(&mut rig, contained(task("large", &hold, NonAdmin), settings(&image))).await;
    let limits_memory =
        kiln_agent::probe().iter().any(|it| it.name == "limits on memory" && it.is_available);
    assert_eq!(exit_code != 0, limits_memory);
    // A node that ends leaves nothing, whatever runs.
    rig.run(contained(task("last", "echo up > up; sleep 1000", NonAdmin), settings(&image))).await;
    let up = rig.directory().join("tasks/workitems/job/job-1/last/wd/up");
    until(|| up.exists()).await;
    rig.leave().await;
}

#[tokio::test]
async fn no_container_outlives_the_agent_of_its_node() {
    let Some((mut rig, registry)) = ready(SlotLimits::default()).await else { return };
    let script = "echo up > up; sleep 1000";
    rig.run(contained(task("t", script, NonAdmin), settings(&registry.image()))).await;
    let up = rig.directory().join("tasks/workitems/job/job-1/t/wd/up");
    until(|| up.exists()).await;
    let lives = |rig: &Rig| rig.processes().iter().any(|it| it.contains("sleep 1000"));
    assert!(lives(&rig));
    rig.agent.kill().expect("killed");
    until(|| !lives(&rig)).await;
}

#[tokio::test]
async fn start_tasks_and_coordination_run_in_containers() {
    if !can_run() {
        return;
    }
    let registry = Registry::start().await;
    let image = registry.image();
    let mut rig = Rig::start(APART).await;
    let mut start = start_task("cat /etc/image; echo x > $AZ_BATCH_NODE_SHARED_DIR/x", Admin, 0);
    start.container_settings = Some(settings(&image));
    let containers = Some(configuration(&[]));
    let prepare = Prepare { start_task: Some(start), containers, ..preparation(1) };
    rig.send(ToAgent::Prepare(Box::new(prepare))).await;
    let info = rig.start_task().await;
    assert_eq!(info.exit_code, Some(0), "{info:?}");
    assert_eq!(info.container.map(|it| it.state).as_deref(), Some("exited"));
    assert_eq!(rig.file("startup/stdout.txt").await, "from the image\n");
    assert_eq!(rig.file("shared/x").await, "x\n");
    // What a coordination command starts outlives it, and is gone with the task.
    let spec = contained(task("t", "sleep 1000 & cat /etc/image", NonAdmin), settings(&image));
    let run = rig.attempt(spec, 1);
    let instance = Instance {
        number: 1,
        addresses: vec!["127.0.0.1".to_owned()],
        shared_directory: "workitems/job/job-1/t".to_owned(),
        common_resource_files: Vec::new(),
    };
    let attempt = AttemptId { kind: AttemptKind::Subtask { number: 1 }, ..run.attempt };
    let directory = "workitems/job/job-1/t/1".to_owned();
    let run = Run { attempt: attempt.clone(), instance: Some(instance), directory, ..run };
    rig.order(run).await;
    rig.wait("coordinated", |report| matches!(report, Report::Coordinated { .. }).then_some(()))
        .await;
    assert_eq!(rig.file("workitems/job/job-1/t/1/stdout.txt").await, "from the image\n");
    let lives = |rig: &Rig| rig.processes().iter().any(|it| it.contains("sleep 1000"));
    assert!(lives(&rig));
    rig.send(ToAgent::Stop { attempt: attempt.clone() }).await;
    assert_eq!(rig.outcome(&attempt).await, Outcome::Stopped);
    assert!(!lives(&rig));
    rig.leave().await;
}

async fn pools_of_containers_and_others_are_kept_apart(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let attempt = rig.run(contained(command("t", "true"), settings("busybox"))).await;
    let failure = failure_of(rig.outcome(&attempt).await);
    assert_eq!(failure.code, "ContainerInvalidSettings");
    let seen = rig.reports.len();
    prepare(&mut rig, 2, configuration(&[])).await;
    let has = |name: &str| kiln_agent::probe().iter().any(|it| it.name == name && it.is_available);
    let runs_containers = kind == APART && has("containers");
    let failed = rig
        .wait_after(seen, "booted or not", |report| match report {
            Report::Booted { boot: 2, .. } => Some(None),
            Report::BootFailed { boot: 2, code, message, .. } => {
                Some(Some((code.clone(), message.clone())))
            }
            _ => None,
        })
        .await;
    match failed {
        None => {
            assert!(runs_containers);
            let attempt = rig.run(command("plain", "true")).await;
            let failure = failure_of(rig.outcome(&attempt).await);
            assert_eq!(failure.code, "ContainerInvalidSettings");
        }
        Some((code, message)) => {
            assert!(!runs_containers, "{message}");
            assert_eq!(code.as_deref(), Some("ContainerEngineUnavailable"));
            let advice = if kind == APART { "apt-get install podman" } else { "kept apart" };
            assert!(message.contains(advice), "{message}");
        }
    }
    rig.leave().await;
}
