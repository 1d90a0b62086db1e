//! The `[tokens]` of a settings file: whose bearer tokens open the Blob endpoint.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kiln_server::config::{Role, TOKEN_AUTHORITY, TokenConfig, TokenKeys};
use serde::Deserialize;

/// Whose bearer tokens open the Blob endpoint, checked as it is read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct TokensLayer(pub(crate) TokenConfig);

/// The same as it is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Written {
    issuers: Vec<String>,
    #[serde(default)]
    audiences: Vec<String>,
    keys_file: Option<PathBuf>,
    keys_url: Option<String>,
    secret_file: Option<PathBuf>,
    authority: Option<String>,
    #[serde(default)]
    roles: BTreeMap<String, String>,
    default_role: Option<String>,
    #[serde(default)]
    allow_http: bool,
}

/// Why the tokens of a file make no sense.
#[derive(Debug, thiserror::Error)]
enum BadTokens {
    #[error("`issuers` names nobody")]
    NoIssuer,
    #[error("exactly one of `keys-file`, `keys-url` and `secret-file` is expected")]
    Keys,
    #[error("there is no role `{name}`: owner, contributor and reader are known")]
    Role { name: String },
}

impl TryFrom<Written> for TokensLayer {
    type Error = BadTokens;

    fn try_from(written: Written) -> Result<Self, BadTokens> {
        if written.issuers.is_empty() {
            return Err(BadTokens::NoIssuer);
        }
        let keys = match (written.keys_file, written.keys_url, written.secret_file) {
            (Some(path), None, None) => TokenKeys::File(path),
            (None, Some(url), None) => TokenKeys::Url(url),
            (None, None, Some(path)) => TokenKeys::SecretFile(path),
            (_, _, _) => return Err(BadTokens::Keys),
        };
        let role = |name: String| Role::parse(&name).ok_or(BadTokens::Role { name });
        let roles = written.roles.into_iter().map(|(who, name)| Ok((who, role(name)?)));
        Ok(Self(TokenConfig {
            issuers: written.issuers,
            audiences: written.audiences,
            keys,
            authority: written.authority.unwrap_or_else(|| TOKEN_AUTHORITY.to_owned()),
            roles: roles.collect::<Result<_, BadTokens>>()?,
            default_role: written.default_role.map(role).transpose()?,
            allows_http: written.allow_http,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use kiln_server::config::{Role, TokenKeys};

    use super::TokensLayer;

    const FILE: &str = "issuers = [\"https://issuer.example/\"]\nkeys-file = \"keys.json\"\n";

    #[test]
    fn a_file_says_whose_tokens_count() {
        let text =
            format!("{FILE}default-role = \"reader\"\n[roles]\nann = \"Storage Blob Data Owner\"");
        let TokensLayer(tokens) = toml::from_str(&text).expect("a file");
        assert_eq!(tokens.keys, TokenKeys::File(PathBuf::from("keys.json")));
        assert_eq!(tokens.roles.get("ann"), Some(&Role::Owner));
        assert_eq!(tokens.default_role, Some(Role::Reader));
        assert!(!tokens.allows_http);
    }

    #[test]
    fn tokens_that_make_no_sense_are_refused() {
        let check = |text: &str, expected: &str| {
            let told = toml::from_str::<TokensLayer>(text).expect_err("refused").to_string();
            assert!(told.contains(expected), "{told}");
        };
        check("keys-file = \"k\"", "missing field `issuers`");
        check("issuers = []\nkeys-file = \"k\"", "`issuers` names nobody");
        check("issuers = [\"i\"]", "exactly one of");
        check(&format!("{FILE}keys-url = \"https://i\""), "exactly one of");
        check(&format!("{FILE}default-role = \"king\""), "there is no role `king`");
        check(&format!("{FILE}[roles]\nann = \"king\""), "there is no role `king`");
        check(&format!("{FILE}key = 1"), "unknown field `key`");
    }
}
