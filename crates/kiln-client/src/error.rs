//! Why a call has no answer.

use std::fmt;

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The service refused; boxed because it says much.
    #[error("{asked}: {0}", asked = .0.asked)]
    Service(Box<ServiceError>),
    /// No answer came, or it broke off.
    #[error("{asked}: no answer from {endpoint}")]
    Transport {
        /// What was asked: method and path.
        asked: String,
        /// Whom.
        endpoint: String,
        /// What the HTTP library says.
        source: reqwest::Error,
    },
    /// The answer is not what the API promises.
    #[error("{asked}: the answer cannot be read")]
    Decode {
        /// What was asked: method and path.
        asked: String,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// An endpoint is not a URL.
    #[error("`{text}` is not an http or https URL")]
    Endpoint {
        /// What was given.
        text: String,
    },
    /// The key can not sign.
    #[error("the key of account `{account}` cannot sign")]
    Sign {
        /// Whose key.
        account: String,
        /// Why not.
        source: kiln_wire::auth::SignError,
    },
    /// Only an account's key makes signatures.
    #[error("a shared access signature can be made with an account's key only")]
    NoKey,
    /// The HTTP library can not start.
    #[error("the HTTP client cannot start")]
    Start(#[source] reqwest::Error),
}

/// What is wrong with an answer.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not the JSON that was expected.
    #[error("not the expected JSON")]
    Json(#[from] serde_json::Error),
    /// Not the XML that was expected.
    #[error("not the expected XML")]
    Xml(#[from] kiln_wire::blob::xml::InvalidXml),
}

/// A refusal, as the service words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceError {
    /// What was asked: method and path.
    pub asked: String,
    /// The HTTP status.
    pub status: u16,
    /// Azure's code, `PoolNotFound`; empty when the answer names none.
    pub code: String,
    /// The service's sentence for people.
    pub message: String,
    /// What the rule looked at, as names and values.
    pub values: Vec<(String, String)>,
    /// The service's name for the request.
    pub request_id: Option<String>,
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message.lines().next().unwrap_or_default();
        if self.code.is_empty() {
            return write!(f, "status {} {message}", self.status);
        }
        write!(f, "{} ({}): {message}", self.code, self.status)?;
        for (name, value) in &self.values {
            write!(f, "; {name}: {value}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ServiceError {}

impl ClientError {
    /// The refusal, if the service refused.
    pub fn service(&self) -> Option<&ServiceError> {
        if let Self::Service(refusal) = self { Some(refusal) } else { None }
    }

    /// Whether the service refused with this code.
    pub fn is_code(&self, code: &str) -> bool {
        self.service().is_some_and(|refusal| refusal.code == code)
    }

    /// Whether what was asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        self.service().is_some_and(|refusal| refusal.status == 404)
    }

    /// Whether the same request may succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Service(refusal) => matches!(refusal.status, 408 | 429 | 500 | 502 | 503 | 504),
            Self::Transport { .. } => true,
            Self::Decode { .. }
            | Self::Endpoint { .. }
            | Self::Sign { .. }
            | Self::NoKey
            | Self::Start(_) => false,
        }
    }

    /// Whether the service could not be reached at all.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Transport { source, .. } if source.is_connect())
    }
}

/// Reads a refusal of the Batch service (JSON).
pub(crate) fn from_json(body: &[u8]) -> (String, String, Vec<(String, String)>) {
    #[derive(serde::Deserialize)]
    struct Body {
        code: Option<String>,
        message: Option<Message>,
        #[serde(default)]
        values: Vec<Value>,
    }
    #[derive(serde::Deserialize)]
    struct Message {
        value: Option<String>,
    }
    #[derive(serde::Deserialize)]
    struct Value {
        key: String,
        value: Option<String>,
    }
    match serde_json::from_slice::<Body>(body) {
        Ok(read) => (
            read.code.unwrap_or_default(),
            read.message.and_then(|message| message.value).unwrap_or_default(),
            read.values.into_iter().map(|it| (it.key, it.value.unwrap_or_default())).collect(),
        ),
        Err(_not_azure) => (String::new(), text_of(body), Vec::new()),
    }
}

/// Reads a refusal of the Blob service (XML).
pub(crate) fn from_xml(body: &[u8]) -> (String, String, Vec<(String, String)>) {
    let text = String::from_utf8_lossy(body);
    let member = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        let (value, _) = rest.split_once(&format!("</{name}>"))?;
        Some(quick_xml::escape::unescape(value).map_or_else(|_| value.to_owned(), Into::into))
    };
    match member("Code") {
        Some(code) => (code, member("Message").unwrap_or_default(), Vec::new()),
        None => (String::new(), text_of(body), Vec::new()),
    }
}

/// The start of a body that is no refusal of Azure's form: from a proxy, perhaps.
fn text_of(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::{ServiceError, from_json, from_xml};

    fn shown((code, message, values): (String, String, Vec<(String, String)>)) -> String {
        let asked = "GET /x".to_owned();
        ServiceError { asked, status: 404, code, message, values, request_id: None }.to_string()
    }

    #[test]
    fn refusals_are_read() {
        let json = br#"{"odata.metadata":"m","code":"PoolNotFound","message":{"lang":"en-US",
            "value":"The pool is not there.\nRequestId:1"},"values":[{"key":"PoolId","value":"p"}]}"#;
        assert_eq!(shown(from_json(json)), "PoolNotFound (404): The pool is not there.; PoolId: p");
        assert_eq!(shown(from_json(b"<html>")), "status 404 <html>");
        let xml = b"<?xml version=\"1.0\"?><Error><Code>BlobNotFound</Code>\
            <Message>Not &lt;there&gt;.\nRequestId:1</Message></Error>";
        assert_eq!(shown(from_xml(xml)), "BlobNotFound (404): Not <there>.");
        assert_eq!(shown(from_xml(b"")), "status 404 ");
    }
}
