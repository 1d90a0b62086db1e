//! The private certificate authority of one Kiln installation.
//!
//! Its key never leaves `DATA/tls` and is readable by its owner only. Its certificate is
//! constrained to Azure's four domains, so that even a stolen key can not pose as anyone else.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, fs, io};

use kiln_domain::time::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::intercept::host::DOMAINS;
use crate::intercept::trust;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Life of the authority's certificate.
const AUTHORITY_DAYS: u32 = 3650;
/// Life of a host's certificate; longer ones are refused by some systems.
const LEAF_DAYS: u32 = 396;
/// Age at which a host's certificate is replaced.
const LEAF_FRESH_DAYS: u32 = 180;
/// Host certificates kept ready.
const LEAVES_MAX: usize = 256;

/// Why the authority can not be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file of the authority can not be read or written.
    #[error("cannot {verb} `{}`", path.display())]
    File {
        /// What was tried.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Key or certificate are damaged.
    #[error(
        "`{}` is damaged; remove the directory and Kiln makes a new authority",
        directory.display()
    )]
    Damaged {
        /// Where they lie.
        directory: PathBuf,
        /// What is wrong with them.
        source: rcgen::Error,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate for `{name}`")]
    Sign {
        /// Whose.
        name: String,
        /// Why not.
        source: rcgen::Error,
    },
    /// The TLS library refuses the certificate.
    #[error("cannot use the certificate for `{name}`")]
    Tls {
        /// Whose.
        name: String,
        /// Why not.
        source: rustls::Error,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    NoRandomness(getrandom::Error),
}

/// Signs certificates for Azure's host names.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    leaf_key: KeyPair,
    ca_file: PathBuf,
    trust_bundle: PathBuf,
    leaves: Mutex<BTreeMap<String, Leaf>>,
}

struct Leaf {
    made_at: Timestamp,
    config: Arc<ServerConfig>,
}

impl Authority {
    /// Opens the authority in `directory`, making it on first use, and renews the trust
    /// bundle beside it from `system_bundle`.
    pub fn open(
        directory: &Path,
        system_bundle: Option<&Path>,
        now: Timestamp,
    ) -> Result<Self, AuthorityError> {
        let key_file = directory.join("ca-key.pem");
        let ca_file = directory.join("ca.pem");
        let trust_bundle = directory.join("trust-bundle.pem");
        if !(key_file.exists() && ca_file.exists()) {
            make(directory, &key_file, &ca_file, now)?;
        }
        let read =
            |path: &Path| fs::read_to_string(path).map_err(|source| file("read", path, source));
        let damaged = |source| AuthorityError::Damaged { directory: directory.into(), source };
        let key = KeyPair::from_pem(&read(&key_file)?).map_err(damaged)?;
        let pem = read(&ca_file)?;
        let certificate =
            der_of(&pem).ok_or(rcgen::Error::CouldNotParseCertificate).map_err(damaged)?;
        let issuer = Issuer::from_ca_cert_pem(&pem, key).map_err(damaged)?;
        let leaf_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
            .map_err(|source| AuthorityError::Sign { name: "any host".to_owned(), source })?;
        let bundle = trust::join(system_bundle, &pem)
            .map_err(|source| file("read", system_bundle.unwrap_or(&ca_file), source))?;
        replace(&trust_bundle, bundle.as_bytes(), 0o644)?;
        let leaves = Mutex::new(BTreeMap::new());
        Ok(Self { issuer, certificate, leaf_key, ca_file, trust_bundle, leaves })
    }

    /// The authority's certificate.
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// The system's certificates and the authority's.
    pub fn trust_bundle(&self) -> &Path {
        &self.trust_bundle
    }

    /// The authority's certificate in DER.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// How to speak TLS as `host`: HTTP/1.1 with a certificate for exactly this name.
    pub fn server_config(
        &self,
        host: &str,
        now: Timestamp,
    ) -> Result<Arc<ServerConfig>, AuthorityError> {
        let host = host.to_ascii_lowercase();
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leaf) = leaves.get(&host)
            && now.since(leaf.made_at) < DAY * LEAF_FRESH_DAYS
        {
            return Ok(Arc::clone(&leaf.config));
        }
        let config = Arc::new(self.make_config(&host, now)?);
        if leaves.len() >= LEAVES_MAX {
            leaves.clear();
        }
        leaves.insert(host, Leaf { made_at: now, config: Arc::clone(&config) });
        Ok(config)
    }

    fn make_config(&self, host: &str, now: Timestamp) -> Result<ServerConfig, AuthorityError> {
        let leaf = self.sign(host, now)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.leaf_key.serialize_der()));
        let tls = |source| AuthorityError::Tls { name: host.to_owned(), source };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(tls)?
            .with_no_client_auth()
            .with_single_cert(vec![leaf], key)
            .map_err(tls)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn sign(&self, host: &str, now: Timestamp) -> Result<CertificateDer<'static>, AuthorityError> {
        let sign = |source| AuthorityError::Sign { name: host.to_owned(), source };
        let mut params = CertificateParams::new(vec![host.to_owned()]).map_err(sign)?;
        params.distinguished_name = named("Kiln host");
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        set_life(&mut params, now, LEAF_DAYS)?;
        Ok(params.signed_by(&self.leaf_key, &self.issuer).map_err(sign)?.der().clone())
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("ca_file", &self.ca_file).finish_non_exhaustive()
    }
}

/// Makes key and certificate, key first: a certificate is only ever there with its key.
fn make(
    directory: &Path,
    key_file: &Path,
    ca_file: &Path,
    now: Timestamp,
) -> Result<(), AuthorityError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|source| file("make", directory, source))?;
    let sign = |source| AuthorityError::Sign { name: "the authority".to_owned(), source };
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(sign)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = named("Kiln local authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: DOMAINS.map(|name| GeneralSubtree::DnsName(name.to_owned())).into(),
        excluded_subtrees: vec![
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([0; 4], 0)),
            GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix([0; 16], 0)),
        ],
    });
    set_life(&mut params, now, AUTHORITY_DAYS)?;
    let certificate = params.self_signed(&key).map_err(sign)?;
    replace(key_file, key.serialize_pem().as_bytes(), 0o600)?;
    replace(ca_file, certificate.pem().as_bytes(), 0o644)
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Kiln");
    name.push(DnType::CommonName, common_name);
    name
}

/// Valid from the day before `now`, for clocks that run behind; with a serial of its own.
fn set_life(
    params: &mut CertificateParams,
    now: Timestamp,
    days: u32,
) -> Result<(), AuthorityError> {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let today = now.truncated_to_seconds().since(Timestamp::from_ticks(0));
    params.not_before = epoch + today.saturating_sub(DAY);
    params.not_after = epoch + today + DAY * days;
    let mut serial = [0_u8; 16];
    getrandom::fill(&mut serial).map_err(AuthorityError::NoRandomness)?;
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(())
}

fn der_of(pem: &str) -> Option<CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject as _;
    CertificateDer::from_pem_slice(pem.as_bytes()).ok()
}

/// Writes a file whole or not at all.
fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), AuthorityError> {
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let write = || {
        let mut options = fs::OpenOptions::new();
        let mut out = options.write(true).create(true).truncate(true).mode(mode).open(&beside)?;
        out.write_all(content)?;
        out.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(|source| file("write", path, source))
}

fn file(verb: &'static str, path: &Path, source: io::Error) -> AuthorityError {
    AuthorityError::File { verb, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
