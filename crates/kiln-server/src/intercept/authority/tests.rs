//! A leaf must pass a strict client; a name outside the constraints must not.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use kiln_domain::time::Timestamp;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::{Authority, DAY};

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kiln-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a scratch directory");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("to remove the scratch directory");
    }
}

fn now() -> Timestamp {
    Timestamp::parse_iso("2026-11-22T12:00:00Z").expect("a time")
}

fn verify(authority: &Authority, leaf: &CertificateDer<'_>, name: &str) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .expect("a verifier");
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let at = UnixTime::since_unix_epoch(now().since(Timestamp::from_ticks(0)));
    match verifier.verify_server_cert(leaf, &[], &name, &[], at) {
        Ok(_) => "trusted".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

#[test]
fn leaves_are_trusted_for_azure_and_nothing_else() {
    let scratch = Scratch::new("authority");
    let authority = Authority::open(&scratch.0, None, now()).expect("an authority");
    for name in [
        "acc.blob.core.windows.net",
        "kilndev.westeurope.batch.azure.com",
        "login.microsoftonline.com",
        "management.azure.com",
    ] {
        let leaf = authority.sign(name, now()).expect("a leaf");
        assert_eq!(verify(&authority, &leaf, name), "trusted", "{name}");
        assert_ne!(verify(&authority, &leaf, "other.blob.core.windows.net"), "trusted");
    }
    for name in ["example.com", "core.windows.net", "acc.queue.core.windows.net", "127.0.0.1"] {
        let leaf = authority.sign(name, now()).expect("a leaf");
        let refusal = verify(&authority, &leaf, name);
        assert!(refusal.contains("NameConstraint"), "{name}: {refusal}");
    }
}

#[test]
fn the_authority_outlives_the_process() {
    let scratch = Scratch::new("authority-again");
    let first = Authority::open(&scratch.0, None, now()).expect("an authority");
    let again = Authority::open(&scratch.0, None, now()).expect("the same authority");
    assert_eq!(first.certificate(), again.certificate());
    let name = "acc.blob.core.windows.net";
    let leaf = again.sign(name, now()).expect("a leaf");
    assert_eq!(verify(&first, &leaf, name), "trusted");

    let mode = |file: &str| {
        let metadata = std::fs::metadata(scratch.0.join(file)).expect("a file");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode("ca-key.pem"), 0o600);
    let bundle = std::fs::read_to_string(first.trust_bundle()).expect("a bundle");
    assert_eq!(bundle, std::fs::read_to_string(first.ca_file()).expect("a certificate"));
}

#[test]
fn leaves_are_kept_while_fresh() {
    let scratch = Scratch::new("authority-leaves");
    let authority = Authority::open(&scratch.0, None, now()).expect("an authority");
    let config = |at| authority.server_config("Acc.blob.core.windows.net", at).expect("a config");
    let first = config(now());
    assert!(Arc::ptr_eq(&first, &config(now())));
    let span = i64::try_from((DAY * 200).as_nanos() / 100).expect("it fits");
    let later = Timestamp::from_ticks(now().0 + span);
    assert!(!Arc::ptr_eq(&first, &config(later)));
}

#[test]
fn damage_is_told_with_its_place() {
    let scratch = Scratch::new("authority-damage");
    std::fs::write(scratch.0.join("ca-key.pem"), "x").expect("a file");
    std::fs::write(scratch.0.join("ca.pem"), "x").expect("a file");
    let error = Authority::open(&scratch.0, None, now()).expect_err("damage").to_string();
    assert!(error.contains("is damaged; remove the directory"), "{error}");
}
