//! Users that clients made on the node for logging in to it.
//!
//! They are real ones, made and removed by the tools that the node has for that. What those
//! need to know comes in variables of a process of the node's root user, where nobody else
//! can read it. A file beside the node tells the next agent which users were made so.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kiln_domain::time::Timestamp;
use kiln_wire::node::{NodeRefusal, NodeUser};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::node::Node;
use crate::node_init::message::{Rights, SetupKind};
use crate::tool::{self, Ended, Tool};

/// Name of the file in the node's directory that lists the users.
const FILE: &str = "users.json";
/// Seconds after which the tools are given up.
const TOOLS_SECONDS_MAX: u64 = 20;
/// Exit code that says that somebody of this name is there.
const EXISTS: i32 = 64;
/// A password that nothing matches.
const NO_PASSWORD: &str = "*";

/// What all scripts begin with.
const PRELUDE: &str = "set -eu; exec 2>&1; PATH=/usr/sbin:/usr/bin:/sbin:/bin\n";
/// Ends when there is somebody of this name.
const REFUSE_OTHERS: &str = "if id \"$KILN_USER\"; then exit 64; fi\n";
/// Gives the node the user, with this password and key and no others.
const SET: &str = r#"
if ! id "$KILN_USER"; then
    useradd -m -s /bin/bash "$KILN_USER" || useradd --badname -m -s /bin/bash "$KILN_USER"
fi
printf '%s:%s\n' "$KILN_USER" "$KILN_HASH" | chpasswd -e
home=$(getent passwd "$KILN_USER" | cut -d: -f6)
rm -f "$home/.ssh/authorized_keys"
if [ -n "$KILN_KEY" ]; then
    mkdir -p -m 700 "$home/.ssh"
    printf '%s\n' "$KILN_KEY" > "$home/.ssh/authorized_keys"
    chmod 600 "$home/.ssh/authorized_keys"
    chown -R "$KILN_USER:" "$home/.ssh"
fi
if [ "$KILN_IS_ADMIN" = true ]; then
    for group in sudo wheel; do
        if getent group "$group"; then usermod -a -G "$group" "$KILN_USER"; fi
    done
    if [ -d /etc/sudoers.d ]; then
        printf '%s ALL=(ALL) NOPASSWD:ALL\n' "$KILN_USER" > "$KILN_RIGHTS"
        chmod 440 "$KILN_RIGHTS"
    fi
fi
"#;
/// Removes the user with its files; what it runs ends.
const REMOVE: &str = r#"
pkill -KILL -u "$KILN_USER" || true
if id "$KILN_USER"; then userdel -f -r "$KILN_USER" || ! id "$KILN_USER"; fi
rm -f "$KILN_RIGHTS"
"#;

/// The users that were made so.
#[derive(Debug)]
pub(crate) struct Users {
    path: PathBuf,
    known: Mutex<BTreeMap<String, Known>>,
    /// The tools work one after the other.
    turn: tokio::sync::Mutex<()>,
}

/// What is remembered of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    is_admin: bool,
    expires_at: Timestamp,
}

impl Users {
    /// The users of the node in `directory`, as an earlier agent left them.
    pub(crate) fn load(directory: &Path) -> Self {
        let path = directory.join(FILE);
        let read = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let known = Mutex::new(read.unwrap_or_default());
        Self { path, known, turn: tokio::sync::Mutex::new(()) }
    }

    /// Time until the next user is to go.
    pub(crate) fn next_in(&self, now: Timestamp) -> Option<Duration> {
        self.known().values().map(|user| user.expires_at.since(now)).min()
    }

    /// Makes a user.
    pub(crate) async fn add(&self, node: &Node, user: &NodeUser) -> Result<(), NodeRefusal> {
        let _turn = self.turn.lock().await;
        if self.known().contains_key(&user.name) {
            return Err(NodeRefusal::UserExists);
        }
        let known = Known { is_admin: user.is_admin, expires_at: user.expires_at };
        // Listed first: one that is half made can be changed and removed, and goes in time.
        self.keep(&user.name, Some(known))?;
        let script = [PRELUDE, REFUSE_OTHERS, SET].concat();
        let made = run(node, &script, &variables(user, user.is_admin)).await;
        if made.is_err() {
            self.keep(&user.name, None)?;
        }
        made
    }

    /// Changes a user that was made so.
    pub(crate) async fn change(&self, node: &Node, user: &NodeUser) -> Result<(), NodeRefusal> {
        let _turn = self.turn.lock().await;
        let Some(known) = self.known().get(&user.name).copied() else {
            return Err(NodeRefusal::UserNotFound);
        };
        let script = [PRELUDE, SET].concat();
        run(node, &script, &variables(user, known.is_admin)).await?;
        let known = Known { expires_at: user.expires_at, ..known };
        self.keep(&user.name, Some(known))
    }

    /// Removes a user that was made so.
    pub(crate) async fn remove(&self, node: &Node, name: &str) -> Result<(), NodeRefusal> {
        let _turn = self.turn.lock().await;
        if !self.known().contains_key(name) {
            return Err(NodeRefusal::UserNotFound);
        }
        let nobody = NodeUser {
            name: name.to_owned(),
            is_admin: false,
            password_hash: None,
            ssh_public_key: None,
            expires_at: Timestamp(0),
        };
        run(node, &[PRELUDE, REMOVE].concat(), &variables(&nobody, false)).await?;
        self.keep(name, None)
    }

    /// Removes the users whose time is over.
    pub(crate) async fn remove_expired(&self, node: &Node) {
        let now = clock::now();
        let expired = |user: &Known| user.expires_at <= now;
        let names: Vec<String> =
            self.known().iter().filter(|it| expired(it.1)).map(|it| it.0.clone()).collect();
        for name in names {
            if let Err(refusal) = self.remove(node, &name).await {
                tracing::warn!(name, ?refusal, "a user whose time is over was not removed");
                // It is tried again by the next agent, and by who removes it.
                if let Some(user) = self.known().get_mut(&name) {
                    user.expires_at = Timestamp(i64::MAX);
                }
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the list, also on disk.
    fn keep(&self, name: &str, user: Option<Known>) -> Result<(), NodeRefusal> {
        let mut known = self.known();
        match user {
            Some(user) => known.insert(name.to_owned(), user),
            None => known.remove(name),
        };
        write(&self.path, &known).map_err(|error| failed(format!("list the users: {error}")))
    }
}

fn write(path: &Path, known: &BTreeMap<String, Known>) -> io::Result<()> {
    let next = path.with_extension("next");
    let options = File::options().write(true).create(true).truncate(true).mode(0o600).clone();
    let mut file = options.open(&next)?;
    file.write_all(&serde_json::to_vec(known)?)?;
    file.sync_all()?;
    std::fs::rename(&next, path)
}

fn variables(user: &NodeUser, is_admin: bool) -> Vec<String> {
    let hash = user.password_hash.as_deref().unwrap_or(NO_PASSWORD);
    let key = user.ssh_public_key.as_deref().unwrap_or_default().trim();
    // Names with dots are overlooked there.
    let rights = format!("/etc/sudoers.d/kiln-{}", user.name.replace('.', "_"));
    vec![
        format!("KILN_USER={}", user.name),
        format!("KILN_HASH={hash}"),
        format!("KILN_KEY={key}"),
        format!("KILN_IS_ADMIN={is_admin}"),
        format!("KILN_RIGHTS={rights}"),
    ]
}

/// Runs a script as the node's root user.
async fn run(node: &Node, script: &str, variables: &[String]) -> Result<(), NodeRefusal> {
    if node.kind != SetupKind::Namespaces {
        let reason = "The node has no users of its own: see `kiln doctor`".to_owned();
        return Err(NodeRefusal::Unsupported { reason });
    }
    let tool = Tool {
        argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        environment: variables.to_vec(),
        rights: Rights::Admin,
        time_limit: Duration::from_secs(TOOLS_SECONDS_MAX),
    };
    match tool::run(node, tool).await {
        Ok(Ended { exit_code: 0, .. }) => Ok(()),
        Ok(Ended { exit_code: EXISTS, .. }) => Err(NodeRefusal::UserExists),
        Ok(Ended { exit_code, output, .. }) => {
            Err(failed(format!("exit code {exit_code}: {output}")))
        }
        Err(error) => Err(failed(crate::with_causes(&error))),
    }
}

fn failed(message: String) -> NodeRefusal {
    NodeRefusal::Failed { message }
}
