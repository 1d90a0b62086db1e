//! Where log lines go: standard error, as `--log` or `KILN_LOG` says.

use std::io::IsTerminal as _;
use std::str::FromStr;

use clap::ValueEnum;
use serde::Deserialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

use crate::failure::Failure;

/// For agents of nodes.
pub(crate) const AGENT: &str = "warn,kiln_agent=info";
/// For commands that print results.
pub(crate) const QUIET: &str = "warn";
/// For the service: one line for each notable event.
pub(crate) const NOTABLE: &str = "warn,kiln=info,kiln_server=info,kiln_provision=info";

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object for each line
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        <Self as ValueEnum>::from_str(text, false).map_err(|_unknown| "text or json".to_owned())
    }
}

/// Starts logging what `filter` lets through, `info` or `warn,kiln_server=debug`.
pub(crate) fn start(filter: &str, format: LogFormat) -> Result<(), Failure> {
    let parsed = EnvFilter::builder().parse(filter).map_err(|cause| {
        Failure::usage(format!("`{filter}` is no log filter"))
            .because(cause)
            .hint("use a level such as `info` or `debug`, or `warn,kiln_server=debug`")
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_timer(SystemTime)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => {
            lines.with_target(false).with_ansi(std::io::stderr().is_terminal()).init();
        }
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).init(),
    }
    Ok(())
}
