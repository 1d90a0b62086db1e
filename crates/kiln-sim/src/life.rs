//! One life of the server: its real parts on the disk and the network of the run.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use kiln_clock::pause;
use kiln_files::{KeptFiles, Trash};
use kiln_provision::Exit;
use kiln_server::accounts::Accounts;
use kiln_server::batch::BatchService;
use kiln_server::blob::BlobService;
use kiln_server::config::Config;
use kiln_server::http::{Request, Response};
use kiln_server::link::Links;
use kiln_server::linked_storage::BlobLinks;
use kiln_server::pool_usage::{self, Measured};
use kiln_server::reconcile::Unheard;
use kiln_server::samples::Samples;
use kiln_server::server::Server;
use kiln_server::signals::Signals;
use kiln_server::{bring_to_life, recollect};
use kiln_store::{Moment, Store, StoreError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::faults::Lie;
use crate::machines::Starter;
use crate::world::{World, lock};

/// Ends of agents that wait to be dealt with.
const EXITS_MAX: usize = 1024;
/// Where the Batch endpoint is said to be.
const BATCH_URL: &str = "http://127.0.0.1:8700";
/// Where the Blob endpoint is said to be.
const BLOB_URL: &str = "http://127.0.0.1:10000";
/// The files of the database.
const FILES: [&str; 3] = ["kiln.db", "kiln.db-wal", "kiln.db-shm"];

/// One life of the server.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) store: Arc<Store>,
    /// Cancelled when the life ends.
    pub(crate) stop: CancellationToken,
    server: OnceLock<Arc<Server>>,
    starter: Arc<Starter>,
    tasks: Mutex<JoinSet<()>>,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LifeError {
    #[error("the store can not be opened")]
    Store(#[from] StoreError),
    #[error("a directory can not be used")]
    Directory(#[from] std::io::Error),
}

/// Starts the server on what an earlier one left.
pub(crate) fn start(world: &Arc<World>) -> Result<(), LifeError> {
    world.note("the server starts");
    if world.faults.lie == Some(Lie::Disk) {
        copy(&world.data, &world.data.join("durable"))?;
    }
    let signals = Arc::new(Signals::new(false));
    let (observer, watching) = (Arc::clone(&signals), Arc::clone(world));
    let observe = Box::new(move |changes: Vec<_>| {
        watching.model.on_committed(&watching, &changes);
        observer.observe(changes);
    });
    let (store, by_hand) = Store::open_by_hand(&world.data, observe)?;
    let (exits, exited) = mpsc::channel(EXITS_MAX);
    let life = Arc::new(Life {
        store: Arc::new(store),
        stop: CancellationToken::new(),
        server: OnceLock::new(),
        starter: Arc::new(Starter::new(world, exits)),
        tasks: Mutex::default(),
    });
    let disk = Arc::clone(world);
    life.spawn(async move {
        by_hand.run(|moment| commit(Arc::clone(&disk), moment)).await;
    });
    world.set_life(Some(Arc::clone(&life)));
    let (beginning, living) = (Arc::clone(world), Arc::downgrade(&life));
    life.spawn(async move {
        let Some(life) = living.upgrade() else { return };
        match life.begin(&beginning, signals, exited).await {
            // The loops end with this.
            Ok(loops) => {
                drop(life);
                let _loops = loops;
                std::future::pending::<()>().await;
            }
            // As a program that ends, and is started again.
            Err(cause) => {
                beginning.note(&format!("the server does not start: {cause}"));
                beginning.crash.notify_one();
            }
        }
    });
    Ok(())
}

/// Ends the server in the middle of what it does.
pub(crate) async fn crash(world: &Arc<World>) -> Result<(), LifeError> {
    world.note("the server crashes");
    let Some(life) = world.life() else { return Ok(()) };
    world.set_life(None);
    life.stop.cancel();
    lock(&life.tasks).abort_all();
    drop(life);
    // All that ran is gone before time goes on.
    pause(world.chance.ms(1, 500)).await;
    if world.faults.lie == Some(Lie::Disk) {
        copy(&world.data.join("durable"), &world.data)?;
    }
    Ok(())
}

impl Life {
    /// The server, once its parts are joined.
    pub(crate) fn server(&self) -> Option<Arc<Server>> {
        self.server.get().cloned()
    }

    /// Lets something go on as long as this life.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Tells of the end of an agent.
    pub(crate) async fn tell_of(&self, exit: Exit) {
        self.starter.tell_of(exit).await;
    }

    /// Answers one request.
    pub(crate) async fn call(&self, request: Request) -> Option<Response> {
        let server = self.server()?;
        Some(BatchService::new(server).call(request).await)
    }

    async fn begin(
        &self,
        world: &Arc<World>,
        signals: Arc<Signals>,
        exited: mpsc::Receiver<Exit>,
    ) -> Result<JoinSet<()>, LifeError> {
        let accounts = recollect(&self.store, &signals).await?;
        let (links, reported) = Links::new();
        let server = Arc::new(self.join(world, signals, accounts, links)?);
        pool_usage::begin(&server).await?;
        // Set once, here.
        drop(self.server.set(Arc::clone(&server)));
        let loops = bring_to_life(&server, exited, reported).await?;
        world.note("the server is up");
        Ok(loops)
    }

    fn join(
        &self,
        world: &Arc<World>,
        signals: Arc<Signals>,
        accounts: Accounts,
        links: Links,
    ) -> Result<Server, LifeError> {
        let trash = Arc::new(Trash::open(world.data.join("trash"))?);
        let config = Config::new(world.data.clone(), "agent".into());
        let blobs =
            BlobService::new(Arc::clone(&self.store), world.extents.clone(), accounts.clone());
        Ok(Server {
            store: Arc::clone(&self.store),
            accounts,
            signals,
            links,
            provisioner: Arc::<Starter>::clone(&self.starter),
            kept_files: KeptFiles::open(world.data.join("kept"), trash)?,
            unheard: Unheard::default(),
            link_socket: "link.sock".into(),
            node_environment: Vec::new(),
            hidden: Vec::new(),
            batch_url: BATCH_URL.to_owned(),
            samples: Samples::new(config.autoscale.sample_period),
            measured: Measured::default(),
            blobs,
            metrics: Arc::default(),
            blob_links: BlobLinks::new(BLOB_URL.to_owned()),
            config,
        })
    }
}

/// What the disk does to a commit.
async fn commit(world: Arc<World>, moment: Moment) -> Result<(), String> {
    let (faults, chance) = (&world.faults, &world.chance);
    let is_slow = faults.happens(chance, faults.slow_commit);
    match moment {
        Moment::Flushing if is_slow => pause(chance.ms(10, 3_000)).await,
        Moment::Flushing => pause(chance.ms(0, 3)).await,
        Moment::Durable => world.model.look(&world),
    }
    if faults.happens(chance, faults.crash_in_commit) {
        world.note(&format!("a crash in a commit: {moment:?}"));
        world.crash.notify_one();
        std::future::pending::<()>().await;
    }
    if moment == Moment::Flushing && faults.happens(chance, faults.failed_commit) {
        return Err("the disk is full".to_owned());
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for file in FILES {
        if from.join(file).exists() {
            std::fs::copy(from.join(file), to.join(file))?;
        } else if to.join(file).exists() {
            std::fs::remove_file(to.join(file))?;
        }
    }
    Ok(())
}
