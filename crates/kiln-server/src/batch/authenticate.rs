//! Who asks: Shared Key, with either key of the account, or the token of a task that runs.

use kiln_domain::batch::task::TaskState;
use kiln_domain::limits::CLOCK_SKEW_MAX_MINUTES;
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use kiln_wire::auth::task_token::TaskToken;
use kiln_wire::auth::{Scheme, SharedKey, SignedRequest, shared_key_batch};
use kiln_wire::batch::error::Refusal;
use kiln_wire::node::{AttemptId, AttemptKind};

use super::error::OpError;
use crate::http::Request;
use crate::server::Server;

/// Who asks, and for what they may ask.
#[derive(Debug)]
pub(super) struct Caller {
    /// The Batch account.
    pub(super) account: String,
    /// The id of the one job that they may use; all of the account when absent.
    only_job: Option<String>,
}

impl Caller {
    /// Refuses a path that is not theirs to use; `segments` are its parts, decoded.
    pub(super) fn may_use(&self, segments: &[&str]) -> Result<(), Refusal> {
        let Some(job_id) = &self.only_job else { return Ok(()) };
        match segments {
            ["jobs", job, ..] if job.eq_ignore_ascii_case(job_id) => Ok(()),
            _ => Err(Refusal::forbidden(format!(
                "The token of a task is good for its own job, '{job_id}', and for nothing else."
            ))),
        }
    }
}

/// Who asks.
pub(super) fn caller(server: &Server, request: &Request) -> Result<Caller, Refusal> {
    let authorization =
        request.header("authorization").ok_or_else(|| Refusal::missing_header("Authorization"))?;
    match TaskToken::parse(authorization) {
        Some(token) => task(server, &token),
        None => account(server, request, authorization),
    }
}

/// The task that brings its token; it must still run.
fn task(server: &Server, token: &TaskToken) -> Result<Caller, Refusal> {
    let wanted = token.attempt();
    let job = server.store.read(|view| {
        let node = view.node(token.node_id())?;
        if !node.is_some_and(|node| token.is_made_with(&node.secret)) {
            return Ok(None);
        }
        let task = view.task(wanted.job_key, &wanted.task_id)?;
        // The further instances of a task are part of its run.
        let wanted = AttemptId { kind: AttemptKind::Task, ..wanted.clone() };
        let runs = task.is_some_and(|task| {
            task.life.state == TaskState::Running && AttemptId::of(&task) == wanted
        });
        if runs { view.job_by_key(wanted.job_key) } else { Ok(None) }
    });
    match job.map_err(OpError::Store)? {
        Some(job) => Ok(Caller { account: job.account, only_job: Some(job.id) }),
        None => Err(Refusal::authentication_failed(
            "The token does not belong to a task that runs. It is good until the run ends that it \
             was given to.",
        )),
    }
}

/// The Batch account that signed the request.
fn account(server: &Server, request: &Request, authorization: &str) -> Result<Caller, Refusal> {
    let claim = SharedKey::parse(authorization).filter(|it| it.scheme == Scheme::Full);
    let Some(claim) = claim else {
        return Err(Refusal::invalid_authentication_info(
            "The Authorization header is not of the form 'SharedKey account:signature'. \
             Kiln accepts Shared Key, and the tokens that it gives to tasks.",
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
        Ok(()) => Ok(Caller { account: account.name, only_job: None }),
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
