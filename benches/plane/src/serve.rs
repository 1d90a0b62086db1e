//! The server that is measured: Kiln as `kiln up` starts it, with agents that are played.

use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use kiln_server::config::Config;
use tokio::signal::unix::{SignalKind, signal};

/// What is started in place of an agent.
const AGENT: &str = include_str!("agent.sh");

/// Serves from the data directory until it is told to end; `ready` holds the URL of the Batch
/// endpoint once it answers.
pub(crate) async fn run(data: &Path, ready: &Path) -> Result<(), String> {
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .init();
    let failed = |what: &'static str| move |cause: std::io::Error| format!("{what}: {cause}");
    let program = data.join("agent.sh");
    put_program(&program).map_err(failed("the agents' program"))?;
    let free = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let config =
        Config { batch_listen: free, blob_listen: free, ..Config::new(data.join("kiln"), program) };
    std::fs::create_dir_all(&config.data).map_err(failed("the data directory"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed("signals"))?;
    let running = kiln_server::start(config).await.map_err(|cause| cause.to_string())?;
    let unfinished: PathBuf = ready.with_extension("new");
    std::fs::write(&unfinished, running.batch_url())
        .and_then(|()| std::fs::rename(&unfinished, ready))
        .map_err(failed("the ready file"))?;
    let _asked = terminate.recv().await;
    running.stop().await;
    Ok(())
}

fn put_program(program: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    match options.write(true).create_new(true).mode(0o755).open(program) {
        Ok(mut file) => std::io::Write::write_all(&mut file, AGENT.as_bytes()),
        // It is the one of the server before.
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(cause) => Err(cause),
    }
}
