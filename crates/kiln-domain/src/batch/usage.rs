//! What a run of a task took of its node.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What one run, or many, took of a node. What is not known counts as nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    /// Processor time of the programs themselves, in microseconds.
    pub user_us: u64,
    /// Processor time that the kernel spent for them, in microseconds.
    pub kernel_us: u64,
    /// Time from start to end of the process, in microseconds.
    pub wall_us: u64,
    /// Most memory in use at one time, in bytes.
    pub memory_bytes_max: u64,
    /// Reads.
    pub n_reads: u64,
    /// Writes.
    pub n_writes: u64,
    /// Bytes that were read from a disk.
    pub read_bytes: u64,
    /// Bytes that were written to a disk.
    pub written_bytes: u64,
}

impl Usage {
    /// Both together: times, reads and writes add up, of memory the larger counts.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            user_us: self.user_us.saturating_add(other.user_us),
            kernel_us: self.kernel_us.saturating_add(other.kernel_us),
            wall_us: self.wall_us.saturating_add(other.wall_us),
            memory_bytes_max: self.memory_bytes_max.max(other.memory_bytes_max),
            n_reads: self.n_reads.saturating_add(other.n_reads),
            n_writes: self.n_writes.saturating_add(other.n_writes),
            read_bytes: self.read_bytes.saturating_add(other.read_bytes),
            written_bytes: self.written_bytes.saturating_add(other.written_bytes),
        }
    }

    /// All processor time.
    pub fn processor_time(&self) -> Duration {
        Duration::from_micros(self.user_us.saturating_add(self.kernel_us))
    }
}

#[cfg(test)]
mod tests {
    use super::Usage;

    #[test]
    fn runs_add_up() {
        let one = Usage { user_us: 3, memory_bytes_max: 10, n_reads: 1, ..Usage::default() };
        let other = Usage { user_us: 4, kernel_us: 5, memory_bytes_max: 7, ..Usage::default() };
        let both = Usage {
            user_us: 7,
            kernel_us: 5,
            memory_bytes_max: 10,
            n_reads: 1,
            ..Usage::default()
        };
        assert_eq!(one.with(other), both);
    }

    #[test]
    fn what_an_older_agent_does_not_know_is_nothing() {
        let read: Usage = serde_json::from_str(r#"{"userUs":7}"#).expect("members have defaults");
        assert_eq!(read, Usage { user_us: 7, ..Usage::default() });
    }
}
