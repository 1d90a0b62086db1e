//! Members and values of recorded answers of the service, against the contract of their version.

use serde_json::{Value, json};

use super::super::{Shape, lower};
use super::violations;
use crate::api_version::ApiVersion;

#[test]
fn recorded_answers_fit_the_contract_of_their_version() {
    for (version, shape, answer) in [
        (ApiVersion::OLDEST, Shape::Pool, pool_2016()),
        (ApiVersion::OLDEST, Shape::Task, task_2016()),
        (ApiVersion::OLDEST, Shape::Job, job()),
        (ApiVersion::V2019_08_01, Shape::Job, job()),
        (ApiVersion::V2019_08_01, Shape::Pool, pool_2019()),
        (ApiVersion::V2019_08_01, Shape::Task, task_2019()),
        (ApiVersion::V2019_08_01, Shape::Node, node_2019()),
        (ApiVersion::V2019_08_01, Shape::NodeFile, file()),
    ] {
        let found = violations(version, shape, &answer);
        assert!(found.is_empty(), "{} {shape:?}: {found:#?}", version.as_str());
    }
}

/// What Kiln keeps of such a pool is shown to both versions as each recorded it.
#[test]
fn both_versions_see_what_they_recorded() {
    let task = json!({
        "id": "t",
        "commandLine": "echo",
        "userIdentity": { "autoUser": { "scope": "pool", "elevationLevel": "nonadmin" } },
        "requiredSlots": 1,
        "constraints": { "maxWallClockTime": "PT1H", "retentionTime": "P7D", "maxTaskRetryCount": 3 },
        "executionInfo": {
            "exitCode": 2, "retryCount": 3, "requeueCount": 0, "result": "failure",
            "failureInfo": { "category": "usererror", "code": "FailureExitCode", "message": "m" },
        },
    });
    let shown = lower(ApiVersion::V2019_08_01, Shape::Task, task.clone());
    assert_eq!(shown["executionInfo"]["failureInfo"]["category"], "UserError");
    assert_eq!(shown["executionInfo"]["result"], "failure");
    assert_eq!(shown.get("requiredSlots"), None);
    let shown = lower(ApiVersion::OLDEST, Shape::Task, task.clone());
    assert_eq!(shown["runElevated"], false);
    assert_eq!(
        shown["executionInfo"],
        json!({ "exitCode": 2, "retryCount": 3, "requeueCount": 0 })
    );
    let shown = lower(ApiVersion::NEWEST, Shape::Task, task.clone());
    assert_eq!(shown, task);
}

fn pool_2016() -> Value {
    json!({
        "odata.metadata": "https://h/$metadata#pools/@Element",
        "id": "p",
        "url": "https://h/pools/p",
        "eTag": "0x8D3B7CEDAC7E57D",
        "lastModified": "2016-07-29T16:39:05.1051389Z",
        "creationTime": "2016-07-29T16:37:23.8986833Z",
        "state": "active",
        "stateTransitionTime": "2016-07-29T16:37:23.8986833Z",
        "allocationState": "steady",
        "allocationStateTransitionTime": "2016-07-29T16:38:34.1843898Z",
        "vmSize": "small",
        "resizeTimeout": "PT15M",
        "currentDedicated": 3,
        "targetDedicated": 3,
        "enableAutoScale": false,
        "enableInterNodeCommunication": false,
        "metadata": [{ "name": "foo2", "value": "bar2" }],
        "maxTasksPerNode": 1,
        "taskSchedulingPolicy": { "nodeFillType": "Spread" },
        "cloudServiceConfiguration": { "osFamily": "4", "targetOSVersion": "*", "currentOSVersion": "*" },
    })
}

fn pool_2019() -> Value {
    json!({
        "id": "p",
        "state": "active",
        "vmSize": "standard_a1",
        "resizeTimeout": "PT15M",
        "currentDedicatedNodes": 0,
        "targetDedicatedNodes": 0,
        "currentLowPriorityNodes": 0,
        "targetLowPriorityNodes": 0,
        "maxTasksPerNode": 1,
        "certificateReferences": [],
        "userAccounts": [{
            "name": "u", "elevationLevel": "nonadmin",
            "windowsUserConfiguration": { "loginMode": "interactive" },
        }],
        "taskSchedulingPolicy": { "nodeFillType": "Spread" },
        "virtualMachineConfiguration": {
            "imageReference": {
                "publisher": "Canonical", "offer": "UbuntuServer", "sku": "16.04-LTS", "version": "latest",
            },
            "nodeAgentSKUId": "batch.node.ubuntu 16.04",
            "dataDisks": [
                { "lun": 1, "caching": "none", "diskSizeGB": 50, "storageAccountType": "standard_lrs" },
            ],
        },
    })
}

fn job() -> Value {
    json!({
        "id": "j",
        "state": "active",
        "priority": 500,
        "usesTaskDependencies": false,
        "constraints": { "maxWallClockTime": "P10675199DT2H48M5.4775807S", "maxTaskRetryCount": 3 },
        "poolInfo": { "poolId": "p" },
        "executionInfo": { "startTime": "2016-07-29T16:47:34.665685Z", "poolId": "p" },
        "onAllTasksComplete": "noaction",
        "onTaskFailure": "noaction",
    })
}

fn task_2016() -> Value {
    json!({
        "id": "t",
        "state": "active",
        "commandLine": "echo Hello World",
        "runElevated": false,
        "exitConditions": {
            "exitCodes": [{ "code": 1, "exitOptions": { "jobAction": "none" } }],
            "default": { "jobAction": "terminate" },
        },
        "executionInfo": { "retryCount": 0, "requeueCount": 0 },
    })
}

fn task_2019() -> Value {
    json!({
        "id": "t",
        "state": "completed",
        "previousState": "running",
        "commandLine": "cmd",
        "userIdentity": { "username": "u" },
        "authenticationTokenSettings": { "access": ["job"] },
        "executionInfo": {
            "startTime": "2019-08-05T19:41:49.291017Z",
            "exitCode": 2,
            "failureInfo": {
                "category": "UserError", "code": "FailureExitCode", "message": "m",
                "details": [{ "name": "Message", "value": "v" }],
            },
            "result": "failure",
            "retryCount": 3,
            "lastRetryTime": "2019-08-05T19:41:48.964211Z",
            "requeueCount": 0,
        },
        "nodeInfo": { "affinityId": "TVM:n", "nodeUrl": "https://h", "poolId": "p", "nodeId": "n" },
    })
}

fn node_2019() -> Value {
    json!({
        "id": "n",
        "state": "idle",
        "schedulingState": "enabled",
        "ipAddress": "10.218.0.6",
        "totalTasksRun": 0,
        "runningTasksCount": 0,
        "startTask": {
            "commandLine": "cmd",
            "userIdentity": { "autoUser": { "scope": "pool", "elevationLevel": "nonadmin" } },
            "maxTaskRetryCount": 0,
            "waitForSuccess": true,
        },
        "startTaskInfo": {
            "state": "completed", "startTime": "2019-08-05T21:20:52.357059Z", "exitCode": 0,
            "result": "success", "retryCount": 0,
        },
        "certificateReferences": [],
        "isDedicated": true,
        "endpointConfiguration": {
            "inboundEndpoints": [
                { "name": "SSHRule.0", "protocol": "tcp", "publicIPAddress": "203.0.113.2",
                  "frontendPort": 50000, "backendPort": 22 },
            ],
        },
        "nodeAgentInfo": { "lastUpdateTime": "2019-08-05T21:20:48.690167Z", "version": "1.6.3" },
    })
}

fn file() -> Value {
    json!({
        "name": "stdout.txt",
        "url": "https://h/jobs/j/tasks/t/files/stdout.txt",
        "isDirectory": false,
        "properties": {
            "lastModified": "2019-08-05T19:41:49Z", "contentLength": "13", "contentType": "text/plain",
        },
    })
}
