//! How packages of applications come to a node.

use std::io::Write as _;

use kiln_domain::batch::application::PackageReference;
use kiln_domain::batch::command::ElevationLevel;
use kiln_wire::node::{Outcome, Package, PackageSource, Prepare, Report, ToAgent};

use crate::rig::web::{Answer, Web};
use crate::rig::{Rig, failure_of, preparation, start_task, task};
use ElevationLevel::NonAdmin;

on_each_kind!(
    brings_packages_of_a_task_once,
    brings_packages_of_the_pool_before_the_start_task,
    says_why_a_package_can_not_be_brought,
    a_node_without_its_packages_does_not_boot,
);

/// A zip file with one program.
fn zip_with(name: &str, content: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file(name, zip::write::SimpleFileOptions::default()).expect("a member");
    zip.write_all(content.as_bytes()).expect("written");
    zip.finish().expect("a zip file").into_inner()
}

fn give(web: &Web, path: &str, body: Vec<u8>) {
    web.give(path, Answer { status: 200, body, ..Answer::default() });
}

fn package(version: Option<&str>, url: Option<String>) -> Package {
    let reference = PackageReference {
        application_id: "my-tool".to_owned(),
        version: version.map(str::to_owned),
    };
    let directory = "my-tool1.02030-01-01-00-00".to_owned();
    Package { reference, source: url.map(|url| PackageSource { directory, url }) }
}

async fn brings_packages_of_a_task_once(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let web = Web::start().await;
    give(&web, "/tool.zip?sig=x", zip_with("bin/tool", "#!/bin/sh\necho a tool"));
    let script = "\"$AZ_BATCH_APP_PACKAGE_my_tool_1_0/bin/tool\"; \
                  echo $AZ_BATCH_APP_PACKAGE_MY_TOOL_1_0";
    let mut runs = Vec::new();
    for id in ["one", "two", "three"] {
        let packages = vec![package(Some("1.0"), Some(web.url("/tool.zip?sig=x")))];
        runs.push(rig.run_with(task(id, script, NonAdmin), 1, packages).await);
    }
    for run in runs {
        assert_eq!(rig.outcome(&run).await, Outcome::Exited { exit_code: 0 });
        let path = format!("workitems/job/job-1/{}/stdout.txt", run.task_id);
        let printed = rig.file(&path).await;
        assert!(printed.starts_with("a tool\n"), "{printed}");
        assert!(printed.trim_end().ends_with("/applications/my-tool1.02030-01-01-00-00"));
    }
    assert_eq!(web.requests("GET", "/tool.zip").len(), 1, "shared by all");
    let listed = rig.script("none", NonAdmin, "ls $AZ_BATCH_NODE_ROOT_DIR/volatile/packages").await;
    assert_eq!(listed.1, "", "nothing half done is left");
    rig.leave().await;
}

async fn brings_packages_of_the_pool_before_the_start_task(kind: &str) {
    let mut rig = Rig::start(kind).await;
    let web = Web::start().await;
    give(&web, "/tool.zip", zip_with("tool", "#!/bin/sh\necho ready"));
    let prepare = |boot: u32| Prepare {
        start_task: Some(start_task("$AZ_BATCH_APP_PACKAGE_my_tool/tool", NonAdmin, 0)),
        packages: vec![package(None, Some(web.url("/tool.zip")))],
        ..preparation(boot)
    };
    rig.send(ToAgent::Prepare(Box::new(prepare(1)))).await;
    let info = rig.start_task().await;
    assert_eq!(info.exit_code, Some(0), "{info:?}");
    assert_eq!(rig.file("startup/stdout.txt").await, "ready\n");
    // A task of the pool finds it too, and a reboot brings nothing again.
    let found = rig.script("t", NonAdmin, "$AZ_BATCH_APP_PACKAGE_my_tool/tool").await;
    assert_eq!(found, (0, "ready\n".to_owned()));
    let seen = rig.reports.len();
    rig.send(ToAgent::Prepare(Box::new(prepare(2)))).await;
    rig.wait_after(seen, "booted again", |report| {
        matches!(report, Report::Booted { boot: 2, .. }).then_some(())
    })
    .await;
    assert_eq!(web.requests("GET", "/tool.zip").len(), 1);
    rig.leave().await;
}

async fn says_why_a_package_can_not_be_brought(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let web = Web::start().await;
    give(&web, "/broken.zip?sig=secret", b"no zip file".to_vec());
    give(&web, "/evil.zip?sig=secret", zip_with("../../out", "x"));
    for (url, expected) in [
        (None, "my-tool 1.0"),
        (Some("/none.zip?sig=secret"), "404"),
        (Some("/broken.zip?sig=secret"), "my-tool 1.0: "),
        (Some("/evil.zip?sig=secret"), "leads out of it"),
    ] {
        let packages = vec![package(Some("1.0"), url.map(|url| web.url(url)))];
        let id = format!("t{}", rig.reports.len());
        let run = rig.run_with(task(&id, "true", NonAdmin), 1, packages).await;
        let failure = failure_of(rig.outcome(&run).await);
        assert_eq!(failure.code, "ApplicationPackageError");
        let detail = &failure.details[0].value;
        assert!(detail.contains(expected) && !detail.contains("secret"), "{detail}");
    }
    rig.leave().await;
}

async fn a_node_without_its_packages_does_not_boot(kind: &str) {
    let mut rig = Rig::start(kind).await;
    let web = Web::start().await;
    let packages = vec![package(None, Some(web.url("/none.zip")))];
    rig.send(ToAgent::Prepare(Box::new(Prepare { packages, ..preparation(1) }))).await;
    let (code, details) = rig
        .wait("a failed boot", |report| {
            let Report::BootFailed { boot: 1, code, details, .. } = report else { return None };
            Some((code.clone(), details.clone()))
        })
        .await;
    assert_eq!(code.as_deref(), Some("ApplicationPackageError"));
    assert!(details[0].value.contains("404"), "{details:?}");
    rig.leave().await;
}
