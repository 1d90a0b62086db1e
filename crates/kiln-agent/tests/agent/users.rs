//! Who runs tasks.

use std::fs;

use kiln_domain::batch::command::{ElevationLevel, UserIdentity};
use kiln_domain::batch::task::TaskSpec;
use kiln_domain::batch::user::{LinuxUser, UserAccount};
use kiln_wire::node::{Outcome, Report};

use crate::rig::{Rig, command, failure_of, is_root, setting, task};
use ElevationLevel::{Admin, NonAdmin};

on_each_kind!(
    runs_tasks_as_users_that_the_pool_names,
    a_user_that_the_pool_does_not_name_runs_nothing,
    new_users_of_the_pool_are_there_after_a_reboot,
    no_link_of_the_node_leads_the_agent_out,
);

fn user(name: &str, elevation_level: ElevationLevel, ids: Option<(u32, u32)>) -> UserAccount {
    let linux = ids.map(|(uid, gid)| LinuxUser { uid: Some(uid), gid: Some(gid) });
    UserAccount { name: name.to_owned(), elevation_level, linux_user_configuration: linux }
}

async fn rig_with(kind: &str, users: Vec<UserAccount>) -> Rig {
    let mut rig = Rig::start(kind).await;
    rig.users = users;
    rig.prepare(1, None, vec![setting("PATH", "/usr/bin:/bin")]).await;
    rig.wait("booted", |report| matches!(report, Report::Booted { boot: 1, .. }).then_some(()))
        .await;
    rig
}

/// Runs a script as a user that the pool names; answers what it printed.
async fn run_as(rig: &mut Rig, id: &str, name: &str, script: &str) -> String {
    let identity = UserIdentity { username: Some(name.to_owned()), auto_user: None };
    let spec = TaskSpec { user_identity: Some(identity), ..task(id, script, NonAdmin) };
    let attempt = rig.run(spec).await;
    assert_eq!(rig.outcome(&attempt).await, Outcome::Exited { exit_code: 0 });
    rig.file(&format!("workitems/job/job-1/{id}/stdout.txt")).await
}

async fn runs_tasks_as_users_that_the_pool_names(kind: &str) {
    let users = vec![user("kilnann", NonAdmin, None), user("kilnbob", Admin, Some((4500, 4600)))];
    let mut rig = rig_with(kind, users).await;
    let variables = "echo $AZ_BATCH_TASK_USER $AZ_BATCH_TASK_USER_IDENTITY $USER";
    let printed = run_as(&mut rig, "ann", "kilnann", variables).await;
    assert_eq!(printed, "kilnann kilnann kilnann\n");
    if !is_root() {
        return rig.leave().await;
    }
    let ids = "id -u; id -g; echo mine > file; stat -c %u:%g file";
    let printed = run_as(&mut rig, "bob", "kilnbob", ids).await;
    if kind == "plain" {
        // Nobody can become root there, so that who may is.
        assert_eq!(printed, "0\n0\n0:0\n");
        return rig.leave().await;
    }
    assert_eq!(printed, "4500\n4600\n4500:4600\n");
    let names = "whoami; id -gn; echo ~; cd ~kilnann; pwd; touch x; ls";
    let printed = run_as(&mut rig, "names", "kilnann", names).await;
    assert!(printed.starts_with("kilnann\nkilnann\n"), "{printed}");
    assert!(printed.ends_with("/home/kilnann\nx\n"), "{printed}");
    let closed = "cat ~kilnann/x /etc/sudoers.d/kiln /etc/shadow; ls ~kilnann";
    let printed = run_as(&mut rig, "closed", "kilnbob", &format!("{closed} || true")).await;
    assert_eq!(printed, "");
    let (_, printed) =
        rig.script("admin", Admin, "cat /etc/sudoers.d/kiln; su kilnbob -c whoami").await;
    assert_eq!(printed, "kilnbob ALL=(ALL:ALL) NOPASSWD: ALL\nkilnbob\n");
    // The machine has none of them.
    let machines = fs::read_to_string("/etc/passwd").expect("there");
    assert!(!machines.contains("kilnann") && !fs::exists("/home/kilnann").expect("readable"));
    rig.leave().await;
}

async fn a_user_that_the_pool_does_not_name_runs_nothing(kind: &str) {
    let mut rig = rig_with(kind, vec![user("kilnann", NonAdmin, None)]).await;
    let identity = UserIdentity { username: Some("root".to_owned()), auto_user: None };
    let spec = TaskSpec { user_identity: Some(identity), ..command("t", "true") };
    let attempt = rig.run(spec).await;
    assert_eq!(failure_of(rig.outcome(&attempt).await).code, "CommandLaunchFailed");
    rig.leave().await;
}

async fn new_users_of_the_pool_are_there_after_a_reboot(kind: &str) {
    let mut rig = rig_with(kind, vec![user("kilnann", NonAdmin, None)]).await;
    if kind == "namespaces" {
        let (exit_code, _) =
            rig.script("own", Admin, "echo own:x:4000:4000::/:/bin/sh >> /etc/passwd").await;
        assert_eq!(exit_code, 0, "the list is the node's own");
    }
    rig.users.push(user("kilncleo", NonAdmin, None));
    rig.prepare(2, None, vec![]).await;
    rig.wait("booted", |report| matches!(report, Report::Booted { boot: 2, .. }).then_some(()))
        .await;
    let printed = run_as(&mut rig, "cleo", "kilncleo", "echo $AZ_BATCH_TASK_USER").await;
    assert_eq!(printed, "kilncleo\n");
    // The others are users by name only.
    let has_list = kind == "namespaces" && is_root();
    let script = "whoami 2> /dev/null | grep kiln || true";
    let printed = run_as(&mut rig, "name", "kilncleo", script).await;
    assert_eq!(printed, if has_list { "kilncleo\n" } else { "" });
    let (_, printed) =
        rig.script("list", NonAdmin, "grep -c -e kilnann -e ^own: /etc/passwd").await;
    let n_listed = match (kind, is_root()) {
        ("namespaces", true) => "2\n",
        ("namespaces", false) => "1\n",
        _ => "0\n",
    };
    assert_eq!(printed, n_listed);
    rig.leave().await;
}

async fn no_link_of_the_node_leads_the_agent_out(kind: &str) {
    let mut rig = rig_with(kind, vec![user("kilnann", NonAdmin, None)]).await;
    let trap = rig.base.path().join("trap");
    fs::write(&trap, "untouched").expect("written");
    fs::create_dir(rig.base.path().join("folder")).expect("made");
    let base = rig.base.path().display();
    let machines = || fs::read_to_string("/etc/passwd").expect("there");
    let before = machines();
    if kind == "namespaces" && is_root() {
        let script = format!(
            "rm /etc/passwd; ln -s {base}/trap /etc/passwd; rmdir /home/kilnann; \
             ln -s {base}/folder /home/kilnbob; rm -rf /etc/sudoers.d; ln -s {base}/folder /etc/sudoers.d"
        );
        let (exit_code, printed) = rig.script("t", Admin, &script).await;
        assert_eq!(exit_code, 0, "{printed}");
    }
    rig.users.push(user("kilnbob", Admin, None));
    rig.prepare(2, None, vec![]).await;
    rig.wait("an end of the boot", |report| {
        let is_booted = matches!(report, Report::Booted { boot: 2, .. });
        (is_booted || matches!(report, Report::BootFailed { boot: 2, .. })).then_some(())
    })
    .await;
    assert_eq!(fs::read_to_string(&trap).expect("there"), "untouched");
    let folder = fs::metadata(rig.base.path().join("folder")).expect("there");
    let own = rustix::process::geteuid().as_raw();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&folder), own);
    assert_eq!(fs::read_dir(rig.base.path().join("folder")).expect("there").count(), 0);
    // Other kinds of nodes have no such files of their own: the machine's are not touched.
    assert_eq!(machines(), before);
    assert!(!fs::exists("/home/kilnbob").expect("readable"));
    rig.leave().await;
}
