//! What is known of a storage account as a whole, and what its clients set for it.

use kiln_domain::blob::settings::DelegationSecret;
use kiln_store::Tx;
use kiln_wire::auth::delegation;
use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::service_xml;

use super::access::Access;
use super::answer::{self, Answer};
use super::call::Call;
use super::failure::Failure;
use super::receive;
use crate::http::{Body, Response};
use crate::secrets;

/// Bytes of a document with the properties of a service: room for five rules of 64 long names.
const PROPERTIES_BYTES_MAX: usize = 512 * 1024;
/// Bytes of a request for a key.
const KEY_REQUEST_BYTES_MAX: usize = 16 * 1024;

/// `GET /?restype=service&comp=properties`.
pub(super) fn properties(call: &Call) -> Answer {
    let account = &call.target.account;
    let settings = call.service.store.read(|view| view.storage_settings(account))?;
    Ok(answer::xml(service_xml::write_properties(&settings, &call.gates)))
}

/// `PUT /?restype=service&comp=properties`: what is left out stays as it is.
pub(super) async fn set_properties(call: &Call, body: &mut Body) -> Answer {
    let document = receive::document(body, PROPERTIES_BYTES_MAX).await?;
    let change = service_xml::read_change(&document)?;
    let account = call.target.account.clone();
    let op = move |tx: &mut Tx<'_>| -> Result<(), Failure> {
        let changed = tx.storage_settings(&account)?.changed(change);
        tx.update_storage_settings(&account, &changed.map_err(BlobError::from)?)?;
        Ok(())
    };
    call.service.store.write(op).await?;
    call.service.accounts.forget_storage_settings(&call.target.account);
    Ok(Response::new(202))
}

/// `GET /?restype=service&comp=stats`, of the secondary endpoint only.
pub(super) fn statistics(call: &Call) -> Answer {
    if !call.target.is_secondary {
        let reason = "only the secondary endpoint tells how far it has come";
        return Err(BlobError::invalid_parameter("comp", "stats", reason).into());
    }
    Ok(answer::xml(service_xml::write_statistics(call.received_at)))
}

/// `POST /?restype=service&comp=userdelegationkey`, for somebody with a bearer token.
pub(super) async fn delegation_key(call: &Call, body: &mut Body) -> Answer {
    let Access::Bearer { who, role } = &call.access else {
        let detail = "Only authentication scheme Bearer is supported.";
        return Err(BlobError::authentication_failed(detail).into());
    };
    let document = receive::document(body, KEY_REQUEST_BYTES_MAX).await?;
    let asked = service_xml::read_key_request(&document)?;
    let DelegationSecret(secret) = secret(call).await?;
    let version = call.gates.version.as_str();
    let key = delegation::issue(&secret, who, *role, &asked, version, call.received_at);
    Ok(answer::xml(service_xml::write_key(&key.map_err(BlobError::from)?)))
}

/// What the keys of the account are made under; made now when there is none.
async fn secret(call: &Call) -> Result<DelegationSecret, Failure> {
    let account = call.target.account.clone();
    let known = call.service.store.read(|view| view.storage_settings(&account))?;
    if let Some(secret) = known.delegation_secret {
        return Ok(secret);
    }
    let fresh = DelegationSecret(secrets::key());
    let op = move |tx: &mut Tx<'_>| -> Result<DelegationSecret, Failure> {
        let mut settings = tx.storage_settings(&account)?;
        let secret = settings.delegation_secret.get_or_insert(fresh).clone();
        tx.update_storage_settings(&account, &settings)?;
        Ok(secret)
    };
    let secret = call.service.store.write(op).await?;
    call.service.accounts.forget_storage_settings(&call.target.account);
    Ok(secret)
}

/// `GET ?restype=account&comp=properties`.
#[expect(clippy::unnecessary_wraps, reason = "operations have one signature")]
pub(super) fn information(call: &Call) -> Answer {
    let response = Response::new(200)
        .with_header("x-ms-sku-name", "Standard_LRS")
        .with_header("x-ms-account-kind", "StorageV2");
    if call.gates.has_hierarchy_header() {
        return Ok(response.with_header("x-ms-is-hns-enabled", "false"));
    }
    Ok(response)
}
