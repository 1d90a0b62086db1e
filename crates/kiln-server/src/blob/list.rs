//! Lists of containers and of blobs.

use kiln_domain::blob::container::Container;
use kiln_domain::blob::content::Blob;
use kiln_domain::blob::kind::BlobKind;
use kiln_domain::blob::limits::PAGE_ITEMS_MAX;
use kiln_domain::blob::listing::{Query, page};
use kiln_store::{ContainerKey, StoreError, View};
use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::list::{self, Asked};
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
        page(
            query,
            |it: &Container| it.name.as_str(),
            |from, limit| view.containers(account, from, limit),
        )
    });
    Ok(answer::xml(list::containers(&asked, &found?)))
}

/// `GET /CONTAINER?restype=container&comp=list`.
pub(super) fn blobs(call: &Call) -> Answer {
    let (asked, from) = asked(call)?;
    let end = call.parameter("endbefore").unwrap_or("");
    let query = query(&asked, &from, end);
    let with_uncommitted = includes(call, "uncommittedblobs");
    let spot = call.spot();
    let found = call.service.store.read(|view| -> Result<_, Failure> {
        let key = spot.container(view)?.key;
        let fetch = |from: &[u8], limit| fetch(view, key, from, limit, with_uncommitted);
        Ok(page(query, |it: &Blob| it.name.as_str(), fetch)?)
    });
    Ok(answer::xml(list::blobs(&asked, &spot.container, &found?, &call.gates)))
}

fn fetch(
    view: &View<'_>,
    key: ContainerKey,
    from: &[u8],
    limit: usize,
    with_uncommitted: bool,
) -> Result<Vec<Blob>, StoreError> {
    let mut found = view.blobs(key, from, limit)?;
    if with_uncommitted {
        let uncommitted = view.uncommitted_names(key, from, limit)?;
        let empty = |(name, at)| Blob::new(name, BlobKind::Block, at);
        found.extend(uncommitted.into_iter().map(empty));
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found.truncate(limit);
    }
    Ok(found)
}

/// What is asked for, and the name to begin with.
fn asked(call: &Call) -> Result<(Asked, String), Failure> {
    let text = |name| call.parameter(name).unwrap_or("").to_owned();
    let asked = Asked {
        service_endpoint: call.service_endpoint(),
        prefix: text("prefix"),
        marker: text("marker"),
        max_results: max_results(call)?,
        delimiter: text("delimiter"),
        includes_metadata: includes(call, "metadata"),
        now: call.received_at,
    };
    let start_from = text("startfrom");
    if asked.marker.is_empty() {
        return Ok((asked, start_from));
    }
    match marker::decode(&asked.marker) {
        Some(name) => Ok((asked, name.max(start_from))),
        None => {
            let reason = "not a marker of this service";
            Err(BlobError::invalid_parameter("marker", &asked.marker, reason).into())
        }
    }
}

fn query<'a>(asked: &'a Asked, from: &'a str, before: &'a str) -> Query<'a> {
    Query {
        prefix: &asked.prefix,
        delimiter: &asked.delimiter,
        from,
        before,
        n_entries_max: asked.max_results.unwrap_or(PAGE_ITEMS_MAX).min(PAGE_ITEMS_MAX),
    }
}

fn max_results(call: &Call) -> Result<Option<usize>, BlobError> {
    let Some(text) = call.parameter("maxresults") else { return Ok(None) };
    match text.parse::<u64>() {
        Ok(0) => Err(BlobError::parameter_out_of_range("maxresults", text)),
        Ok(wanted) => Ok(Some(usize::try_from(wanted).unwrap_or(usize::MAX))),
        Err(_not_a_number) => {
            Err(BlobError::invalid_parameter("maxresults", text, "a number is expected"))
        }
    }
}

fn includes(call: &Call, what: &str) -> bool {
    let mut given = call.query.iter().filter(|(name, _)| name.eq_ignore_ascii_case("include"));
    given.any(|(_, value)| value.split(',').any(|it| it.trim().eq_ignore_ascii_case(what)))
}
