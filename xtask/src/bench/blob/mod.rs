//! `cargo xtask bench blob`: the Blob endpoint beside its peers.
//!
//! Every peer is started on a port of its own and stays for the whole run; while one is
//! measured the others are stopped, so that what they do by themselves disturbs nobody. Each
//! round takes all peers through all cases; the table has medians of the rounds.

mod case;
mod peer;
mod table;
mod wrk;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::case::{Case, Measured, Phase};
use self::peer::{Kind, Peer};
use super::pause;
use crate::program;
use crate::report;

/// What is measured, and for how long.
#[derive(Clone, Copy, Debug)]
struct Extent {
    n_rounds: usize,
    /// Seconds of each load with small blobs.
    n_seconds: u32,
    /// Blobs in the container that is listed, of Kiln.
    n_listed: usize,
    /// The same of Azurite, whose every page costs more the more there are.
    n_listed_azurite: usize,
}

const WHOLE: Extent =
    Extent { n_rounds: 3, n_seconds: 5, n_listed: 1_000_000, n_listed_azurite: 20_000 };
const SMALL: Extent =
    Extent { n_rounds: 1, n_seconds: 2, n_listed: 20_000, n_listed_azurite: 6000 };

/// Measures, shows the table and writes it to `docs/performance.md`; whether all targets are
/// met. A small run is for trying: it writes nothing.
pub(crate) fn run(root: &Path, words: &[String]) -> bool {
    let is_small = words.iter().any(|word| word == "--small");
    let mut extent = if is_small { SMALL } else { WHOLE };
    let others = super::others(words, &["--small"], |name, number| {
        match name {
            "--rounds" => extent.n_rounds = number.max(1),
            "--listed" => extent.n_listed = number,
            "--listed-azurite" => extent.n_listed_azurite = number,
            _ => return false,
        }
        true
    });
    let wanted = match others {
        Ok(wanted) => wanted,
        Err(why) => return super::tell(Err(why)),
    };
    let folder = root.join("target/bench");
    let outcome = Choice::of(&wanted).and_then(|choice| {
        let kiln = prepare(root, &folder)?;
        let mut peers = peers(root, &folder, &kiln, &choice.kinds)?;
        let measured = measure(&mut peers, extent, &choice.cases)?;
        let table = table::Table::new(&peers, measured, extent);
        report::say(&table.text());
        if !is_small && wanted.is_empty() {
            table.write(root)?;
        }
        Ok(table.misses())
    });
    // What the peers kept is of no use to anybody.
    drop(std::fs::remove_dir_all(folder.join("data")));
    super::tell(outcome)
}

/// Which peers are taken through which cases.
struct Choice {
    kinds: Vec<Kind>,
    cases: Vec<Case>,
}

impl Choice {
    /// Those with one of the words in their name; all, when no word is in any.
    fn of(words: &[String]) -> Result<Self, String> {
        let is_named = |name: &str| words.iter().any(|word| name.contains(word.as_str()));
        let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|it| is_named(it.name())).collect();
        let cases: Vec<Case> = Case::ALL.into_iter().filter(|it| is_named(it.name())).collect();
        let names = Kind::ALL.map(Kind::name).into_iter().chain(Case::ALL.map(Case::name));
        let names: Vec<&str> = names.collect();
        if let Some(word) =
            words.iter().find(|word| !names.iter().any(|it| it.contains(word.as_str())))
        {
            return Err(format!("`{word}` is in no name: {}", names.join("; ")));
        }
        Ok(Self {
            kinds: if kinds.is_empty() { Kind::ALL.into() } else { kinds },
            cases: if cases.is_empty() { Case::ALL.into() } else { cases },
        })
    }
}

/// Builds Kiln as it is shipped, and makes room.
fn prepare(root: &Path, folder: &Path) -> Result<PathBuf, String> {
    let wrk = program::run_quietly(&mut program::command("wrk", root));
    // Without words it tells its usage and fails, where it is there.
    if wrk.is_err_and(|why| why.contains("did not start")) {
        return Err("`wrk` makes the load: install it (Debian's package is `wrk`)".to_owned());
    }
    let kiln = super::kiln(root)?;
    super::clean(&folder.join("data"))?;
    Ok(kiln)
}

/// Starts all peers that there are here; each that is missing is told in one line.
fn peers(root: &Path, folder: &Path, kiln: &Path, kinds: &[Kind]) -> Result<Vec<Peer>, String> {
    let mut peers = Vec::new();
    for kind in kinds.iter().copied() {
        match Peer::start(kind, root, folder, kiln) {
            Ok(peer) => peers.push(peer),
            Err(why) if kind.is_ours() => return Err(format!("{}: {why}", kind.name())),
            Err(why) => report::say(&format!("left out: {}: {why}", kind.name())),
        }
    }
    Ok(peers)
}

fn measure(peers: &mut [Peer], extent: Extent, cases: &[Case]) -> Result<Vec<Measured>, String> {
    let mut measured = Vec::new();
    let n_rounds = extent.n_rounds;
    let of = |phase| cases.iter().copied().filter(move |case| case.phase() == phase);
    pause(Duration::from_secs(2));
    for peer in &mut *peers {
        peer.note_idle_memory();
    }
    for peer in &*peers {
        peer.stop()?;
    }
    take(peers, of(Phase::Empty).collect(), 0..1, extent, &mut measured)?;
    for peer in &mut *peers {
        report::say(&format!("fill: {}", peer.kind.name()));
        alone(peer, |peer| case::fill(peer, extent, cases))?;
    }
    take(peers, of(Phase::Rounds).collect(), 0..n_rounds, extent, &mut measured)?;
    take(peers, of(Phase::Last).collect(), 0..1, extent, &mut measured)?;
    Ok(measured)
}

/// Takes all peers through some cases, as often as there are rounds.
fn take(
    peers: &mut [Peer],
    cases: Vec<Case>,
    rounds: Range<usize>,
    extent: Extent,
    measured: &mut Vec<Measured>,
) -> Result<(), String> {
    for round in rounds {
        for peer in &mut *peers {
            let kind = peer.kind;
            for case in cases.iter().copied().filter(|case| case.suits(kind)) {
                let result = alone(peer, |peer| case.run(peer, round, extent.n_seconds))?;
                report::say(&format!("{:<16} {:<24} {result}", kind.name(), case.name()));
                measured.push(Measured { kind, case, result });
            }
        }
    }
    Ok(())
}

/// Lets one peer run while the others stand still.
fn alone<T>(
    peer: &mut Peer,
    work: impl FnOnce(&mut Peer) -> Result<T, String>,
) -> Result<T, String> {
    peer.resume()?;
    let result = work(peer).map_err(|why| format!("{}: {why}", peer.kind.name()));
    peer.stop()?;
    result
}
