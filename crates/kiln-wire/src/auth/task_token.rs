//! Tokens with which the commands of tasks use their own job.
//!
//! A token names a run of a task and is signed with the secret that the run's node shares with
//! the server, so that neither has to keep it. It is good for as long as the run lasts.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::hmac::{Key, is_signed_by_any};
use crate::node::{AttemptId, NodeConfig};

/// Begins the signed text, which no other use of the secret begins with.
const PURPOSE: &str = "task token\n";

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claims {
    node_id: String,
    attempt: AttemptId,
}

/// Makes the tokens of a node.
#[derive(Clone)]
pub struct Issuer {
    node_id: String,
    secret: String,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("node_id", &self.node_id).finish_non_exhaustive()
    }
}

impl Issuer {
    /// That of the node which was started with `config`.
    pub fn of(config: &NodeConfig) -> Self {
        Self { node_id: config.node_id.clone(), secret: config.link_secret.clone() }
    }

    /// The token of a run on the node.
    pub fn make(&self, attempt: &AttemptId) -> String {
        let claims = Claims { node_id: self.node_id.clone(), attempt: attempt.clone() };
        let said = serde_json::to_vec(&claims).expect("a claim is always JSON");
        let said = URL_SAFE_NO_PAD.encode(said);
        let signature = Key::from_text(&self.secret).sign(&format!("{PURPOSE}{said}"));
        format!("{said}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// A token as a client brought it; it is not known yet whether it is genuine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskToken {
    claims: Claims,
    said: String,
    signature: String,
}

impl TaskToken {
    /// Parses `Bearer token`; `None` for another scheme, or a token of somebody else.
    pub fn parse(authorization: &str) -> Option<Self> {
        let (scheme, token) = authorization.trim().split_once(' ')?;
        let (said, signature) = token.trim().split_once('.')?;
        if !scheme.eq_ignore_ascii_case("Bearer") {
            return None;
        }
        let claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(said).ok()?).ok()?;
        let signature = String::from_utf8(URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        Some(Self { claims, said: said.to_owned(), signature })
    }

    /// The node on which it was given.
    pub fn node_id(&self) -> &str {
        &self.claims.node_id
    }

    /// The run to which it was given.
    pub fn attempt(&self) -> &AttemptId {
        &self.claims.attempt
    }

    /// Whether who made it knew the secret of the node.
    pub fn is_made_with(&self, secret: &str) -> bool {
        let text = format!("{PURPOSE}{}", self.said);
        is_signed_by_any(&[Key::from_text(secret)], &text, &self.signature)
    }
}

#[cfg(test)]
mod tests {
    use super::{Issuer, TaskToken};
    use crate::node::{AttemptId, AttemptKind};

    fn attempt(attempt: u32) -> AttemptId {
        let task_id = "t".to_owned();
        AttemptId { job_key: 7, task_id, attempt, kind: AttemptKind::Task, sequence: 3 }
    }

    #[test]
    fn a_token_says_whose_it_is_and_who_made_it() {
        let issuer = Issuer { node_id: "n".to_owned(), secret: "secret".to_owned() };
        assert!(!format!("{issuer:?}").contains("secret"));
        let token = issuer.make(&attempt(1));
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)));
        let read = TaskToken::parse(&format!("Bearer {token}")).expect("a token");
        assert_eq!((read.node_id(), read.attempt()), ("n", &attempt(1)));
        assert!(read.is_made_with("secret"));
        assert!(!read.is_made_with("other"));
        // What is said can not be exchanged.
        let other = issuer.make(&attempt(2));
        let (said, _) = other.split_once('.').expect("two parts");
        let (_, signature) = token.split_once('.').expect("two parts");
        let forged = TaskToken::parse(&format!("bearer {said}.{signature}")).expect("a token");
        assert!(!forged.is_made_with("secret"));
    }

    #[test]
    fn tokens_of_others_are_none() {
        for text in ["", "Bearer", "Bearer abc", "Bearer a.b.c", "Bearer e30.e30", "SharedKey a.b"]
        {
            assert_eq!(TaskToken::parse(text), None, "{text}");
        }
    }
}
