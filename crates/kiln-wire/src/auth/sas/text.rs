//! The text that a shared access signature covers, by the version it was made for.

use super::token::Token;

/// Versions compare as text: all are dates of one form.
fn is_since(token: &Token, version: &str) -> bool {
    token.version.as_str() >= version
}

/// The text of a token for one container or blob of `account`.
pub(super) fn of_service(
    token: &Token,
    account: &str,
    container: &str,
    blob: Option<&str>,
) -> String {
    let service = if is_since(token, "2015-02-21") { "/blob" } else { "" };
    let mut resource = format!("{service}/{account}/{container}");
    if let Some(blob) = blob {
        resource.push('/');
        resource.push_str(blob);
    }
    let mut lines: Vec<&str> =
        vec![&token.permissions, &token.start, &token.expiry, &resource, &token.policy];
    if is_since(token, "2015-04-05") {
        lines.extend([token.ip_range.as_str(), &token.protocol]);
    }
    if is_since(token, "2012-02-12") {
        lines.push(&token.version);
    }
    if is_since(token, "2018-11-09") {
        lines.extend([token.resource.as_str(), &token.snapshot]);
    }
    if is_since(token, "2020-12-06") {
        lines.push(&token.encryption_scope);
    }
    if is_since(token, "2013-08-15") {
        lines.extend([
            token.cache_control.as_str(),
            &token.disposition,
            &token.encoding,
            &token.language,
            &token.content_type,
        ]);
    }
    lines.join("\n")
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
