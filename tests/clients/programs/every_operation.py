"""Calls every operation that an azure-batch package has, and tells which it did not call.

    python every_operation.py SETTINGS.json

One story uses them all: certificates where there are any, a pool and its nodes, a job and its
tasks and files, a job schedule, then everything is taken down. What differs between packages
is only how things are spelled; `sdk.py` of the story knows that.
"""

import base64
import datetime
import hashlib
import json
import sys
import time

PATIENCE_SECONDS = 60

# The operations by the names they have in azure-batch 2 to 14, and in 15.
NAMES_SINCE_15 = {
    "account.list_pool_node_counts": "list_pool_node_counts",
    "account.list_supported_images": "list_supported_images",
    "application.get": "get_application",
    "application.list": "list_applications",
    "compute_node.add_user": "create_node_user",
    "compute_node.deallocate": "begin_deallocate_node",
    "compute_node.delete_user": "delete_node_user",
    "compute_node.disable_scheduling": "disable_node_scheduling",
    "compute_node.enable_scheduling": "enable_node_scheduling",
    "compute_node.get": "get_node",
    "compute_node.get_remote_login_settings": "get_node_remote_login_settings",
    "compute_node.list": "list_nodes",
    "compute_node.reboot": "begin_reboot_node",
    "compute_node.reimage": "begin_reimage_node",
    "compute_node.start": "begin_start_node",
    "compute_node.update_user": "replace_node_user",
    "compute_node.upload_batch_service_logs": "upload_node_logs",
    "compute_node_extension.get": "get_node_extension",
    "compute_node_extension.list": "list_node_extensions",
    "file.delete_from_compute_node": "delete_node_file",
    "file.delete_from_task": "delete_task_file",
    "file.get_from_compute_node": "download_node_file",
    "file.get_from_task": "download_task_file",
    "file.get_properties_from_compute_node": "get_node_file_properties",
    "file.get_properties_from_task": "get_task_file_properties",
    "file.list_from_compute_node": "list_node_files",
    "file.list_from_task": "list_task_files",
    "job.add": "create_job",
    "job.delete": "begin_delete_job",
    "job.disable": "begin_disable_job",
    "job.enable": "begin_enable_job",
    "job.get": "get_job",
    "job.get_task_counts": "get_job_task_counts",
    "job.list": "list_jobs",
    "job.list_from_job_schedule": "list_jobs_from_schedule",
    "job.list_preparation_and_release_task_status": "list_job_preparation_and_release_task_status",
    "job.patch": "update_job",
    "job.terminate": "begin_terminate_job",
    "job.update": "replace_job",
    "job_schedule.add": "create_job_schedule",
    "job_schedule.delete": "begin_delete_job_schedule",
    "job_schedule.disable": "disable_job_schedule",
    "job_schedule.enable": "enable_job_schedule",
    "job_schedule.exists": "job_schedule_exists",
    "job_schedule.get": "get_job_schedule",
    "job_schedule.list": "list_job_schedules",
    "job_schedule.patch": "update_job_schedule",
    "job_schedule.terminate": "begin_terminate_job_schedule",
    "job_schedule.update": "replace_job_schedule",
    "pool.add": "create_pool",
    "pool.delete": "begin_delete_pool",
    "pool.disable_auto_scale": "disable_pool_auto_scale",
    "pool.enable_auto_scale": "enable_pool_auto_scale",
    "pool.evaluate_auto_scale": "evaluate_pool_auto_scale",
    "pool.exists": "pool_exists",
    "pool.get": "get_pool",
    "pool.list": "list_pools",
    "pool.list_usage_metrics": "list_pool_usage_metrics",
    "pool.patch": "update_pool",
    "pool.remove_nodes": "begin_remove_nodes",
    "pool.resize": "begin_resize_pool",
    "pool.stop_resize": "begin_stop_pool_resize",
    "pool.update_properties": "replace_pool_properties",
    "task.add": "create_task",
    "task.add_collection": "create_task_collection",
    "task.add_many": "create_tasks",
    "task.delete": "delete_task",
    "task.get": "get_task",
    "task.list": "list_tasks",
    "task.list_subtasks": "list_subtasks",
    "task.reactivate": "reactivate_task",
    "task.terminate": "terminate_task",
    "task.update": "replace_task",
}
# Not operations of the service.
PLUMBING_SINCE_15 = {"close", "send_request"}
NAMES_IN_1 = {
    "job.get_all_lifetime_statistics": "job.get_all_jobs_lifetime_statistics",
    "pool.get_all_lifetime_statistics": "pool.get_all_pools_lifetime_statistics",
    "pool.list_usage_metrics": "pool.list_pool_usage_metrics",
    "file.get_properties_from_task": "file.get_node_file_properties_from_task",
    "file.get_properties_from_compute_node": "file.get_node_file_properties_from_compute_node",
}
MODELS_SINCE_15 = {
    "PoolAddParameter": "BatchPoolCreateOptions",
    "PoolPatchParameter": "BatchPoolUpdateOptions",
    "PoolUpdatePropertiesParameter": "BatchPoolReplaceOptions",
    "PoolResizeParameter": "BatchPoolResizeOptions",
    "NodeRemoveParameter": "BatchNodeRemoveOptions",
    "ComputeNodeUser": "BatchNodeUserCreateOptions",
    "NodeUpdateUserParameter": "BatchNodeUserReplaceOptions",
    "UploadBatchServiceLogsConfiguration": "UploadBatchServiceLogsOptions",
    "JobAddParameter": "BatchJobCreateOptions",
    "JobPatchParameter": "BatchJobUpdateOptions",
    "JobUpdateParameter": "BatchJob",
    "JobConstraints": "BatchJobConstraints",
    "PoolInformation": "BatchPoolInfo",
    "JobPreparationTask": "BatchJobPreparationTask",
    "JobReleaseTask": "BatchJobReleaseTask",
    "JobScheduleAddParameter": "BatchJobScheduleCreateOptions",
    "JobSchedulePatchParameter": "BatchJobScheduleUpdateOptions",
    "JobScheduleUpdateParameter": "BatchJobSchedule",
    "Schedule": "BatchJobScheduleConfiguration",
    "JobSpecification": "BatchJobSpecification",
    "TaskAddParameter": "BatchTaskCreateOptions",
    "TaskConstraints": "BatchTaskConstraints",
    "ImageReference": "BatchVmImageReference",
    "MetadataItem": "BatchMetadataItem",
    "StartTask": "BatchStartTask",
}

# Bodies that may be left out; the package of 15.1.0 then fails to make the request, and also
# when they are empty; some of their classes are not even public.
BODIES_SINCE_15 = {
    "compute_node.disable_scheduling": (
        "BatchNodeDisableSchedulingOptions", {"node_disable_scheduling_option": "requeue"}),
    "compute_node.deallocate": ("BatchNodeDeallocateOptions", {"node_deallocate_option": "requeue"}),
    "compute_node.reboot": ("BatchNodeRebootOptions", {"node_reboot_kind": "requeue"}),
    "compute_node.reimage": ("BatchNodeReimageOptions", {"node_reimage_option": "requeue"}),
    "job.terminate": ("BatchJobTerminateOptions", {"termination_reason": "done"}),
}  # fmt: skip


class Sdk:
    """One installed azure-batch, called by one set of names."""

    def __init__(self, version, account, key, url):
        self.generation = int(version.split(".")[0])
        self.called = set()
        if self.generation >= 15:
            from azure.batch import BatchClient, models
            from azure.core.credentials import AzureNamedKeyCredential

            self.client = BatchClient(url, AzureNamedKeyCredential(account, key))
        else:
            from azure.batch import BatchServiceClient, batch_auth, models

            credentials = batch_auth.SharedKeyCredentials(account, key)
            named = {"batch_url" if self.generation >= 6 else "base_url": url}
            self.client = BatchServiceClient(credentials, **named)
        self.models = models

    def operations(self):
        """The names of all operations that the package has."""
        if self.generation >= 15:
            names = {name for name in dir(self.client) if not name.startswith("_")}
            return names - PLUMBING_SINCE_15
        found = set()
        for group, operations in vars(self.client).items():
            if type(operations).__name__.endswith("Operations"):
                for name in dir(operations):
                    if not name.startswith("_") and name != "models" and callable(getattr(operations, name)):
                        found.add("{}.{}".format(group, name))
        return found

    def spelled(self, operation):
        if self.generation >= 15:
            return NAMES_SINCE_15.get(operation, operation)
        return NAMES_IN_1.get(operation, operation) if self.generation == 1 else operation

    def has(self, operation):
        return self.spelled(operation) in self.operations()

    def do(self, operation, *arguments, **named):
        """Calls an operation, to its end where the package waits for one."""
        name = self.spelled(operation)
        self.called.add(name)
        if self.generation >= 15:
            if operation in BODIES_SINCE_15:
                model, members = BODIES_SINCE_15[operation]
                arguments += (getattr(self.models._models, model)(**members),)
            if name.startswith("begin_"):
                named["polling_interval"] = 0
                return getattr(self.client, name)(*arguments, **named).result()
            answer = getattr(self.client, name)(*arguments, **named)
        else:
            group, verb = name.split(".")
            answer = getattr(getattr(self.client, group), verb)(*arguments, **named)
        return list(answer) if "list" in operation and hasattr(answer, "__iter__") else answer

    def make(self, model, **members):
        """A model of the package."""
        if self.generation >= 15:
            model = MODELS_SINCE_15.get(model, model)
            if "node_list" in members:
                members["node_ids"] = members.pop("node_list")
        if self.generation < 3 and "target_dedicated_nodes" in members:
            members["target_dedicated"] = members.pop("target_dedicated_nodes")
        return getattr(self.models, model)(**members)


def text(value):
    """A state as a lower-case word, whether an enumeration or plain text."""
    return str(getattr(value, "value", value)).lower()


def until(look, wanted, what):
    """Looks again until what is seen is wanted."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        seen = look()
        if wanted(seen):
            return seen
        assert time.monotonic() < deadline, "{} stays {}".format(what, seen)
        time.sleep(0.05)


def images(sdk):
    """Lists what pools may be made of; gives an image and its agent."""
    if sdk.has("account.list_supported_images"):
        first = sdk.do("account.list_supported_images")[0]
        return first.image_reference, first.node_agent_sku_id
    first = sdk.do("account.list_node_agent_skus")[0]
    return first.verified_image_references[0], first.id


def certificates(sdk, data):
    if not sdk.has("certificate.add"):
        return
    thumbprint = hashlib.sha1(base64.b64decode(data)).hexdigest()
    sdk.do("certificate.add", sdk.make(
        "CertificateAddParameter", thumbprint=thumbprint, thumbprint_algorithm="sha1", data=data,
        certificate_format="cer"))  # fmt: skip
    assert thumbprint in [it.thumbprint for it in sdk.do("certificate.list")]
    assert text(sdk.do("certificate.get", "sha1", thumbprint).state) == "active"
    sdk.do("certificate.delete", "sha1", thumbprint)
    try:
        sdk.do("certificate.cancel_deletion", "sha1", thumbprint)
        raise AssertionError("a deletion that did not fail was canceled")
    except sdk.models.BatchErrorException as refusal:
        assert refusal.error.code in ("CertificateBeingDeleted", "CertificateNotFound"), refusal
    left = lambda: [it.thumbprint for it in sdk.do("certificate.list")]
    until(left, lambda seen: thumbprint not in seen, "the certificate")


def pool(sdk, pool_id):
    image, agent = images(sdk)
    sdk.do("pool.add", sdk.make(
        "PoolAddParameter", id=pool_id, vm_size="standard_d2_v3", target_dedicated_nodes=3,
        virtual_machine_configuration=sdk.make(
            "VirtualMachineConfiguration", image_reference=image, node_agent_sku_id=agent)))  # fmt: skip
    assert sdk.do("pool.exists", pool_id)
    steady(sdk, pool_id)
    sdk.do("pool.patch", pool_id, sdk.make("PoolPatchParameter", metadata=[sdk.make("MetadataItem", name="a", value="b")]))
    assert sdk.do("pool.get", pool_id).metadata[0].value == "b"
    empty = {"application_package_references": [], "metadata": []}
    if sdk.generation < 15:
        empty["certificate_references"] = []
    sdk.do("pool.update_properties", pool_id, sdk.make("PoolUpdatePropertiesParameter", **empty))
    assert not sdk.do("pool.get", pool_id).metadata
    assert pool_id in [it.id for it in sdk.do("pool.list")]
    autoscale(sdk, pool_id)
    sdk.do("pool.resize", pool_id, sdk.make("PoolResizeParameter", target_dedicated_nodes=3))
    steady(sdk, pool_id)
    if sdk.has("pool.upgrade_os"):
        refused(sdk, "PoolNotEligibleForOSVersionUpgrade", "pool.upgrade_os", pool_id, "*")
    if sdk.has("pool.get_all_lifetime_statistics"):
        whole = sdk.do("pool.get_all_lifetime_statistics")
        assert whole.url and whole.usage_stats.dedicated_core_time.total_seconds() > 0, whole
        assert whole.resource_stats.disk_read_iops >= 0, whole
    if sdk.has("job.get_all_lifetime_statistics"):
        assert sdk.do("job.get_all_lifetime_statistics").url
    if sdk.has("account.list_pool_node_counts"):
        counts = {it.pool_id: it for it in sdk.do("account.list_pool_node_counts")}
        assert counts[pool_id].dedicated.total == 3
    return idle_nodes(sdk, pool_id, 3)


def usage(sdk, pool_id):
    """What pools used, by half hours: the one that is under way is shown to those who ask for it."""
    past = datetime.datetime(2016, 1, 1, tzinfo=datetime.timezone.utc)
    name = "pool.list_usage_metrics"
    if sdk.generation >= 15:
        options = {"start_time": past}
    else:
        verb = sdk.spelled(name).split(".")[1]
        model = "Pool" + "".join(word.capitalize() for word in verb.split("_")) + "Options"
        options = {"pool_" + verb + "_options": getattr(sdk.models, model)(start_time=past)}
    used = [it for it in sdk.do(name, **options) if it.pool_id == pool_id]
    assert used and sum(it.total_core_hours for it in used) > 0, used
    assert {it.vm_size for it in used} == {"standard_d2_v3"}, used
    assert all(it.start_time < it.end_time for it in sdk.do(name))


def autoscale(sdk, pool_id):
    target = "$TargetDedicated" if sdk.generation < 3 else "$TargetDedicatedNodes"
    formula = target + " = 3;"
    if sdk.generation >= 15:
        enable = [sdk.models.BatchPoolEnableAutoScaleOptions(auto_scale_formula=formula)]
        evaluate = [sdk.models.BatchPoolEvaluateAutoScaleOptions(auto_scale_formula=target + " = 2 + 3;")]
        sdk.do("pool.enable_auto_scale", pool_id, *enable)
        run = sdk.do("pool.evaluate_auto_scale", pool_id, *evaluate)
    else:
        sdk.do("pool.enable_auto_scale", pool_id, auto_scale_formula=formula)
        run = sdk.do("pool.evaluate_auto_scale", pool_id, target + " = 2 + 3;")
    assert target + "=5" in run.results, run.results
    sdk.do("pool.disable_auto_scale", pool_id)
    steady(sdk, pool_id)


def refused(sdk, code, operation, *arguments):
    """Calls an operation that the service must refuse."""
    try:
        sdk.do(operation, *arguments)
    except Exception as refusal:  # each generation has its own class
        said = getattr(getattr(refusal, "error", None), "code", None) or str(refusal)
        assert code in said, said
        return
    raise AssertionError("{} was not refused".format(operation))


def steady(sdk, pool_id):
    until(lambda: text(sdk.do("pool.get", pool_id).allocation_state), "steady".__eq__, pool_id)


def idle_nodes(sdk, pool_id, count):
    states = until(
        lambda: {it.id: text(it.state) for it in sdk.do("compute_node.list", pool_id)},
        lambda it: list(it.values()) == ["idle"] * count, "nodes of " + pool_id)  # fmt: skip
    return sorted(states)


def node(sdk, pool_id, node_id, container):
    """What can be done with a node that is idle."""
    is_idle = "idle".__eq__
    state = lambda: text(sdk.do("compute_node.get", pool_id, node_id).state)
    sdk.do("compute_node.add_user", pool_id, node_id, sdk.make("ComputeNodeUser", name="ada", password="n0t-A-secret!"))
    update = sdk.make("NodeUpdateUserParameter", password="n0t-A-secret?")
    sdk.do("compute_node.update_user", pool_id, node_id, "ada", update)
    sdk.do("compute_node.delete_user", pool_id, node_id, "ada")
    sdk.do("compute_node.disable_scheduling", pool_id, node_id)
    until(state, "offline".__eq__, node_id)
    sdk.do("compute_node.enable_scheduling", pool_id, node_id)
    until(state, is_idle, node_id)
    assert sdk.do("compute_node.get_remote_login_settings", pool_id, node_id).remote_login_port > 0
    if sdk.has("compute_node.get_remote_desktop"):
        refused_or_file(sdk, pool_id, node_id)
    if sdk.has("compute_node.upload_batch_service_logs"):
        since = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
        asked = sdk.make("UploadBatchServiceLogsConfiguration", container_url=container, start_time=since)
        assert sdk.do("compute_node.upload_batch_service_logs", pool_id, node_id, asked).number_of_files_uploaded > 0
    if sdk.has("compute_node_extension.list"):
        assert sdk.do("compute_node_extension.list", pool_id, node_id) == []
        refused(sdk, "NotFound", "compute_node_extension.get", pool_id, node_id, "none")
    for operation in ("reboot", "reimage"):
        sdk.do("compute_node." + operation, pool_id, node_id)
        until(state, is_idle, node_id)
    if sdk.has("compute_node.deallocate"):
        sdk.do("compute_node.deallocate", pool_id, node_id)
        until(state, "deallocated".__eq__, node_id)
        sdk.do("compute_node.start", pool_id, node_id)
        until(state, is_idle, node_id)


def refused_or_file(sdk, pool_id, node_id):
    """A file for remote desktop is there for nodes of cloud services only."""
    try:
        assert b"full address" in b"".join(sdk.do("compute_node.get_remote_desktop", pool_id, node_id))
    except sdk.models.BatchErrorException as refusal:
        assert refusal.error.code == "OperationNotValidOnNode", refusal.error.code


def job(sdk, job_id, pool_id):
    info = sdk.make("PoolInformation", pool_id=pool_id)
    sdk.do("job.add", sdk.make(
        "JobAddParameter", id=job_id, pool_info=info,
        job_preparation_task=sdk.make("JobPreparationTask", command_line="true"),
        job_release_task=sdk.make("JobReleaseTask", command_line="true")))  # fmt: skip
    sdk.do("job.patch", job_id, sdk.make("JobPatchParameter", priority=7))
    assert sdk.do("job.get", job_id).priority == 7
    constraints = sdk.make("JobConstraints", max_task_retry_count=2)
    if sdk.generation >= 15:
        whole = sdk.do("job.get", job_id)
        whole.priority, whole.constraints = 9, constraints
    else:
        whole = sdk.make("JobUpdateParameter", pool_info=info, priority=9, constraints=constraints)
    sdk.do("job.update", job_id, whole)
    state = lambda: text(sdk.do("job.get", job_id).state)
    if sdk.generation >= 15:
        sdk.do("job.disable", job_id, sdk.models.BatchJobDisableOptions(disable_tasks="requeue"))
    else:
        sdk.do("job.disable", job_id, "requeue")
    until(state, "disabled".__eq__, job_id)
    sdk.do("job.enable", job_id)
    until(state, "active".__eq__, job_id)
    assert job_id in [it.id for it in sdk.do("job.list")]


def tasks(sdk, job_id, pool_id):
    add = lambda name, command: sdk.make("TaskAddParameter", id=name, command_line=command)
    sdk.do("task.add", job_id, add("one", "/bin/sh -c 'echo hello; echo more > made.txt'"))
    many = [add("two", "true"), add("fails", "false"), add("long", "sleep 600")]
    if sdk.generation >= 15:
        from azure.batch import models

        sdk.do("task.add_collection", job_id, models.BatchTaskGroup(task_values=many[:1]))
        sdk.do("task.add_many", job_id, many[1:])
    else:
        sdk.do("task.add_collection", job_id, many)
    state = lambda name: text(sdk.do("task.get", job_id, name).state)
    for name in ("one", "two", "fails"):
        until(lambda name=name: state(name), "completed".__eq__, name)
    assert sdk.do("task.get", job_id, "fails").execution_info.retry_count == 2
    assert sdk.do("task.get", job_id, "one").execution_info.exit_code == 0
    until(lambda: state("long"), "running".__eq__, "long")
    sdk.do("task.terminate", job_id, "long")
    assert state("long") == "completed"
    if sdk.has("job.get_task_counts"):
        counts = sdk.do("job.get_task_counts", job_id)
        counts = getattr(counts, "task_counts", counts)
        assert (counts.completed, counts.succeeded, counts.failed) == (4, 2, 2), counts
    sdk.do("job.disable", job_id, "requeue") if sdk.generation < 15 else sdk.do(
        "job.disable", job_id, sdk.models.BatchJobDisableOptions(disable_tasks="requeue"))  # fmt: skip
    sdk.do("task.reactivate", job_id, "fails")
    assert state("fails") == "active"
    constraints = sdk.make("TaskConstraints", max_task_retry_count=1)
    if sdk.generation >= 15:
        whole = sdk.do("task.get", job_id, "fails")
        whole.constraints = constraints
        sdk.do("task.update", job_id, "fails", whole)
    else:
        sdk.do("task.update", job_id, "fails", constraints=constraints)
    assert sdk.do("task.get", job_id, "fails").constraints.max_task_retry_count == 1
    sdk.do("job.enable", job_id)
    until(lambda: state("fails"), "completed".__eq__, "fails")
    subtasks = sdk.do("task.list_subtasks", job_id, "one")
    assert not getattr(subtasks, "value", subtasks)
    assert len(sdk.do("task.list", job_id)) == 4
    statuses = sdk.do("job.list_preparation_and_release_task_status", job_id)
    assert text(statuses[0].job_preparation_task_execution_info.state) == "completed"
    files(sdk, job_id, "one", pool_id)
    sdk.do("task.delete", job_id, "two")
    assert len(sdk.do("task.list", job_id)) == 3


def files(sdk, job_id, task_id, pool_id):
    names = {it.name for it in sdk.do("file.list_from_task", job_id, task_id, recursive=True)}
    assert {"stdout.txt", "wd/made.txt"} <= names, names
    assert b"".join(sdk.do("file.get_from_task", job_id, task_id, "stdout.txt")) == b"hello\n"
    properties(sdk, "file.get_properties_from_task", job_id, task_id, "stdout.txt")
    sdk.do("file.delete_from_task", job_id, task_id, "wd/made.txt")
    place = sdk.do("task.get", job_id, task_id).node_info
    path = "workitems/{}/job-1/{}/stdout.txt".format(job_id, task_id)
    roots = {it.name for it in sdk.do("file.list_from_compute_node", pool_id, place.node_id)}
    assert "workitems" in roots, roots
    assert b"".join(sdk.do("file.get_from_compute_node", pool_id, place.node_id, path)) == b"hello\n"
    properties(sdk, "file.get_properties_from_compute_node", pool_id, place.node_id, path)
    sdk.do("file.delete_from_compute_node", pool_id, place.node_id, path)


def properties(sdk, operation, *arguments):
    if sdk.generation >= 15:
        assert sdk.do(operation, *arguments).content_length == 6
    else:
        answer = sdk.do(operation, *arguments, raw=True)
        assert answer.response.headers["Content-Length"] == "6", answer.response.headers


def schedule(sdk, schedule_id, pool_id):
    specification = sdk.make("JobSpecification", pool_info=sdk.make("PoolInformation", pool_id=pool_id))
    every = sdk.make("Schedule", recurrence_interval=datetime.timedelta(hours=1))
    sdk.do("job_schedule.add", sdk.make(
        "JobScheduleAddParameter", id=schedule_id, schedule=every, job_specification=specification))  # fmt: skip
    assert sdk.do("job_schedule.exists", schedule_id)
    jobs = until(lambda: sdk.do("job.list_from_job_schedule", schedule_id), len, "jobs of " + schedule_id)
    assert jobs[0].id == schedule_id + ":job-1"
    rarer = sdk.make("Schedule", recurrence_interval=datetime.timedelta(hours=2))
    sdk.do("job_schedule.patch", schedule_id, sdk.make("JobSchedulePatchParameter", schedule=rarer))
    if sdk.generation >= 15:
        whole = sdk.do("job_schedule.get", schedule_id)
        whole.schedule = every
    else:
        whole = sdk.make("JobScheduleUpdateParameter", schedule=every, job_specification=specification)
    sdk.do("job_schedule.update", schedule_id, whole)
    sdk.do("job_schedule.disable", schedule_id)
    assert text(sdk.do("job_schedule.get", schedule_id).state) == "disabled"
    sdk.do("job_schedule.enable", schedule_id)
    assert schedule_id in [it.id for it in sdk.do("job_schedule.list")]
    sdk.do("job_schedule.terminate", schedule_id)
    until(lambda: text(sdk.do("job_schedule.get", schedule_id).state), "completed".__eq__, schedule_id)
    sdk.do("job_schedule.delete", schedule_id)


def take_down(sdk, job_id, pool_id, nodes):
    sdk.do("job.terminate", job_id)
    until(lambda: text(sdk.do("job.get", job_id).state), "completed".__eq__, job_id)
    sdk.do("job.delete", job_id)
    sdk.do("pool.remove_nodes", pool_id, sdk.make("NodeRemoveParameter", node_list=nodes[:1]))
    idle_nodes(sdk, pool_id, 2)
    steady(sdk, pool_id)
    usage(sdk, pool_id)
    # A resize that is over before it can be stopped is refused; both are answers to the call.
    sdk.do("pool.resize", pool_id, sdk.make("PoolResizeParameter", target_dedicated_nodes=3))
    try:
        sdk.do("pool.stop_resize", pool_id)
    except Exception as refusal:
        assert "OperationInvalidForCurrentState" in str(refusal) or "Pool" in str(refusal), refusal
    sdk.do("pool.delete", pool_id)


def main(settings_path):
    with open(settings_path) as text_file:
        settings = json.load(text_file)
    sdk = Sdk(settings["batch_sdk"], **settings["batch"])
    suffix = settings["suffix"]
    pool_id, job_id, schedule_id = ("{}-{}".format(it, suffix) for it in ("pool", "job", "schedule"))
    certificates(sdk, settings["certificate"])
    applications = [it.id for it in sdk.do("application.list")]
    assert settings["application"] in applications, applications
    assert sdk.do("application.get", settings["application"]).versions == ["1.0"]
    nodes = pool(sdk, pool_id)
    node(sdk, pool_id, nodes[0], settings["container"])
    job(sdk, job_id, pool_id)
    tasks(sdk, job_id, pool_id)
    schedule(sdk, schedule_id, pool_id)
    take_down(sdk, job_id, pool_id, nodes)
    left = sdk.operations() - sdk.called
    assert not left, "never called: {}".format(sorted(left))
    print("called {} operations".format(len(sdk.called)))


if __name__ == "__main__":
    main(*sys.argv[1:])
