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
    /// It found something wrong; the first line says what, in a few words, the others what the
    /// closing report is to repeat.
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
        Outcome::Failed(why) => ("FAILED", why.lines().next().unwrap_or_default()),
        Outcome::Skipped(why) => ("skipped", why.as_str()),
    };
    let sentence = format!("{:<24} {word:<8} {seconds:>7.1} s  {detail}", line.step);
    sentence.trim_end().to_owned()
}

/// The closing report: what failing steps said last, so that nobody has to look for it far
/// above, and a table of all steps.
pub(crate) fn closing(lines: &[Line]) -> String {
    let mut rows = Vec::new();
    for line in lines {
        let Outcome::Failed(why) = &line.outcome else { continue };
        if let Some((_, last)) = why.split_once('\n') {
            rows.extend([format!("\n==> what {} said last", line.step), last.to_owned()]);
        }
    }
    rows.extend([String::new(), "step                     outcome      time".to_owned()]);
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
    fn the_end_names_every_outcome() {
        let lines = [
            line(Outcome::Passed),
            line(Outcome::Failed("it broke\nhere".to_owned())),
            line(Outcome::Skipped("no node".to_owned())),
        ];
        let closing = closing(&lines);
        for wanted in ["passed", "FAILED", "skipped", "it broke\n", "no node", "1.5 s"] {
            assert!(closing.contains(wanted), "{wanted} is missing from\n{closing}");
        }
        assert!(closing.starts_with("\n==> what fmt said last\nhere\n\nstep "), "{closing}");
    }

    #[test]
    fn only_a_failure_fails() {
        assert!(!has_failed(&[line(Outcome::Passed), line(Outcome::Skipped(String::new()))]));
        assert!(has_failed(&[line(Outcome::Passed), line(Outcome::Failed(String::new()))]));
    }
}
