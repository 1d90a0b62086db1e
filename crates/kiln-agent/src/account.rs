//! The users of a node, and who runs what.

use std::collections::BTreeSet;

use kiln_domain::batch::command::{AutoUser, AutoUserScope, ElevationLevel, UserIdentity};
use kiln_domain::batch::task::FailureInfo;
use kiln_domain::batch::user::UserAccount;

use crate::isolate::SetupError;
use crate::node_init::message::{Rights, UserId};

/// Name of the user that runs the tasks of a pool.
const POOL_USER: &str = "_azbatch";
/// Name of the user that runs a start task with a user of its own.
const START_TASK_USER: &str = "_azbatchtask_start";
/// Name of the group of all users of the node: what the start task brought, tasks may read.
const GROUP: &str = "_azbatchgrp";
/// Users for tasks with a user of their own: as many as a node has task slots at the most.
const TASK_USERS: u32 = 256;
/// Ids that the users of a node with users of its own may have.
const UIDS: u32 = 65_536;
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
    /// Users that the pool names.
    named: Vec<Named>,
}

/// A user that the pool names.
#[derive(Clone, Debug)]
struct Named {
    name: String,
    uid: u32,
    gid: u32,
    is_admin: bool,
    /// Whether the machine has a user of this name.
    is_known: bool,
}

/// Who runs a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// Its name.
    pub(crate) name: String,
    /// Value of `AZ_BATCH_TASK_USER_IDENTITY`.
    pub(crate) identity: String,
    /// As the node sees it; `None` for the only user.
    pub(crate) id: Option<UserId>,
    /// As the machine sees it: the owner of its files.
    pub(crate) owner: Option<UserId>,
    /// Whether it keeps the rights of the node's root user.
    pub(crate) is_admin: bool,
}

impl Account {
    /// What its processes may do on the node.
    pub(crate) fn rights(&self) -> Rights {
        if self.is_admin { Rights::Admin } else { Rights::User }
    }
}

impl Accounts {
    /// Users with ids that `passwd` and `group` do not use, and those that the pool names.
    pub(crate) fn new(
        mapping: Mapping,
        passwd: &str,
        group: &str,
        users: &[UserAccount],
    ) -> Result<Self, SetupError> {
        let ids = |text: &str| -> Vec<u32> {
            text.lines().filter_map(|line| line.split(':').nth(2)?.parse().ok()).collect()
        };
        let mut used: BTreeSet<u32> = ids(passwd).into_iter().chain(ids(group)).collect();
        let wished = users.iter().filter_map(|user| user.linux_user_configuration);
        used.extend(wished.flat_map(|linux| [linux.uid, linux.gid]).flatten());
        let mut pool_uid = FIRST_ORDINARY_UID;
        while let Some(taken) = used.range(pool_uid..=pool_uid + TASK_USERS + 2).next_back() {
            pool_uid = taken + 1;
        }
        let mut accounts = Self { mapping, pool_uid, named: Vec::new() };
        used.insert(accounts.shared_gid());
        for user in users {
            let named = accounts.named(user, passwd, &mut used)?;
            accounts.named.push(named);
        }
        Ok(accounts)
    }

    /// A user that the pool names: with the ids it wishes, else those that the machine's user of
    /// this name has, else some that nobody has.
    fn named(
        &self,
        user: &UserAccount,
        passwd: &str,
        used: &mut BTreeSet<u32>,
    ) -> Result<Named, SetupError> {
        let known = passwd.lines().find_map(|line| {
            let mut members = line.split(':');
            let is_this = members.next() == Some(&user.name);
            let mut number = || members.next()?.parse::<u32>().ok();
            let _password = number();
            is_this.then(|| number().zip(number())).flatten()
        });
        let linux = user.linux_user_configuration.unwrap_or_default();
        let mut free = || {
            let mut free = self.shared_gid();
            while !used.insert(free) {
                free += 1;
            }
            (free, free)
        };
        let (uid, gid) = linux.uid.zip(linux.gid).or(known).unwrap_or_else(&mut free);
        if matches!(self.mapping, Mapping::From(_)) && uid.max(gid) >= UIDS {
            let cause = std::io::Error::from(std::io::ErrorKind::InvalidInput);
            let what = format!("make the user `{}`: a node has ids below {UIDS}", user.name);
            return Err(SetupError::new(what, cause));
        }
        let is_admin = user.elevation_level == ElevationLevel::Admin;
        Ok(Named { name: user.name.clone(), uid, gid, is_admin, is_known: known.is_some() })
    }

    /// The user that owns what no task owns.
    pub(crate) fn root(&self) -> Account {
        self.account("root".to_owned(), "PoolAdmin", 0, true)
    }

    fn account(&self, name: String, identity: &str, uid: u32, is_admin: bool) -> Account {
        let (id, owner) = self.ids(uid, uid);
        Account { name, identity: identity.to_owned(), id, owner, is_admin }
    }

    /// A user as the node and as the machine see it.
    fn ids(&self, uid: u32, gid: u32) -> (Option<UserId>, Option<UserId>) {
        let shared_gid = self.shared_gid();
        let user = |uid, gid, shared_gid| Some(UserId { uid, gid, shared_gid });
        match self.mapping {
            Mapping::From(first) => {
                (user(uid, gid, shared_gid), user(first + uid, first + gid, first + shared_gid))
            }
            Mapping::Ordinary(first) => {
                let there = |id| if id == 0 { id } else { first + id };
                let user = user(there(uid), there(gid), first + shared_gid);
                (user, user)
            }
            Mapping::Single => (None, None),
        }
    }

    fn choose_named(&self, name: &str) -> Result<Account, FailureInfo> {
        let Some(named) = self.named.iter().find(|named| named.name == name) else {
            let message = format!("The user account `{name}` does not exist on the node");
            return Err(FailureInfo::user_error("CommandLaunchFailed", &message));
        };
        let Named { name, uid, gid, is_admin, .. } = named.clone();
        // On a node with a view it may become root; elsewhere it must be.
        let (uid, gid) = match self.mapping {
            Mapping::Ordinary(_) if is_admin => (0, 0),
            Mapping::From(_) | Mapping::Ordinary(_) | Mapping::Single => (uid, gid),
        };
        let (id, owner) = self.ids(uid, gid);
        Ok(Account { identity: name.clone(), name, id, owner, is_admin })
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
            Some(UserIdentity { username: Some(name), .. }) => return self.choose_named(name),
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

    /// Which run of the node it was that a user with this id of the machine ran, if it is one
    /// that runs a task of its own; counted as for [`Accounts::choose`].
    pub(crate) fn run_of(&self, uid: u32) -> Option<u64> {
        let first = self.ids(self.pool_uid + 2, 0).1?.uid;
        let number = uid.checked_sub(first)?;
        (number < TASK_USERS).then(|| u64::from(number))
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
    pub(crate) fn passwd_lines(&self) -> Vec<String> {
        if self.mapping == Mapping::Single {
            return Vec::new();
        }
        let own = self
            .names()
            .map(|(name, uid)| format!("{name}:x:{uid}:{uid}::/mnt/batch/tasks:/bin/bash"));
        // A password that nobody has, in place of one in a file that they would be missing from.
        let named = self.new_users().map(|Named { name, uid, gid, .. }| {
            format!("{name}:*:{uid}:{gid}::/home/{name}:/bin/bash")
        });
        own.chain(named).collect()
    }

    /// Lines for the node's `/etc/group`.
    pub(crate) fn group_lines(&self) -> Vec<String> {
        if self.mapping == Mapping::Single {
            return Vec::new();
        }
        let own = self.names().chain([(GROUP.to_owned(), self.shared_gid())]);
        let named = self.new_users().map(|Named { name, gid, .. }| (name.clone(), *gid));
        own.chain(named).map(|(name, gid)| format!("{name}:x:{gid}:")).collect()
    }

    /// What lets users become root, in the language of `sudo`; empty if none may.
    pub(crate) fn sudoers(&self) -> String {
        let admins = self.named.iter().filter(|named| named.is_admin);
        let line = |named: &Named| format!("{} ALL=(ALL:ALL) NOPASSWD: ALL\n", named.name);
        if self.mapping == Mapping::Single { String::new() } else { admins.map(line).collect() }
    }

    /// Names, user and group ids of those who get a home.
    pub(crate) fn homes(&self) -> impl Iterator<Item = (&str, u32, u32)> {
        let is_apart = self.mapping != Mapping::Single;
        let named = self.new_users().filter(move |_| is_apart);
        named.map(|Named { name, uid, gid, .. }| (name.as_str(), *uid, *gid))
    }

    /// Users that the pool names and the machine does not have.
    fn new_users(&self) -> impl Iterator<Item = &Named> {
        self.named.iter().filter(|named| !named.is_known)
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
    use kiln_domain::batch::user::{LinuxUser, UserAccount};

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/:/bin/sh\n";

    fn identity(scope: AutoUserScope, elevation_level: ElevationLevel) -> UserIdentity {
        UserIdentity { username: None, auto_user: Some(AutoUser { scope, elevation_level }) }
    }

    #[track_caller]
    fn check(mapping: Mapping, user: Option<UserIdentity>, run: Option<u64>, expected: &str) {
        let accounts = Accounts::new(mapping, PASSWD, "users:x:1002:\n", &[]).expect("made");
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
        let accounts = Accounts::new(Mapping::From(100_000), PASSWD, "", &[]).expect("made");
        let lines = accounts.passwd_lines().join("\n");
        assert!(lines.contains("_azbatch:x:1001:1001:"), "{lines}");
        assert!(lines.contains("_azbatchtask_start:x:1002:1002:"), "{lines}");
        assert!(lines.contains("_azbatchtask_1:x:1004:1004:"), "{lines}");
    }

    fn named(name: &str, elevation_level: ElevationLevel, ids: Option<(u32, u32)>) -> UserAccount {
        let linux = ids.map(|(uid, gid)| LinuxUser { uid: Some(uid), gid: Some(gid) });
        UserAccount { name: name.to_owned(), elevation_level, linux_user_configuration: linux }
    }

    #[track_caller]
    fn check_named(mapping: Mapping, name: &str, expected: &str) {
        use ElevationLevel as E;
        let users = [
            named("ann", E::NonAdmin, None),
            named("bob", E::Admin, Some((1500, 1600))),
            named("cleo", E::NonAdmin, None),
            named("me", E::NonAdmin, None),
        ];
        let accounts = Accounts::new(mapping, PASSWD, "", &users).expect("made");
        let user = UserIdentity { username: Some(name.to_owned()), auto_user: None };
        let said = accounts.choose(Some(&user), None).map_or_else(
            |failure| failure.code,
            |account| {
                let ids = |id: Option<UserId>| {
                    id.map_or_else(|| "-".to_owned(), |id| format!("{}:{}", id.uid, id.gid))
                };
                let identity = &account.identity;
                format!("{} {identity} {} {}", account.name, ids(account.id), ids(account.owner))
            },
        );
        assert_eq!(said, expected);
    }

    #[test]
    fn a_named_user_has_the_ids_it_wishes() {
        let mapped = Mapping::From(100_000);
        check_named(mapped, "ann", "ann ann 1260:1260 101260:101260");
        check_named(mapped, "bob", "bob bob 1500:1600 101500:101600");
        check_named(mapped, "cleo", "cleo cleo 1261:1261 101261:101261");
        check_named(mapped, "me", "me me 1000:1000 101000:101000");
        check_named(Mapping::Single, "ann", "ann ann - -");
        check_named(Mapping::Ordinary(200_000), "ann", "ann ann 201260:201260 201260:201260");
        check_named(Mapping::Ordinary(200_000), "bob", "bob bob 0:0 0:0");
    }

    #[test]
    fn a_named_user_must_exist() {
        check_named(Mapping::From(100_000), "dora", "CommandLaunchFailed");
        check_named(Mapping::Single, "dora", "CommandLaunchFailed");
    }

    #[test]
    fn an_id_that_the_node_does_not_have_is_refused() {
        let users = [named("far", ElevationLevel::NonAdmin, Some((70_000, 70_000)))];
        assert!(Accounts::new(Mapping::From(100_000), PASSWD, "", &users).is_err());
        assert!(Accounts::new(Mapping::Ordinary(200_000), PASSWD, "", &users).is_ok());
    }

    #[test]
    fn admins_may_become_root() {
        let users = [
            named("ann", ElevationLevel::NonAdmin, None),
            named("bob", ElevationLevel::Admin, None),
        ];
        let accounts = Accounts::new(Mapping::From(100_000), PASSWD, "", &users).expect("made");
        assert_eq!(accounts.sudoers(), "bob ALL=(ALL:ALL) NOPASSWD: ALL\n");
    }
}
