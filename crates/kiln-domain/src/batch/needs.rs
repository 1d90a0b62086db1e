//! What a task needs of a pool to run.

use serde::{Deserialize, Serialize};

use super::gang::MultiInstanceSettings;
use crate::rejection::Rejection;

/// What a node's id is written with where a task says that it rather runs there.
pub const AFFINITY_PREFIX: &str = "TVM:";

/// What a task needs of a pool to run; fixed when it is added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "each is a need of its own")]
pub struct TaskNeeds {
    /// Slots it takes on each of its nodes.
    pub slots: u32,
    /// Nodes that it runs on at once; all are there or it does not start.
    #[serde(default = "one")]
    pub instances: u32,
    /// Whether these instances, even if there is one only, find each other first: its pool must
    /// connect its nodes.
    #[serde(default)]
    pub is_connected: bool,
    /// Whether no other task may be on its node meanwhile.
    #[serde(default)]
    pub is_exclusive: bool,
    /// Whether it keeps away from Spot nodes.
    #[serde(default)]
    pub on_dedicated_only: bool,
    /// Whether it is the manager of its job: when it runs again, others make room for it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_manager: bool,
    /// The node that it rather runs on than on others, if there is room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<String>,
}

/// What the placing of a task reads of its specification.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacementSpec {
    #[serde(default = "one")]
    required_slots: u32,
    affinity_info: Option<AffinityInfo>,
    multi_instance_settings: Option<MultiInstanceSettings>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AffinityInfo {
    affinity_id: String,
}

impl PlacementSpec {
    /// What the task needs.
    ///
    /// # Errors
    /// When it asks for nothing.
    pub fn needs(&self) -> Result<TaskNeeds, Rejection> {
        if self.required_slots == 0 {
            let reason = "A task takes at least one slot";
            return Err(Rejection::property("requiredSlots", 0, reason));
        }
        let affinity_id = self.affinity_info.as_ref().map(|it| it.affinity_id.as_str());
        // Any other names nothing that is there, and the wish is a soft one.
        let node_id = affinity_id.and_then(|id| id.strip_prefix(AFFINITY_PREFIX));
        let affinity = node_id.map(str::to_owned);
        let needs = TaskNeeds { affinity, ..TaskNeeds::slots(self.required_slots) };
        let Some(settings) = &self.multi_instance_settings else { return Ok(needs) };
        if self.required_slots != 1 {
            let reason = "A multi-instance task takes one slot of each of its nodes";
            return Err(Rejection::property("requiredSlots", self.required_slots, reason));
        }
        Ok(TaskNeeds { instances: settings.n_instances()?, is_connected: true, ..needs })
    }
}

impl TaskNeeds {
    /// The needs of a task that takes this many slots of any one node.
    pub fn slots(slots: u32) -> Self {
        Self {
            slots,
            instances: 1,
            is_connected: false,
            is_exclusive: false,
            on_dedicated_only: false,
            is_manager: false,
            affinity: None,
        }
    }
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_false(is: &bool) -> bool {
    !*is
}
