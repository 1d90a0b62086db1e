//! Kiln's own operations on applications and packages: what Azure does in its management plane.
//!
//! A package is made pending, uploaded to the URL that the answer names, then activated.

use kiln_domain::batch::application::{
    self as rules, Application, ApplicationLife, Package, PackageBlob, PackageFact, PackageLife,
    PackageState,
};
use kiln_domain::blob::container::{Container, PublicAccess};
use kiln_domain::blob::metadata::Metadata;
use kiln_domain::id;
use kiln_domain::limits::{
    APPLICATIONS_MAX, DISPLAY_NAME_LENGTH_MAX, PACKAGES_PER_APPLICATION_MAX, PAGE_ITEMS_MAX,
};
use kiln_domain::rejection::Rejection;
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use kiln_store::{AccountKind, ExtentUses, StoreError, Tx, View};
use kiln_wire::batch::application::{own_tree, package_tree};
use kiln_wire::batch::error::Refusal;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Answer;
use super::application::find;
use super::call::Call;
use super::error::OpError;
use crate::linked_storage;

/// Time for which the URL of a package's file is good, in minutes.
const LINK_MINUTES: i64 = 4 * 60;
/// Characters of an application's id in the name of its container.
const ID_IN_CONTAINER_MAX: usize = 24;

/// Body of `PUT` and `PATCH /kiln/applications/A`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Settings {
    display_name: Option<String>,
    allow_updates: Option<bool>,
    default_version: Option<String>,
}

/// `GET /kiln/applications`.
pub(super) fn applications(call: &Call) -> Result<Answer, Refusal> {
    let trees = call.server.store.read(|view| {
        let all = view.applications_after(&call.account, "", PAGE_ITEMS_MAX)?;
        let shown = all.iter().map(|it| Ok(own_tree(it, &view.packages(it.key)?)));
        shown.collect::<Result<Vec<Value>, OpError>>()
    })?;
    Ok(Answer::json(&json!({ "value": trees })))
}

/// `PUT /kiln/applications/A`: makes it, or changes it as `PATCH` does.
pub(super) async fn put_application(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let settings: Settings = call.own_body()?;
    rules::check_id(id)?;
    let (account, id, now) = (call.account.clone(), id.to_owned(), call.now);
    let tree = call
        .server
        .store
        .write(move |tx| {
            if tx.application(&account, &id)?.is_none() {
                let n_others = tx.applications_after(&account, "", APPLICATIONS_MAX)?.len();
                if n_others == APPLICATIONS_MAX {
                    return Err(Rejection::ApplicationQuotaReached { limit: n_others }.into());
                }
                tx.insert_application(&account, &id, &ApplicationLife::new(now))?;
            }
            change(tx, &account, &id, settings, now)
        })
        .await?;
    Ok(Answer::json(&tree))
}

/// `PATCH /kiln/applications/A`.
pub(super) async fn update_application(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let settings: Settings = call.own_body()?;
    let (account, id, now) = (call.account.clone(), id.to_owned(), call.now);
    let tree = call.server.store.write(move |tx| change(tx, &account, &id, settings, now)).await?;
    Ok(Answer::json(&tree))
}

/// `DELETE /kiln/applications/A`.
pub(super) async fn delete_application(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let (account, id) = (call.account.clone(), id.to_owned());
    call.server
        .store
        .write(move |tx| {
            let application = find(tx, &account, &id)?;
            if !tx.packages(application.key)?.is_empty() {
                return Err(Rejection::ApplicationNotEmpty { application: application.id }.into());
            }
            Ok::<_, OpError>(tx.delete_application(application.key)?)
        })
        .await?;
    Ok(Answer::new(200))
}

/// `PUT /kiln/applications/A/versions/V`: the answer names a URL to upload the file to.
pub(super) async fn put(call: &Call, id: &str, version: &str) -> Result<Answer, Refusal> {
    rules::check_version(version)?;
    let (account, id, version) = (call.account.clone(), id.to_owned(), version.to_owned());
    let now = call.now;
    let package = call
        .server
        .store
        .write(move |tx| {
            let application = find(tx, &account, &id)?;
            let life = match tx.package(application.key, &version)? {
                Some(package) => {
                    rules::step(&application, &package, PackageFact::UploadAsked, now)?
                }
                None => new_package(tx, &application, &version, now)?,
            };
            ensure_container(tx, &life.blob, now)?;
            tx.put_package(application.key, &version, &life)?;
            Ok::<_, OpError>(Package { application_key: application.key, version, life })
        })
        .await?;
    show(call, &package, "rw")
}

/// `GET /kiln/applications/A/versions/V`.
pub(super) fn get(call: &Call, id: &str, version: &str) -> Result<Answer, Refusal> {
    let (_, package) =
        call.server.store.read(|view| find_package(view, &call.account, id, version))?;
    show(call, &package, "r")
}

/// `POST /kiln/applications/A/versions/V/activate`.
pub(super) async fn activate(call: &Call, id: &str, version: &str) -> Result<Answer, Refusal> {
    let (account, id, version) = (call.account.clone(), id.to_owned(), version.to_owned());
    let now = call.now;
    let package = call
        .server
        .store
        .write(move |tx| {
            let (application, package) = find_package(tx, &account, &id, &version)?;
            let is_there = has_file(tx, &package.life.blob)?;
            let fact = PackageFact::Uploaded { is_there };
            let life = rules::step(&application, &package, fact, now)?;
            tx.put_package(application.key, &package.version, &life)?;
            Ok::<_, OpError>(Package { life, ..package })
        })
        .await?;
    show(call, &package, "r")
}

/// `DELETE /kiln/applications/A/versions/V`.
pub(super) async fn delete(call: &Call, id: &str, version: &str) -> Result<Answer, Refusal> {
    let (account, id, version) = (call.account.clone(), id.to_owned(), version.to_owned());
    let freed = call
        .server
        .store
        .write(move |tx| {
            let (application, package) = find_package(tx, &account, &id, &version)?;
            rules::check_removal(&application, &package)?;
            tx.delete_package(&package)?;
            Ok::<_, OpError>(remove_file(tx, &package.life.blob)?)
        })
        .await?;
    call.server.blobs.remove_files(freed).await;
    Ok(Answer::new(200))
}

/// Changes what is known of an application, and shows it.
fn change(
    tx: &mut Tx<'_>,
    account: &str,
    id: &str,
    settings: Settings,
    now: Timestamp,
) -> Result<Value, OpError> {
    let mut application = find(tx, account, id)?;
    if let Some(version) = &settings.default_version {
        let package = tx.package(application.key, version)?;
        rules::check_default(&application, version, package.as_ref())?;
    }
    let too_long = |name: &String| name.chars().count() > DISPLAY_NAME_LENGTH_MAX;
    if let Some(name) = settings.display_name.as_ref().filter(|name| too_long(name)) {
        let reason = format!("It has at most {DISPLAY_NAME_LENGTH_MAX} characters");
        return Err(Rejection::property("displayName", name, reason).into());
    }
    let life = &mut application.life;
    life.display_name = settings.display_name.or_else(|| life.display_name.take());
    life.default_version = settings.default_version.or_else(|| life.default_version.take());
    life.allows_updates = settings.allow_updates.unwrap_or(life.allows_updates);
    life.modified_at = now;
    tx.update_application(application.key, &application.life)?;
    let packages = tx.packages(application.key)?;
    Ok(own_tree(&application, &packages))
}

fn find_package(
    view: &View<'_>,
    account: &str,
    id: &str,
    version: &str,
) -> Result<(Application, Package), OpError> {
    let application = find(view, account, id)?;
    let not_found = || Rejection::PackageNotFound {
        application: application.id.clone(),
        version: version.to_owned(),
    };
    let package = view.package(application.key, version)?.ok_or_else(not_found)?;
    Ok((application, package))
}

fn new_package(
    view: &View<'_>,
    application: &Application,
    version: &str,
    now: Timestamp,
) -> Result<PackageLife, OpError> {
    if view.packages(application.key)?.len() >= PACKAGES_PER_APPLICATION_MAX {
        let (application, limit) = (application.id.clone(), PACKAGES_PER_APPLICATION_MAX);
        return Err(Rejection::PackageQuotaReached { application, limit }.into());
    }
    let account =
        linked_storage::of(view, &application.account)?.ok_or(Rejection::NoLinkedStorage)?.name;
    let (container, name) = (container_name(application), version.to_owned());
    Ok(PackageLife::new(PackageBlob { account, container, name }, now))
}

/// `app-my-application-id-` and 32 digits, as in the service.
fn container_name(application: &Application) -> String {
    let folded = id::folded(&application.id);
    let digest = fast_md5::digest(format!("{}/{folded}", application.account).as_bytes());
    let digits = u128::from_be_bytes(digest);
    let hyphened = folded.replace('_', "-");
    let words = hyphened.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    let shown: String = words.chars().take(ID_IN_CONTAINER_MAX).collect();
    format!("app-{}-{digits:032x}", shown.trim_matches('-')).replace("--", "-")
}

fn ensure_container(tx: &mut Tx<'_>, blob: &PackageBlob, now: Timestamp) -> Result<(), StoreError> {
    if tx.container(&blob.account, &blob.container)?.is_some() {
        return Ok(());
    }
    let container = Container {
        name: blob.container.clone(),
        modified_at: now,
        metadata: Metadata::default(),
        public_access: PublicAccess::Private,
        policies: Vec::new(),
        lease: None,
        deleted: None,
    };
    tx.insert_container(&blob.account, &container)
}

fn has_file(view: &View<'_>, blob: &PackageBlob) -> Result<bool, StoreError> {
    match view.container(&blob.account, &blob.container)? {
        Some(container) => Ok(view.blob(container.key, &blob.name)?.is_some()),
        None => Ok(false),
    }
}

/// Removes the file of a package, if it is there; gives the files that nothing names any more.
fn remove_file(tx: &mut Tx<'_>, blob: &PackageBlob) -> Result<Vec<u64>, StoreError> {
    let Some(container) = tx.container(&blob.account, &blob.container)? else {
        return Ok(Vec::new());
    };
    let mut uses = ExtentUses::default();
    if let Some(present) = tx.blob(container.key, &blob.name)? {
        tx.release_content(container.key, &present, &mut uses)?;
    }
    for block in tx.take_staged_blocks(container.key, &blob.name)? {
        uses.remove(block.extent);
    }
    tx.delete_blob(container.key, &blob.name, None)?;
    tx.apply_extent_uses(uses)
}

/// A package with a URL of its file; one that is pending may be written to.
fn show(call: &Call, package: &Package, permissions: &str) -> Result<Answer, Refusal> {
    let is_pending = package.life.state == PackageState::Pending;
    let permissions = if is_pending { permissions } else { "r" };
    let blob = &package.life.blob;
    let account = call
        .server
        .store
        .read(|view| Ok::<_, OpError>(view.account(AccountKind::Storage, &blob.account)?))?;
    let link = account.and_then(|account| {
        let (place, span) =
            ((blob.container.as_str(), blob.name.as_str()), Span::minutes(LINK_MINUTES));
        call.server.blob_links.to_blob(&account, place, permissions, call.now, span).ok()
    });
    let link = link.as_ref().map(|link| (link.url.as_str(), link.expires_at));
    Ok(Answer::json(&package_tree(package, link)))
}
