//! What holds of all formulas, tried with random ones.

use proptest::prelude::*;

use super::print;
use crate::autoscale::syntax::{
    Arm, Call, Expression, Formula, Link, Name, Operator, Statement, UnaryOperator,
};
use crate::autoscale::{History, Metric, Position, Sample, Scene, evaluate};
use crate::batch::pool::Targets;
use crate::span::Span;
use crate::time::Timestamp;

/// Words of the language, and some that are none.
const NAMES: [&str; 24] = [
    "a",
    "$b",
    "$TargetDedicatedNodes",
    "$TargetLowPriority",
    "$NodeDeallocationOption",
    "$PendingTasks",
    "$CPUPercent",
    "TimeInterval_Second",
    "TimeInterval_Year",
    "requeue",
    "avg",
    "val",
    "percentile",
    "ceil",
    "time",
    "rand",
    "stop",
    "GetSample",
    "GetSamplePercent",
    "Count",
    "HistoryBeginTime",
    "GetSamplePeriod",
    "weekday",
    "second",
];

fn name() -> impl Strategy<Value = Name> {
    prop::sample::select(&NAMES[..])
        .prop_map(|text| Name { text: text.to_owned(), at: Position::START })
}

fn call(argument: impl Strategy<Value = Expression>) -> impl Strategy<Value = Call> {
    (name(), prop::collection::vec(argument, 0..3)).prop_map(|(name, arguments)| Call {
        name,
        at: Position::START,
        arguments,
    })
}

fn expression() -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![
        prop_oneof![Just(0.0), Just(1e300), Just(0.1), 0.0..100.0].prop_map(Expression::Number),
        "[a-z0-9:, -]{0,8}".prop_map(Expression::Text),
        Just(Expression::Text("2016-10-13T19:18:47Z".to_owned())),
        name().prop_map(Expression::Name),
    ];
    leaf.prop_recursive(6, 48, 4, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        prop_oneof![
            call(inner.clone()).prop_map(Expression::Call),
            (boxed(), name()).prop_map(|(of, member)| Expression::Member { of, member }),
            (boxed(), call(inner.clone())).prop_map(|(of, call)| Expression::Method { of, call }),
            (any::<bool>(), boxed()).prop_map(|(is_minus, operand)| Expression::Unary {
                operator: if is_minus { UnaryOperator::Minus } else { UnaryOperator::Not },
                at: Position::START,
                operand,
            }),
            chain(inner.clone()),
            conditional(inner),
        ]
    })
}

/// A chain as the parser makes them: operators of one precedence, whose first operand is no
/// chain of the same.
fn chain(
    inner: impl Strategy<Value = Expression> + Clone + 'static,
) -> impl Strategy<Value = Expression> {
    (1_u8..=6).prop_flat_map(move |precedence| {
        let operators: Vec<Operator> =
            Operator::ALL.into_iter().filter(|it| it.precedence() == precedence).collect();
        let link = (prop::sample::select(operators), inner.clone())
            .prop_map(|(operator, operand)| Link { operator, at: Position::START, operand });
        (inner.clone().prop_map(Box::new), prop::collection::vec(link, 1..3))
            .prop_map(|(first, rest)| Expression::Chain { first, rest })
    })
}

fn conditional(
    inner: impl Strategy<Value = Expression> + Clone + 'static,
) -> impl Strategy<Value = Expression> {
    let arm = (inner.clone(), inner.clone()).prop_map(|(condition, value)| Arm {
        condition,
        at: Position::START,
        value,
    });
    (prop::collection::vec(arm, 1..3), inner.prop_map(Box::new))
        .prop_map(|(arms, otherwise)| Expression::Conditional { arms, otherwise })
}

fn formula() -> impl Strategy<Value = Formula> {
    let statement = (prop::option::of(name()), expression())
        .prop_map(|(target, value)| Statement { target, value });
    prop::collection::vec(statement, 0..5).prop_map(|statements| Formula { statements })
}

/// Text that looks like a formula from afar.
fn words() -> impl Strategy<Value = String> {
    let symbol = prop::sample::select(
        &[
            "(", ")", "?", ":", ";", ",", ".", "=", "==", "!=", "<", ">=", "&&", "||", "+", "-",
            "*", "/", "!", "\"", "//", "/*", "\n", "0", "1.5", "1e9", "é",
        ][..],
    )
    .prop_map(str::to_owned);
    let word = prop_oneof![symbol, prop::sample::select(&NAMES[..]).prop_map(str::to_owned)];
    prop::collection::vec(word, 0..40).prop_map(|words| words.join(" "))
}

/// Evaluates a formula; that it comes back is what is tried.
fn result_of(text: &str) -> String {
    let mut history = History::new(Span::seconds(30));
    for second in 0..20 {
        let sample = Sample::new(Timestamp(second * 300_000_000));
        history.push(sample.with(Metric::PendingTasks, second as f64));
    }
    let scene = Scene {
        now: Timestamp(20 * 300_000_000),
        targets: Targets { dedicated: 1, low_priority: 0 },
        history: &history,
        latest: Sample::new(Timestamp(0)).with(Metric::PendingTasks, 3.0),
        seed: 7,
    };
    let (run, wish) = evaluate(text, &scene);
    assert_eq!(run.failure.is_none(), wish.is_some());
    format!("{run:?}")
}

proptest! {
    // A case that fails is to become a line of the table: nothing is remembered in files.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_down_reads_back_the_same(formula in formula()) {
        let text = print::formula(&formula);
        let read = Formula::parse(&text).map_err(|it| TestCaseError::fail(it.to_string()))?;
        prop_assert_eq!(&print::formula(&read), &text);
        prop_assert_eq!(nowhere(&read), nowhere(&formula));
    }

    #[test]
    fn every_formula_comes_to_an_end(formula in formula()) {
        result_of(&print::formula(&formula));
    }

    #[test]
    fn every_text_comes_to_an_end(text in words()) {
        result_of(&text);
    }

    #[test]
    fn every_string_comes_to_an_end(text in any::<String>()) {
        result_of(&text);
    }

    #[test]
    fn the_same_seed_gives_the_same_results(formula in formula()) {
        let text = print::formula(&formula);
        prop_assert_eq!(result_of(&text), result_of(&text));
    }
}

/// A formula's form without the places where its parts stand.
fn nowhere(formula: &Formula) -> String {
    let text = format!("{formula:?}");
    let mut parts = text.split("Position { line: ");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        kept.push_str(part.split_once('}').map_or("", |(_, rest)| rest));
    }
    kept
}
