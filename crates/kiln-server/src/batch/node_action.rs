//! What is done with nodes: reboot, reimage, deallocate, start, scheduling off and on; preempt.

use kiln_domain::batch::node::{self, NodeFact, NodeOperation, Treatment};
use kiln_domain::batch::task::TaskFact;
use kiln_wire::batch::Shape;
use kiln_wire::batch::error::Refusal;
use kiln_wire::node::ToAgent;
use serde_json::Value;

use super::answer::Answer;
use super::call::Call;
use super::error::OpError;
use super::node::find;
use super::outbox::Outbox;
use super::spec;
use crate::link::reports;

/// `POST /pools/P/nodes/N/reboot`.
pub(super) async fn reboot(call: &Call, pool: &str, node: &str) -> Result<Answer, Refusal> {
    let treatment = treatment(&call.lift(Shape::NodeReboot)?, "nodeRebootOption")?;
    let action = Action {
        operation: NodeOperation::Reboot,
        tasks: reports::end_of_tasks(treatment),
        fact: NodeFact::Reboot(treatment.pending()),
    };
    action.take(call, pool, node, 202).await
}

/// `POST /pools/P/nodes/N/reimage`.
pub(super) async fn reimage(call: &Call, pool: &str, node: &str) -> Result<Answer, Refusal> {
    let treatment = treatment(&call.lift(Shape::NodeReimage)?, "nodeReimageOption")?;
    let action = Action {
        operation: NodeOperation::Reimage,
        tasks: reports::end_of_tasks(treatment),
        fact: NodeFact::Reimage(treatment.pending()),
    };
    action.take(call, pool, node, 202).await
}

/// `POST /pools/P/nodes/N/deallocate`.
pub(super) async fn deallocate(call: &Call, pool: &str, node: &str) -> Result<Answer, Refusal> {
    let treatment = treatment(&call.lift(Shape::NodeDeallocate)?, "nodeDeallocateOption")?;
    let action = Action {
        operation: NodeOperation::Deallocate,
        tasks: reports::end_of_tasks(treatment),
        fact: NodeFact::Deallocate(treatment.pending()),
    };
    action.take(call, pool, node, 202).await
}

/// `POST /pools/P/nodes/N/start`.
pub(super) async fn start(call: &Call, pool: &str, node: &str) -> Result<Answer, Refusal> {
    let (operation, fact) = (NodeOperation::Start, NodeFact::Start);
    Action { operation, tasks: None, fact }.take(call, pool, node, 202).await
}

/// `POST /pools/P/nodes/N/disablescheduling`.
pub(super) async fn disable_scheduling(
    call: &Call,
    pool: &str,
    node: &str,
) -> Result<Answer, Refusal> {
    let body = call.lift(Shape::NodeDisableScheduling)?;
    let treatment = treatment(&body, "nodeDisableSchedulingOption")?;
    let (operation, fact) = (NodeOperation::DisableScheduling, NodeFact::DisableScheduling);
    Action { operation, tasks: reports::end_of_tasks(treatment), fact }
        .take(call, pool, node, 200)
        .await
}

/// `POST /pools/P/nodes/N/enablescheduling`.
pub(super) async fn enable_scheduling(
    call: &Call,
    pool: &str,
    node: &str,
) -> Result<Answer, Refusal> {
    let (operation, fact) = (NodeOperation::EnableScheduling, NodeFact::EnableScheduling);
    Action { operation, tasks: None, fact }.take(call, pool, node, 200).await
}

/// `POST /kiln/pools/P/nodes/N/preempt`.
pub(super) async fn preempt(call: &Call, pool: &str, node: &str) -> Result<Answer, Refusal> {
    let (operation, fact) = (NodeOperation::Preempt, NodeFact::Preempted);
    Action { operation, tasks: Some(TaskFact::Preempted), fact }.take(call, pool, node, 202).await
}

/// What a client asks of a node.
struct Action {
    operation: NodeOperation,
    /// How the tasks that run on it end, unless they are waited for.
    tasks: Option<TaskFact>,
    fact: NodeFact,
}

impl Action {
    async fn take(
        self,
        call: &Call,
        pool_id: &str,
        node_id: &str,
        status: u16,
    ) -> Result<Answer, Refusal> {
        let Self { operation, tasks, fact } = self;
        let (account, now) = (call.account.clone(), call.now);
        let (pool_id, node_id) = (pool_id.to_owned(), node_id.to_owned());
        let outbox = call
            .server
            .store
            .write(move |tx| {
                let (_, node) = find(tx, &account, &pool_id, &node_id)?;
                node::admit(&node, operation)?;
                let mut life = node.life.clone();
                let mut outbox = Outbox::default();
                if let Some(fact) = tasks {
                    let (id, out) = (&node.id, &mut outbox);
                    for attempt in reports::take_tasks_off(tx, id, &mut life, &fact, now, out)? {
                        outbox.add(&node.id, ToAgent::Stop { attempt });
                    }
                }
                life = node::step(&life, fact, now);
                reports::keep_node(tx, &node, &life)?;
                Ok::<_, OpError>(outbox)
            })
            .await?;
        outbox.send(&call.server);
        Ok(Answer::new(status).header("DataServiceId", call.url()))
    }
}

fn treatment(body: &Value, option: &'static str) -> Result<Treatment, OpError> {
    spec::read(body.get(option).unwrap_or(&Value::Null), option)
}
