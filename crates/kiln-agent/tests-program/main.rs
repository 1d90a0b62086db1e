//! The program that the tests run as agent and as first process of a node.

use std::io::Read as _;
use std::process::ExitCode;

use kiln_wire::node::NodeConfig;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("node-init") {
        return kiln_agent::node_init::main();
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let config: NodeConfig = serde_json::from_str(&text)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(kiln_agent::run(config))?;
    Ok(())
}

#[expect(clippy::print_stderr, reason = "the tests' only way to see why an agent failed")]
fn report(error: &dyn std::error::Error) {
    let mut cause = Some(error);
    while let Some(error) = cause {
        eprintln!("agent: {error}");
        cause = error.source();
    }
}
