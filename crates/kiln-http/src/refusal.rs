//! What the engine refuses by itself, before any handler hears of it.

/// Why the engine answers a request itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not HTTP, or two readers could understand it in two ways.
    #[error("the request is malformed: {0}")]
    Malformed(&'static str),
    /// The head did not come in time.
    #[error("the head of the request did not come in time")]
    TooSlow,
    /// The target is longer than is taken.
    #[error("the target of the request is longer than {} bytes", crate::limits::TARGET_BYTES_MAX)]
    TargetTooLong,
    /// The head is longer, or has more headers, than is taken.
    #[error("the head of the request has too many bytes or headers")]
    HeadTooLarge,
    /// `Expect` says something else than `100-continue`.
    #[error("the expectation of the request is not known")]
    UnknownExpectation,
    /// `Transfer-Encoding` says something else than `chunked`.
    #[error("the transfer coding of the request is not known")]
    UnknownCoding,
    /// More is asked for at once than is worked on at once.
    #[error("the server is busy")]
    Busy,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    #[error("the version of HTTP is not known")]
    UnknownVersion,
    /// The handler panicked.
    #[error("the handler failed")]
    Failed,
}

impl Refusal {
    /// The status of the answer.
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::TooSlow => 408,
            Self::TargetTooLong => 414,
            Self::UnknownExpectation => 417,
            Self::HeadTooLarge => 431,
            Self::Failed => 500,
            Self::UnknownCoding => 501,
            Self::Busy => 503,
            Self::UnknownVersion => 505,
        }
    }
}
