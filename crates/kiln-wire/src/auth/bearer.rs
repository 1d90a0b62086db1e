//! Bearer tokens: JSON web tokens of an issuer that the settings name.
//!
//! Only three kinds of signature are taken, each with the kind of key it belongs to, so that a
//! token cannot choose to be checked in a weaker way than its issuer meant. What a token says
//! counts only once its signature is right.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;

use kiln_domain::limits::CLOCK_SKEW_MAX_MINUTES;
use kiln_domain::span::Span;
use kiln_domain::time::{TICKS_PER_SECOND, Timestamp};

/// Audiences that every storage account of the cloud answers to.
const AUDIENCES: [&str; 2] = ["https://storage.azure.com", "e406a681-f3d4-42a8-90b6-c2b029497af1"];
/// Characters of a token; longer ones are not read.
const TOKEN_LENGTH_MAX: usize = 64 * 1024;

/// Who comes with a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principal {
    /// Their number in the directory, `oid`, or else `sub`.
    pub oid: String,
    /// Their directory, `tid`.
    pub tid: String,
    /// What the directory says they are, `roles`.
    pub roles: Vec<String>,
}

/// A key that an issuer signs with.
#[derive(Clone)]
pub struct IssuerKey {
    id: Option<String>,
    kind: KeyKind,
}

#[derive(Clone)]
enum KeyKind {
    /// RS256: modulus and exponent, big-endian.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// ES256: an uncompressed point.
    P256(Vec<u8>),
    /// HS256.
    Secret(Vec<u8>),
}

impl std::fmt::Debug for IssuerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuerKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The text is no set of keys.
#[derive(Debug, thiserror::Error)]
#[error("this is no JSON web key set")]
pub struct NotKeys(#[source] serde_json::Error);

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<WebKey>,
}

#[derive(Deserialize)]
struct WebKey {
    kty: String,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
}

impl IssuerKey {
    /// A secret that the issuer shares with this server.
    pub fn of_secret(secret: &[u8]) -> Self {
        Self { id: None, kind: KeyKind::Secret(secret.to_vec()) }
    }

    /// The keys of a JSON web key set; those of other kinds are left out.
    ///
    /// # Errors
    /// When it is none.
    pub fn of_set(text: &str) -> Result<Vec<Self>, NotKeys> {
        let set: KeySet = serde_json::from_str(text).map_err(NotKeys)?;
        Ok(set.keys.into_iter().filter_map(Self::of_web_key).collect())
    }

    fn of_web_key(key: WebKey) -> Option<Self> {
        let bytes = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?.trim_end_matches('=')).ok();
        let kind = match (key.kty.as_str(), key.crv.as_deref()) {
            ("RSA", _) => KeyKind::Rsa { n: bytes(key.n)?, e: bytes(key.e)? },
            ("EC", Some("P-256")) => {
                // The form of a point that says both coordinates begins with 4.
                let point = [vec![4], bytes(key.x)?, bytes(key.y)?].concat();
                KeyKind::P256(point)
            }
            ("oct", _) => KeyKind::Secret(bytes(key.k)?),
            _ => return None,
        };
        Some(Self { id: key.kid, kind })
    }

    fn is_signer(&self, algorithm: &str, said: &str, signature: &[u8]) -> bool {
        let said = said.as_bytes();
        match (&self.kind, algorithm) {
            (KeyKind::Rsa { n, e }, "RS256") => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, said, signature)
                .is_ok(),
            (KeyKind::P256(point), "ES256") => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .verify(said, signature)
                    .is_ok()
            }
            (KeyKind::Secret(secret), "HS256") => {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
                ring::hmac::verify(&key, said, signature).is_ok()
            }
            (KeyKind::Rsa { .. } | KeyKind::P256(_) | KeyKind::Secret(_), _) => false,
        }
    }
}

/// What tokens must say to be taken.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Who may have made them: one of these.
    pub issuers: &'a [String],
    /// Whom they may be for, besides those of every storage account: one of these.
    pub audiences: &'a [String],
    /// The issuers' keys.
    pub keys: &'a [IssuerKey],
    /// The account that is asked for.
    pub account: &'a str,
    /// The time now.
    pub now: Timestamp,
}

/// Why a token is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// Not of the form of a JSON web token.
    #[error("the token is not of the form of a JSON web token")]
    Form,
    /// No key of the issuer made the signature.
    #[error("no key of the issuer made the signature of the token")]
    Signature,
    /// Made by somebody else.
    #[error("the issuer `{issuer}` is not the one that this server trusts")]
    Issuer {
        /// Who made it.
        issuer: String,
    },
    /// Made for another service.
    #[error("the audience `{audience}` is not this service")]
    Audience {
        /// Whom it is for.
        audience: String,
    },
    /// Before its time.
    #[error("the token is not valid yet")]
    TooEarly,
    /// After its time, or without an end.
    #[error("the token has expired")]
    Expired,
}

impl TokenRefusal {
    /// Whether the issuer may have a new key that is not known here yet.
    pub fn may_be_of_a_new_key(&self) -> bool {
        matches!(self, Self::Signature)
    }
}

/// Decides who comes with `token`.
pub fn verify(token: &str, expected: &Expected<'_>) -> Result<Principal, TokenRefusal> {
    if token.len() > TOKEN_LENGTH_MAX {
        return Err(TokenRefusal::Form);
    }
    let (said, signature) = token.rsplit_once('.').ok_or(TokenRefusal::Form)?;
    let (header, claims) = said.split_once('.').ok_or(TokenRefusal::Form)?;
    let header = object(header)?;
    let text =
        |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let algorithm = text(&header, "alg").ok_or(TokenRefusal::Form)?;
    let key_id = text(&header, "kid");
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_not_base64| TokenRefusal::Form)?;
    let mut candidates = expected.keys.iter().filter(|key| match (&key.id, &key_id) {
        (Some(own), Some(named)) => own == named,
        (None, _) | (_, None) => true,
    });
    if !candidates.any(|key| key.is_signer(&algorithm, said, &signature)) {
        return Err(TokenRefusal::Signature);
    }
    let claims = object(claims)?;
    let issuer = text(&claims, "iss").unwrap_or_default();
    if !expected.issuers.iter().any(|known| is_same_url(known, &issuer)) {
        return Err(TokenRefusal::Issuer { issuer });
    }
    check_audience(&claims, expected)?;
    check_times(&claims, expected.now)?;
    let oid = text(&claims, "oid").or_else(|| text(&claims, "sub")).ok_or(TokenRefusal::Form)?;
    Ok(Principal {
        oid,
        tid: text(&claims, "tid").unwrap_or_default(),
        roles: texts(claims.get("roles")),
    })
}

fn object(part: &str) -> Result<Value, TokenRefusal> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_not_base64| TokenRefusal::Form)?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|_not_json| TokenRefusal::Form)?;
    if value.is_object() { Ok(value) } else { Err(TokenRefusal::Form) }
}

/// One text, or a list of them.
fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) => {
            items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {
            Vec::new()
        }
    }
}

fn check_audience(claims: &Value, expected: &Expected<'_>) -> Result<(), TokenRefusal> {
    let own = format!("https://{}.blob.core.windows.net", expected.account);
    let named = texts(claims.get("aud"));
    let is_ours = |audience: &String| {
        is_same_url(audience, &own)
            || AUDIENCES.iter().any(|known| is_same_url(known, audience))
            || expected.audiences.iter().any(|known| is_same_url(known, audience))
    };
    if named.iter().any(is_ours) {
        Ok(())
    } else {
        Err(TokenRefusal::Audience { audience: named.join(" ") })
    }
}

/// Clocks of issuers differ from ours as those of clients do.
fn check_times(claims: &Value, now: Timestamp) -> Result<(), TokenRefusal> {
    let time = |name: &str| {
        let number = claims.get(name)?;
        let seconds = number.as_i64();
        Some(seconds.map(|it| Timestamp(it.saturating_mul(TICKS_PER_SECOND))))
    };
    let skew = Span::minutes(CLOCK_SKEW_MAX_MINUTES).ticks();
    match time("exp") {
        Some(Some(end)) if now.0.saturating_sub(skew) <= end.0 => {}
        Some(_) | None => return Err(TokenRefusal::Expired),
    }
    match time("nbf") {
        Some(Some(begin)) if begin.0 <= now.0.saturating_add(skew) => Ok(()),
        None => Ok(()),
        Some(_) => Err(TokenRefusal::TooEarly),
    }
}

/// Whether two names of issuers or audiences are one: a slash at the end does not count.
fn is_same_url(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

    use super::{Expected, IssuerKey, Timestamp, verify};

    const NOW: &str = "2030-06-01T12:00:00Z";
    /// The modulus of a key whose other half is gone, and a token that was made with it.
    const RSA_N: &str = "xWuGPekUH3FUmQicPp1Z4j7g4g8u41cgTJTqKH_H3koNZ8_zFd2DQ0QAs3KTmSXs1M_R7r\
        d99BDPQ_PTrZnDf7MAl2vfWuEYZQMaS29KjruXdEfzDdSda5vW6n8B3y_Z0dTHn9Bc5XDm\
        Nr-t0G84UlxX8ejnmtPZ6xrOf6iKkSfJ9vhuUl-gtv7r1PgOXTDrm_VQW0js4bMGsHP-dt\
        Ti35tdRUHuw9jgDKCVFzcxwvmEzzG0imhOJyDsudrTN-QrxvHllwwABhsgINklu-LJUKpU\
        v-ZpVjp88NjGZpCrdUC1ceCi3hGIo29P0dB28PFNKvt13K_bkvod2Y0rEMPl7Q";
    const RSA_TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6Im9uZSJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5le\
        GFtcGxlLyIsImF1ZCI6Imh0dHBzOi8vc3RvcmFnZS5henVyZS5jb20iLCJleHAiOjQwNzA\
        5MDg4MDAsIm9pZCI6Im8iLCJ0aWQiOiJ0Iiwicm9sZXMiOlsiciJdfQ.XW4pUnFMBK2jR_\
        4H6VtXGU-7A-atwRyeBx9nFozvUaZrcqdOf2Tkv_QNESJ-J9TIM0LCmcJnPhOAviXsfVEe\
        OWfT9TtQ2fMtHVxCopPPymu9hYkPZhCTnjy5o38GYmpQQNknmWGy5EXSrjHhFCacrxhL7-\
        s826aVSCZRdTuYc_NwAjROFXu7PMTT7xe5-va0Uffe0IIxIk71x-xl_w8JpWWpV3HFic_g\
        mFuTWrWpvsoWer0y2yDzZ0ijF7ilGpdCPz56ltZnJoU6omnmTXNbhREFtBNwQwPgwqARz3\
        nnRmcR_6ezY9qCv-Zp6LD66GW_SRaPfZjoY6oBvqjWFI3YYg";

    fn word(token: &str, keys: &[IssuerKey]) -> String {
        let issuers = ["https://issuer.example".to_owned()];
        let expected = Expected {
            issuers: &issuers,
            audiences: &["api://kiln".to_owned()],
            keys,
            account: "acct",
            now: Timestamp::parse_iso(NOW).expect("a time"),
        };
        match verify(token, &expected) {
            Ok(who) => format!("{} {} {}", who.oid, who.tid, who.roles.join(",")),
            Err(refusal) => refusal.to_string(),
        }
    }

    fn said(header: &str, claims: &str) -> String {
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    fn with_secret(header: &str, claims: &str) -> String {
        let said = said(header, claims);
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"secret");
        let signature = ring::hmac::sign(&key, said.as_bytes());
        format!("{said}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    #[test]
    fn keys_of_three_kinds() {
        let rsa = format!(r#"{{"keys":[{{"kty":"RSA","kid":"one","n":"{RSA_N}","e":"AQAB"}}]}}"#);
        let rsa = IssuerKey::of_set(&rsa).expect("keys");
        assert_eq!(word(RSA_TOKEN, &rsa), "o t r");

        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let made = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, made.as_ref(), &random).expect("a key");
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let ec = format!(
            r#"{{"keys":[{{"kty":"OKP"}},{{"kty":"EC","crv":"P-256","x":"{}","y":"{}"}}]}}"#,
            text(x),
            text(y)
        );
        let ec = IssuerKey::of_set(&ec).expect("keys");
        let claims = r#"{"iss":"https://issuer.example/","aud":["x","api://kiln"],
                         "exp":4070908800,"sub":"s"}"#;
        let said = said(r#"{"alg":"ES256"}"#, claims);
        let signature = pair.sign(&random, said.as_bytes()).expect("signed");
        let token = format!("{said}.{}", text(signature.as_ref()));
        assert_eq!(word(&token, &ec), "s  ");
        assert_eq!(word(&token, &rsa), "no key of the issuer made the signature of the token");
        assert!(IssuerKey::of_set("[]").is_err());
    }

    #[test]
    fn a_token_does_not_choose_how_it_is_checked() {
        let keys = [IssuerKey::of_secret(b"secret")];
        let claims = r#"{"iss":"https://issuer.example/","aud":"https://storage.azure.com/",
                         "exp":4070908800,"oid":"o"}"#;
        let check = |header: &str, expected: &str| {
            assert_eq!(word(&with_secret(header, claims), &keys), expected, "{header}");
        };
        let wrong = "no key of the issuer made the signature of the token";
        check(r#"{"alg":"HS256"}"#, "o  ");
        check(r#"{"alg":"HS256","kid":"any"}"#, "o  ");
        check(r#"{"alg":"none"}"#, wrong);
        check(r#"{"alg":"RS256"}"#, wrong);
        check(r#"{"alg":"HS512"}"#, wrong);
        check("{}", "the token is not of the form of a JSON web token");
        let unsigned = format!("{}.", said(r#"{"alg":"none"}"#, claims));
        assert_eq!(word(&unsigned, &keys), wrong);
        // The public half of a key is no secret to sign with.
        let rsa = format!(r#"{{"keys":[{{"kty":"RSA","n":"{RSA_N}","e":"AQAB"}}]}}"#);
        let rsa = IssuerKey::of_set(&rsa).expect("keys");
        assert_eq!(word(&with_secret(r#"{"alg":"HS256"}"#, claims), &rsa), wrong);
        for odd in ["", "a", "a.b", "a.b.c", "....", &"a".repeat(70_000)] {
            let told = word(odd, &keys);
            assert_eq!(told, "the token is not of the form of a JSON web token", "{odd}");
        }
    }

    #[test]
    fn what_a_token_must_say() {
        let keys = [IssuerKey::of_secret(b"secret")];
        let check = |claims: &str, expected: &str| {
            assert_eq!(
                word(&with_secret(r#"{"alg":"HS256"}"#, claims), &keys),
                expected,
                "{claims}"
            );
        };
        let usual = r#""iss":"https://issuer.example","oid":"o","aud":"https://storage.azure.com""#;
        check(&format!(r#"{{{usual},"exp":4070908800,"roles":"a"}}"#), "o  a");
        check(&format!("{{{usual}}}"), "the token has expired");
        check(&format!(r#"{{{usual},"exp":"never"}}"#), "the token has expired");
        // 2030-06-01T11:45:00Z and the second before.
        check(&format!(r#"{{{usual},"exp":1906544700}}"#), "o  ");
        check(&format!(r#"{{{usual},"exp":1906544699}}"#), "the token has expired");
        check(&format!(r#"{{{usual},"exp":4070908800,"nbf":1906546500}}"#), "o  ");
        check(
            &format!(r#"{{{usual},"exp":4070908800,"nbf":1906546501}}"#),
            "the token is not valid yet",
        );
        check(&format!(r#"{{{usual},"exp":4070908800,"nbf":"x"}}"#), "the token is not valid yet");
        check(
            r#"{"iss":"https://other.example","exp":4070908800}"#,
            "the issuer `https://other.example` is not the one that this server trusts",
        );
        check(
            r#"{"iss":"https://issuer.example","exp":4070908800,"aud":"https://vault.azure.net"}"#,
            "the audience `https://vault.azure.net` is not this service",
        );
        check(
            r#"{"iss":"https://issuer.example","exp":4070908800,"oid":"o",
                "aud":"https://acct.blob.core.windows.net"}"#,
            "o  ",
        );
    }
}
