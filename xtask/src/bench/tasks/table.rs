//! The tables, and whether they meet their targets.

use std::path::Path;

use super::latency::Spread;
use super::peer::Kind;
use super::{Extent, Results, median};
use crate::bench::page;

/// How much of the bare loop's rate, and how many times the rates of others.
const TARGETS: [(Kind, f64); 4] =
    [(Kind::Bare, 0.8), (Kind::HyperQueue, 1.5), (Kind::Parallel, 5.0), (Kind::Slurm, 25.0)];
/// Microseconds of processor that a task may take of Kiln.
const EFFORT_US_MAX: f64 = 200.0;
const WHOLE_MS_MAX: f64 = 12.0;
const BEGIN_P50_MS_MAX: f64 = 5.0;
const BEGIN_P99_MS_MAX: f64 = 20.0;
const DEPENDENT_MS_MAX: f64 = 10.0;
const READY_MS_MAX: f64 = 200.0;
const MEMORY_MIB_MAX: f64 = 40.0;
const IDLE_PERMILLE_MAX: f64 = 5.0;
const PROGRAM_MIB_MAX: f64 = 40.0;
const NODE_MS_MAX: f64 = 100.0;
const NODES_S_MAX: f64 = 10.0;

/// Something that was measured and what is wanted of it.
struct Target {
    name: String,
    measured: f64,
    /// The least or the most that it may be.
    wanted: Wanted,
}

#[derive(Clone, Copy)]
enum Wanted {
    AtLeast(f64),
    AtMost(f64),
}

/// What was measured, as the page has it.
pub(super) struct Table<'a> {
    results: &'a Results,
    extent: Extent,
    targets: Vec<Target>,
}

impl<'a> Table<'a> {
    pub(super) fn new(results: &'a Results, extent: Extent) -> Self {
        let mut table = Self { results, extent, targets: Vec::new() };
        table.targets = table.rates().chain(table.others()).collect();
        table
    }

    /// The median of the rounds.
    fn rate(&self, kind: Kind) -> Option<f64> {
        let of = self.results.rates.iter().filter(|it| it.0 == kind);
        let mut rates: Vec<f64> = of.map(|it| it.1).collect();
        (!rates.is_empty()).then(|| median(&mut rates))
    }

    /// Microseconds of the server, the agent and the first process, and of all.
    fn efforts(&self) -> Option<[f64; 4]> {
        let efforts = &self.results.efforts;
        let middle = |of: fn(&super::Effort) -> f64| {
            let mut values: Vec<f64> = efforts.iter().map(of).collect();
            (!values.is_empty()).then(|| median(&mut values))
        };
        Some([
            middle(|it| it.server_us)?,
            middle(|it| it.agent_us)?,
            middle(|it| it.init_us)?,
            middle(|it| it.server_us + it.agent_us + it.init_us)?,
        ])
    }

    fn rates(&self) -> impl Iterator<Item = Target> {
        TARGETS.into_iter().filter_map(|(kind, ratio)| {
            let measured = self.rate(Kind::Kiln)? / self.rate(kind)?;
            let name = format!("tasks/s: Kiln / {}", kind.name());
            Some(Target { name, measured, wanted: Wanted::AtLeast(ratio) })
        })
    }

    fn others(&self) -> impl Iterator<Item = Target> {
        let effort = self.efforts().map(|[.., all]| {
            (
                "µs of processor for a task: server, agent, first process".to_owned(),
                all,
                EFFORT_US_MAX,
            )
        });
        let latency = self.results.latency.map(|it| {
            [
                ("one task, from request to end, ms", it.whole.p50_ms, WHOLE_MS_MAX),
                ("from answer to begin, ms", it.begin.p50_ms, BEGIN_P50_MS_MAX),
                ("from answer to begin, 99 %, ms", it.begin.p99_ms, BEGIN_P99_MS_MAX),
                ("from end to a dependent's begin, ms", it.dependent.p50_ms, DEPENDENT_MS_MAX),
            ]
        });
        let latency = latency.into_iter().flatten().map(|it| (it.0.to_owned(), it.1, it.2));
        let footprint = self.results.footprint.as_ref().map(|it| {
            let [server, ..] = it.memory_mib;
            [
                ("start to ready, ms".to_owned(), it.ready_ms, READY_MS_MAX),
                ("memory of an idle server, MiB".to_owned(), server, MEMORY_MIB_MAX),
                ("idle, ‰ of a processor".to_owned(), it.idle_permille, IDLE_PERMILLE_MAX),
                ("the program, MiB".to_owned(), it.program_mib, PROGRAM_MIB_MAX),
                ("a node, from request to ready, ms".to_owned(), it.node_ms, NODE_MS_MAX),
                (format!("{} nodes, s", it.n_nodes), it.nodes_s, NODES_S_MAX),
            ]
        });
        let all = effort.into_iter().chain(latency).chain(footprint.into_iter().flatten());
        all.map(|(name, measured, most)| Target { name, measured, wanted: Wanted::AtMost(most) })
    }

    pub(super) fn text(&self) -> String {
        let mut lines = vec![
            "| runner | how | tasks | tasks/s |".to_owned(),
            "| --- | --- | --- | --- |".to_owned(),
        ];
        for kind in Kind::ALL {
            let Some(rate) = self.rate(kind) else { continue };
            let n_tasks = match kind {
                Kind::Bare | Kind::Kiln | Kind::HyperQueue => self.extent.n_tasks,
                Kind::Parallel | Kind::Slurm => self.extent.n_tasks_slow,
            };
            lines.push(format!("| {} | {} | {n_tasks} | {rate:.0} |", kind.name(), kind.manner()));
        }
        lines.extend(["", "| of Kiln | |", "| --- | --- |"].map(ToOwned::to_owned));
        if let Some([server, agent, init, all]) = self.efforts() {
            let mut bare_us = self.results.bare_us.clone();
            let bare_us = if bare_us.is_empty() { f64::NAN } else { median(&mut bare_us) };
            lines.push(format!(
                "| µs of processor for a task: server, agent, first process, all (bare loop) | \
                 {server:.0}, {agent:.0}, {init:.0}, {all:.0} ({bare_us:.0}) |"
            ));
        }
        if let Some(it) = self.results.latency {
            let spread = |it: Spread| format!("{:.1} ({:.1})", it.p50_ms, it.p99_ms);
            for (name, it) in [
                ("one task: from request to end", it.whole),
                ("from answer to begin", it.begin),
                ("from end to a dependent's begin", it.dependent),
            ] {
                lines.push(format!("| {name}, ms (99 %) | {} |", spread(it)));
            }
        }
        if let Some(it) = &self.results.footprint {
            let [server, agent, init] = it.memory_mib;
            lines.extend([
                format!("| start to ready, ms | {:.0} |", it.ready_ms),
                format!(
                    "| memory idle, MiB: server, agent, first process | \
                     {server:.0}, {agent:.0}, {init:.0} |"
                ),
                format!(
                    "| idle with a node: ‰ of a processor, wakes/s | {:.2}, {:.1} |",
                    it.idle_permille, it.wakes_per_second
                ),
                format!("| the program, MiB | {:.1} |", it.program_mib),
                format!("| a node: from request to ready, ms | {:.0} |", it.node_ms),
                format!(
                    "| {} nodes: ready, gone, s | {:.1}, {:.1} |",
                    it.n_nodes, it.nodes_s, it.nodes_gone_s
                ),
            ]);
        }
        lines.extend(
            ["", "| target | wanted | measured |", "| --- | --- | --- |"].map(ToOwned::to_owned),
        );
        for Target { name, measured, wanted } in &self.targets {
            lines.push(format!("| {name} | {} | {measured:.2} |", wanted.text()));
        }
        lines.join("\n")
    }

    /// The targets that are not met; what was not measured misses nothing.
    pub(super) fn misses(&self) -> Vec<String> {
        let missed = self.targets.iter().filter(|it| !it.wanted.is_met_by(it.measured));
        missed
            .map(|it| format!("{} is {:.2}, not {}", it.name, it.measured, it.wanted.text()))
            .collect()
    }

    /// Puts the tables into the page.
    pub(super) fn write(&self, root: &Path) -> Result<(), String> {
        let versions = self.results.versions.join(", ");
        let Extent { n_rounds, n_slots, .. } = self.extent;
        let mut about = format!("Rounds: {n_rounds}; slots: {n_slots}. Versions: {versions}.");
        if !self.misses().is_empty() {
            about.extend([" Missed in this run: ", &self.misses().join("; "), "."]);
        }
        page::write(root, "tasks", &self.text(), &about)
    }
}

impl Wanted {
    fn text(self) -> String {
        match self {
            Self::AtLeast(least) => format!("≥ {least}"),
            Self::AtMost(most) => format!("≤ {most}"),
        }
    }

    fn is_met_by(self, measured: f64) -> bool {
        match self {
            Self::AtLeast(least) => measured >= least,
            Self::AtMost(most) => measured <= most,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::SMALL;
    use super::{Kind, Results, Table};

    #[test]
    fn medians_are_held_against_targets() {
        let rates = vec![
            (Kind::Bare, 1000.0),
            (Kind::Kiln, 700.0),
            (Kind::Kiln, 790.0),
            (Kind::Kiln, 2000.0),
            (Kind::Slurm, 10.0),
        ];
        let results = Results { rates, ..Results::default() };
        let table = Table::new(&results, SMALL);
        assert_eq!(table.misses(), ["tasks/s: Kiln / bare loop is 0.79, not ≥ 0.8"]);
        assert!(table.text().contains("| tasks/s: Kiln / Slurm | ≥ 25 | 79.00 |"));
    }
}
