//! The account and its containers.

use std::collections::HashMap;

use azure_core::http::StatusCode;
use azure_storage_blob::models::{
    AccessPolicy, BlobContainerClientAcquireLeaseResultHeaders as _,
    BlobContainerClientGetPropertiesResultHeaders as _, BlobContainerClientListBlobsOptions,
    BlobServiceClientGetAccountInfoResultHeaders as _, BlobServiceClientListContainersOptions,
    BlobServiceProperties, SignedIdentifier, SignedIdentifiers,
};
use futures::TryStreamExt;

use crate::{Result, World, body, expect, refused};

pub(crate) async fn service(world: &World) -> Result {
    let service = &world.service;
    let information = service.get_account_info(None).await?;
    expect(format!("{:?}", information.account_kind()?), "Some(StorageV2)".to_owned())?;
    let properties = service.get_properties(None).await?.into_model()?;
    let version = properties.default_service_version.clone();
    let changed = BlobServiceProperties {
        default_service_version: Some("2021-12-02".to_owned()),
        ..Default::default()
    };
    service.set_properties(changed.try_into()?, None).await?;
    let kept = service.get_properties(None).await?.into_model()?;
    expect(kept.default_service_version.as_deref(), Some("2021-12-02"))?;
    if version.is_some() {
        let back = BlobServiceProperties { default_service_version: version, ..Default::default() };
        service.set_properties(back.try_into()?, None).await?;
    }
    Ok(())
}

pub(crate) async fn containers(world: &World) -> Result {
    let container = world.container("rust").await?;
    refused(container.create(None).await, StatusCode::Conflict, "ContainerAlreadyExists")?;
    expect(container.exists().await?, true)?;
    let metadata = HashMap::from([("of".to_owned(), "rust".to_owned())]);
    container.set_metadata(&metadata, None).await?;
    let found = container.get_properties(None).await?.metadata()?;
    expect(found.get("of").map(String::as_str), Some("rust"))?;
    container.get_account_info(None).await?;
    let options = BlobServiceClientListContainersOptions {
        prefix: Some(format!("rust-{}", world.suffix)),
        ..Default::default()
    };
    let mut pages = world.service.list_containers(Some(options))?.into_pages();
    let mut names = Vec::new();
    while let Some(page) = pages.try_next().await? {
        names.extend(page.into_model()?.container_items.into_iter().filter_map(|it| it.name));
    }
    expect(names, vec![format!("rust-{}", world.suffix)])?;
    container.delete(None).await?;
    expect(container.exists().await?, false)?;
    refused(container.get_properties(None).await, StatusCode::NotFound, "ContainerNotFound")
}

pub(crate) async fn policies(world: &World) -> Result {
    let container = world.container("rust-policies").await?;
    let policy = AccessPolicy { permission: Some("r".to_owned()), ..Default::default() };
    let named = SignedIdentifier { id: Some("readers".to_owned()), access_policy: Some(policy) };
    let policies = SignedIdentifiers { items: Some(vec![named]) };
    // What is for the owner of the key no signature allows.
    let set = container.set_access_policy(policies.try_into()?, None).await;
    refused(set, StatusCode::Forbidden, "AuthorizationPermissionMismatch")?;
    let got = container.get_access_policy(None).await;
    refused(got, StatusCode::Forbidden, "AuthorizationPermissionMismatch")
}

pub(crate) async fn leases(world: &World) -> Result {
    let container = world.container("rust-leases").await?;
    let id = container.acquire_lease(15, None).await?.lease_id()?.unwrap_or_default();
    refused(container.delete(None).await, StatusCode::PreconditionFailed, "LeaseIdMissing")?;
    container.renew_lease(id.clone(), None).await?;
    let other = "11111111-2222-3333-4444-555555555555".to_owned();
    container.change_lease(id, other.clone(), None).await?;
    container.release_lease(other, None).await?;
    container.acquire_lease(-1, None).await?;
    container.break_lease(None).await?;
    container.delete(None).await?;
    Ok(())
}

pub(crate) async fn lists(world: &World) -> Result {
    let container = world.container("rust-lists").await?;
    for name in ["a/1", "a/2", "b c", "d&<e>"] {
        container.blob_client(name).upload(body(b"x"), None).await?;
    }
    let options = BlobContainerClientListBlobsOptions { maxresults: Some(3), ..Default::default() };
    let mut pages = container.list_blobs(Some(options))?.into_pages();
    let mut sizes = Vec::new();
    let mut names = Vec::new();
    while let Some(page) = pages.try_next().await? {
        let items = page.into_model()?.blob_items;
        sizes.push(items.len());
        names.extend(items.into_iter().filter_map(|it| it.name));
    }
    expect(sizes, vec![3, 1])?;
    expect(names, ["a/1", "a/2", "b c", "d&<e>"].map(str::to_owned).to_vec())
}
