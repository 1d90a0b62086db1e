//! What no task may see of this machine, though nodes begin with a view of its root.

use std::path::{Path, PathBuf};

/// Where people keep keys and passwords, in their home directories.
const SECRETS_OF_HOMES: &[&str] = &[
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".config/gcloud",
    ".docker",
    ".kube",
    ".git-credentials",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".cargo/credentials.toml",
    ".pgpass",
];

/// Where a machine keeps keys and passwords. Of its lists of passwords, nodes get copies without
/// any.
const SECRETS_OF_MACHINE: &[&str] = &[
    "/etc/shadow-",
    "/etc/gshadow-",
    "/etc/ssl/private",
    "/etc/ssh/ssh_host_ecdsa_key",
    "/etc/ssh/ssh_host_ed25519_key",
    "/etc/ssh/ssh_host_rsa_key",
    "/etc/krb5.keytab",
];

/// The state of this Kiln, and the secrets of this machine and of its home directories: an
/// elevated task is root in its node and could read them all.
pub(crate) fn paths(data: &Path) -> Vec<PathBuf> {
    let people = std::fs::read_dir("/home").into_iter().flatten().flatten();
    let homes = people.map(|entry| entry.path()).chain([PathBuf::from("/root")]);
    let mut hidden = vec![data.to_owned()];
    let secrets = SECRETS_OF_MACHINE.iter().map(PathBuf::from);
    hidden.extend(secrets.filter(|path| path.exists()));
    hidden.extend(homes.flat_map(|home| secrets_of(&home)));
    hidden
}

/// The secrets that are there.
fn secrets_of(home: &Path) -> Vec<PathBuf> {
    SECRETS_OF_HOMES.iter().map(|name| home.join(name)).filter(|path| path.exists()).collect()
}

#[cfg(test)]
mod tests {
    use super::secrets_of;

    #[test]
    fn only_what_is_there() {
        let home = tempfile::tempdir().expect("a directory");
        std::fs::create_dir_all(home.path().join(".config/gcloud")).expect("a directory");
        std::fs::write(home.path().join(".netrc"), "").expect("a file");
        std::fs::write(home.path().join("notes"), "").expect("a file");
        let found = secrets_of(home.path());
        assert_eq!(found, [home.path().join(".config/gcloud"), home.path().join(".netrc")]);
    }
}
