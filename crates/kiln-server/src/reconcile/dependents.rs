//! Goes on with what the end of a task means for the many that depend on it.

use std::sync::Arc;

use tracing::error;

use crate::batch::go_on_with_dependents;
use crate::clock;
use crate::server::Server;

/// Looks at jobs until it is dropped: some tasks of each in a commit.
pub async fn run(server: Arc<Server>) {
    loop {
        for job_key in server.signals.dependents().take().await {
            let going_on = server.store.write(move |tx| go_on_with_dependents(tx, job_key)).await;
            if let Err(cause) = going_on {
                error!(error = %crate::chain(&cause), job_key, "dependent tasks wait too long");
                clock::pause(clock::AFTER_FAILURE).await;
                server.signals.dependents().mark(job_key);
            }
        }
    }
}
