//! What browsers are told about pages of other origins.

use kiln_domain::blob::service::{CorsRule, Preflight, grant, preflight};
use kiln_wire::blob::error::BlobError;

use super::BlobService;
use super::answer::Answer;
use super::call::Call;
use crate::http::Response;

/// `OPTIONS` of anything: whether a page of another origin may send a request. Nobody has to
/// say who they are for that.
pub(super) fn check(call: &Call) -> Answer {
    let needed =
        |name: &str| call.headers().get(name).ok_or_else(|| BlobError::missing_header(name));
    let (origin, method) = (needed("Origin")?, needed("Access-Control-Request-Method")?);
    let headers = call.headers().get("Access-Control-Request-Headers").unwrap_or_default();
    let headers: Vec<&str> =
        headers.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let settings = call.service.accounts.storage_settings(&call.target.account)?;
    let asked = Preflight { origin, method, headers: &headers };
    let Some(grant) = preflight(&settings.service.cors, asked) else {
        let message = "CORS not enabled or no matching rule found for this request.";
        return Err(BlobError::new(403, "CorsPreflightFailure", message).into());
    };
    let mut response = Response::new(200)
        .with_header("Access-Control-Allow-Origin", grant.origin)
        .with_header("Access-Control-Allow-Methods", method)
        .with_header("Access-Control-Max-Age", grant.rule.max_age_seconds.to_string());
    if !headers.is_empty() {
        response = response.with_header("Access-Control-Allow-Headers", headers.join(","));
    }
    if grant.depends_on_origin() {
        response = response.with_header("Access-Control-Allow-Credentials", "true");
    }
    Ok(response)
}

/// Who asked, as far as browsers are concerned.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) account: String,
    pub(super) origin: Option<String>,
    pub(super) method: String,
}

impl Page {
    /// Adds to an answer what the page may see of it.
    pub(super) fn dress(&self, service: &BlobService, response: Response) -> Response {
        let settings = match service.accounts.storage_settings(&self.account) {
            Ok(settings) => settings,
            Err(cause) => {
                tracing::error!(cause = &cause as &dyn std::error::Error, "store");
                return response;
            }
        };
        let rules = &settings.service.cors;
        if rules.is_empty() || self.method == "OPTIONS" {
            return response;
        }
        // Only answers to reads are kept by caches, which must know for whom they are.
        let is_read = matches!(self.method.as_str(), "GET" | "HEAD");
        let Some(grant) = grant(rules, self.origin.as_deref(), &self.method) else {
            return if is_read { response.with_header("Vary", "Origin") } else { response };
        };
        let exposed = exposed(grant.rule, &response);
        let mut response = response.with_header("Access-Control-Allow-Origin", grant.origin);
        if !exposed.is_empty() {
            response = response.with_header("Access-Control-Expose-Headers", exposed.join(","));
        }
        if grant.depends_on_origin() {
            response = response.with_header("Access-Control-Allow-Credentials", "true");
            if is_read {
                response = response.with_header("Vary", "Origin");
            }
        }
        response
    }
}

/// The headers that a page may see: those that the rule names, and those of the answer that
/// begin as it says. Browsers know no beginnings.
fn exposed(rule: &CorsRule, response: &Response) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in &rule.exposed_headers {
        let Some(beginning) = name.strip_suffix('*') else {
            names.push(name.clone());
            continue;
        };
        let sent = response.headers.iter().map(|(name, _)| name.as_ref());
        let begins = |name: &&str| {
            let head = name.get(..beginning.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(beginning))
        };
        names.extend(sent.filter(begins).map(str::to_owned));
    }
    names
}
