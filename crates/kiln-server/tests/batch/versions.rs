//! Operations that an api-version does not have.

use serde_json::json;

use crate::rig::{Rig, pool_body};

#[tokio::test]
async fn an_operation_is_there_only_in_the_versions_that_have_it() {
    let rig = Rig::start().await;
    rig.job("j", "p").await;
    for (path, version, is_there) in [
        ("/nodeagentskus", "2016-07-01.3.1", true),
        ("/nodeagentskus", "2018-12-01.8.0", true),
        ("/nodeagentskus", "2019-06-01.9.0", false),
        ("/supportedimages", "2018-12-01.8.0", false),
        ("/supportedimages", "2019-06-01.9.0", true),
        ("/supportedimages", "2025-06-01", true),
        ("/jobs/j/taskcounts", "2017-05-01.5.0", false),
        ("/jobs/j/taskcounts", "2017-06-01.5.1", true),
        ("/nodecounts", "2017-06-01.5.1", false),
    ] {
        let reply = rig.get(path).version(version).send().await;
        if is_there {
            reply.expect(200);
        } else {
            reply.refuses(400, "InvalidUri");
        }
    }
}

#[tokio::test]
async fn a_newer_version_is_served_as_the_newest() {
    let rig = Rig::start().await;
    rig.post("/pools", &pool_body("p", 0)).version("2031-01-01").send().await.expect(201);
    rig.until("/pools/p", |it| it.body["allocationState"] == "steady").await;
    let newer = rig.get("/pools/p").version("2031-01-01").send().await.expect(200);
    let newest = rig.get("/pools/p").send().await.expect(200);
    assert_eq!(newer.body, newest.body);
    for unknown in ["2015-06-01.2.0", "2017-13-01", "yesterday"] {
        let refused = rig.get("/pools/p").version(unknown).send().await;
        refused.refuses(400, "UnsupportedRequestVersion");
    }
}

#[tokio::test]
async fn each_version_names_the_sizes_of_a_pool_its_way() {
    let rig = Rig::start().await;
    let old = "2016-07-01.3.1";
    let mut body = pool_body("p", 0);
    let members = body.as_object_mut().expect("members");
    members.remove("targetDedicatedNodes");
    members.insert("targetDedicated".to_owned(), json!(0));
    rig.post("/pools", &body).version(old).send().await.expect(201);
    let shown = rig.get("/pools/p").version(old).send().await.expect(200).body;
    assert_eq!(shown["currentDedicated"], 0);
    assert_eq!(shown["maxTasksPerNode"], 1);
    assert_eq!(shown.get("currentDedicatedNodes"), None);
    let resize = rig.post("/pools/p/resize", &json!({ "targetDedicated": 0 })).version(old);
    resize.send().await.expect(202);
}
