//! Options of mounts, in the words of `blobfuse` and of `mount`.

use std::time::Duration;

use rustix::mount::MountFlags;

/// Seconds for which the kernel believes what it was told of a file.
const BELIEVED_SECONDS: u64 = 1;
/// Seconds for which a pool may have it believe so.
const BELIEVED_SECONDS_MAX: u64 = 3600;

/// How a container of blobs is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlobOptions {
    /// Whether nothing can be written.
    pub(crate) is_read_only: bool,
    /// For how long the kernel believes what a file is like.
    pub(crate) attributes_for: Duration,
    /// For how long it believes that a name is there.
    pub(crate) entries_for: Duration,
    /// Options that have no effect.
    pub(crate) ignored: Vec<String>,
}

/// Reads the options of `blobfuse`, of its first or its second version.
pub(crate) fn blob_options(text: &str) -> BlobOptions {
    let believed = Duration::from_secs(BELIEVED_SECONDS);
    let mut options = BlobOptions {
        is_read_only: false,
        attributes_for: believed,
        entries_for: believed,
        ignored: Vec::new(),
    };
    for option in words(text) {
        let (name, value) = option.split_once('=').unwrap_or((&option, ""));
        let seconds = value.parse::<u64>().ok().map(|it| it.min(BELIEVED_SECONDS_MAX));
        match (name.replace('_', "-").as_str(), seconds.map(Duration::from_secs)) {
            ("ro" | "read-only", _) if !value.eq_ignore_ascii_case("false") => {
                options.is_read_only = true;
            }
            // All users of a node see its mounts.
            ("rw" | "allow-other", _) => {}
            ("attr-timeout", Some(time)) => options.attributes_for = time,
            ("entry-timeout", Some(time)) => options.entries_for = time,
            _ => options.ignored.push(option),
        }
    }
    options
}

/// Options of `mount`, sorted by who acts on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MountOptions {
    /// What holds for every kind of file system.
    pub(crate) flags: MountFlags,
    /// What the kind knows, in order.
    pub(crate) others: Vec<String>,
    /// Options that have no effect.
    pub(crate) ignored: Vec<String>,
}

/// Reads the options of `mount`.
pub(crate) fn mount_options(text: &str) -> MountOptions {
    let mut options = MountOptions {
        flags: MountFlags::NOSUID | MountFlags::NODEV,
        others: Vec::new(),
        ignored: Vec::new(),
    };
    for option in words(text) {
        let name = option.split('=').next().unwrap_or_default();
        match name {
            "ro" => options.flags |= MountFlags::RDONLY,
            "rw" => options.flags -= MountFlags::RDONLY,
            "noexec" => options.flags |= MountFlags::NOEXEC,
            "noatime" => options.flags |= MountFlags::NOATIME,
            "nodiratime" => options.flags |= MountFlags::NODIRATIME,
            "relatime" => options.flags |= MountFlags::RELATIME,
            "sync" => options.flags |= MountFlags::SYNCHRONOUS,
            "nosuid" | "nodev" | "exec" | "async" | "defaults" => {}
            // What programs around the kernel act on, and what a pool does not decide: who asks,
            // and whom.
            "auto" | "noauto" | "bg" | "fg" | "retry" | "nofail" | "_netdev" | "user" | "users"
            | "nouser" | "owner" | "suid" | "dev" | "addr" | "ip" | "unc" | "credentials"
            | "cred" | "username" | "password" | "pass" => options.ignored.push(name.to_owned()),
            name if name.starts_with("x-") => options.ignored.push(option),
            _ => options.others.push(option),
        }
    }
    options
}

/// The options one by one, however they are strung together: `-o a,b -oc --d=1 --e 2`.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut takes_value = false;
    for word in text.split_whitespace() {
        let is_long = word.starts_with("--");
        let list = word.strip_prefix("--").or_else(|| word.strip_prefix("-o")).unwrap_or(word);
        let is_option = word.starts_with('-');
        if takes_value && !is_option {
            // The value of the option before.
            if let Some(last) = words.last_mut() {
                last.push('=');
                last.push_str(word);
            }
        } else {
            words.extend(list.split(',').filter(|it| !it.is_empty()).map(str::to_owned));
        }
        takes_value = is_long && !word.contains('=');
    }
    words
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::mount::MountFlags;

    use super::{blob_options, mount_options};

    #[track_caller]
    fn check(text: &str, expected: (bool, u64, u64, &[&str])) {
        let options = blob_options(text);
        assert_eq!(options.is_read_only, expected.0, "{text}");
        assert_eq!(options.attributes_for, Duration::from_secs(expected.1), "{text}");
        assert_eq!(options.entries_for, Duration::from_secs(expected.2), "{text}");
        assert_eq!(options.ignored, expected.3, "{text}");
    }

    #[test]
    fn options_of_blobfuse_are_understood() {
        check("", (false, 1, 1, &[]));
        check("-o ro", (true, 1, 1, &[]));
        check("-oro,allow_other", (true, 1, 1, &[]));
        check("--read-only=true", (true, 1, 1, &[]));
        check("--read-only=false", (false, 1, 1, &["read-only=false"]));
        check(
            "-o attr_timeout=240 -o entry_timeout=2 -o negative_timeout=120",
            (false, 240, 2, &["negative_timeout=120"]),
        );
        check(
            "--allow-other --attr-timeout 99999 --log-level=LOG_DEBUG --tmp-path /x",
            (false, 3600, 1, &["log-level=LOG_DEBUG", "tmp-path=/x"]),
        );
    }

    #[test]
    fn options_of_mount_are_sorted() {
        let options = mount_options("-o vers=3.0,ro,dir_mode=0777,credentials=/etc/x,_netdev");
        let expected = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::RDONLY;
        assert_eq!(options.flags, expected);
        assert_eq!(options.others, ["vers=3.0", "dir_mode=0777"]);
        assert_eq!(options.ignored, ["credentials", "_netdev"]);
    }
}
