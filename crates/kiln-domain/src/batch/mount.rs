//! File systems that a pool mounts on its nodes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::command::IdentityReference;
use crate::limits::MOUNTS_MAX;
use crate::rejection::Rejection;

/// The member of a pool that lists them.
const NAME: &str = "mountConfiguration";

/// One file system, of exactly one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MountConfiguration {
    /// A container of blobs.
    pub azure_blob_file_system_configuration: Option<BlobMount>,
    /// A directory of a server that speaks NFS.
    pub nfs_mount_configuration: Option<NfsMount>,
    /// A share of a server that speaks SMB.
    pub cifs_mount_configuration: Option<CifsMount>,
    /// A share of a storage account.
    pub azure_file_share_configuration: Option<FileShareMount>,
}

/// A container of blobs as a file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobMount {
    /// The storage account.
    pub account_name: String,
    /// The container.
    pub container_name: String,
    /// A key of the account.
    #[serde(default)]
    pub account_key: Option<Secret>,
    /// A signature that opens the container.
    #[serde(default)]
    pub sas_key: Option<Secret>,
    /// An identity of the pool that may open it.
    #[serde(default)]
    pub identity_reference: Option<IdentityReference>,
    /// More options, in the words of `blobfuse`.
    #[serde(default)]
    pub blobfuse_options: Option<String>,
    /// Where, below the directory of mounts.
    pub relative_mount_path: String,
}

/// A directory of a server that speaks NFS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NfsMount {
    /// `server:/directory`
    pub source: String,
    /// More options, in the words of `mount`.
    #[serde(default)]
    pub mount_options: Option<String>,
    /// Where, below the directory of mounts.
    pub relative_mount_path: String,
}

/// A share of a server that speaks SMB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CifsMount {
    /// Who asks.
    pub username: String,
    /// What proves it.
    pub password: Secret,
    /// `//server/share`
    pub source: String,
    /// More options, in the words of `mount`.
    #[serde(default)]
    pub mount_options: Option<String>,
    /// Where, below the directory of mounts.
    pub relative_mount_path: String,
}

/// A share of a storage account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileShareMount {
    /// The storage account.
    pub account_name: String,
    /// Where the share is: `https://account.file.core.windows.net/share`.
    pub azure_file_url: String,
    /// A key of the account.
    pub account_key: Secret,
    /// More options, in the words of `mount`.
    #[serde(default)]
    pub mount_options: Option<String>,
    /// Where, below the directory of mounts.
    pub relative_mount_path: String,
}

/// What proves something and is never printed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl FileShareMount {
    /// The share as SMB names it: `//server/share`; `None` if the URL names none.
    pub fn source(&self) -> Option<String> {
        let (scheme, rest) = self.azure_file_url.split_once("://")?;
        let source = format!("//{}", rest.trim_end_matches('/'));
        let is_web = ["http", "https"].iter().any(|it| scheme.eq_ignore_ascii_case(it));
        (is_web && is_share(&source)).then_some(source)
    }
}

/// Whether the nodes of a pool may mount these.
///
/// # Errors
/// When there are too many, or one breaks a rule.
pub fn admit(mounts: &[MountConfiguration]) -> Result<(), Rejection> {
    if mounts.len() > MOUNTS_MAX {
        let reason = format!("A pool mounts at most {MOUNTS_MAX} file systems");
        return Err(Rejection::property(NAME, mounts.len(), reason));
    }
    let mut paths: Vec<&str> = Vec::new();
    for mount in mounts {
        let (member, path) = admit_one(mount)?;
        let name = format!("{NAME}.{member}.relativeMountPath");
        check_path(&name, path)?;
        if let Some(other) = paths.iter().find(|other| overlap(other, path)) {
            let reason = if *other == path {
                "No two file systems are mounted at the same path"
            } else {
                "No file system is mounted within another"
            };
            return Err(Rejection::property(name, path, reason));
        }
        paths.push(path);
    }
    Ok(())
}

/// Looks at one file system; answers the member it is in and where it is mounted.
fn admit_one(mount: &MountConfiguration) -> Result<(&'static str, &str), Rejection> {
    let MountConfiguration {
        azure_blob_file_system_configuration: blob,
        nfs_mount_configuration: nfs,
        cifs_mount_configuration: cifs,
        azure_file_share_configuration: share,
    } = mount;
    match (blob, nfs, cifs, share) {
        (Some(blob), None, None, None) => {
            check_blob(blob)?;
            Ok((BLOB, &blob.relative_mount_path))
        }
        (None, Some(nfs), None, None) => {
            let is_named = nfs.source.split_once(":/").is_some_and(|(host, _)| is_host(host));
            let reason = "An NFS file system is named `server:/directory`";
            check(is_named, NFS, "source", &nfs.source, reason)?;
            Ok((NFS, &nfs.relative_mount_path))
        }
        (None, None, Some(cifs), None) => {
            let reason = "A share is named `//server/share`";
            check(is_share(&cifs.source), CIFS, "source", &cifs.source, reason)?;
            // The kernel takes the options of a mount as one list.
            let is_one = !cifs.username.is_empty() && !cifs.username.contains([',', '\0']);
            let reason = "A user of a share has a name without commas";
            check(is_one, CIFS, "username", &cifs.username, reason)?;
            Ok((CIFS, &cifs.relative_mount_path))
        }
        (None, None, None, Some(share)) => {
            check_account(SHARE, &share.account_name)?;
            let reason = "A share is at `https://account.file.core.windows.net/share`";
            let is_named = share.source().is_some();
            check(is_named, SHARE, "azureFileUrl", &share.azure_file_url, reason)?;
            Ok((SHARE, &share.relative_mount_path))
        }
        (None, None, None, None) => {
            Err(Rejection::property(NAME, "{}", "Each entry is of one kind of file system"))
        }
        (Some(_) | None, Some(_) | None, Some(_) | None, Some(_) | None) => {
            Err(Rejection::property(
                NAME,
                "{...}",
                "Each entry is of one kind of file system, not of several",
            ))
        }
    }
}

const BLOB: &str = "azureBlobFileSystemConfiguration";
const NFS: &str = "nfsMountConfiguration";
const CIFS: &str = "cifsMountConfiguration";
const SHARE: &str = "azureFileShareConfiguration";

fn check_blob(blob: &BlobMount) -> Result<(), Rejection> {
    check_account(BLOB, &blob.account_name)?;
    let is_named = !blob.container_name.is_empty() && !blob.container_name.contains('/');
    check(is_named, BLOB, "containerName", &blob.container_name, "A container has a name")?;
    let given = [
        ("accountKey", blob.account_key.is_some()),
        ("sasKey", blob.sas_key.is_some()),
        ("identityReference", blob.identity_reference.is_some()),
    ];
    let mut given = given.iter().filter(|(_, is_given)| *is_given);
    match (given.next(), given.next()) {
        (Some(_), None) => Ok(()),
        (None, _) => Err(Rejection::MissingProperty { name: format!("{NAME}.{BLOB}.accountKey") }),
        (Some(_), Some((second, _))) => {
            let reason = "accountKey, sasKey and identityReference exclude each other";
            Err(Rejection::property(format!("{NAME}.{BLOB}.{second}"), "(given)", reason))
        }
    }
}

fn check_account(member: &str, account: &str) -> Result<(), Rejection> {
    let is_one = !account.is_empty()
        && account.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let reason = "Names of storage accounts have lower-case letters and digits only";
    check(is_one, member, "accountName", account, reason)
}

fn check(
    is_good: bool,
    member: &str,
    name: &str,
    value: &str,
    reason: &str,
) -> Result<(), Rejection> {
    if is_good {
        return Ok(());
    }
    Err(Rejection::property(format!("{NAME}.{member}.{name}"), value, reason))
}

/// A mount lies below the directory of mounts, whose logs have names that end with `.log`.
fn check_path(name: &str, path: &str) -> Result<(), Rejection> {
    let is_name = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    if !path.split('/').all(is_name) {
        let reason = "A mount lies below the directory of mounts: its path is relative, without \
                      empty parts, `.` or `..`";
        return Err(Rejection::property(name, path, reason));
    }
    if !path.contains('/') && path.ends_with(".log") {
        return Err(Rejection::property(name, path, "Names that end with `.log` are for logs"));
    }
    Ok(())
}

/// Whether two paths are the same, or one lies below the other.
fn overlap(one: &str, other: &str) -> bool {
    let is_above = |above: &str, below: &str| {
        below.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    is_above(one, other) || is_above(other, one)
}

fn is_host(host: &str) -> bool {
    !host.is_empty() && !host.contains(['/', ',', ' ', '\0'])
}

/// Whether a name is `//server/share`, perhaps with directories behind it.
fn is_share(source: &str) -> bool {
    let rest = source.strip_prefix("//").or_else(|| source.strip_prefix("\\\\"));
    let parts = rest.and_then(|rest| rest.split_once(['/', '\\']));
    parts.is_some_and(|(host, share)| is_host(host) && !share.is_empty() && !share.contains(['\0']))
}

#[cfg(test)]
mod tests {
    use super::{MountConfiguration, admit};

    #[track_caller]
    fn check(mounts: &str, expected: &str) {
        let mounts: Vec<MountConfiguration> = serde_json::from_str(mounts).expect("mounts");
        let said =
            admit(&mounts).map_or_else(|rejection| rejection.to_string(), |()| "fine".into());
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains("hush"), "{said}");
    }

    fn blob(members: &str) -> String {
        format!(
            r#"{{"azureBlobFileSystemConfiguration":{{"accountName":"ab1","containerName":"c",{members}}}}}"#
        )
    }

    fn at(path: &str) -> String {
        blob(&format!(r#""sasKey":"hush","relativeMountPath":"{path}""#))
    }

    fn nfs(source: &str) -> String {
        format!(r#"{{"nfsMountConfiguration":{{"source":"{source}","relativeMountPath":"n"}}}}"#)
    }

    fn cifs(user: &str, source: &str) -> String {
        format!(
            r#"{{"cifsMountConfiguration":{{"username":"{user}","password":"hush","source":"{source}","relativeMountPath":"s"}}}}"#
        )
    }

    fn share(url: &str) -> String {
        format!(
            r#"{{"azureFileShareConfiguration":{{"accountName":"ab1","accountKey":"hush","azureFileUrl":"{url}","relativeMountPath":"f"}}}}"#
        )
    }

    #[test]
    fn an_entry_is_of_one_kind() {
        let url = "https://ab1.file.core.windows.net/share";
        let all = [at("b"), nfs("host:/dir"), cifs("u", "//host/share"), share(url)].join(",");
        check(&format!("[{all}]"), "fine");
        check("[]", "fine");
        check("[{}]", "`mountConfiguration` cannot be `{}`");
        let (one, other) = (at("b"), nfs("h:/d"));
        let one = one.strip_suffix('}').expect("an object");
        let other = other.strip_prefix('{').expect("an object");
        check(&format!("[{one},{other}]"), "not of several");
        let many: Vec<String> = (0..11).map(|number| at(&format!("m{number}"))).collect();
        check(&format!("[{}]", many.join(",")), "at most 10");
        check(&format!("[{}]", many[1..].join(",")), "fine");
    }

    #[test]
    fn a_mount_lies_below_the_directory_of_mounts() {
        for good in ["a", "a/b", "a.b", "...", "sub/x.log"] {
            check(&format!("[{}]", at(good)), "fine");
        }
        for bad in ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "x.log"] {
            let expected = format!(
                "`mountConfiguration.azureBlobFileSystemConfiguration.relativeMountPath` cannot be `{bad}`"
            );
            check(&format!("[{}]", at(bad)), &expected);
        }
        check(&format!("[{},{}]", at("a"), at("a")), "at the same path");
        check(&format!("[{},{}]", at("a/b"), at("a")), "within another");
        check(&format!("[{},{}]", at("a"), at("ab")), "fine");
    }

    #[test]
    fn a_container_is_opened_in_one_way() {
        let with = |keys: &str| format!("[{}]", blob(&format!(r#"{keys}"relativeMountPath":"a""#)));
        check(&with(r#""accountKey":"hush","#), "fine");
        check(&with(r#""identityReference":{},"#), "fine");
        check(&with(""), "accountKey` is missing");
        check(&with(r#""accountKey":"hush","sasKey":"hush","#), "exclude each other");
        check(&with(r#""sasKey":"hush","identityReference":{},"#), "exclude each other");
    }

    #[test]
    fn what_is_mounted_is_named() {
        for bad in ["", "host", "host:dir", ":/dir", "a,b:/dir"] {
            check(&format!("[{}]", nfs(bad)), "nfsMountConfiguration.source");
        }
        for bad in ["", "host", "//host", "//host/", "///share"] {
            check(&format!("[{}]", cifs("u", bad)), "cifsMountConfiguration.source");
        }
        check(&format!("[{}]", cifs("a,uid=0", "//h/s")), "cifsMountConfiguration.username");
        for bad in ["", "ab1", "https://ab1", "ftp://h/s"] {
            check(&format!("[{}]", share(bad)), "azureFileShareConfiguration.azureFileUrl");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let mounts: Vec<MountConfiguration> =
            serde_json::from_str(&format!("[{},{}]", at("a"), cifs("u", "//h/s"))).expect("mounts");
        let printed = format!("{mounts:?}");
        assert!(printed.contains("ab1") && !printed.contains("hush"), "{printed}");
    }
}
