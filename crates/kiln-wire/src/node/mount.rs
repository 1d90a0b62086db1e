//! What a node mounts, as its agent is told.

use kiln_domain::batch::mount::{CifsMount, FileShareMount, MountConfiguration, NfsMount, Secret};
use serde::{Deserialize, Serialize};

/// One file system of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mount {
    /// A container of blobs.
    Blob(BlobMount),
    /// A directory of a server that speaks NFS.
    Nfs(NfsMount),
    /// A share of a server that speaks SMB.
    Cifs(CifsMount),
    /// A share of a storage account.
    FileShare(FileShareMount),
}

/// A container of blobs that is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobMount {
    /// As the pool describes it; its keys are gone once it is opened.
    pub wanted: kiln_domain::batch::mount::BlobMount,
    /// The URL that opens it; added when the command leaves the server.
    pub container_url: Option<Secret>,
}

impl Mount {
    /// What a pool wants mounted, not yet opened; `None` if it is of no kind.
    pub fn wanted(configuration: MountConfiguration) -> Option<Self> {
        let MountConfiguration {
            azure_blob_file_system_configuration: blob,
            nfs_mount_configuration: nfs,
            cifs_mount_configuration: cifs,
            azure_file_share_configuration: share,
        } = configuration;
        blob.map(|wanted| Self::Blob(BlobMount { wanted, container_url: None }))
            .or_else(|| nfs.map(Self::Nfs))
            .or_else(|| cifs.map(Self::Cifs))
            .or_else(|| share.map(Self::FileShare))
    }

    /// Where it is mounted, below the directory of mounts.
    pub fn path(&self) -> &str {
        match self {
            Self::Blob(blob) => &blob.wanted.relative_mount_path,
            Self::Nfs(nfs) => &nfs.relative_mount_path,
            Self::Cifs(cifs) => &cifs.relative_mount_path,
            Self::FileShare(share) => &share.relative_mount_path,
        }
    }
}
