//! What changed between api-versions: one change, one file.
//!
//! A change says since which version it holds, which shapes it concerns wherever they occur,
//! and how to edit the JSON tree: a request of an older client up, an answer to it down.
//! Fields and values that were only added or removed are not changes; they are rows of
//! `contract/contract.json`. Once a change is written it is never edited.

mod v2017_01_01_empty_certificate_lists_are_shown;
mod v2017_01_01_recent_tasks_name_subtasks_only;
mod v2017_01_01_user_identity_replaces_run_elevated;
mod v2017_05_01_exit_conditions_name_pre_processing;
mod v2017_05_01_failure_info_replaces_scheduling_error;
mod v2017_05_01_formulas_count_nodes_by_kind;
mod v2017_05_01_nodes_are_counted_by_kind;
mod v2017_05_01_nodes_can_be_preempted;
mod v2017_05_01_resize_errors_are_a_list;
mod v2017_05_01_ssh_key_belongs_to_linux_user;
mod v2018_03_01_job_managers_may_use_low_priority_nodes;
mod v2018_08_01_container_type_is_docker_compatible;
mod v2018_08_01_task_counts_are_always_validated;
mod v2018_12_01_os_version_is_one_member;
mod v2018_12_01_resource_files_name_their_source;
mod v2018_12_01_tasks_are_kept_for_seven_days;
pub(super) mod v2019_06_01_supported_images_replace_agent_skus;
mod v2019_08_01_auto_users_are_shared_by_the_pool;
mod v2019_08_01_start_tasks_wait_by_default;
mod v2020_03_01_public_addresses_have_a_configuration;
mod v2020_09_01_task_counts_are_wrapped;
mod v2020_09_01_task_slots_replace_tasks_per_node;
mod v2024_02_01_nodes_can_be_upgraded;
mod v2024_07_01_nodes_can_be_deallocated;
mod v2025_06_01_disk_type_belongs_to_managed_disk;

use serde_json::{Map, Value};

use crate::api_version::ApiVersion;

/// The members of a JSON object.
pub(super) type Object = Map<String, Value>;

/// One difference between api-versions.
#[derive(Debug)]
struct Change {
    /// The first version that is as the newest.
    since: ApiVersion,
    /// What older versions have otherwise.
    edits: &'static [Edit],
}

/// How shapes of older versions become the newest's and back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edit {
    /// The models concerned, wherever they occur.
    shapes: &'static [&'static str],
    /// From the version before the change to the one after it.
    pub(super) request_up: fn(&mut Object),
    /// And back.
    pub(super) response_down: fn(&mut Object),
}

/// All changes, oldest first.
const CHANGES: [Change; 25] = [
    v2017_01_01_empty_certificate_lists_are_shown::CHANGE,
    v2017_01_01_recent_tasks_name_subtasks_only::CHANGE,
    v2017_01_01_user_identity_replaces_run_elevated::CHANGE,
    v2017_05_01_exit_conditions_name_pre_processing::CHANGE,
    v2017_05_01_failure_info_replaces_scheduling_error::CHANGE,
    v2017_05_01_formulas_count_nodes_by_kind::CHANGE,
    v2017_05_01_nodes_are_counted_by_kind::CHANGE,
    v2017_05_01_nodes_can_be_preempted::CHANGE,
    v2017_05_01_resize_errors_are_a_list::CHANGE,
    v2017_05_01_ssh_key_belongs_to_linux_user::CHANGE,
    v2018_03_01_job_managers_may_use_low_priority_nodes::CHANGE,
    v2018_08_01_container_type_is_docker_compatible::CHANGE,
    v2018_08_01_task_counts_are_always_validated::CHANGE,
    v2018_12_01_os_version_is_one_member::CHANGE,
    v2018_12_01_resource_files_name_their_source::CHANGE,
    v2018_12_01_tasks_are_kept_for_seven_days::CHANGE,
    v2019_06_01_supported_images_replace_agent_skus::CHANGE,
    v2019_08_01_auto_users_are_shared_by_the_pool::CHANGE,
    v2019_08_01_start_tasks_wait_by_default::CHANGE,
    v2020_03_01_public_addresses_have_a_configuration::CHANGE,
    v2020_09_01_task_counts_are_wrapped::CHANGE,
    v2020_09_01_task_slots_replace_tasks_per_node::CHANGE,
    v2024_02_01_nodes_can_be_upgraded::CHANGE,
    v2024_07_01_nodes_can_be_deallocated::CHANGE,
    v2025_06_01_disk_type_belongs_to_managed_disk::CHANGE,
];

/// Everything that happened to `model` after `version`, oldest first.
pub(super) fn since(version: ApiVersion, model: &str) -> Vec<Edit> {
    CHANGES
        .iter()
        .filter(|change| change.since > version)
        .flat_map(|change| change.edits)
        .filter(|edit| edit.shapes.contains(&model))
        .copied()
        .collect()
}

/// For a change that leaves one direction alone.
fn unchanged(_it: &mut Object) {}

/// Gives the member `old` the name `new`, if it is there.
fn rename(it: &mut Object, old: &str, new: &str) {
    if let Some(value) = it.remove(old) {
        it.insert(new.to_owned(), value);
    }
}

/// Writes down what silence means.
fn set_default(it: &mut Object, name: &str, value: impl Into<Value>) {
    it.entry(name).or_insert_with(|| value.into());
}

/// The member `name` as an object, made if it is not there; `None` if it is something else.
fn object<'a>(it: &'a mut Object, name: &str) -> Option<&'a mut Object> {
    it.entry(name).or_insert_with(|| Value::Object(Map::new())).as_object_mut()
}

/// Shows a state that older clients do not know as the nearest one they do.
fn show_state(it: &mut Object, states: &[&str], as_state: &str) {
    for member in ["state", "previousState"] {
        let is_unknown =
            it.get(member).and_then(Value::as_str).is_some_and(|s| states.contains(&s));
        if is_unknown {
            it.insert(member.to_owned(), as_state.into());
        }
    }
}

#[cfg(test)]
use tests::{check_down, check_up};

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{CHANGES, Change, Object};
    use crate::api_version::ApiVersion;
    use crate::batch::contract::Contract;

    fn check(change: &Change, shape: &str, before: &str, after: &str, is_up: bool) {
        let mut it: Object = serde_json::from_str(before).expect("an object");
        for edit in change.edits.iter().filter(|edit| edit.shapes.contains(&shape)) {
            if is_up {
                (edit.request_up)(&mut it);
            } else {
                (edit.response_down)(&mut it);
            }
        }
        let after: Value = serde_json::from_str(after).expect("an object");
        assert_eq!(Value::Object(it), after, "{shape} {before}");
    }

    pub(super) fn check_up(change: &Change, shape: &str, old: &str, new: &str) {
        check(change, shape, old, new, true);
    }

    pub(super) fn check_down(change: &Change, shape: &str, new: &str, old: &str) {
        check(change, shape, new, old, false);
    }

    #[test]
    fn changes_are_in_order_and_name_models_that_exist() {
        assert!(CHANGES.iter().map(|change| change.since).is_sorted());
        for edit in CHANGES.iter().flat_map(|change| change.edits) {
            for shape in edit.shapes {
                let is_model = ApiVersion::all()
                    .any(|v| Contract::of(v).named(shape).is_some_and(|m| m.is_known()));
                assert!(is_model, "{shape}");
            }
        }
    }

    /// Versions without a change here: fields, values and operations only came or went.
    #[test]
    fn every_version_has_a_change_or_only_additions() {
        let additions_only = [
            ApiVersion::OLDEST,
            ApiVersion::V2017_06_01,
            ApiVersion::V2017_09_01,
            ApiVersion::V2021_06_01,
            ApiVersion::V2022_01_01,
            ApiVersion::V2022_10_01,
            ApiVersion::V2023_05_01,
            ApiVersion::V2023_11_01,
        ];
        for version in ApiVersion::all() {
            let has_change = CHANGES.iter().any(|change| change.since == version);
            assert_ne!(has_change, additions_only.contains(&version), "{}", version.as_str());
        }
    }
}
