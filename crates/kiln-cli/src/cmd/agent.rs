//! `kiln agent` and `kiln node-init`: this program as a node's agent and first process.
//!
//! Hidden, and before everything else: many of them run, and the first process of a node must
//! stay small.

use std::error::Error;
use std::ffi::OsStr;
use std::io::Read as _;
use std::process::ExitCode;

use tracing::error;

use crate::environment::Environment;

/// Bytes of settings that an agent reads.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// Runs one of the two if `argument` names it.
pub(crate) fn dispatch(argument: Option<&OsStr>) -> Option<ExitCode> {
    if crate::is_word(argument, "node-init") {
        return Some(kiln_agent::node_init::main());
    }
    if crate::is_word(argument, "agent") {
        return Some(run_agent());
    }
    None
}

/// Reads its settings from standard input and runs until the server or a signal ends it.
fn run_agent() -> ExitCode {
    // Its standard error is a file that the server keeps; what is said there is read later. The
    // server's own variables say how much that is, and how it is written.
    let environment = Environment::read();
    let filter = environment.get("KILN_LOG").unwrap_or(crate::logs::AGENT);
    let format = environment.get("KILN_LOG_FORMAT").and_then(|text| text.parse().ok());
    if let Err(failure) = crate::logs::start(filter, format.unwrap_or_default()) {
        crate::output::failure(&failure);
        return failure.exit_code();
    }
    match try_run_agent() {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            error!(cause = &*cause, "the agent ends");
            ExitCode::FAILURE
        }
    }
}

fn try_run_agent() -> Result<(), Box<dyn Error>> {
    let mut text = Vec::new();
    std::io::stdin().take(CONFIG_BYTES_MAX).read_to_end(&mut text)?;
    let config = serde_json::from_slice(&text)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(kiln_agent::run(config))?;
    Ok(())
}
