//! Whole formulas, made of what tools and people write.

use super::scene::{evaluate_in, said};

/// The targets and the option after a formula, its pool sampled as told.
#[track_caller]
fn check(pending: &[f64], formula: &str, expected: (u32, u32, &str)) {
    let run = evaluate_in(pending, formula);
    assert_eq!(run.failure, None);
    let (dedicated, low_priority, option) = expected;
    let expected = format!(
        "$TargetDedicatedNodes={dedicated};$TargetLowPriorityNodes={low_priority};\
         $NodeDeallocationOption={option}"
    );
    let service: Vec<&str> = run.results.split(';').take(3).collect();
    assert_eq!(service.join(";"), expected, "{}", run.results);
}

#[test]
fn a_size_by_the_hour_of_the_day() {
    let formula = "
        // More by day, and never on Sundays.
        $now = time();
        $isDay = $now.hour >= 8 && $now.hour < 18;
        $isOpen = $now.weekday >= 1 && $now.weekday <= 6;
        $TargetDedicatedNodes = $isDay && $isOpen ? 20 : 10;
        $NodeDeallocationOption = taskcompletion;
    ";
    check(&[], formula, (10, 0, "taskcompletion"));
    assert_eq!(
        said(formula),
        "$TargetDedicatedNodes=10;$TargetLowPriorityNodes=0;\
         $NodeDeallocationOption=taskcompletion;\
         $isDay=0;$isOpen=1;$now=2016-10-13T19:18:47.805Z"
    );
}

#[test]
fn as_many_nodes_as_tasks_once_there_are_samples() {
    let formula = "
        atFirst = 1;
        atMost = 25;
        percent = $PendingTasks.GetSamplePercent(180 * TimeInterval_Second);
        tasks = percent < 70 ? atFirst : avg($PendingTasks.GetSample(180 * TimeInterval_Second));
        $TargetDedicatedNodes=min(atMost, tasks);
        $NodeDeallocationOption = taskcompletion;";
    check(&[], formula, (1, 0, "taskcompletion"));
    check(&[9.0; 2], formula, (1, 0, "taskcompletion"));
    check(&[9.0; 20], formula, (8, 0, "taskcompletion"));
    check(&[90.0; 20], formula, (25, 0, "taskcompletion"));
}

#[test]
fn the_last_sample_where_there_are_few() {
    let formula = "
        $samples = $PendingTasks.GetSamplePercent(TimeInterval_Minute * 15);
        $tasks = $samples < 70 ? max(0, $PendingTasks.GetSample(1))
            : max($PendingTasks.GetSample(1), avg($PendingTasks.GetSample(TimeInterval_Minute * 15)));
        $wanted = $tasks > 0 ? $tasks : max(0, $TargetDedicatedNodes / 2);
        $TargetDedicatedNodes = max(0, min($wanted, 20));
    ";
    check(&[], formula, (7, 0, "requeue"));
    check(&[12.0; 29], formula, (11, 0, "requeue"));
}

#[test]
fn a_first_size_for_a_while() {
    let formula = |since: &str| {
        format!(
            "\r\n$NodeDeallocationOption=taskcompletion;\r\n\
             age = time() - time(\"{since}\");\r\n\
             span = TimeInterval_Second * 90.0;\r\n\
             startup = TimeInterval_Minute * 2;\r\n\
             $TargetDedicated = (age > startup ? min($PendingTasks.GetSample(span, 10)) : 3);\r\n"
        )
    };
    check(&[], &formula("Thu, 13 Oct 2016 19:18:00 GMT"), (3, 0, "taskcompletion"));
    check(&[5.0; 9], &formula("Thu, 13 Oct 2016 19:00:00 GMT"), (5, 0, "taskcompletion"));
    check(&[5.0; 9], &formula("2016-10-13T19:10:11.123456Z"), (5, 0, "taskcompletion"));
}

#[test]
fn tasks_on_nodes_of_several_slots() {
    let formula = "
        perNode = 4;
        last = val($PendingTasks.GetSample(1), 0);
        mean = avg($PendingTasks.GetSample(TimeInterval_Second * 600.0));
        busy = last < mean ? avg(last, mean) : max(last, mean);
        needed = busy / perNode;
        needed = (busy > 0 && needed < 1) ? 1 : needed;
        rebalance = 0 == 1;
        $TargetLowPriorityNodes = max(0, rebalance && needed > 0 ? 0 : min(27, needed));
        $TargetDedicatedNodes = 0;
        $NodeDeallocationOption = requeue;
    ";
    check(&[], formula, (0, 1, "requeue"));
    check(&[232.0; 20], formula, (0, 27, "requeue"));
}
