//! What a node measures of itself: of its control group where there is one and the kernel
//! counts there, else of the machine.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use kiln_domain::autoscale::Measurement;
use kiln_domain::span::Span;

use crate::clock;

/// Ticks of 100 ns in the unit in which the kernel says how long processors worked, 10 ms.
const SPAN_TICKS_PER_JIFFY: i64 = 100_000;
/// Bytes of a sector, in what the kernel says of disks.
const SECTOR_BYTES: u64 = 512;
/// Ticks of 100 ns in a microsecond.
const SPAN_TICKS_PER_US: i64 = 10;

/// What was moved so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Moved {
    read_bytes: u64,
    write_bytes: u64,
    read_ops: u64,
    write_ops: u64,
}

/// Measures a node now. `group` is where the kernel counts for its processes, `directory` lies
/// on its disk. What can not be read is 0.
pub(crate) fn measure(group: Option<&Path>, directory: impl AsFd) -> Measurement {
    let of_group = |name: &str| fs::read_to_string(group?.join(name)).ok();
    let cpu = of_group("cpu.stat").and_then(|it| cpu_of_group(&it));
    let memory = of_group("memory.current").and_then(|it| it.trim().parse().ok());
    let disk = of_group("io.stat").map(|it| disk_of_group(&it));
    let disk = disk.unwrap_or_else(|| disk_of_machine(&said("/proc/diskstats")));
    let (network_in_bytes, network_out_bytes) = network(&said("/proc/net/dev"));
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Measurement {
        at: clock::now(),
        processors: u32::try_from(processors).unwrap_or(u32::MAX),
        cpu: cpu.unwrap_or_else(|| cpu_of_machine(&said("/proc/stat"))),
        memory_bytes: memory.unwrap_or_else(|| memory_of_machine(&said("/proc/meminfo"))),
        disk_bytes: used_bytes(directory),
        disk_read_bytes: disk.read_bytes,
        disk_write_bytes: disk.write_bytes,
        disk_read_ops: disk.read_ops,
        disk_write_ops: disk.write_ops,
        network_in_bytes,
        network_out_bytes,
    }
}

fn said(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Of `usage_usec 1234`.
fn cpu_of_group(stat: &str) -> Option<Span> {
    let line = stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    let microseconds: i64 = line.trim().parse().ok()?;
    Some(Span::from_ticks(microseconds.saturating_mul(SPAN_TICKS_PER_US)))
}

/// Of `cpu  user nice system idle iowait irq softirq steal …`: all but idle and iowait.
fn cpu_of_machine(stat: &str) -> Span {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
    let times: Vec<u64> = line.split_whitespace().take(8).flat_map(str::parse).collect();
    let all: u64 = times.iter().sum();
    let idle: u64 = times.iter().skip(3).take(2).sum();
    let worked = i64::try_from(all.saturating_sub(idle)).unwrap_or(i64::MAX);
    Span::from_ticks(worked.saturating_mul(SPAN_TICKS_PER_JIFFY))
}

/// Of `MemTotal: 1 kB` and `MemAvailable: 1 kB`.
fn memory_of_machine(info: &str) -> u64 {
    let kilobytes = |name: &str| -> u64 {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    kilobytes("MemTotal:").saturating_sub(kilobytes("MemAvailable:")).saturating_mul(1024)
}

/// Of lines such as `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0`, one for each disk.
fn disk_of_group(stat: &str) -> Moved {
    let total = |name: &str| -> u64 {
        let members = stat.split_whitespace().filter_map(|it| it.split_once('='));
        members.filter(|(key, _)| *key == name).filter_map(|(_, n)| n.parse::<u64>().ok()).sum()
    };
    Moved {
        read_bytes: total("rbytes"),
        write_bytes: total("wbytes"),
        read_ops: total("rios"),
        write_ops: total("wios"),
    }
}

/// Of lines such as `8 0 sda reads merged sectors ms writes merged sectors …`: whole disks,
/// for what their partitions move is moved by them.
fn disk_of_machine(stats: &str) -> Moved {
    let mut moved = Moved::default();
    let mut disks: Vec<&str> = Vec::new();
    for line in stats.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, _, name, numbers @ ..] = words.as_slice() else { continue };
        let is_virtual = ["loop", "ram", "dm-", "md", "zram"].iter().any(|it| name.starts_with(it));
        if is_virtual || disks.iter().any(|disk| is_partition(name, disk)) {
            continue;
        }
        disks.push(name);
        let number = |idx: usize| numbers.get(idx).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        moved.read_ops += number(0);
        moved.read_bytes += number(2).saturating_mul(SECTOR_BYTES);
        moved.write_ops += number(4);
        moved.write_bytes += number(6).saturating_mul(SECTOR_BYTES);
    }
    moved
}

/// `sda1` of `sda`, `nvme0n1p2` of `nvme0n1`.
fn is_partition(name: &str, disk: &str) -> bool {
    let Some(rest) = name.strip_prefix(disk) else { return false };
    let number = rest.strip_prefix('p').unwrap_or(rest);
    !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
}

/// Of lines such as `eth0: received … sent …`; what the machine says to itself does not count.
fn network(devices: &str) -> (u64, u64) {
    let (mut received, mut sent) = (0, 0);
    for line in devices.lines() {
        let Some((name, numbers)) = line.split_once(':') else { continue };
        if name.trim() == "lo" {
            continue;
        }
        let numbers: Vec<u64> = numbers.split_whitespace().flat_map(str::parse).collect();
        received += numbers.first().copied().unwrap_or(0);
        sent += numbers.get(8).copied().unwrap_or(0);
    }
    (received, sent)
}

fn used_bytes(directory: impl AsFd) -> u64 {
    let Ok(found) = rustix::fs::fstatvfs(directory) else { return 0 };
    found.f_blocks.saturating_sub(found.f_bfree).saturating_mul(found.f_frsize)
}

#[cfg(test)]
mod tests {
    use kiln_domain::span::Span;

    use super::{
        Moved, cpu_of_group, cpu_of_machine, disk_of_group, disk_of_machine, measure,
        memory_of_machine, network,
    };
    use kiln_files::Directory;

    #[test]
    fn what_the_kernel_says_of_a_group() {
        let stat = "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\n";
        assert_eq!(cpu_of_group(stat).map(|it| it.to_string()).as_deref(), Some("PT1.5S"));
        assert_eq!(cpu_of_group(""), None);
        let stat = "8:0 rbytes=10 wbytes=20 rios=3 wios=4 dbytes=0 dios=0\n\
                    259:1 rbytes=1 wbytes=2 rios=1 wios=1 dbytes=0 dios=0\n";
        let expected = Moved { read_bytes: 11, write_bytes: 22, read_ops: 4, write_ops: 5 };
        assert_eq!(disk_of_group(stat), expected);
        assert_eq!(disk_of_group(""), Moved::default());
    }

    #[test]
    fn what_the_kernel_says_of_a_machine() {
        let stat = "cpu  100 20 30 4000 500 1 2 3 9 9\ncpu0 50 10 15 2000 250 0 1 1 0 0\n";
        assert_eq!(cpu_of_machine(stat).to_string(), "PT1.56S");
        assert_eq!(cpu_of_machine(""), Span::seconds(0));
        let info = "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    400 kB\n";
        assert_eq!(memory_of_machine(info), 600 * 1024);
        let stats = "   7       0 loop0 9 0 9 9 9 0 9 0 0 0 0\n\
                        8       0 sda 10 1 100 5 20 2 200 6 0 7 8\n\
                        8       1 sda1 10 1 100 5 20 2 200 6 0 7 8\n\
                      259       0 nvme0n1 1 0 2 0 3 0 4 0 0 0 0\n\
                      259       1 nvme0n1p1 1 0 2 0 3 0 4 0 0 0 0\n";
        let expected =
            Moved { read_bytes: 102 * 512, write_bytes: 204 * 512, read_ops: 11, write_ops: 23 };
        assert_eq!(disk_of_machine(stats), expected);
        let devices = "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes packets\n\
                       lo: 5 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0\n\
                       eth0: 70 1 0 0 0 0 0 0 80 1 0 0 0 0 0 0\n\
                       eth1:7 1 0 0 0 0 0 0 8 1 0 0 0 0 0 0\n";
        assert_eq!(network(devices), (77, 88));
    }

    #[test]
    fn this_machine_can_be_measured() {
        let root = Directory::open_root("/".as_ref()).expect("a machine");
        let (before, after) = (measure(None, &root), measure(None, &root));
        assert!(before.processors > 0 && before.cpu > Span::seconds(0), "{before:?}");
        assert!(before.memory_bytes > 0 && before.disk_bytes > 0, "{before:?}");
        assert!(before.cpu <= after.cpu && before.at <= after.at, "{before:?} {after:?}");
    }
}
