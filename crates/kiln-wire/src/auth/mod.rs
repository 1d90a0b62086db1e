//! Who asks: signatures of requests and shared access signatures.

pub mod bearer;
pub mod delegation;
mod hmac;
pub mod role;
pub mod sas;
pub mod shared_key_batch;
pub mod shared_key_blob;
pub mod task_token;

/// The standard headers of the signed text, in its order; both services sign the same ones
/// and differ in how they read some of them.
const SIGNED_HEADERS: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

/// What a signature covers of a request.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    /// The verb in capitals, `GET`.
    pub method: &'a str,
    /// The path as on the wire, percent-encoded, with its leading slash and without the query.
    pub raw_path: &'a str,
    /// Names and values of the query, decoded, in the order sent.
    pub query: &'a [(String, String)],
    /// Names and raw values of the headers, in the order sent; names compare without case.
    pub headers: &'a [(String, String)],
}

impl<'a> SignedRequest<'a> {
    /// The first value of a header; names compare without case.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let mut named = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.as_str())
    }
}

/// How much of a request a signature covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `SharedKey`: most headers and the whole query.
    Full,
    /// `SharedKeyLite`: few headers and of the query only `comp`.
    Lite,
}

/// The `Authorization` header of the Shared Key schemes, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedKey<'a> {
    /// Which of the two schemes.
    pub scheme: Scheme,
    /// The account that claims to have signed.
    pub account: &'a str,
    /// The signature in base64.
    pub signature: &'a str,
}

impl<'a> SharedKey<'a> {
    /// Parses `SharedKey account:signature`, or the same with `SharedKeyLite`; `None` for
    /// another scheme or form.
    pub fn parse(authorization: &'a str) -> Option<Self> {
        let (scheme, rest) = authorization.trim().split_once(' ')?;
        let (account, signature) = rest.trim().split_once(':')?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "sharedkey" => Scheme::Full,
            "sharedkeylite" => Scheme::Lite,
            _ => return None,
        };
        let is_whole = !account.is_empty() && !signature.is_empty();
        is_whole.then_some(Self { scheme, account, signature })
    }
}

/// No key of the account makes the signature that the request carries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not belong to the text `{}`", string_to_sign.escape_debug())]
pub struct Mismatch {
    /// The text that should have been signed, in its most usual spelling.
    pub string_to_sign: String,
}

/// Why a request could not be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The key is not base64 text.
    #[error("the account key is not base64")]
    KeyNotBase64(#[source] base64::DecodeError),
}

#[cfg(test)]
mod tests {
    use super::{Scheme, SharedKey};

    #[test]
    fn parses_the_authorization_header() {
        let key = SharedKey::parse("SharedKey acc:c2ln+/==").expect("a shared key");
        assert_eq!((key.account, key.signature), ("acc", "c2ln+/=="));
        assert_eq!(key.scheme, Scheme::Full);
        let lite = SharedKey::parse("sharedkeylite acc:c2ln").expect("a shared key");
        assert_eq!((lite.scheme, lite.signature), (Scheme::Lite, "c2ln"));
        for text in ["", "SharedKey", "SharedKey acc", "SharedKey :x", "SharedKey a:", "Bearer a:b"]
        {
            assert_eq!(SharedKey::parse(text), None, "{text}");
        }
    }
}
