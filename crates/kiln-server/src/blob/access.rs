//! Who asks, and whether they may.

use kiln_domain::blob::container::{Container, PublicAccess, StoredPolicy};
use kiln_domain::limits::CLOCK_SKEW_MAX_MINUTES;
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use kiln_store::Account;
use kiln_wire::auth::bearer::Principal;
use kiln_wire::auth::role::Role;
use kiln_wire::auth::sas::Scope;
use kiln_wire::auth::sas::{self, Asked, SasRefusal, Token};
use kiln_wire::auth::{SharedKey, SignedRequest, shared_key_blob};
use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::operation::{Operation, Place, Rights};
use kiln_wire::blob::target::Target;

use super::call::{At, Call};
use super::failure::Failure;
use super::guard::IF_TAGS;

/// First version of tokens that let who may delete something end its lease.
const BREAKS_BY_DELETERS_SINCE: &str = "2017-07-29";

/// What somebody proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// To hold a key of the account.
    Owner,
    /// To hold a signature with these letters.
    Signature {
        /// What it allows.
        permissions: String,
    },
    /// To be somebody, whose role this is.
    Bearer {
        /// Who.
        who: Principal,
        /// What they may do.
        role: Role,
    },
    /// Nothing: the container is public.
    Anonymous,
}

impl Access {
    /// Whether every blob of the account may be read.
    fn reads_all(&self) -> bool {
        match self {
            Self::Owner => true,
            Self::Bearer { role, .. } => role.letters().contains('r'),
            Self::Signature { .. } | Self::Anonymous => false,
        }
    }

    /// Whether a blob that exists may be replaced.
    pub(super) fn allows_overwrite(&self) -> bool {
        match self {
            Self::Owner => true,
            Self::Signature { permissions } => permissions.contains('w'),
            Self::Bearer { role, .. } => role.letters().contains('w'),
            Self::Anonymous => false,
        }
    }
}

/// Decides who asks and whether they may do what they ask for.
pub(super) async fn authorize(call: &Call) -> Result<Access, Failure> {
    let access = admit(call).await?;
    match &access {
        // What a condition on tags comes to tells what they are.
        Access::Signature { permissions }
            if call.headers().get(IF_TAGS).is_some() && !permissions.contains('t') =>
        {
            Err(SasRefusal::Permission.into())
        }
        Access::Owner | Access::Signature { .. } | Access::Bearer { .. } | Access::Anonymous => {
            Ok(access)
        }
    }
}

async fn admit(call: &Call) -> Result<Access, Failure> {
    if call.target.is_secondary && !matches!(call.method.as_str(), "GET" | "HEAD") {
        let message = "Write operations to the secondary location are not allowed.";
        return Err(BlobError::new(403, "InsufficientAccountPermissions", message).into());
    }
    let account = account(call, &call.target)?;
    let authorization = call.headers().get("Authorization");
    let bearer = authorization.and_then(bearer);
    match (authorization, &call.token, bearer) {
        (Some(_), Some(token), Some(bearer)) if token.user().is_some() => {
            let who = principal(call, &account, bearer).await?;
            check_token(call, &account, &call.target, token, rights(call), Some(&who))
        }
        (Some(_), Some(_), _) => {
            let message = "Authentication information is given both in the Authorization header \
                           and in the query.";
            Err(BlobError::new(400, "InvalidAuthenticationInfo", message).into())
        }
        (Some(_), None, Some(bearer)) => check_bearer(call, &account, bearer).await,
        (Some(authorization), None, None) => check_shared_key(call, &account, authorization),
        (None, Some(token), _) => {
            check_token(call, &account, &call.target, token, rights(call), None)
        }
        (None, None, _) => check_public(call, &call.target, call.operation),
    }
}

/// The token of `Bearer TOKEN`.
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

async fn principal(call: &Call, account: &Account, bearer: &str) -> Result<Principal, Failure> {
    let tokens = &call.service.tokens;
    if !call.gates.has_bearer_tokens() {
        let detail = "Bearer tokens are taken from x-ms-version 2017-11-09 on.";
        return Err(BlobError::authentication_failed(detail).into());
    }
    let is_tls = call.scheme == "https";
    Ok(tokens.principal(bearer, &account.name, is_tls, call.received_at).await?)
}

async fn check_bearer(call: &Call, account: &Account, bearer: &str) -> Result<Access, Failure> {
    let who = principal(call, account, bearer).await?;
    let role = call.service.tokens.role_of(&who);
    let rights = rights(call);
    let is_enough = |role: Role| match (call.operation, rights.account_letters) {
        (Operation::GetUserDelegationKey, _) => true,
        (_, Some(letters)) => role.letters().contains(|letter| letters.contains(letter)),
        (_, None) => role == Role::Owner,
    };
    match role {
        Some(role) if is_enough(role) => Ok(Access::Bearer { who, role }),
        Some(_) | None => {
            let message = "This request is not authorized to perform this operation using this \
                           permission.";
            Err(BlobError::new(403, "AuthorizationPermissionMismatch", message).into())
        }
    }
}

/// Decides whether the request may read the blob `source`, whose address carries `token`.
pub(super) fn authorize_source(
    call: &Call,
    source: &Target,
    token: Option<&Token>,
) -> Result<(), Failure> {
    let allowed = match token {
        Some(token) => {
            let account = account(call, source)?;
            let rights = Operation::GetBlob.rights();
            check_token(call, &account, source, token, rights, None)
        }
        None if call.access.reads_all() && source.account == call.target.account => {
            Ok(Access::Owner)
        }
        None => check_public(call, source, Operation::GetBlob),
    };
    match allowed {
        Ok(_) => Ok(()),
        Err(Failure::Refused(_)) => {
            let message = "The copy source may not be read with what the request carries.";
            Err(BlobError::new(403, "CannotVerifyCopySource", message).into())
        }
        Err(failure) => Err(failure),
    }
}

fn account(call: &Call, target: &Target) -> Result<Account, Failure> {
    match call.service.accounts.storage(&target.account)? {
        Some(account) => Ok(account),
        None => Err(BlobError::authentication_failed("the account was removed").into()),
    }
}

/// The rights to have; some operations are the same for any of an account's resources.
fn rights(call: &Call) -> Rights {
    let rights = call.operation.rights();
    if call.operation == Operation::DeleteBlob {
        let letters = Some(letter_of_deletion(call));
        return Rights { account_letters: letters, service_letters: letters, ..rights };
    }
    // Who may delete it may also end the lease that keeps it from being deleted.
    if matches!(call.operation, Operation::LeaseBlob | Operation::LeaseContainer) && is_break(call)
    {
        return Rights {
            account_letters: rights.account_letters.map(|_| "wd"),
            service_letters: rights.service_letters.map(|_| "wd"),
            ..rights
        };
    }
    if !matches!(call.operation, Operation::GetAccountInformation | Operation::Batch) {
        return rights;
    }
    let place = match (&call.target.container, &call.target.blob) {
        (None, _) => Place::Service,
        (Some(_), None) => Place::Container,
        (Some(_), Some(_)) => Place::Blob,
    };
    let scope = match place {
        Place::Service => Scope::Service,
        Place::Container => Scope::Container,
        Place::Blob => Scope::Object,
    };
    Rights { scope, ..rights }
}

fn is_break(call: &Call) -> bool {
    let action = call.headers().get("x-ms-lease-action");
    action.is_some_and(|action| action.eq_ignore_ascii_case("break"))
        && call.token.as_ref().is_some_and(|token| token.version() >= BREAKS_BY_DELETERS_SINCE)
}

/// Deleting a version, or something deleted for good, takes a letter of its own.
fn letter_of_deletion(call: &Call) -> &'static str {
    match (call.parameter("deletetype"), call.at) {
        (Some(_), _) => "y",
        (None, At::Version(_)) => "x",
        (None, At::Now | At::Snapshot(_)) => "d",
    }
}

fn check_shared_key(
    call: &Call,
    account: &Account,
    authorization: &str,
) -> Result<Access, Failure> {
    let Some(key) = SharedKey::parse(authorization) else {
        let detail = "The scheme of the Authorization header is none that is taken here: \
                      SharedKey, SharedKeyLite, Bearer, or a shared access signature in the \
                      query.";
        return Err(BlobError::authentication_failed(detail).into());
    };
    if key.account != account.name && key.account != format!("{}-secondary", account.name) {
        let detail = format!(
            "The request is signed by the account '{}' and is for the account '{}'.",
            key.account, account.name
        );
        return Err(BlobError::authentication_failed(detail).into());
    }
    check_date(call)?;
    let request = SignedRequest {
        method: &call.method,
        raw_path: &call.raw_path,
        query: &call.query,
        headers: &call.header_pairs,
    };
    let [first, second] = &account.keys;
    match shared_key_blob::verify(&request, &account.name, &[first, second]) {
        Ok(()) => Ok(Access::Owner),
        Err(mismatch) => {
            tracing::debug!(text = %mismatch.string_to_sign.escape_debug(), "wrong signature");
            Err(BlobError::wrong_signature(key.signature, &mismatch.string_to_sign).into())
        }
    }
}

/// A signature is good for a while around its date only.
fn check_date(call: &Call) -> Result<(), Failure> {
    let headers = call.headers();
    let Some(text) = headers.get("x-ms-date").or_else(|| headers.get("Date")) else {
        let detail = "Neither x-ms-date nor Date is given.";
        return Err(BlobError::authentication_failed(detail).into());
    };
    let Some(at) = Timestamp::parse_rfc1123(text) else {
        return Err(BlobError::invalid_header("x-ms-date", text).into());
    };
    let distance = call.received_at.since(at).max(at.since(call.received_at));
    if distance > Span::minutes(CLOCK_SKEW_MAX_MINUTES).to_std() {
        let detail = format!(
            "Request date header too old: '{text}' is more than {CLOCK_SKEW_MAX_MINUTES} minutes \
             from the server's time '{}'.",
            call.received_at.to_rfc1123()
        );
        return Err(BlobError::authentication_failed(detail).into());
    }
    Ok(())
}

fn check_token(
    call: &Call,
    account: &Account,
    target: &Target,
    token: &Token,
    rights: Rights,
    bearer: Option<&Principal>,
) -> Result<Access, Failure> {
    let settings = call.service.accounts.storage_settings(&account.name)?;
    let policies = match token.policy() {
        Some(_) => policies(call, target)?,
        None => Vec::new(),
    };
    let [first, second] = &account.keys;
    let asked = Asked {
        account: &account.name,
        keys: &[first, second],
        container: target.container.as_deref(),
        blob: target.blob.as_deref(),
        delegation_secret: settings.delegation_secret.as_ref().map_or("", |it| it.0.as_str()),
        bearer,
        headers: &call.header_pairs,
        query: &call.query,
        scope: rights.scope,
        account_letters: rights.account_letters,
        service_letters: rights.service_letters,
        is_tls: call.scheme == "https",
        peer: call.peer,
        now: call.received_at,
    };
    let granted = sas::check(token, &asked, &policies)?;
    Ok(Access::Signature { permissions: granted.permissions })
}

fn policies(call: &Call, target: &Target) -> Result<Vec<StoredPolicy>, Failure> {
    let container = container(call, target)?;
    Ok(container.map(|container| container.policies).unwrap_or_default())
}

fn container(call: &Call, target: &Target) -> Result<Option<Container>, Failure> {
    let Some(name) = &target.container else { return Ok(None) };
    let found = call.service.store.read(|view| view.container(&target.account, name))?;
    Ok(found.map(|found| found.container))
}

fn check_public(call: &Call, target: &Target, operation: Operation) -> Result<Access, Failure> {
    let public_access = container(call, target)?.map(|container| container.public_access);
    let is_allowed = match public_access {
        Some(PublicAccess::Container) => operation.is_blob_read() || operation.is_container_read(),
        Some(PublicAccess::Blob) => operation.is_blob_read(),
        Some(PublicAccess::Private) | None => false,
    };
    if is_allowed {
        return Ok(Access::Anonymous);
    }
    if call.gates.has_login_challenge() {
        let message = "Server failed to authenticate the request. Please refer to the \
                       information in the www-authenticate header.";
        let error = BlobError::new(401, "NoAuthenticationInformation", message);
        let challenge = call.service.tokens.challenge();
        return Err(error.with_header("WWW-Authenticate", challenge).into());
    }
    let message = "The specified resource does not exist.";
    Err(BlobError::new(404, "ResourceNotFound", message).into())
}
