//! `kiln status`: how the running Kiln is.

use std::process::ExitCode;

use clap::Args;
use indicatif::BinaryBytes;
use kiln_client::monitor::{self, Seen, Status};
use serde_json::json;

use crate::data::DataDirectory;
use crate::endpoints::Endpoints;
use crate::failure::{FAILED, Failure};
use crate::output::{self, table};

const EXAMPLE: &str = "\
Ends with 0 when Kiln is ready: all of it runs, and it can keep what it is sent. Ends with 1 when
it is not, and with 3 when none runs.

Examples:
  kiln status
  kiln status --json | jq .seen.tasks.active";

/// How to tell.
#[derive(Clone, Copy, Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct StatusArgs {
    /// One JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: StatusArgs, data: &DataDirectory) -> Result<ExitCode, Failure> {
    let endpoints = Endpoints::require(data)?;
    let status = crate::runtime()?.block_on(monitor::status(&endpoints.monitor_url))?;
    if args.json {
        let url = &endpoints.monitor_url;
        let mut document = json!(status);
        if let Some(members) = document.as_object_mut() {
            members.insert("monitorUrl".to_owned(), json!(url));
        }
        output::line(&output::json(&document)?);
    } else {
        output::line(&as_text(&status, &endpoints));
    }
    if status.is_ready { Ok(ExitCode::SUCCESS) } else { Ok(ExitCode::from(FAILED)) }
}

fn as_text(status: &Status, endpoints: &Endpoints) -> String {
    let ready = match &status.why_not_ready {
        None => "ready".to_owned(),
        Some(why) => format!("not ready: {why}"),
    };
    let mut rows = vec![
        ["state".to_owned(), ready],
        ["release".to_owned(), status.version.clone()],
        ["process".to_owned(), endpoints.pid.to_string()],
        ["for operators".to_owned(), format!("{}/metrics", endpoints.monitor_url)],
    ];
    rows.extend(status.seen.iter().flat_map(seen));
    table::render(["Kiln", ""], rows)
}

fn seen(seen: &Seen) -> Vec<[String; 2]> {
    let bytes = |n: i64| BinaryBytes(u64::try_from(n).unwrap_or(0)).to_string();
    let by_state = |counts: &std::collections::BTreeMap<String, i64>| {
        let told: Vec<String> = counts
            .iter()
            .filter(|(_, n)| **n > 0)
            .map(|(state, n)| format!("{n} {state}"))
            .collect();
        if told.is_empty() { "none".to_owned() } else { told.join(", ") }
    };
    vec![
        ["tasks".to_owned(), by_state(&seen.tasks)],
        ["nodes".to_owned(), by_state(&seen.nodes)],
        ["agents".to_owned(), format!("{} connected", seen.agents)],
        ["store".to_owned(), format!("{} operations wait", seen.waiting_operations)],
        [
            "database".to_owned(),
            format!("{}, log {}", bytes(seen.database_bytes), bytes(seen.database_log_bytes)),
        ],
        [
            "disk".to_owned(),
            format!("{} free of {}", bytes(seen.disk_free_bytes), bytes(seen.disk_size_bytes)),
        ],
    ]
}
