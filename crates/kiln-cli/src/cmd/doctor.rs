//! `kiln doctor`: what this machine allows and what is missing.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;

use kiln_server::intercept::trust;

use crate::data::DataDirectory;
use crate::endpoints::Endpoints;
use crate::environment::Environment;
use crate::failure::{FAILED, Failure};
use crate::output;
use crate::settings::Layer;

pub(crate) const EXAMPLE: &str = "\
Ends with 0 when Kiln can run, even where nodes are less isolated than they could be.

Example:
  kiln doctor";

/// Programs that tasks usually call; Kiln itself needs none of them.
const TASK_PROGRAMS: [&str; 3] = ["/bin/sh", "/bin/bash", "/usr/bin/awk"];
/// Open files below which many tasks at once run into the limit.
const OPEN_FILES_MIN: u64 = 4096;

struct Finding {
    name: String,
    is_good: bool,
    /// Without it Kiln can not run at all.
    is_needed: bool,
    text: String,
}

pub(crate) fn run(data: &DataDirectory, environment: &Environment) -> Result<ExitCode, Failure> {
    let mut service = vec![data_directory(data)];
    service.extend(addresses(data, environment)?);
    service.extend([certificates(data, environment), open_files(), task_programs()]);
    let nodes: Vec<Finding> = kiln_agent::probe()
        .into_iter()
        .map(|found| Finding {
            name: found.name.to_owned(),
            is_good: found.is_available,
            is_needed: false,
            text: found.advice,
        })
        .collect();
    print("Service", &service);
    output::line("");
    print("Nodes", &nodes);
    let blocked: Vec<_> = service
        .iter()
        .filter(|it| it.is_needed && !it.is_good)
        .map(|it| it.name.as_str())
        .collect();
    if blocked.is_empty() {
        output::line("\nKiln can run here. Python is not needed; `kiln demo` shows it.");
        return Ok(ExitCode::SUCCESS);
    }
    output::line(&format!("\nKiln can not run here yet: {}.", blocked.join(", ")));
    Ok(ExitCode::from(FAILED))
}

fn print(heading: &str, findings: &[Finding]) {
    output::line(&output::bold(heading));
    let width = findings.iter().map(|it| it.name.chars().count()).max().unwrap_or(0);
    for finding in findings {
        let name = format!("{:width$}", finding.name);
        output::line(&format!("  {} {name}  {}", output::mark(finding.is_good), finding.text));
    }
}

fn data_directory(data: &DataDirectory) -> Finding {
    let place = data.path().display();
    // Tries the nearest directory that exists, with a file without a name: nothing stays.
    let nearest = data.path().ancestors().find(|path| path.exists()).unwrap_or_else(|| data.path());
    let is_good = tempfile::tempfile_in(nearest).is_ok();
    let text = if is_good {
        format!("{place}")
    } else {
        format!("{place} can not be written; choose another with --data DIR or KILN_DATA")
    };
    Finding { name: "data directory".to_owned(), is_good, is_needed: true, text }
}

fn addresses(data: &DataDirectory, environment: &Environment) -> Result<Vec<Finding>, Failure> {
    if let Some(endpoints) = Endpoints::find(data)? {
        let found = |name: &str, url: &str| Finding {
            name: name.to_owned(),
            is_good: true,
            is_needed: true,
            text: format!("Kiln answers at {url} (pid {})", endpoints.pid),
        };
        return Ok(vec![
            found("Batch address", &endpoints.batch_url),
            found("Blob address", &endpoints.blob_url),
        ]);
    }
    let file = Layer::from_usual_file(&data.file("kiln.toml"))?;
    let settings = Layer::from_environment(environment)?.over(file).settle();
    Ok(vec![
        address("Batch address", settings.batch_listen, "--batch-listen"),
        address("Blob address", settings.blob_listen, "--blob-listen"),
    ])
}

fn address(name: &str, wanted: SocketAddr, flag: &str) -> Finding {
    let (is_good, text) = match TcpListener::bind(wanted) {
        Ok(_) => (true, format!("{wanted} is free")),
        Err(error) => {
            (false, format!("{wanted}: {error}; choose another with {flag}, port 0 is any"))
        }
    };
    Finding { name: name.to_owned(), is_good, is_needed: true, text }
}

fn certificates(data: &DataDirectory, environment: &Environment) -> Finding {
    let named = environment.get("SSL_CERT_FILE").map(Path::new);
    let found = trust::system_bundle(named, &data.file("tls/trust-bundle.pem"));
    let text = match &found {
        Some(path) => format!("{}", path.display()),
        None => "none: programs under `kiln exec` trust Kiln only; install ca-certificates or \
                 set SSL_CERT_FILE"
            .to_owned(),
    };
    let is_good = found.is_some();
    Finding { name: "system certificates".to_owned(), is_good, is_needed: false, text }
}

fn open_files() -> Finding {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let is_good = limit.current.is_none_or(|current| current >= OPEN_FILES_MIN);
    let current = limit.current.map_or_else(|| "no limit".to_owned(), |it| it.to_string());
    let text = if is_good {
        current
    } else {
        format!("{current} is few for many tasks at once; raise it: ulimit -n {OPEN_FILES_MIN}")
    };
    Finding { name: "open files".to_owned(), is_good, is_needed: false, text }
}

fn task_programs() -> Finding {
    let missing: Vec<&str> =
        TASK_PROGRAMS.into_iter().filter(|path| !Path::new(path).exists()).collect();
    let is_good = missing.is_empty();
    let text = if is_good {
        TASK_PROGRAMS.join(", ")
    } else {
        format!("{} missing: task command lines often call them", missing.join(", "))
    };
    Finding { name: "programs for tasks".to_owned(), is_good, is_needed: false, text }
}
