//! Start and stop: the one place that joins the parts.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use kiln_domain::batch::change::Change;
use kiln_domain::batch::job::JobSpec;
use kiln_domain::batch::pool::{NodeFillType, PoolSpec};
use kiln_extents::{ExtentFailure, Extents};
use kiln_provision::LocalProvisioner;
use kiln_store::{Account, AccountKind, Store, StoreError};
use kiln_wire::node::ToAgent;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::accounts::{Accounts, ensure_any, is_well_known};
use crate::batch::BatchService;
use crate::blob::BlobService;
use crate::config::Config;
use crate::http::{Handler, Listener, serve_connection};
use crate::intercept::{
    self, AzureHost, Caught, Handlers, Interception, InterceptionError, Published,
};
use crate::link::Links;
use crate::server::Server;
use crate::signals::Signals;
use crate::{clock, dispatch, link, reconcile};

/// Ends of agents that wait to be dealt with at the most.
const EXITS_MAX: usize = 1024;
/// Open tasks of one job that are read at once when the board is built.
const REBUILD_TASKS: usize = 10_000;
/// Time that nodes get to end when the server takes them along.
const NODES_END_WITHIN: Duration = Duration::from_secs(10);

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The state can not be opened or read.
    #[error("the state in the data directory can not be used")]
    Store(#[from] StoreError),
    /// The folder of blob bytes can not be opened.
    #[error("the blob bytes in the data directory can not be used")]
    Extents(#[from] ExtentFailure),
    /// A listen address can not be bound.
    #[error("the {endpoint} endpoint can not listen on {address}")]
    Listen {
        /// `Batch` or `Blob`.
        endpoint: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The socket for agents can not be bound.
    #[error("the socket for agents, `{}`, can not be bound", path.display())]
    Link {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The interception can not be set up.
    #[error("the interception of Azure's names can not be set up")]
    Interception(#[from] InterceptionError),
    /// A well-known key would open the door to others.
    #[error(
        "account `{account}` has a published key, which is good on loopback only, \
         but the {endpoint} endpoint is to listen on {address}"
    )]
    WellKnownKey {
        /// The account.
        account: String,
        /// `Batch` or `Blob`.
        endpoint: &'static str,
        /// The address.
        address: SocketAddr,
    },
}

impl StartError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Listen { endpoint, address, .. } => Some(format!(
                "is another Kiln or Azurite running? Choose another address with \
                 --{}-listen, port 0 takes a free one (asked: {address})",
                endpoint.to_lowercase()
            )),
            Self::WellKnownKey { account, .. } => Some(format!(
                "make an account of your own with `kiln account create`, then remove `{account}` \
                 with `kiln account remove`, or regenerate both its keys"
            )),
            Self::Store(StoreError::TooNew { .. }) => {
                Some("use the Kiln that wrote it, or a newer one".to_owned())
            }
            Self::Store(_) | Self::Extents(_) | Self::Link { .. } | Self::Interception(_) => None,
        }
    }
}

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    server: Arc<Server>,
    blob_url: String,
    published: Published,
    batch_accounts: Vec<String>,
    storage_accounts: Vec<String>,
    stop: CancellationToken,
    listeners: JoinSet<()>,
    /// Ends with this.
    _loops: JoinSet<()>,
}

/// Starts the server: state, endpoints, interception, links and loops.
///
/// # Errors
/// When a part can not be started; nothing runs then.
pub async fn start(config: Config) -> Result<Running, StartError> {
    let signals = Arc::new(Signals::default());
    let observer = Arc::clone(&signals);
    let store =
        Arc::new(Store::open(&config.data, Box::new(move |changes| observer.observe(changes)))?);
    ensure_any(&store).await?;
    let accounts = Accounts::new(Arc::clone(&store));
    let named = accounts.all()?;
    refuse_well_known_keys(&config, &named)?;
    let last_sequence = rebuild_board(&store, &signals)?;
    let extents = Extents::open(&config.data.join("extents"))?;

    let batch_listener = listen("Batch", config.batch_listen).await?;
    let blob_listener = listen("Blob", config.blob_listen).await?;
    let link_socket = link::socket_path(&config.data)
        .map_err(|cause| StartError::Link { path: config.data.clone(), cause })?;
    let link_listener = link::bind(&link_socket)
        .map_err(|cause| StartError::Link { path: link_socket.clone(), cause })?;

    let stop = CancellationToken::new();
    let batch_url = format!("http://{}", batch_listener.address());
    let blob_url = format!("http://{}", blob_listener.address());
    let blob = BlobService::new(Arc::clone(&store), extents, accounts.clone());
    let blob_handler = handler_of(&blob, |blob, request| async move { blob.call(request).await });

    let (exits, exited) = mpsc::channel(EXITS_MAX);
    let nodes = config.data.join("nodes");
    let provisioner = LocalProvisioner::new(config.program.clone(), nodes, exits);
    let late_batch = Arc::new(std::sync::OnceLock::new());
    let handlers =
        intercepted(&accounts, Arc::clone(&late_batch), Arc::clone(&blob_handler), stop.clone());
    let interception =
        Interception::bind(&config.data, &config.surroundings, handlers, stop.clone()).await?;
    let published = interception.published().clone();
    let no_proxy = config.surroundings.no_proxy.as_deref();
    let mut node_environment = intercept::environment(&published, no_proxy);
    node_environment.push(("KILN_PROGRAM".to_owned(), config.program.display().to_string()));

    let server = Arc::new(Server {
        config,
        store,
        accounts,
        signals,
        links: Links::default(),
        provisioner,
        link_socket,
        node_environment,
        batch_url,
        task_sequence: AtomicI64::new(last_sequence),
    });
    let batch = BatchService::new(Arc::clone(&server));
    let batch_handler =
        handler_of(&batch, |batch, request| async move { batch.call(request).await });
    // Set once, here; the proxy is not served before.
    drop(late_batch.set(Arc::clone(&batch_handler)));

    let mut listeners = JoinSet::new();
    listeners.spawn(batch_listener.serve(batch_handler, stop.clone()));
    listeners.spawn(blob_listener.serve(blob_handler, stop.clone()));
    listeners.spawn(interception.run());
    listeners.spawn(link::serve(Arc::clone(&server), link_listener, stop.clone()));
    let mut loops = JoinSet::new();
    loops.spawn(dispatch::run(Arc::clone(&server)));
    loops.spawn(reconcile::pool_size(Arc::clone(&server)));
    loops.spawn(reconcile::job_end(Arc::clone(&server)));
    loops.spawn(reconcile::nodes(Arc::clone(&server), exited));
    let stopped = stop.clone();
    loops.spawn(async move { blob.reclaim_until(stopped).await });
    reconcile::recover(&server).await?;

    let names = |kind| {
        named.iter().filter(|it| it.kind == kind).map(|it| it.name.clone()).collect::<Vec<_>>()
    };
    Ok(Running {
        batch_accounts: names(AccountKind::Batch),
        storage_accounts: names(AccountKind::Storage),
        server,
        blob_url,
        published,
        stop,
        listeners,
        _loops: loops,
    })
}

impl Running {
    /// Where the Batch endpoint is, without a slash at the end.
    pub fn batch_url(&self) -> &str {
        &self.server.batch_url
    }

    /// Where the Blob endpoint is, without a slash at the end.
    pub fn blob_url(&self) -> &str {
        &self.blob_url
    }

    /// Where the interception is found.
    pub fn interception(&self) -> &Published {
        &self.published
    }

    /// Names of the Batch accounts at the start.
    pub fn batch_accounts(&self) -> &[String] {
        &self.batch_accounts
    }

    /// Names of the storage accounts at the start.
    pub fn storage_accounts(&self) -> &[String] {
        &self.storage_accounts
    }

    /// Answers the requests in work and stops. Nodes go on: they wait for the next server,
    /// for a while.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.listeners.join_next().await.is_some() {}
    }

    /// Stops, and ends all nodes first: nothing will come back for them.
    pub async fn stop_and_end_nodes(self) {
        for node_id in self.server.links.nodes() {
            self.server.links.send(&node_id, [ToAgent::Leave]);
        }
        let all_ended = async {
            while self.server.provisioner.has_agents() {
                clock::pause(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(NODES_END_WITHIN, all_ended).await.is_err() {
            info!("some nodes did not end in time");
        }
        self.stop().await;
    }
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

/// A handler that calls a service, of which each request holds a clone.
fn handler_of<S, F>(
    service: &S,
    call: impl Fn(S, crate::http::Request) -> F + Send + Sync + 'static,
) -> Handler
where
    S: Clone + Send + Sync + 'static,
    F: Future<Output = crate::http::Response> + Send + 'static,
{
    let service = service.clone();
    Arc::new(move |request| Box::pin(call(service.clone(), request)))
}

/// What the proxy asks of the server: which names end here, and who serves them.
fn intercepted(
    accounts: &Accounts,
    batch: Arc<std::sync::OnceLock<Handler>>,
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
            Some(AzureHost::Blob { .. }) => Some(Arc::clone(&blob)),
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

/// Builds the board from what is kept; gives the highest sequence of a waiting task.
fn rebuild_board(store: &Store, signals: &Signals) -> Result<i64, StoreError> {
    let mut last_sequence = 0;
    store.read(|view| {
        for pool in view.all_pools()? {
            let packs = serde_json::from_str::<PoolSpec>(&pool.document)
                .is_ok_and(|it| it.task_scheduling_policy.node_fill_type == NodeFillType::Pack);
            let (pool_key, account, pool_id) = (pool.key, pool.account, pool.id);
            let mut changes = vec![Change::Pool { pool_key, account, pool_id, packs }];
            for node in view.nodes_of_pool(pool_key)? {
                let slots = node.life.open_slots();
                changes.push(Change::Node { pool_key, node_id: node.id, slots });
            }
            signals.observe(changes);
        }
        for job in view.all_jobs()? {
            let Ok(spec) = serde_json::from_str::<JobSpec>(&job.document) else { continue };
            signals.observe(vec![
                crate::batch::job_change(&job, &spec),
                Change::JobEnd { job_key: job.key },
            ]);
            let mut after = 0;
            loop {
                let tasks = view.open_tasks_after(job.key, after, REBUILD_TASKS)?;
                let Some(last) = tasks.last() else { break };
                after = last.sequence;
                last_sequence = last_sequence.max(after);
                let changes =
                    tasks.iter().map(|task| dispatch::task_change(task, &task.life)).collect();
                signals.observe(changes);
            }
        }
        Ok(last_sequence)
    })
}
