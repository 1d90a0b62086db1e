//! `kiln up`: the whole service until Ctrl-C.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::amount::{Bytes, Processors};
use crate::data::{DataDirectory, write_whole};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::length::{Interval, Length};
use crate::logs::LogFormat;
use crate::service::Service;
use crate::settings::{DurabilityName, Layer, Settings, Shared};
use crate::{logs, output};

const EXAMPLE: &str = "\
A setting is taken from the flag, else the KILN_... variable, else the settings file, else the
default. The file is TOML with the names of the flags (`data` only in a file named by --config):

  data = \"/var/lib/kiln\"
  batch-listen = \"127.0.0.1:8700\"
  blob-listen = \"127.0.0.1:10000\"
  monitor-listen = \"127.0.0.1:8701\"
  ready-file = \"/run/kiln/ready.json\"
  durability = \"full\"
  isolation = \"auto\"
  extents = \"s3://bucket/kiln\"
  slot-processes = 4096
  slot-memory = \"2GiB\"
  slot-disk = \"10GiB\"
  slot-processors = 1.5
  kept-files = \"10GiB\"
  autoscale-interval = \"30s\"
  log = \"info\"
  log-format = \"text\"

A new Kiln has the development accounts kilndev (Batch) and devstoreaccount1 (storage). Their keys
are published, so it serves them on loopback only; make accounts of your own with `kiln account`
before you listen on another address.

Ctrl-C or SIGTERM ends it after the requests in work; a second one ends it at once.

Examples:
  kiln up
  kiln up --data ./state --batch-listen 127.0.0.1:0 --blob-listen 127.0.0.1:0 --ready-file r.json";

/// Start the service and serve until Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
#[expect(clippy::doc_markdown, reason = "the words are shown as help")]
pub(crate) struct UpArgs {
    /// Settings file [env: KILN_CONFIG] [default: kiln.toml in the data directory, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the bytes of blobs are: az://CONTAINER/PREFIX, s3://BUCKET/PREFIX or
    /// gs://BUCKET/PREFIX, with the variables that the provider's own tools read
    /// [env: KILN_EXTENTS] [default: files in the data directory]
    #[arg(long, value_name = "PLACE")]
    extents: Option<String>,
    /// Address of the Batch endpoint; port 0 takes a free one [env: KILN_BATCH_LISTEN]
    /// [default: 127.0.0.1:8700]
    #[arg(long, value_name = "ADDR")]
    batch_listen: Option<SocketAddr>,
    /// Address of the Blob endpoint; port 0 takes a free one [env: KILN_BLOB_LISTEN]
    /// [default: 127.0.0.1:10000]
    #[arg(long, value_name = "ADDR")]
    blob_listen: Option<SocketAddr>,
    /// Address of the endpoint for operators, which asks nobody who they are; port 0 takes a free
    /// one, which `kiln status` finds [env: KILN_MONITOR_LISTEN] [default: 127.0.0.1:0]
    #[arg(long, value_name = "ADDR")]
    monitor_listen: Option<SocketAddr>,
    /// How log lines are written: for people, or one JSON object each [env: KILN_LOG_FORMAT]
    /// [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// File that is written once both endpoints answer: JSON with URLs and account names
    /// [env: KILN_READY_FILE]
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// When a write is answered [env: KILN_DURABILITY] [default: full]
    #[arg(long, value_name = "WHEN")]
    durability: Option<DurabilityName>,
    /// How nodes are kept apart from the machine: auto, namespaces or plain
    /// [env: KILN_ISOLATION] [default: auto]
    #[arg(long, value_name = "HOW", value_parser = ["auto", "namespaces", "plain"])]
    isolation: Option<String>,
    /// Processes and threads of a task for each slot it takes; 0 is no limit
    /// [env: KILN_SLOT_PROCESSES] [default: 4096]
    #[arg(long, value_name = "N")]
    slot_processes: Option<u32>,
    /// Memory of a task for each slot it takes, such as 2GiB; 0 is no limit
    /// [env: KILN_SLOT_MEMORY] [default: 0]
    #[arg(long, value_name = "BYTES")]
    slot_memory: Option<Bytes>,
    /// Disk space of a task for each slot it takes, such as 10GiB; 0 is no limit
    /// [env: KILN_SLOT_DISK] [default: 0]
    #[arg(long, value_name = "BYTES")]
    slot_disk: Option<Bytes>,
    /// Processors of a task for each slot it takes, such as 1.5; 0 is no limit
    /// [env: KILN_SLOT_PROCESSORS] [default: 0]
    #[arg(long, value_name = "N")]
    slot_processors: Option<Processors>,
    /// Room for files of tasks whose nodes are gone, such as 10GiB; 0 keeps none
    /// [env: KILN_KEPT_FILES] [default: 10GiB]
    #[arg(long, value_name = "BYTES")]
    kept_files: Option<Bytes>,
    /// Room for the files of one such task; what is larger keeps only what it printed
    /// [env: KILN_KEPT_FILES_PER_TASK] [default: 1GiB]
    #[arg(long, value_name = "BYTES")]
    kept_files_per_task: Option<Bytes>,
    /// How often the formulas of pools are evaluated where the pools' own intervals are longer:
    /// 30s, 5m, or pool for their own alone [env: KILN_AUTOSCALE_INTERVAL] [default: 30s]
    #[arg(long, value_name = "LENGTH")]
    autoscale_interval: Option<Interval>,
    /// How often pools with formulas are sampled [env: KILN_AUTOSCALE_SAMPLES] [default: 30s]
    #[arg(long, value_name = "LENGTH")]
    autoscale_samples: Option<Length>,
    /// Evaluate formulas also a second after tasks come or end [env: KILN_AUTOSCALE_PROMPT]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    autoscale_prompt: Option<bool>,
}

pub(crate) fn run(args: UpArgs, shared: &Shared, environment: &Environment) -> Result<(), Failure> {
    let (data, settings) = settle(args, shared, environment)?;
    logs::start(settings.log.as_deref().unwrap_or(logs::NOTABLE), settings.log_format)?;
    crate::runtime()?.block_on(serve(data, &settings, environment))
}

fn settle(
    args: UpArgs,
    shared: &Shared,
    environment: &Environment,
) -> Result<(DataDirectory, Settings), Failure> {
    let named = args.config.or_else(|| environment.get("KILN_CONFIG").map(PathBuf::from));
    let named = named.as_deref().map(Layer::from_file).transpose()?;
    let flags = Layer {
        data: shared.data.clone(),
        extents: args.extents,
        extents_options: None,
        batch_listen: args.batch_listen,
        blob_listen: args.blob_listen,
        monitor_listen: args.monitor_listen,
        ready_file: args.ready_file,
        durability: args.durability,
        isolation: args.isolation,
        slot_processes: args.slot_processes,
        slot_memory: args.slot_memory,
        slot_disk: args.slot_disk,
        slot_processors: args.slot_processors,
        kept_files: args.kept_files,
        kept_files_per_task: args.kept_files_per_task,
        autoscale_interval: args.autoscale_interval,
        autoscale_samples: args.autoscale_samples,
        autoscale_prompt: args.autoscale_prompt,
        log: shared.log.clone(),
        log_format: args.log_format,
        quotas: None,
        blob: None,
        spot: None,
        nodes: None,
        tokens: None,
    };
    let mut layer = flags.over(Layer::from_environment(environment)?);
    let has_named = named.is_some();
    layer = layer.over(named.unwrap_or_default());
    let data = DataDirectory::locate(layer.data.clone())?;
    if !has_named {
        layer = layer.over(Layer::from_usual_file(&data.file("kiln.toml"))?);
    }
    Ok((data, layer.settle()))
}

async fn serve(
    data: DataDirectory,
    settings: &Settings,
    environment: &Environment,
) -> Result<(), Failure> {
    let listen = |kind| {
        signal(kind).map_err(|cause| Failure::new("cannot listen for signals").because(cause))
    };
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    // Taken first: the file of a Kiln that runs is none of this one's business.
    let lock = Service::take(&data)?;
    if let Some(path) = &settings.ready_file {
        remove_stale(path)?;
    }
    let service = Service::start(&data, lock, settings, environment).await?;
    if let Some(path) = &settings.ready_file {
        write_whole(path, service.endpoints().to_json()?.as_bytes(), 0o644)?;
    }
    welcome(&service, &data);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    info!("stopping: requests in work are answered first, Ctrl-C again stops at once");
    tokio::select! {
        () = service.stop() => info!("stopped"),
        _ = interrupt.recv() => info!("stopped at once"),
        _ = terminate.recv() => info!("stopped at once"),
    }
    Ok(())
}

/// The file of an earlier run would say "ready" too soon.
fn remove_stale(path: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::new(format!("cannot remove `{}`", path.display())).because(cause))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// What a newcomer needs next.
fn welcome(service: &Service, data: &DataDirectory) {
    let endpoints = service.endpoints();
    let option = data.option();
    output::line(&output::bold("Kiln is up"));
    output::line(&format!(
        "  Batch    {}   accounts: {}",
        endpoints.batch_url,
        endpoints.batch_accounts.join(", ")
    ));
    output::line(&format!(
        "  Blob     {}   accounts: {}",
        endpoints.blob_url,
        endpoints.storage_accounts.join(", ")
    ));
    output::line(&format!("  Data     {}", data.path().display()));
    output::line("");
    output::line("Next, in another terminal:");
    output::line(&format!(
        "  kiln demo{option}                    the tutorial, from start to end"
    ));
    output::line(&format!("  kiln exec{option} -- PROGRAM         an unmodified Azure program"));
    output::line(&format!(
        "  eval \"$(kiln env{option})\"           endpoints and keys as variables"
    ));
    output::line("");
    output::line("Ctrl-C stops it.");
}
