//! What the newest api-version assumes of members that a request leaves out.
//!
//! Written into every lifted body, so that nothing behind the edge has a default, and given
//! back with the resource as the service does. Older versions assumed other things in places;
//! their changes have written those down before this sees the body. What is not filled in
//! depends on something else than the body: a task's retries on its job, the expiry of a
//! node's user on the time, the identity of a pool on nothing at all.

use serde_json::{Value, json};

use super::changes::Object;

/// Fills in one object.
pub(crate) type Fill = fn(&mut Object);

/// Without end, as the service writes it.
const FOREVER: &str = "P10675199DT2H48M5.4775807S";

/// What to fill in objects of this model, if anything.
pub(crate) fn of(model: &str) -> Option<Fill> {
    let fill: Fill = match model {
        "PoolAddParameter" | "PoolSpecification" => pool,
        "PoolPatchParameter" => pool_patch,
        "PoolResizeParameter" | "NodeRemoveParameter" => resize,
        "StartTask" => start_task,
        "ImageReference" => image_reference,
        "CloudServiceConfiguration" => |it| set(it, "osVersion", "*"),
        "DataDisk" => data_disk,
        "NetworkConfiguration" => |it| set(it, "dynamicVNetAssignmentScope", "none"),
        "WindowsConfiguration" => |it| set(it, "enableAutomaticUpdates", true),
        "WindowsUserConfiguration" => |it| set(it, "loginMode", "batch"),
        "UserAccount" => |it| set(it, "elevationLevel", "nonadmin"),
        "ContainerRegistry" => |it| set(it, "registryServer", "docker.io"),
        "UserIdentity" => user_identity,
        "AutoUserSpecification" => auto_user,
        "AutoPoolSpecification" => |it| set(it, "keepAlive", false),
        "JobAddParameter" | "JobSpecification" => job,
        "JobUpdateParameter" => job_update,
        "JobConstraints" => job_constraints,
        "JobManagerTask" => job_manager,
        "JobPreparationTask" => preparation,
        "JobReleaseTask" => release,
        "JobTerminateParameter" => |it| set(it, "terminateReason", "UserTerminate"),
        "TaskAddParameter" => task,
        "TaskUpdateParameter" => constraints,
        "TaskConstraints" => task_constraints,
        "MultiInstanceSettings" => |it| set(it, "numberOfInstances", 1),
        "NodeRebootParameter" => |it| set(it, "nodeRebootOption", "requeue"),
        "NodeReimageParameter" => |it| set(it, "nodeReimageOption", "requeue"),
        "BatchNodeDeallocateOptions" => |it| set(it, "nodeDeallocateOption", "requeue"),
        "NodeDisableSchedulingParameter" => |it| set(it, "nodeDisableSchedulingOption", "requeue"),
        "ComputeNodeUser" => |it| set(it, "isAdmin", false),
        "CertificateReference" | "CertificateAddParameter" => |it| lower_case(it, "thumbprint"),
        _ => return None,
    };
    Some(fill)
}

fn set(it: &mut Object, name: &str, value: impl Into<Value>) {
    if !it.contains_key(name) {
        it.insert(name.to_owned(), value.into());
    }
}

/// Gives the member the case that the service gives it back in.
fn lower_case(it: &mut Object, name: &str) {
    if let Some(Value::String(text)) = it.get_mut(name) {
        text.make_ascii_lowercase();
    }
}

/// Fills in a member that is an object, whether it is there or not.
fn fill_in(it: &mut Object, name: &str, fill: Fill) {
    set(it, name, Object::new());
    if let Some(Value::Object(member)) = it.get_mut(name) {
        fill(member);
    }
}

fn pool(it: &mut Object) {
    lower_case(it, "vmSize");
    set(it, "resizeTimeout", "PT15M");
    set(it, "taskSlotsPerNode", 1);
    set(it, "taskSchedulingPolicy", json!({ "nodeFillType": "spread" }));
    set(it, "enableAutoScale", false);
    set(it, "enableInterNodeCommunication", false);
    if it.get("enableAutoScale") == Some(&Value::Bool(true)) {
        set(it, "autoScaleEvaluationInterval", "PT15M");
    } else {
        set(it, "targetDedicatedNodes", 0);
        set(it, "targetLowPriorityNodes", 0);
    }
}

fn pool_patch(it: &mut Object) {
    lower_case(it, "vmSize");
}

fn resize(it: &mut Object) {
    set(it, "resizeTimeout", "PT15M");
    set(it, "nodeDeallocationOption", "requeue");
}

/// The latest version of an image that is named by publisher, offer and sku.
fn image_reference(it: &mut Object) {
    if it.contains_key("publisher") {
        set(it, "version", "latest");
    }
}

/// As recorded: a disk without `caching` came back with none.
fn data_disk(it: &mut Object) {
    set(it, "caching", "none");
    fill_in(it, "managedDisk", |disk| set(disk, "storageAccountType", "standard_lrs"));
}

fn start_task(it: &mut Object) {
    user(it);
    set(it, "maxTaskRetryCount", 0);
    set(it, "waitForSuccess", true);
}

fn user(it: &mut Object) {
    fill_in(it, "userIdentity", user_identity);
}

fn user_identity(it: &mut Object) {
    if !it.contains_key("username") {
        fill_in(it, "autoUser", auto_user);
    }
}

fn auto_user(it: &mut Object) {
    set(it, "scope", "pool");
    set(it, "elevationLevel", "nonadmin");
}

fn job(it: &mut Object) {
    job_update(it);
    set(it, "usesTaskDependencies", false);
    set(it, "onTaskFailure", "noaction");
}

fn job_update(it: &mut Object) {
    set(it, "priority", 0);
    set(it, "maxParallelTasks", -1);
    set(it, "allowTaskPreemption", false);
    set(it, "onAllTasksComplete", "noaction");
    fill_in(it, "constraints", job_constraints);
}

fn job_constraints(it: &mut Object) {
    set(it, "maxWallClockTime", FOREVER);
    set(it, "maxTaskRetryCount", 0);
}

fn job_manager(it: &mut Object) {
    user(it);
    constraints(it);
    set(it, "requiredSlots", 1);
    set(it, "killJobOnCompletion", true);
    set(it, "runExclusive", true);
    set(it, "allowLowPriorityNode", true);
}

fn preparation(it: &mut Object) {
    set(it, "id", "jobpreparation");
    user(it);
    fill_in(it, "constraints", |constraints| {
        task_constraints(constraints);
        set(constraints, "maxTaskRetryCount", 0);
    });
    set(it, "waitForSuccess", true);
    set(it, "rerunOnNodeRebootAfterSuccess", true);
}

fn release(it: &mut Object) {
    set(it, "id", "jobrelease");
    user(it);
    set(it, "maxWallClockTime", "PT15M");
    set(it, "retentionTime", "P7D");
}

fn task(it: &mut Object) {
    user(it);
    constraints(it);
    set(it, "requiredSlots", 1);
}

fn constraints(it: &mut Object) {
    fill_in(it, "constraints", task_constraints);
}

/// Retries stay open: a task that says nothing has its job's.
fn task_constraints(it: &mut Object) {
    set(it, "maxWallClockTime", FOREVER);
    set(it, "retentionTime", "P7D");
}
