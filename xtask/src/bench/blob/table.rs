//! The table, and whether it meets its targets.

use std::path::Path;

use super::Extent;
use super::case::{Case, Measured, Phase};
use super::peer::{Kind, Peer};
use crate::bench::{median, page};

/// How much better one peer must be than another.
struct Target {
    case: Case,
    ours: Kind,
    theirs: Kind,
    ratio: f64,
}

const TARGETS: [Target; 7] = [
    Target { case: Case::Get16, ours: Kind::KilnFull, theirs: Kind::AzuriteDisk, ratio: 10.0 },
    Target { case: Case::Put16, ours: Kind::KilnFull, theirs: Kind::AzuriteDisk, ratio: 4.0 },
    Target { case: Case::Put16, ours: Kind::KilnRelaxed, theirs: Kind::AzuriteDisk, ratio: 15.0 },
    Target { case: Case::LargeIn, ours: Kind::KilnFull, theirs: Kind::AzuriteDisk, ratio: 2.5 },
    Target { case: Case::LargeOut, ours: Kind::KilnFull, theirs: Kind::AzuriteDisk, ratio: 2.5 },
    Target { case: Case::LargeOut, ours: Kind::KilnFull, theirs: Kind::Nginx, ratio: 0.8 },
    Target { case: Case::List, ours: Kind::KilnRelaxed, theirs: Kind::AzuriteDisk, ratio: 10.0 },
];
/// How much longer a start with a million blobs may take than one with none: it does not grow
/// with their number, but a log of the last writes is read again.
const START_KIND: Kind = Kind::KilnRelaxed;
const START_TIMES_MAX: f64 = 2.0;
const START_MORE_MS: f64 = 50.0;
/// Memory that Kiln may take without work, and in any case.
const IDLE_MIB_MAX: f64 = 30.0;
const PEAK_MIB_MAX: f64 = 200.0;

/// All that was measured.
pub(super) struct Table {
    /// Peers with their versions and their memory without work.
    peers: Vec<(Kind, String, f64)>,
    measured: Vec<Measured>,
    extent: Extent,
}

impl Table {
    pub(super) fn new(peers: &[Peer], measured: Vec<Measured>, extent: Extent) -> Self {
        let peers = peers.iter().map(|it| (it.kind, it.version.clone(), it.idle_mib)).collect();
        Self { peers, measured, extent }
    }

    /// The median of the rounds.
    fn value(&self, case: Case, kind: Kind) -> Option<f64> {
        let of = |it: &&Measured| it.case == case && it.kind == kind;
        let mut values: Vec<f64> =
            self.measured.iter().filter(of).map(|it| it.result.value).collect();
        (!values.is_empty()).then(|| median(&mut values))
    }

    fn p99_ms(&self, case: Case, kind: Kind) -> Option<f64> {
        let of = |it: &&Measured| it.case == case && it.kind == kind;
        let mut values: Vec<f64> =
            self.measured.iter().filter(of).filter_map(|it| it.result.p99_ms).collect();
        (!values.is_empty()).then(|| median(&mut values))
    }

    fn cpu_us(&self, case: Case, kind: Kind) -> Option<f64> {
        let of = |it: &&Measured| it.case == case && it.kind == kind;
        let mut values: Vec<f64> =
            self.measured.iter().filter(of).filter_map(|it| it.result.cpu_us).collect();
        (!values.is_empty()).then(|| median(&mut values))
    }

    fn peak_mib(&self, kind: Kind) -> f64 {
        let of = |it: &&Measured| it.kind == kind;
        self.measured.iter().filter(of).map(|it| it.result.peak_mib).fold(0.0, f64::max)
    }

    /// The table as the document has it.
    pub(super) fn text(&self) -> String {
        let mut text = String::from("| what |");
        for (kind, ..) in &self.peers {
            text.extend([" ", kind.name(), " |"]);
        }
        text.push_str("\n| --- |");
        text.push_str(&" --- |".repeat(self.peers.len()));
        for case in Case::ALL {
            text.extend(["\n| ", &self.title(case), " |"]);
            for (kind, ..) in &self.peers {
                text.extend([" ", &self.cell(case, *kind), " |"]);
            }
        }
        for case in Case::ALL.into_iter().filter(|case| case.phase() == Phase::Rounds) {
            let unit = match case {
                Case::Get1 | Case::Get16 | Case::Put1 | Case::Put16 => "request",
                Case::LargeIn | Case::LargeOut => "MiB",
                Case::List => "page",
                Case::StartEmpty | Case::StartFilled => "start",
            };
            text.extend(["\n| ", case.name(), ", µs of processor for a ", unit, " |"]);
            for (kind, ..) in &self.peers {
                let cell = self.cpu_us(case, *kind);
                let cell = cell.map_or_else(|| "–".to_owned(), |it| format!("{it:.0}"));
                text.extend([" ", &cell, " |"]);
            }
        }
        text.push_str("\n| memory idle, MiB |");
        for (.., idle_mib) in &self.peers {
            text.extend([format!(" {idle_mib:.0} |")]);
        }
        text.push_str("\n| memory, most in any case, MiB |");
        for (kind, ..) in &self.peers {
            text.extend([format!(" {:.0} |", self.peak_mib(*kind))]);
        }
        text.push_str("\n\n| target | wanted | measured |\n| --- | --- | --- |");
        for target in &TARGETS {
            let measured =
                self.ratio(target).map_or_else(|| "–".to_owned(), |it| format!("{it:.1}"));
            let Target { case, ours, theirs, ratio } = target;
            let (case, ours, theirs) = (case.name(), ours.name(), theirs.name());
            let wanted = format!("≥ {ratio}");
            text.extend([format!("\n| {case}: {ours} / {theirs} | {wanted} | {measured} |")]);
        }
        let measured = self.start_ms(Case::StartFilled);
        let measured = measured.map_or_else(|| "–".to_owned(), |it| format!("{it:.0}"));
        let ours = START_KIND.name();
        text.extend([format!(
            "\n| start with all blobs: {ours}, ms | ≤ {START_TIMES_MAX} × empty + {START_MORE_MS} \
             | {measured} |"
        )]);
        text
    }

    fn title(&self, case: Case) -> String {
        match case {
            Case::Get1 | Case::Get16 | Case::Put1 | Case::Put16 => {
                format!("{}, requests/s (99 %: ms)", case.name())
            }
            Case::LargeIn | Case::LargeOut => format!("{}, MiB/s", case.name()),
            Case::List => {
                let Extent { n_listed: n, n_listed_azurite: n_azurite, .. } = self.extent;
                format!("{} of {n} (Azurite: {n_azurite}), ms for a page", case.name())
            }
            Case::StartEmpty => "start after a kill, empty, ms".to_owned(),
            Case::StartFilled => "start after a kill, with all these blobs, ms".to_owned(),
        }
    }

    fn cell(&self, case: Case, kind: Kind) -> String {
        let Some(value) = self.value(case, kind) else { return "–".to_owned() };
        match (case, self.p99_ms(case, kind)) {
            (Case::List | Case::StartEmpty | Case::StartFilled, _) => {
                format!("{:.0}", 1000.0 / value)
            }
            (_, Some(p99_ms)) => format!("{value:.0} ({p99_ms:.1})"),
            (_, None) => format!("{value:.0}"),
        }
    }

    fn start_ms(&self, case: Case) -> Option<f64> {
        self.value(case, START_KIND).map(|per_second| 1000.0 / per_second)
    }

    fn ratio(&self, target: &Target) -> Option<f64> {
        let ours = self.value(target.case, target.ours)?;
        let theirs = self.value(target.case, target.theirs)?;
        Some(ours / theirs)
    }

    /// The targets that are not met; what was not measured misses nothing.
    pub(super) fn misses(&self) -> Vec<String> {
        let mut misses = Vec::new();
        for target in &TARGETS {
            if let Some(ratio) = self.ratio(target)
                && ratio < target.ratio
            {
                let (case, theirs) = (target.case.name(), target.theirs.name());
                let (ours, wanted) = (target.ours.name(), target.ratio);
                misses.push(format!("{case}: {ours} / {theirs} is {ratio:.1}, not {wanted}"));
            }
        }
        let (empty_ms, filled_ms) =
            (self.start_ms(Case::StartEmpty), self.start_ms(Case::StartFilled));
        if let (Some(empty_ms), Some(filled_ms)) = (empty_ms, filled_ms)
            && filled_ms > START_TIMES_MAX * empty_ms + START_MORE_MS
        {
            let name = START_KIND.name();
            misses.push(format!("{name} starts in {filled_ms:.0} ms, empty in {empty_ms:.0}"));
        }
        for (kind, _, idle_mib) in self.peers.iter().filter(|(kind, ..)| kind.is_ours()) {
            let (name, peak_mib) = (kind.name(), self.peak_mib(*kind));
            if *idle_mib >= IDLE_MIB_MAX {
                misses.push(format!("{name} takes {idle_mib:.0} MiB idle, not {IDLE_MIB_MAX}"));
            }
            if peak_mib >= PEAK_MIB_MAX {
                misses.push(format!("{name} takes {peak_mib:.0} MiB, not {PEAK_MIB_MAX}"));
            }
        }
        misses
    }

    /// Puts the table into the page.
    pub(super) fn write(&self, root: &Path) -> Result<(), String> {
        let mut versions: Vec<&str> = self.peers.iter().map(|it| it.1.as_str()).collect();
        versions.dedup();
        let (versions, n_rounds) = (versions.join(", "), self.extent.n_rounds);
        let mut about = format!("Rounds: {n_rounds}. Versions: {versions}.");
        if !self.misses().is_empty() {
            about.extend([" Missed in this run: ", &self.misses().join("; "), "."]);
        }
        page::write(root, "blob", &self.text(), &about)
    }
}
