//! What is measured.

use std::fmt;
use std::fs;

use super::Extent;
use super::peer::{Kind, Peer};
use super::wrk::{self, Load};
use crate::bench::client::Client;
use crate::bench::{median, now};

/// Small blobs that are read.
const N_SMALL: u32 = 1000;
/// Bytes of a large blob.
const LARGE_BYTES: u64 = 256 * 1024 * 1024;
const LARGE_MIB: f64 = 256.0;
/// Large transfers of one round, of which the median counts.
const N_TRANSFERS: usize = 3;
/// Pages of one round, of which the median counts.
const N_PAGES: usize = 5;
/// Starts, of which the median counts.
const N_STARTS: usize = 5;
/// Connections that fill a container.
const N_FILLERS: usize = 32;
const CONTAINER: &str = "bench";
const LISTED: &str = "listed";

/// One thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Case {
    Get1,
    Get16,
    Put1,
    Put16,
    LargeIn,
    LargeOut,
    List,
    StartEmpty,
    StartFilled,
}

/// What a measurement came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measurement {
    /// Requests, MiB, pages or starts per second.
    pub(super) value: f64,
    /// Microseconds of processor that the peer spent on one request, one MiB or one page.
    /// Unlike rates these are the same while other work shares the machine. A start is too short
    /// for what the kernel counts in.
    pub(super) cpu_us: Option<f64>,
    /// Milliseconds of the slowest hundredth, where there are that many.
    pub(super) p99_ms: Option<f64>,
    /// The most memory that the peer took.
    pub(super) peak_mib: f64,
}

/// One measurement of one peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) kind: Kind,
    pub(super) case: Case,
    pub(super) result: Measurement,
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, cpu_us, peak_mib, .. } = self;
        write!(f, "{value:>10.1} /s, ")?;
        if let Some(cpu_us) = cpu_us {
            write!(f, "{cpu_us:>8.0} us of processor each, ")?;
        }
        write!(f, "peak {peak_mib:.0} MiB")
    }
}

/// When something is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Before anything is kept.
    Empty,
    /// Once in every round.
    Rounds,
    /// After all rounds.
    Last,
}

impl Case {
    pub(super) const ALL: [Self; 9] = [
        Self::Get1,
        Self::Get16,
        Self::Put1,
        Self::Put16,
        Self::LargeIn,
        Self::LargeOut,
        Self::List,
        Self::StartEmpty,
        Self::StartFilled,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Get1 => "GET 4 KiB, 1 connection",
            Self::Get16 => "GET 4 KiB, 16",
            Self::Put1 => "PUT 4 KiB, 1 connection",
            Self::Put16 => "PUT 4 KiB, 16",
            Self::LargeIn => "PUT 256 MiB",
            Self::LargeOut => "GET 256 MiB",
            Self::List => "list 5,000",
            Self::StartEmpty => "start, empty",
            Self::StartFilled => "start, filled",
        }
    }

    /// Whether the peer can be asked for it.
    pub(super) const fn suits(self, kind: Kind) -> bool {
        match self {
            Self::Get1 | Self::Get16 | Self::LargeOut => true,
            Self::Put1 | Self::Put16 | Self::LargeIn => !matches!(kind, Kind::Nginx),
            // A list does not depend on how writes are answered: one of the two is enough.
            Self::List => !matches!(kind, Kind::Nginx | Kind::KilnFull),
            // Those whose blobs outlive them, and were filled for lists.
            Self::StartEmpty | Self::StartFilled => {
                matches!(kind, Kind::KilnRelaxed | Kind::AzuriteDisk)
            }
        }
    }

    pub(super) const fn phase(self) -> Phase {
        match self {
            Self::StartEmpty => Phase::Empty,
            Self::StartFilled => Phase::Last,
            Self::Get1
            | Self::Get16
            | Self::Put1
            | Self::Put16
            | Self::LargeIn
            | Self::LargeOut
            | Self::List => Phase::Rounds,
        }
    }

    pub(super) fn run(
        self,
        peer: &mut Peer,
        round: usize,
        n_seconds: u32,
    ) -> Result<Measurement, String> {
        peer.forget_peak();
        let cpu_us_before = peer.cpu_us();
        let Rate { value, n_done, p99_ms } = match self {
            Self::Get1 => get(peer, 1, n_seconds)?,
            Self::Get16 => get(peer, 16, n_seconds)?,
            Self::Put1 => put(peer, 1, n_seconds, round)?,
            Self::Put16 => put(peer, 16, n_seconds, round)?,
            Self::LargeIn => transfers(|| send_large(peer))?,
            Self::LargeOut => transfers(|| take_large(peer))?,
            Self::List => pages(peer)?,
            Self::StartEmpty | Self::StartFilled => starts(peer)?,
        };
        let is_same = self.phase() == Phase::Rounds;
        let cpu_us = is_same.then(|| (peer.cpu_us() - cpu_us_before) / n_done);
        Ok(Measurement { value, cpu_us, p99_ms, peak_mib: peer.peak_mib() })
    }
}

/// What a load came to.
struct Rate {
    /// Requests, MiB or pages of a second.
    value: f64,
    /// How many there were.
    n_done: f64,
    p99_ms: Option<f64>,
}

impl From<Load> for Rate {
    fn from(load: Load) -> Self {
        Self { value: load.per_second, n_done: load.n_requests, p99_ms: Some(load.p99_ms) }
    }
}

/// Puts there what is read and listed later.
pub(super) fn fill(peer: &Peer, extent: Extent, cases: &[Case]) -> Result<(), String> {
    if peer.kind == Kind::Nginx {
        let small = vec![b'k'; 4096];
        for number in 1..=N_SMALL {
            fs::write(peer.files.join(format!("s{number}")), &small)
                .map_err(|cause| cause.to_string())?;
        }
        let large =
            fs::File::create(peer.files.join("large")).map_err(|cause| cause.to_string())?;
        let mut content = std::io::Read::take(std::io::repeat(b'k'), LARGE_BYTES);
        return std::io::copy(&mut content, &mut { large })
            .map(drop)
            .map_err(|cause| cause.to_string());
    }
    let mut client = Client::connect(peer.port)?;
    for container in [CONTAINER, LISTED] {
        let query = peer.query();
        let target = format!("/devstoreaccount1/{container}{query}&restype=container");
        created(client.send("PUT", &target, 0)?)?;
    }
    for number in 1..=N_SMALL {
        put_one(peer, &mut client, CONTAINER, &format!("s{number}"), 4096)?;
    }
    put_one(peer, &mut client, CONTAINER, "large", LARGE_BYTES)?;
    let is_wanted = [Case::List, Case::StartFilled].iter().any(|it| cases.contains(it));
    let n_listed = match peer.kind {
        Kind::KilnFull | Kind::Nginx => 0,
        Kind::KilnRelaxed => extent.n_listed,
        Kind::AzuriteDisk | Kind::AzuriteMemory => extent.n_listed_azurite,
    };
    let n_listed = if is_wanted { n_listed } else { 0 };
    std::thread::scope(|scope| {
        let fillers: Vec<_> = (0..N_FILLERS)
            .map(|filler| scope.spawn(move || fill_some(peer, filler, n_listed)))
            .collect();
        fillers.into_iter().try_for_each(|it| {
            it.join().unwrap_or_else(|_panic| Err("a filler panicked".to_owned()))
        })
    })
}

/// Every so-and-so-many-th of the blobs that are listed.
fn fill_some(peer: &Peer, filler: usize, n_listed: usize) -> Result<(), String> {
    let mut client = Client::connect(peer.port)?;
    let mut number = filler;
    while number < n_listed {
        put_one(peer, &mut client, LISTED, &format!("folder/blob-{number:07}"), 0)?;
        number += N_FILLERS;
    }
    Ok(())
}

fn put_one(
    peer: &Peer,
    client: &mut Client,
    container: &str,
    blob: &str,
    length: u64,
) -> Result<(), String> {
    let target = peer.path(container, blob) + &peer.query();
    created(client.send("PUT", &target, length)?)
}

fn created((status, _): (u16, u64)) -> Result<(), String> {
    if status == 201 { Ok(()) } else { Err(format!("status {status} where 201 is expected")) }
}

fn get(peer: &Peer, n_connections: u32, n_seconds: u32) -> Result<Rate, String> {
    let (path, query) = (peer.path(CONTAINER, "s"), peer.query());
    let words = [path.as_str(), &query, &N_SMALL.to_string()];
    wrk::run(&peer.root, "get.lua", peer.port, n_connections, n_seconds, &words).map(Rate::from)
}

fn put(peer: &Peer, n_connections: u32, n_seconds: u32, round: usize) -> Result<Rate, String> {
    let (path, query) = (peer.path(CONTAINER, "p"), peer.query());
    let words = [path.as_str(), &query, &format!("{round}-{n_connections}")];
    wrk::run(&peer.root, "put.lua", peer.port, n_connections, n_seconds, &words).map(Rate::from)
}

/// MiB per second, the median of some transfers.
fn transfers(mut transfer: impl FnMut() -> Result<(), String>) -> Result<Rate, String> {
    let mut seconds = Vec::with_capacity(N_TRANSFERS);
    for _ in 0..N_TRANSFERS {
        let begun_at = now();
        transfer()?;
        seconds.push(begun_at.elapsed().as_secs_f64());
    }
    let n_done = LARGE_MIB * N_TRANSFERS as f64;
    Ok(Rate { value: LARGE_MIB / median(&mut seconds), n_done, p99_ms: None })
}

fn send_large(peer: &Peer) -> Result<(), String> {
    put_one(peer, &mut Client::connect(peer.port)?, CONTAINER, "large", LARGE_BYTES)
}

fn take_large(peer: &Peer) -> Result<(), String> {
    let target = peer.path(CONTAINER, "large") + &peer.query();
    match Client::connect(peer.port)?.send("GET", &target, 0)? {
        (200, LARGE_BYTES) => Ok(()),
        (status, length) => Err(format!("status {status} with {length} bytes")),
    }
}

/// Pages per second, by the median of some.
fn pages(peer: &Peer) -> Result<Rate, String> {
    let query = peer.query();
    let target =
        format!("/devstoreaccount1/{LISTED}{query}&restype=container&comp=list&maxresults=5000");
    let mut seconds = Vec::with_capacity(N_PAGES);
    for _ in 0..N_PAGES {
        let begun_at = now();
        let (status, length) = Client::connect(peer.port)?.send("GET", &target, 0)?;
        seconds.push(begun_at.elapsed().as_secs_f64());
        // Each entry takes some hundred bytes.
        if status != 200 || length < 500_000 {
            return Err(format!("a page with status {status} and {length} bytes"));
        }
    }
    Ok(Rate { value: 1.0 / median(&mut seconds), n_done: N_PAGES as f64, p99_ms: None })
}

/// Starts per second, by the median of some, each after a kill.
fn starts(peer: &mut Peer) -> Result<Rate, String> {
    let mut seconds = Vec::with_capacity(N_STARTS);
    for _ in 0..N_STARTS {
        seconds.push(peer.restart()?.as_secs_f64());
    }
    Ok(Rate { value: 1.0 / median(&mut seconds), n_done: N_STARTS as f64, p99_ms: None })
}
