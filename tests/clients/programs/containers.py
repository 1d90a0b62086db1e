"""Tasks in containers, by whichever SDK this interpreter has.

    python containers.py SETTINGS.json

The image comes from a registry that wants to know who asks.
"""

import json
import sys

from batch_sdk import spelled
from waiting import wait_until

IMAGE = {"publisher": "canonical", "offer": "0001-com-ubuntu-server-jammy", "sku": "22_04-lts"}
AGENT = "batch.node.ubuntu 22.04"


class Sdk14:
    """azure-batch 14: models of one shape, operations in groups."""

    has_mounts = False
    names = {}

    def __init__(self, account):
        from azure.batch import BatchServiceClient, batch_auth, models

        self.models = models
        credentials = batch_auth.SharedKeyCredentials(account["account"], account["key"])
        self.client = BatchServiceClient(credentials, account["url"])
        self.add_pool, self.get_pool, self.delete_pool = (
            self.client.pool.add, self.client.pool.get, self.client.pool.delete)
        self.nodes = self.client.compute_node.list
        self.add_job, self.delete_job = self.client.job.add, self.client.job.delete
        self.preparations = self.client.job.list_preparation_and_release_task_status
        self.add_task, self.get_task = self.client.task.add, self.client.task.get
        self.file = self.client.file.get_from_task

    def make(self, name, **members):
        return getattr(self.models, self.names.get(name, name))(**members)

    def configuration(self, **members):
        # Its type is a constant of the model.
        members.setdefault("type", "dockerCompatible")
        return self.make("ContainerConfiguration", **members)

    def registry(self, user, password, host):
        return self.make("ContainerRegistry", user_name=user, password=password, registry_server=host)

    def refusal(self, call):
        """The code with which a call is refused."""
        try:
            call()
        except self.models.BatchErrorException as refused:
            return refused.error.code
        return None


class Sdk15(Sdk14):
    """azure-batch 15: other names, and mounts that a task chooses."""

    has_mounts = True
    names = {
        "PoolAddParameter": "BatchPoolCreateOptions",
        "ImageReference": "BatchVmImageReference",
        "ContainerConfiguration": "BatchContainerConfiguration",
        "ContainerRegistry": "ContainerRegistryReference",
        "TaskContainerSettings": "BatchTaskContainerSettings",
        "StartTask": "BatchStartTask",
        "JobAddParameter": "BatchJobCreateOptions",
        "JobPreparationTask": "BatchJobPreparationTask",
        "PoolInformation": "BatchPoolInfo",
        "TaskAddParameter": "BatchTaskCreateOptions",
    }

    def __init__(self, account):
        from azure.batch import BatchClient, models
        from azure.core.credentials import AzureNamedKeyCredential

        self.models = models
        key = AzureNamedKeyCredential(account["account"], account["key"])
        client = BatchClient(account["url"], key)
        self.add_pool, self.get_pool = client.create_pool, client.get_pool
        self.delete_pool, self.delete_job = client.begin_delete_pool, client.begin_delete_job
        self.nodes, self.add_job = client.list_nodes, client.create_job
        self.preparations = client.list_job_preparation_and_release_task_status
        self.add_task, self.get_task = client.create_task, client.get_task
        self.file = client.download_task_file

    def registry(self, user, password, host):
        return self.make("ContainerRegistry", username=user, password=password, registry_server=host)

    def refusal(self, call):
        from azure.core.exceptions import HttpResponseError

        try:
            call()
        except HttpResponseError as refused:
            return json.loads(refused.response.text())["code"]
        return None


def add_pool(sdk, pool_id, image, registry):
    start = sdk.make(
        "StartTask",
        command_line="/bin/sh -c 'cat /etc/image > $AZ_BATCH_NODE_SHARED_DIR/started'",
        container_settings=sdk.make("TaskContainerSettings", image_name=image),
        wait_for_success=True,
    )
    machine = sdk.make(
        "VirtualMachineConfiguration",
        image_reference=sdk.make("ImageReference", **IMAGE),
        node_agent_sku_id=AGENT,
        container_configuration=sdk.configuration(
            container_image_names=[image], container_registries=[registry]
        ),
    )
    sdk.add_pool(
        sdk.make(
            "PoolAddParameter",
            id=pool_id,
            vm_size="standard_d2_v2",
            virtual_machine_configuration=machine,
            target_dedicated_nodes=1,
            start_task=start,
        )
    )
    kept = sdk.get_pool(pool_id).virtual_machine_configuration.container_configuration
    assert kept.container_image_names == [image]
    assert kept.container_registries[0].password is None

    def node():
        found = list(sdk.nodes(pool_id))
        bad = [it for it in found if spelled(it.state) in ("unusable", "starttaskfailed")]
        assert not bad, [(error.code, error.message, error.error_details) for error in bad[0].errors or []]
        return next((it for it in found if spelled(it.state) == "idle"), None)

    info = wait_until("an idle node", node).start_task_info
    assert info.container_info.state == "exited", info.container_info


def main():
    with open(sys.argv[1]) as file:
        settings = json.load(file)
    sdk = (Sdk15 if settings["batch_sdk"].startswith("15") else Sdk14)(settings["batch"])
    name, host = "containers-" + settings["suffix"], settings["registry"]
    image = host + "/tool:1"
    add_pool(sdk, name, image, sdk.registry(settings["user"], settings["password"], host))

    def contained(image_name=image, **more):
        return sdk.make("TaskContainerSettings", image_name=image_name, **more)

    sdk.add_job(
        sdk.make(
            "JobAddParameter",
            id=name,
            pool_info=sdk.make("PoolInformation", pool_id=name),
            job_preparation_task=sdk.make(
                "JobPreparationTask",
                command_line="/bin/sh -c 'echo prepared > made'",
                container_settings=contained(),
            ),
        )
    )

    def task(task_id, command, settings):
        return sdk.make("TaskAddParameter", id=task_id, command_line=command, container_settings=settings)

    without = sdk.make("TaskAddParameter", id="without", command_line="true")
    assert sdk.refusal(lambda: sdk.add_task(name, without)) == "InvalidPropertyValue"
    script = (
        "/bin/sh -c 'cat /etc/image $AZ_BATCH_NODE_SHARED_DIR/started"
        " $AZ_BATCH_JOB_PREP_WORKING_DIR/made; echo $FROM_OPTIONS; exit 3'"
    )
    sdk.add_task(name, task("words", script, contained(container_run_options="--rm -e FROM_OPTIONS=yes")))
    default = contained(host + "/tool", working_directory="containerImageDefault")
    sdk.add_task(name, task("default", "", default))
    sdk.add_task(name, task("option", "true", contained(container_run_options="--runtime evil")))
    sdk.add_task(name, task("none", "true", contained(host + "/tool:none")))
    sdk.add_task(name, task("program", "/nothing", contained()))
    if sdk.has_mounts:
        mount = sdk.make("ContainerHostBatchBindMountEntry", source="Shared", is_read_only=True)
        only = contained(
            container_host_batch_bind_mounts=[mount], working_directory="containerImageDefault"
        )
        look = "/bin/sh -c 'cat $AZ_BATCH_NODE_SHARED_DIR/started; echo ${AZ_BATCH_TASK_DIR:-unseen}'"
        sdk.add_task(name, task("mounts", look, only))

    def ended(task_id):
        def look():
            shown = sdk.get_task(name, task_id)
            return shown if spelled(shown.state) == "completed" else None

        return wait_until("the end of " + task_id, look).execution_info

    def printed(task_id):
        return b"".join(sdk.file(name, task_id, "stdout.txt"))

    words = ended("words")
    told = (words.exit_code, printed("words"), sdk.get_task(name, "words").execution_info.failure_info)
    assert told[0] == 3, told
    assert told[1] == b"from the image\nfrom the image\nprepared\nyes\n", told
    assert (words.container_info.state, len(words.container_info.container_id)) == ("exited", 64)
    assert (ended("default").exit_code, printed("default")) == (0, b"from the image\n")
    for task_id, code in [
        ("option", "ContainerInvalidSettings"),
        ("none", "ContainerInvalidImage"),
        ("program", "CommandProgramNotFound"),
    ]:
        info = ended(task_id)
        assert (info.exit_code, info.failure_info.code) == (None, code), info.failure_info
        assert spelled(info.failure_info.category).lower() == "usererror"
    assert "/nothing" in ended("program").container_info.error
    if sdk.has_mounts:
        assert (ended("mounts").exit_code, printed("mounts")) == (0, b"from the image\nunseen\n")
    prepared = next(iter(sdk.preparations(name))).job_preparation_task_execution_info
    assert prepared.container_info.state == "exited", prepared
    sdk.delete_job(name)
    sdk.delete_pool(name)


main()
