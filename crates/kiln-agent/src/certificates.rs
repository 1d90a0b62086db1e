//! Puts the certificates of the pool where commands find them.

use std::io::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kiln_domain::batch::certificate::{CertificateFormat, Visibility};
use kiln_domain::batch::task::FailureInfo;
use kiln_wire::node::NodeCertificate;

use crate::node_init::message::UserId;
use kiln_files::Directory;

/// Directory of certificates below that of a command.
const DIRECTORY: &str = "certs";
/// Permission bits of that directory: other users of the node see nothing of it.
const DIRECTORY_MODE: u32 = 0o700;
/// Permission bits of the files in it.
const FILE_MODE: u32 = 0o600;

/// The certificates of the pool.
#[derive(Debug)]
pub(crate) struct Certificates(Vec<NodeCertificate>);

impl Certificates {
    pub(crate) fn new(certificates: &[NodeCertificate]) -> Self {
        Self(certificates.to_vec())
    }

    /// Whether all of them are there.
    pub(crate) fn check(&self) -> Result<(), FailureInfo> {
        match self.0.iter().find(|it| it.content.is_none()) {
            None => Ok(()),
            Some(missing) => {
                let message = "A certificate of the pool is not there";
                Err(FailureInfo::user_error("CertificateNotFound", message)
                    .with_detail("Thumbprint", &missing.reference.thumbprint))
            }
        }
    }

    /// Writes those that `who` may see below the directory of a command, for its user alone.
    pub(crate) fn install(
        &self,
        who: Visibility,
        directory: &Directory,
        owner: Option<UserId>,
    ) -> io::Result<()> {
        for NodeCertificate { reference, content } in &self.0 {
            let Some(content) = content.as_ref().filter(|_| reference.is_visible_to(who)) else {
                continue;
            };
            let place = directory.claim(DIRECTORY, owner, DIRECTORY_MODE)?;
            let bytes = STANDARD.decode(&content.data).map_err(io::Error::other)?;
            let algorithm = reference.thumbprint_algorithm.to_ascii_lowercase();
            let thumbprint = reference.thumbprint.to_ascii_lowercase();
            let name = format!("{algorithm}-{thumbprint}.{}", content.format.as_str());
            place.create(&name, owner, FILE_MODE)?.write_all(&bytes)?;
            if content.format == CertificateFormat::Pfx {
                let password = content.password.as_deref().unwrap_or_default();
                let mut file = place.create(&format!("{name}.pw"), owner, FILE_MODE)?;
                file.write_all(password.as_bytes())?;
            }
        }
        Ok(())
    }
}
