//! Finding blobs by their tags.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kiln_domain::blob::content::Blob;
use kiln_domain::blob::tag_filter::{Search, TagTest};
use kiln_domain::blob::tags::Tags;
use kiln_domain::comparison::Comparison;
use kiln_store::{ContainerKey, KeyedContainer, View};
use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::tag_filter;
use kiln_wire::blob::xml::{Writer, write_tags};

use super::answer::{self, Answer};
use super::call::Call;
use super::failure::Failure;
use super::list::{max_results, page_size};

/// Blobs looked at for one page; a page that came so far ends, full or not.
const CANDIDATES_PER_PAGE_MAX: usize = 20_000;
/// Candidates fetched at once.
const CANDIDATES_PER_STEP: usize = 256;

/// Where a search goes on: container, value of the leading tag, name.
type Place = (String, String, String);

/// A blob that was found.
struct Found {
    container: String,
    name: String,
    tags: Tags,
}

/// `GET /?comp=blobs&where=…` and `GET /CONTAINER?restype=container&comp=blobs&where=…`.
pub(super) fn by_tags(call: &Call) -> Answer {
    let name = "where";
    let Some(text) = call.parameter(name) else {
        return Err(BlobError::missing_parameter(name).into());
    };
    let invalid = |reason: &str| BlobError::invalid_parameter(name, text, reason);
    let mut search = tag_filter::search(text).map_err(|error| invalid(&error.to_string()))?;
    if let Some(container) = &call.target.container {
        if search.container.as_ref().is_some_and(|wanted| wanted != container) {
            return Err(invalid("`@container` is another container").into());
        }
        search.container = Some(container.clone());
    }
    let marker = call.parameter("marker").unwrap_or("");
    let from = place(marker)?;
    let n_wanted = page_size(max_results(call)?);
    let (found, next) = call.service.store.read(|view| {
        if call.target.container.is_some() {
            call.spot().container(view)?;
        }
        find(view, &call.target.account, &search, from, n_wanted)
    })?;
    Ok(answer::xml(document(call, text, &found, next.as_ref())))
}

fn find(
    view: &View<'_>,
    account: &str,
    search: &Search,
    from: Place,
    n_wanted: usize,
) -> Result<(Vec<Found>, Option<Place>), Failure> {
    let mut page = Page { found: Vec::new(), n_looked_at: 0, n_wanted };
    let (mut container, value, name) = from;
    let mut within = (value, name);
    if let Some(wanted) = &search.container {
        let Some(it) = view.container(account, wanted)? else { return Ok((page.found, None)) };
        let next = page.take_from(view, search, &it, within)?;
        let next = next.map(|(value, name)| (wanted.clone(), value, name));
        return Ok((page.found, next));
    }
    loop {
        let Some(it) = view.containers(account, container.as_bytes(), 1)?.pop() else {
            return Ok((page.found, None));
        };
        // The place within a container is of that container alone.
        if it.container.name != container {
            within = (String::new(), String::new());
        }
        if let Some((value, name)) = page.take_from(view, search, &it, within)? {
            return Ok((page.found, Some((it.container.name, value, name))));
        }
        within = (String::new(), String::new());
        container = it.container.name + "\0";
    }
}

/// One page being filled.
struct Page {
    found: Vec<Found>,
    n_looked_at: usize,
    n_wanted: usize,
}

impl Page {
    /// Takes what is found in one container; answers with where to go on when the page is full.
    fn take_from(
        &mut self,
        view: &View<'_>,
        search: &Search,
        container: &KeyedContainer,
        from: (String, String),
    ) -> Result<Option<(String, String)>, Failure> {
        let Some(leading) = search.leading() else { return Ok(None) };
        let (mut value, mut name) = from;
        if let Some(least) = least(leading)
            && value.as_str() < least
        {
            (value, name) = (least.to_owned(), String::new());
        }
        loop {
            let place = (value.as_str(), name.as_bytes());
            let candidates =
                view.tagged(container.key, &leading.key, place, CANDIDATES_PER_STEP)?;
            let is_last = candidates.len() < CANDIDATES_PER_STEP;
            for candidate in candidates {
                if is_beyond(leading, &candidate.0) {
                    return Ok(None);
                }
                if self.found.len() >= self.n_wanted || self.n_looked_at >= CANDIDATES_PER_PAGE_MAX
                {
                    return Ok(Some(candidate));
                }
                self.n_looked_at += 1;
                self.take(view, search, (container.key, &container.container.name), &candidate.1)?;
                (value, name) = (candidate.0, candidate.1 + "\0");
            }
            if is_last {
                return Ok(None);
            }
        }
    }

    fn take(
        &mut self,
        view: &View<'_>,
        search: &Search,
        (key, container): (ContainerKey, &str),
        name: &str,
    ) -> Result<(), Failure> {
        let found = view.blob(key, name)?.filter(|blob| search.holds(&blob.tags));
        if let Some(Blob { name, tags, .. }) = found {
            self.found.push(Found { container: container.to_owned(), name, tags });
        }
        Ok(())
    }
}

/// The least value that a test holds for, or one just below.
fn least(test: &TagTest) -> Option<&str> {
    match test.comparison {
        Comparison::Equal | Comparison::Greater | Comparison::GreaterOrEqual => Some(&test.value),
        Comparison::NotEqual | Comparison::Less | Comparison::LessOrEqual => None,
    }
}

/// Whether no value from `found` on can hold.
fn is_beyond(test: &TagTest, found: &str) -> bool {
    match test.comparison {
        Comparison::Equal | Comparison::LessOrEqual => found > test.value.as_str(),
        Comparison::Less => found >= test.value.as_str(),
        Comparison::NotEqual | Comparison::Greater | Comparison::GreaterOrEqual => false,
    }
}

fn document(call: &Call, text: &str, found: &[Found], next: Option<&Place>) -> String {
    let mut xml = Writer::new();
    xml.open("EnumerationResults", &[("ServiceEndpoint", &call.service_endpoint())]);
    xml.leaf("Where", text);
    xml.open("Blobs", &[]);
    for blob in found {
        xml.open("Blob", &[]);
        xml.leaf("Name", &blob.name);
        xml.leaf("ContainerName", &blob.container);
        write_tags(&mut xml, &blob.tags);
        xml.close("Blob");
    }
    xml.close("Blobs");
    xml.leaf("NextMarker", &next.map(marker).unwrap_or_default());
    xml.close("EnumerationResults");
    xml.finish()
}

/// A place as the text that a client gives back: its parts with their lengths.
fn marker((container, value, name): &Place) -> String {
    let plain = format!("{}!{}!{container}{value}{name}", container.len(), value.len());
    URL_SAFE_NO_PAD.encode(plain)
}

fn place(marker: &str) -> Result<Place, BlobError> {
    if marker.is_empty() {
        return Ok(Place::default());
    }
    let parts = || -> Option<Place> {
        let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(marker).ok()?).ok()?;
        let (n_container, rest) = plain.split_once('!')?;
        let (n_value, rest) = rest.split_once('!')?;
        let (container, rest) = rest.split_at_checked(n_container.parse().ok()?)?;
        let (value, name) = rest.split_at_checked(n_value.parse().ok()?)?;
        Some((container.to_owned(), value.to_owned(), name.to_owned()))
    };
    parts().ok_or_else(|| {
        BlobError::invalid_parameter("marker", marker, "not a marker of this service")
    })
}
