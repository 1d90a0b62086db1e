//! What is counted and measured: the one list of all figures, for operators.
//!
//! What happens is counted where it happens; what is so at one time is looked at when somebody
//! asks (see [`super::present`]). Each is told in docs/operating.md.

use std::fmt::{self, Write as _};
use std::time::Duration;

use kiln_store::Committed;
use kiln_wire::blob::operation::Operation as BlobOperation;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::http::Refusal;

/// Ends of the steps in which times of requests are counted, in seconds.
const REQUEST_SECONDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0];
/// The same for work of the store and of dispatch.
const WORK_SECONDS: [f64; 10] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 2.0];
/// The same for how many operations share a commit.
const OPERATIONS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 32.0, 128.0, 512.0, 1024.0];

/// Which service a figure is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Of {
    pub(crate) service: Service,
}

/// The services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Service {
    Batch,
    Blob,
}

/// Which operation a request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    /// One of Batch, by its name in the contract.
    Batch(&'static str),
    /// One of Blob.
    Blob(BlobOperation),
    /// None that is known, or not asked so that it could be told.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    service: Service,
    operation: Operation,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    service: Service,
    operation: Operation,
    status: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    service: Service,
    status: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct InState {
    pub(super) state: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct InFile {
    pub(super) file: &'static str,
}

/// All figures of a server.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    request_seconds: Family<Asked, Histogram>,
    pub(crate) in_work: Family<Of, Gauge>,
    refusals: Family<Refused, Counter>,
    pub(crate) received_bytes: Family<Of, Counter>,
    pub(crate) sent_bytes: Family<Of, Counter>,
    commits: Counter,
    commits_failed: Counter,
    commit_operations: Histogram,
    commit_run_seconds: Histogram,
    commit_flush_seconds: Histogram,
    pub(crate) rounds: Counter,
    pub(crate) assignments: Counter,
    pub(crate) plan_seconds: Histogram,
    pub(super) present: Present,
}

/// What is so at one time.
#[derive(Debug, Default)]
pub(super) struct Present {
    pub(super) waiting_operations: Gauge,
    pub(super) tasks: Family<InState, Gauge>,
    pub(super) nodes: Family<InState, Gauge>,
    pub(super) agents: Gauge,
    pub(super) database_bytes: Family<InFile, Gauge>,
    pub(super) disk_free_bytes: Gauge,
    pub(super) disk_size_bytes: Gauge,
    pub(super) is_ready: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("kiln");
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The release that runs", build);
        let work = || Histogram::new(WORK_SECONDS);
        let metrics = Self {
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(|| Histogram::new(REQUEST_SECONDS)),
            in_work: Family::default(),
            refusals: Family::default(),
            received_bytes: Family::default(),
            sent_bytes: Family::default(),
            commits: Counter::default(),
            commits_failed: Counter::default(),
            commit_operations: Histogram::new(OPERATIONS),
            commit_run_seconds: work(),
            commit_flush_seconds: work(),
            rounds: Counter::default(),
            assignments: Counter::default(),
            plan_seconds: work(),
            present: Present::default(),
            registry: Registry::default(),
        };
        metrics.name_requests(&mut registry);
        metrics.name_work(&mut registry);
        metrics.present.name(&mut registry);
        Self { registry, ..metrics }
    }
}

impl Metrics {
    fn name_requests(&self, to: &mut Registry) {
        to.register("requests", "Requests that were answered", self.requests.clone());
        let help = "Time until the head of an answer was ready";
        to.register_with_unit("request", help, Unit::Seconds, self.request_seconds.clone());
        to.register("requests_in_work", "Requests that are worked on", self.in_work.clone());
        let help = "Requests and connections that were refused before they were read";
        to.register("requests_refused", help, self.refusals.clone());
        let help = "Bytes of bodies of requests, as their heads say";
        to.register_with_unit("request_body", help, Unit::Bytes, self.received_bytes.clone());
        let help = "Bytes of bodies of answers";
        to.register_with_unit("answer_body", help, Unit::Bytes, self.sent_bytes.clone());
    }

    fn name_work(&self, to: &mut Registry) {
        to.register("commits", "Commits that are on the disk", self.commits.clone());
        to.register("commits_failed", "Commits that failed", self.commits_failed.clone());
        let help = "Operations that shared a commit";
        to.register("commit_operations", help, self.commit_operations.clone());
        let help = "Time for the operations of a commit";
        to.register_with_unit("commit_run", help, Unit::Seconds, self.commit_run_seconds.clone());
        let help = "Time for making a commit durable";
        let flush = self.commit_flush_seconds.clone();
        to.register_with_unit("commit_flush", help, Unit::Seconds, flush);
        to.register("dispatch_rounds", "Plans that placed tasks", self.rounds.clone());
        to.register("dispatch_assignments", "Tasks that plans placed", self.assignments.clone());
        let help = "Time for making a plan";
        to.register_with_unit("dispatch_plan", help, Unit::Seconds, self.plan_seconds.clone());
    }

    /// A request was answered.
    pub(crate) fn answered(
        &self,
        service: Service,
        operation: Operation,
        status: u16,
        took: Duration,
    ) {
        let status = u32::from(status);
        self.requests.get_or_create(&Answered { service, operation, status }).inc();
        let asked = Asked { service, operation };
        self.request_seconds.get_or_create(&asked).observe(took.as_secs_f64());
    }

    /// The engine refused something.
    pub(crate) fn refused(&self, service: Service, refusal: Refusal) {
        let status = u32::from(refusal.status());
        self.refusals.get_or_create(&Refused { service, status }).inc();
    }

    /// The store made a commit, or could not.
    pub(crate) fn committed(&self, commit: &Committed) {
        if !commit.is_kept {
            self.commits_failed.inc();
            return;
        }
        self.commits.inc();
        self.commit_operations.observe(f64::from(commit.n_operations));
        self.commit_run_seconds.observe(commit.ran_for.as_secs_f64());
        self.commit_flush_seconds.observe(commit.flushed_for.as_secs_f64());
    }

    /// All figures in the text format of `OpenMetrics`.
    ///
    /// # Errors
    /// Never, but the format says it could.
    pub(super) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Present {
    fn name(&self, to: &mut Registry) {
        let help = "Operations that wait for the writer of the store";
        to.register("store_waiting_operations", help, self.waiting_operations.clone());
        to.register("tasks", "Tasks of all jobs by state", self.tasks.clone());
        to.register("nodes", "Nodes of all pools by state", self.nodes.clone());
        to.register("agents", "Agents of nodes that are connected", self.agents.clone());
        let help = "Size of the database and of its log";
        to.register_with_unit("database", help, Unit::Bytes, self.database_bytes.clone());
        let help = "Free room of the file system of the data directory";
        to.register_with_unit("disk_free", help, Unit::Bytes, self.disk_free_bytes.clone());
        let help = "Size of the file system of the data directory";
        to.register_with_unit("disk_size", help, Unit::Bytes, self.disk_size_bytes.clone());
        to.register("ready", "1 while the server is ready, else 0", self.is_ready.clone());
    }
}

impl Service {
    /// Its name in figures and logs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Blob => "blob",
        }
    }
}

impl EncodeLabelValue for Service {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        encoder.write_str(self.as_str())
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Batch(name) => f.write_str(name),
            Self::Blob(BlobOperation::Unserved(_)) | Self::Unknown => f.write_str("unknown"),
            Self::Blob(operation) => write!(f, "{operation:?}"),
        }
    }
}

impl EncodeLabelValue for Operation {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        write!(encoder, "{self}")
    }
}
