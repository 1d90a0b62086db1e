//! What pools used: their statistics, those of all pools there ever were, and use by intervals.

use std::time::Duration;

use kiln_domain::autoscale::Measurement;
use kiln_domain::span::Span;
use kiln_domain::time::{TICKS_PER_SECOND, Timestamp};
use kiln_wire::node::FromAgent;
use serde_json::{Value, json};

use crate::rig::{Agent, Ask, Rig};

const OLD: &str = "2016-07-01.3.1";
const LATER: &str = "2019-08-01.10.0";
const GIB: u64 = 1 << 30;

/// A server that counts all the time.
async fn eager_rig() -> Rig {
    Rig::configured(|config| config.usage_period = Duration::from_millis(10)).await
}

/// A node of two processors, `seconds` after another time, with so much in use.
fn measured(seconds: i64, in_use: u64) -> Measurement {
    let moved = u64::try_from(seconds).expect("later") * GIB;
    Measurement {
        at: Timestamp(seconds * TICKS_PER_SECOND),
        processors: 2,
        cpu: Span::seconds(seconds),
        memory_bytes: in_use,
        disk_bytes: 2 * in_use,
        disk_read_bytes: moved,
        disk_write_bytes: 2 * moved,
        disk_read_ops: 3 * moved,
        disk_write_ops: 4 * moved,
        network_in_bytes: 5 * moved,
        network_out_bytes: 6 * moved,
    }
}

async fn measure(agent: &mut Agent, seconds: i64, in_use: u64) {
    let measured = Some(measured(seconds, in_use));
    agent.say(&[FromAgent::Heartbeat { measured }]).await;
}

async fn stats(rig: &Rig, pool: &str) -> Value {
    let asked = rig.get(pool).query("$expand", "stats").send().await.expect(200);
    asked.body["stats"].clone()
}

/// Waits until so many reads are counted.
async fn until_read(rig: &Rig, gibibytes: f64) -> Value {
    let path = "/pools?$expand=stats";
    let reply = rig.until(path, |reply| {
        reply.body["value"][0]["stats"]["resourceStats"]["diskReadGiB"] == gibibytes
    });
    reply.await.body["value"][0]["stats"].clone()
}

fn span(shown: &Value) -> Span {
    Span::parse(shown.as_str().expect("a span")).expect("a span")
}

fn metrics(rig: &Rig) -> Ask {
    rig.get("/poolusagemetrics").query("startTime", "2016-01-01T00:00:00Z")
}

#[tokio::test]
async fn a_pool_shows_what_its_nodes_took() {
    let mut rig = eager_rig().await;
    let mut agents = rig.pool("p", 2, json!({ "vmSize": "standard_d4s_v3" })).await;
    let [first, second] = agents.as_mut_slice() else { unreachable!("two nodes") };
    measure(first, 10, 9 * GIB).await;
    measure(first, 40, GIB).await;
    measure(second, 100, 3 * GIB).await;
    measure(second, 130, 3 * GIB).await;
    let mut shown = until_read(&rig, 60.0).await;
    let pool = rig.get("/pools/p").send().await.expect(200).body;
    assert_eq!(pool["stats"], Value::Null, "only when expanded");
    let usage = shown["usageStats"].take();
    assert!(span(&usage["dedicatedCoreTime"]) > Span::ZERO, "{usage}");
    for name in ["startTime", "lastUpdateTime"] {
        let resources = shown["resourceStats"].as_object_mut().expect("members");
        assert!(resources.remove(name).is_some_and(|it| it.is_string()), "{name}");
        assert!(shown[name].take().is_string() && usage[name].is_string(), "{name}");
    }
    let moved = 60 * GIB;
    assert_eq!(
        shown,
        json!({
            "url": format!("{}/pools/p/stats", rig.url()),
            "startTime": null,
            "lastUpdateTime": null,
            "usageStats": null,
            "resourceStats": {
                "avgCPUPercentage": 50.0,
                "avgMemoryGiB": 2.0,
                "peakMemoryGiB": 9.0,
                "avgDiskGiB": 4.0,
                "peakDiskGiB": 18.0,
                "diskReadIOps": (3 * moved).to_string(),
                "diskWriteIOps": (4 * moved).to_string(),
                "diskReadGiB": 60.0,
                "diskWriteGiB": 120.0,
                "networkReadGiB": 300.0,
                "networkWriteGiB": 360.0,
            },
        })
    );
}

#[tokio::test]
async fn time_of_cores_counts_while_a_pool_has_machines() {
    let mut rig = eager_rig().await;
    rig.pool("empty", 0, json!({})).await;
    assert_eq!(stats(&rig, "/pools/empty").await, Value::Null, "it never had a node");
    let begun = crate::rig::now();
    let spot = json!({ "vmSize": "standard_d4s_v3", "targetLowPriorityNodes": 1 });
    let mut agents = rig.pool("p", 1, spot).await;
    agents.extend(rig.ready(1).await);
    let before = stats(&rig, "/pools/p").await;
    let later = rig.until("/pools/p?$expand=stats", |reply| {
        let now = &reply.body["stats"]["usageStats"];
        span(&now["dedicatedCoreTime"]) > span(&before["usageStats"]["dedicatedCoreTime"])
    });
    let later = later.await.body["stats"]["usageStats"].clone();
    // Of the dedicated node alone, which has four cores.
    let longest = crate::rig::now().span_since(begun).ticks() * 4;
    assert!(span(&later["dedicatedCoreTime"]).ticks() <= longest, "{later}");
    let none = json!({ "targetDedicatedNodes": 0, "targetLowPriorityNodes": 0 });
    rig.until("/pools/p", |reply| reply.body["allocationState"] == "steady").await;
    rig.post("/pools/p/resize", &none).send().await.expect(202);
    for agent in agents {
        agent.leave().await;
    }
    rig.until("/pools/p", |reply| reply.body["allocationState"] == "steady").await;
    let (once, again) = (stats(&rig, "/pools/p").await, stats(&rig, "/pools/p").await);
    assert_eq!(once, again, "a pool without machines uses nothing");
}

#[tokio::test]
async fn lifetime_statistics_of_pools_outlive_pools_and_servers() {
    let mut rig = eager_rig().await;
    let whole = |rig: &Rig| rig.get("/lifetimepoolstats").version(OLD);
    let fresh = whole(&rig).send().await.expect(200).body;
    let base = rig.url().to_owned();
    assert_eq!(fresh["url"], format!("{base}/lifetimepoolstats"));
    assert_eq!(fresh["odata.metadata"], format!("{base}/$metadata#poolstats/@Element"));
    // As recorded of an account in which nothing ran yet.
    assert_eq!(fresh["usageStats"]["dedicatedCoreTime"], "PT0S");
    assert_eq!(fresh["usageStats"]["startTime"], fresh["usageStats"]["lastUpdateTime"]);
    assert_eq!(fresh["startTime"], Value::Null, "only the parts have times");
    let mut agents = rig.pool("p", 1, json!({})).await;
    measure(&mut agents[0], 10, GIB).await;
    measure(&mut agents[0], 20, GIB).await;
    until_read(&rig, 10.0).await;
    rig.delete("/pools/p").send().await.expect(202);
    for agent in agents {
        agent.leave().await;
    }
    rig.until("/pools/p", |reply| reply.status == 404).await;
    rig.stop_server().await;
    rig.start_server().await;
    let after = whole(&rig).send().await.expect(200).body;
    assert_eq!(after["usageStats"]["startTime"], fresh["usageStats"]["startTime"]);
    assert!(span(&after["usageStats"]["dedicatedCoreTime"]) > Span::ZERO, "{after}");
    assert_eq!(after["resourceStats"]["diskReadGiB"], 10.0);
    assert_eq!(after["resourceStats"]["peakMemoryGiB"], 1.0);
    // Gone since 2023-05-01.17.0.
    rig.get("/lifetimepoolstats").send().await.refuses(400, "InvalidUri");
}

#[tokio::test]
async fn usage_is_listed_by_intervals_also_of_pools_that_are_gone() {
    let mut rig = eager_rig().await;
    for id in ["a", "b"] {
        let mut agents = rig.pool(id, 1, json!({})).await;
        measure(&mut agents[0], 10, GIB).await;
        measure(&mut agents[0], 20, GIB).await;
        rig.delete(&format!("/pools/{id}")).send().await.expect(202);
        for agent in agents {
            agent.leave().await;
        }
        rig.until(&format!("/pools/{id}"), |reply| reply.status == 404).await;
    }
    let path = "/poolusagemetrics?starttime=2016-01-01T00:00:00Z";
    let shown = rig.until_in(OLD, path, |reply| {
        let all = reply.body["value"].as_array().cloned().unwrap_or_default();
        all.iter().filter(|it| it["dataIngressGiB"] == 50.0).count() == 2
    });
    let shown = shown.await.body;
    assert_eq!(shown["odata.metadata"], format!("{}/$metadata#poolusagemetrics", rig.url()));
    let item = &shown["value"][0];
    let (from, to) = (&item["startTime"], &item["endTime"]);
    let at = |it: &Value| Timestamp::parse_iso(it.as_str().expect("a time")).expect("a time");
    assert_eq!(at(from).0 % Span::minutes(30).ticks(), 0, "{from}");
    assert!(at(from) < at(to), "{from} {to}");
    assert!(item["totalCoreHours"].as_f64().is_some_and(|it| it > 0.0 && it < 1.0), "{item}");
    assert_eq!(item["dataEgressGiB"], 60.0);
    let names = |it: &Value| it.as_object().expect("members").keys().cloned().collect::<Vec<_>>();
    let newer = rig.get(path).version(LATER).send().await.expect(200).body;
    assert_eq!(
        names(&newer["value"][0]).join(" "),
        "endTime poolId startTime totalCoreHours vmSize"
    );
}

#[tokio::test]
async fn usage_is_asked_for_by_pool_time_and_page() {
    let mut rig = eager_rig().await;
    for id in ["alpha", "beta"] {
        rig.pool(id, 1, json!({})).await;
    }
    let named = |ask: Ask| async move {
        let body = ask.send().await.expect(200).body;
        let pools = body["value"].as_array().expect("a list").iter();
        let mut ids: Vec<_> =
            pools.map(|it| it["poolId"].as_str().expect("an id").to_owned()).collect();
        ids.sort();
        ids.dedup();
        (ids.join(" "), body["odata.nextLink"].is_string())
    };
    let both = |reply: &crate::rig::Reply| {
        let text = reply.body["value"].to_string();
        text.contains("alpha") && text.contains("beta")
    };
    rig.until("/poolusagemetrics?startTime=2016-01-01T00:00:00Z", both).await;
    let filtered = |filter: &str| metrics(&rig).query("$filter", filter);
    assert_eq!(named(filtered("poolId eq 'BETA'")).await.0, "beta");
    assert_eq!(named(filtered("startswith(poolId,'al')")).await.0, "alpha");
    assert_eq!(named(filtered("poolId gt 'alpha'")).await.0, "beta");
    filtered("vmSize eq 'x'").send().await.refuses(400, "InvalidQueryParameterValue");
    assert_eq!(named(metrics(&rig).query("maxresults", "1")).await, ("alpha".to_owned(), true));
    // The half hour that is under way is not over.
    assert_eq!(named(rig.get("/poolusagemetrics")).await.0, "");
    let past = metrics(&rig).query("endtime", "2017-01-01T00:00:00Z");
    assert_eq!(named(past).await.0, "");
    let wrong = rig.get("/poolusagemetrics").query("startTime", "yesterday");
    let reply = wrong.send().await.refuses(400, "InvalidQueryParameterValue");
    assert!(reply.body.to_string().contains("yesterday"), "{:?}", reply.body);
    let backwards = metrics(&rig).query("endtime", "2015-01-01T00:00:00Z");
    backwards.send().await.refuses(400, "InvalidQueryParameterValue");
}

#[tokio::test]
async fn nodes_that_went_on_while_no_server_ran_are_counted() {
    let mut rig = eager_rig().await;
    let agents = rig.pool("p", 2, json!({})).await;
    let before = span(&stats(&rig, "/pools/p").await["usageStats"]["dedicatedCoreTime"]);
    let stopped_at = crate::rig::now();
    rig.stop_server().await;
    let started_at = crate::rig::now();
    rig.start_server().await;
    let after = span(&stats(&rig, "/pools/p").await["usageStats"]["dedicatedCoreTime"]);
    let gap = started_at.span_since(stopped_at).ticks();
    assert!(after.minus(before).ticks() >= 2 * gap, "{before} {after} {gap}");
    drop(agents);
}
