//! How resource files come to a task.

use kiln_domain::batch::command::{ElevationLevel, ResourceFile};
use kiln_domain::batch::task::TaskSpec;
use kiln_wire::node::Outcome;

use crate::rig::web::{Answer, Web};
use crate::rig::{Rig, command, failure_of, file_at, is_root, task};
use ElevationLevel::NonAdmin;

on_each_kind!(
    fetches_resource_files,
    fetches_a_container,
    fetches_a_common_file_once,
    compares_what_it_fetches_with_its_checksum,
    says_why_files_can_not_be_fetched,
);

async fn fetches_resource_files(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let web = Web::start().await;
    web.answer("/c/a%20b%25.txt?sig=1%2F2", 200, "spaced");
    web.answer("/flaky", 503, "");
    web.answer("/flaky", 200, "at last");
    web.answer("/moved", 302, "/target");
    web.answer("/target", 200, "#!/bin/sh\necho moved");
    let files = vec![
        file_at(web.url("/c/a b%.txt?sig=1%2F2"), "sub/dir/spaced.txt"),
        file_at(web.url("/flaky"), "flaky"),
        ResourceFile { file_mode: Some("0755".into()), ..file_at(web.url("/moved"), "bin.sh") },
    ];
    let script = "cat sub/dir/spaced.txt flaky; bin.sh; stat -c %a%U flaky bin.sh; \
                  echo more >> flaky";
    let task = TaskSpec { resource_files: files, ..task("t", script, NonAdmin) };
    let id = rig.run(task).await;
    assert_eq!(rig.outcome(&id).await, Outcome::Exited { exit_code: 0 });
    let printed = rig.file("workitems/job/job-1/t/stdout.txt").await;
    assert!(printed.starts_with("spacedat lastmoved\n770"), "{printed}");
    if kind == "namespaces" && is_root() {
        assert!(printed.ends_with("770_azbatch\n755_azbatch\n"), "{printed}");
    }
    assert_eq!(rig.file("workitems/job/job-1/t/wd/flaky").await, "at lastmore\n");
    rig.leave().await;
}

async fn fetches_a_container(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let web = Web::start().await;
    let page = |names: &[&str], marker: &str| {
        let blobs = names.iter().map(|name| format!("<Blob><Name>{name}</Name></Blob>"));
        let blobs: String = blobs.collect();
        format!(
            "<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker>{marker}</NextMarker>\
             </EnumerationResults>"
        )
    };
    let list = "/c?restype=container&comp=list&prefix=in%2F";
    web.answer(&format!("{list}&sv=1"), 200, &page(&["in/one", "in/d/two &amp;"], "m"));
    web.answer(&format!("{list}&marker=m&sv=1"), 200, &page(&["in/three"], ""));
    web.answer("/c/in/one?sv=1", 200, "1");
    web.answer("/c/in/d/two%20%26?sv=1", 200, "2");
    web.answer("/c/in/three?sv=1", 200, "3");
    let container = ResourceFile {
        storage_container_url: Some(web.url("/c?sv=1")),
        blob_prefix: Some("in/".into()),
        file_path: Some("to".into()),
        ..ResourceFile::default()
    };
    let script = "cat to/in/one \"to/in/d/two &\" to/in/three";
    let task = TaskSpec { resource_files: vec![container], ..task("t", script, NonAdmin) };
    let id = rig.run(task).await;
    assert_eq!(rig.outcome(&id).await, Outcome::Exited { exit_code: 0 });
    assert_eq!(rig.file("workitems/job/job-1/t/stdout.txt").await, "123");
    rig.leave().await;
}

async fn fetches_a_common_file_once(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let web = Web::start().await;
    let version = |etag: &str, body: &str| Answer {
        status: 200,
        body: body.into(),
        headers: vec![("ETag", etag.to_owned())],
    };
    web.give("/common?sig=1", version("\"one\"", "common"));
    web.give("/common?sig=2", version("\"one\"", "common"));
    let spec = |id: &str, sig: u32| TaskSpec {
        resource_files: vec![file_at(web.url(&format!("/common?sig={sig}")), "f")],
        ..task(id, "cat f; echo more >> f; chmod 777 f", NonAdmin)
    };
    let mut runs = Vec::new();
    for number in 0..8 {
        runs.push(rig.run(spec(&format!("t{number}"), 1 + number % 2)).await);
    }
    for run in runs {
        assert_eq!(rig.outcome(&run).await, Outcome::Exited { exit_code: 0 });
        let printed = rig.file(&format!("workitems/job/job-1/{}/stdout.txt", run.task_id)).await;
        assert_eq!(printed, "common");
    }
    let asked = web.requests("GET", "/common");
    let whole = asked.iter().filter(|get| !get.headers.contains_key("if-none-match"));
    assert_eq!((asked.len(), whole.count()), (8, 1));
    // A newer version is fetched anew, and who may not read gets nothing of what is kept.
    web.give("/common?sig=3", version("\"two\"", "changed"));
    let newer = rig.run(spec("newer", 3)).await;
    assert_eq!(rig.outcome(&newer).await, Outcome::Exited { exit_code: 0 });
    assert_eq!(rig.file("workitems/job/job-1/newer/stdout.txt").await, "changed");
    web.answer("/common?sig=4", 403, "");
    let denied = rig.run(spec("denied", 4)).await;
    assert_eq!(failure_of(rig.outcome(&denied).await).code, "BlobAccessDenied");
    rig.leave().await;
}

async fn compares_what_it_fetches_with_its_checksum(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let web = Web::start().await;
    let md5_of_right = "fE8pQHiTwzSmy3qHvwRcDQ==";
    for (path, etag) in [("/kept", "\"1\""), ("/passing", "W/\"1\"")] {
        for body in ["wrong", "right"] {
            let headers = vec![("Content-MD5", md5_of_right.to_owned()), ("ETag", etag.to_owned())];
            web.give(path, Answer { status: 200, body: body.into(), headers });
        }
    }
    let files = vec![file_at(web.url("/kept"), "a"), file_at(web.url("/passing"), "b")];
    let id = rig.run(TaskSpec { resource_files: files, ..task("t", "cat a b", NonAdmin) }).await;
    assert_eq!(rig.outcome(&id).await, Outcome::Exited { exit_code: 0 });
    assert_eq!(rig.file("workitems/job/job-1/t/stdout.txt").await, "rightright");
    assert_eq!(web.requests("GET", "/").len(), 4);
    rig.leave().await;
}

async fn says_why_files_can_not_be_fetched(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let web = Web::start().await;
    web.answer("/forbidden", 403, "");
    web.answer("/odd", 418, "");
    web.answer("/file", 200, "x");
    let cases = [
        (web.url("/none?sig=hush"), "f", "BlobNotFound"),
        (web.url("/forbidden"), "f", "BlobAccessDenied"),
        (web.url("/odd"), "f", "BlobDownloadMiscError"),
        ("http://127.0.0.1:1/x".to_owned(), "f", "BlobDownloadMiscError"),
        ("nonsense".to_owned(), "f", "BlobDownloadMiscError"),
        (web.url("/file"), "../f", "ResourceFileCreateFailed"),
    ];
    for (index, (url, path, code)) in cases.into_iter().enumerate() {
        let files = vec![file_at(web.url("/file"), "a"), file_at(url, path)];
        let task = TaskSpec { resource_files: files, ..command(&format!("t{index}"), "true") };
        let id = rig.run(task).await;
        let failure = failure_of(rig.outcome(&id).await);
        assert_eq!(failure.code, code);
        assert!(!format!("{failure:?}").contains("hush"), "{failure:?}");
    }
    for (path, status, code) in [
        ("/none?sig=hush", 404, "ResourceContainerNotFound"),
        ("/closed?sig=hush", 403, "ResourceContainerAccessDenied"),
        ("/odd?sig=hush", 200, "ResourceContainerListMiscError"),
    ] {
        let listed = path.replace('?', "?restype=container&comp=list&");
        web.answer(&listed, status, "<no>");
        let container =
            ResourceFile { storage_container_url: Some(web.url(path)), ..ResourceFile::default() };
        let task = TaskSpec { resource_files: vec![container], ..command(code, "true") };
        let id = rig.run(task).await;
        let failure = failure_of(rig.outcome(&id).await);
        assert_eq!(failure.code, code);
        assert!(!format!("{failure:?}").contains("hush"), "{failure:?}");
    }
    let both = vec![file_at(web.url("/file"), "a"), file_at(web.url("/file"), "a/b")];
    let id = rig.run(TaskSpec { resource_files: both, ..command("dir", "true") }).await;
    let code = failure_of(rig.outcome(&id).await).code;
    assert!(code == "ResourceDirectoryCreateFailed" || code == "ResourceFileCreateFailed");
    rig.leave().await;
}
