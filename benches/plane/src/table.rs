//! What was measured, and whether it is as wanted.

/// What a value must be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    AtLeast(f64),
    Below(f64),
    /// Told, not held to.
    Anything,
}

/// One thing that was measured.
#[derive(Debug)]
struct Line {
    what: String,
    wanted: Wanted,
    value: f64,
}

/// One operation, in a small job and in a large one.
#[derive(Debug)]
struct Operation {
    name: &'static str,
    small_ms: f64,
    large_ms: f64,
}

/// How much slower an operation may be in a large job, and what is no difference.
const SLOWER_MAX: f64 = 2.0;
const NOISE_MS: f64 = 1.0;

/// All that was measured.
#[derive(Debug, Default)]
pub(crate) struct Table {
    lines: Vec<Line>,
    operations: Vec<Operation>,
    /// How many tasks the jobs have in which operations are measured.
    pub(crate) n_tasks: (usize, usize),
}

impl Wanted {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::Below(bound) => value < bound,
            Self::Anything => true,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(least) => format!("≥ {}", shown(least)),
            Self::Below(bound) => format!("< {}", shown(bound)),
            Self::Anything => String::new(),
        }
    }
}

impl Operation {
    fn is_met(&self) -> bool {
        self.large_ms <= self.small_ms * SLOWER_MAX + NOISE_MS
    }
}

impl Table {
    /// Takes a value down, and tells it at once.
    pub(crate) fn add(&mut self, what: impl Into<String>, wanted: Wanted, value: f64) {
        let line = Line { what: what.into(), wanted, value };
        crate::say(&format!("{:<72} {:>12}", line.what, shown(line.value)));
        self.lines.push(line);
    }

    pub(crate) fn add_operation(&mut self, name: &'static str, small_ms: f64, large_ms: f64) {
        let operation = Operation { name, small_ms, large_ms };
        crate::say(&format!("{name:<60} {:>10} {:>10} ms", shown(small_ms), shown(large_ms)));
        self.operations.push(operation);
    }

    /// The tables as a document has them.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from("| what | wanted | measured |\n| --- | --- | --- |\n");
        for Line { what, wanted, value } in &self.lines {
            let missed = if wanted.is_met(*value) { "" } else { " (missed)" };
            let (wanted, value) = (wanted.text(), shown(*value));
            text.extend(["| ", what, " | ", &wanted, " | ", &value, missed, " |\n"]);
        }
        if self.operations.is_empty() {
            return text;
        }
        let (small, large) = self.n_tasks;
        text.extend([format!("\n| operation, ms | {small} tasks | {large} tasks |\n")]);
        text.push_str("| --- | --- | --- |\n");
        for operation in &self.operations {
            let missed = if operation.is_met() { "" } else { " (missed)" };
            let (small, large) = (shown(operation.small_ms), shown(operation.large_ms));
            text.extend(["| ", operation.name, " | ", &small, " | ", &large, missed, " |\n"]);
        }
        text
    }

    /// How many values are not as wanted.
    pub(crate) fn misses(&self) -> usize {
        let lines = self.lines.iter().filter(|it| !it.wanted.is_met(it.value)).count();
        lines + self.operations.iter().filter(|it| !it.is_met()).count()
    }
}

/// A value with as many digits as it is worth.
fn shown(value: f64) -> String {
    if value.abs() < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}
