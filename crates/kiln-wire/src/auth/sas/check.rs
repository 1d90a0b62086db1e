//! What a shared access signature allows.

use std::net::IpAddr;

use kiln_domain::blob::container::StoredPolicy;
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;

use super::super::bearer::Principal;
use super::super::delegation;
use super::super::hmac::{self, Key};
use super::text::{self, Extras};
use super::token::Token;

/// First version with tokens for the whole account.
const ACCOUNT_TOKENS_SINCE: &str = "2015-04-05";
/// First version with user delegation keys.
const DELEGATION_SINCE: &str = "2018-11-09";
/// Hours for which a token of the time before versions is good, unless a policy says more.
const UNVERSIONED_HOURS_MAX: i64 = 1;

/// What part of an account an operation touches: the letters of `srt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The account itself.
    Service,
    /// A container.
    Container,
    /// A blob.
    Object,
}

/// What somebody wants to do with a token, and where.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The storage account.
    pub account: &'a str,
    /// Its keys.
    pub keys: &'a [&'a str],
    /// The container of the request.
    pub container: Option<&'a str>,
    /// The blob of the request.
    pub blob: Option<&'a str>,
    /// The secret that user delegation keys are made under; empty when none was ever given out.
    pub delegation_secret: &'a str,
    /// Who comes with a bearer token besides.
    pub bearer: Option<&'a Principal>,
    /// Lower-case names and raw values of the headers.
    pub headers: &'a [(String, String)],
    /// Names and values of the query, decoded.
    pub query: &'a [(String, String)],
    /// What the operation touches.
    pub scope: Scope,
    /// Letters of which an account token needs one; `None` if no such token is enough.
    pub account_letters: Option<&'a str>,
    /// Letters of which a token for a container or blob needs one; `None` if none is enough.
    pub service_letters: Option<&'a str>,
    /// Whether the request came over TLS.
    pub is_tls: bool,
    /// Who asks, where that is known.
    pub peer: Option<IpAddr>,
    /// The time now.
    pub now: Timestamp,
}

/// What a token gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// All its letters that count.
    pub permissions: String,
}

/// Why a token does not let a request in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SasRefusal {
    /// A parameter is missing, or given twice.
    #[error("signature field `{field}` is missing or not well formed")]
    Malformed {
        /// The parameter.
        field: &'static str,
    },
    /// No key of the account makes this signature.
    #[error("the signature does not belong to the text")]
    Signature {
        /// The text that should have been signed.
        string_to_sign: String,
    },
    /// The user delegation key is not good at this time, or for this service.
    #[error(
        "the user delegation key is good from {start} to {expiry}, for the service `{service}`"
    )]
    DelegationKey {
        /// Its start, as sent.
        start: String,
        /// Its end, as sent.
        expiry: String,
        /// Its service, as sent.
        service: String,
    },
    /// The token is good only for one user, who did not show up.
    #[error("the signature is for the user `{oid}`, whose bearer token must come with it")]
    User {
        /// Who must come.
        oid: String,
    },
    /// The time of the token has not come.
    #[error("signature not valid before {start}")]
    TooEarly {
        /// Its start, as sent.
        start: String,
    },
    /// The time of the token is over.
    #[error("signature not valid after {expiry}")]
    Expired {
        /// Its end, as sent.
        expiry: String,
    },
    /// It names a policy that the container does not have.
    #[error("stored access policy `{id}` does not exist")]
    PolicyNotFound {
        /// The policy.
        id: String,
    },
    /// The token is for TLS only.
    #[error("the signature is for https only")]
    Protocol,
    /// The token is for other addresses.
    #[error("the signature is not for this address")]
    SourceIp {
        /// Who asked.
        peer: Option<IpAddr>,
    },
    /// The token is for other services than Blob.
    #[error("the signature is for other services")]
    Service,
    /// The token is for other kinds of resources.
    #[error("the signature is for other kinds of resources")]
    ResourceType,
    /// The token does not hold the letter.
    #[error("the signature does not allow this operation")]
    Permission,
}

/// Decides whether `token` lets the request in; `policies` are those of its container.
pub fn check(
    token: &Token,
    asked: &Asked<'_>,
    policies: &[StoredPolicy],
) -> Result<Granted, SasRefusal> {
    if !token.version.is_empty() && !is_date(&token.version) {
        return Err(SasRefusal::Malformed { field: "sv" });
    }
    if token.is_for_account() {
        if token.version.as_str() < ACCOUNT_TOKENS_SINCE {
            return Err(SasRefusal::Malformed { field: "sv" });
        }
        check_signature(token, asked, &text::of_account(token, asked.account))?;
        check_place_and_time(token, asked, &token.start, &token.expiry)?;
        check_account_scope(token, asked)?;
        let letters = asked.account_letters.ok_or(SasRefusal::Permission)?;
        return grant(&token.permissions, letters);
    }
    let resource = signed_resource(token, asked)?;
    let terms = if token.is_delegated() {
        delegated_terms(token, asked, &resource)?
    } else {
        check_signature(token, asked, &text::of_service(token, asked.account, &resource))?;
        terms(token, policies)?
    };
    check_place_and_time(token, asked, terms.start, terms.expiry)?;
    if token.version.is_empty() && token.policy.is_empty() {
        check_unversioned_length(asked, terms.start, terms.expiry)?;
    }
    let letters = asked.service_letters.ok_or(SasRefusal::Permission)?;
    if asked.scope == Scope::Container && token.resource != "c" {
        return Err(SasRefusal::Permission);
    }
    grant(&terms.permissions, letters)
}

fn grant(given: &str, needed: &str) -> Result<Granted, SasRefusal> {
    if given.contains(|letter| needed.contains(letter)) {
        Ok(Granted { permissions: given.to_owned() })
    } else {
        Err(SasRefusal::Permission)
    }
}

fn check_account_scope(token: &Token, asked: &Asked<'_>) -> Result<(), SasRefusal> {
    if !token.services.contains('b') {
        return Err(SasRefusal::Service);
    }
    let letter = match asked.scope {
        Scope::Service => 's',
        Scope::Container => 'c',
        Scope::Object => 'o',
    };
    if token.resource_types.contains(letter) { Ok(()) } else { Err(SasRefusal::ResourceType) }
}

/// The container, and the blob or directory where the token is for one, that were signed.
fn signed_resource(token: &Token, asked: &Asked<'_>) -> Result<String, SasRefusal> {
    let container = asked.container.ok_or(SasRefusal::ResourceType)?;
    let blob = || asked.blob.ok_or(SasRefusal::ResourceType);
    match token.resource.as_str() {
        "c" => Ok(container.to_owned()),
        "b" | "bs" | "bv" => Ok(format!("{container}/{}", blob()?)),
        "d" => {
            let Ok(depth) = token.directory_depth.parse::<usize>() else {
                return Err(SasRefusal::Malformed { field: "sdd" });
            };
            let parts: Vec<&str> = blob()?.split('/').take(depth).collect();
            if parts.len() < depth {
                return Err(SasRefusal::ResourceType);
            }
            let directory = parts.iter().map(|part| format!("/{part}"));
            Ok(format!("{container}{}", directory.collect::<String>()))
        }
        _ => Err(SasRefusal::Malformed { field: "sr" }),
    }
}

fn check_signature(token: &Token, asked: &Asked<'_>, text: &str) -> Result<(), SasRefusal> {
    let keys: Vec<Key> = asked.keys.iter().filter_map(|key| Key::from_base64(key).ok()).collect();
    if hmac::is_signed_by_any(&keys, text, &signature(token)) {
        Ok(())
    } else {
        Err(SasRefusal::Signature { string_to_sign: text.to_owned() })
    }
}

/// A plus that the client did not escape arrives as a space.
fn signature(token: &Token) -> String {
    token.signature.replace(' ', "+")
}

struct EffectiveTerms<'a> {
    start: &'a str,
    expiry: &'a str,
    permissions: String,
}

/// The terms of a token that is signed with a user delegation key: of its letters count those
/// that its giver had.
fn delegated_terms<'a>(
    token: &'a Token,
    asked: &Asked<'_>,
    resource: &str,
) -> Result<EffectiveTerms<'a>, SasRefusal> {
    if token.version.as_str() < DELEGATION_SINCE {
        return Err(SasRefusal::Malformed { field: "sv" });
    }
    if token.policy().is_some() {
        return Err(SasRefusal::Malformed { field: "si" });
    }
    let extras = Extras { headers: asked.headers, query: asked.query };
    let text = text::of_delegation(token, asked.account, resource, extras);
    let key = &token.delegation.key;
    let signature = signature(token);
    let role = delegation::role_of_signer(asked.delegation_secret, key, &text, &signature);
    let Some(role) = role.filter(|_| !asked.delegation_secret.is_empty()) else {
        return Err(SasRefusal::Signature { string_to_sign: text });
    };
    let (start, expiry) = (Timestamp::parse_iso(&key.start), Timestamp::parse_iso(&key.expiry));
    let is_good_now = start.is_some_and(|start| start <= asked.now)
        && expiry.is_some_and(|expiry| asked.now <= expiry);
    if !is_good_now || key.service != "b" {
        return Err(SasRefusal::DelegationKey {
            start: key.start.clone(),
            expiry: key.expiry.clone(),
            service: key.service.clone(),
        });
    }
    if let Some(oid) = token.user() {
        let is_here = asked.bearer.is_some_and(|user| {
            user.oid == oid && (key.user_tid.is_empty() || user.tid == key.user_tid)
        });
        if !is_here {
            return Err(SasRefusal::User { oid: oid.to_owned() });
        }
    }
    let permissions = token.permissions.chars().filter(|it| role.letters().contains(*it)).collect();
    Ok(EffectiveTerms { start: &token.start, expiry: &token.expiry, permissions })
}

/// Start, end and letters from the token or its policy: from one of them, not from both.
fn terms<'a>(
    token: &'a Token,
    policies: &'a [StoredPolicy],
) -> Result<EffectiveTerms<'a>, SasRefusal> {
    let policy = match token.policy() {
        None => None,
        Some(id) => match policies.iter().find(|policy| policy.id == id) {
            Some(policy) => Some(policy),
            None => return Err(SasRefusal::PolicyNotFound { id: id.to_owned() }),
        },
    };
    let pick = |field, own: &'a str, kept: Option<&'a String>| match kept.map(String::as_str) {
        None | Some("") => Ok(own),
        Some(kept) if own.is_empty() => Ok(kept),
        Some(_) => Err(SasRefusal::Malformed { field }),
    };
    let start = pick("st", &token.start, policy.and_then(|it| it.start.as_ref()))?;
    let expiry = pick("se", &token.expiry, policy.and_then(|it| it.expiry.as_ref()))?;
    let permissions = pick("sp", &token.permissions, policy.and_then(|it| it.permission.as_ref()))?;
    if permissions.is_empty() {
        return Err(SasRefusal::Malformed { field: "sp" });
    }
    Ok(EffectiveTerms { start, expiry, permissions: permissions.to_owned() })
}

fn check_place_and_time(
    token: &Token,
    asked: &Asked<'_>,
    start: &str,
    expiry: &str,
) -> Result<(), SasRefusal> {
    let Some(end) = Timestamp::parse_iso(expiry) else {
        return Err(SasRefusal::Malformed { field: "se" });
    };
    if !start.is_empty() {
        let Some(begin) = Timestamp::parse_iso(start) else {
            return Err(SasRefusal::Malformed { field: "st" });
        };
        if asked.now < begin {
            return Err(SasRefusal::TooEarly { start: start.to_owned() });
        }
    }
    if asked.now > end {
        return Err(SasRefusal::Expired { expiry: expiry.to_owned() });
    }
    match token.protocol.as_str() {
        "" | "https,http" | "http,https" => {}
        "https" if asked.is_tls => {}
        "https" => return Err(SasRefusal::Protocol),
        _ => return Err(SasRefusal::Malformed { field: "spr" }),
    }
    check_address(&token.ip_range, asked.peer)
}

/// A token of the time before versions is short, so that it needs no way to be taken back.
fn check_unversioned_length(
    asked: &Asked<'_>,
    start: &str,
    expiry: &str,
) -> Result<(), SasRefusal> {
    let begin = Timestamp::parse_iso(start).unwrap_or(asked.now);
    let hour = Span::minutes(60 * UNVERSIONED_HOURS_MAX).to_std();
    match Timestamp::parse_iso(expiry) {
        Some(end) if end.since(begin) <= hour => Ok(()),
        Some(_) | None => Err(SasRefusal::Malformed { field: "se" }),
    }
}

/// Whether `peer` is the address, or inside the inclusive range, `range`.
fn check_address(range: &str, peer: Option<IpAddr>) -> Result<(), SasRefusal> {
    if range.is_empty() {
        return Ok(());
    }
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (Ok(first), Ok(last)) = (first.parse::<IpAddr>(), last.parse::<IpAddr>()) else {
        return Err(SasRefusal::Malformed { field: "sip" });
    };
    if first.is_ipv4() != last.is_ipv4() {
        return Err(SasRefusal::Malformed { field: "sip" });
    }
    match peer.map(|peer| peer.to_canonical()) {
        Some(peer) if first <= peer && peer <= last => Ok(()),
        Some(_) | None => Err(SasRefusal::SourceIp { peer }),
    }
}

fn is_date(text: &str) -> bool {
    crate::blob::version::ServiceVersion::nearest(text).is_some()
}
