//! Formulas and what comes of them, one line each.

use super::scene::{evaluate_in, said, said_of};

#[track_caller]
fn check(formula: &str, expected: &str) {
    assert_eq!(said(formula), expected, "{formula}");
}

/// What `x` is after `x = formula`.
#[track_caller]
fn check_value(formula: &str, expected: &str) {
    check_value_in(&[], formula, expected);
}

#[track_caller]
fn check_value_in(pending: &[f64], formula: &str, expected: &str) {
    let run = evaluate_in(pending, &format!("x = {formula}"));
    let x = match &run.failure {
        None => run.results.rsplit_once(";x=").map_or("no x", |(_, x)| x).to_owned(),
        Some(failure) => failure.to_string(),
    };
    assert_eq!(x, expected, "{formula}");
}

#[test]
fn results_begin_with_the_three_variables_of_the_service() {
    let same = "$TargetDedicatedNodes=2;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue";
    check("", same);
    check("// nothing\n;;", same);
    check(
        "$TargetDedicatedNodes=3",
        "$TargetDedicatedNodes=3;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue",
    );
    check(
        "$NodeDeallocationOption = taskcompletion; $TargetLowPriorityNodes = 5;",
        "$TargetDedicatedNodes=2;$TargetLowPriorityNodes=5;$NodeDeallocationOption=taskcompletion",
    );
}

#[test]
fn results_show_the_variables_of_the_user_as_they_were_written() {
    check(
        "cappedPoolSize = 3; $tasks = 0; $samples = 29/30*100; $targetVMs = 0.5",
        "$TargetDedicatedNodes=2;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue;\
         $samples=96.6667;$targetVMs=0.5;$tasks=0;cappedPoolSize=3",
    );
    check(
        "a = 1; $b = a + 1; a = $a + $b",
        "$TargetDedicatedNodes=2;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue;\
         $b=2;a=3",
    );
}

#[test]
fn a_symbol_that_nobody_defined_is_an_error_of_evaluation() {
    let run = evaluate_in(&[], "something_useless");
    let failure = run.failure.expect("it fails");
    assert_eq!(failure.to_string(), "Line 1, Col 1: Undefined symbol: something_useless");
    assert_eq!(
        run.results,
        "$TargetDedicatedNodes=2;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue"
    );
    check("$nothing", "Evaluation, Line 1, Col 1: Undefined symbol: nothing");
    check("a = 1;\r\n  b = a + c;", "Evaluation, Line 2, Col 11: Undefined symbol: c");
    check("a = nope(1)", "Evaluation, Line 1, Col 5: Undefined function: nope");
    check("a = AVG(1)", "Evaluation, Line 1, Col 5: Undefined function: AVG");
    check(
        "$PendingTasks.Nope()",
        "Evaluation, Line 1, Col 19: Undefined method: $PendingTasks.Nope",
    );
    check("a = 1; a.Nope()", "Evaluation, Line 1, Col 10: Undefined method: double has no Nope");
    check("time().month_", "Evaluation, Line 1, Col 8: Undefined member: timestamp has no month_");
}

#[test]
fn a_failed_formula_changes_nothing_and_shows_what_it_computed() {
    let run = evaluate_in(&[], "$TargetDedicatedNodes = 9; a = 4; b = c;");
    assert_eq!(
        run.results,
        "$TargetDedicatedNodes=2;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue;a=4"
    );
    assert!(run.failure.is_some());
}

#[test]
fn text_that_is_no_formula_is_refused_where_it_goes_wrong() {
    for (formula, expected) in [
        ("a = ", "Line 1, Col 5: Unexpected end of formula"),
        ("a = 1 b = 2", "Line 1, Col 7: Expected ; before b"),
        ("a = (1;", "Line 1, Col 7: Expected ) before ;"),
        ("a = 1 ? 2", "Line 1, Col 10: Expected : before end of formula"),
        ("a = max(1,", "Line 1, Col 11: Unexpected end of formula"),
        ("1 = a", "Line 1, Col 3: Expected ; before ="),
        ("a = b = 1", "Line 1, Col 7: Expected ; before ="),
        ("a = 7 % 2", "Line 1, Col 7: Unexpected character: %"),
        ("a = \"x", "Line 1, Col 5: The string has no end"),
        ("a = 1x", "Line 1, Col 5: Invalid number: 1x"),
        ("$ = 1", "Line 1, Col 1: Invalid name: $"),
        ("$1 = 1", "Line 1, Col 1: Invalid name: $1"),
        ("a = 1; /* x", "Line 1, Col 8: The comment has no end"),
        ("time().", "Line 1, Col 8: Unexpected end of formula"),
        ("\n\n  ä = 1", "Line 3, Col 3: Unexpected character: ä"),
    ] {
        check(formula, &format!("Syntax, {expected}"));
    }
}

#[test]
fn operators_bind_as_in_c() {
    for (formula, expected) in [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("10 - 4 - 3", "3"),
        ("8 / 4 / 2", "1"),
        ("2 * -3 + 1", "-5"),
        ("!0 + 1", "2"),
        ("--1", "1"),
        ("1 < 2 == 1", "1"),
        ("1 || 0 && 0", "1"),
        ("0 == 1 || 2 >= 2 && 3 != 4", "1"),
        ("1 ? 2 : 3", "2"),
        ("0 ? 2 : 0 ? 3 : 4", "4"),
        ("0 ? 1 : 1 ? 1 ? 5 : 6 : 7", "5"),
        ("1 + 1 == 2 ? 10 : 20", "10"),
        ("(1 > 0 && 1 < 1) ? 1 : .5e1", "5"),
        ("1e3 + 2.5E-1 + 1.", "1001.25"),
        ("2/* two */+//one\n1", "3"),
    ] {
        check_value(formula, expected);
    }
}

#[test]
fn operators_between_types() {
    for (formula, expected) in [
        ("7 / 2", "3.5"),
        ("1 / 0", "Infinity"),
        ("0 / 0", "NaN"),
        ("ceil(1, 2) + ceil(3, 4)", "[4,6]"),
        ("ceil(1, 2) * 3", "[3,6]"),
        ("3 - ceil(1, 2)", "[2,1]"),
        ("-ceil(1, 2)", "[-1,-2]"),
        ("ceil(1, 2) + ceil(1, 2, 3)", "Line 1, Col 16: Vectors have 2 and 3 elements"),
        ("TimeInterval_Minute * 90", "PT1H30M"),
        ("0.5 * TimeInterval_Hour", "PT30M"),
        ("TimeInterval_Hour / 4", "PT15M"),
        ("TimeInterval_Hour / 0", "Line 1, Col 23: The timeinterval is infinite"),
        ("TimeInterval_Hour - TimeInterval_Minute + TimeInterval_Second", "PT59M1S"),
        ("-TimeInterval_Hour", "-PT1H"),
        ("time() + TimeInterval_Day", "2016-10-14T19:18:47.805Z"),
        ("TimeInterval_Day + time()", "2016-10-14T19:18:47.805Z"),
        ("time() + (-6 * TimeInterval_Hour)", "2016-10-13T13:18:47.805Z"),
        ("time() - 6 * TimeInterval_Hour", "2016-10-13T13:18:47.805Z"),
        ("time() - time(\"2016-10-13T19:00:00Z\")", "PT18M47.8050001S"),
        ("time() > time(\"2016\")", "1"),
        ("TimeInterval_Week == 7 * TimeInterval_Day", "1"),
        ("\"a\" < \"b\"", "1"),
        ("\"a\" + \"b\"", "Line 1, Col 9: Operator + can not be applied to string and string"),
        ("requeue == terminate", "0"),
        ("requeue != terminate", "1"),
        (
            "requeue < terminate",
            "Line 1, Col 13: Operator < can not be applied to node deallocation option and node \
             deallocation option",
        ),
        ("time() == 1", "Line 1, Col 12: Operator == can not be applied to timestamp and double"),
        ("!TimeInterval_Day", "Line 1, Col 5: Operator ! can not be applied to timeinterval"),
        ("-time()", "Line 1, Col 5: Operator - can not be applied to timestamp"),
        ("time() ? 1 : 2", "Line 1, Col 12: A condition is timestamp, not double"),
        ("0/0 < 1 || 0/0 >= 1 || 0/0 == 0/0", "0"),
    ] {
        check_value(formula, expected);
    }
}

#[test]
fn what_a_condition_does_not_need_is_not_computed() {
    let missing = "$PendingTasks.GetSample(TimeInterval_Hour, 50)";
    for formula in [
        format!("1 ? 5 : min({missing})"),
        format!("0 ? min({missing}) : 5"),
        format!("0 && {missing} ? 1 : 5"),
        format!("1 || {missing} ? 5 : 1"),
    ] {
        check_value(&formula, "5");
    }
}

#[test]
fn functions_of_lists_take_numbers_and_vectors() {
    for (formula, expected) in [
        ("avg(1, 2, ceil(3, 6))", "3"),
        ("sum(ceil(1, 2), 3)", "6"),
        ("min(3, 1, 2)", "1"),
        ("max(3, ceil(7, 8))", "8"),
        ("len(1, ceil(1, 2))", "3"),
        ("range(2, 9, 4)", "7"),
        ("std(2, 4, 4, 4, 5, 5, 7, 9)", "2.13809"),
        ("std(2)", "0"),
        ("norm(3, 4)", "5"),
        ("percentile(ceil(15, 20, 35, 40, 50), 40)", "20"),
        ("percentile(ceil(3, 1, 2), 0)", "1"),
        ("percentile(ceil(3, 1, 2), 100)", "3"),
        (
            "percentile(ceil(1, 2), 101)",
            "Line 1, Col 15: percentile: The percentage must be a number from 0 to 100",
        ),
        ("val(ceil(5, 6), 1)", "6"),
        ("val(ceil(5, 6), 2)", "Line 1, Col 8: val: The vector has 2 elements, none at 2"),
        ("val(ceil(5, 6), -1)", "Line 1, Col 8: val: The vector has 2 elements, none at -1"),
        ("lg(8)", "3"),
        ("ln(1)", "0"),
        ("log(1000)", "3"),
        ("lg(1, 2, 4)", "[0,1,2]"),
        ("ceil(1.2)", "2"),
        ("floor(-1.2)", "-2"),
        ("round(2.5, -2.5, 0.4)", "[3,-3,0]"),
        ("lg()", "Line 1, Col 7: lg: An argument is missing"),
        ("avg(time())", "Line 1, Col 8: avg: An argument is timestamp, not a number"),
        ("rand() == rand()", "0"),
        ("rand() >= 0 && rand() < 1", "1"),
        ("rand(1)", "Line 1, Col 9: rand: No arguments are taken"),
    ] {
        check_value(formula, expected);
    }
}

#[test]
fn functions_of_nothing_are_zero() {
    let none = "$CPUPercent.GetSample(9)";
    for function in ["avg", "sum", "min", "max", "len", "range", "std", "norm"] {
        check_value(&format!("{function}({none})"), "0");
    }
    check_value(&format!("max(0, {none})"), "0");
    check_value(&format!("min(4, {none})"), "4");
    check_value(none, "[]");
    check_value("$CPUPercent", "0");
}

#[test]
fn times_are_taken_apart_and_read_in_every_spelling() {
    for (formula, expected) in [
        ("time()", "2016-10-13T19:18:47.805Z"),
        ("time(\"\")", "2016-10-13T19:18:47.805Z"),
        ("time(\"2024-05-01T10:11:12.123456Z\")", "2024-05-01T10:11:12.123Z"),
        ("time(\"Thu, 13 Oct 2016 19:00:00 GMT\")", "2016-10-13T19:00:00Z"),
        ("time(\"2016-10-13\")", "2016-10-13T00:00:00Z"),
        ("time(\"2016-10\")", "2016-10-01T00:00:00Z"),
        ("time(\"soon\")", "Line 1, Col 9: time: Invalid timestamp: soon"),
        ("time(1)", "Line 1, Col 9: time: At most one string is taken"),
        ("time().year", "2016"),
        ("time().month", "10"),
        ("time().day", "13"),
        ("time().weekday", "4"),
        ("time(\"2016-10-16\").weekday", "7"),
        ("time().hour", "19"),
        ("time().minute", "18"),
        ("time().second", "47"),
        ("TimeInterval_Zero", "PT0S"),
        ("TimeInterval_100ns", "PT0.0000001S"),
        ("TimeInterval_Microsecond", "PT0.000001S"),
        ("TimeInterval_Millisecond", "PT0.001S"),
        ("TimeInterval_Year", "P365D"),
        ("TimeInterval_Month", "Line 1, Col 5: Undefined symbol: TimeInterval_Month"),
    ] {
        check_value(formula, expected);
    }
}

#[test]
fn samples_are_asked_for_by_count_and_by_window() {
    // 190, 160, 130, 100, 70, 40 and 10 seconds ago, and now.
    let samples = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 6.5];
    for (formula, expected) in [
        ("$PendingTasks.GetSample(1)", "[7]"),
        ("$PendingTasks.GetSample(3)", "[6,6.5,7]"),
        ("$PendingTasks.GetSample(99)", "[1,2,3,4,5,6,6.5,7]"),
        ("$PendingTasks.GetSample(0)", "[]"),
        ("$PendingTasks.GetSample(-1)", "Line 1, Col 28: The count must not be negative"),
        ("$PendingTasks.GetSample(TimeInterval_Minute)", "[6,6.5,7]"),
        ("$PendingTasks.GetSample(TimeInterval_Minute, 100)", "[6,6.5,7]"),
        ("$PendingTasks.GetSample(TimeInterval_Minute, 2 * TimeInterval_Minute)", "[4,5]"),
        ("$PendingTasks.GetSample(2 * TimeInterval_Minute, TimeInterval_Minute, 50)", "[4,5]"),
        ("$PendingTasks.GetSample(time() - TimeInterval_Minute)", "[6,6.5,7]"),
        ("$PendingTasks.GetSample(TimeInterval_Hour, time() - TimeInterval_Minute * 2)", "[1,2,3]"),
        ("$PendingTasks.GetSamplePercent(3 * TimeInterval_Minute)", "100"),
        ("$PendingTasks.GetSamplePercent(10 * TimeInterval_Minute)", "35"),
        ("$PendingTasks.GetSamplePercent(TimeInterval_Hour, TimeInterval_Minute)", "4.23729"),
        ("$PendingTasks.GetSamplePeriod()", "PT30S"),
        ("$PendingTasks.Count()", "7"),
        ("$PendingTasks.HistoryBeginTime()", "2016-10-13T19:15:37.805Z"),
        ("$PendingTasks", "7"),
        ("$CurrentDedicatedNodes * 1.5", "3"),
        ("$CurrentDedicated", "2"),
        ("$PendingTasks.GetSample()", "Line 1, Col 28: One or two bounds of the window are needed"),
        ("$PendingTasks.Count(1)", "Line 1, Col 24: Count takes no arguments"),
        (
            "$PendingTasks.GetSample(\"x\")",
            "Line 1, Col 28: A window is bounded by timestamps and timeintervals, not by string",
        ),
    ] {
        check_value_in(&samples, formula, expected);
    }
}

#[test]
fn too_few_samples_are_said_where_they_are_asked_for() {
    let run = evaluate_in(
        &[],
        "$RunningTasks.GetSample(10 * TimeInterval_Second, 0 * TimeInterval_Second, 100);",
    );
    assert_eq!(
        said_of(&run),
        "InsufficientSamples, Line 1, Col 24: Insufficient data from data set: $RunningTasks \
         wanted 100%, received 0%"
    );
    // Ten minutes are twenty samples; eighteen are ninety percent.
    let eighteen = [1.0; 18];
    let window = "len($PendingTasks.GetSample(TimeInterval_Minute * 10";
    check_value_in(
        &eighteen,
        &format!("{window}, 95))"),
        "Line 1, Col 32: Insufficient data from data set: $PendingTasks wanted 95%, received 90%",
    );
    check_value_in(&eighteen, &format!("{window}, 80))"), "19");
}

#[test]
fn what_was_never_sampled_has_no_history() {
    for (formula, expected) in [
        ("$ActiveTasks.GetSample(1)", "[]"),
        ("$ActiveTasks.GetSample(TimeInterval_Hour)", "[]"),
        ("$ActiveTasks.GetSamplePercent(TimeInterval_Minute * 15)", "0"),
        ("$ActiveTasks.Count()", "0"),
        ("$ActiveTasks.HistoryBeginTime() == time()", "1"),
    ] {
        check_value(formula, expected);
    }
}

#[test]
fn targets_are_whole_and_not_negative() {
    let targets = |formula: &str| {
        let said = said(formula);
        said.trim_end_matches(|c| c != ';').trim_end_matches(';').to_owned()
    };
    for (formula, expected) in [
        ("$TargetDedicatedNodes = 2.9", "$TargetDedicatedNodes=2;$TargetLowPriorityNodes=0"),
        ("$TargetDedicatedNodes = 0.9", "$TargetDedicatedNodes=0;$TargetLowPriorityNodes=0"),
        ("$TargetDedicatedNodes = -3", "$TargetDedicatedNodes=0;$TargetLowPriorityNodes=0"),
        (
            "$TargetLowPriorityNodes = $PendingTasks.GetSample(1)",
            "$TargetDedicatedNodes=2;$TargetLowPriorityNodes=7",
        ),
        (
            "$TargetDedicatedNodes = 3; $TargetLowPriorityNodes = 25 - $TargetDedicatedNodes;",
            "$TargetDedicatedNodes=3;$TargetLowPriorityNodes=22",
        ),
        (
            "$TargetDedicatedNodes = $TargetDedicatedNodes * 2",
            "$TargetDedicatedNodes=4;$TargetLowPriorityNodes=0",
        ),
        (
            "$TargetDedicated = 5; $TargetLowPriority = 6;",
            "$TargetDedicatedNodes=5;$TargetLowPriorityNodes=6",
        ),
        (
            "$TargetDedicatedNodes = 3; $TargetDedicated = 5;",
            "$TargetDedicatedNodes=3;$TargetLowPriorityNodes=0",
        ),
    ] {
        assert_eq!(targets(formula), expected, "{formula}");
    }
}

#[test]
fn variables_of_the_service_take_what_they_are_for() {
    for (formula, expected) in [
        ("$PendingTasks = 3", "Evaluation, Line 1, Col 1: $PendingTasks is read-only"),
        (
            "$TargetDedicatedNodes = 1 / 0",
            "Evaluation, Line 1, Col 1: $TargetDedicatedNodes can not be assigned Infinity",
        ),
        (
            "$TargetDedicatedNodes = requeue",
            "Evaluation, Line 1, Col 1: $TargetDedicatedNodes can not be assigned node \
             deallocation option",
        ),
        (
            "$NodeDeallocationOption = 1",
            "Evaluation, Line 1, Col 1: $NodeDeallocationOption can not be assigned double",
        ),
        (
            "$TargetDedicatedNodes = $CPUPercent.GetSample(1)",
            "Evaluation, Line 1, Col 1: $TargetDedicatedNodes can not be assigned doubleVec",
        ),
    ] {
        check(formula, expected);
    }
}

#[test]
fn what_was_assigned_before_a_stop_counts() {
    check(
        "$TargetDedicatedNodes = 4; 1 == 1 ? stop() : 0; $TargetDedicatedNodes = 9; nonsense;",
        "$TargetDedicatedNodes=4;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue",
    );
}

#[test]
fn formulas_have_limits() {
    let statements = "a = 1;".repeat(100);
    assert!(said(&statements).ends_with(";a=1"));
    assert_eq!(
        said(&format!("{statements}a = 2;")),
        "Syntax, Line 1, Col 601: More than 100 statements"
    );
    let doubled = format!("a = ceil(1, 2);{}", "a = ceil(a, a);".repeat(20));
    assert!(said(&doubled).ends_with("The list has more than 4096 elements"));
    let long = format!("a = ceil(1, 2);{}", "a = ceil(a, a);".repeat(10));
    let costly = format!("{long}{}", "b = a * a * a * a * a * a * a * a;".repeat(89));
    assert!(said(&costly).ends_with("The formula computes too much"));
}

/// The service's own threads have two megabytes of stack.
#[test]
fn no_formula_is_too_deep_for_the_stack() {
    let formulas = [
        format!("a = {}1{}", "(".repeat(4000), ")".repeat(4000)),
        format!("a = {}1{}", "(".repeat(150), ")".repeat(150)),
        format!("a = {}1", "!".repeat(8000)),
        format!("a = {}1", "-".repeat(190)),
        format!("a = 1{}", "+1".repeat(4000)),
        format!("a = 1{}", ".a".repeat(4000)),
        format!("a = time(){}", ".a".repeat(190)),
        format!("a = {}1", "0?2:".repeat(2000)),
        format!("a = {}1{}", "1?".repeat(2000), ":0".repeat(2000)),
        format!("a = {}1{}", "avg(".repeat(2000), ")".repeat(2000)),
        format!("a = {}1{}", "1||0&&1==1<1+1*(".repeat(400), ")".repeat(400)),
        format!("a = {}1{}", "1*1+1<1==1&&1||(".repeat(99), ")".repeat(99)),
    ];
    let check = move || {
        for formula in formulas {
            assert!(!said(&formula).is_empty());
        }
    };
    let small = std::thread::Builder::new().stack_size(1024 * 1024).spawn(check);
    small.expect("a thread").join().expect("no overflow");
}
