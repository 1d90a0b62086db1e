//! A client of a Batch endpoint, as small as can be: what it takes of the machine is not Kiln's.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use super::client::Client;
use crate::program;

/// The development account and its key, which are published.
const ACCOUNT: &str = "kilndev";
const KEY: &str =
    "S2lsbiBrZXkgZm9yIGRldmVsb3BtZW50IG9uIGxvb3BiYWNrIG9ubHksIHB1Ymxpc2hlZCwgbm90IHNlY3JldC4h";
const API_VERSION: &str = "2024-07-01.20.0";
const JSON: &str = "application/json; odata=minimalmetadata";

/// One connection to a Batch endpoint.
pub(super) struct Batch {
    client: Client,
    /// The date that all requests carry: one is good for a quarter of an hour.
    date: String,
}

impl Batch {
    /// Connects to a port of this machine.
    pub(super) fn connect(port: u16) -> Result<Self, String> {
        let mut date = program::command("date", Path::new("/"));
        date.env("LC_ALL", "C").args(["-u", "+%a, %d %b %Y %H:%M:%S GMT"]);
        let date = program::run_quietly(&mut date)?.trim().to_owned();
        Ok(Self { client: Client::connect(port)?, date })
    }

    /// What the service answers to a `GET`.
    pub(super) fn get(&mut self, path: &str) -> Result<Value, String> {
        let answer = self.ask("GET", path, b"")?;
        serde_json::from_slice(&answer).map_err(|cause| format!("GET {path}: {cause}"))
    }

    /// What the service answers to a `GET`, as it comes.
    pub(super) fn get_text(&mut self, path: &str) -> Result<String, String> {
        let answer = self.ask("GET", path, b"")?;
        String::from_utf8(answer).map_err(|cause| format!("GET {path}: {cause}"))
    }

    /// Adds something.
    pub(super) fn post(&mut self, path: &str, body: &Value) -> Result<Vec<u8>, String> {
        self.post_bytes(path, body.to_string().as_bytes())
    }

    /// Adds something whose body was made before.
    pub(super) fn post_bytes(&mut self, path: &str, body: &[u8]) -> Result<Vec<u8>, String> {
        self.ask("POST", path, body)
    }

    /// Deletes something.
    pub(super) fn delete(&mut self, path: &str) -> Result<(), String> {
        self.ask("DELETE", path, b"").map(drop)
    }

    fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Vec<u8>, String> {
        let date = &self.date;
        let (length, kind) = match method {
            "POST" => (body.len().to_string(), JSON),
            _ => (String::new(), ""),
        };
        let text = format!(
            "{method}\n\n\n{length}\n\n{kind}\n{date}\n\n\n\n\n\n/{ACCOUNT}{path}\n\
             api-version:{API_VERSION}"
        );
        let signature = sign(&text)?;
        let mut headers =
            format!("Date: {date}\r\nAuthorization: SharedKey {ACCOUNT}:{signature}\r\n");
        if method == "POST" {
            headers.extend(["Content-Type: ", kind, "\r\nContent-Length: ", &length, "\r\n"]);
        }
        let target = format!("{path}?api-version={API_VERSION}");
        match self.client.ask(method, &target, &headers, body)? {
            (200..300, answer) => Ok(answer),
            (status, answer) => {
                let answer = String::from_utf8_lossy(&answer);
                Err(format!("{method} {path}: status {status}: {answer}"))
            }
        }
    }
}

fn sign(text: &str) -> Result<String, String> {
    let key = BASE64.decode(KEY).map_err(|cause| cause.to_string())?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|cause| cause.to_string())?;
    mac.update(text.as_bytes());
    Ok(BASE64.encode(mac.finalize().into_bytes()))
}
