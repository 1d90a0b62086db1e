//! Reads the files of certificates: which certificate is in them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kiln_domain::batch::certificate::{CertificateFile, CertificateFormat};
use p12_keystore::Pkcs12Archive;
use sha1::{Digest, Sha1};

/// How a certificate is written as text.
const PEM_BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const PEM_END: &str = "-----END CERTIFICATE-----";

/// Why no certificate was found in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    /// It is no file of its kind.
    #[error("It is no certificate of that format")]
    File,
    /// It is closed, and the password does not open it.
    #[error("It does not open the certificate")]
    Password,
    /// None in it has that thumbprint.
    #[error("It is not the thumbprint of the certificate")]
    Thumbprint,
}

/// The certificate with this thumbprint in a file, as DER.
pub(crate) fn find(
    file: &CertificateFile,
    format: CertificateFormat,
    thumbprint: &str,
) -> Result<Vec<u8>, Unreadable> {
    let found = match format {
        CertificateFormat::Cer => vec![from_cer(&file.bytes)?],
        CertificateFormat::Pfx => from_pfx(file)?,
    };
    let is_meant = |der: &Vec<u8>| thumbprint_of(der).eq_ignore_ascii_case(thumbprint);
    found.into_iter().find(is_meant).ok_or(Unreadable::Thumbprint)
}

/// The thumbprint of a certificate: hexadecimal digits in lower case.
pub(crate) fn thumbprint_of(der: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha1::digest(der).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all that is written");
        text
    })
}

/// A file that is DER, or that as text between lines.
fn from_cer(bytes: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let Some(text) = std::str::from_utf8(bytes).ok().filter(|text| text.contains(PEM_BEGIN)) else {
        return if is_sequence(bytes) { Ok(bytes.to_vec()) } else { Err(Unreadable::File) };
    };
    let (_, rest) = text.split_once(PEM_BEGIN).ok_or(Unreadable::File)?;
    let (body, _) = rest.split_once(PEM_END).ok_or(Unreadable::File)?;
    let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(body).map_err(|_not_base64| Unreadable::File)
}

/// Whether it begins as every certificate does: with an ASN.1 sequence that fills it.
fn is_sequence(bytes: &[u8]) -> bool {
    match bytes {
        [0x30, 0x82, high, low, rest @ ..] => {
            rest.len() == usize::from(u16::from_be_bytes([*high, *low]))
        }
        [0x30, 0x81, length, rest @ ..] => rest.len() == usize::from(*length),
        _ => false,
    }
}

/// The certificates in a PKCS #12 file.
fn from_pfx(file: &CertificateFile) -> Result<Vec<Vec<u8>>, Unreadable> {
    if !is_sequence(&file.bytes) {
        return Err(Unreadable::File);
    }
    let password = file.password.as_deref().unwrap_or_default();
    let archive =
        Pkcs12Archive::from_pkcs12(&file.bytes, password).map_err(|_cause| Unreadable::Password)?;
    Ok(archive.certs.iter().map(|bag| bag.cert.as_der().to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use kiln_domain::batch::certificate::{CertificateFile, CertificateFormat};

    use super::{find, thumbprint_of};

    const THUMBPRINT: &str = "04a6545d2a5f35e09c94383e6c38fdd06bba3a1e";
    const CERTIFICATE: &[u8] = include_bytes!("../tests/certificates/certificate.cer");
    /// `publicData` of a certificate as the service showed it, whose thumbprint it gave as
    /// `cff2ab63c8c955aaf71989efa641b906558d9fb7`.
    const RECORDED: &str = "MIIBrzCCAV2gAwIBAgIQHZGt2k0LCLFKYYCFxlJnkTAJBgUrDgMCHQUAMBYxFDASBgNV\
        BAMTC1Jvb3QgQWdlbmN5MB4XDTE2MDEwMTA3MDAwMFoXDTE4MDEwMTA3MDAwMFowEjEQMA4GA1UEAxMHbm9kZXNka\
        zCBnzANBgkqhkiG9w0BAQEFAAOBjQAwgYkCgYEAuX4XMWyR8cQRCA81TjHOerNOFOpOBj2O8jEdZvqwRlUYgMleEY\
        2OlPd+nalxwlQ9+qbNkNGfjnhIMgiJ5CMlXgdRMF3E6DnMnktmHFG9L0VmQ6Lgt7bhXR8IitRHeYlvy5LJlw6Lcle\
        5Kas2j4ThYjLQbjBMDSXD4HvZNe4UYEUCAwEAAaNLMEkwRwYDVR0BBEAwPoAQEuQJLQYdHU8AjWEh3BZkY6EYMBYx\
        FDASBgNVBAMTC1Jvb3QgQWdlbmN5ghAGN2wAqgBkihHPuNSqXDX0MAkGBSsOAwIdBQADQQB5djPe0G6c3Z8DuR6EQ\
        bIhBMTnC0zYPhigq+x1LG83761Ir8PiSy+6oxwCHOaYZyvheW0PByntC/WFwUipfn78";

    fn file(bytes: &[u8], password: Option<&str>) -> CertificateFile {
        CertificateFile { bytes: bytes.to_vec(), password: password.map(str::to_owned) }
    }

    #[track_caller]
    fn check(bytes: &[u8], password: Option<&str>, format: CertificateFormat, expected: &str) {
        let said = match find(&file(bytes, password), format, THUMBPRINT) {
            Ok(der) => thumbprint_of(&der),
            Err(cause) => cause.to_string(),
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn a_thumbprint_is_the_digest_of_a_certificate() {
        let recorded = STANDARD.decode(RECORDED).expect("base64");
        assert_eq!(thumbprint_of(&recorded), "cff2ab63c8c955aaf71989efa641b906558d9fb7");
        let text =
            format!("note\n-----BEGIN CERTIFICATE-----\n{RECORDED}\n-----END CERTIFICATE-----\n");
        let thumbprint = thumbprint_of(&recorded).to_ascii_uppercase();
        let found = find(&file(text.as_bytes(), None), CertificateFormat::Cer, &thumbprint);
        assert_eq!(found, Ok(recorded));
    }

    #[test]
    fn certificates_are_found_in_their_files() {
        use CertificateFormat::{Cer, Pfx};
        let new = include_bytes!("../tests/certificates/new.pfx");
        let old = include_bytes!("../tests/certificates/old.pfx");
        let open = include_bytes!("../tests/certificates/open.pfx");
        check(CERTIFICATE, None, Cer, THUMBPRINT);
        check(new, Some("hush"), Pfx, THUMBPRINT);
        check(old, Some("hush"), Pfx, THUMBPRINT);
        check(open, None, Pfx, THUMBPRINT);
        check(new, Some("wrong"), Pfx, "It does not open the certificate");
        check(old, None, Pfx, "It does not open the certificate");
        check(b"no certificate", None, Cer, "It is no certificate of that format");
        check(b"", Some("hush"), Pfx, "It is no certificate of that format");
        let other = STANDARD.decode(RECORDED).expect("base64");
        check(&other, None, Cer, "It is not the thumbprint of the certificate");
    }
}
