//! Copies that the service makes by itself.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;

use super::BlobClient;
use super::retry::retry;
use crate::ClientError;
use crate::clock::pause;
use crate::transport::blob_path;

/// Time between two looks at a copy that is under way.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How a copy ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyState {
    /// All is there.
    Done,
    /// It failed or was given up: the service's words.
    Failed(String),
}

impl BlobClient {
    /// Lets the service copy what is at `source`, a URL that it can read, and waits for it.
    ///
    /// # Errors
    /// When the service refuses (`CannotVerifyCopySource`) or can not be reached.
    pub async fn copy_blob(
        &self,
        source: &str,
        container: &str,
        blob: &str,
    ) -> Result<CopyState, ClientError> {
        let path = blob_path(container, blob);
        let mut answer = retry(|| {
            let call = Self::call(Method::PUT, path.clone())
                .header("x-ms-copy-source", source)
                .body(Bytes::new());
            self.transport.send(call)
        })
        .await?;
        loop {
            let told = |name: &str| {
                let value = answer.headers().get(name).and_then(|it| it.to_str().ok());
                value.unwrap_or_default().to_owned()
            };
            match told("x-ms-copy-status").as_str() {
                "success" => return Ok(CopyState::Done),
                "pending" => {}
                other => {
                    let why = told("x-ms-copy-status-description");
                    return Ok(CopyState::Failed(format!("{other} {why}").trim().to_owned()));
                }
            }
            pause(LOOK_AGAIN).await;
            answer = retry(|| self.transport.send(Self::call(Method::HEAD, path.clone()))).await?;
        }
    }
}
