//! The instances of a task that runs on several nodes at once.
//!
//! Instance 0 is the primary: its main command begins once the coordination commands of all
//! instances ended well. Decides nothing about the task itself; [`super::task::step`] does.

use serde::{Deserialize, Serialize};

use super::command::ResourceFile;
use super::container::ContainerInfo;
use super::task::{FailureInfo, Outcome};
use crate::rejection::Rejection;
use crate::time::Timestamp;

/// What the rules and the nodes read of how a task is spread over nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MultiInstanceSettings {
    /// Nodes that it runs on.
    #[serde(default = "one")]
    pub number_of_instances: i64,
    /// Run on each node before the main command; absent in bodies of old clients only.
    pub coordination_command_line: Option<String>,
    /// Files fetched on each node before that.
    #[serde(default)]
    pub common_resource_files: Vec<ResourceFile>,
}

fn one() -> i64 {
    1
}

/// Nodes that one task runs on at the most: as many as a pool of connected nodes has.
pub const INSTANCES_MAX: u32 = 100;

impl MultiInstanceSettings {
    /// How many instances there are.
    ///
    /// # Errors
    /// When there are none, or more than a pool has nodes.
    pub fn n_instances(&self) -> Result<u32, Rejection> {
        let number = self.number_of_instances;
        let instances = u32::try_from(number).unwrap_or(0);
        if (1..=INSTANCES_MAX).contains(&instances) {
            return Ok(instances);
        }
        let reason = format!("A task has 1 to {INSTANCES_MAX} instances");
        Err(Rejection::property("multiInstanceSettings.numberOfInstances", number, reason))
    }
}

/// Where an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstanceState {
    /// Its node runs the job's preparation task first.
    Preparing,
    /// Its coordination command runs, or what that command started.
    Running,
    /// Nothing of it runs any more.
    Completed,
}

/// One instance of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// The node's id.
    pub node_id: String,
    /// The node's name for the other instances.
    pub address: String,
    /// Where it stands.
    pub state: InstanceState,
    /// Since when.
    pub state_at: Timestamp,
    /// Where it stood before, and since when.
    pub previous: Option<(InstanceState, Timestamp)>,
    /// When its coordination command began.
    pub started_at: Option<Timestamp>,
    /// When it completed.
    pub ended_at: Option<Timestamp>,
    /// Whether its coordination command ended well.
    pub is_coordinated: bool,
    /// Exit code of its coordination command, if that ended by itself.
    pub exit_code: Option<i32>,
    /// Why it failed.
    pub failure: Option<FailureInfo>,
    /// The container of its coordination command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerInfo>,
}

/// The instances of one run of a task, in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gang(Vec<Instance>);

/// A node that was chosen for an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenNode {
    /// Its id.
    pub node_id: String,
    /// Its name for the other instances: see [`address`].
    pub address: String,
    /// Whether it is prepared for the job.
    pub is_prepared: bool,
}

/// The name of a node for the instances on other nodes, by its pool and its number there: an
/// address of the machine that all nodes of this Kiln share, different for each of them.
pub fn address(pool_key: i64, number: u32) -> String {
    const PER_POOL: u32 = 1 << 12;
    // Never 0, which the machine's own name has.
    let pool = u32::try_from(pool_key.rem_euclid(i64::from(PER_POOL - 1))).unwrap_or(0) + 1;
    let [_, a, b, c] = (pool * PER_POOL + number % PER_POOL).to_be_bytes();
    format!("127.{a}.{b}.{c}")
}

/// The engine's word for a container of which nothing runs any more.
const EXITED: &str = "exited";

/// What can happen to one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstanceFact {
    /// Its node is prepared.
    Prepared,
    /// Its coordination command ended well.
    Coordinated,
    /// It ended before the task did.
    Ended(Outcome),
}

impl Instance {
    fn new(node: ChosenNode, now: Timestamp) -> Self {
        let state =
            if node.is_prepared { InstanceState::Running } else { InstanceState::Preparing };
        Self {
            node_id: node.node_id,
            address: node.address,
            state,
            state_at: now,
            previous: None,
            started_at: node.is_prepared.then_some(now),
            ended_at: None,
            is_coordinated: false,
            exit_code: None,
            failure: None,
            container: None,
        }
    }

    fn moved(&mut self, state: InstanceState, now: Timestamp) {
        self.previous = Some((self.state, self.state_at));
        self.state = state;
        self.state_at = now;
    }

    fn complete(&mut self, outcome: &Outcome, now: Timestamp) {
        self.moved(InstanceState::Completed, now);
        self.ended_at = Some(now);
        self.exit_code = outcome.exit_code();
        self.failure = outcome.failure();
        // Nothing of it runs any more.
        if let Some(container) = &mut self.container {
            EXITED.clone_into(&mut container.state);
        }
    }
}

impl Gang {
    /// Instances on these nodes, the primary first.
    pub fn new(nodes: Vec<ChosenNode>, now: Timestamp) -> Self {
        Self(nodes.into_iter().map(|node| Instance::new(node, now)).collect())
    }

    /// The instances with their numbers.
    pub fn instances(&self) -> impl Iterator<Item = (u32, &Instance)> {
        (0..).zip(&self.0)
    }

    /// The number of the instance that waits until a node is prepared, if one does.
    pub fn waiting_on(&self, node_id: &str) -> Option<u32> {
        let waits = |it: &Instance| it.node_id == node_id && it.state == InstanceState::Preparing;
        self.instances().find(|(_, it)| waits(it)).map(|(number, _)| number)
    }

    /// Whether no instance waits for its node.
    pub fn is_prepared(&self) -> bool {
        self.0.iter().all(|it| it.state != InstanceState::Preparing)
    }

    /// Whether the main command may begin.
    pub fn is_coordinated(&self) -> bool {
        self.0.iter().all(|it| it.is_coordinated)
    }

    /// The node of an instance is prepared: its coordination command begins.
    pub(super) fn prepared(mut self, number: u32, now: Timestamp) -> Self {
        if let Some(it) = self.get_mut(number).filter(|it| it.state == InstanceState::Preparing) {
            it.moved(InstanceState::Running, now);
            it.started_at = Some(now);
        }
        self
    }

    /// The coordination command of an instance runs, or ran, in this container.
    #[must_use]
    pub fn contained(mut self, number: u32, container: ContainerInfo) -> Self {
        if let Some(it) = self.get_mut(number) {
            it.container = Some(container);
        }
        self
    }

    /// The coordination command of an instance ended well.
    pub(super) fn coordinated(mut self, number: u32) -> Self {
        if let Some(it) = self.get_mut(number).filter(|it| it.state == InstanceState::Running) {
            it.is_coordinated = true;
        }
        self
    }

    /// An instance ended before the task did.
    pub(super) fn failed(mut self, number: u32, outcome: &Outcome, now: Timestamp) -> Self {
        if let Some(it) = self.get_mut(number).filter(|it| it.state != InstanceState::Completed) {
            it.complete(outcome, now);
        }
        self
    }

    /// The task ended, and with it all its instances.
    pub(super) fn ended(mut self, now: Timestamp) -> Self {
        for it in &mut self.0 {
            let outcome = match it.state {
                InstanceState::Completed => continue,
                InstanceState::Running if it.is_coordinated => Outcome::Exited { exit_code: 0 },
                InstanceState::Preparing | InstanceState::Running => Outcome::Stopped,
            };
            it.complete(&outcome, now);
        }
        self
    }

    fn get_mut(&mut self, number: u32) -> Option<&mut Instance> {
        self.0.get_mut(usize::try_from(number).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::{ChosenNode, InstanceFact, InstanceState, MultiInstanceSettings, address};
    use crate::batch::needs::TaskNeeds;
    use crate::batch::task::{FailureInfo, Outcome, Task, TaskFact, TaskLife, step};
    use crate::batch::ties::Ties;
    use crate::time::Timestamp;

    const EXITED_0: Outcome = Outcome::Exited { exit_code: 0 };
    const EXITED_3: Outcome = Outcome::Exited { exit_code: 3 };

    /// Two nodes; the second is prepared only where it is asked for.
    fn assigned(is_prepared: bool) -> TaskFact {
        let node = |id: &str, is_prepared| ChosenNode {
            node_id: id.to_owned(),
            address: id.to_owned(),
            is_prepared,
        };
        let nodes = vec![node("m", true), node("n", is_prepared)];
        TaskFact::AssignedToAll { pool_id: "p".to_owned(), nodes }
    }

    fn fact(name: &str) -> TaskFact {
        let of = |number, fact| TaskFact::Instance { number, fact };
        match name {
            "assigned" => assigned(true),
            "unprepared" => assigned(false),
            "prepared1" => of(1, InstanceFact::Prepared),
            "ready0" => of(0, InstanceFact::Coordinated),
            "ready1" => of(1, InstanceFact::Coordinated),
            "ready9" => of(9, InstanceFact::Coordinated),
            "fails1" => of(1, InstanceFact::Ended(EXITED_3)),
            "no-file1" => of(
                1,
                InstanceFact::Ended(Outcome::NotStarted {
                    failure: FailureInfo::user_error("BlobNotFound", ""),
                }),
            ),
            "lost1" => of(1, InstanceFact::Ended(Outcome::Stopped)),
            "exit0" => TaskFact::Ended(EXITED_0),
            "exit3" => TaskFact::Ended(EXITED_3),
            "terminated" => TaskFact::Terminated,
            "requeued" => TaskFact::Requeued,
            "not-prepared" => TaskFact::NotPrepared,
            name => panic!("no fact `{name}`"),
        }
    }

    fn shown(life: &TaskLife) -> String {
        let mut shown = format!("{:?}", life.state);
        for (_, it) in life.gang.iter().flat_map(super::Gang::instances) {
            shown.push_str(match (it.state, it.is_coordinated, &it.failure) {
                (InstanceState::Preparing, _, _) => " waits",
                (InstanceState::Running, false, _) => " runs",
                (InstanceState::Running, true, _) => " ready",
                (InstanceState::Completed, _, None) => " ok",
                (InstanceState::Completed, _, Some(_)) => " failed",
            });
        }
        let begins = life.gang.as_ref().is_some_and(|it| it.is_prepared() && it.is_coordinated());
        shown + if begins { "!" } else { "" }
    }

    /// Walks through `facts` and checks where the task and its instances stand after each; what
    /// ends with `!` lets the main command begin.
    #[track_caller]
    fn check(retries_max: i32, facts: &str, expected: &str) {
        let mut task = Task {
            job_key: 1,
            id: "t".to_owned(),
            sequence: 1,
            needs: TaskNeeds { instances: 2, ..TaskNeeds::slots(1) },
            ties: Ties::default(),
            n_unmet: 0,
            document: "{}".to_owned(),
            life: TaskLife::new(retries_max, Timestamp(0)),
        };
        let mut said = Vec::new();
        for (second, name) in (1..).zip(facts.split(' ')) {
            task.life = step(&task, fact(name), Timestamp(second)).expect("it may happen");
            said.push(shown(&task.life));
        }
        assert_eq!(said.join(", "), expected, "{facts}");
    }

    #[test]
    fn the_main_command_begins_after_all_coordination_commands() {
        check(
            0,
            "assigned ready1 ready1 ready9 ready0 exit0 ready0",
            "Running runs runs, Running runs ready, Running runs ready, Running runs ready, \
             Running ready ready!, Completed ok ok!, Completed ok ok!",
        );
    }

    #[test]
    fn a_task_is_preparing_until_all_its_nodes_are_prepared() {
        check(
            0,
            "unprepared ready0 prepared1 ready1",
            "Preparing runs waits, Preparing ready waits, Running ready runs, \
             Running ready ready!",
        );
        check(0, "unprepared not-prepared", "Preparing runs waits, Active");
    }

    #[test]
    fn any_instance_that_fails_fails_the_task() {
        let begun = "Running runs runs, Running ready runs, ";
        check(0, "assigned ready0 fails1", &format!("{begun}Completed ok failed"));
        check(1, "assigned ready0 fails1 assigned", &format!("{begun}Active, Running runs runs"));
        check(9, "assigned ready0 no-file1", &format!("{begun}Completed ok failed"));
        check(0, "assigned ready0 lost1", &format!("{begun}Active"));
    }

    #[test]
    fn all_instances_end_with_the_task() {
        let begun = "Running runs runs, Running ready runs, ";
        check(
            0,
            "assigned ready0 terminated fails1",
            &format!("{begun}Completed ok failed, Completed ok failed"),
        );
        check(0, "assigned ready0 requeued", &format!("{begun}Active"));
        check(
            0,
            "assigned ready0 ready1 exit3",
            &format!("{begun}Running ready ready!, Completed ok ok!"),
        );
    }

    #[test]
    fn nodes_have_addresses_of_their_own() {
        let all: std::collections::BTreeSet<_> =
            (1..50).flat_map(|pool| (1..100).map(move |node| address(pool, node))).collect();
        assert_eq!(all.len(), 49 * 99);
        assert_eq!(address(1, 1), "127.0.32.1");
        assert_eq!(address(4095, 4095), "127.0.31.255");
        assert_eq!(address(4094, 1), "127.255.240.1");
    }

    #[test]
    fn instances_are_counted() {
        let said = |number_of_instances| {
            let settings = MultiInstanceSettings {
                number_of_instances,
                coordination_command_line: None,
                common_resource_files: Vec::new(),
            };
            settings.n_instances().ok()
        };
        assert_eq!([0, -1, 1, 100, 101].map(said), [None, None, Some(1), Some(100), None]);
    }
}
