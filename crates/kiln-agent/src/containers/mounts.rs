//! What a container sees of its node.

use kiln_domain::batch::container::{BindMount, ContainerSettings, HostPath};

/// Where a command and its like are on the node, as the node sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places<'a> {
    /// The node's root directory.
    pub(crate) root: &'a str,
    /// All that the task has there, below that.
    pub(crate) task: &'a str,
    /// The directory of the job's preparation task, below that.
    pub(crate) preparation: Option<&'a str>,
    /// Certificates that commands trust, below that.
    pub(crate) trust: &'a str,
}

/// A directory of the node in a container, at the same place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// Where it is.
    pub(super) path: String,
    /// Whether the container can not write there.
    pub(super) is_read_only: bool,
}

impl Mount {
    /// The argument for the engine.
    pub(super) fn argument(&self) -> String {
        let mode = if self.is_read_only { "ro" } else { "rw" };
        format!("--volume={}:{}:{mode},rslave", self.path, self.path)
    }

    /// Whether `path` is in it.
    pub(super) fn shows(&self, path: &str) -> bool {
        path.strip_prefix(&self.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// The directories that a container with these settings sees.
pub(super) fn of(settings: &ContainerSettings, places: &Places<'_>) -> Vec<Mount> {
    let Some(mounts) = &settings.container_host_batch_bind_mounts else {
        return vec![Mount { path: places.root.to_owned(), is_read_only: false }];
    };
    let below = |path: &str| format!("{}/{path}", places.root);
    let mut all: Vec<Mount> = Vec::new();
    for BindMount { source, is_read_only } in mounts {
        let path = match source {
            Some(HostPath::Shared) => Some("shared"),
            Some(HostPath::Startup) => Some("startup"),
            Some(HostPath::VfsMounts) => Some("fsmounts"),
            Some(HostPath::Applications) => Some("applications"),
            Some(HostPath::Task) => Some(places.task),
            Some(HostPath::JobPrep) => places.preparation,
            None => None,
        };
        let Some(path) = path.map(below) else { continue };
        if !all.iter().any(|mount| mount.path == path) {
            all.push(Mount { path, is_read_only: *is_read_only });
        }
    }
    // Not Batch's but Kiln's: without it a container could not reach Azure's names here.
    all.push(Mount { path: below(places.trust), is_read_only: true });
    all
}

#[cfg(test)]
mod tests {
    use kiln_domain::batch::container::ContainerSettings;

    use super::{Places, of};

    #[track_caller]
    fn check(mounts: &str, expected: &str) {
        let settings: ContainerSettings =
            serde_json::from_str(&format!(r#"{{"containerHostBatchBindMounts":{mounts}}}"#))
                .expect("settings");
        let places = Places {
            root: "/r",
            task: "workitems/j/job-1/t",
            preparation: Some("workitems/j/job-1/p"),
            trust: "volatile/trust",
        };
        let shown = of(&settings, &places).into_iter().map(|mount| {
            let mode = if mount.is_read_only { " ro" } else { "" };
            format!("{}{mode}", mount.path.trim_start_matches("/r"))
        });
        let shown = shown.collect::<Vec<_>>().join(", ");
        assert_eq!(shown.trim_end_matches("/volatile/trust ro").trim_end_matches(", "), expected);
    }

    #[test]
    fn a_container_sees_what_it_asks_for() {
        check("null", "");
        check("[]", "");
        check(r#"[{"source":"Shared"},{"source":"Task"}]"#, "/shared, /workitems/j/job-1/t");
        check(r#"[{"source":"Startup","isReadOnly":true}]"#, "/startup ro");
        check(r#"[{"source":"JobPrep"},{"source":"JobPrep"}]"#, "/workitems/j/job-1/p");
        check(r#"[{"source":"VfsMounts"},{"source":"Applications"}]"#, "/fsmounts, /applications");
    }
}
