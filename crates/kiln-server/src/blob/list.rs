//! Lists of containers and of blobs.

use kiln_domain::blob::content::Blob;
use kiln_domain::blob::edition::Edition;
use kiln_domain::blob::kind::BlobKind;
use kiln_domain::blob::limits::PAGE_ITEMS_MAX;
use kiln_domain::blob::listing::{Cursor, PRESENT, Query, page};
use kiln_domain::blob::name::SYSTEM_CONTAINERS;
use kiln_domain::time::Timestamp;
use kiln_store::{ContainerKey, KeyedContainer, StoreError, View};
use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::list::{self, Asked, ContainerItem, Includes};
use kiln_wire::blob::marker;

use super::answer::{self, Answer};
use super::call::Call;
use super::failure::Failure;

/// `GET /?comp=list`.
pub(super) fn containers(call: &Call) -> Answer {
    let (asked, from) = asked(call)?;
    let query = query(&asked, &from, "");
    let account = &call.target.account;
    let found = call.service.store.read(|view| {
        let fetch =
            |from: &Cursor, limit| fetch_containers(view, account, from, limit, asked.includes);
        page(query, |it: &ContainerItem| (it.container.name.as_str(), container_moment(it)), fetch)
    });
    Ok(answer::xml(list::containers(&asked, &found?)))
}

/// Deleted containers come before the one that has their name now.
fn container_moment(item: &ContainerItem) -> i64 {
    if item.container.deleted.is_some() { item.number } else { PRESENT }
}

fn fetch_containers(
    view: &View<'_>,
    account: &str,
    from: &Cursor,
    limit: usize,
    includes: Includes,
) -> Result<Vec<ContainerItem>, StoreError> {
    // Those that are left out must not make a page look like the last.
    let n_hidden_max = if includes.system { 0 } else { SYSTEM_CONTAINERS.len() };
    let mut found = view.containers(account, &from.name, limit.saturating_add(n_hidden_max))?;
    if !includes.system {
        found.retain(|it| !SYSTEM_CONTAINERS.contains(&it.container.name.as_str()));
    }
    if includes.deleted {
        let from = (from.name.as_slice(), ContainerKey(from.moment));
        found.append(&mut view.kept_containers(account, from, limit)?);
    }
    let item = |KeyedContainer { key, container }| ContainerItem { container, number: key.0 };
    let mut items: Vec<ContainerItem> = found.into_iter().map(item).collect();
    items.sort_by(|a, b| {
        let key = |it: &ContainerItem| container_moment(it);
        a.container.name.cmp(&b.container.name).then(key(a).cmp(&key(b)))
    });
    items.truncate(limit);
    Ok(items)
}

/// `GET /CONTAINER?restype=container&comp=list`.
pub(super) fn blobs(call: &Call) -> Answer {
    let (asked, from) = asked(call)?;
    let end = call.parameter("endbefore").unwrap_or("");
    let query = query(&asked, &from, end);
    let spot = call.spot();
    let found = call.service.store.read(|view| -> Result<_, Failure> {
        let key = spot.container(view)?.key;
        let fetch = |from: &Cursor, limit| fetch(view, key, from, limit, asked.includes);
        let place = |it: &'_ Blob| moment(it, asked.includes);
        Ok(page(query, |it: &Blob| (it.name.as_str(), place(it)), fetch)?)
    });
    Ok(answer::xml(list::blobs(&asked, &spot.container, &found?, &call.gates)))
}

fn moment(blob: &Blob, includes: Includes) -> i64 {
    match blob.edition.moment() {
        Some(at) if !list::is_for_its_name(blob, includes) => at.0,
        Some(_) | None => PRESENT,
    }
}

fn fetch(
    view: &View<'_>,
    key: ContainerKey,
    from: &Cursor,
    limit: usize,
    includes: Includes,
) -> Result<Vec<Blob>, StoreError> {
    let mut found = view.blobs(key, &from.name, limit)?;
    if includes.uncommitted {
        let uncommitted = view.uncommitted_names(key, &from.name, limit)?;
        let empty = |(name, at)| Blob::new(name, BlobKind::Block, at);
        found.extend(uncommitted.into_iter().map(empty));
    }
    if includes.snapshots || includes.versions || includes.deleted {
        fetch_past(view, key, from, limit, includes, &mut found)?;
    }
    if includes.deleted_with_versions && !includes.versions {
        found.append(&mut view.left_behind(key, &from.name, limit)?);
    }
    let place = |it: &Blob| moment(it, includes);
    found.sort_by(|a, b| a.name.cmp(&b.name).then(place(a).cmp(&place(b))));
    found.truncate(limit);
    Ok(found)
}

/// Adds up to `limit` editions of the past that are wanted.
fn fetch_past(
    view: &View<'_>,
    key: ContainerKey,
    from: &Cursor,
    limit: usize,
    includes: Includes,
    found: &mut Vec<Blob>,
) -> Result<(), StoreError> {
    let mut from = from.clone();
    let n_wanted = found.len() + limit;
    loop {
        let place = (from.name.as_slice(), Timestamp(from.moment));
        let fetched = view.past_blobs(key, place, limit)?;
        let is_last = fetched.len() < limit;
        if let Some(last) = fetched.last() {
            let moment = last.edition.moment().map_or(PRESENT, |at| at.0 + 1);
            from = Cursor { name: last.name.clone().into_bytes(), moment };
        }
        found.extend(fetched.into_iter().filter(|blob| is_wanted(blob, includes)));
        if is_last || found.len() >= n_wanted {
            return Ok(());
        }
    }
}

fn is_wanted(blob: &Blob, includes: Includes) -> bool {
    let is_of_kind = match blob.edition {
        Edition::Current => true,
        Edition::Snapshot(_) => includes.snapshots,
        Edition::Version(_) => includes.versions,
        Edition::Deleted(_) => includes.deleted,
    };
    is_of_kind && (includes.deleted || blob.deleted.is_none())
}

/// What is asked for, and the name and moment to begin with.
fn asked(call: &Call) -> Result<(Asked, (String, i64)), Failure> {
    let text = |name| call.parameter(name).unwrap_or("").to_owned();
    let given = call.query.iter().filter(|(name, _)| name.eq_ignore_ascii_case("include"));
    let asked = Asked {
        service_endpoint: call.service_endpoint(),
        prefix: text("prefix"),
        marker: text("marker"),
        max_results: max_results(call)?,
        delimiter: text("delimiter"),
        includes: Includes::parse(given.map(|(_, value)| value.as_str()))?,
        now: call.received_at,
    };
    let start_from = (text("startfrom"), i64::MIN);
    if asked.marker.is_empty() {
        return Ok((asked, start_from));
    }
    match marker::decode(&asked.marker) {
        Some(next) => Ok((asked, next.max(start_from))),
        None => {
            let reason = "not a marker of this service";
            Err(BlobError::invalid_parameter("marker", &asked.marker, reason).into())
        }
    }
}

fn query<'a>(asked: &'a Asked, from: &'a (String, i64), before: &'a str) -> Query<'a> {
    Query {
        prefix: &asked.prefix,
        delimiter: &asked.delimiter,
        from: &from.0,
        from_moment: from.1,
        before,
        n_entries_max: page_size(asked.max_results),
    }
}

/// Entries on a page.
pub(super) fn page_size(max_results: Option<usize>) -> usize {
    max_results.unwrap_or(PAGE_ITEMS_MAX).min(PAGE_ITEMS_MAX)
}

/// How many entries a client wants on a page.
pub(super) fn max_results(call: &Call) -> Result<Option<usize>, BlobError> {
    let Some(text) = call.parameter("maxresults") else { return Ok(None) };
    match text.parse::<u64>() {
        Ok(0) => Err(BlobError::parameter_out_of_range("maxresults", text)),
        Ok(wanted) => Ok(Some(usize::try_from(wanted).unwrap_or(usize::MAX))),
        Err(_not_a_number) => {
            Err(BlobError::invalid_parameter("maxresults", text, "a number is expected"))
        }
    }
}
