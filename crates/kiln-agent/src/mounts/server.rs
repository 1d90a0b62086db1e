//! What the kernel is told to mount of servers that speak NFS or SMB.
//!
//! The kernel is asked directly and not through `mount.nfs` or `mount.cifs`: it needs from them
//! only the server's address, and a password in a list of options of a system call is seen by
//! nobody, while one in a file or in arguments of a program could be.

use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};

use kiln_domain::batch::mount::{CifsMount, FileShareMount, NfsMount};

use super::options::mount_options;
use crate::isolate::mount::Mounting;

/// The port at which servers of NFS are.
const NFS_PORT: u16 = 2049;
/// The port at which servers of SMB are.
const SMB_PORT: u16 = 445;

/// A mount of a server, as a pool describes it.
pub(super) enum Ask {
    Nfs(NfsMount),
    Cifs(CifsMount),
    FileShare(FileShareMount),
}

impl Ask {
    /// As the kernel is told. Asks for the server's address.
    pub(super) fn mounting(&self) -> Asked {
        match self {
            Self::Nfs(mount) => nfs(mount),
            Self::Cifs(mount) => cifs(mount),
            Self::FileShare(mount) => file_share(mount),
        }
    }
}

/// A mount of a server, and options of it that have no effect.
type Asked = io::Result<(Mounting, Vec<String>)>;

/// A directory of a server that speaks NFS.
fn nfs(mount: &NfsMount) -> Asked {
    let host = mount.source.split_once(":/").map_or("", |(host, _)| host);
    let options = mount_options(mount.mount_options.as_deref().unwrap_or_default());
    let address = address_of(host.trim_matches(['[', ']']), NFS_PORT)?;
    let mut data = options.others;
    let is_version = |it: &String| {
        let name = it.split('=').next().unwrap_or_default();
        matches!(name, "vers" | "nfsvers" | "v3" | "v4" | "v4.0" | "v4.1" | "v4.2")
    };
    if !data.iter().any(is_version) {
        // What the kernel takes by itself is older.
        data.push("vers=4.2".to_owned());
    }
    // Without a server of locks beside it, one of an older version can not be asked for locks.
    let is_old = data.iter().any(|it| matches!(it.as_str(), "vers=3" | "nfsvers=3" | "v3"));
    if is_old && !data.iter().any(|it| matches!(it.as_str(), "lock" | "nolock")) {
        data.push("nolock".to_owned());
    }
    data.push(format!("addr={address}"));
    let (source, flags, data) = (mount.source.clone(), options.flags, data.join(","));
    Ok((Mounting { kind: "nfs", source, flags, data }, options.ignored))
}

/// A share of a server that speaks SMB.
fn cifs(mount: &CifsMount) -> Asked {
    let options = mount.mount_options.as_deref().unwrap_or_default();
    share(&mount.source, &mount.username, &mount.password.0, options)
}

/// A share of a storage account.
fn file_share(mount: &FileShareMount) -> Asked {
    let source = mount.source().ok_or(io::ErrorKind::InvalidInput)?;
    let options = mount.mount_options.as_deref().unwrap_or_default();
    share(&source, &mount.account_name, &mount.account_key.0, options)
}

fn share(source: &str, user: &str, password: &str, options: &str) -> Asked {
    let source = source.replace('\\', "/");
    let host = source.trim_start_matches('/').split('/').next().unwrap_or_default();
    let options = mount_options(options);
    let address = address_of(host, SMB_PORT)?;
    let mut data = options.others;
    for (name, value) in [("file_mode", "0777"), ("dir_mode", "0777")] {
        if !data.iter().any(|it| it.split('=').next() == Some(name)) {
            data.push(format!("{name}={value}"));
        }
    }
    // A comma ends an option unless there are two.
    let password = password.replace(',', ",,");
    data.push(format!("ip={address},username={user},password={password}"));
    let (flags, data) = (options.flags, data.join(","));
    Ok((Mounting { kind: "cifs", source, flags, data }, options.ignored))
}

fn address_of(host: &str, port: u16) -> io::Result<IpAddr> {
    let found = (host, port).to_socket_addrs()?.next();
    found.map(|address| address.ip()).ok_or_else(|| io::ErrorKind::NotFound.into())
}

#[cfg(test)]
mod tests {
    use kiln_domain::batch::mount::{CifsMount, FileShareMount, NfsMount, Secret};

    use super::{Asked, cifs, file_share, nfs};

    #[track_caller]
    fn check(asked: Asked, kind: &str, source: &str, data: &str) {
        let (mounting, _) = asked.expect("it has an address");
        assert_eq!((mounting.kind, mounting.source.as_str()), (kind, source));
        assert_eq!(mounting.data, data);
    }

    #[test]
    fn the_kernel_is_told_who_and_where() {
        let options = |text: &str| Some(text.to_owned());
        let (source, path) = ("127.0.0.1:/a".to_owned(), "n".to_owned());
        let of = |mount_options| NfsMount {
            source: source.clone(),
            mount_options,
            relative_mount_path: path.clone(),
        };
        check(nfs(&of(None)), "nfs", "127.0.0.1:/a", "vers=4.2,addr=127.0.0.1");
        let older = nfs(&of(options("-o vers=3,hard")));
        check(older, "nfs", "127.0.0.1:/a", "vers=3,hard,nolock,addr=127.0.0.1");
        let share = CifsMount {
            username: "me".to_owned(),
            password: Secret("a,b".to_owned()),
            source: "\\\\127.0.0.1\\share".to_owned(),
            mount_options: options("-o vers=3.0,dir_mode=0700,password=x"),
            relative_mount_path: path.clone(),
        };
        let expected =
            "vers=3.0,dir_mode=0700,file_mode=0777,ip=127.0.0.1,username=me,password=a,,b";
        check(cifs(&share), "cifs", "//127.0.0.1/share", expected);
        let share = FileShareMount {
            account_name: "acme".to_owned(),
            azure_file_url: "https://127.0.0.1/share".to_owned(),
            account_key: Secret("a2V5".to_owned()),
            mount_options: None,
            relative_mount_path: path.clone(),
        };
        let expected = "file_mode=0777,dir_mode=0777,ip=127.0.0.1,username=acme,password=a2V5";
        check(file_share(&share), "cifs", "//127.0.0.1/share", expected);
    }

    #[test]
    fn a_server_without_an_address_is_said() {
        let mount = NfsMount {
            source: "no-such-host.invalid:/a".to_owned(),
            mount_options: None,
            relative_mount_path: "n".to_owned(),
        };
        assert!(nfs(&mount).is_err());
    }
}
