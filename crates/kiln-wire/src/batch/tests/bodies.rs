//! Bodies as real clients send them.

use serde_json::{Value, json};

use super::super::{Shape, lift, lower};
use crate::api_version::ApiVersion;

fn check(version: ApiVersion, shape: Shape, body: &Value, expect: &Value) {
    match lift(version, shape, body.to_string().as_bytes()) {
        Ok(lifted) => assert_eq!(lifted, *expect, "{} {body}", version.as_str()),
        Err(refusal) => assert_eq!(json!(refusal.to_string()), *expect, "{body}"),
    }
}

const FOREVER: &str = "P10675199DT2H48M5.4775807S";

#[test]
fn the_pool_of_the_first_tutorial() {
    let body = json!({
        "id": "PythonTutorialPool",
        "vmSize": "BASIC_A1",
        "targetDedicated": 1,
        "virtualMachineConfiguration": {
            "imageReference": { "publisher": "Canonical", "offer": "UbuntuServer", "sku": "16.04.0-LTS" },
            "nodeAgentSKUId": "batch.node.ubuntu 16.04",
        },
        "startTask": {
            "commandLine": "/bin/bash -c 'echo'",
            "runElevated": true,
            "waitForSuccess": true,
            "resourceFiles": [{ "blobSource": "https://a/b", "filePath": "b" }],
        },
    });
    let lifted = json!({
        "id": "PythonTutorialPool",
        "vmSize": "basic_a1",
        "targetDedicatedNodes": 1,
        "targetLowPriorityNodes": 0,
        "resizeTimeout": "PT15M",
        "taskSlotsPerNode": 1,
        "taskSchedulingPolicy": { "nodeFillType": "spread" },
        "enableAutoScale": false,
        "enableInterNodeCommunication": false,
        "virtualMachineConfiguration": {
            "imageReference": {
                "publisher": "Canonical", "offer": "UbuntuServer", "sku": "16.04.0-LTS", "version": "latest",
            },
            "nodeAgentSKUId": "batch.node.ubuntu 16.04",
        },
        "startTask": {
            "commandLine": "/bin/bash -c 'echo'",
            "userIdentity": { "autoUser": { "scope": "task", "elevationLevel": "admin" } },
            "maxTaskRetryCount": 0,
            "waitForSuccess": true,
            "resourceFiles": [{ "httpUrl": "https://a/b", "filePath": "b" }],
        },
    });
    check(ApiVersion::OLDEST, Shape::PoolAdd, &body, &lifted);
    let shown = lower(ApiVersion::OLDEST, Shape::Pool, lifted);
    assert_eq!(shown["targetDedicated"], 1);
    assert_eq!(shown["maxTasksPerNode"], 1);
    assert_eq!(shown["taskSchedulingPolicy"]["nodeFillType"], "Spread");
    assert_eq!(shown["startTask"]["runElevated"], true);
    assert_eq!(shown["startTask"]["resourceFiles"][0]["blobSource"], "https://a/b");
    assert_eq!(shown["startTask"].get("userIdentity"), None);
}

#[test]
fn a_task_says_what_its_version_means_by_silence() {
    let body = json!({ "id": "t", "commandLine": "a" });
    let task = |scope: &str, retention: &str| {
        json!({
            "id": "t",
            "commandLine": "a",
            "requiredSlots": 1,
            "userIdentity": { "autoUser": { "scope": scope, "elevationLevel": "nonadmin" } },
            "constraints": { "maxWallClockTime": FOREVER, "retentionTime": retention },
        })
    };
    for version in ApiVersion::all() {
        let scope = if version < ApiVersion::V2019_08_01 { "task" } else { "pool" };
        let retention = if version < ApiVersion::V2018_12_01 { FOREVER } else { "P7D" };
        check(version, Shape::TaskAdd, &body, &task(scope, retention));
        let many = json!({ "value": [body] });
        let lifted = json!({ "value": [task(scope, retention)] });
        check(version, Shape::TaskAddCollection, &many, &lifted);
    }
}

#[test]
fn a_job_has_its_defaults() {
    check(
        ApiVersion::V2022_10_01,
        Shape::JobAdd,
        &json!({ "id": "j", "poolInfo": { "poolId": "p" }, "onAllTasksComplete": "terminateJob",
                 "maxParallelTasks": -1, "displayName": null }),
        &json!({
            "id": "j",
            "poolInfo": { "poolId": "p" },
            "priority": 0,
            "maxParallelTasks": -1,
            "usesTaskDependencies": false,
            "allowTaskPreemption": false,
            "onAllTasksComplete": "terminatejob",
            "onTaskFailure": "noaction",
            "constraints": { "maxWallClockTime": FOREVER, "maxTaskRetryCount": 0 },
        }),
    );
}

#[test]
fn values_are_brought_to_one_spelling() {
    check(
        ApiVersion::NEWEST,
        Shape::PoolRemoveNodes,
        &json!({ "nodeList": ["a"], "resizeTimeout": "PT01H00M05S",
                 "nodeDeallocationOption": "TaskCompletion" }),
        &json!({ "nodeList": ["a"], "resizeTimeout": "PT1H5S",
                 "nodeDeallocationOption": "taskcompletion" }),
    );
    check(
        ApiVersion::NEWEST,
        Shape::NodeUserUpdate,
        &json!({ "expiryTime": "2030-01-01T00:00:00.000+00:00" }),
        &json!({ "expiryTime": "2030-01-01T00:00:00Z" }),
    );
}

#[test]
fn replacing_bodies_may_repeat_what_was_read() {
    let body = json!({
        "odata.metadata": "https://h/$metadata#jobs/@Element",
        "id": "j", "url": "https://h/jobs/j", "state": "active", "somethingNew": 1,
        "poolInfo": { "poolId": "p", "odata.type": "x" },
        "priority": 5,
    });
    check(
        ApiVersion::NEWEST,
        Shape::JobUpdate,
        &body,
        &json!({
            "poolInfo": { "poolId": "p" },
            "priority": 5,
            "maxParallelTasks": -1,
            "allowTaskPreemption": false,
            "onAllTasksComplete": "noaction",
            "constraints": { "maxWallClockTime": FOREVER, "maxTaskRetryCount": 0 },
        }),
    );
    let refused = "400 UnsupportedProperty: One of the properties specified in the request body \
                   is not supported. PropertyName=somethingNew";
    check(ApiVersion::NEWEST, Shape::JobPatch, &body, &json!(refused));
}

#[test]
fn what_is_wrong_is_named() {
    let missing = "400 MissingRequiredProperty: A required property was not specified in the \
                   request body. PropertyName=";
    let wrong = "400 InvalidPropertyValue: The value provided for one of the properties in the \
                 request body is invalid. PropertyName=";
    let unknown = "400 UnsupportedProperty: One of the properties specified in the request body \
                   is not supported. PropertyName=";
    let task = |more: Value| {
        let mut task = json!({ "id": "t", "commandLine": "a" });
        for (name, value) in more.as_object().into_iter().flatten() {
            task[name] = value.clone();
        }
        task
    };
    for (version, body, expect) in [
        (ApiVersion::NEWEST, json!({ "id": "t" }), format!("{missing}commandLine")),
        (
            ApiVersion::NEWEST,
            task(json!({ "requiredSlots": "2" })),
            format!(
                "{wrong}requiredSlots PropertyValue=2 Reason=The value must be a 32-bit integer"
            ),
        ),
        (
            ApiVersion::NEWEST,
            task(json!({ "environmentSettings": [{ "name": "A" }, { "value": "b" }] })),
            format!("{missing}environmentSettings[1].name"),
        ),
        (
            ApiVersion::NEWEST,
            task(json!({ "constraints": { "maxWallClockTime": "soon" } })),
            format!(
                "{wrong}constraints.maxWallClockTime PropertyValue=soon Reason=The value must be a \
                 duration in the form of ISO 8601, such as PT15M"
            ),
        ),
        (
            ApiVersion::NEWEST,
            task(json!({ "userIdentity": { "autoUser": { "scope": "world" } } })),
            format!(
                "{wrong}userIdentity.autoUser.scope PropertyValue=world Reason=The value must be one of: pool, task"
            ),
        ),
        (
            ApiVersion::V2020_03_01,
            task(json!({ "requiredSlots": 2 })),
            format!("{unknown}requiredSlots"),
        ),
        (ApiVersion::NEWEST, task(json!({ "comandLine": "a" })), format!("{unknown}comandLine")),
        (
            ApiVersion::NEWEST,
            task(json!({ "resourceFiles": {} })),
            format!("{wrong}resourceFiles PropertyValue={{}} Reason=The value must be a list"),
        ),
    ] {
        check(version, Shape::TaskAdd, &body, &json!(expect));
    }
}

#[test]
fn bodies_that_are_no_objects_are_refused() {
    for body in ["", "{", "[]", "1", "\"a\"", "{}{}"] {
        let refusal =
            lift(ApiVersion::NEWEST, Shape::TaskAdd, body.as_bytes()).expect_err("no body");
        assert_eq!(refusal.code, "InvalidRequestBody", "{body}");
    }
    for body in ["", "\u{feff}", "{}"] {
        let lifted = lift(ApiVersion::NEWEST, Shape::NodeReboot, body.as_bytes());
        assert_eq!(lifted, Ok(json!({ "nodeRebootOption": "requeue" })), "{body}");
    }
}

#[test]
fn counts_of_tasks_were_flat() {
    let counts = json!({ "active": 1, "running": 0, "completed": 3, "succeeded": 2, "failed": 1 });
    let newest = json!({ "taskCounts": counts, "taskSlotCounts": counts });
    let lowered = |version| lower(version, Shape::TaskCounts, newest.clone());
    assert_eq!(lowered(ApiVersion::NEWEST), newest);
    assert_eq!(lowered(ApiVersion::V2020_09_01), newest);
    assert_eq!(lowered(ApiVersion::V2020_03_01), counts);
    assert_eq!(lowered(ApiVersion::V2017_06_01)["validationStatus"], "validated");
}
