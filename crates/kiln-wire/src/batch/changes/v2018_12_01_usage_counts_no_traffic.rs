//! Usage of pools is counted in hours of cores only.
//!
//! Since 2018-12-01.8.0. Before, `dataIngressGiB` and `dataEgressGiB` counted traffic with the
//! data center; there is none to count.

use super::{Change, Edit, Object, set_default, unchanged};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2018_12_01,
    edits: &[Edit { shapes: &["PoolUsageMetrics"], request_up: unchanged, response_down: down }],
};

fn down(it: &mut Object) {
    set_default(it, "dataIngressGiB", 0.0);
    set_default(it, "dataEgressGiB", 0.0);
}

#[cfg(test)]
mod tests {
    use super::super::check_down;
    use super::CHANGE;

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(
            &CHANGE,
            "PoolUsageMetrics",
            r#"{}"#,
            r#"{"dataIngressGiB":0.0,"dataEgressGiB":0.0}"#,
        );
    }
}
