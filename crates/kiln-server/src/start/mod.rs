//! Start and stop: the one place that joins the parts.

mod board;
mod error;
mod extents;
mod monitoring;
mod running;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use kiln_extents::Extents;
use kiln_files::{KeptFiles, Trash};
use kiln_provision::{Exit, LocalProvisioner};
use kiln_store::{Account, AccountKind, Store, StoreError};
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use error::StartError;
pub use extents::place_of;
pub(crate) use extents::{LOCK_OF_EXTENTS, folder_of};
use monitoring::Monitoring;
pub use running::Running;

use crate::accounts::{Accounts, ensure_any, is_well_known};
use crate::batch::BatchService;
use crate::blob::BlobService;
use crate::config::Config;
use crate::http::{Handler, Listener, Watch, handler_of, serve_connection};
use crate::intercept::{self, AzureHost, Caught, Handlers, Interception, Published};
use crate::link::{Links, Reported};
use crate::linked_storage::BlobLinks;
use crate::monitor::{Metrics, Service};
use crate::pool_usage::Measured;
use crate::samples::Samples;
use crate::server::Server;
use crate::signals::Signals;
use crate::{clock, dispatch, hidden, link, pool_usage, reconcile, samples};

/// Ends of agents that wait to be dealt with at the most.
const EXITS_MAX: usize = 1024;

/// What is kept, opened.
struct State {
    store: Arc<Store>,
    extents: Extents,
    accounts: Accounts,
    /// The accounts at the start.
    named: Vec<Account>,
    signals: Arc<Signals>,
}

/// The addresses that are served.
struct Bound {
    batch: Listener,
    blob: Listener,
    link: UnixListener,
    link_socket: PathBuf,
}

/// The start of a server. In a box, so that it and all it serves are compiled with this crate and
/// not with each that starts one.
pub type Starting = Pin<Box<dyn Future<Output = Result<Running, StartError>> + Send>>;

/// Starts the server: state, endpoints, interception, links and loops.
///
/// # Errors
/// When a part can not be started; nothing runs then.
pub fn start(config: Config) -> Starting {
    Box::pin(start_all(config))
}

async fn start_all(config: Config) -> Result<Running, StartError> {
    let metrics = Arc::new(Metrics::default());
    // First: whoever asks is told that the rest is starting.
    let monitoring = Monitoring::start(&config, &metrics).await?;
    let state = open_state(&config, &metrics).await?;
    let bound = bind(&config).await?;
    let stop = CancellationToken::new();
    let blob_url = format!("http://{}", bound.blob.address());
    let blob = blob_service(&config, &state);
    let blob_handler = handler_of_blob(&blob, &metrics);
    let late_batch = Arc::new(OnceLock::new());
    let handlers =
        intercepted(&state.accounts, Arc::clone(&late_batch), blob_handler.clone(), stop.clone());
    let interception =
        Interception::bind(&config.data, &config.surroundings, handlers, stop.clone()).await?;
    let published = interception.published().clone();

    let (trash, kept_files) = open_kept_files(&config.data)?;
    let (exits, exited) = mpsc::channel(EXITS_MAX);
    let nodes = config.data.join("nodes");
    let (links, reported) = Links::new();
    let server = Arc::new(Server {
        store: state.store,
        accounts: state.accounts,
        signals: state.signals,
        links,
        unheard: reconcile::Unheard::default(),
        provisioner: Arc::new(LocalProvisioner::new(config.program.clone(), nodes, trash, exits)),
        kept_files,
        link_socket: bound.link_socket,
        node_environment: node_environment(&config, &published),
        hidden: hidden::paths(&config.data),
        batch_url: format!("http://{}", bound.batch.address()),
        samples: Samples::new(config.autoscale.sample_period),
        measured: Measured::default(),
        blobs: blob.clone(),
        blob_links: BlobLinks::new(blob_url.clone()),
        metrics: Arc::clone(&metrics),
        config,
    });
    // Before any node changes.
    pool_usage::begin(&server).await?;
    let batch_handler = handler_of_batch(&BatchService::new(Arc::clone(&server)), &metrics);
    // Set once, here; the proxy is not served before.
    drop(late_batch.set(batch_handler.clone()));

    let mut listeners = JoinSet::new();
    listeners.spawn(bound.batch.serve(batch_handler, stop.clone()));
    listeners.spawn(bound.blob.serve(blob_handler, stop.clone()));
    listeners.spawn(interception.run());
    listeners.spawn(link::serve(Arc::clone(&server), bound.link, stop.clone()));
    let mut loops = bring_to_life(&server, exited, reported).await?;
    let stopped = stop.clone();
    loops.spawn(async move { blob.reclaim_until(stopped).await });
    monitoring.monitor.set_running(&server);

    let names =
        |kind| state.named.iter().filter(|it| it.kind == kind).map(|it| it.name.clone()).collect();
    Ok(Running {
        batch_accounts: names(AccountKind::Batch),
        storage_accounts: names(AccountKind::Storage),
        server,
        blob_url,
        published,
        monitoring,
        stop,
        listeners,
        loops,
    })
}

fn blob_service(config: &Config, state: &State) -> BlobService {
    BlobService::new(Arc::clone(&state.store), state.extents.clone(), state.accounts.clone())
        .with_tokens(config.tokens.clone())
        .with_copy_hosts(&config.copy_hosts)
}

fn handler_of_blob(blob: &BlobService, metrics: &Arc<Metrics>) -> Handler {
    let watch = Watch::new(Service::Blob, metrics);
    let call = |blob: BlobService, request| async move { blob.call(request).await };
    handler_of(blob, &watch, call, BlobService::refuse)
}

fn handler_of_batch(batch: &BatchService, metrics: &Arc<Metrics>) -> Handler {
    let watch = Watch::new(Service::Batch, metrics);
    let call = |batch: BatchService, request| async move { batch.call(request).await };
    handler_of(batch, &watch, call, BatchService::refuse)
}

/// Brings a server whose parts are joined to life: what looks after the state runs as long as
/// the loops are kept, and what an earlier server left is seen to.
///
/// # Errors
/// When the store fails.
pub async fn bring_to_life(
    server: &Arc<Server>,
    exited: mpsc::Receiver<Exit>,
    reported: mpsc::Receiver<Reported>,
) -> Result<JoinSet<()>, StoreError> {
    let loops = start_loops(server, exited, reported);
    reconcile::recover(server).await?;
    reconcile::recover_kept(server).await?;
    Ok(loops)
}

/// Starts what looks after the state as long as the server runs.
fn start_loops(
    server: &Arc<Server>,
    exited: mpsc::Receiver<Exit>,
    reported: mpsc::Receiver<Reported>,
) -> JoinSet<()> {
    let mut loops = JoinSet::new();
    loops.spawn(link::take_reports(Arc::clone(server), reported));
    loops.spawn(dispatch::run(Arc::clone(server)));
    loops.spawn(reconcile::pool_size(Arc::clone(server)));
    loops.spawn(reconcile::job_end(Arc::clone(server)));
    loops.spawn(reconcile::dependents(Arc::clone(server)));
    loops.spawn(reconcile::spot(Arc::clone(server)));
    loops.spawn(reconcile::unheard(Arc::clone(server)));
    loops.spawn(reconcile::job_schedule(Arc::clone(server)));
    loops.spawn(reconcile::certificate(Arc::clone(server)));
    loops.spawn(reconcile::kept_files(Arc::clone(server)));
    loops.spawn(reconcile::nodes(Arc::clone(server), exited));
    loops.spawn(reconcile::autoscale(Arc::clone(server)));
    loops.spawn(samples::run(Arc::clone(server)));
    loops.spawn(pool_usage::run(Arc::clone(server)));
    loops
}

async fn open_state(config: &Config, metrics: &Arc<Metrics>) -> Result<State, StartError> {
    let signals = Arc::new(Signals::new(config.autoscale.is_prompt));
    let observer = Arc::clone(&signals);
    let observe = Box::new(move |changes| observer.observe(changes));
    let metrics = Arc::clone(metrics);
    let watch = Box::new(move |commit| metrics.committed(&commit));
    let store = Arc::new(Store::open_watched(&config.data, config.durability, observe, watch)?);
    let accounts = recollect(&store, &signals).await?;
    let named = accounts.all()?;
    refuse_well_known_keys(config, &named)?;
    let extents = extents::open(config).await?;
    Ok(State { store, extents, accounts, named, signals })
}

/// Takes up what an open store keeps: the accounts, of which there is at least one of each kind,
/// and the board of all that has not completed.
///
/// # Errors
/// When the store fails.
pub async fn recollect(store: &Arc<Store>, signals: &Signals) -> Result<Accounts, StoreError> {
    ensure_any(store).await?;
    board::rebuild(store, signals)?;
    Ok(Accounts::new(Arc::clone(store)))
}

/// The places for files of tasks whose nodes are gone, and for what is to be removed: on the
/// file system of the nodes, so that what goes there is moved and not copied.
fn open_kept_files(data: &Path) -> Result<(Arc<Trash>, KeptFiles), StartError> {
    let failed = |path: PathBuf| move |cause| StartError::Files { path, cause };
    let (trash, kept) = (data.join("trash"), data.join("kept"));
    let trash = Arc::new(Trash::open(trash.clone()).map_err(failed(trash))?);
    let kept = KeptFiles::open(kept.clone(), Arc::clone(&trash)).map_err(failed(kept))?;
    Ok((trash, kept))
}

async fn bind(config: &Config) -> Result<Bound, StartError> {
    let batch = listen("Batch", config.batch_listen).await?;
    let blob = listen("Blob", config.blob_listen).await?;
    let failed = |path: &Path, cause| StartError::Link { path: path.to_owned(), cause };
    let link_socket =
        link::socket_path(&config.data).map_err(|cause| failed(&config.data, cause))?;
    let link = link::bind(&link_socket).map_err(|cause| failed(&link_socket, cause))?;
    Ok(Bound { batch, blob, link, link_socket })
}

/// Variables for every process on a node: what lets Azure's names end here, and the program
/// that tasks may call.
fn node_environment(config: &Config, published: &Published) -> Vec<(String, String)> {
    let no_proxy = config.surroundings.no_proxy.as_deref();
    let mut variables = intercept::environment(published, no_proxy);
    variables.push(("KILN_PROGRAM".to_owned(), config.program.display().to_string()));
    variables
}

fn refuse_well_known_keys(config: &Config, accounts: &[Account]) -> Result<(), StartError> {
    for account in accounts {
        let (endpoint, address) = match account.kind {
            AccountKind::Batch => ("Batch", config.batch_listen),
            AccountKind::Storage => ("Blob", config.blob_listen),
        };
        if !address.ip().is_loopback() && account.keys.iter().any(|key| is_well_known(key)) {
            let account = account.name.clone();
            return Err(StartError::WellKnownKey { account, endpoint, address });
        }
    }
    Ok(())
}

async fn listen(endpoint: &'static str, address: SocketAddr) -> Result<Listener, StartError> {
    let bound = Listener::bind(address).await;
    bound.map_err(|cause| StartError::Listen { endpoint, address, cause })
}

/// What the proxy asks of the server: which names end here, and who serves them.
fn intercepted(
    accounts: &Accounts,
    batch: Arc<OnceLock<Handler>>,
    blob: Handler,
    stop: CancellationToken,
) -> Handlers {
    let known = accounts.clone();
    let is_ours = move |host: &AzureHost| {
        let found = match host {
            AzureHost::Blob { account } => known.storage(account),
            AzureHost::Batch { account, .. } => known.batch(account),
        };
        found.is_ok_and(|account| account.is_some())
    };
    let serve = move |caught: Caught| {
        let handler = match AzureHost::parse(&caught.host) {
            Some(AzureHost::Batch { .. }) => batch.get().cloned(),
            Some(AzureHost::Blob { .. }) => Some(blob.clone()),
            None => None,
        };
        let stop = stop.clone();
        let serving: futures_util::future::BoxFuture<'static, ()> = Box::pin(async move {
            if let Some(handler) = handler {
                serve_connection(caught.stream, caught.is_tls, None, handler, stop).await;
            }
        });
        serving
    };
    Handlers { is_ours: Arc::new(is_ours), serve: Arc::new(serve), now: Arc::new(clock::now) }
}
