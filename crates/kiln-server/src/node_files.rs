//! Opens for nodes what clients name without a signature: containers of the linked storage
//! account, and blobs that an identity of the pool may read or write.
//!
//! Signatures are made when a command leaves, so that none is kept and none grows old while a
//! task waits.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kiln_domain::batch::application::{PackageLife, PackageReference, PackageState};
use kiln_domain::batch::certificate::CertificateFile;
use kiln_domain::batch::command::{OutputFile, ResourceFile};
use kiln_domain::batch::mount::{BlobMount, Secret};
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use kiln_store::{Account, AccountKind, StoreError, View};
use kiln_wire::auth::sas::{Terms, container_sas};
use kiln_wire::blob::target::{Address, Target};
use kiln_wire::node::{
    CertificateContent, Mount, NodeCertificate, Package, PackageSource, ToAgent,
};
use tracing::warn;

use crate::intercept::AzureHost;
use crate::server::Server;
use crate::{clock, linked_storage};

/// Time for which a node may fetch.
const READ_FOR: Span = Span::days(1);
/// Time for which a node may upload: as long as a task may take.
const WRITE_FOR: Span = Span::days(180);
/// Time for which a node may use what it mounts: longer than any node lives.
const MOUNT_FOR: Span = Span::days(3650);
/// What fetching needs: to read and to list.
const READ: &str = "rl";
/// What uploading needs: to create and to write.
const WRITE: &str = "cw";
/// What a mount needs: all that can be done with blobs.
const MOUNT: &str = "racwdl";

/// Opens what a command to a node of the Batch account `batch` names.
///
/// # Errors
/// When the store fails.
pub(crate) fn open(server: &Server, batch: &str, message: &mut ToAgent) -> Result<(), StoreError> {
    let now = clock::now();
    match message {
        ToAgent::Run(run) => {
            open_packages(server, batch, &mut run.packages, now)?;
            open_resources(server, batch, &mut run.task.resource_files, now)?;
            if let Some(instance) = &mut run.instance {
                open_resources(server, batch, &mut instance.common_resource_files, now)?;
            }
            open_outputs(server, &mut run.task.output_files, now)
        }
        ToAgent::Prepare(prepare) => {
            open_packages(server, batch, &mut prepare.packages, now)?;
            open_certificates(server, batch, &mut prepare.certificates)?;
            open_mounts(server, &mut prepare.mounts, now)?;
            let start_task = prepare.start_task.as_mut();
            let files = start_task.map(|it| it.resource_files.as_mut_slice()).unwrap_or_default();
            open_resources(server, batch, files, now)
        }
        // A shell finds what is there; it brings nothing.
        ToAgent::Shell { run: Some(run), .. } => {
            open_packages(server, batch, &mut run.packages, now)
        }
        ToAgent::Shell { run: None, .. }
        | ToAgent::Welcome { .. }
        | ToAgent::Refused { .. }
        | ToAgent::Stop { .. }
        | ToAgent::RemoveDirectory { .. }
        | ToAgent::Files { .. }
        | ToAgent::Request { .. }
        | ToAgent::CancelStream { .. }
        | ToAgent::AwaitRetention
        | ToAgent::Acknowledge { .. }
        | ToAgent::Leave => Ok(()),
    }
}

/// Adds what certificates are made of.
fn open_certificates(
    server: &Server,
    batch: &str,
    certificates: &mut [NodeCertificate],
) -> Result<(), StoreError> {
    for NodeCertificate { reference, content } in certificates {
        *content = server.store.read(|view| {
            let thumbprint = reference.thumbprint.to_ascii_lowercase();
            let Some(found) = view.certificate(batch, &thumbprint)? else { return Ok(None) };
            let file = view.certificate_file(found.key)?;
            Ok::<_, StoreError>(file.map(|CertificateFile { bytes, password }| {
                let (format, data) = (found.life.format, STANDARD.encode(bytes));
                CertificateContent { format, data, password }
            }))
        })?;
    }
    Ok(())
}

/// Says where containers that are mounted are, and what opens them: no key of an account goes to
/// a node.
fn open_mounts(server: &Server, mounts: &mut [Mount], now: Timestamp) -> Result<(), StoreError> {
    for mount in mounts {
        if let Mount::Blob(blob) = mount {
            blob.container_url = Some(Secret(mount_url(server, &blob.wanted, now)?));
            (blob.wanted.account_key, blob.wanted.sas_key) = (None, None);
        }
    }
    Ok(())
}

/// The URL that opens a container for whoever mounts it. Where nothing opens it, the storage
/// account refuses the node.
fn mount_url(server: &Server, blob: &BlobMount, now: Timestamp) -> Result<String, StoreError> {
    let BlobMount { account_name, container_name, account_key, sas_key, .. } = blob;
    let own = server.accounts.storage(account_name)?;
    let address = match &own {
        Some(_) => server.blob_links.container(account_name, container_name),
        None => format!("https://{account_name}.blob.core.windows.net/{container_name}"),
    };
    let key = match (account_key, &own, &blob.identity_reference) {
        (Some(Secret(key)), _, _) => Some(key.as_str()),
        (None, Some(Account { keys: [key, _], .. }), Some(_)) => Some(key.as_str()),
        (None, Some(_), None) | (None, None, _) => None,
    };
    let expiry = now.plus(MOUNT_FOR).truncated_to_seconds().to_iso();
    let terms = Terms { permissions: MOUNT, expiry: &expiry, ..Terms::default() };
    let token = match (key, sas_key) {
        (Some(key), _) => container_sas(account_name, key, container_name, terms)
            .inspect_err(|cause| {
                let error = crate::chain(cause);
                warn!(%error, account = account_name, "the key of a mount signs nothing");
            })
            .ok(),
        (None, Some(Secret(token))) => Some(token.trim_start_matches('?').to_owned()),
        (None, None) => None,
    };
    Ok(token.map_or_else(|| address.clone(), |token| format!("{address}?{token}")))
}

/// Says where packages are now; those that nodes may not get have no place.
fn open_packages(
    server: &Server,
    batch: &str,
    packages: &mut [Package],
    now: Timestamp,
) -> Result<(), StoreError> {
    for package in packages {
        let found = server.store.read(|view| find_package(view, batch, &package.reference))?;
        package.source = found.and_then(|(PackageLife { blob, directory, .. }, account)| {
            let place = (blob.container.as_str(), blob.name.as_str());
            let link = server.blob_links.to_blob(&account, place, "r", now, READ_FOR).ok()?;
            Some(PackageSource { directory: directory?, url: link.url })
        });
    }
    Ok(())
}

/// The package that a reference means, if it is active, and the storage account it is in.
fn find_package(
    view: &View<'_>,
    batch: &str,
    reference: &PackageReference,
) -> Result<Option<(PackageLife, Account)>, StoreError> {
    let Some(application) = view.application(batch, &reference.application_id)? else {
        return Ok(None);
    };
    let default = application.life.default_version.as_deref();
    let Some(version) = reference.version.as_deref().or(default) else { return Ok(None) };
    let package = view.package(application.key, version)?;
    let Some(life) = package.map(|it| it.life).filter(|it| it.state == PackageState::Active) else {
        return Ok(None);
    };
    let account = view.account(AccountKind::Storage, &life.blob.account)?;
    Ok(account.map(|account| (life, account)))
}

fn open_resources(
    server: &Server,
    batch: &str,
    files: &mut [ResourceFile],
    now: Timestamp,
) -> Result<(), StoreError> {
    for file in files {
        if let Some(container) = file.auto_storage_container_name.take() {
            // Where no account is linked, the node says that it knows none.
            let linked = server.store.read(|view| linked_storage::of(view, batch))?;
            let link = linked.and_then(|account| {
                server.blob_links.to_container(&account, &container, READ, now, READ_FOR).ok()
            });
            file.storage_container_url = link.map(|link| link.url);
            file.auto_storage_container_name = Some(container);
        } else if file.identity_reference.is_some() {
            let until = now.plus(READ_FOR);
            for url in [&mut file.http_url, &mut file.storage_container_url].into_iter().flatten() {
                sign(server, url, READ, until)?;
            }
        }
    }
    Ok(())
}

fn open_outputs(
    server: &Server,
    files: &mut [OutputFile],
    now: Timestamp,
) -> Result<(), StoreError> {
    let containers = files.iter_mut().filter_map(|file| file.destination.container.as_mut());
    for container in containers.filter(|it| it.identity_reference.is_some()) {
        sign(server, &mut container.container_url, WRITE, now.plus(WRITE_FOR))?;
    }
    Ok(())
}

/// Opens the container that a node may upload to because of its identity.
///
/// # Errors
/// When the store fails.
pub(crate) fn open_container(
    server: &Server,
    url: &mut String,
    now: Timestamp,
) -> Result<(), StoreError> {
    sign(server, url, WRITE, now.plus(WRITE_FOR))
}

/// Adds to the URL of a container or blob of this Kiln what opens it. Other URLs stay as they
/// are, and are opened by whoever serves them.
fn sign(
    server: &Server,
    url: &mut String,
    permissions: &str,
    until: Timestamp,
) -> Result<(), StoreError> {
    let Some((account, container)) = named(server, url)? else { return Ok(()) };
    let until = until.truncated_to_seconds();
    match linked_storage::container_token(&account, &container, permissions, until) {
        Ok(token) => {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(&token);
        }
        Err(cause) => {
            let error = crate::chain(&cause);
            warn!(%error, account = account.name, "the key of a storage account signs nothing");
        }
    }
    Ok(())
}

/// The account and the container that the URL names, if they are of this Kiln.
fn named(server: &Server, url: &str) -> Result<Option<(Account, String)>, StoreError> {
    let Some((_, rest)) = url.split_once("://") else { return Ok(None) };
    let address = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = address.split_once('/').unwrap_or((address, ""));
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    let is_ours = server.blob_links.is_at(host) || AzureHost::parse(name).is_some();
    if !is_ours {
        return Ok(None);
    }
    let mut found = None;
    let address = Address { host, raw_path: path, is_for_container: true, fallback_account: None };
    let target = Target::parse(address, |account| {
        found = server.accounts.storage(account).ok().flatten();
        found.is_some()
    });
    let container = target.ok().and_then(|target| target.container);
    Ok(found.zip(container))
}
