//! Why a command failed: what went wrong, with what, and what to do next.

use std::error::Error;
use std::process::ExitCode;

/// The command failed.
pub(crate) const FAILED: u8 = 1;
/// The arguments or settings make no sense.
pub(crate) const USAGE: u8 = 2;
/// No Kiln runs on the data directory.
pub(crate) const NOT_RUNNING: u8 = 3;
/// Another Kiln runs on the data directory.
pub(crate) const ALREADY_RUNNING: u8 = 4;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    causes: Vec<String>,
    hint: Option<String>,
    code: u8,
}

impl Failure {
    /// Something went wrong; `what` is lower case without a full stop.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), causes: Vec::new(), hint: None, code: FAILED }
    }

    /// The arguments or settings make no sense.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self { code: USAGE, ..Self::new(what) }
    }

    /// The same with an exit code of its own.
    pub(crate) fn code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// Whether the process is to return this.
    pub(crate) fn is_code(&self, code: u8) -> bool {
        self.code == code
    }

    /// The same with its cause and the causes of that.
    pub(crate) fn because(mut self, cause: impl Error) -> Self {
        self.causes.push(cause.to_string());
        let mut next = cause.source();
        while let Some(deeper) = next {
            self.causes.push(deeper.to_string());
            next = deeper.source();
        }
        self
    }

    /// The same with what to do about it.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// What the process returns.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }

    /// The lines that tell it, each with its label.
    pub(crate) fn lines(&self) -> Vec<(&'static str, &str)> {
        let mut lines = vec![("error", self.what.as_str())];
        let mut last = self.what.as_str();
        for cause in &self.causes {
            // Some errors repeat their cause in their own text.
            if !last.contains(cause.as_str()) {
                lines.push(("caused by", cause));
            }
            last = cause;
        }
        lines.extend(self.hint.as_deref().map(|hint| ("hint", hint)));
        lines
    }
}

impl From<kiln_client::ClientError> for Failure {
    fn from(error: kiln_client::ClientError) -> Self {
        let hint = error
            .is_unreachable()
            .then_some("is Kiln running? `kiln up` starts it, `kiln doctor` tells what is wrong");
        let failure = Self::new(error.to_string());
        let failure = match error.source() {
            Some(source) => failure.because(source),
            None => failure,
        };
        Self { hint: hint.map(ToOwned::to_owned), ..failure }
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;

    #[test]
    fn causes_are_told_once() {
        let inner = std::io::Error::other("disk full");
        let outer = std::io::Error::other(inner);
        let failure = Failure::new("cannot write `x`").because(outer).hint("make room");
        let lines: Vec<_> = failure.lines().iter().map(|(a, b)| format!("{a}: {b}")).collect();
        assert_eq!(lines, ["error: cannot write `x`", "caused by: disk full", "hint: make room"]);
    }
}
