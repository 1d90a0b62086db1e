//! Shows what a task prints until it has ended.

use std::time::Duration;

use kiln_client::batch::Task;
use kiln_client::{BatchClient, ClientError};

use crate::clock;
use crate::failure::Failure;
use crate::output;

/// Time between two looks at a task.
const LOOK_EACH: Duration = Duration::from_millis(200);
/// The state in which a task has ended.
const COMPLETED: &str = "completed";

/// One of the files that catch what a task prints.
struct Stream {
    name: &'static str,
    show: fn(&[u8]),
    /// Bytes that were shown.
    n_shown: u64,
}

/// Shows what a task prints, and gives the task once it has ended.
pub(super) async fn follow(batch: &BatchClient, job: &str, id: &str) -> Result<Task, Failure> {
    let mut streams = [
        Stream { name: "stdout.txt", show: output::raw, n_shown: 0 },
        Stream { name: "stderr.txt", show: output::raw_error, n_shown: 0 },
    ];
    let mut is_placed = false;
    loop {
        // Read before its files, so that the last look at them shows all.
        let task = batch.task(job, id).await?;
        if let Some(node) = task.node_info.as_ref().filter(|_| !is_placed) {
            is_placed = true;
            output::note(&format!("`{id}` runs on node {}", node.node_id));
        }
        if is_placed {
            for stream in &mut streams {
                stream.show_more(batch, job, id).await?;
            }
        }
        if task.state == COMPLETED {
            return Ok(task);
        }
        clock::wait_for(LOOK_EACH).await;
    }
}

impl Stream {
    async fn show_more(&mut self, batch: &BatchClient, job: &str, id: &str) -> Result<(), Failure> {
        match batch.task_file_from(job, id, self.name, self.n_shown).await {
            Ok(bytes) => {
                self.n_shown += u64::try_from(bytes.len()).unwrap_or(0);
                (self.show)(&bytes);
                Ok(())
            }
            // Not yet there, or not any more.
            Err(ClientError::Service(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
