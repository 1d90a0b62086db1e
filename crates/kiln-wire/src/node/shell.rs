//! What is said to and by a shell in a task's surroundings, from a client through the server to
//! the node and back.
//!
//! Each side lets at most [`MESSAGES_IN_FLIGHT_MAX`] messages with bytes be on the way, and says
//! how many it took: what waits anywhere is bounded, however slow the reader. On the wire to a
//! client these are the messages of [`frames`](super::frames).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What the protocol between a client and the server is called where HTTP changes to it.
pub const PROTOCOL_NAME: &str = "kiln-shell";
/// Messages with bytes that may be on the way in one direction.
pub const MESSAGES_IN_FLIGHT_MAX: usize = 32;
/// Bytes of one message.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of the words of a command, together.
pub const COMMAND_BYTES_MAX: usize = 32 * 1024;

/// The shell that is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ShellSpec {
    /// The program and its arguments; a shell that reads its input if there are none.
    pub command: Vec<String>,
    /// The terminal that it runs on; without one it has three streams.
    pub terminal: Option<Terminal>,
}

/// A terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Terminal {
    /// What kind it is: a value of `TERM`.
    pub name: String,
    /// How large it is.
    pub size: WindowSize,
}

/// Characters of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSize {
    /// From top to bottom.
    pub rows: u16,
    /// From left to right.
    pub columns: u16,
}

/// To a shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum ToShell {
    /// First message: start it.
    Open(ShellSpec),
    /// It is to read this.
    Input {
        /// At most [`MESSAGE_BYTES_MAX`].
        bytes: Bytes64,
    },
    /// There is no more to read.
    EndOfInput,
    /// The terminal has another size now.
    Resized(WindowSize),
    /// So many counted messages were taken.
    Taken {
        /// How many.
        n_messages: u32,
    },
    /// Nobody wants it any more.
    Close,
}

/// From a shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum FromShell {
    /// It runs.
    Opened,
    /// It can not be started: the last message.
    Refused {
        /// Why, for people.
        message: String,
    },
    /// It printed this.
    Output {
        /// At most [`MESSAGE_BYTES_MAX`].
        bytes: Bytes64,
    },
    /// It printed this to standard error, where it has no terminal.
    Errors {
        /// At most [`MESSAGE_BYTES_MAX`].
        bytes: Bytes64,
    },
    /// So many counted messages were taken.
    Taken {
        /// How many.
        n_messages: u32,
    },
    /// The other side lives; said now and then while nothing else is.
    Alive,
    /// It ended: the last message.
    Ended {
        /// 128 + signal when a signal ended it.
        exit_code: i32,
    },
}

impl ToShell {
    /// Whether the other side must say that it took it.
    pub fn is_counted(&self) -> bool {
        match self {
            Self::Input { .. } | Self::Resized(_) => true,
            Self::Open(_) | Self::EndOfInput | Self::Taken { .. } | Self::Close => false,
        }
    }
}

impl FromShell {
    /// Whether the other side must say that it took it.
    pub fn is_counted(&self) -> bool {
        match self {
            Self::Output { .. } | Self::Errors { .. } => true,
            Self::Opened
            | Self::Refused { .. }
            | Self::Taken { .. }
            | Self::Alive
            | Self::Ended { .. } => false,
        }
    }

    /// Whether nothing follows.
    pub fn is_last(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Ended { .. } => true,
            Self::Output { .. }
            | Self::Errors { .. }
            | Self::Opened
            | Self::Taken { .. }
            | Self::Alive => false,
        }
    }
}

/// Bytes, in JSON as base64.
#[derive(Clone, PartialEq, Eq)]
pub struct Bytes64(pub Vec<u8>);

impl Serialize for Bytes64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// What people type may be secret.
impl fmt::Debug for Bytes64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes64, FromShell, ToShell};

    #[test]
    fn any_bytes_travel_and_none_are_printed() {
        let input = ToShell::Input { bytes: Bytes64((0..=u8::MAX).collect()) };
        let json = serde_json::to_string(&input).expect("JSON");
        assert_eq!(serde_json::from_str::<ToShell>(&json).expect("a message"), input);
        assert_eq!(format!("{input:?}"), "Input { bytes: 256 bytes }");
        let damaged = r#"{"kind":"output","bytes":"?"}"#;
        assert!(serde_json::from_str::<FromShell>(damaged).is_err());
    }
}
