//! Who asks: Shared Key, with either key of the account.

use kiln_domain::limits::CLOCK_SKEW_MAX_MINUTES;
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use kiln_wire::auth::{SharedKey, SignedRequest, shared_key_batch};
use kiln_wire::batch::error::Refusal;

use super::error::OpError;
use crate::http::Request;
use crate::server::Server;

/// The Batch account that signed the request.
pub(super) fn account(server: &Server, request: &Request) -> Result<String, Refusal> {
    let authorization =
        request.header("authorization").ok_or_else(|| Refusal::missing_header("Authorization"))?;
    let Some(claim) = SharedKey::parse(authorization) else {
        return Err(Refusal::invalid_authentication_info(
            "The Authorization header is not of the form 'SharedKey account:signature'. \
             Kiln accepts Shared Key.",
        ));
    };
    check_date(request)?;
    let found = server.accounts.batch(claim.account).map_err(OpError::Store)?;
    let Some(account) = found else {
        return Err(Refusal::authentication_failed(format!(
            "There is no Batch account '{}' in this Kiln. 'kiln account list' shows those there \
             are.",
            claim.account
        )));
    };
    let headers = request.header_pairs();
    let signed = SignedRequest {
        method: request.method.as_str(),
        raw_path: &request.raw_path,
        query: &request.query,
        headers: &headers,
    };
    let keys: Vec<&str> = account.keys.iter().map(String::as_str).collect();
    match shared_key_batch::verify(&signed, claim.account, &keys) {
        Ok(()) => Ok(account.name),
        Err(mismatch) => Err(Refusal::authentication_failed(format!(
            "The MAC signature found in the HTTP request is not the same as any computed \
             signature. Server used following string to sign: '{}'.",
            mismatch.string_to_sign
        ))),
    }
}

/// Refuses a request whose date is too far from ours: it may be a repeated one.
fn check_date(request: &Request) -> Result<(), Refusal> {
    let date = request
        .header("ocp-date")
        .or_else(|| request.parameter("ocp-date"))
        .or_else(|| request.header("date"))
        .ok_or_else(|| Refusal::missing_header("ocp-date"))?;
    let at =
        Timestamp::parse_rfc1123(date).ok_or_else(|| Refusal::invalid_header("ocp-date", date))?;
    let skew = Span::minutes(CLOCK_SKEW_MAX_MINUTES);
    if at.plus(skew) < request.received_at || request.received_at.plus(skew) < at {
        return Err(Refusal::authentication_failed(format!(
            "The date of the request, '{date}', is more than {CLOCK_SKEW_MAX_MINUTES} minutes \
             away from the server's, '{}'.",
            request.received_at.to_rfc1123()
        )));
    }
    Ok(())
}
