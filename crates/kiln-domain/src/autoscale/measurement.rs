//! What nodes measure of themselves, and what samples of their pools it makes.

use serde::{Deserialize, Serialize};

use super::history::Sample;
use super::metric::Metric;
use crate::span::Span;
use crate::time::{TICKS_PER_SECOND, Timestamp};

const BYTES_PER_MEGABYTE: f64 = 1_048_576.0;
const BYTES_PER_GIGABYTE: f64 = 1_073_741_824.0;

/// What a node measured of itself. What is counted "so far" only rises while its agent lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    /// When.
    pub at: Timestamp,
    /// Processors it may use.
    pub processors: u32,
    /// Time that these worked so far.
    pub cpu: Span,
    /// Bytes of memory in use.
    pub memory_bytes: u64,
    /// Bytes of its disk in use.
    pub disk_bytes: u64,
    /// Bytes read from disks so far.
    pub disk_read_bytes: u64,
    /// Bytes written to disks so far.
    pub disk_write_bytes: u64,
    /// Reads from disks so far.
    pub disk_read_ops: u64,
    /// Writes to disks so far.
    pub disk_write_ops: u64,
    /// Bytes received so far.
    pub network_in_bytes: u64,
    /// Bytes sent so far.
    pub network_out_bytes: u64,
}

/// The last two measurements of a node that samples are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The one that the sample before was made of.
    pub before: Option<Measurement>,
    /// The latest.
    pub now: Measurement,
}

impl Reading {
    /// What rose since the sample before; nothing when its agent began anew meanwhile.
    fn rise(&self, of: fn(&Measurement) -> u64) -> f64 {
        let before = self.before.as_ref().map_or_else(|| of(&self.now), of);
        of(&self.now).saturating_sub(before) as f64
    }

    fn seconds(&self) -> f64 {
        let before = self.before.map_or(self.now.at, |before| before.at);
        seconds(self.now.at.0.saturating_sub(before.0))
    }

    /// Share of the processors that worked since the sample before, if there is time between.
    fn cpu_share(&self) -> Option<f64> {
        let worked = seconds(self.now.cpu.ticks().saturating_sub(self.before?.cpu.ticks()));
        let available = self.seconds() * f64::from(self.now.processors);
        (available > 0.0).then(|| (worked / available).clamp(0.0, 1.0))
    }
}

/// The sample of a pool with what its nodes measured.
#[must_use]
pub fn measured(sample: Sample, nodes: &[Reading]) -> Sample {
    let total = |of: fn(&Measurement) -> u64| nodes.iter().map(|it| it.rise(of)).sum::<f64>();
    let sample = sample
        .with(Metric::SampleNodeCount, nodes.len() as f64)
        .with(Metric::WallClockSeconds, nodes.iter().map(Reading::seconds).sum())
        .with(Metric::DiskReadBytes, total(|it| it.disk_read_bytes))
        .with(Metric::DiskWriteBytes, total(|it| it.disk_write_bytes))
        .with(Metric::DiskReadOps, total(|it| it.disk_read_ops))
        .with(Metric::DiskWriteOps, total(|it| it.disk_write_ops))
        .with(Metric::NetworkInBytes, total(|it| it.network_in_bytes))
        .with(Metric::NetworkOutBytes, total(|it| it.network_out_bytes));
    let megabytes = |it: &Reading| Some(it.now.memory_bytes as f64 / BYTES_PER_MEGABYTE);
    let gigabytes = |it: &Reading| Some(it.now.disk_bytes as f64 / BYTES_PER_GIGABYTE);
    [
        (Metric::CpuPercent, mean(nodes, Reading::cpu_share)),
        (Metric::MemoryBytes, mean(nodes, megabytes)),
        (Metric::DiskBytes, mean(nodes, gigabytes)),
    ]
    .into_iter()
    .fold(sample, |sample, (metric, mean)| match mean {
        Some(mean) => sample.with(metric, mean),
        // Nothing is known of nodes that are not there.
        None => sample,
    })
}

fn mean(nodes: &[Reading], of: impl Fn(&Reading) -> Option<f64>) -> Option<f64> {
    let values: Vec<f64> = nodes.iter().filter_map(of).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn seconds(ticks: i64) -> f64 {
    ticks as f64 / TICKS_PER_SECOND as f64
}

#[cfg(test)]
mod tests {
    use super::{Measurement, Reading, measured};
    use crate::autoscale::{Metric, Sample};
    use crate::span::Span;
    use crate::time::{TICKS_PER_SECOND, Timestamp};

    /// A node of two processors, `seconds` after its start, that worked for `worked` of them.
    fn measurement(seconds: i64, worked: i64, bytes: u64) -> Measurement {
        Measurement {
            at: Timestamp(seconds * TICKS_PER_SECOND),
            processors: 2,
            cpu: Span::seconds(worked),
            memory_bytes: bytes << 20,
            disk_bytes: bytes << 30,
            disk_read_bytes: bytes,
            disk_write_bytes: 2 * bytes,
            disk_read_ops: 3 * bytes,
            disk_write_ops: 4 * bytes,
            network_in_bytes: 5 * bytes,
            network_out_bytes: 6 * bytes,
        }
    }

    #[track_caller]
    fn check(nodes: &[Reading], expected: &[(Metric, Option<f64>)]) {
        let sample = measured(Sample::new(Timestamp(0)), nodes);
        for (metric, value) in expected {
            assert_eq!(sample.value(*metric), *value, "{metric:?}");
        }
    }

    #[test]
    fn nodes_are_averaged_and_what_they_moved_is_added_up() {
        use Metric as M;
        let nodes = [
            Reading { before: Some(measurement(10, 5, 1)), now: measurement(40, 35, 11) },
            Reading { before: Some(measurement(30, 0, 2)), now: measurement(40, 0, 3) },
        ];
        check(
            &nodes,
            &[
                (M::SampleNodeCount, Some(2.0)),
                (M::CpuPercent, Some(0.25)),
                (M::WallClockSeconds, Some(40.0)),
                (M::MemoryBytes, Some(7.0)),
                (M::DiskBytes, Some(7.0)),
                (M::DiskReadBytes, Some(11.0)),
                (M::DiskWriteBytes, Some(22.0)),
                (M::DiskReadOps, Some(33.0)),
                (M::DiskWriteOps, Some(44.0)),
                (M::NetworkInBytes, Some(55.0)),
                (M::NetworkOutBytes, Some(66.0)),
            ],
        );
    }

    #[test]
    fn a_node_that_is_new_or_began_anew_has_moved_nothing_yet() {
        use Metric as M;
        let new = Reading { before: None, now: measurement(40, 35, 11) };
        let nothing = [(M::DiskReadBytes, Some(0.0)), (M::WallClockSeconds, Some(0.0))];
        check(&[new], &nothing);
        check(&[new], &[(M::CpuPercent, None), (M::MemoryBytes, Some(11.0))]);
        let again = Reading { before: Some(measurement(10, 50, 90)), now: measurement(40, 1, 1) };
        check(&[again], &[(M::DiskReadBytes, Some(0.0)), (M::CpuPercent, Some(0.0))]);
        check(&[], &[(M::SampleNodeCount, Some(0.0)), (M::MemoryBytes, None)]);
    }
}
