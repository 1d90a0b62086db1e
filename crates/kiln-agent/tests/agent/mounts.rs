//! What becomes of a node whose mounts can not be had.

use kiln_domain::batch::mount::{BlobMount, NfsMount, Secret};
use kiln_wire::node::{self, Mount, Prepare, Report, ToAgent};

use crate::rig::web::Web;
use crate::rig::{Rig, preparation};

on_each_kind!(a_node_says_what_it_can_not_mount);

fn nfs() -> Mount {
    Mount::Nfs(NfsMount {
        source: "127.0.0.1:/export".to_owned(),
        mount_options: Some("-o soft".to_owned()),
        relative_mount_path: "deep/nfs".to_owned(),
    })
}

fn blob(url: String) -> Mount {
    let wanted = BlobMount {
        account_name: "acme".to_owned(),
        container_name: "c".to_owned(),
        account_key: None,
        sas_key: None,
        identity_reference: None,
        blobfuse_options: None,
        relative_mount_path: "data".to_owned(),
    };
    Mount::Blob(node::BlobMount { wanted, container_url: Some(Secret(url)) })
}

async fn a_node_says_what_it_can_not_mount(kind: &str) {
    let web = Web::start().await;
    let lost = web.url("/c?sig=hush");
    for (boot, mount, path, said) in
        [(1, nfs(), "deep/nfs", "127.0.0.1:/export"), (2, blob(lost), "data", "404")]
    {
        let mut rig = Rig::start(kind).await;
        let prepare = Prepare { mounts: vec![mount], ..preparation(boot) };
        rig.send(ToAgent::Prepare(Box::new(prepare))).await;
        let (message, code) = rig
            .wait("a boot that failed", |report| {
                let Report::BootFailed { message, code, .. } = report else { return None };
                Some((message.clone(), code.clone()))
            })
            .await;
        assert_eq!(code.as_deref(), Some("MountConfigurationFailed"));
        assert!(message.contains(&format!("fsmounts/{path}")), "{message}");
        assert!(message.contains(said) && !message.contains("hush"), "{message}");
        let log = rig.file(&format!("fsmounts/{}.log", path.replace('/', "-"))).await;
        assert!(log.contains("not mounted") && !log.contains("hush"), "{log}");
        rig.leave().await;
    }
}
