//! Where log lines go: standard error, as `--log` or `KILN_LOG` says.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

use crate::failure::Failure;

/// For agents of nodes.
pub(crate) const AGENT: &str = "warn,kiln_agent=info";
/// For commands that print results.
pub(crate) const QUIET: &str = "warn";
/// For the service: one line for each notable event.
pub(crate) const NOTABLE: &str = "warn,kiln=info,kiln_server=info,kiln_provision=info";

/// Starts logging what `filter` lets through, `info` or `warn,kiln_server=debug`.
pub(crate) fn start(filter: &str) -> Result<(), Failure> {
    let parsed = EnvFilter::builder().parse(filter).map_err(|cause| {
        Failure::usage(format!("`{filter}` is no log filter"))
            .because(cause)
            .hint("use a level such as `info` or `debug`, or `warn,kiln_server=debug`")
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_timer(SystemTime)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    Ok(())
}
