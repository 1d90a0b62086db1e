//! What the server asks of an agent and waits for: users of the node, logs.

use std::fs;

use kiln_domain::batch::command::ElevationLevel::{Admin, NonAdmin};
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use kiln_wire::node::{NodeAnswer, NodeRefusal, NodeRequest, NodeUser, Report, SecretUrl};

use crate::rig::web::Web;
use crate::rig::{Rig, is_root, now, until};

on_each_kind!(logs_are_uploaded_to_a_container);

const HASH: &str = "$6$rounds=10000$abcdefghijklmnop$0123456789";

fn user(name: &str) -> NodeUser {
    NodeUser {
        name: name.to_owned(),
        is_admin: false,
        password_hash: Some(HASH.to_owned()),
        ssh_public_key: Some("ssh-ed25519 AAAA ann".to_owned()),
        expires_at: now().plus(Span::days(1)),
    }
}

async fn add(rig: &mut Rig, user: NodeUser) -> Result<NodeAnswer, NodeRefusal> {
    rig.request(NodeRequest::AddUser { user }).await
}

/// What a script of the node's root user printed.
async fn asked(rig: &mut Rig, id: &str, script: &str) -> String {
    rig.script(id, Admin, script).await.1
}

#[tokio::test]
async fn a_user_of_a_node_is_a_real_one() {
    if !is_root() {
        return;
    }
    let mut rig = Rig::ready("namespaces").await;
    assert_eq!(add(&mut rig, user("Ann")).await, Ok(NodeAnswer::Done));
    let seen =
        asked(&mut rig, "a", "id -nu $(id -u Ann); grep ^Ann: /etc/shadow; ls -ld ~Ann").await;
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(lines[0], "Ann");
    assert!(lines[1].starts_with(&format!("Ann:{HASH}:")), "{seen}");
    assert!(lines[2].contains(" Ann Ann "), "{seen}");
    assert_eq!(
        asked(&mut rig, "b", "cat ~Ann/.ssh/authorized_keys").await,
        "ssh-ed25519 AAAA ann\n"
    );
    // Nobody else reads it, and the machine knows nothing of it.
    let (exit_code, _) = rig.script("c", NonAdmin, "cat /etc/shadow").await;
    assert_ne!(exit_code, 0);
    let (exit_code, _) = rig.script("d", NonAdmin, "cat ~Ann/.ssh/authorized_keys").await;
    assert_ne!(exit_code, 0);
    assert!(!fs::read_to_string("/etc/passwd").expect("a file").contains("Ann:"));
    assert_eq!(add(&mut rig, user("Ann")).await, Err(NodeRefusal::UserExists));
    assert_eq!(add(&mut rig, user("daemon")).await, Err(NodeRefusal::UserExists));
    rig.leave().await;
}

#[tokio::test]
async fn a_user_of_a_node_is_changed_and_removed() {
    if !is_root() {
        return;
    }
    let mut rig = Rig::ready("namespaces").await;
    let admin = NodeUser { is_admin: true, ..user("ann") };
    assert_eq!(add(&mut rig, admin).await, Ok(NodeAnswer::Done));
    let groups = "getent group sudo wheel | grep -c ann; id ann > /dev/null";
    assert_ne!(asked(&mut rig, "a", groups).await, "0\n");
    let changed = NodeUser { password_hash: None, ssh_public_key: None, ..user("ann") };
    let change = NodeRequest::ChangeUser { user: changed.clone() };
    assert_eq!(rig.request(change).await, Ok(NodeAnswer::Done));
    let seen = asked(&mut rig, "b", "grep ^ann: /etc/shadow; ls ~ann/.ssh").await;
    assert!(seen.starts_with("ann:*:") && !seen.contains("authorized_keys"), "{seen}");
    let other = NodeRequest::ChangeUser { user: NodeUser { name: "bob".to_owned(), ..changed } };
    assert_eq!(rig.request(other).await, Err(NodeRefusal::UserNotFound));
    // A reboot keeps users, and those who were there before are not ours to remove.
    rig.prepare(2, None, vec![]).await;
    rig.wait("booted", |it| matches!(it, Report::Booted { boot: 2, .. }).then_some(())).await;
    let remove = |name: &str| NodeRequest::RemoveUser { name: name.to_owned() };
    assert_eq!(rig.request(remove("daemon")).await, Err(NodeRefusal::UserNotFound));
    assert_eq!(rig.request(remove("ann")).await, Ok(NodeAnswer::Done));
    assert_eq!(rig.request(remove("ann")).await, Err(NodeRefusal::UserNotFound));
    let (exit_code, _) = rig.script("c", Admin, "id ann || ls -d /home/ann").await;
    assert_ne!(exit_code, 0);
    assert_eq!(add(&mut rig, user("ann")).await, Ok(NodeAnswer::Done));
    rig.leave().await;
}

#[tokio::test]
async fn a_user_of_a_node_goes_when_its_time_is_over() {
    if !is_root() {
        return;
    }
    let mut rig = Rig::ready("namespaces").await;
    let soon = NodeUser { expires_at: now().plus(Span::seconds(1)), ..user("ann") };
    assert_eq!(add(&mut rig, soon).await, Ok(NodeAnswer::Done));
    let list = std::path::Path::new(&rig.config.directory).join("users.json");
    until(|| fs::read_to_string(&list).is_ok_and(|it| it == "{}")).await;
    let (exit_code, _) = rig.script("a", Admin, "id ann").await;
    assert_ne!(exit_code, 0);
    rig.leave().await;
}

#[tokio::test]
async fn a_plain_node_has_no_users() {
    let mut rig = Rig::ready("plain").await;
    let refused = add(&mut rig, user("ann")).await;
    assert!(matches!(refused, Err(NodeRefusal::Unsupported { .. })), "{refused:?}");
    // It is not remembered either.
    let remove = NodeRequest::RemoveUser { name: "ann".to_owned() };
    assert_eq!(rig.request(remove).await, Err(NodeRefusal::UserNotFound));
    rig.leave().await;
}

async fn logs_are_uploaded_to_a_container(kind: &str) {
    let mut rig = Rig::ready(kind).await;
    let web = Web::start().await;
    web.open("/logs/");
    fs::write(format!("{}/agent.log", rig.config.directory), "what happened").expect("written");
    let upload = |from: Timestamp| NodeRequest::UploadLogs {
        container_url: SecretUrl(web.url("/logs?sig=hush")),
        directory: "acct/p/n/1".to_owned(),
        from,
        until: None,
    };
    let later = upload(now().plus(Span::minutes(5)));
    assert_eq!(rig.request(later).await, Ok(NodeAnswer::Uploading { n_files: 0 }));
    let all = upload(Timestamp(0));
    assert_eq!(rig.request(all).await, Ok(NodeAnswer::Uploading { n_files: 1 }));
    until(|| !web.requests("PUT", "/logs/").is_empty()).await;
    let put = web.requests("PUT", "/logs/").remove(0);
    assert_eq!(put.path, "/logs/acct/p/n/1/agent.log?sig=hush");
    assert_eq!(String::from_utf8_lossy(&put.body), "what happened");
    rig.leave().await;
}
