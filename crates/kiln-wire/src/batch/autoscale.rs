//! Evaluations of autoscale formulas in the newest shape.

use kiln_domain::autoscale::{Failure, FailureKind, Run};
use serde_json::{Value, json};

use super::resource::Tree;

/// An evaluation as a pool shows its last one, and as the answer to trying a formula.
pub fn tree(run: &Run) -> Value {
    let mut tree = Tree::empty();
    tree.set_time("timestamp", run.at);
    tree.set("results", run.results.as_str());
    tree.set_some("error", run.failure.as_ref().map(error));
    tree.into_value()
}

fn error(failure: &Failure) -> Value {
    let (code, message) = match failure.kind {
        FailureKind::Syntax => (
            "AutoScalingFormulaSyntaxError",
            "The specified auto-scaling formula has a syntax error",
        ),
        FailureKind::Evaluation => (
            "AutoScalingFormulaEvaluationError",
            "The specified auto-scaling formula has evaluation error",
        ),
        FailureKind::InsufficientSamples => (
            "InsufficientSampleData",
            "Autoscale evaluation failed due to insufficient sample data",
        ),
    };
    json!({
        "code": code,
        "message": message,
        "values": [{ "name": "Message", "value": failure.to_string() }],
    })
}

#[cfg(test)]
mod tests {
    use kiln_domain::autoscale::{History, Sample, Scene, evaluate};
    use kiln_domain::batch::pool::Targets;
    use kiln_domain::span::Span;
    use kiln_domain::time::Timestamp;
    use serde_json::{Value, json};

    use crate::api_version::ApiVersion;
    use crate::batch::{Shape, lower};

    /// What a version is answered when the formula is tried on a pool of two nodes.
    fn answered(version: ApiVersion, formula: &str) -> Value {
        let now = Timestamp::parse_iso("2019-08-05T19:39:49.245153Z").expect("a time");
        let scene = Scene {
            now,
            targets: Targets { dedicated: 2, low_priority: 0 },
            history: &History::new(Span::seconds(30)),
            latest: Sample::new(now),
            seed: 0,
        };
        let (run, _) = evaluate(formula, &scene);
        lower(version, Shape::AutoScaleRun, super::tree(&run))
    }

    /// As recorded of both versions.
    #[test]
    fn evaluations_are_answered_as_recorded() {
        let error = json!({
            "code": "AutoScalingFormulaEvaluationError",
            "message": "The specified auto-scaling formula has evaluation error",
            "values": [{
                "name": "Message",
                "value": "Line 1, Col 1: Undefined symbol: something_useless"
            }],
        });
        for (version, formula, results, error) in [
            (
                ApiVersion::V2019_08_01,
                "$TargetDedicatedNodes=3",
                "$TargetDedicatedNodes=3;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue",
                None,
            ),
            (
                ApiVersion::V2019_08_01,
                "something_useless",
                "$TargetDedicatedNodes=2;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue",
                Some(&error),
            ),
            (
                ApiVersion::OLDEST,
                "$TargetDedicated=3",
                "$TargetDedicated=3;$NodeDeallocationOption=requeue",
                None,
            ),
            (
                ApiVersion::OLDEST,
                "something_useless",
                "$TargetDedicated=2;$NodeDeallocationOption=requeue",
                Some(&error),
            ),
        ] {
            let mut expected =
                json!({ "timestamp": "2019-08-05T19:39:49.245153Z", "results": results });
            if let Some(error) = error {
                expected["error"] = error.clone();
            }
            assert_eq!(answered(version, formula), expected);
        }
    }

    #[test]
    fn each_failure_has_its_code() {
        for (formula, code) in [
            ("a =", "AutoScalingFormulaSyntaxError"),
            ("a = b", "AutoScalingFormulaEvaluationError"),
            ("$CPUPercent.GetSample(TimeInterval_Hour, 1)", "InsufficientSampleData"),
        ] {
            let answered = answered(ApiVersion::NEWEST, formula);
            assert_eq!(answered["error"]["code"], code, "{formula}");
        }
    }
}
