//! Settings: a flag wins over a variable, a variable over the file, the file over the default.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use kiln_server::config::{
    AGENT_HEARD_WITHIN, AutoScaleConfig, KeptFilesConfig, NODE_LOST_AFTER, Quotas, Spot,
};
use serde::Deserialize;

use kiln_server::config::{Durability, SLOT_PROCESSES_MAX, SlotLimits, TokenConfig};

use crate::amount::{Bytes, Processors};
use crate::args::SharedArgs;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::length::{Interval, Length};
use crate::logs::LogFormat;
use crate::token_settings::TokensLayer;

/// Address of the Batch endpoint unless one is given.
const BATCH_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8700);
/// Address of the Blob endpoint unless one is given: where SDKs look for an emulator.
const BLOB_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 10_000);

/// Address of the endpoint for operators unless one is given: a free port, which is published.
const MONITOR_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Settings of every command.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared {
    /// The data directory, if one is named.
    pub(crate) data: Option<PathBuf>,
    /// What to log, if it is said.
    pub(crate) log: Option<String>,
}

impl Shared {
    /// Flag, then variable.
    pub(crate) fn resolve(flags: &SharedArgs, environment: &Environment) -> Self {
        Self {
            data: flags.data.clone().or_else(|| environment.get("KILN_DATA").map(PathBuf::from)),
            log: flags.log.clone().or_else(|| environment.get("KILN_LOG").map(ToOwned::to_owned)),
        }
    }
}

/// When a write is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DurabilityName {
    /// Once it is on the disk: a power cut takes nothing that was answered
    Full,
    /// Once the kernel has it: a killed server loses nothing, a power cut the last second or so
    Relaxed,
}

impl FromStr for DurabilityName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        <Self as ValueEnum>::from_str(text, false).map_err(|_unknown| "full or relaxed".to_owned())
    }
}

impl From<DurabilityName> for Durability {
    fn from(name: DurabilityName) -> Self {
        match name {
            DurabilityName::Full => Self::Full,
            DurabilityName::Relaxed => Self::Relaxed,
        }
    }
}

/// What becomes of Spot nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct SpotLayer {
    preemptions_per_hour: Option<f64>,
    returns_after: Option<Length>,
}

/// When nodes are given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct NodesLayer {
    lost_after: Option<Length>,
    heard_within: Option<Length>,
}

/// What is special about blobs.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct BlobLayer {
    copy_hosts: Vec<String>,
}

/// What one source says about the service; each source leaves most of it open.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Layer {
    /// Only in a file that is named: the usual one lies in the data directory.
    pub(crate) data: Option<PathBuf>,
    pub(crate) extents: Option<String>,
    /// Only in a file.
    pub(crate) extents_options: Option<BTreeMap<String, String>>,
    pub(crate) batch_listen: Option<SocketAddr>,
    pub(crate) blob_listen: Option<SocketAddr>,
    pub(crate) monitor_listen: Option<SocketAddr>,
    pub(crate) ready_file: Option<PathBuf>,
    pub(crate) durability: Option<DurabilityName>,
    pub(crate) isolation: Option<String>,
    pub(crate) slot_processes: Option<u32>,
    pub(crate) slot_memory: Option<Bytes>,
    pub(crate) slot_disk: Option<Bytes>,
    pub(crate) slot_processors: Option<Processors>,
    pub(crate) kept_files: Option<Bytes>,
    pub(crate) kept_files_per_task: Option<Bytes>,
    pub(crate) autoscale_interval: Option<Interval>,
    pub(crate) autoscale_samples: Option<Length>,
    pub(crate) autoscale_prompt: Option<bool>,
    pub(crate) log: Option<String>,
    pub(crate) log_format: Option<LogFormat>,
    /// Only in a file.
    pub(crate) quotas: Option<Quotas>,
    /// Only in a file.
    pub(crate) spot: Option<SpotLayer>,
    /// Only in a file.
    pub(crate) nodes: Option<NodesLayer>,
    /// Only in a file.
    pub(crate) tokens: Option<TokensLayer>,
    /// Only in a file.
    pub(crate) blob: Option<BlobLayer>,
}

/// Settings of the service.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    /// Where the bytes of blobs are, if not in the data directory.
    pub(crate) extents: Option<String>,
    /// Keys and other options of that place.
    pub(crate) extents_options: BTreeMap<String, String>,
    pub(crate) batch_listen: SocketAddr,
    pub(crate) blob_listen: SocketAddr,
    pub(crate) monitor_listen: SocketAddr,
    pub(crate) ready_file: Option<PathBuf>,
    pub(crate) durability: Durability,
    pub(crate) isolation: String,
    pub(crate) slot_limits: SlotLimits,
    pub(crate) kept_files: KeptFilesConfig,
    pub(crate) autoscale: AutoScaleConfig,
    pub(crate) log: Option<String>,
    pub(crate) log_format: LogFormat,
    pub(crate) quotas: Quotas,
    pub(crate) spot: Spot,
    /// Hosts that blobs may be copied from though their addresses are not public.
    pub(crate) copy_hosts: Vec<String>,
    /// Time without a word after which a node is lost.
    pub(crate) lost_after: Duration,
    /// Time in which an agent that was started must be heard.
    pub(crate) heard_within: Duration,
    /// Whose bearer tokens open the Blob endpoint.
    pub(crate) tokens: Option<TokenConfig>,
}

impl Layer {
    /// What the variables say.
    pub(crate) fn from_environment(environment: &Environment) -> Result<Self, Failure> {
        Ok(Self {
            data: environment.get("KILN_DATA").map(PathBuf::from),
            extents: environment.get("KILN_EXTENTS").map(ToOwned::to_owned),
            extents_options: None,
            batch_listen: address(environment, "KILN_BATCH_LISTEN")?,
            blob_listen: address(environment, "KILN_BLOB_LISTEN")?,
            monitor_listen: address(environment, "KILN_MONITOR_LISTEN")?,
            ready_file: environment.get("KILN_READY_FILE").map(PathBuf::from),
            durability: parsed(environment, "KILN_DURABILITY")?,
            isolation: environment.get("KILN_ISOLATION").map(ToOwned::to_owned),
            slot_processes: parsed(environment, "KILN_SLOT_PROCESSES")?,
            slot_memory: parsed(environment, "KILN_SLOT_MEMORY")?,
            slot_disk: parsed(environment, "KILN_SLOT_DISK")?,
            slot_processors: parsed(environment, "KILN_SLOT_PROCESSORS")?,
            kept_files: parsed(environment, "KILN_KEPT_FILES")?,
            kept_files_per_task: parsed(environment, "KILN_KEPT_FILES_PER_TASK")?,
            autoscale_interval: parsed(environment, "KILN_AUTOSCALE_INTERVAL")?,
            autoscale_samples: parsed(environment, "KILN_AUTOSCALE_SAMPLES")?,
            autoscale_prompt: parsed(environment, "KILN_AUTOSCALE_PROMPT")?,
            log: environment.get("KILN_LOG").map(ToOwned::to_owned),
            log_format: parsed(environment, "KILN_LOG_FORMAT")?,
            quotas: None,
            spot: None,
            nodes: None,
            tokens: None,
            blob: None,
        })
    }

    /// What the usual file in the data directory says, if it is there.
    pub(crate) fn from_usual_file(path: &Path) -> Result<Self, Failure> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let layer = Self::from_file(path)?;
        if layer.data.is_some() {
            let path = path.display();
            let what = format!("the settings in `{path}` name a data directory, but lie in one");
            return Err(
                Failure::usage(what).hint("name the file with --config, or take `data` out of it")
            );
        }
        Ok(layer)
    }

    /// What a file says, which must be there.
    pub(crate) fn from_file(path: &Path) -> Result<Self, Failure> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(cause) => {
                let what = format!("cannot read the settings in `{}`", path.display());
                return Err(Failure::usage(what).because(cause));
            }
        };
        toml::from_str(&text).map_err(|cause| {
            Failure::usage(format!("the settings in `{}` make no sense", path.display()))
                .because(cause)
                .hint("`kiln up --help` lists the settings")
        })
    }

    /// This layer, with what it leaves open from `below`.
    pub(crate) fn over(self, below: Self) -> Self {
        Self {
            data: self.data.or(below.data),
            extents: self.extents.or(below.extents),
            extents_options: self.extents_options.or(below.extents_options),
            batch_listen: self.batch_listen.or(below.batch_listen),
            blob_listen: self.blob_listen.or(below.blob_listen),
            monitor_listen: self.monitor_listen.or(below.monitor_listen),
            ready_file: self.ready_file.or(below.ready_file),
            durability: self.durability.or(below.durability),
            isolation: self.isolation.or(below.isolation),
            slot_processes: self.slot_processes.or(below.slot_processes),
            slot_memory: self.slot_memory.or(below.slot_memory),
            slot_disk: self.slot_disk.or(below.slot_disk),
            slot_processors: self.slot_processors.or(below.slot_processors),
            kept_files: self.kept_files.or(below.kept_files),
            kept_files_per_task: self.kept_files_per_task.or(below.kept_files_per_task),
            autoscale_interval: self.autoscale_interval.or(below.autoscale_interval),
            autoscale_samples: self.autoscale_samples.or(below.autoscale_samples),
            autoscale_prompt: self.autoscale_prompt.or(below.autoscale_prompt),
            log: self.log.or(below.log),
            log_format: self.log_format.or(below.log_format),
            quotas: self.quotas.or(below.quotas),
            spot: self.spot.or(below.spot),
            blob: self.blob.or(below.blob),
            nodes: self.nodes.or(below.nodes),
            tokens: self.tokens.or(below.tokens),
        }
    }

    /// This layer, with what it leaves open from the defaults.
    pub(crate) fn settle(self) -> Settings {
        let usual = AutoScaleConfig::default();
        let (spot, usual_spot) = (self.spot.unwrap_or_default(), Spot::default());
        let nodes = self.nodes.unwrap_or_default();
        let usual_files = KeptFilesConfig::default();
        let autoscale = AutoScaleConfig {
            interval: self.autoscale_interval.map_or(usual.interval, Interval::length),
            sample_period: self.autoscale_samples.map_or(usual.sample_period, |it| it.0),
            is_prompt: self.autoscale_prompt.unwrap_or(usual.is_prompt),
        };
        Settings {
            extents: self.extents,
            extents_options: self.extents_options.unwrap_or_default(),
            batch_listen: self.batch_listen.unwrap_or(BATCH_LISTEN),
            blob_listen: self.blob_listen.unwrap_or(BLOB_LISTEN),
            monitor_listen: self.monitor_listen.unwrap_or(MONITOR_LISTEN),
            ready_file: self.ready_file,
            durability: self.durability.map(Durability::from).unwrap_or_default(),
            isolation: self.isolation.unwrap_or_else(|| "auto".to_owned()),
            slot_limits: SlotLimits {
                processes: positive(self.slot_processes.unwrap_or(SLOT_PROCESSES_MAX)),
                memory_bytes: self.slot_memory.and_then(|it| positive(it.0)),
                milli_processors: self.slot_processors.and_then(|it| positive(it.0)),
                disk_bytes: self.slot_disk.and_then(|it| positive(it.0)),
            },
            kept_files: KeptFilesConfig {
                bytes_max: self.kept_files.map_or(usual_files.bytes_max, |it| it.0),
                task_bytes_max: self
                    .kept_files_per_task
                    .map_or(usual_files.task_bytes_max, |it| it.0),
            },
            autoscale,
            log: self.log,
            log_format: self.log_format.unwrap_or_default(),
            quotas: self.quotas.unwrap_or_default(),
            copy_hosts: self.blob.unwrap_or_default().copy_hosts,
            spot: Spot {
                preemptions_per_hour: spot
                    .preemptions_per_hour
                    .unwrap_or(usual_spot.preemptions_per_hour),
                returns_after: spot.returns_after.map_or(usual_spot.returns_after, |it| it.0),
            },
            lost_after: nodes.lost_after.map_or(NODE_LOST_AFTER, |it| it.0),
            heard_within: nodes.heard_within.map_or(AGENT_HEARD_WITHIN, |it| it.0),
            tokens: self.tokens.map(|TokensLayer(tokens)| tokens),
        }
    }
}

impl Settings {
    /// For a Kiln that lives as long as one command: free ports on loopback.
    pub(crate) fn temporary() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let layer = Layer { batch_listen: Some(any), blob_listen: Some(any), ..Layer::default() };
        layer.settle()
    }
}

/// 0 is no limit.
fn positive<N: Default + PartialEq>(number: N) -> Option<N> {
    (number != N::default()).then_some(number)
}

/// A variable that is written as its flag is.
fn parsed<T>(environment: &Environment, name: &str) -> Result<Option<T>, Failure>
where
    T: FromStr<Err: Display>,
{
    let Some(text) = environment.get(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|why| Failure::usage(format!("{name} is `{text}`: {why}")))
}

fn address(environment: &Environment, name: &str) -> Result<Option<SocketAddr>, Failure> {
    let Some(text) = environment.get(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|cause| {
        Failure::usage(format!("{name} is `{text}`, which is no address"))
            .because(cause)
            .hint("write ADDRESS:PORT, such as 127.0.0.1:8700; port 0 takes a free one")
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use kiln_server::config::Quotas;

    use super::{Layer, Settings};
    use crate::environment::Environment;

    fn layered(flag: Option<&str>, variable: Option<&str>, file: Option<&str>) -> Settings {
        let flags = Layer {
            batch_listen: flag.map(|text| text.parse().expect("an address")),
            ..Layer::default()
        };
        let variables: Vec<_> = variable.map(|it| ("KILN_BATCH_LISTEN", it)).into_iter().collect();
        let variables = Layer::from_environment(&Environment::of(&variables)).expect("variables");
        let file = file.map_or_else(String::new, |it| format!("batch-listen = \"{it}\""));
        let file: Layer = toml::from_str(&file).expect("a file");
        flags.over(variables).over(file).settle()
    }

    #[test]
    fn flag_over_variable_over_file_over_default() {
        let check = |flag, variable, file, expected: &str| {
            assert_eq!(layered(flag, variable, file).batch_listen.to_string(), expected);
        };
        let (a, b, c) = (Some("127.0.0.1:1"), Some("127.0.0.1:2"), Some("127.0.0.1:3"));
        check(a, b, c, "127.0.0.1:1");
        check(None, b, c, "127.0.0.1:2");
        check(None, None, c, "127.0.0.1:3");
        check(None, None, None, "127.0.0.1:8700");
        check(None, Some(""), None, "127.0.0.1:8700");
    }

    #[test]
    fn a_file_says_what_accounts_may_have() {
        let file: Layer =
            toml::from_str("[quotas]\nactive-jobs-and-schedules = 7").expect("a file");
        let quotas = file.settle().quotas;
        let expected = Quotas { active_jobs_and_schedules: 7, ..Quotas::default() };
        assert_eq!(quotas, expected);
        assert!(toml::from_str::<Layer>("[quotas]\njobs = 7").is_err());
        let file: Layer = toml::from_str("[blob]\ncopy-hosts = [\"files:8080\"]").expect("a file");
        assert_eq!(file.settle().copy_hosts, ["files:8080"]);
    }

    #[test]
    fn nonsense_is_named() {
        let bad = Environment::of(&[("KILN_BLOB_LISTEN", "10000")]);
        let failure = Layer::from_environment(&bad).expect_err("no address");
        let (_, what) = failure.lines()[0];
        assert_eq!(what, "KILN_BLOB_LISTEN is `10000`, which is no address");
        assert!(toml::from_str::<Layer>("batch_listen = \"127.0.0.1:1\"").is_err());
    }

    #[test]
    fn autoscale_has_settings_of_its_own() {
        let file =
            "autoscale-interval = \"1m\"\nautoscale-samples = \"10s\"\nautoscale-prompt = true";
        let file: Layer = toml::from_str(file).expect("a file");
        let variables = [("KILN_AUTOSCALE_INTERVAL", "pool"), ("KILN_AUTOSCALE_PROMPT", "false")];
        let variables = Layer::from_environment(&Environment::of(&variables)).expect("variables");
        let settings = variables.over(file).settle().autoscale;
        assert_eq!((settings.interval, settings.is_prompt), (None, false));
        assert_eq!(settings.sample_period.as_secs(), 10);
        assert!(toml::from_str::<Layer>("autoscale-interval = \"often\"").is_err());
        let bad = Environment::of(&[("KILN_AUTOSCALE_SAMPLES", "1ms")]);
        let failure = Layer::from_environment(&bad).expect_err("too short");
        let (_, what) = failure.lines()[0];
        assert_eq!(what, "KILN_AUTOSCALE_SAMPLES is `1ms`: one second is the shortest length");
    }

    #[test]
    fn a_file_says_how_nodes_fail() {
        let text = "[spot]\npreemptions-per-hour = 0.5\n[nodes]\nlost-after = \"5s\"";
        let settings = toml::from_str::<Layer>(text).expect("a file").settle();
        assert!((settings.spot.preemptions_per_hour - 0.5).abs() < f64::EPSILON);
        assert_eq!(settings.spot.returns_after.as_secs(), 10);
        assert_eq!((settings.lost_after.as_secs(), settings.heard_within.as_secs()), (5, 120));
        assert!(toml::from_str::<Layer>("[spot]\nrate = 1").is_err());
    }

    #[test]
    fn kept_files_have_a_limit_in_all_and_for_each_task() {
        let file: Layer = toml::from_str("kept-files = \"2GiB\"").expect("a file");
        let variables = [("KILN_KEPT_FILES_PER_TASK", "5MiB")];
        let variables = Layer::from_environment(&Environment::of(&variables)).expect("variables");
        let kept = variables.over(file).settle().kept_files;
        assert_eq!((kept.bytes_max, kept.task_bytes_max), (2 << 30, 5 << 20));
        let usual = Layer::default().settle().kept_files;
        assert_eq!((usual.bytes_max, usual.task_bytes_max), (10 << 30, 1 << 30));
    }

    #[test]
    fn a_named_file_must_exist() {
        let absent = PathBuf::from("/nonexistent/kiln.toml");
        assert!(Layer::from_file(&absent).is_err());
        assert_eq!(Layer::from_usual_file(&absent).expect("nothing"), Layer::default());
    }

    #[test]
    fn only_a_named_file_names_the_data_directory() {
        let scratch = tempfile::tempdir().expect("a directory");
        let file = scratch.path().join("kiln.toml");
        std::fs::write(&file, "data = \"/var/lib/kiln\"").expect("a file");
        let named = Layer::from_file(&file).expect("settings");
        assert_eq!(named.data, Some(PathBuf::from("/var/lib/kiln")));
        assert!(Layer::from_usual_file(&file).is_err());
    }
}
