//! Autoscale: switched on and off, tried, and what becomes of pools that size themselves.

use std::time::Duration;

use kiln_domain::autoscale::Measurement;
use kiln_domain::span::Span;
use kiln_domain::time::{TICKS_PER_SECOND, Timestamp};
use kiln_server::config::Config;
use kiln_wire::node::{FromAgent, Outcome};
use serde_json::{Value, json};

use crate::rig::{Reply, Rig, pool_body};

const OLD: &str = "2016-07-01.3.1";
const LATER: &str = "2019-08-01.10.0";
const UNCHANGED: &str =
    "$TargetDedicatedNodes=2;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue";

/// A server whose pools evaluate and sample all the time.
async fn eager_rig() -> Rig {
    Rig::configured(|config: &mut Config| {
        config.autoscale.interval = Some(Duration::from_millis(20));
        config.autoscale.sample_period = Duration::from_millis(10);
    })
    .await
}

/// A pool that sizes itself.
fn scaled_body(id: &str, formula: &str) -> Value {
    let mut body = pool_body(id, 0);
    body.as_object_mut().expect("members").remove("targetDedicatedNodes");
    body["enableAutoScale"] = json!(true);
    body["autoScaleFormula"] = json!(formula);
    body
}

fn is_steady(reply: &Reply) -> bool {
    reply.body["allocationState"] == "steady"
}

/// A steady pool without nodes.
async fn steady_pool(rig: &Rig) {
    rig.post("/pools", &pool_body("p", 0)).send().await.expect(201);
    rig.until("/pools/p", is_steady).await;
}

fn enable(formula: &str) -> Value {
    json!({ "autoScaleFormula": formula })
}

#[tokio::test]
async fn a_pool_is_added_with_the_size_that_its_formula_wants() {
    let mut rig = Rig::start().await;
    let formula = "$TargetDedicatedNodes = 1; $TargetLowPriorityNodes = 1;";
    rig.post("/pools", &scaled_body("p", formula)).send().await.expect(201);
    rig.ready(2).await;
    let pool = rig.until("/pools/p", is_steady).await.body;
    assert_eq!(pool["enableAutoScale"], true);
    assert_eq!(pool["autoScaleFormula"], formula);
    assert_eq!(pool["autoScaleEvaluationInterval"], "PT15M");
    assert_eq!(pool["resizeTimeout"], "PT15M");
    assert_eq!(
        (&pool["targetDedicatedNodes"], &pool["targetLowPriorityNodes"]),
        (&1.into(), &1.into())
    );
    let run = &pool["autoScaleRun"];
    assert_eq!(
        run["results"],
        "$TargetDedicatedNodes=1;$TargetLowPriorityNodes=1;$NodeDeallocationOption=requeue"
    );
    assert_eq!(run["timestamp"], pool["creationTime"]);
    assert_eq!(run.get("error"), None);
    let old = rig.get("/pools/p").version(OLD).send().await.expect(200).body;
    assert_eq!(
        old["autoScaleRun"]["results"],
        "$TargetDedicated=1;$NodeDeallocationOption=requeue"
    );
}

#[tokio::test]
async fn autoscale_is_switched_on_tried_and_switched_off_as_recorded() {
    let mut rig = Rig::start().await;
    let agents = rig.pool("p", 3, json!({})).await;
    let before = rig.until("/pools/p", is_steady).await;
    let body = json!({
        "autoScaleFormula": "$TargetDedicatedNodes=2",
        "autoScaleEvaluationInterval": "PT06M00S"
    });
    let on = rig.post("/pools/p/enableautoscale", &body).version(LATER).send().await.expect(200);
    assert!(on.header("dataserviceid").is_some_and(|it| it.ends_with("/pools/p/enableautoscale")));
    assert_ne!(on.header("etag"), before.header("etag"));
    assert!(on.bytes.is_empty());
    let pool = rig.get("/pools/p").send().await.expect(200).body;
    assert_eq!(pool["eTag"].as_str(), on.header("etag"));
    assert_eq!(pool["autoScaleEvaluationInterval"], "PT6M");
    assert_eq!(
        (&pool["allocationState"], &pool["targetDedicatedNodes"]),
        (&"resizing".into(), &2.into())
    );
    assert_eq!(pool["autoScaleRun"]["results"], UNCHANGED);

    let tried = |formula: &str| rig.post("/pools/p/evaluateautoscale", &enable(formula));
    let good = tried("$TargetDedicatedNodes=3").version(LATER).send().await.expect(200);
    assert_eq!(good.body["results"], UNCHANGED.replace("=2", "=3"));
    let metadata = "/$metadata#Microsoft.Azure.Batch.Protocol.Entities.AutoScaleRun";
    assert_eq!(good.body["odata.metadata"], format!("{}{metadata}", rig.url()));
    assert_eq!((good.header("etag"), good.header("last-modified")), (None, None));
    assert!(good.header("dataserviceid").is_some_and(|it| it.ends_with("/evaluateautoscale")));
    let bad = tried("something_useless").version(LATER).send().await.expect(200);
    assert_eq!(bad.body["results"], UNCHANGED);
    assert_eq!(
        bad.body["error"],
        json!({
            "code": "AutoScalingFormulaEvaluationError",
            "message": "The specified auto-scaling formula has evaluation error",
            "values": [{
                "name": "Message",
                "value": "Line 1, Col 1: Undefined symbol: something_useless"
            }]
        })
    );
    let old = tried("$TargetDedicated=3").version(OLD).send().await.expect(200);
    assert_eq!(old.body["results"], "$TargetDedicated=3;$NodeDeallocationOption=requeue");

    let off = rig.post("/pools/p/disableautoscale", &json!({})).version(LATER);
    let off = off.send().await.expect(200);
    assert!(off.header("dataserviceid").is_some_and(|it| it.ends_with("/disableautoscale")));
    // The resize that the formula began is stopped; what it wanted stays.
    let pool = rig.get("/pools/p").send().await.expect(200).body;
    assert_eq!(pool["eTag"].as_str(), off.header("etag"));
    assert_eq!(
        (&pool["enableAutoScale"], &pool["targetDedicatedNodes"]),
        (&false.into(), &2.into())
    );
    for gone in ["autoScaleFormula", "autoScaleEvaluationInterval", "autoScaleRun"] {
        assert_eq!(pool.get(gone), None);
    }
    drop(agents);
}

#[tokio::test]
async fn autoscale_is_not_switched_on_twice_within_half_a_minute() {
    let rig = Rig::start().await;
    steady_pool(&rig).await;
    let on = |body: Value| rig.post("/pools/p/enableautoscale", &body).send();
    on(enable("$TargetDedicatedNodes=0")).await.expect(200);
    let again = on(json!({ "autoScaleEvaluationInterval": "PT7M" })).await;
    again.refuses(503, "TooManyEnableAutoScaleRequests");
    rig.post("/pools/p/disableautoscale", &json!({})).send().await.expect(200);
    on(enable("$TargetDedicatedNodes=0")).await.refuses(503, "TooManyEnableAutoScaleRequests");
}

#[tokio::test]
async fn settings_of_autoscale_are_refused_by_name() {
    let rig = Rig::start().await;
    let long = " ".repeat(8193);
    for (formula, code) in [
        ("$TargetDedicatedNodes =", "AutoScalingFormulaSyntaxError"),
        (long.as_str(), "AutoScalingFormulaTooLong"),
    ] {
        rig.post("/pools", &scaled_body("p", formula)).send().await.refuses(400, code);
    }
    let mut body = scaled_body("p", "a = 1");
    body["targetDedicatedNodes"] = json!(1);
    rig.post("/pools", &body).send().await.refuses(400, "InvalidAutoScalingSettings");
    let mut body = scaled_body("p", "a = 1");
    body["autoScaleEvaluationInterval"] = json!("PT4M59S");
    let short = rig.post("/pools", &body).send().await;
    let short = short.refuses(400, "InvalidPropertyValue");
    assert_eq!(short.value("PropertyName"), "autoScaleEvaluationInterval");

    steady_pool(&rig).await;
    for (body, code) in [
        (json!({}), "MissingRequiredProperty"),
        (json!({ "autoScaleEvaluationInterval": "PT6M" }), "InvalidAutoScalingSettings"),
        (json!({ "autoScaleFormula": "a = (1" }), "AutoScalingFormulaSyntaxError"),
        (
            json!({ "autoScaleFormula": "a = 1", "autoScaleEvaluationInterval": "PT169H" }),
            "InvalidPropertyValue",
        ),
    ] {
        rig.post("/pools/p/enableautoscale", &body).send().await.refuses(400, code);
    }
    let syntax = rig.post("/pools/p/enableautoscale", &enable("a = 1;\nb = ;")).send().await;
    let reason = syntax.refuses(400, "AutoScalingFormulaSyntaxError");
    assert_eq!(reason.value("Reason"), "Line 2, Col 5: Unexpected ;");
    for path in ["enableautoscale", "evaluateautoscale"] {
        let ask = rig.post(&format!("/pools/q/{path}"), &enable("a = 1"));
        ask.send().await.refuses(404, "PoolNotFound");
    }
    rig.post("/pools/q/disableautoscale", &json!({})).send().await.refuses(404, "PoolNotFound");
}

#[tokio::test]
async fn a_formula_is_tried_only_on_a_pool_that_sizes_itself() {
    let rig = Rig::start().await;
    steady_pool(&rig).await;
    let tried = |formula: &str| rig.post("/pools/p/evaluateautoscale", &enable(formula)).send();
    tried("a = 1").await.refuses(409, "OperationInvalidForCurrentState");
    rig.post("/pools/p/enableautoscale", &enable("a = 1")).send().await.expect(200);
    let unread = tried("a =").await.expect(200);
    assert_eq!(unread.body["error"]["code"], "AutoScalingFormulaSyntaxError");
    let few = tried("a = $CPUPercent.GetSample(TimeInterval_Hour, 10)").await.expect(200);
    assert_eq!(few.body["error"]["code"], "InsufficientSampleData");
    let long = tried(&" ".repeat(8193)).await;
    long.refuses(400, "AutoScalingFormulaTooLong");
}

#[tokio::test]
async fn a_pool_that_sizes_itself_is_not_resized_by_hand() {
    let rig = Rig::start().await;
    rig.post("/pools", &scaled_body("p", "a = 1")).send().await.expect(201);
    rig.until("/pools/p", is_steady).await;
    let resize = rig.post("/pools/p/resize", &json!({ "targetDedicatedNodes": 1 }));
    resize.send().await.refuses(409, "OperationInvalidForCurrentState");
    let etag = rig.get("/pools/p").send().await.expect(200);
    let stale = rig.post("/pools/p/disableautoscale", &json!({}));
    stale.header("if-match", "0x8D000000000000").send().await.refuses(412, "ConditionNotMet");
    let off = rig.post("/pools/p/disableautoscale", &json!({}));
    off.header("if-match", etag.header("etag").expect("a tag")).send().await.expect(200);
    // Once more changes nothing.
    rig.post("/pools/p/disableautoscale", &json!({})).send().await.expect(200);
    let resize = rig.post("/pools/p/resize", &json!({ "targetDedicatedNodes": 0 }));
    resize.send().await.expect(202);
}

#[tokio::test]
async fn a_pool_that_is_resized_can_not_be_told_to_size_itself() {
    let mut rig = Rig::start().await;
    let agents = rig.pool("p", 1, json!({})).await;
    rig.until("/pools/p", is_steady).await;
    let resize = rig.post("/pools/p/resize", &json!({ "targetDedicatedNodes": 0 }));
    resize.send().await.expect(202);
    // Its node does not leave.
    let on = rig.post("/pools/p/enableautoscale", &enable("a = 1")).send().await;
    on.refuses(409, "PoolBeingResized");
    drop(agents);
}

#[tokio::test]
async fn a_failed_evaluation_leaves_the_pool_as_it_is() {
    let mut rig = Rig::start().await;
    rig.pool("p", 2, json!({})).await;
    rig.until("/pools/p", is_steady).await;
    let formula = "$TargetDedicatedNodes = 9; b = nothing;";
    rig.post("/pools/p/enableautoscale", &enable(formula)).send().await.expect(200);
    let pool = rig.get("/pools/p").send().await.expect(200).body;
    assert_eq!(
        (&pool["allocationState"], &pool["targetDedicatedNodes"]),
        (&"steady".into(), &2.into())
    );
    let error = &pool["autoScaleRun"]["error"];
    assert_eq!(error["code"], "AutoScalingFormulaEvaluationError");
    assert_eq!(pool["autoScaleRun"]["results"], UNCHANGED);
}

#[tokio::test]
async fn a_pool_follows_its_tasks() {
    let mut rig = eager_rig().await;
    let formula = "$TargetDedicatedNodes = min(3, $PendingTasks);";
    rig.post("/pools", &scaled_body("p", formula)).send().await.expect(201);
    let before = rig.until("/pools/p", is_steady).await;
    rig.job("j", "p").await;
    rig.tasks("j", 2).await;
    let mut agents = rig.ready(2).await;
    let grown =
        rig.until("/pools/p", |it| is_steady(it) && it.body["currentDedicatedNodes"] == 2).await;
    assert_eq!(grown.body["targetDedicatedNodes"], 2);
    // No client changed the pool.
    assert_eq!(grown.header("etag"), before.header("etag"));
    for agent in &mut agents {
        agent.run_to(Outcome::Exited { exit_code: 0 }).await;
    }
    for agent in agents {
        agent.leave().await;
    }
    let shrunk = |it: &Reply| is_steady(it) && it.body["currentDedicatedNodes"] == 0;
    rig.until("/pools/p", shrunk).await;
}

#[tokio::test]
async fn samples_are_taken_and_counted() {
    let mut rig = eager_rig().await;
    let mut agents = rig.pool("p", 1, json!({ "taskSlotsPerNode": 2 })).await;
    rig.until("/pools/p", is_steady).await;
    rig.job("j", "p").await;
    rig.tasks("j", 5).await;
    for outcome in [0, 0, 3] {
        agents[0].run_to(Outcome::Exited { exit_code: outcome }).await;
    }
    let body = enable("$TargetDedicatedNodes = 1");
    rig.post("/pools/p/enableautoscale", &body).send().await.expect(200);
    let formula = "
        n = $PendingTasks.Count();
        pending = $PendingTasks.GetSample(1);
        succeeded = $SucceededTasks.GetSample(1);
        failed = $FailedTasks.GetSample(1);
        slots = $TaskSlotsPerNode;
        nodes = $CurrentDedicatedNodes + 10 * $CurrentLowPriorityNodes;
        usable = $UsableNodeCount;
        preempted = $PreemptedNodeCount;";
    let path = "/pools/p/evaluateautoscale";
    let results = loop {
        let run = rig.post(path, &enable(formula)).send().await.expect(200).body;
        let results = run["results"].as_str().expect("results").to_owned();
        if !results.contains(";n=0;") {
            break results;
        }
    };
    let (_, counted) = results.split_once(";failed=").expect("variables");
    let (counts, _) = counted.split_once(";n=").expect("a count");
    assert_eq!(counts, "[1]");
    let (_, rest) = counted.split_once(";nodes=").expect("nodes");
    assert_eq!(rest, "1;pending=[2];preempted=0;slots=2;succeeded=[2];usable=1");
}

/// What a node measured of itself `seconds` after another time, all of its one processor at
/// work since then.
fn measured(seconds: i64) -> Measurement {
    let moved = u64::try_from(seconds).expect("later");
    Measurement {
        at: Timestamp(seconds * TICKS_PER_SECOND),
        processors: 1,
        cpu: Span::seconds(seconds),
        memory_bytes: 64 << 20,
        disk_bytes: 2 << 30,
        disk_read_bytes: moved,
        disk_write_bytes: 2 * moved,
        disk_read_ops: 3 * moved,
        disk_write_ops: 4 * moved,
        network_in_bytes: 5 * moved,
        network_out_bytes: 6 * moved,
    }
}

#[tokio::test]
async fn samples_hold_what_nodes_measure() {
    let mut rig = eager_rig().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    rig.until("/pools/p", is_steady).await;
    let body = enable("$TargetDedicatedNodes = 1");
    rig.post("/pools/p/enableautoscale", &body).send().await.expect(200);
    let agent = &mut agents[0];
    let formula = |metric: &str, wanted: f64| {
        enable(&format!("found = max(${metric}.GetSample(999)) >= {wanted} ? 1 : 0"))
    };
    agent.say(&[FromAgent::Heartbeat { measured: Some(measured(10)) }]).await;
    let mut seconds = 10;
    for (metric, wanted) in [
        ("SampleNodeCount", 1.0),
        ("MemoryBytes", 64.0),
        ("DiskBytes", 2.0),
        ("CPUPercent", 1.0),
        ("WallClockSeconds", 10.0),
        ("DiskReadBytes", 10.0),
        ("DiskWriteBytes", 20.0),
        ("DiskReadOps", 30.0),
        ("DiskWriteOps", 40.0),
        ("NetworkInBytes", 50.0),
        ("NetworkOutBytes", 60.0),
    ] {
        loop {
            let body = formula(metric, wanted);
            let run = rig.post("/pools/p/evaluateautoscale", &body).send().await.expect(200).body;
            if run["results"].as_str().is_some_and(|it| it.ends_with(";found=1")) {
                break;
            }
            seconds += 10;
            agent.say(&[FromAgent::Heartbeat { measured: Some(measured(seconds)) }]).await;
        }
    }
    // Of a node that is not heard of, nothing is known.
    agents[0].unlink();
    let body = enable("found = $SampleNodeCount.GetSample(1)");
    loop {
        let run = rig.post("/pools/p/evaluateautoscale", &body).send().await.expect(200).body;
        if run["results"].as_str().is_some_and(|it| it.ends_with(";found=[0]")) {
            break;
        }
    }
}

#[tokio::test]
async fn evaluations_go_on_after_a_restart() {
    let mut rig = eager_rig().await;
    rig.post("/pools", &scaled_body("p", "a = 1")).send().await.expect(201);
    rig.until("/pools/p", is_steady).await;
    rig.stop_server().await;
    rig.start_server().await;
    let first = rig.get("/pools/p").send().await.expect(200);
    let first = first.body["autoScaleRun"]["timestamp"].clone();
    assert!(first.is_string());
    rig.until("/pools/p", |it| it.body["autoScaleRun"]["timestamp"] != first).await;
}

#[tokio::test]
async fn a_prompt_server_evaluates_when_tasks_come() {
    let mut rig = Rig::configured(|config| {
        config.autoscale.interval = None;
        config.autoscale.is_prompt = true;
    })
    .await;
    let formula = "$TargetDedicatedNodes = $PendingTasks";
    rig.post("/pools", &scaled_body("p", formula)).send().await.expect(201);
    rig.job("j", "p").await;
    rig.tasks("j", 1).await;
    rig.ready(1).await;
}

#[tokio::test]
async fn a_pool_that_is_made_for_a_job_sizes_itself_at_once() {
    let mut rig = Rig::start().await;
    let mut pool = scaled_body("", "$TargetDedicatedNodes = 1");
    pool.as_object_mut().expect("members").remove("id");
    let auto = json!({ "poolLifetimeOption": "job", "pool": pool });
    let job = json!({ "id": "j", "poolInfo": { "autoPoolSpecification": auto } });
    rig.post("/jobs", &job).send().await.expect(201);
    rig.ready(1).await;
}
