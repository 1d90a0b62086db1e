//! How certificates come to commands.

use kiln_domain::batch::certificate::{CertificateFormat, CertificateReference};
use kiln_domain::batch::command::{AutoUser, AutoUserScope, ElevationLevel, UserIdentity};
use kiln_domain::batch::task::TaskSpec;
use kiln_wire::node::{CertificateContent, NodeCertificate, Prepare, Report, ToAgent};

use crate::rig::{Rig, is_root, preparation, start_task, task};
use ElevationLevel::NonAdmin;

on_each_kind!(
    commands_find_the_certificates_they_may_see,
    a_node_without_its_certificates_does_not_boot,
);

fn certificate(thumbprint: &str, visibility: &[&str], password: Option<&str>) -> NodeCertificate {
    let (format, data) = match password {
        Some(_) => (CertificateFormat::Pfx, "cGZ4"),
        None => (CertificateFormat::Cer, "Y2Vy"),
    };
    let password = password.map(str::to_owned);
    let reference = CertificateReference {
        thumbprint: thumbprint.to_owned(),
        thumbprint_algorithm: "SHA1".to_owned(),
        store_location: None,
        store_name: None,
        visibility: visibility.iter().map(|&it| it.to_owned()).collect(),
    };
    let content = CertificateContent { format, data: data.to_owned(), password };
    NodeCertificate { reference, content: Some(content) }
}

/// Prints the name, content and permission bits of each certificate.
const LIST: &str = "cd $AZ_BATCH_CERTIFICATES_DIR; stat -c %a .; \
                    for it in *; do echo $it $(cat $it) $(stat -c %a $it); done";

async fn commands_find_the_certificates_they_may_see(kind: &str) {
    let mut rig = Rig::start(kind).await;
    let prepare = Prepare {
        start_task: Some(start_task(LIST, NonAdmin, 0)),
        certificates: vec![
            certificate("AA", &[], Some("hush")),
            certificate("bb", &["startTask"], None),
            certificate("cc", &["task", "remoteuser"], None),
        ],
        ..preparation(1)
    };
    assert!(!format!("{prepare:?}").contains("hush"), "passwords are not printed");
    rig.send(ToAgent::Prepare(Box::new(prepare))).await;
    assert_eq!(rig.start_task().await.exit_code, Some(0));
    let closed = "700\nsha1-aa.pfx pfx 600\nsha1-aa.pfx.pw hush 600\n";
    let printed = rig.file("startup/stdout.txt").await;
    assert_eq!(printed, format!("{closed}sha1-bb.cer cer 600\n"));
    let printed = rig.script("t", NonAdmin, LIST).await;
    assert_eq!(printed, (0, format!("{closed}sha1-cc.cer cer 600\n")));
    let look = "cat $AZ_BATCH_NODE_STARTUP_DIR/certs/sha1-aa.pfx.pw || echo nothing";
    let auto_user = AutoUser { scope: AutoUserScope::Task, elevation_level: NonAdmin };
    let user_identity = Some(UserIdentity { username: None, auto_user: Some(auto_user) });
    let other = rig.run(TaskSpec { user_identity, ..task("other", look, NonAdmin) }).await;
    rig.outcome(&other).await;
    let printed = rig.file("workitems/job/job-1/other/stdout.txt").await;
    // Other users of the node see none; nodes of an ordinary user have one user only.
    assert_eq!(printed, if is_root() { "nothing\n" } else { "hush" });
    rig.leave().await;
}

async fn a_node_without_its_certificates_does_not_boot(kind: &str) {
    let mut rig = Rig::start(kind).await;
    let missing = NodeCertificate { content: None, ..certificate("aa", &[], None) };
    let prepare = Prepare { certificates: vec![missing], ..preparation(1) };
    rig.send(ToAgent::Prepare(Box::new(prepare))).await;
    let code = rig
        .wait("a failed boot", |report| {
            if let Report::BootFailed { code, .. } = report { Some(code.clone()) } else { None }
        })
        .await;
    assert_eq!(code.as_deref(), Some("CertificateNotFound"));
    rig.leave().await;
}
