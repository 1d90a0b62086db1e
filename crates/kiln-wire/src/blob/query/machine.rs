//! From pieces of content to events of an answer.

use std::ops::ControlFlow;

use bytes::{Buf, Bytes};
use kiln_domain::blob::query::syntax::Select;
use kiln_domain::blob::query::{
    Columns, InvalidQuery, Moment, Problem, Row, Scene, Statement, Tally, Tree, Value, evaluate,
    is_wanted, reach,
};
use kiln_domain::time::Timestamp;

use super::delimited::{DelimitedReader, Next};
use super::json::JsonReader;
use super::output::{RowWriter, TooLong};
use super::request::{Form, QueryRequest};

/// Bytes of an answer that are made before they are handed on.
const ANSWER_BYTES_PER_STEP: usize = 1024 * 1024;
/// Bytes of an answer that one record may come to, row by row.
const ANSWER_BYTES_PER_RECORD_MAX: usize = 16 * 1024 * 1024;
/// Bytes of content after which progress is told, if there is nothing else to tell.
const SCANNED_BYTES_PER_PROGRESS: u64 = 4 * 1024 * 1024;
/// What is wrong with content that cannot be read.
const PARSE_ERROR: &str = "ParseError";

/// Something that an answer tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Whole rows.
    Data(Vec<u8>),
    /// A record that has no answer.
    Failed {
        /// Whether none follows it.
        is_fatal: bool,
        /// The kind of failure.
        name: &'static str,
        /// In words.
        description: String,
        /// Where in the blob the record begins.
        position: u64,
    },
    /// How far the blob was read.
    Progress {
        /// Bytes of it.
        scanned_bytes: u64,
    },
    /// The end of the answer.
    End,
}

/// A query under way. It holds one record, and what it has not handed on yet.
#[derive(Debug)]
pub struct Machine {
    statement: Statement,
    now: Moment,
    reader: Reader,
    names: Vec<String>,
    output: Form,
    phase: Phase,
    tally: Option<Tally>,
    n_rows_left: u64,
    part_start: u64,
    rows: Vec<u8>,
    events: Vec<Event>,
    made_bytes: usize,
    told_bytes: u64,
    has_told: bool,
}

#[derive(Debug)]
enum Reader {
    Delimited(Box<DelimitedReader>),
    Json(JsonReader),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The names of the columns come first.
    Header,
    Rows,
    Ended,
}

impl Machine {
    /// Begins to answer `request` at the time `now`.
    ///
    /// # Errors
    /// When the query names what records without names do not have.
    pub fn new(request: QueryRequest, now: Timestamp) -> Result<Self, InvalidQuery> {
        let QueryRequest { mut statement, input, output } = request;
        let (reader, phase) = match &input {
            Form::Delimited(dialect) => {
                let phase = if dialect.has_headers { Phase::Header } else { Phase::Rows };
                (Reader::Delimited(Box::new(DelimitedReader::new(dialect))), phase)
            }
            Form::Json { .. } => (Reader::Json(JsonReader::default()), Phase::Rows),
        };
        if phase == Phase::Rows {
            let is_delimited = matches!(reader, Reader::Delimited(_));
            statement.bind(if is_delimited { Columns::Numbered } else { Columns::Members })?;
        }
        let tally = match &statement.select {
            Select::Aggregate { function, .. } => Some(Tally::new(*function)),
            Select::All | Select::Columns(_) | Select::Split { .. } => None,
        };
        let n_rows_left = statement.limit.unwrap_or(u64::MAX);
        let mut this = Self {
            statement,
            now: Moment::utc(now),
            reader,
            names: Vec::new(),
            output,
            phase,
            tally,
            n_rows_left,
            part_start: 0,
            rows: Vec::new(),
            events: Vec::new(),
            made_bytes: 0,
            told_bytes: 0,
            has_told: false,
        };
        if this.phase == Phase::Rows {
            this.write_header();
        }
        Ok(this)
    }

    /// Whether the columns that the query names are still to be found in the content.
    pub fn is_unbound(&self) -> bool {
        self.phase == Phase::Header
    }

    /// Whether the answer is complete.
    pub fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// Takes content from the front of `input`, until that is empty, there is much to hand on,
    /// or the answer is complete; `is_last` says that no content follows.
    ///
    /// # Errors
    /// While it is unbound: when the columns have no such names.
    pub fn step(&mut self, input: &mut Bytes, is_last: bool) -> Result<Vec<Event>, InvalidQuery> {
        let mut rest: &[u8] = input;
        while self.phase != Phase::Ended
            && self.made_bytes + self.rows.len() < ANSWER_BYTES_PER_STEP
        {
            match self.next(&mut rest, is_last) {
                Next::More => break,
                Next::Record if self.phase == Phase::Header => self.bind_to_header()?,
                Next::Record => self.take_record(),
                Next::End => self.finish()?,
                Next::Broken(description) => self.give_up(description),
            }
        }
        let taken = input.len() - rest.len();
        input.advance(taken);
        self.flush_rows();
        let scanned_bytes = self.taken_bytes();
        let is_due = !self.events.is_empty() && scanned_bytes > self.told_bytes
            || scanned_bytes - self.told_bytes >= SCANNED_BYTES_PER_PROGRESS
            || self.phase == Phase::Ended;
        if is_due {
            self.told_bytes = scanned_bytes;
            self.events.push(Event::Progress { scanned_bytes });
        }
        if self.phase == Phase::Ended {
            self.events.push(Event::End);
        }
        self.made_bytes = 0;
        self.has_told |= !self.events.is_empty();
        Ok(std::mem::take(&mut self.events))
    }

    fn next(&mut self, rest: &mut &[u8], is_last: bool) -> Next {
        match &mut self.reader {
            Reader::Delimited(reader) => reader.next(rest, is_last),
            Reader::Json(reader) => reader.next(rest, is_last),
        }
    }

    fn taken_bytes(&self) -> u64 {
        match &self.reader {
            Reader::Delimited(reader) => reader.taken_bytes(),
            Reader::Json(reader) => reader.taken_bytes(),
        }
    }

    fn start(&self) -> u64 {
        match &self.reader {
            Reader::Delimited(reader) => reader.start(),
            Reader::Json(reader) => reader.start(),
        }
    }

    /// The first record says what the columns are called.
    fn bind_to_header(&mut self) -> Result<(), InvalidQuery> {
        if let Reader::Delimited(reader) = &self.reader {
            let row = reader.row();
            let names = (0..).map_while(|idx| row.field(idx));
            self.names = names.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        }
        self.statement.bind(columns(&self.names))?;
        self.phase = Phase::Rows;
        self.write_header();
        Ok(())
    }

    /// The names of the columns, where the answer begins with them.
    fn write_header(&mut self) {
        let Form::Delimited(dialect) = &self.output else { return };
        if !dialect.has_headers {
            return;
        }
        let names: Vec<&str> = match &self.statement.select {
            Select::All => self.names.iter().map(String::as_str).collect(),
            Select::Columns(columns) => columns.iter().map(|it| it.name.as_str()).collect(),
            Select::Aggregate { name, .. } => vec![name],
            Select::Split { .. } => Vec::new(),
        };
        if names.is_empty() {
            return;
        }
        let mut writer = RowWriter::begin(&self.output, &mut self.rows);
        for name in names {
            // Names are not longer than the record they came from, or the query.
            if writer.bytes(name, name.as_bytes()).is_err() {
                break;
            }
        }
        writer.end();
    }

    /// Answers for one record, or says why not.
    fn take_record(&mut self) {
        if let Select::Split { part_bytes_min } = self.statement.select {
            if self.taken_bytes() - self.part_start >= part_bytes_min {
                self.end_part();
            }
            return;
        }
        let mut answer = Answering {
            statement: &self.statement,
            now: self.now,
            columns: columns(&self.names),
            form: &self.output,
            rows: &mut self.rows,
            tally: &mut self.tally,
            n_rows_left: &mut self.n_rows_left,
            problem: None,
        };
        let outcome = match &self.reader {
            Reader::Delimited(reader) => answer.take(reader.row(), None),
            Reader::Json(reader) => match reader.tree() {
                Err(description) => ControlFlow::Break(Stop::Broken(description)),
                Ok(tree) => {
                    let is_whole = self.statement.source.is_empty();
                    let text = is_whole.then_some(reader.text());
                    let mut visit = |found| answer.take(Row::Tree(found), text);
                    reach(&tree, &self.statement.source, &mut visit)
                }
            },
        };
        let problem = answer.problem;
        if let Some(problem) = problem {
            self.fail(false, problem.name(), problem.to_string());
        }
        match outcome {
            ControlFlow::Continue(()) => {}
            ControlFlow::Break(Stop::Enough) => self.phase = Phase::Ended,
            ControlFlow::Break(Stop::Broken(description)) => self.give_up(description),
        }
    }

    /// The blob was read to its end.
    fn finish(&mut self) -> Result<(), InvalidQuery> {
        if self.phase == Phase::Header {
            self.bind_to_header()?;
        }
        self.phase = Phase::Ended;
        if let Some(tally) = &self.tally
            && let Select::Aggregate { name, .. } = &self.statement.select
            && self.n_rows_left > 0
        {
            let mut writer = RowWriter::begin(&self.output, &mut self.rows);
            // A value of a row fits where the row did.
            match writer.value(name, &tally.result()) {
                Ok(()) => writer.end(),
                Err(_too_long) => writer.undo(),
            }
        }
        if matches!(self.statement.select, Select::Split { .. })
            && self.taken_bytes() > self.part_start
        {
            self.end_part();
        }
        Ok(())
    }

    /// Tells the length of a part that ends here.
    fn end_part(&mut self) {
        let length = i64::try_from(self.taken_bytes() - self.part_start).unwrap_or(i64::MAX);
        let mut writer = RowWriter::begin(&self.output, &mut self.rows);
        match writer.value("_1", &Value::Int(length)) {
            Ok(()) => writer.end(),
            Err(_too_long) => writer.undo(),
        }
        self.part_start = self.taken_bytes();
    }

    fn give_up(&mut self, description: String) {
        self.fail(true, PARSE_ERROR, description);
        self.phase = Phase::Ended;
    }

    fn fail(&mut self, is_fatal: bool, name: &'static str, description: String) {
        let position = self.start();
        self.flush_rows();
        if self.events.is_empty() && !self.has_told {
            // Clients of Python cannot bear a failure before anything else.
            self.events.push(Event::Data(Vec::new()));
        }
        self.made_bytes += description.len() + name.len();
        self.events.push(Event::Failed { is_fatal, name, description, position });
    }

    fn flush_rows(&mut self) {
        if !self.rows.is_empty() {
            self.made_bytes += self.rows.len();
            self.events.push(Event::Data(std::mem::take(&mut self.rows)));
        }
    }
}

/// What rows of fields have: names, where a header said some.
fn columns(names: &[String]) -> Columns<'_> {
    if names.is_empty() { Columns::Numbered } else { Columns::Named(names) }
}

/// Why no more rows are taken.
#[derive(Debug)]
enum Stop {
    /// As many as wanted are there.
    Enough,
    /// None can be read, or told, any more.
    Broken(String),
}

/// Why a row is not in the answer.
enum NoRow {
    /// It is not wanted, or counted.
    Unwanted,
    /// It has no answer.
    Problem(Problem),
    /// Its answer is too long.
    TooLong,
}

impl From<Problem> for NoRow {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<TooLong> for NoRow {
    fn from(_too_long: TooLong) -> Self {
        Self::TooLong
    }
}

/// The parts of a machine that answer for the rows of one record.
struct Answering<'a> {
    statement: &'a Statement,
    now: Moment,
    columns: Columns<'a>,
    form: &'a Form,
    rows: &'a mut Vec<u8>,
    tally: &'a mut Option<Tally>,
    n_rows_left: &'a mut u64,
    /// The first of the record; one is told for each.
    problem: Option<Problem>,
}

impl Answering<'_> {
    /// Answers for one row, of which `text` is there if it is a value as a whole.
    fn take(&mut self, row: Row<'_>, text: Option<&[u8]>) -> ControlFlow<Stop> {
        if *self.n_rows_left == 0 {
            return ControlFlow::Break(Stop::Enough);
        }
        let is_too_long = match self.answer(row, text) {
            Ok(()) => {
                *self.n_rows_left -= 1;
                self.rows.len() > ANSWER_BYTES_PER_RECORD_MAX
            }
            Err(NoRow::Unwanted) => false,
            Err(NoRow::Problem(problem)) => {
                self.problem.get_or_insert(problem);
                false
            }
            Err(NoRow::TooLong) => true,
        };
        if is_too_long {
            return ControlFlow::Break(Stop::Broken("The answer is too long.".to_owned()));
        }
        if *self.n_rows_left == 0 {
            return ControlFlow::Break(Stop::Enough);
        }
        ControlFlow::Continue(())
    }

    fn answer(&mut self, row: Row<'_>, text: Option<&[u8]>) -> Result<(), NoRow> {
        let scene = Scene { row, now: self.now };
        if !is_wanted(self.statement.condition.as_ref(), scene)? {
            return Err(NoRow::Unwanted);
        }
        let select = &self.statement.select;
        if let (Select::Aggregate { of, .. }, Some(tally)) = (select, &mut self.tally) {
            let value = match of {
                Some(expression) => evaluate(expression, scene)?,
                None => Value::Bool(true),
            };
            tally.take(value)?;
            return Err(NoRow::Unwanted);
        }
        if let (Select::All, Some(text), Form::Json { separator }) = (select, text, self.form) {
            self.rows.extend_from_slice(text);
            self.rows.extend_from_slice(separator);
            return Ok(());
        }
        let mut writer = RowWriter::begin(self.form, self.rows);
        let written = write_row(&mut writer, select, self.columns, scene);
        match written {
            Ok(()) => writer.end(),
            Err(_) => writer.undo(),
        }
        written
    }
}

/// Writes the values that a row comes to.
fn write_row(
    writer: &mut RowWriter<'_>,
    select: &Select,
    columns: Columns<'_>,
    scene: Scene<'_>,
) -> Result<(), NoRow> {
    match (select, scene.row) {
        (Select::Columns(columns), _) => {
            for column in columns {
                writer.value(&column.name, &evaluate(&column.expression, scene)?)?;
            }
        }
        (Select::All, row @ Row::Fields(..)) => {
            for (idx, bytes) in (0..).map_while(|idx| Some((idx, row.field(idx)?))) {
                writer.bytes(&columns.name(idx), bytes)?;
            }
        }
        (Select::All, Row::Tree(Tree::Object(members))) => {
            for (name, value) in members {
                writer.value(name, &Value::from(value))?;
            }
        }
        (Select::All, Row::Tree(other)) => writer.value("_1", &Value::from(other))?,
        (Select::Aggregate { .. } | Select::Split { .. }, _) => {}
    }
    Ok(())
}
