//! `kiln autoscale`: tells what a formula says before a pool has it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use kiln_client::batch::AutoScaleRun;
use kiln_domain::autoscale::{Formula, Position};

use super::account;
use super::env::AccountChoice;
use crate::data::DataDirectory;
use crate::failure::Failure;
use crate::output;

const EXAMPLE: &str = "\
Without a pool the formula is read, and its first mistake is shown. With a pool that sizes itself
it is also evaluated, as the pool is now, and each of its variables is shown; the pool stays as
it is.

Examples:
  kiln autoscale check formula.txt
  kiln autoscale check formula.txt --pool render
  echo '$TargetDedicatedNodes = $PendingTasks;' | kiln autoscale check -";

/// Bytes of a formula's file at the most.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Check autoscale formulas.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct AutoscaleArgs {
    #[command(subcommand)]
    verb: Verb,
    /// Which accounts, where there are several
    #[command(flatten)]
    accounts: AccountChoice,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Read a formula, and evaluate it on a pool
    Check {
        /// File with the formula; - for standard input
        file: PathBuf,
        /// Pool to evaluate it on
        #[arg(long, value_name = "ID")]
        pool: Option<String>,
    },
}

pub(crate) fn run(
    args: &AutoscaleArgs,
    data: impl FnOnce() -> Result<DataDirectory, Failure>,
) -> Result<(), Failure> {
    let Verb::Check { file, pool } = &args.verb;
    let formula = read(file)?;
    if let Err(failure) = Formula::parse(&formula) {
        return Err(shown(file, &formula, failure.at, &failure.reason));
    }
    let Some(pool) = pool else {
        output::line("the formula can be read; see what it comes to with --pool");
        return Ok(());
    };
    let run = evaluate(&args.accounts, &data()?, pool, &formula)?;
    for variable in run.results.split(';') {
        output::line(variable);
    }
    match message(&run) {
        Some(message) => Err(located(file, &formula, message)),
        None => Ok(()),
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    let cannot = |cause: std::io::Error| {
        Failure::new(format!("cannot read `{}`", file.display())).because(cause)
    };
    let mut formula = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().take(FILE_BYTES_MAX).read_to_string(&mut formula)
    } else {
        let opened = std::fs::File::open(file).map_err(cannot)?;
        opened.take(FILE_BYTES_MAX).read_to_string(&mut formula)
    };
    read.map_err(cannot)?;
    Ok(formula)
}

fn evaluate(
    accounts: &AccountChoice,
    data: &DataDirectory,
    pool: &str,
    formula: &str,
) -> Result<AutoScaleRun, Failure> {
    let batch = account::batch_client(data, accounts)?;
    Ok(crate::runtime()?.block_on(batch.evaluate_autoscale(pool, formula))?)
}

/// Where and why an evaluation failed, in the service's words.
fn message(run: &AutoScaleRun) -> Option<&str> {
    let error = run.error.as_ref()?;
    let found = error.values.iter().find(|it| it.name == "Message");
    Some(found.map_or(error.message.as_str(), |it| it.value.as_str()))
}

/// A failure that says `Line 1, Col 1: why`.
fn located(file: &Path, formula: &str, message: &str) -> Failure {
    let parts = message.strip_prefix("Line ").and_then(|rest| {
        let (line, rest) = rest.split_once(", Col ")?;
        let (column, reason) = rest.split_once(": ")?;
        Some((Position { line: line.parse().ok()?, column: column.parse().ok()? }, reason))
    });
    match parts {
        Some((at, reason)) => shown(file, formula, at, reason),
        None => Failure::new(format!("the formula fails: {message}")),
    }
}

/// A failure with the line that it is about, and a caret below the place.
fn shown(file: &Path, formula: &str, at: Position, reason: &str) -> Failure {
    let idx = usize::try_from(at.line.saturating_sub(1)).unwrap_or(usize::MAX);
    let line = formula.lines().nth(idx).unwrap_or_default();
    let number = at.line.to_string();
    let margin = " ".repeat(number.len());
    let before = usize::try_from(at.column.saturating_sub(1)).unwrap_or(0);
    // A tab stays one, so that the caret stands where the terminal puts the character.
    let mut indent: String =
        line.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    indent.push_str(&" ".repeat(before.saturating_sub(line.chars().count())));
    Failure::new(format!(
        "{reason}\n{margin}--> {}:{}:{}\n{margin} |\n{number} | {line}\n{margin} | {indent}^",
        file.display(),
        at.line,
        at.column,
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::located;

    #[track_caller]
    fn check(formula: &str, message: &str, expected: &str) {
        let failure = located(Path::new("f.txt"), formula, message);
        let (_, what) = failure.lines()[0];
        assert_eq!(what, expected);
    }

    #[test]
    fn a_caret_stands_below_the_place() {
        check(
            "a = 1;\r\n\tb = a + c;",
            "Line 2, Col 10: Undefined symbol: c",
            "Undefined symbol: c\n --> f.txt:2:10\n  |\n2 | \tb = a + c;\n  | \t        ^",
        );
        check(
            "a = (1",
            "Line 1, Col 7: Expected ) before end of formula",
            "Expected ) before end of formula\n --> f.txt:1:7\n  |\n1 | a = (1\n  |       ^",
        );
        check("a", "something else", "the formula fails: something else");
    }
}
