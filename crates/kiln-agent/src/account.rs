//! The users of a node, and who runs what.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use kiln_domain::batch::command::{AutoUser, AutoUserScope, ElevationLevel, UserIdentity};
use kiln_domain::batch::task::FailureInfo;

use crate::node_init::message::UserId;

/// Name of the user that runs the tasks of a pool.
const POOL_USER: &str = "_azbatch";
/// Name of the user that runs a start task with a user of its own.
const START_TASK_USER: &str = "_azbatchtask_start";
/// Name of the group of all users of the node: what the start task brought, tasks may read.
const GROUP: &str = "_azbatchgrp";
/// Users for tasks with a user of their own: as many as a node has task slots at the most.
const TASK_USERS: u32 = 256;
/// First user id that is considered for the node's users.
const FIRST_ORDINARY_UID: u32 = 1000;

/// How the users of a node appear on its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mapping {
    /// The node's user 0 is this user of the machine, and so on.
    From(u32),
    /// Users are the machine's: those of the node begin here, and its root is root.
    Ordinary(u32),
    /// There is one user, the agent's own.
    Single,
}

/// The users of a node.
#[derive(Clone, Debug)]
pub(crate) struct Accounts {
    mapping: Mapping,
    /// The node's id of [`POOL_USER`]; the others follow.
    pool_uid: u32,
}

/// Who runs a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// Its name.
    pub(crate) name: String,
    /// Value of `AZ_BATCH_TASK_USER_IDENTITY`.
    pub(crate) identity: &'static str,
    /// As the node sees it; `None` for the only user.
    pub(crate) id: Option<UserId>,
    /// As the machine sees it: the owner of its files.
    pub(crate) owner: Option<UserId>,
    /// Whether it keeps the rights of the node's root user.
    pub(crate) is_admin: bool,
}

impl Accounts {
    /// Users with ids that `passwd` and `group` do not use.
    pub(crate) fn new(mapping: Mapping, passwd: &str, group: &str) -> Self {
        let ids = |text: &str| -> Vec<u32> {
            text.lines().filter_map(|line| line.split(':').nth(2)?.parse().ok()).collect()
        };
        let used: BTreeSet<u32> = ids(passwd).into_iter().chain(ids(group)).collect();
        let mut pool_uid = FIRST_ORDINARY_UID;
        while let Some(taken) = used.range(pool_uid..=pool_uid + TASK_USERS + 2).next_back() {
            pool_uid = taken + 1;
        }
        Self { mapping, pool_uid }
    }

    /// The user that owns what no task owns.
    pub(crate) fn root(&self) -> Account {
        self.account("root".to_owned(), "PoolAdmin", 0, true)
    }

    fn account(&self, name: String, identity: &'static str, uid: u32, is_admin: bool) -> Account {
        let shared = self.shared_gid();
        let user = |uid, shared_gid| Some(UserId { uid, gid: uid, shared_gid });
        let (id, owner) = match self.mapping {
            Mapping::From(first) => (user(uid, shared), user(first + uid, first + shared)),
            Mapping::Ordinary(first) => {
                let uid = if uid == 0 { uid } else { first + uid };
                (user(uid, first + shared), user(uid, first + shared))
            }
            Mapping::Single => (None, None),
        };
        Account { name, identity, id, owner, is_admin }
    }

    /// The user for a task; `run` counts the tasks of the node, `None` for the start task.
    pub(crate) fn choose(
        &self,
        identity: Option<&UserIdentity>,
        run: Option<u64>,
    ) -> Result<Account, FailureInfo> {
        let pool_user =
            AutoUser { scope: AutoUserScope::Pool, elevation_level: ElevationLevel::NonAdmin };
        let auto_user = match identity {
            Some(UserIdentity { username: Some(name), .. }) => {
                let message = format!("The user account `{name}` does not exist on the node");
                return Err(FailureInfo::user_error("CommandLaunchFailed", &message));
            }
            Some(UserIdentity { username: None, auto_user }) => auto_user.unwrap_or(pool_user),
            None => pool_user,
        };
        let number = run.map(|run| u32::try_from(run % u64::from(TASK_USERS)).unwrap_or(0));
        Ok(match (auto_user.scope, auto_user.elevation_level) {
            (AutoUserScope::Pool, ElevationLevel::NonAdmin) => {
                self.account(POOL_USER.to_owned(), "PoolNonAdmin", self.pool_uid, false)
            }
            (AutoUserScope::Pool, ElevationLevel::Admin) => self.root(),
            (AutoUserScope::Task, ElevationLevel::NonAdmin) => {
                let uid = self.pool_uid + 1 + number.map_or(0, |number| number + 1);
                self.account(task_user(number), "TaskNonAdmin", uid, false)
            }
            (AutoUserScope::Task, ElevationLevel::Admin) => {
                self.account("root".to_owned(), "TaskAdmin", 0, true)
            }
        })
    }

    fn names(&self) -> impl Iterator<Item = (String, u32)> {
        let all = [POOL_USER.to_owned(), task_user(None)];
        let numbered = (0..TASK_USERS).map(|number| task_user(Some(number)));
        all.into_iter().chain(numbered).zip(self.pool_uid..)
    }

    /// The node's id of [`GROUP`]: behind those of the users.
    fn shared_gid(&self) -> u32 {
        self.pool_uid + TASK_USERS + 2
    }

    /// Lines for the node's `/etc/passwd`.
    pub(crate) fn passwd_lines(&self) -> String {
        let mut lines = String::new();
        for (name, uid) in self.names().filter(|_| self.mapping != Mapping::Single) {
            // Writing to a string does not fail.
            let _written = writeln!(lines, "{name}:x:{uid}:{uid}::/mnt/batch/tasks:/bin/bash");
        }
        lines
    }

    /// Lines for the node's `/etc/group`.
    pub(crate) fn group_lines(&self) -> String {
        let mut lines = String::new();
        let group = (GROUP.to_owned(), self.shared_gid());
        let groups = self.names().chain([group]);
        for (name, gid) in groups.filter(|_| self.mapping != Mapping::Single) {
            // Writing to a string does not fail.
            let _written = writeln!(lines, "{name}:x:{gid}:");
        }
        lines
    }
}

fn task_user(number: Option<u32>) -> String {
    number.map_or_else(|| START_TASK_USER.to_owned(), |number| format!("_azbatchtask_{number}"))
}

#[cfg(test)]
mod tests {
    use super::{Accounts, Mapping};
    use crate::node_init::message::UserId;
    use kiln_domain::batch::command::{AutoUser, AutoUserScope, ElevationLevel, UserIdentity};

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/:/bin/sh\n";

    fn identity(scope: AutoUserScope, elevation_level: ElevationLevel) -> UserIdentity {
        UserIdentity { username: None, auto_user: Some(AutoUser { scope, elevation_level }) }
    }

    #[track_caller]
    fn check(mapping: Mapping, user: Option<UserIdentity>, run: Option<u64>, expected: &str) {
        let accounts = Accounts::new(mapping, PASSWD, "users:x:1002:\n");
        let account = accounts.choose(user.as_ref(), run).expect("an account");
        let uid = |id: Option<UserId>| id.map_or_else(|| "-".to_owned(), |id| id.uid.to_string());
        let shown = format!(
            "{} {} {} {}",
            account.name,
            account.identity,
            uid(account.id),
            uid(account.owner)
        );
        assert_eq!(shown, expected);
    }

    #[test]
    fn who_runs_what() {
        use {AutoUserScope as S, ElevationLevel as E};
        let mapped = Mapping::From(100_000);
        check(mapped, None, Some(1), "_azbatch PoolNonAdmin 1003 101003");
        let user = identity(S::Pool, E::Admin);
        check(mapped, Some(user.clone()), Some(1), "root PoolAdmin 0 100000");
        check(Mapping::Single, Some(user.clone()), Some(1), "root PoolAdmin - -");
        check(Mapping::Ordinary(200_000), Some(user), Some(1), "root PoolAdmin 0 0");
        check(Mapping::Ordinary(200_000), None, None, "_azbatch PoolNonAdmin 201003 201003");
        let user = identity(S::Task, E::NonAdmin);
        check(mapped, Some(user.clone()), None, "_azbatchtask_start TaskNonAdmin 1004 101004");
        check(mapped, Some(user), Some(257), "_azbatchtask_1 TaskNonAdmin 1006 101006");
    }

    #[test]
    fn a_user_is_listed_with_its_own_id() {
        let accounts = Accounts::new(Mapping::From(100_000), PASSWD, "");
        let lines = accounts.passwd_lines();
        assert!(lines.contains("_azbatch:x:1001:1001:"), "{lines}");
        assert!(lines.contains("_azbatchtask_start:x:1002:1002:"), "{lines}");
        assert!(lines.contains("_azbatchtask_1:x:1004:1004:"), "{lines}");
    }

    #[test]
    fn a_named_user_must_exist() {
        let accounts = Accounts::new(Mapping::Single, PASSWD, "");
        let user = UserIdentity { username: Some("bob".to_owned()), auto_user: None };
        assert!(accounts.choose(Some(&user), None).is_err());
    }
}
