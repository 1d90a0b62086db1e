//! Counts of tasks, as each api-version shows them.

use kiln_wire::node::Outcome;
use serde_json::json;

use crate::rig::Rig;

#[tokio::test]
async fn counts_follow_the_tasks() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    rig.job("j", "p").await;
    rig.tasks("j", 4).await;
    agents[0].run_to(Outcome::Exited { exit_code: 0 }).await;
    agents[0].run_to(Outcome::Exited { exit_code: 1 }).await;
    agents[0].run().await;
    let path = "/jobs/j/taskcounts";
    let numbers = json!({ "active": 1, "running": 1, "completed": 2, "succeeded": 1, "failed": 1 });
    let newest = rig.get(path).send().await.expect(200).body;
    assert_eq!(
        newest,
        json!({
            "odata.metadata": format!("{}/$metadata#taskcountsresult/@Element", rig.url()),
            "taskCounts": numbers,
            "taskSlotCounts": numbers,
        })
    );
    let mut flat = numbers;
    flat["odata.metadata"] = json!(format!("{}/$metadata#taskcounts/@Element", rig.url()));
    let older = rig.get(path).version("2019-08-01.10.0").send().await.expect(200).body;
    assert_eq!(older, flat);
}
