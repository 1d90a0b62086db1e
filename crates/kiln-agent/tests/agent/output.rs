//! What becomes of output files.

use kiln_domain::batch::command::{
    ElevationLevel, OutputFile, OutputFileContainer, OutputFileDestination,
    OutputFileUploadOptions, UploadCondition, UploadHeader,
};
use kiln_domain::batch::task::{FailureInfo, TaskSpec};
use kiln_wire::node::{Outcome, ToAgent};

use crate::rig::web::Web;
use crate::rig::{Rig, task, until};
use ElevationLevel::{Admin, NonAdmin};
use UploadCondition::{Completion, Failure, Success};

on_each_kind!(
    uploads_what_patterns_find,
    uploads_when_the_condition_holds,
    uploads_large_files_in_blocks,
    tries_uploads_again,
    says_why_files_can_not_be_uploaded,
    uploads_only_what_the_user_may_read,
    leaves_uploads_to_the_last_run,
    a_stopped_task_uploads_nothing_more,
);

fn output(web: &Web, pattern: &str, path: Option<&str>) -> OutputFile {
    OutputFile {
        file_pattern: pattern.to_owned(),
        destination: OutputFileDestination {
            container: Some(OutputFileContainer {
                container_url: web.url("/c?sig=hush%2F"),
                path: path.map(str::to_owned),
                identity_reference: None,
                upload_headers: vec![],
            }),
        },
        upload_options: OutputFileUploadOptions { upload_condition: Completion },
    }
}

fn under(condition: UploadCondition, file: OutputFile) -> OutputFile {
    let upload_options = OutputFileUploadOptions { upload_condition: condition };
    OutputFile { upload_options, ..file }
}

fn task_with(id: &str, script: &str, output_files: Vec<OutputFile>) -> TaskSpec {
    TaskSpec { output_files, ..task(id, script, NonAdmin) }
}

/// Names and contents of all that was put, in name order.
fn kept(web: &Web) -> Vec<(String, String)> {
    let mut kept: Vec<(String, String)> = web
        .requests("PUT", "/c/")
        .into_iter()
        .map(|put| {
            let name = put.path.trim_start_matches("/c/").replace("?sig=hush%2F", "");
            (name, String::from_utf8(put.body).expect("text"))
        })
        .collect();
    kept.sort();
    kept
}

fn names(kept: &[(String, String)]) -> Vec<&str> {
    kept.iter().map(|(name, _)| name.as_str()).collect()
}

fn failed(outcome: Outcome) -> (i32, FailureInfo) {
    match outcome {
        Outcome::UploadFailed { exit_code, failure } => (exit_code, failure),
        other @ (Outcome::Exited { .. }
        | Outcome::TimedOut
        | Outcome::Exceeded { .. }
        | Outcome::Stopped
        | Outcome::NotStarted { .. }) => panic!("{other:?}"),
    }
}

async fn uploads_what_patterns_find(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let web = Web::start().await;
    web.open("/c/");
    let script = "echo out; mkdir -p r/d; echo 1 > r/1.csv; echo 2 > \"r/d/2 &.csv\"; \
                  echo 3 > r/.3.csv; echo 4 > 4.txt; echo 5 > $AZ_BATCH_NODE_SHARED_DIR/5.txt";
    let mut with_headers = output(&web, "4.txt", Some("named/4"));
    let headers = [("x-ms-meta-run", "a b"), ("x-ms-blob-content-type", "text/csv")];
    with_headers.destination.container.as_mut().expect("it has one").upload_headers = headers
        .map(|(name, value)| UploadHeader { name: name.into(), value: Some(value.into()) })
        .to_vec();
    let files = vec![
        output(&web, "../std*.txt", Some("logs")),
        output(&web, "r/**/*.csv", Some("res/")),
        with_headers,
        output(&web, "4.txt", None),
        output(&web, "$AZ_BATCH_NODE_SHARED_DIR/5.txt", None),
        output(&web, "none*", None),
        output(&web, "none.txt", None),
    ];
    let id = rig.run(task_with("t", script, files)).await;
    assert_eq!(rig.outcome(&id).await, Outcome::Exited { exit_code: 0 });
    let all = [
        ("4.txt", "4\n"),
        ("5.txt", "5\n"),
        ("logs/stderr.txt", ""),
        ("logs/stdout.txt", "out\n"),
        ("named/4", "4\n"),
        ("res/1.csv", "1\n"),
        ("res/d/2%20%26.csv", "2\n"),
    ];
    assert_eq!(kept(&web), all.map(|(name, text)| (name.to_owned(), text.to_owned())));
    let put = &web.requests("PUT", "/c/named/4")[0];
    for (name, value) in [headers[0], headers[1], ("x-ms-blob-type", "BlockBlob")] {
        assert_eq!(put.headers.get(name).map(String::as_str), Some(value), "{name}");
    }
    let log = rig.file("workitems/job/job-1/t/fileuploadout.txt").await;
    assert!(log.contains("/r/1.csv") && !log.contains("hush"), "{log}");
    assert_eq!(rig.file("workitems/job/job-1/t/fileuploaderr.txt").await, "");
    rig.leave().await;
}

async fn uploads_when_the_condition_holds(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    for (exit_code, expected) in [(0, ["always", "good"]), (3, ["always", "bad"])] {
        let web = Web::start().await;
        web.open("/c/");
        let files = vec![
            under(Success, output(&web, "../stdout.txt", Some("good"))),
            under(Failure, output(&web, "../stdout.txt", Some("bad"))),
            under(Completion, output(&web, "../stdout.txt", Some("always"))),
        ];
        let id = format!("t{exit_code}");
        let attempt = rig.run(task_with(&id, &format!("exit {exit_code}"), files)).await;
        assert_eq!(rig.outcome(&attempt).await, Outcome::Exited { exit_code });
        assert_eq!(names(&kept(&web)), expected);
    }
    rig.leave().await;
}

async fn uploads_large_files_in_blocks(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let web = Web::start().await;
    web.open("/c/");
    let script = "head -c 20000000 /dev/urandom > big; sha256sum < big";
    let id = rig.run(task_with("t", script, vec![output(&web, "big", None)])).await;
    assert_eq!(rig.outcome(&id).await, Outcome::Exited { exit_code: 0 });
    let mut blocks: Vec<(String, Vec<u8>)> = web
        .requests("PUT", "/c/big?sig=hush%2F&comp=block&blockid=")
        .into_iter()
        .map(|put| (put.path.rsplit('=').next().expect("an id").to_owned(), put.body))
        .collect();
    blocks.sort();
    assert_eq!(blocks.len(), 3);
    let list = &web.requests("PUT", "/c/big?sig=hush%2F&comp=blocklist")[0];
    let list = String::from_utf8(list.body.clone()).expect("text");
    let listed: String = blocks.iter().map(|(id, _)| format!("<Latest>{id}</Latest>")).collect();
    assert!(list.contains(&format!("<BlockList>{listed}</BlockList>")), "{list}");
    let content: Vec<u8> = blocks.into_iter().flat_map(|(_, bytes)| bytes).collect();
    let big = rig.directory().join("tasks/workitems/job/job-1/t/wd/big");
    assert!(content == std::fs::read(big).expect("there"), "the same bytes");
    rig.leave().await;
}

async fn tries_uploads_again(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let web = Web::start().await;
    let path = "/c/stdout.txt?sig=hush%2F";
    web.answer(path, 503, "");
    web.answer(path, 500, "");
    web.answer(path, 201, "");
    let id = rig.run(task_with("t", "echo x", vec![output(&web, "../stdout.txt", None)])).await;
    assert_eq!(rig.outcome(&id).await, Outcome::Exited { exit_code: 0 });
    let puts = web.requests("PUT", path);
    assert_eq!(puts.iter().map(|put| put.body.as_slice()).collect::<Vec<_>>(), [b"x\n"; 3]);
    rig.leave().await;
}

async fn says_why_files_can_not_be_uploaded(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let web = Web::start().await;
    web.answer("/c/denied?sig=hush%2F", 403, "");
    web.answer("/c/odd?sig=hush%2F", 409, "");
    web.answer("/c/good?sig=hush%2F", 201, "");
    for (exit_code, blob, code) in [
        (0, "none", "FileUploadContainerNotFound"),
        (3, "denied", "FileUploadAccessDenied"),
        (0, "odd", "FileUploadMiscError"),
    ] {
        let files = vec![
            output(&web, "../stdout.txt", Some(blob)),
            output(&web, "../stderr.txt", Some("good")),
        ];
        let attempt = rig.run(task_with(blob, &format!("exit {exit_code}"), files)).await;
        let (found, failure) = failed(rig.outcome(&attempt).await);
        assert_eq!((found, failure.code.as_str()), (exit_code, code));
        assert!(!format!("{failure:?}").contains("hush"), "{failure:?}");
        let log = rig.file(&format!("workitems/job/job-1/{blob}/fileuploaderr.txt")).await;
        assert!(log.contains(code) && !log.contains("hush"), "{log}");
    }
    // The others were uploaded all the same.
    assert_eq!(web.requests("PUT", "/c/good").len(), 3);
    let mut nonsense = output(&web, "../stdout.txt", None);
    nonsense.destination.container.as_mut().expect("it has one").container_url = "x".into();
    let attempt = rig.run(task_with("nonsense", "true", vec![nonsense])).await;
    assert_eq!(failed(rig.outcome(&attempt).await).1.code, "FileUploadMiscError");
    rig.leave().await;
}

async fn uploads_only_what_the_user_may_read(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let web = Web::start().await;
    web.open("/c/");
    let secret = "umask 077; echo secret > $AZ_BATCH_NODE_SHARED_DIR/closed; \
                  mkdir $AZ_BATCH_NODE_SHARED_DIR/dir; echo more > $AZ_BATCH_NODE_SHARED_DIR/dir/x";
    let one = rig.run(TaskSpec { ..task("one", secret, Admin) }).await;
    assert_eq!(rig.outcome(&one).await, Outcome::Exited { exit_code: 0 });
    let machine = std::path::Path::new(&rig.config.hidden[0]).join("secret");
    let script = format!("ln -s {} link; ln -s /etc/shadow shadow", machine.display());
    let files = ["link", "shadow", "$AZ_BATCH_NODE_SHARED_DIR/dir/*", "/etc/sh[a]dow"];
    let files = files.into_iter().map(|pattern| output(&web, pattern, None));
    let closed = output(&web, "$AZ_BATCH_NODE_SHARED_DIR/closed", None);
    let attempt = rig.run(task_with("two", &script, files.chain([closed]).collect())).await;
    let outcome = rig.outcome(&attempt).await;
    if rustix::process::geteuid().is_root() {
        assert_eq!(failed(outcome).1.code, "FileUploadMiscError");
        assert_eq!(names(&kept(&web)), Vec::<&str>::new());
    } else {
        // There is one user, who reads all of it, but not what the machine's root keeps.
        assert!(!kept(&web).iter().any(|(_, text)| text.contains("root:")));
    }
    rig.leave().await;
}

async fn leaves_uploads_to_the_last_run(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let web = Web::start().await;
    web.open("/c/");
    let spec = |exit_code| {
        task_with("t", &format!("exit {exit_code}"), vec![output(&web, "../stdout.txt", None)])
    };
    rig.may_run_again = true;
    let one = rig.run_attempt(spec(3), 1).await;
    assert_eq!(rig.outcome(&one).await, Outcome::Exited { exit_code: 3 });
    assert_eq!(names(&kept(&web)), Vec::<&str>::new());
    let two = rig.run_attempt(spec(0), 2).await;
    assert_eq!(rig.outcome(&two).await, Outcome::Exited { exit_code: 0 });
    assert_eq!(names(&kept(&web)), ["stdout.txt"]);
    rig.leave().await;
}

async fn a_stopped_task_uploads_nothing_more(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let web = Web::start().await;
    web.open("/c/");
    let files = vec![output(&web, "../stdout.txt", None)];
    let attempt = rig.run(task_with("t", "touch up; sleep 1000", files)).await;
    let up = rig.directory().join("tasks/workitems/job/job-1/t/wd/up");
    until(|| up.exists()).await;
    rig.send(ToAgent::Stop { attempt: attempt.clone() }).await;
    assert_eq!(rig.outcome(&attempt).await, Outcome::Stopped);
    assert_eq!(names(&kept(&web)), Vec::<&str>::new());
    rig.leave().await;
}
