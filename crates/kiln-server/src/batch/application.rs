//! Applications, as every client sees them: get, list.

use kiln_domain::batch::application::{self as rules, Application, PackageReference, PackageState};
use kiln_domain::rejection::Rejection;
use kiln_store::View;
use kiln_wire::batch::application::tree;
use kiln_wire::batch::error::Refusal;
use kiln_wire::batch::{Shape, metadata};

use super::answer::Answer;
use super::call::Call;
use super::error::OpError;
use super::page::Page;

/// `GET /applications`.
pub(super) fn list(call: &Call) -> Result<Answer, Refusal> {
    let page = Page::of(call, Shape::Application, None)?;
    page.collect(metadata::APPLICATIONS, |after, limit| {
        call.server.store.read(|view| {
            let applications = view.applications_after(&call.account, after, limit)?;
            let shown = |it: Application| Ok((it.id.clone(), tree(&it, &view.packages(it.key)?)));
            applications.into_iter().map(shown).collect::<Result<_, OpError>>()
        })
    })
}

/// `GET /applications/A`.
pub(super) fn get(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let tree = call.server.store.read(|view| {
        let application = find(view, &call.account, id)?;
        Ok::<_, OpError>(tree(&application, &view.packages(application.key)?))
    })?;
    Page::of(call, Shape::Application, None)?.single(metadata::APPLICATION, tree)
}

/// The application of that id.
pub(super) fn find(view: &View<'_>, account: &str, id: &str) -> Result<Application, OpError> {
    let not_found = || Rejection::ApplicationNotFound { application: id.to_owned() };
    Ok(view.application(account, id)?.ok_or_else(not_found)?)
}

/// Who refers to packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReferredBy {
    /// A pool: a reference without a version needs a default version now.
    Pool,
    /// A task: one may come until it runs, as the service was seen to allow.
    Task,
}

/// Refuses references that lead nowhere.
pub(super) fn check_references(
    view: &View<'_>,
    account: &str,
    references: &[PackageReference],
    by: ReferredBy,
) -> Result<(), OpError> {
    rules::check_count(references)?;
    for reference in references {
        let application = view.application(account, &reference.application_id)?;
        let default = application.as_ref().and_then(|it| it.life.default_version.as_deref());
        let version = reference.version.as_deref().or(default);
        let is_there = match (&application, version) {
            (None, _) => false,
            (Some(_), None) => by == ReferredBy::Task,
            (Some(application), Some(version)) => view
                .package(application.key, version)?
                .is_some_and(|package| package.life.state == PackageState::Active),
        };
        if !is_there {
            let version = version.unwrap_or("default").to_owned();
            let application = reference.application_id.clone();
            return Err(Rejection::ApplicationPackageNotFound { application, version }.into());
        }
    }
    Ok(())
}
