//! The text that a shared access signature covers, by the version it was made for.

use percent_encoding::percent_decode_str;

use super::token::Token;

/// What of a request a signature can cover besides its address.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extras<'a> {
    pub(super) headers: &'a [(String, String)],
    pub(super) query: &'a [(String, String)],
}

/// Versions compare as text: all are dates of one form.
fn is_since(token: &Token, version: &str) -> bool {
    token.version.as_str() >= version
}

/// The text of a token for `resource`, `CONTAINER` or `CONTAINER/BLOB`, with an account key.
pub(super) fn of_service(token: &Token, account: &str, resource: &str) -> String {
    let service = if is_since(token, "2015-02-21") { "/blob" } else { "" };
    let resource = format!("{service}/{account}/{resource}");
    let mut lines: Vec<&str> =
        vec![&token.permissions, &token.start, &token.expiry, &resource, &token.policy];
    push_place(&mut lines, token);
    push_resource(&mut lines, token);
    push_response_headers(&mut lines, token);
    lines.join("\n")
}

/// The same with a user delegation key.
pub(super) fn of_delegation(
    token: &Token,
    account: &str,
    resource: &str,
    extras: Extras<'_>,
) -> String {
    let resource = format!("/blob/{account}/{resource}");
    let it = &token.delegation;
    let (headers, parameters) = (header_block(token, extras), parameter_block(token, extras));
    let mut lines: Vec<&str> = vec![&token.permissions, &token.start, &token.expiry, &resource];
    let key = &it.key;
    lines.extend([&*key.oid, &key.tid, &key.start, &key.expiry, &key.service, &key.version]);
    if is_since(token, "2020-02-10") {
        lines.extend([&*it.authorized, &it.unauthorized, &it.correlation]);
    }
    if is_since(token, "2025-07-05") {
        lines.extend([&*key.user_tid, &it.user]);
    }
    push_place(&mut lines, token);
    push_resource(&mut lines, token);
    if is_since(token, "2026-04-06") {
        lines.extend([&*headers, &parameters]);
    }
    push_response_headers(&mut lines, token);
    lines.join("\n")
}

fn push_place<'a>(lines: &mut Vec<&'a str>, token: &'a Token) {
    if is_since(token, "2015-04-05") {
        lines.extend([token.ip_range.as_str(), &token.protocol]);
    }
    if is_since(token, "2012-02-12") {
        lines.push(&token.version);
    }
}

fn push_resource<'a>(lines: &mut Vec<&'a str>, token: &'a Token) {
    if is_since(token, "2018-11-09") {
        lines.extend([token.resource.as_str(), &token.snapshot]);
    }
    if is_since(token, "2020-12-06") {
        lines.push(&token.encryption_scope);
    }
}

fn push_response_headers<'a>(lines: &mut Vec<&'a str>, token: &'a Token) {
    if is_since(token, "2013-08-15") {
        lines.extend([
            token.cache_control.as_str(),
            &token.disposition,
            &token.encoding,
            &token.language,
            &token.content_type,
        ]);
    }
}

/// `name:value` of each header that must be sent as signed, each on a line that ends.
fn header_block(token: &Token, extras: Extras<'_>) -> String {
    let names = names(&token.delegation.header_names);
    names.map(|name| format!("{name}:{}\n", value_of(extras.headers, &name))).collect()
}

/// `name:value` of each parameter that must be sent as signed, each on a line that begins.
fn parameter_block(token: &Token, extras: Extras<'_>) -> String {
    let names = names(&token.delegation.parameter_names);
    names.map(|name| format!("\n{name}:{}", value_of(extras.query, &name))).collect()
}

fn names(list: &str) -> impl Iterator<Item = String> {
    let names = list.split(',').filter(|name| !name.is_empty());
    names.map(|name| percent_decode_str(name).decode_utf8_lossy().into_owned())
}

fn value_of<'a>(pairs: &'a [(String, String)], name: &str) -> &'a str {
    let found = pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map_or("", |(_, value)| value)
}

/// The text of a token for the whole of `account`; every line ends, the last too.
pub(super) fn of_account(token: &Token, account: &str) -> String {
    let mut lines: Vec<&str> = vec![
        account,
        &token.permissions,
        &token.services,
        &token.resource_types,
        &token.start,
        &token.expiry,
        &token.ip_range,
        &token.protocol,
        &token.version,
    ];
    if is_since(token, "2020-12-06") {
        lines.push(&token.encryption_scope);
    }
    lines.push("");
    lines.join("\n")
}
