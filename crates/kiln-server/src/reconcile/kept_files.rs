//! Looks through what nodes left of tasks when they ended, keeps the files of those that
//! completed there, and takes them away when their time is over or others need the room.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use kiln_files::KeptTask as Found;
use kiln_store::{KeptNode, KeptTask, StoreError, View};
use tracing::{error, info, warn};

use crate::server::Server;
use crate::{clock, kept};

/// Tasks that are looked at, or taken away, in one commit at the most.
const TASKS_PER_COMMIT: usize = 250;
/// Time after which the clock is looked at again, whatever is due next.
const LOOKED_AT_EACH: Duration = Duration::from_secs(60);

/// Why files could not be looked after.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error("the state could not be changed")]
    Store(#[from] StoreError),
    #[error("the kept files of key {key} can not be used")]
    Files {
        key: i64,
        #[source]
        cause: io::Error,
    },
    #[error("bug: a look at files broke")]
    Broken(#[from] tokio::task::JoinError),
}

/// Looks after kept files until it is dropped.
pub async fn run(server: Arc<Server>) {
    loop {
        let until_next = server.store.read(|view| view.next_due_kept_task());
        let until_next = until_next.ok().flatten().map(|at| at.since(clock::now()));
        let looked = tokio::select! {
            biased;
            keys = server.signals.kept_nodes().take() => {
                let mut looked = Ok(());
                for key in keys {
                    if let Err(failed) = sort(&server, key).await {
                        looked = Err((Some(key), failed));
                    }
                }
                looked
            }
            () = server.signals.kept_tasks().notified() => Ok(()),
            () = clock::pause(until_next.unwrap_or(LOOKED_AT_EACH).min(LOOKED_AT_EACH)) => Ok(()),
        };
        let looked = match looked {
            Ok(()) => make_room(&server).await.map_err(|failed| (None, failed)),
            failed => failed,
        };
        if let Err((key, cause)) = looked {
            error!(error = %crate::chain(&cause), "kept files could not be looked after");
            clock::pause(clock::AFTER_FAILURE).await;
            match key {
                Some(key) => server.signals.kept_nodes().mark(key),
                None => server.signals.kept_tasks().notify_one(),
            }
        }
    }
}

/// After a start, when it is known what became of all nodes: goes on where the last server
/// stopped, and takes away what it did not come to name or to forget.
///
/// # Errors
/// When the store fails.
pub async fn recover_kept(server: &Arc<Server>) -> Result<(), StoreError> {
    for node in server.store.read(|view| view.unsorted_kept_nodes())? {
        server.signals.kept_nodes().mark(node.key);
    }
    for key in server.kept_files.keys().unwrap_or_default() {
        if !server.store.read(|view| view.has_kept_node(key))?
            && let Err(error) = server.kept_files.discard_all(key)
        {
            warn!(%error, key, "kept files are left behind");
        }
    }
    Ok(())
}

/// Takes over what a node that has ended left of tasks, so that it is found again; the key that
/// is to be marked once it is known what became of these tasks.
///
/// # Errors
/// When the store fails.
pub(super) async fn take_over(
    server: &Arc<Server>,
    node_id: &str,
    account: &str,
) -> Result<Option<i64>, StoreError> {
    let directory = server.provisioner.directory_of(node_id);
    if server.config.kept_files.bytes_max == 0 || !server.kept_files.has_tasks(&directory) {
        return Ok(None);
    }
    // Named first: what is moved then is never without a name.
    let (id, account) = (node_id.to_owned(), account.to_owned());
    let key = server.store.write(move |tx| tx.insert_kept_node(&account, &id)).await?;
    if let Err(error) = server.kept_files.take_over(key, &directory) {
        warn!(%error, node_id, "the files of a node's tasks are not kept");
    }
    Ok(Some(key))
}

/// Says of each task of which a node left something whether it is kept.
async fn sort(server: &Arc<Server>, key: i64) -> Result<(), KeepError> {
    let unsorted = server.store.read(|view| view.unsorted_kept_node(key))?;
    let Some(node) = unsorted else { return Ok(()) };
    let found = on_files(server, key, move |files| files.tasks(key)).await?;
    let n_found = found.len();
    let mut n_kept = 0;
    for tasks in found.chunks(TASKS_PER_COMMIT) {
        n_kept += sort_some(server, &node, tasks.to_vec()).await?;
    }
    let is_empty = server
        .store
        .write(move |tx| {
            tx.sort_kept_node(key)?;
            tx.delete_empty_kept_node(key)
        })
        .await?;
    if is_empty {
        on_files(server, key, move |files| files.discard_all(key)).await?;
    }
    info!(
        node_id = node.node_id,
        n_found, n_kept, "the files of a node's tasks are looked through"
    );
    Ok(())
}

/// Keeps or takes away the files of some tasks; how many are kept.
async fn sort_some(
    server: &Arc<Server>,
    node: &KeptNode,
    found: Vec<Found>,
) -> Result<usize, KeepError> {
    let (key, bytes_max) = (node.key, server.config.kept_files.task_bytes_max);
    let wanted = server.store.read(|view| {
        let wanted = |it: &Found| Ok::<_, StoreError>(kept_as(view, node, it, 0)?.is_some());
        found.into_iter().map(|it| Ok((wanted(&it)?, it))).collect::<Result<Vec<_>, StoreError>>()
    })?;
    let measured = on_files(server, key, move |files| {
        let measure = |(is_wanted, it): (bool, Found)| {
            let bytes = if is_wanted { files.fit(key, &it.path, bytes_max)? } else { None };
            Ok((bytes, it))
        };
        wanted.into_iter().map(measure).collect::<io::Result<Vec<_>>>()
    });
    let measured = measured.await?;
    let of_node = node.clone();
    // Looked at once more: what was deleted meanwhile is not kept.
    let (n_kept, unwanted) = server
        .store
        .write(move |tx| {
            let (mut n_kept, mut unwanted) = (0, Vec::new());
            for (bytes, it) in measured {
                let kept = match bytes {
                    Some(bytes) => kept_as(tx, &of_node, &it, bytes)?,
                    None => None,
                };
                match kept {
                    Some(kept) => {
                        tx.insert_kept_task(&kept)?;
                        n_kept += 1;
                    }
                    None => unwanted.push(it.path),
                }
            }
            Ok::<_, StoreError>((n_kept, unwanted))
        })
        .await?;
    on_files(server, key, move |files| unwanted.iter().try_for_each(|it| files.discard(key, it)))
        .await?;
    Ok(n_kept)
}

/// How the files of a task are kept that its node left, if they are.
fn kept_as(
    view: &View<'_>,
    node: &KeptNode,
    found: &Found,
    bytes: u64,
) -> Result<Option<KeptTask>, StoreError> {
    let Some(job) = view.job(&node.account, &found.job_id)? else { return Ok(None) };
    let Some(task) = view.task(job.key, &found.task_id)? else { return Ok(None) };
    let constraints = kept::task_spec(&task)?.constraints;
    let until = task.life.keeps_files_until(&node.node_id, &constraints);
    Ok(until.zip(task.life.ended_at).map(|(keep_until, ended_at)| KeptTask {
        job_key: job.key,
        task_id: task.id,
        node_key: node.key,
        sequence: task.sequence,
        ended_at,
        path: found.path.clone(),
        bytes,
        keep_until,
    }))
}

/// Takes away what is due, then the oldest until the rest fits.
async fn make_room(server: &Arc<Server>) -> Result<(), KeepError> {
    loop {
        let now = clock::now();
        let due = server.store.read(|view| view.due_kept_tasks(now, TASKS_PER_COMMIT))?;
        let due = if due.is_empty() { surplus(server)? } else { due };
        if due.is_empty() {
            return Ok(());
        }
        take_away(server, due).await?;
    }
}

/// The oldest of what is more than may be kept.
fn surplus(server: &Server) -> Result<Vec<KeptTask>, StoreError> {
    server.store.read(|view| {
        let mut too_many = view.kept_bytes()?.saturating_sub(server.config.kept_files.bytes_max);
        if too_many == 0 {
            return Ok(Vec::new());
        }
        let oldest = view.oldest_kept_tasks(TASKS_PER_COMMIT)?.into_iter();
        Ok(oldest
            .take_while(|it| {
                let is_needed = too_many > 0;
                too_many = too_many.saturating_sub(it.bytes);
                is_needed
            })
            .collect())
    })
}

/// Takes away files, then forgets them: a crash in between takes them away again.
async fn take_away(server: &Arc<Server>, kept: Vec<KeptTask>) -> Result<(), KeepError> {
    let key = kept.first().map_or(0, |it| it.node_key);
    let kept = on_files(server, key, move |files| {
        kept.iter().try_for_each(|it| files.discard(it.node_key, &it.path))?;
        Ok(kept)
    })
    .await?;
    let empty = server
        .store
        .write(move |tx| {
            let mut empty = Vec::new();
            for it in &kept {
                tx.delete_kept_task(it)?;
                if tx.delete_empty_kept_node(it.node_key)? {
                    empty.push(it.node_key);
                }
            }
            Ok::<_, StoreError>(empty)
        })
        .await?;
    on_files(server, key, move |files| empty.iter().try_for_each(|key| files.discard_all(*key)))
        .await
}

/// Does something with files on a thread that may wait.
async fn on_files<T: Send + 'static>(
    server: &Arc<Server>,
    key: i64,
    act: impl FnOnce(&kiln_files::KeptFiles) -> io::Result<T> + Send + 'static,
) -> Result<T, KeepError> {
    let server = Arc::clone(server);
    let acting = clock::aside(move || act(&server.kept_files));
    acting.await?.map_err(|cause| KeepError::Files { key, cause })
}
