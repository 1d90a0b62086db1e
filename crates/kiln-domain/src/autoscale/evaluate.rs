//! Computes the statements of a formula.

use std::collections::BTreeMap;

use super::failure::{Failure, Position};
use super::functions::{self, Random, Surroundings};
use super::history::{History, Sample};
use super::metric::Metric;
use super::run::{Run, Wish};
use super::syntax::{Call, Expression, Formula, Name, Operator, Statement};
use super::value::{Value, whole};
use super::{operators, samples};
use crate::batch::node::Treatment;
use crate::batch::pool::Targets;
use crate::span::Span;
use crate::time::Timestamp;

/// Values that one evaluation computes at the most, each element of a vector is one.
const STEPS_MAX: usize = 1_000_000;
/// Elements of one vector at the most.
const VECTOR_ELEMENTS_MAX: usize = 4096;
/// Bytes of the results at the most; variables that do not fit are left out.
const RESULTS_BYTES_MAX: usize = 64 * 1024;

const TARGET_DEDICATED: &str = "$TargetDedicatedNodes";
const TARGET_LOW_PRIORITY: &str = "$TargetLowPriorityNodes";
const NODE_DEALLOCATION_OPTION: &str = "$NodeDeallocationOption";

/// What a formula is computed against.
#[derive(Clone, Debug)]
pub struct Scene<'a> {
    /// The time that `time()` tells.
    pub now: Timestamp,
    /// The nodes that the pool is to have so far.
    pub targets: Targets,
    /// The samples taken of the pool.
    pub history: &'a History,
    /// How the pool is at this moment: the newest sample of all.
    pub latest: Sample,
    /// What `rand()` begins with.
    pub seed: u64,
}

/// Evaluates a formula: what became of it, and what the pool is to be unless it failed.
pub fn evaluate(formula: &str, scene: &Scene<'_>) -> (Run, Option<Wish>) {
    let mut evaluator = Evaluator::new(scene);
    let outcome = match Formula::parse(formula) {
        Ok(formula) => evaluator.run(&formula.statements),
        Err(failure) => Err(failure),
    };
    let (wish, failure) = match outcome {
        Ok(wish) => (Some(wish), None),
        Err(failure) => (None, Some(failure)),
    };
    let results = evaluator.results(wish);
    (Run { at: scene.now, results, failure }, wish)
}

/// Why computing does not go on.
enum Halt {
    /// `stop()`: what is assigned so far counts.
    Stop,
    Failed(Failure),
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

fn failed(at: Position, reason: impl Into<String>) -> Halt {
    Halt::Failed(Failure::evaluation(at, reason))
}

/// A variable of the service.
enum Service {
    Target { is_dedicated: bool, is_alias: bool },
    Deallocation,
    Samples(Metric),
}

impl Service {
    fn named(name: &str) -> Option<Self> {
        let target = |is_dedicated, is_alias| Some(Self::Target { is_dedicated, is_alias });
        match name {
            TARGET_DEDICATED => target(true, false),
            "$TargetDedicated" => target(true, true),
            TARGET_LOW_PRIORITY => target(false, false),
            "$TargetLowPriority" => target(false, true),
            NODE_DEALLOCATION_OPTION => Some(Self::Deallocation),
            _ => Metric::named(name).map(Self::Samples),
        }
    }
}

/// A number of nodes wanted. The full name wins over the alias, whichever came last.
#[derive(Clone, Copy, Debug, Default)]
struct Target {
    by_name: Option<f64>,
    by_alias: Option<f64>,
}

impl Target {
    /// The number assigned, whole; else the one so far.
    fn nodes(self, current: u32) -> u32 {
        let assigned = self.by_name.or(self.by_alias);
        assigned.map_or(current, |it| u32::try_from(whole(it).max(0)).unwrap_or(u32::MAX))
    }
}

/// A variable of the user, by its name without `$`.
struct Variable {
    /// The name as it was first written.
    written: String,
    value: Value,
}

struct Evaluator<'a> {
    surroundings: Surroundings<'a>,
    dedicated: Target,
    low_priority: Target,
    treatment: Treatment,
    variables: BTreeMap<String, Variable>,
    n_steps_left: usize,
}

impl<'a> Evaluator<'a> {
    fn new(scene: &'a Scene<'a>) -> Self {
        Self {
            surroundings: Surroundings { scene, random: Random(scene.seed) },
            dedicated: Target::default(),
            low_priority: Target::default(),
            treatment: Treatment::default(),
            variables: BTreeMap::new(),
            n_steps_left: STEPS_MAX,
        }
    }

    fn run(&mut self, statements: &[Statement]) -> Result<Wish, Failure> {
        for statement in statements {
            match self.statement(statement) {
                Ok(()) => {}
                Err(Halt::Stop) => break,
                Err(Halt::Failed(failure)) => return Err(failure),
            }
        }
        let current = self.surroundings.scene.targets;
        let targets = Targets {
            dedicated: self.dedicated.nodes(current.dedicated),
            low_priority: self.low_priority.nodes(current.low_priority),
        };
        Ok(Wish { targets, treatment: self.treatment })
    }

    /// The service's variables in their order, then the user's by name; the service's are
    /// those of the pool when the formula failed.
    fn results(&self, wish: Option<Wish>) -> String {
        let targets = wish.map_or(self.surroundings.scene.targets, |it| it.targets);
        let treatment = wish.map(|it| it.treatment).unwrap_or_default();
        let mut results = format!(
            "{TARGET_DEDICATED}={};{TARGET_LOW_PRIORITY}={};{NODE_DEALLOCATION_OPTION}={}",
            targets.dedicated,
            targets.low_priority,
            treatment.name()
        );
        let mut variables: Vec<&Variable> = self.variables.values().collect();
        variables.sort_by(|a, b| a.written.cmp(&b.written));
        for Variable { written, value } in variables {
            let shown = format!(";{written}={value}");
            if results.len() + shown.len() <= RESULTS_BYTES_MAX {
                results.push_str(&shown);
            }
        }
        results
    }

    fn statement(&mut self, statement: &Statement) -> Result<(), Halt> {
        let value = self.value(&statement.value)?;
        match &statement.target {
            Some(target) => self.assign(target, value),
            None => Ok(()),
        }
    }

    fn assign(&mut self, target: &Name, value: Value) -> Result<(), Halt> {
        let refused = |value: &Value| {
            failed(target.at, format!("{} can not be assigned {}", target.text, value.kind()))
        };
        match Service::named(&target.text) {
            Some(Service::Target { is_dedicated, is_alias }) => {
                let nodes = value.number().ok_or_else(|| refused(&value))?;
                if !nodes.is_finite() {
                    let reason = format!("{} can not be assigned {value}", target.text);
                    return Err(failed(target.at, reason));
                }
                let kept = if is_dedicated { &mut self.dedicated } else { &mut self.low_priority };
                if is_alias {
                    kept.by_alias = Some(nodes);
                } else {
                    kept.by_name = Some(nodes);
                }
            }
            Some(Service::Deallocation) => {
                let Value::Option(option) = value else { return Err(refused(&value)) };
                self.treatment = option;
            }
            Some(Service::Samples(_)) => {
                return Err(failed(target.at, format!("{} is read-only", target.text)));
            }
            None => {
                let key = target.text.trim_start_matches('$').to_owned();
                if let Some(variable) = self.variables.get_mut(&key) {
                    variable.value = value;
                } else {
                    let written = target.text.clone();
                    self.variables.insert(key, Variable { written, value });
                }
            }
        }
        Ok(())
    }

    /// Computes an expression; the last branch of a condition and the first operand of a
    /// chain are loops, so that the stack is as deep as the parser allowed.
    fn value(&mut self, expression: &Expression) -> Result<Value, Halt> {
        let mut expression = expression;
        while let Expression::Conditional { arms, otherwise } = expression {
            expression = otherwise;
            for arm in arms {
                let condition = self.value(&arm.condition)?;
                if self.answer(&condition, arm.at)? {
                    expression = &arm.value;
                    break;
                }
            }
        }
        let mut chains = Vec::new();
        while let Expression::Chain { first, rest } = expression {
            chains.push(rest);
            expression = first;
        }
        let mut value = self.operand(expression)?;
        for link in chains.into_iter().rev().flatten() {
            value = self.link(link.operator, link.at, value, &link.operand)?;
        }
        Ok(value)
    }

    /// Applies an operator, whose second operand is computed only where it matters.
    fn link(
        &mut self,
        operator: Operator,
        at: Position,
        left: Value,
        operand: &Expression,
    ) -> Result<Value, Halt> {
        if let Operator::And | Operator::Or = operator {
            let is_yes = self.answer(&left, at)?;
            if is_yes == (operator == Operator::Or) {
                return Ok(Value::of_question(is_yes));
            }
        }
        let right = self.value(operand)?;
        self.spend(elements(&left).max(elements(&right)), at)?;
        operators::binary(operator, &left, &right).map_err(|reason| failed(at, reason))
    }

    fn answer(&self, value: &Value, at: Position) -> Result<bool, Halt> {
        let number = value.number();
        let number = number
            .ok_or_else(|| failed(at, format!("A condition is {}, not double", value.kind())))?;
        Ok(operators::is_yes(number))
    }

    fn operand(&mut self, expression: &Expression) -> Result<Value, Halt> {
        match expression {
            Expression::Number(number) => Ok(Value::Number(*number)),
            Expression::Text(text) => Ok(Value::Text(text.as_str().into())),
            Expression::Name(name) => self.read(name),
            Expression::Call(call) => self.call(call),
            Expression::Member { of, member } => {
                let value = self.value(of)?;
                part_of_time(&value, member)
            }
            Expression::Method { of, call } => self.method(of, call),
            Expression::Unary { operator, at, operand } => {
                let value = self.value(operand)?;
                self.spend(elements(&value), *at)?;
                operators::unary(*operator, &value).map_err(|reason| failed(*at, reason))
            }
            Expression::Chain { .. } | Expression::Conditional { .. } => self.value(expression),
        }
    }

    fn read(&self, name: &Name) -> Result<Value, Halt> {
        let current = self.surroundings.scene.targets;
        match Service::named(&name.text) {
            Some(Service::Target { is_dedicated, is_alias }) => {
                let (target, current) = if is_dedicated {
                    (self.dedicated, current.dedicated)
                } else {
                    (self.low_priority, current.low_priority)
                };
                let (own, other) = if is_alias {
                    (target.by_alias, target.by_name)
                } else {
                    (target.by_name, target.by_alias)
                };
                return Ok(Value::Number(own.or(other).unwrap_or_else(|| f64::from(current))));
            }
            Some(Service::Deallocation) => return Ok(Value::Option(self.treatment)),
            Some(Service::Samples(metric)) => {
                return Ok(Value::Number(samples::latest(metric, self.surroundings.scene)));
            }
            None => {}
        }
        let bare = name.text.trim_start_matches('$');
        if let Some(variable) = self.variables.get(bare) {
            return Ok(variable.value.clone());
        }
        let constant = constant(&name.text);
        constant.ok_or_else(|| failed(name.at, format!("Undefined symbol: {bare}")))
    }

    fn call(&mut self, call: &Call) -> Result<Value, Halt> {
        let arguments = self.arguments(call)?;
        if call.name.text == "stop" && arguments.is_empty() {
            return Err(Halt::Stop);
        }
        match functions::call(&call.name.text, &arguments, &mut self.surroundings) {
            Some(result) => {
                result.map_err(|reason| failed(call.at, format!("{}: {reason}", call.name.text)))
            }
            None => Err(failed(call.name.at, format!("Undefined function: {}", call.name.text))),
        }
    }

    fn method(&mut self, of: &Expression, call: &Call) -> Result<Value, Halt> {
        if let Expression::Name(name) = of
            && let Some(Service::Samples(metric)) = Service::named(&name.text)
        {
            let arguments = self.arguments(call)?;
            self.spend(History::SAMPLES_MAX, call.at)?;
            let scene = self.surroundings.scene;
            return Ok(samples::call(metric, &call.name.text, &arguments, scene, call.at)?);
        }
        let (name, kind) = (&call.name.text, self.value(of)?.kind());
        Err(failed(call.name.at, format!("Undefined method: {kind} has no {name}")))
    }

    fn arguments(&mut self, call: &Call) -> Result<Vec<Value>, Halt> {
        let mut arguments = Vec::with_capacity(call.arguments.len());
        let mut n_elements = 1;
        for argument in &call.arguments {
            let value = self.value(argument)?;
            n_elements += elements(&value);
            arguments.push(value);
        }
        if n_elements > VECTOR_ELEMENTS_MAX {
            let reason = format!("The list has more than {VECTOR_ELEMENTS_MAX} elements");
            return Err(failed(call.at, reason));
        }
        self.spend(n_elements, call.at)?;
        Ok(arguments)
    }

    fn spend(&mut self, n_steps: usize, at: Position) -> Result<(), Halt> {
        let left = self.n_steps_left.checked_sub(n_steps);
        self.n_steps_left = left.ok_or_else(|| failed(at, "The formula computes too much"))?;
        Ok(())
    }
}

fn elements(value: &Value) -> usize {
    match value {
        Value::Vector(elements) => elements.len(),
        Value::Number(_)
        | Value::Text(_)
        | Value::Time(_)
        | Value::Interval(_)
        | Value::Option(_) => 1,
    }
}

fn part_of_time(value: &Value, member: &Name) -> Result<Value, Halt> {
    let Value::Time(at) = value else {
        let (name, kind) = (&member.text, value.kind());
        return Err(failed(member.at, format!("Undefined member: {kind} has no {name}")));
    };
    let at = at.civil();
    let part = match member.text.as_str() {
        "year" => at.year(),
        "month" => at.month().into(),
        "day" => at.day().into(),
        // Monday is 1, Sunday 7.
        "weekday" => at.weekday().to_monday_one_offset().into(),
        "hour" => at.hour().into(),
        "minute" => at.minute().into(),
        "second" => at.second().into(),
        other => {
            let reason = format!("Undefined member: timestamp has no {other}");
            return Err(failed(member.at, reason));
        }
    };
    Ok(Value::Number(part.into()))
}

/// The words of the language that have a value.
fn constant(name: &str) -> Option<Value> {
    if let Some(unit) = name.strip_prefix("TimeInterval_") {
        let span = match unit {
            "Zero" => Span::seconds(0),
            "100ns" => Span::from_ticks(1),
            "Microsecond" => Span::from_ticks(10),
            "Millisecond" => Span::from_ticks(10_000),
            "Second" => Span::seconds(1),
            "Minute" => Span::minutes(1),
            "Hour" => Span::minutes(60),
            "Day" => Span::days(1),
            "Week" => Span::days(7),
            "Year" => Span::days(365),
            _ => return None,
        };
        return Some(Value::Interval(span));
    }
    let option = Treatment::ALL.into_iter().find(|it| it.name() == name);
    option.map(Value::Option)
}
