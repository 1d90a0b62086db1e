//! The certificates a program trusts: the system's and the authority's, in one file.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Where distributions keep the certificates of the public authorities.
const SYSTEM_BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/ssl/cert.pem",
];

/// The file of public authorities to build on: `named` (from `SSL_CERT_FILE`) if it can be
/// read and is not `own`, else the distribution's.
pub fn system_bundle(named: Option<&Path>, own: &Path) -> Option<PathBuf> {
    let named = named.filter(|path| !is_same_file(path, own));
    named
        .into_iter()
        .chain(SYSTEM_BUNDLES.iter().map(Path::new))
        .find(|path| fs::File::open(path).is_ok())
        .map(Path::to_path_buf)
}

/// Joins the system's certificates and `authority_pem`.
pub(super) fn join(system: Option<&Path>, authority_pem: &str) -> io::Result<String> {
    let mut bundle = match system {
        Some(path) => fs::read_to_string(path)?,
        None => String::new(),
    };
    if !bundle.is_empty() && !bundle.ends_with('\n') {
        bundle.push('\n');
    }
    bundle.push_str(authority_pem);
    Ok(bundle)
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        (Ok(_) | Err(_), Err(_)) | (Err(_), Ok(_)) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn certificates_start_on_their_own_line() {
        let dir = std::env::temp_dir().join(format!("kiln-trust-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let system = dir.join("system.pem");
        std::fs::write(&system, "SYSTEM").expect("a file");
        assert_eq!(join(Some(&system), "OWN\n").expect("a bundle"), "SYSTEM\nOWN\n");
        assert_eq!(join(None, "OWN\n").expect("a bundle"), "OWN\n");
        std::fs::remove_dir_all(&dir).expect("to remove it");
    }
}
