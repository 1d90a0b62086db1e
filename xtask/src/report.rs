//! What a chore tells the person who runs it: progress lines and a closing table.

use std::io::Write;
use std::time::{Duration, Instant};

/// Prints one line, at once; a closed standard output is not a reason to fail.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{line}").and_then(|()| out.flush());
    drop(written);
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It did what it is for.
    Passed,
    /// It found something wrong; the text says what, in a few words.
    Failed(String),
    /// It could not be done here; the text says what is missing.
    Skipped(String),
}

/// A step that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) step: String,
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
}

/// Runs `work` as the step called `step`, with a line before and a line after it.
pub(crate) fn timed(step: &str, work: impl FnOnce() -> Outcome) -> Line {
    say(&format!("==> {step}"));
    let started_at = now();
    let outcome = work();
    let line = Line { step: step.to_owned(), outcome, took: started_at.elapsed() };
    say(&format!("<== {}", sentence(&line)));
    line
}

#[expect(clippy::disallowed_methods, reason = "how long a step took is for a person's eyes only")]
fn now() -> Instant {
    Instant::now()
}

fn sentence(line: &Line) -> String {
    let seconds = line.took.as_secs_f64();
    let (word, detail) = match &line.outcome {
        Outcome::Passed => ("passed", ""),
        Outcome::Failed(why) => ("FAILED", why.as_str()),
        Outcome::Skipped(why) => ("skipped", why.as_str()),
    };
    let sentence = format!("{:<24} {word:<8} {seconds:>7.1} s  {detail}", line.step);
    sentence.trim_end().to_owned()
}

/// The closing table.
pub(crate) fn table(lines: &[Line]) -> String {
    let mut rows = vec![String::new(), "step                     outcome      time".to_owned()];
    rows.extend(lines.iter().map(sentence));
    rows.join("\n")
}

/// Whether any step failed.
pub(crate) fn has_failed(lines: &[Line]) -> bool {
    lines.iter().any(|line| matches!(line.outcome, Outcome::Failed(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(outcome: Outcome) -> Line {
        Line { step: "fmt".to_owned(), outcome, took: Duration::from_millis(1500) }
    }

    #[test]
    fn table_names_every_outcome() {
        let lines = [
            line(Outcome::Passed),
            line(Outcome::Failed("it broke".to_owned())),
            line(Outcome::Skipped("no node".to_owned())),
        ];
        let table = table(&lines);
        for wanted in ["passed", "FAILED", "skipped", "it broke", "no node", "1.5 s"] {
            assert!(table.contains(wanted), "{wanted} is missing from\n{table}");
        }
    }

    #[test]
    fn only_a_failure_fails() {
        assert!(!has_failed(&[line(Outcome::Passed), line(Outcome::Skipped(String::new()))]));
        assert!(has_failed(&[line(Outcome::Passed), line(Outcome::Failed(String::new()))]));
    }
}
