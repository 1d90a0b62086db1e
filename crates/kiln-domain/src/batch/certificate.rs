//! Certificates of an account, which pools put on their nodes. The newest api-version has none.

use serde::{Deserialize, Serialize};

use super::task::NameValue;
use crate::limits;
use crate::rejection::Rejection;
use crate::span::Span;
use crate::time::Timestamp;

/// The one algorithm of thumbprints.
pub const ALGORITHM: &str = "sha1";

/// A certificate that a pool wants on its nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateReference {
    /// Its thumbprint, in lower case.
    pub thumbprint: String,
    /// What the thumbprint was made with.
    pub thumbprint_algorithm: String,
    /// Where on a Windows node it goes; nothing on Linux.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_location: Option<String>,
    /// Where on a Windows node it goes; nothing on Linux.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_name: Option<String>,
    /// Whose processes see it; all when absent or empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub visibility: Vec<String>,
}

/// Whose processes see a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// The start task.
    StartTask,
    /// Tasks of jobs.
    Task,
    /// People who log in.
    RemoteUser,
}

impl CertificateReference {
    /// Whether these processes see it.
    pub fn is_visible_to(&self, who: Visibility) -> bool {
        let name = match who {
            Visibility::StartTask => "starttask",
            Visibility::Task => "task",
            Visibility::RemoteUser => "remoteuser",
        };
        self.visibility.is_empty() || self.visibility.iter().any(|it| it.eq_ignore_ascii_case(name))
    }
}

/// A certificate of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The store's key.
    pub key: i64,
    /// The Batch account.
    pub account: String,
    /// Its thumbprint, in lower case.
    pub thumbprint: String,
    /// What has become of it.
    pub life: CertificateLife,
}

/// What it is made of; not shown in full, and not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct CertificateFile {
    /// The file as it was added.
    pub bytes: Vec<u8>,
    /// Opens the file, if it is a closed one.
    pub password: Option<String>,
}

impl std::fmt::Debug for CertificateFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateFile").finish_non_exhaustive()
    }
}

/// What kind of file a certificate came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CertificateFormat {
    /// With its private key, perhaps closed by a password.
    #[default]
    Pfx,
    /// The certificate alone.
    Cer,
}

impl CertificateFormat {
    /// The end of the names of such files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pfx => "pfx",
            Self::Cer => "cer",
        }
    }
}

/// Where a certificate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CertificateState {
    /// Pools may refer to it.
    Active,
    /// It is about to go, if nothing uses it.
    Deleting,
    /// It could not go, because something uses it.
    DeleteFailed,
}

/// What has become of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateLife {
    /// Where it stands; written by [`step`] alone.
    pub state: CertificateState,
    /// Since when.
    pub state_at: Timestamp,
    /// Where it stood before, and since when.
    pub previous: Option<(CertificateState, Timestamp)>,
    /// What kind of file it came in.
    pub format: CertificateFormat,
    /// The certificate without its private key: DER in base64.
    pub public_data: String,
    /// Why it could not go.
    pub failure: Option<DeletionFailure>,
}

/// Why a certificate could not go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletionFailure {
    /// Azure's name for it.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// What uses it.
    pub values: Vec<NameValue>,
}

/// What uses a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Pools that refer to it.
    pub pools: Vec<String>,
    /// Nodes that have it, though their pools do not refer to it any more.
    pub nodes: Vec<String>,
}

/// What can happen to a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateFact {
    /// A client removes it.
    Deleted,
    /// It is to go, and something uses it.
    InUse(Uses),
    /// A client wants it to stay after all.
    DeletionCanceled,
}

impl CertificateLife {
    /// The life of a certificate that was just added.
    pub fn new(format: CertificateFormat, public_data: String, now: Timestamp) -> Self {
        Self {
            state: CertificateState::Active,
            state_at: now,
            previous: None,
            format,
            public_data,
            failure: None,
        }
    }

    /// When a certificate that is to go goes.
    pub fn goes_at(&self) -> Option<Timestamp> {
        let takes = Span::seconds(limits::CERTIFICATE_DELETION_SECONDS);
        (self.state == CertificateState::Deleting).then(|| self.state_at.plus(takes))
    }

    fn moved(self, state: CertificateState, now: Timestamp) -> Self {
        let previous = Some((self.state, self.state_at));
        Self { state, state_at: now, previous, failure: None, ..self }
    }
}

/// What becomes of a certificate when `fact` happens; the only place that writes its state.
///
/// # Errors
/// When it does not allow it where it stands; nothing changes then.
pub fn step(
    certificate: &Certificate,
    fact: CertificateFact,
    now: Timestamp,
) -> Result<CertificateLife, Rejection> {
    use {CertificateFact as F, CertificateState as S};
    let life = certificate.life.clone();
    let thumbprint = || certificate.thumbprint.clone();
    match (life.state, fact) {
        (S::Active | S::DeleteFailed, F::Deleted) => Ok(life.moved(S::Deleting, now)),
        (S::Deleting, F::InUse(uses)) => {
            let failure = Some(DeletionFailure::of(&uses));
            Ok(CertificateLife { failure, ..life.moved(S::DeleteFailed, now) })
        }
        (S::DeleteFailed, F::DeletionCanceled) => Ok(life.moved(S::Active, now)),
        (S::Active | S::DeleteFailed, F::InUse(_)) => Ok(life),
        (S::Active, F::DeletionCanceled) => {
            Err(Rejection::CertificateActive { thumbprint: thumbprint() })
        }
        (S::Deleting, F::Deleted | F::DeletionCanceled) => {
            Err(Rejection::CertificateBeingDeleted { thumbprint: thumbprint() })
        }
    }
}

impl DeletionFailure {
    fn of(uses: &Uses) -> Self {
        let value =
            |name: &str, ids: &[String]| NameValue { name: name.to_owned(), value: ids.join(", ") };
        if uses.pools.is_empty() {
            Self {
                code: "NodesReferencingCertificate".to_owned(),
                message: "The specified certificate is being used by the below mentioned node(s)"
                    .to_owned(),
                values: vec![value("Nodes", &uses.nodes)],
            }
        } else {
            Self {
                code: "PoolsReferencingCertificate".to_owned(),
                message: "The specified certificate is being used by the below mentioned pool(s)"
                    .to_owned(),
                values: vec![value("Pools", &uses.pools)],
            }
        }
    }
}

/// Whether a thumbprint may be spoken of: hexadecimal digits, made with the one algorithm.
///
/// # Errors
/// When it may not.
pub fn check_thumbprint(algorithm: &str, thumbprint: &str) -> Result<(), Rejection> {
    if !algorithm.eq_ignore_ascii_case(ALGORITHM) {
        let reason = format!("The algorithm of thumbprints is {ALGORITHM}");
        return Err(Rejection::property("thumbprintAlgorithm", algorithm, reason));
    }
    let is_hex = thumbprint.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_hex || thumbprint.len() != limits::THUMBPRINT_DIGITS {
        let reason = format!("A thumbprint has {} hexadecimal digits", limits::THUMBPRINT_DIGITS);
        return Err(Rejection::property("thumbprint", thumbprint, reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{
        Certificate, CertificateFact, CertificateFormat, CertificateLife, CertificateReference,
        Uses, Visibility, check_thumbprint, step,
    };
    use crate::span::Span;
    use crate::time::Timestamp;

    fn certificate() -> Certificate {
        let life = CertificateLife::new(CertificateFormat::Cer, String::new(), Timestamp(0));
        Certificate { key: 1, account: "a".to_owned(), thumbprint: "ff".to_owned(), life }
    }

    #[track_caller]
    fn check(facts: &[CertificateFact], expected: &str) {
        let mut certificate = certificate();
        let mut said = Vec::new();
        for (second, fact) in (1..).zip(facts) {
            match step(&certificate, fact.clone(), Timestamp(second)) {
                Ok(life) => {
                    let failure = life.failure.as_ref().map_or("", |it| it.code.as_str());
                    said.push(format!("{:?} {failure}", life.state).trim().to_owned());
                    certificate.life = life;
                }
                Err(rejection) => said.push(rejection.to_string()),
            }
        }
        assert_eq!(said.join(", "), expected);
    }

    #[test]
    fn lives_of_certificates() {
        use CertificateFact as F;
        let used = |pools: &[&str], nodes: &[&str]| {
            let owned = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect();
            F::InUse(Uses { pools: owned(pools), nodes: owned(nodes) })
        };
        check(
            &[F::DeletionCanceled, F::Deleted, F::Deleted, F::DeletionCanceled],
            "certificate `ff` is not being deleted, Deleting, certificate `ff` is being deleted, \
             certificate `ff` is being deleted",
        );
        check(
            &[F::Deleted, used(&["p"], &["n"]), F::DeletionCanceled, used(&["p"], &[])],
            "Deleting, DeleteFailed PoolsReferencingCertificate, Active, Active",
        );
        check(
            &[F::Deleted, used(&[], &["n"]), F::Deleted],
            "Deleting, DeleteFailed NodesReferencingCertificate, Deleting",
        );
    }

    #[test]
    fn a_deletion_takes_a_moment() {
        let mut certificate = certificate();
        assert_eq!(certificate.life.goes_at(), None);
        let now = Timestamp(0).plus(Span::seconds(60));
        certificate.life = step(&certificate, CertificateFact::Deleted, now).expect("it may go");
        assert!(certificate.life.goes_at().is_some_and(|at| at > now));
    }

    #[test]
    fn thumbprints_have_forty_digits() {
        let good = "CFF2AB63c8c955aaf71989efa641b906558d9fb7";
        assert!(check_thumbprint("SHA1", good).is_ok());
        assert!(check_thumbprint("sha256", good).is_err());
        for bad in ["", "ff", &good.replace('f', "g"), &format!("{good}0")] {
            assert!(check_thumbprint("sha1", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn references_say_who_sees_them() {
        let reference =
            |json: &str| serde_json::from_str::<CertificateReference>(json).expect("a reference");
        let all = reference(r#"{"thumbprint":"ff","thumbprintAlgorithm":"sha1"}"#);
        let some = reference(
            r#"{"thumbprint":"ff","thumbprintAlgorithm":"sha1","visibility":["startTask"]}"#,
        );
        assert!(all.is_visible_to(Visibility::Task));
        assert!(some.is_visible_to(Visibility::StartTask));
        assert!(!some.is_visible_to(Visibility::Task));
    }
}
