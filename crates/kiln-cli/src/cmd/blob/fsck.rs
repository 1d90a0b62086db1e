//! `kiln blob fsck`: all names against all bytes, of a data directory that no Kiln serves.

use std::process::ExitCode;

use clap::Args;
use indicatif::{BinaryBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use kiln_server::blob::fsck::{self, Depth, Report};
use serde_json::json;

use crate::data::DataDirectory;
use crate::environment::Environment;
use crate::failure::{FAILED, Failure};
use crate::output::{self, table};

/// How to check.
#[derive(Debug, Args)]
pub(crate) struct FsckArgs {
    /// Names, sizes and counts only; the bytes themselves are not read
    #[arg(long)]
    quick: bool,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn run(
    args: &FsckArgs,
    data: &DataDirectory,
    environment: &Environment,
) -> Result<ExitCode, Failure> {
    data.require_state()?;
    let _lock = data.lock()?;
    let runtime = crate::runtime()?;
    let depth = if args.quick { Depth::Names } else { Depth::Content };
    let bar = progress(args.json);
    let told = bar.clone();
    let path = data.path().to_owned();
    let place = crate::extents::place_of(data, environment)?;
    let checked = runtime.block_on(async move {
        let checking = tokio::task::spawn_blocking(move || {
            fsck::check(&path, place.as_ref(), depth, |n_bytes| told.inc(n_bytes))
        });
        checking.await.map_err(|cause| Failure::new("the check stopped").because(cause))
    })?;
    let report =
        checked.map_err(|cause| Failure::new("the blobs cannot be checked").because(cause))?;
    bar.finish_and_clear();
    output::line(&findings(&report, args.json)?);
    if report.n_findings == 0 { Ok(ExitCode::SUCCESS) } else { Ok(ExitCode::from(FAILED)) }
}

/// What was found, for programs or for people.
pub(crate) fn findings(report: &Report, is_json: bool) -> Result<String, Failure> {
    if is_json { as_json(report) } else { Ok(as_table(report)) }
}

fn progress(is_json: bool) -> ProgressBar {
    let target = if is_json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let style =
        ProgressStyle::with_template("{spinner} read {binary_bytes} {binary_bytes_per_sec}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::with_draw_target(None, target).with_style(style)
}

fn as_table(report: &Report) -> String {
    let row = |what: &str, n: u64, bytes: Option<u64>| {
        let bytes = bytes.map(|it| BinaryBytes(it).to_string()).unwrap_or_default();
        [what.to_owned(), n.to_string(), bytes]
    };
    let mut text = table::render(
        ["checked", "count", "bytes"],
        vec![
            row("blobs, with their past", report.n_blobs, None),
            row("staged blocks", report.n_staged, None),
            row("runs of bytes", report.n_extents, None),
            row("files of them", report.n_files, Some(report.file_bytes)),
            row("files without a name", report.n_unnamed, Some(report.unnamed_bytes)),
            row("findings", report.n_findings, None),
        ],
    );
    if report.n_unnamed > 0 {
        text.push_str("\n\nFiles without a name are no damage: `kiln up` takes them back.");
    }
    if report.findings.is_empty() {
        return text;
    }
    let finding =
        |it: &fsck::Finding| [it.damage.as_str().to_owned(), it.place.clone(), it.detail.clone()];
    let rows = report.findings.iter().map(finding).collect();
    text.push_str("\n\n");
    text.push_str(&table::render(["damage", "where", "what"], rows));
    text
}

fn as_json(report: &Report) -> Result<String, Failure> {
    let finding = |it: &fsck::Finding| json!({ "damage": it.damage.as_str(), "where": it.place, "what": it.detail });
    output::json(&json!({
        "blobs": report.n_blobs,
        "stagedBlocks": report.n_staged,
        "extents": report.n_extents,
        "unusedExtents": report.n_unused,
        "files": report.n_files,
        "fileBytes": report.file_bytes,
        "unnamedFiles": report.n_unnamed,
        "unnamedBytes": report.unnamed_bytes,
        "findings": report.n_findings,
        "details": report.findings.iter().map(finding).collect::<Vec<_>>(),
    }))
}
