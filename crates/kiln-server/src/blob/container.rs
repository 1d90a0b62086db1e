//! Operations on containers.

use kiln_domain::blob::container::{Container, check_policies};
use kiln_domain::blob::lease::{Leased, admit_change, admit_read};
use kiln_domain::blob::name::check_container;
use kiln_domain::blob::rejection::BlobRejection;
use kiln_domain::time::Timestamp;
use kiln_store::{ContainerKey, KeyedContainer};
use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::list::{parse_container_version, public_access_name};
use kiln_wire::blob::xml;

use super::answer::{self, Answer, with_face, with_metadata};
use super::call::Call;
use super::describe::with_lease;
use super::failure::Failure;
use super::guard::Guard;
use super::receive;
use crate::http::{Body, Response};

/// Bytes of a document with stored access policies.
const POLICIES_BYTES_MAX: usize = 64 * 1024;

/// `PUT /CONTAINER?restype=container`.
pub(super) async fn create(call: &Call) -> Answer {
    let spot = call.spot();
    check_container(&spot.container)?;
    let metadata = call.headers().metadata()?;
    let public_access = call.headers().public_access()?;
    let stamps = call.service.stamps.clone();
    let op = move |tx: &mut kiln_store::Tx<'_>| -> Result<Timestamp, Failure> {
        let name = spot.container.clone();
        if tx.container(&spot.account, &name)?.is_some() {
            return Err(BlobRejection::ContainerExists { name }.into());
        }
        let modified_at = stamps.next();
        let container = Container {
            name,
            modified_at,
            metadata,
            public_access,
            policies: Vec::new(),
            lease: None,
            deleted: None,
        };
        tx.insert_container(&spot.account, &container)?;
        Ok(modified_at)
    };
    let modified_at = call.service.store.write(op).await?;
    Ok(with_face(Response::new(201), modified_at, &call.gates))
}

/// `GET` or `HEAD /CONTAINER?restype=container`, also with `comp=metadata`.
pub(super) fn properties(call: &Call) -> Answer {
    let KeyedContainer { container, .. } = load(call)?;
    let response = with_face(Response::new(200), container.modified_at, &call.gates);
    let mut response = with_lease(response, container.lease.as_ref(), call.received_at)
        .with_header("x-ms-has-immutability-policy", "false")
        .with_header("x-ms-has-legal-hold", "false");
    if call.gates.has_public_access_header() {
        response = with_public_access(response, &container);
    }
    Ok(with_metadata(response, &container.metadata))
}

/// `PUT /CONTAINER?restype=container&comp=metadata`.
pub(super) async fn set_metadata(call: &Call) -> Answer {
    let metadata = call.headers().metadata()?;
    change(call, move |container| container.metadata = metadata).await
}

/// `GET` or `HEAD /CONTAINER?restype=container&comp=acl`.
pub(super) fn acl(call: &Call) -> Answer {
    let KeyedContainer { container, .. } = load(call)?;
    let response = answer::xml(xml::write_policies(&container.policies));
    let response = with_face(response, container.modified_at, &call.gates);
    Ok(with_public_access(response, &container))
}

/// `PUT /CONTAINER?restype=container&comp=acl`: replaces policies and public access.
pub(super) async fn set_acl(call: &Call, body: &mut Body) -> Answer {
    let public_access = call.headers().public_access()?;
    let document = receive::document(body, POLICIES_BYTES_MAX).await?;
    let policies = xml::stored_policies(&document)?;
    check_policies(&policies)?;
    change(call, move |container| {
        container.policies = policies;
        container.public_access = public_access;
    })
    .await
}

/// `DELETE /CONTAINER?restype=container`: the name is free at once.
pub(super) async fn delete(call: &Call) -> Answer {
    let spot = call.spot();
    let guard = Guard::of(call)?;
    let deleted_at = call.service.stamps.next();
    let op = move |tx: &mut kiln_store::Tx<'_>| -> Result<(), Failure> {
        let KeyedContainer { key, container } = spot.container(tx)?;
        guard.conditions.decide_change(container.face())?;
        let lease_id = guard.lease_id.as_deref();
        admit_change(Leased::Container, container.lease.as_ref(), lease_id, guard.now)?;
        if tx.has_protection(key, |protection| protection.admit_change(guard.now).is_err())? {
            return Err(BlobRejection::ContainerHasProtectedBlobs { name: container.name }.into());
        }
        let settings = tx.storage_settings(&spot.account)?;
        match settings.container_deletion(deleted_at) {
            Some(deletion) => tx.mark_container_kept(key, deletion)?,
            None => tx.mark_container_deleted(key)?,
        }
        Ok(())
    };
    call.service.store.write(op).await?;
    call.service.reclaim.notify_one();
    Ok(Response::new(202))
}

/// `PUT /CONTAINER?restype=container&comp=undelete`: brings a deleted container back, under the
/// name of the request.
pub(super) async fn restore(call: &Call) -> Answer {
    let header = |name: &str| {
        call.headers().get(name).map(str::to_owned).ok_or_else(|| BlobError::missing_header(name))
    };
    let spot = call.spot();
    check_container(&spot.container)?;
    let deleted_name = header("x-ms-deleted-container-name")?;
    let version = header("x-ms-deleted-container-version")?;
    let number = parse_container_version(&version)
        .ok_or_else(|| BlobError::invalid_header("x-ms-deleted-container-version", &version))?;
    let op = move |tx: &mut kiln_store::Tx<'_>| -> Result<Timestamp, Failure> {
        let key = ContainerKey(number);
        let from = (deleted_name.as_bytes(), key);
        let found = tx.kept_containers(&spot.account, from, 1)?.pop();
        let Some(found) =
            found.filter(|found| found.key == key && found.container.name == deleted_name)
        else {
            return Err(BlobRejection::ContainerNotFound { name: deleted_name }.into());
        };
        if tx.container(&spot.account, &spot.container)?.is_some() {
            return Err(BlobRejection::ContainerExists { name: spot.container }.into());
        }
        tx.restore_container(key, &spot.container)?;
        Ok(found.container.modified_at)
    };
    let modified_at = call.service.store.write(op).await?;
    Ok(with_face(Response::new(201), modified_at, &call.gates))
}

fn load(call: &Call) -> Result<KeyedContainer, Failure> {
    let (spot, guard) = (call.spot(), Guard::of(call)?);
    call.service.store.read(|view| {
        let found = spot.container(view)?;
        let lease_id = guard.lease_id.as_deref();
        admit_read(Leased::Container, found.container.lease.as_ref(), lease_id, guard.now)?;
        Ok(found)
    })
}

/// Changes a container, if the request's conditions let it.
async fn change(call: &Call, apply: impl FnOnce(&mut Container) + Send + 'static) -> Answer {
    let spot = call.spot();
    let guard = Guard::of(call)?;
    let stamps = call.service.stamps.clone();
    let op = move |tx: &mut kiln_store::Tx<'_>| -> Result<Timestamp, Failure> {
        let KeyedContainer { key, mut container } = spot.container(tx)?;
        guard.conditions.decide_change(container.face())?;
        let lease_id = guard.lease_id.as_deref();
        admit_read(Leased::Container, container.lease.as_ref(), lease_id, guard.now)?;
        apply(&mut container);
        container.modified_at = stamps.next();
        tx.update_container(key, &container)?;
        Ok(container.modified_at)
    };
    let modified_at = call.service.store.write(op).await?;
    Ok(with_face(Response::new(200), modified_at, &call.gates))
}

fn with_public_access(response: Response, container: &Container) -> Response {
    match public_access_name(container.public_access) {
        Some(name) => response.with_header("x-ms-blob-public-access", name),
        None => response,
    }
}
