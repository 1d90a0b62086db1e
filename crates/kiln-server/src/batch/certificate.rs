//! Certificates: add, get, list, delete, cancel the deletion. Their files and passwords go to
//! nodes and to nobody else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kiln_domain::batch::certificate::{
    self as rules, Certificate, CertificateFact, CertificateFile, CertificateFormat,
    CertificateLife, CertificateReference, CertificateState, Uses,
};
use kiln_domain::batch::change::Change;
use kiln_domain::limits::{CERTIFICATE_BYTES_MAX, CERTIFICATES_MAX, PAGE_ITEMS_MAX};
use kiln_domain::rejection::Rejection;
use kiln_store::{StoreError, View};
use kiln_wire::batch::certificate::{location, named, tree};
use kiln_wire::batch::error::Refusal;
use kiln_wire::batch::odata::List;
use kiln_wire::batch::{Shape, metadata};
use serde::Deserialize;

use super::answer::Answer;
use super::call::Call;
use super::error::OpError;
use super::page::Page;
use super::spec;
use crate::certificate_file::{self, Unreadable};
use crate::kept;

/// What a client adds; not printed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewCertificate {
    thumbprint: String,
    thumbprint_algorithm: String,
    data: String,
    #[serde(default)]
    certificate_format: CertificateFormat,
    password: Option<String>,
}

/// `POST /certificates`.
pub(super) async fn add(call: &Call) -> Result<Answer, Refusal> {
    let body = call.lift(Shape::CertificateAdd)?;
    let new: NewCertificate = spec::read(&body, "certificate")?;
    rules::check_thumbprint(&new.thumbprint_algorithm, &new.thumbprint)?;
    let (thumbprint, format) = (new.thumbprint.clone(), new.certificate_format);
    let file = file_of(new)?;
    let meant = thumbprint.clone();
    // A closed file takes some work to open.
    let opening = tokio::task::spawn_blocking(move || {
        certificate_file::find(&file, format, &meant).map(|der| (file, STANDARD.encode(der)))
    });
    let opened = opening.await.map_err(|_panicked| Refusal::internal_error())?;
    let (file, public_data) = opened.map_err(|cause| unreadable(cause, &thumbprint))?;
    let life = CertificateLife::new(format, public_data, call.now);
    let (account, added) = (call.account.clone(), thumbprint.clone());
    call.server
        .store
        .write(move |tx| {
            refuse_existing(tx, &account, &added)?;
            if tx.certificates_after(&account, "", CERTIFICATES_MAX)?.len() == CERTIFICATES_MAX {
                return Err(Rejection::CertificateQuotaReached { limit: CERTIFICATES_MAX }.into());
            }
            Ok::<_, OpError>(tx.insert_certificate(&account, &added, &life, &file)?)
        })
        .await?;
    let url = location(&call.base_url, &thumbprint);
    Ok(Answer::new(201).header("Location", url.clone()).header("DataServiceId", url))
}

/// `GET /certificates`.
pub(super) fn list(call: &Call) -> Result<Answer, Refusal> {
    let page = Page::of(call, Shape::Certificate, Some(List::Certificates))?;
    page.collect(metadata::CERTIFICATES, |after, limit| {
        call.server.store.read(|view| {
            let certificates = view.certificates_after(&call.account, after, limit)?;
            let shown = |it: Certificate| (it.thumbprint.clone(), tree(&it, &call.base_url));
            Ok(certificates.into_iter().map(shown).collect())
        })
    })
}

/// `GET /certificates(thumbprintAlgorithm=sha1,thumbprint=T)`.
pub(super) fn get(call: &Call, path: &str) -> Result<Answer, Refusal> {
    let certificate = call.server.store.read(|view| find(view, &call.account, path))?;
    let page = Page::of(call, Shape::Certificate, None)?;
    page.single(metadata::CERTIFICATES, tree(&certificate, &call.base_url))
}

/// `DELETE /certificates(thumbprintAlgorithm=sha1,thumbprint=T)`: it goes soon, unless something
/// uses it.
pub(super) async fn delete(call: &Call, path: &str) -> Result<Answer, Refusal> {
    take(call, path, CertificateFact::Deleted).await?;
    Ok(Answer::new(202))
}

/// `POST /certificates(thumbprintAlgorithm=sha1,thumbprint=T)/canceldelete`.
pub(super) async fn cancel_deletion(call: &Call, path: &str) -> Result<Answer, Refusal> {
    take(call, path, CertificateFact::DeletionCanceled).await?;
    Ok(Answer::new(204).header("DataServiceId", call.url()))
}

/// Lets `fact` happen to a certificate.
async fn take(call: &Call, path: &str, fact: CertificateFact) -> Result<(), Refusal> {
    let (account, path, now) = (call.account.clone(), path.to_owned(), call.now);
    call.server
        .store
        .write(move |tx| {
            let certificate = find(tx, &account, &path)?;
            let life = rules::step(&certificate, fact, now)?;
            tx.update_certificate(certificate.key, &life)?;
            tx.announce(Change::Certificate { certificate_key: certificate.key });
            Ok::<_, OpError>(())
        })
        .await?;
    Ok(())
}

/// The file that a client sent.
fn file_of(new: NewCertificate) -> Result<CertificateFile, Rejection> {
    let invalid = |name: &str, reason: &str| Rejection::property(name, "", reason);
    if new.certificate_format == CertificateFormat::Cer && new.password.is_some() {
        return Err(invalid("password", "A certificate of format cer has no password"));
    }
    let bytes = STANDARD.decode(new.data.trim());
    let bytes = bytes.map_err(|_not_base64| invalid("data", "The value must be base64"))?;
    if bytes.len() > CERTIFICATE_BYTES_MAX {
        let reason = format!("A certificate has at most {CERTIFICATE_BYTES_MAX} bytes");
        return Err(Rejection::property("data", "", reason));
    }
    Ok(CertificateFile { bytes, password: new.password })
}

/// Which member is wrong; neither the file nor its password is repeated.
fn unreadable(cause: Unreadable, thumbprint: &str) -> Rejection {
    match cause {
        Unreadable::File => Rejection::property("data", "", cause.to_string()),
        Unreadable::Password => Rejection::property("password", "", cause.to_string()),
        Unreadable::Thumbprint => Rejection::property("thumbprint", thumbprint, cause.to_string()),
    }
}

/// The certificate that a segment of a path names.
fn find(view: &View<'_>, account: &str, path: &str) -> Result<Certificate, OpError> {
    let (algorithm, thumbprint) = named(path).unwrap_or_default();
    let thumbprint = thumbprint.to_ascii_lowercase();
    let not_found = || Rejection::CertificateNotFound { thumbprint: thumbprint.clone() };
    if !algorithm.eq_ignore_ascii_case(rules::ALGORITHM) {
        return Err(not_found().into());
    }
    Ok(view.certificate(account, &thumbprint)?.ok_or_else(not_found)?)
}

fn refuse_existing(view: &View<'_>, account: &str, thumbprint: &str) -> Result<(), OpError> {
    let Some(certificate) = view.certificate(account, thumbprint)? else { return Ok(()) };
    let thumbprint = certificate.thumbprint;
    Err(match certificate.life.state {
        CertificateState::Deleting => Rejection::CertificateBeingDeleted { thumbprint },
        CertificateState::Active | CertificateState::DeleteFailed => {
            Rejection::CertificateExists { thumbprint }
        }
    }
    .into())
}

/// Refuses references of a pool to certificates that are not there or are about to go.
pub(super) fn check_references(
    view: &View<'_>,
    account: &str,
    references: &[CertificateReference],
) -> Result<(), OpError> {
    for CertificateReference { thumbprint, thumbprint_algorithm, .. } in references {
        rules::check_thumbprint(thumbprint_algorithm, thumbprint)
            .map_err(|rejection| rejection.within("certificateReferences"))?;
        let found = view.certificate(account, &thumbprint.to_ascii_lowercase())?;
        if found.is_none_or(|it| it.life.state != CertificateState::Active) {
            let thumbprint = thumbprint.clone();
            return Err(Rejection::CertificateReferenceInvalid { thumbprint }.into());
        }
    }
    Ok(())
}

/// What uses a certificate: pools that refer to it, and nodes that have it from a time when
/// their pools did.
pub(crate) fn uses(view: &View<'_>, certificate: &Certificate) -> Result<Uses, StoreError> {
    let is_meant = |reference: &CertificateReference| {
        reference.thumbprint.eq_ignore_ascii_case(&certificate.thumbprint)
    };
    let mut uses = Uses::default();
    let mut after = String::new();
    loop {
        let pools = view.pools_after(&certificate.account, &after, PAGE_ITEMS_MAX)?;
        let Some(last) = pools.last() else { return Ok(uses) };
        after.clone_from(&last.id);
        for pool in pools {
            if kept::pool_spec(&pool)?.certificate_references.iter().any(is_meant) {
                uses.pools.push(pool.id);
                continue;
            }
            let nodes = view.nodes_of_pool(pool.key)?.into_iter();
            let having = nodes.filter(|node| node.life.certificates.iter().any(is_meant));
            uses.nodes.extend(having.map(|node| node.id));
        }
    }
}
