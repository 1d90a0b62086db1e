//! Making shared access signatures, as clients do.

use super::super::SignError;
use super::super::hmac::Key;
use super::text;
use super::token::Token;

/// The version that tokens are made for: the newest whose signed text is settled.
const VERSION: &str = "2021-12-02";

/// What a token allows and when.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// Letters of what is allowed, `rwdl`.
    pub permissions: &'a str,
    /// Not valid before this time (ISO 8601); empty is at once.
    pub start: &'a str,
    /// Not valid after this time (ISO 8601).
    pub expiry: &'a str,
    /// Stored access policy that gives what is empty here.
    pub policy: &'a str,
    /// `https`, or empty for both.
    pub protocol: &'a str,
}

/// The query of a token for one container and its blobs.
pub fn container_sas(
    account: &str,
    key_base64: &str,
    container: &str,
    terms: Terms<'_>,
) -> Result<String, SignError> {
    let mut token = token(terms);
    "c".clone_into(&mut token.resource);
    let text = text::of_service(&token, account, container);
    signed(token, &text, key_base64)
}

/// The query of a token for one blob.
pub fn blob_sas(
    account: &str,
    key_base64: &str,
    container: &str,
    blob: &str,
    terms: Terms<'_>,
) -> Result<String, SignError> {
    let mut token = token(terms);
    "b".clone_into(&mut token.resource);
    let text = text::of_service(&token, account, &format!("{container}/{blob}"));
    signed(token, &text, key_base64)
}

/// The query of a token for the Blob service of an account; `resource_types` are letters of
/// `sco`: the service itself, containers, objects.
pub fn account_sas(
    account: &str,
    key_base64: &str,
    resource_types: &str,
    terms: Terms<'_>,
) -> Result<String, SignError> {
    let mut token = token(Terms { policy: "", ..terms });
    "b".clone_into(&mut token.services);
    resource_types.clone_into(&mut token.resource_types);
    let text = text::of_account(&token, account);
    signed(token, &text, key_base64)
}

fn token(terms: Terms<'_>) -> Token {
    Token {
        version: VERSION.to_owned(),
        permissions: terms.permissions.to_owned(),
        start: terms.start.to_owned(),
        expiry: terms.expiry.to_owned(),
        policy: terms.policy.to_owned(),
        protocol: terms.protocol.to_owned(),
        ..Token::default()
    }
}

fn signed(token: Token, text: &str, key_base64: &str) -> Result<String, SignError> {
    let signature = Key::from_base64(key_base64)?.sign(text);
    let mut query = form_urlencoded::Serializer::new(String::new());
    let parameters = [
        ("sv", &token.version),
        ("ss", &token.services),
        ("srt", &token.resource_types),
        ("st", &token.start),
        ("se", &token.expiry),
        ("sr", &token.resource),
        ("sp", &token.permissions),
        ("si", &token.policy),
        ("spr", &token.protocol),
        ("sig", &signature),
    ];
    for (name, value) in parameters {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    Ok(query.finish())
}
