//! Where the content of a copy comes from.

use kiln_domain::blob::content::Blob;
use kiln_domain::blob::rejection::BlobRejection;
use kiln_store::{ContainerKey, View};
use kiln_wire::auth::sas::Token;
use kiln_wire::blob::checksum::{Told, crc64};
use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::range::Range;
use kiln_wire::blob::target::{Address, Target};

use super::super::call::{At, Call, Spot};
use super::super::failure::Failure;
use super::super::guard::Guard;
use super::super::receive::{self, Received};
use super::super::{access, get, read};
use super::remote::{self, Remote};

/// Where the content of a copy comes from.
#[derive(Clone, Debug)]
pub(in crate::blob) enum Source {
    /// A blob of this Kiln, which the request may read.
    Local(Spot),
    /// Somewhere else.
    Remote(Remote),
}

/// The source that a request names.
pub(in crate::blob) fn of(call: &Call) -> Result<Source, Failure> {
    let name = "x-ms-copy-source";
    let address = call.headers().get(name).unwrap_or_default();
    let url =
        reqwest::Url::parse(address).map_err(|_no_url| BlobError::invalid_header(name, address))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(BlobError::invalid_header(name, address).into());
    }
    let Some(host) = own_host(call, address) else {
        let authorization = call.headers().get("x-ms-copy-source-authorization");
        return Ok(Source::Remote(Remote::new(url, authorization.map(str::to_owned))));
    };
    let (_, rest) = address.split_once("://").unwrap_or_default();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = rest.find('/').map_or("/", |at| rest.split_at(at).1);
    let query: Vec<(String, String)> =
        form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let at = At::of_query(&query)?;
    let accounts = &call.service.accounts;
    let is_account = |name: &str| accounts.storage(name).is_ok_and(|found| found.is_some());
    let place =
        Address { host: &host, raw_path: path, is_for_container: false, fallback_account: None };
    let Ok(target) = Target::parse(place, is_account) else { return Err(not_found()) };
    access::authorize_source(call, &target, Token::from_query(&query).as_ref())?;
    let Target { account, container, blob, .. } = target;
    match (container, blob) {
        (Some(container), Some(blob)) => Ok(Source::Local(Spot { account, container, blob, at })),
        (_, _) => Err(BlobError::invalid_header(name, address).into()),
    }
}

/// The host of an address of this Kiln: the one that the request itself came to, or one that
/// begins with the name of an account here.
fn own_host(call: &Call, address: &str) -> Option<String> {
    let (_, rest) = address.split_once("://")?;
    let host = rest.split(['/', '?']).next()?;
    let mut labels = host.split('.');
    if let (Some(first), Some("blob")) = (labels.next(), labels.next()) {
        let primary = first.strip_suffix("-secondary").unwrap_or(first);
        let is_here = |name| call.service.accounts.storage(name).is_ok_and(|it| it.is_some());
        if is_here(first) || is_here(primary) {
            return Some(host.to_owned());
        }
    }
    let is_same = host.eq_ignore_ascii_case(&call.host)
        || (port(host) == port(&call.host) && is_loopback(host) && is_loopback(&call.host));
    is_same.then(|| host.to_owned())
}

fn port(host: &str) -> &str {
    host.rsplit_once(':').map_or("", |(_, port)| port)
}

fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name == "[::1]" || name.starts_with("127.")
}

fn not_found() -> Failure {
    let message = "The specified copy source does not exist.";
    BlobError::new(404, "CannotVerifyCopySource", message).into()
}

/// Finds a local source in the operation that uses it.
pub(in crate::blob) fn load(
    view: &View<'_>,
    spot: &Spot,
    guard: &Guard,
) -> Result<(ContainerKey, Blob), Failure> {
    let (key, blob) = read::find(view, spot).map_err(as_source)?;
    guard.conditions.decide_change(blob.face()).map_err(|rejection| as_source(rejection.into()))?;
    guard.expect_key(&blob)?;
    blob.expect_online()?;
    Ok((key, blob))
}

/// A refusal as it is called when it is about the source.
fn as_source(failure: Failure) -> Failure {
    match failure {
        Failure::Refused(error) if error.status == 404 => {
            BlobError::new(404, "CannotVerifyCopySource", error.message).into()
        }
        Failure::Refused(error) if matches!(error.status, 304 | 412) => {
            let message = "The source condition specified using HTTP conditional header(s) is \
                           not met.";
            BlobError::new(412, "SourceConditionNotMet", message).into()
        }
        Failure::Refused(_) | Failure::BodyEnded(_) | Failure::Store(_) | Failure::Extent(_) => {
            failure
        }
    }
}

/// Takes in a part of a source, or all of it.
pub(in crate::blob) async fn take(
    call: &Call,
    source: &Source,
    range: Option<Range>,
    (limit_bytes, inline_bytes_max): (u64, u64),
) -> Result<Received, Failure> {
    let guard = Guard::of_source(call)?;
    let (announced, mut body) = match source {
        Source::Local(spot) => {
            call.service.store.read(|view| load(view, spot, &guard).map(|_| ()))?;
            let (_, length, body) =
                get::as_body(&call.service, spot, &guard, range).map_err(as_source)?;
            (Some(length), body)
        }
        Source::Remote(source) => {
            let conditions = remote::conditions(call);
            let found = call.service.remote.get(source, range, conditions).await?;
            (found.length, found.body)
        }
    };
    let extents = &call.service.extents;
    let received =
        receive::take(extents, &mut body, announced, (limit_bytes, inline_bytes_max)).await?;
    received.check(&told(call)?)?;
    Ok(received)
}

/// What a request says of the content of its source.
pub(in crate::blob) fn told(call: &Call) -> Result<Told, BlobError> {
    Ok(Told {
        md5: call.headers().md5("x-ms-source-content-md5")?,
        crc64: crc64(call.headers(), "x-ms-source-content-crc64")?,
    })
}

/// The part of the source that a request names.
pub(in crate::blob) fn range(call: &Call) -> Result<Option<Range>, Failure> {
    let name = "x-ms-source-range";
    let Some(text) = call.headers().get(name) else { return Ok(None) };
    match Range::parse(text) {
        Some(range) => Ok(Some(range)),
        None => Err(BlobError::invalid_header(name, text).into()),
    }
}

/// That an operation cannot be done with what was found there.
pub(in crate::blob) fn invalid_kind(blob: &Blob) -> Failure {
    let (found, wanted) = (blob.kind, kiln_domain::blob::kind::BlobKind::Block);
    BlobRejection::WrongKind { found, wanted }.into()
}
