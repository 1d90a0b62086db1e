//! Repeating parts of transfers that failed for a moment.

use std::path::PathBuf;
use std::time::Duration;

use crate::ClientError;
use crate::clock::pause;

/// Pause before the second try; each later one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Tries of one part: about half a minute in all.
const TRIES_MAX: u32 = 9;

/// Why a transfer came to no good end.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// A file here can not be read or written.
    #[error("cannot {doing} `{}`", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// The file is larger than a blob can be.
    #[error("`{}` is larger than a blob can be", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// What arrived is not what is kept there.
    #[error("what came of `{blob}` is not its content: the MD5 differs")]
    Mismatch {
        /// Which blob.
        blob: String,
    },
    /// The service could not make the copy.
    #[error("`{blob}` was not copied: {why}")]
    Copy {
        /// Which blob.
        blob: String,
        /// The service's words.
        why: String,
    },
    /// A part of the transfer did not come to its end.
    #[error("a part of the transfer stopped")]
    Stopped(#[from] tokio::task::JoinError),
    /// The service refused, or could not be reached.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Runs `work` until it succeeds, fails for good, or failed often enough.
pub(crate) async fn retry<T, F>(mut work: impl FnMut() -> F) -> Result<T, ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let mut wait = PAUSE_FIRST;
    for _ in 1..TRIES_MAX {
        match work().await {
            Err(error) if error.is_transient() => {
                pause(wait).await;
                wait = (wait * 2).min(PAUSE_MAX);
            }
            result => return result,
        }
    }
    work().await
}
