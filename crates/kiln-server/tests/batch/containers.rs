//! Pools that run containers, and what may run on them.

use kiln_domain::batch::container::ContainerInfo;
use kiln_wire::node::{Outcome, Report};
use serde_json::{Value, json};

use crate::rig::{Rig, pool_body};

/// A pool of no nodes that runs containers.
fn pool_of_containers(id: &str) -> Value {
    let mut pool = pool_body(id, 0);
    pool["virtualMachineConfiguration"]["containerConfiguration"] = configuration();
    pool
}

fn configuration() -> Value {
    json!({
        "type": "dockerCompatible",
        "containerImageNames": ["busybox", "acme.azurecr.io/tool:1"],
        "containerRegistries": [{
            "registryServer": "acme.azurecr.io", "username": "me", "password": "hush-hush",
        }],
    })
}

fn settings() -> Value {
    json!({
        "imageName": "acme.azurecr.io/tool:1",
        "containerRunOptions": "--rm",
        "workingDirectory": "containerImageDefault",
        "registry": { "username": "me", "password": "hush-hush" },
        "containerHostBatchBindMounts": [{ "source": "Shared", "isReadOnly": true }],
    })
}

#[tokio::test]
async fn a_pool_keeps_how_it_runs_containers() {
    let rig = Rig::start().await;
    let mut body = pool_of_containers("c");
    body["startTask"] = json!({ "commandLine": "true", "containerSettings": settings() });
    rig.post("/pools", &body).send().await.expect(201);
    let shown = rig.get("/pools/c").send().await.expect(200).body;
    let machine = &shown["virtualMachineConfiguration"]["containerConfiguration"];
    assert_eq!(machine["type"], "dockerCompatible");
    assert_eq!(machine["containerImageNames"], configuration()["containerImageNames"]);
    let registry = &machine["containerRegistries"][0];
    assert_eq!(
        (&registry["registryServer"], &registry["username"]),
        (&json!("acme.azurecr.io"), &json!("me"))
    );
    let start = &shown["startTask"]["containerSettings"];
    assert_eq!(start["containerHostBatchBindMounts"], settings()["containerHostBatchBindMounts"]);
    assert_eq!(start["workingDirectory"], "containerImageDefault");
    assert!(!shown.to_string().contains("hush-hush"), "{shown}");
    // Older versions know less of it, and call it otherwise.
    for (version, kind, has_mounts) in [
        ("2017-09-01.6.0", Some("docker"), false),
        ("2018-08-01.7.0", Some("dockerCompatible"), false),
        ("2023-11-01.18.0", Some("dockerCompatible"), false),
        ("2024-07-01.20.0", Some("dockerCompatible"), true),
        ("2017-06-01.5.1", None, false),
    ] {
        let shown = rig.get("/pools/c").version(version).send().await.expect(200).body;
        let machine = &shown["virtualMachineConfiguration"]["containerConfiguration"];
        assert_eq!(machine["type"].as_str(), kind, "{version}");
        let start = &shown["startTask"]["containerSettings"];
        assert_eq!(start["imageName"].is_string(), kind.is_some(), "{version}");
        assert_eq!(start["containerHostBatchBindMounts"].is_array(), has_mounts, "{version}");
    }
    // The node hears what clients are not shown.
    rig.post("/pools/c/resize", &json!({ "targetDedicatedNodes": 1 })).send().await.expect(202);
    let mut rig = rig;
    let mut agent = rig.agent().await;
    let prepare = agent.prepare().await;
    let containers = prepare.containers.expect("it runs containers");
    assert_eq!(containers.container_registries[0].password.as_deref(), Some("hush-hush"));
    let start =
        prepare.start_task.and_then(|task| task.container_settings).expect("in a container");
    assert_eq!(start.registry.and_then(|it| it.password).as_deref(), Some("hush-hush"));
}

#[tokio::test]
async fn pools_say_by_name_what_is_wrong_with_their_containers() {
    let rig = Rig::start().await;
    let refused = async |change: &dyn Fn(&mut Value), name: &str| {
        let mut body = pool_of_containers("c");
        change(&mut body);
        let reply = rig.post("/pools", &body).send().await.expect(400);
        let said = reply.body.to_string();
        assert_eq!(reply.body["code"], "InvalidPropertyValue", "{said}");
        assert!(said.contains(name), "{said}");
    };
    let machine = "/virtualMachineConfiguration/containerConfiguration";
    let set = |pointer: &str, value: Value| {
        let pointer = format!("{machine}{pointer}");
        move |body: &mut Value| *body.pointer_mut(&pointer).expect("there") = value.clone()
    };
    refused(&set("/type", json!("rocket")), "containerConfiguration.type").await;
    refused(&set("/containerImageNames/0", json!("")), "containerImageNames").await;
    let twice = json!([
        { "registryServer": "A.example", "username": "u", "password": "p" },
        { "registryServer": "https://a.example/", "username": "u", "password": "p" },
    ]);
    refused(&set("/containerRegistries", twice), "registryServer").await;
    let without = |body: &mut Value| {
        body["virtualMachineConfiguration"]
            .as_object_mut()
            .expect("members")
            .remove("containerConfiguration");
        body["startTask"] =
            json!({ "commandLine": "true", "containerSettings": { "imageName": "a" } });
    };
    refused(&without, "startTask.containerSettings").await;
    let unseen = |body: &mut Value| {
        let settings = json!({ "imageName": "a", "containerHostBatchBindMounts": [] });
        body["startTask"] = json!({ "commandLine": "true", "containerSettings": settings });
    };
    refused(&unseen, "startTask.containerSettings.workingDirectory").await;
}

#[tokio::test]
async fn tasks_fit_the_pool_they_are_added_to() {
    let rig = Rig::start().await;
    rig.post("/pools", &pool_of_containers("c")).send().await.expect(201);
    rig.post("/pools", &pool_body("plain", 0)).send().await.expect(201);
    for pool in ["c", "plain", "later"] {
        rig.job(pool, pool).await;
    }
    let with = json!({ "id": "with", "commandLine": "", "containerSettings": settings() });
    let without = json!({ "id": "without", "commandLine": "true" });
    for (job, task, status) in [
        ("c", &with, 201),
        ("c", &without, 400),
        ("plain", &with, 400),
        ("plain", &without, 201),
        // Nobody knows yet.
        ("later", &with, 201),
        ("later", &without, 201),
    ] {
        let reply = rig.post(&format!("/jobs/{job}/tasks"), task).send().await.expect(status);
        if status == 400 {
            let said = reply.body.to_string();
            assert!(
                said.contains("InvalidPropertyValue") && said.contains("containerSettings"),
                "{said}"
            );
        }
    }
    let many = json!({ "value": [
        { "id": "a", "commandLine": "", "containerSettings": { "imageName": "busybox" } },
        { "id": "b", "commandLine": "true" },
    ] });
    let results = rig.post("/jobs/c/addtaskcollection", &many).send().await.expect(200).body;
    let statuses = [&results["value"][0]["status"], &results["value"][1]["status"]];
    assert_eq!(statuses, ["success", "clienterror"]);
    // Managers must, what prepares and releases nodes may.
    for (id, member, task, status) in [
        ("m1", "jobManagerTask", json!({ "id": "m", "commandLine": "true" }), 400),
        (
            "m2",
            "jobManagerTask",
            json!({ "id": "m", "commandLine": "true", "containerSettings": settings() }),
            201,
        ),
        ("p1", "jobPreparationTask", json!({ "commandLine": "true" }), 201),
        (
            "p2",
            "jobPreparationTask",
            json!({ "commandLine": "true", "containerSettings": settings() }),
            201,
        ),
    ] {
        let job = json!({ "id": id, "poolInfo": { "poolId": "c" }, member: task });
        let reply = rig.post("/jobs", &job).send().await.expect(status);
        let names = reply.body.to_string().contains("jobManagerTask.containerSettings");
        assert_eq!(names, status == 400, "{id}: {}", reply.body);
    }
    let job = json!({
        "id": "p3", "poolInfo": { "poolId": "plain" },
        "jobPreparationTask": { "commandLine": "true", "containerSettings": settings() },
    });
    let said = rig.post("/jobs", &job).send().await.expect(400).body.to_string();
    assert!(said.contains("jobPreparationTask.containerSettings"), "{said}");
    // The pool that a job describes counts as well.
    let mut described = pool_of_containers("");
    described.as_object_mut().expect("members").remove("id");
    let auto = json!({ "poolLifetimeOption": "job", "pool": described });
    let manager = json!({ "id": "m", "commandLine": "true" });
    let job = json!({ "id": "auto", "poolInfo": { "autoPoolSpecification": auto }, "jobManagerTask": manager });
    let said = rig.post("/jobs", &job).send().await.expect(400).body.to_string();
    assert!(said.contains("jobManagerTask.containerSettings"), "{said}");
}

#[tokio::test]
async fn a_task_shows_its_container() {
    let mut rig = Rig::start().await;
    let configuration = pool_of_containers("")["virtualMachineConfiguration"].clone();
    let mut agents =
        rig.pool("c", 1, json!({ "virtualMachineConfiguration": configuration })).await;
    let agent = &mut agents[0];
    rig.job("j", "c").await;
    rig.task("j", "t", json!({ "containerSettings": settings() })).await;
    let run = agent.run().await;
    let wanted = run.task.container_settings.expect("in a container");
    assert_eq!(wanted.container_run_options.as_deref(), Some("--rm"));
    let info = |state: &str| {
        let container_id = "c0ffee".to_owned();
        ContainerInfo { container_id, state: state.to_owned(), error: String::new() }
    };
    let running = Report::Contained { attempt: run.attempt.clone(), container: info("running") };
    agent.report(running).await;
    let shown = async |version: &str| {
        let task = rig.get("/jobs/j/tasks/t").version(version).send().await.expect(200).body;
        assert!(!task.to_string().contains("hush-hush"), "{task}");
        task["executionInfo"]["containerInfo"].clone()
    };
    let expected = |state: &str| json!({ "containerId": "c0ffee", "state": state, "error": "" });
    assert_eq!(shown("2025-06-01").await, expected("running"));
    agent.container = Some(info("exited"));
    agent.end(&run.attempt, Outcome::Exited { exit_code: 0 }).await;
    assert_eq!(shown("2017-09-01.6.0").await, expected("exited"));
    assert_eq!(shown("2017-06-01.5.1").await, Value::Null);
}
