//! Autoscale formulas count dedicated and low-priority nodes apart.
//!
//! Since 2017-05-01.5.0 results begin with `$TargetDedicatedNodes` and
//! `$TargetLowPriorityNodes`. Before, there was `$TargetDedicated` alone, as recorded.
//! Formulas may use the old names in all versions.

use serde_json::Value;

use super::{Change, Edit, Object, unchanged};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2017_05_01,
    edits: &[Edit { shapes: &["AutoScaleRun"], request_up: unchanged, response_down: down }],
};

fn down(it: &mut Object) {
    let Some(Value::String(results)) = it.get_mut("results") else { return };
    let shown: Vec<String> = results
        .split(';')
        .filter(|variable| !variable.starts_with("$TargetLowPriorityNodes="))
        .map(|variable| match variable.strip_prefix("$TargetDedicatedNodes=") {
            Some(nodes) => format!("$TargetDedicated={nodes}"),
            None => variable.to_owned(),
        })
        .collect();
    *results = shown.join(";");
}

#[cfg(test)]
mod tests {
    use super::super::check_down;
    use super::CHANGE;

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(
            &CHANGE,
            "AutoScaleRun",
            r#"{"results":"$TargetDedicatedNodes=3;$TargetLowPriorityNodes=1;$NodeDeallocationOption=requeue;a=[1]"}"#,
            r#"{"results":"$TargetDedicated=3;$NodeDeallocationOption=requeue;a=[1]"}"#,
        );
    }
}
