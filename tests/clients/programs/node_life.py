"""The life of a node and the users of its tasks, with the newest SDK for Python, end to end.

Start task retries, tasks of every kind of user, reboot, reimage, deallocation and start, logs,
and nodes that can not be used and say why. Settings come as JSON in a file.
"""

import datetime
import json
import sys

from azure.batch import BatchClient, models

# Not public in this package, which fails to make these requests without them.
from azure.batch.models._models import (
    BatchNodeDeallocateOptions, BatchNodeRebootOptions, BatchNodeReimageOptions,
)  # fmt: skip
from azure.core.credentials import AzureNamedKeyCredential
from waiting import wait_until

ADMIN = models.UserIdentity(
    auto_user=models.AutoUserSpecification(scope="pool", elevation_level="admin")
)


class Life:
    def __init__(self, settings):
        account = settings["batch"]
        self.is_root = settings["is_root"]
        self.settings = settings
        self.client = BatchClient(
            endpoint=account["url"],
            credential=AzureNamedKeyCredential(account["account"], account["key"]),
        )
        self.pool_id = "life-" + settings["suffix"]

    def add_pool(self, pool_id, start_script, retries=0, **more):
        self.client.create_pool(
            models.BatchPoolCreateOptions(
                id=pool_id,
                vm_size="standard_d2_v3",
                virtual_machine_configuration=models.VirtualMachineConfiguration(
                    image_reference=models.BatchVmImageReference(
                        publisher="canonical", offer="0001-com-ubuntu-server-jammy", sku="22_04-lts"
                    ),
                    node_agent_sku_id="batch.node.ubuntu 22.04",
                ),
                target_dedicated_nodes=1,
                task_slots_per_node=2,
                start_task=models.BatchStartTask(
                    command_line="/bin/sh -c '{}'".format(start_script),
                    user_identity=ADMIN,
                    max_task_retry_count=retries,
                    wait_for_success=True,
                ),
                **more,
            )
        )

    def node(self, pool_id=None):
        nodes = list(self.client.list_nodes(pool_id or self.pool_id))
        return nodes[0] if nodes else None

    def node_in(self, state, pool_id=None):
        def look():
            node = self.node(pool_id)
            return node if node and node.state == state else None

        return wait_until("a node that is " + state, look)

    def end_of(self, task_id, script, user=None):
        """Runs a task to its end."""
        self.client.create_task(
            self.pool_id,
            models.BatchTaskCreateOptions(
                id=task_id, command_line="/bin/sh -c '{}'".format(script), user_identity=user
            ),
        )

        def look():
            task = self.client.get_task(self.pool_id, task_id)
            return task if task.state == "completed" else None

        return wait_until("the end of " + task_id, look)

    def run(self, task_id, script, user=None):
        """Runs a task to its end; gives it, and what it printed."""
        done = self.end_of(task_id, script, user)
        content = b"".join(self.client.download_task_file(self.pool_id, task_id, "stdout.txt"))
        return done, content.decode()

    def file(self, path):
        return b"".join(self.client.download_node_file(self.pool_id, self.node().id, path)).decode()


def start_with_retries(life):
    """The start task succeeds at its third run; named users come with the pool."""
    script = (
        "echo run >> $AZ_BATCH_NODE_SHARED_DIR/runs; "
        "test $(wc -l < $AZ_BATCH_NODE_SHARED_DIR/runs) -ge 3"
    )
    life.add_pool(
        life.pool_id,
        script,
        retries=5,
        user_accounts=[
            models.UserAccount(name="kilnann", password="Pass-word1"),
            models.UserAccount(name="kilnbob", password="Pass-word2", elevation_level="admin"),
        ],
    )
    node = life.node_in("idle")
    info = node.start_task_info
    assert (info.retry_count, info.exit_code, info.result) == (2, 0, "success"), info
    assert info.last_retry_time is not None
    shown = life.client.get_pool(life.pool_id).user_accounts
    assert [(it.name, it.password) for it in shown] == [("kilnann", None), ("kilnbob", None)], shown


def users(life):
    """Who tasks are: pool and task users, administrators, named accounts."""
    life.client.create_job(
        models.BatchJobCreateOptions(
            id=life.pool_id, pool_info=models.BatchPoolInfo(pool_id=life.pool_id)
        )
    )
    script = "echo $AZ_BATCH_TASK_USER $AZ_BATCH_TASK_USER_IDENTITY $(id -un) $(id -u) $HOME"

    def auto(scope, level):
        spec = models.AutoUserSpecification(scope=scope, elevation_level=level)
        return models.UserIdentity(auto_user=spec)

    cases = [
        ("plain", None, "PoolNonAdmin", "_azbatch"),
        ("pool", auto("pool", "nonadmin"), "PoolNonAdmin", "_azbatch"),
        ("admin", auto("pool", "admin"), "PoolAdmin", "root"),
        ("task", auto("task", "nonadmin"), "TaskNonAdmin", None),
        ("taskadmin", auto("task", "admin"), "TaskAdmin", "root"),
        ("ann", models.UserIdentity(username="kilnann"), "kilnann", "kilnann"),
        ("bob", models.UserIdentity(username="kilnbob"), "kilnbob", "kilnbob"),
    ]
    for task_id, user, identity, name in cases:
        done, printed = life.run(task_id, script, user)
        said_user, said_identity, really, uid, home = printed.split()
        assert said_identity == identity, printed
        assert home.endswith("/{}/wd".format(task_id)), printed
        assert done.execution_info.exit_code == 0
        if life.is_root:
            assert said_user == really and (uid == "0") == (really == "root"), printed
            assert name in (None, really), printed
            assert name or really.startswith("_azbatchtask_"), printed
    shown = life.client.get_task(life.pool_id, "plain").user_identity.auto_user
    assert (shown.scope, shown.elevation_level) == ("pool", "nonadmin"), shown
    unknown = life.end_of("unknown", "true", models.UserIdentity(username="nobody-knows"))
    assert unknown.execution_info.failure_info.category == "usererror", unknown
    if life.is_root:
        closed, _ = life.run("closed", "cat /etc/shadow")
        assert closed.execution_info.exit_code != 0
        _, printed = life.run("open", "cat /etc/shadow | wc -l", auto("task", "admin"))
        assert int(printed) > 0


def reboot(life):
    """Files stay, the start task runs again, what runs is requeued."""
    before = life.node()
    life.client.create_task(
        life.pool_id,
        models.BatchTaskCreateOptions(
            id="long",
            command_line="/bin/sh -c 'test -e $AZ_BATCH_NODE_SHARED_DIR/mark && exit 0; "
            "touch $AZ_BATCH_NODE_SHARED_DIR/mark; sleep 1000'",
        ),
    )
    wait_until("a mark", lambda: "mark" in [it.name.split("/")[-1] for it in life.client.list_node_files(life.pool_id, before.id, recursive=True)])
    life.client.begin_reboot_node(
        life.pool_id, before.id, BatchNodeRebootOptions(node_reboot_kind="requeue"), polling_interval=0
    ).result()
    look = lambda: life.client.get_task(life.pool_id, "long")
    wait_until("the end of what was requeued", lambda: look().state == "completed")
    assert look().execution_info.requeue_count >= 0 and look().execution_info.exit_code == 0
    after = life.node()
    assert after.id == before.id and after.last_boot_time > before.last_boot_time
    assert life.file("shared/runs").count("run") == 4


def reimage(life):
    """No file stays."""
    before = life.node()
    options = BatchNodeReimageOptions(node_reimage_option="requeue")
    life.client.begin_reimage_node(life.pool_id, before.id, options, polling_interval=0).result()
    after = life.node_in("idle")
    assert after.id == before.id and after.last_boot_time > before.last_boot_time
    assert life.file("shared/runs").count("run") == 3
    names = [it.name for it in life.client.list_node_files(life.pool_id, after.id, recursive=True)]
    assert not [name for name in names if name.endswith("/mark")], names


def deallocate_and_start(life):
    node = life.node()
    options = BatchNodeDeallocateOptions(node_deallocate_option="requeue")
    life.client.begin_deallocate_node(life.pool_id, node.id, options, polling_interval=0).result()
    assert life.node_in("deallocated").id == node.id
    life.client.begin_start_node(life.pool_id, node.id, polling_interval=0).result()
    assert life.node_in("idle").id == node.id
    _, printed = life.run("back", "echo back")
    assert printed == "back\n"


def logs(life):
    now = datetime.datetime.now(datetime.timezone.utc)
    told = life.client.upload_node_logs(
        life.pool_id,
        life.node().id,
        models.UploadBatchServiceLogsOptions(
            container_url=life.settings["container_url"], start_time=now - datetime.timedelta(hours=1)
        ),
    )
    assert told.number_of_files_uploaded >= 1 and told.virtual_directory_name, told
    print(told.virtual_directory_name)


def unusable(life):
    """Nodes whose start task fails, or that lack what the pool wants, say why."""
    failing = life.pool_id + "-failing"
    life.add_pool(failing, "echo bad >&2; exit 3", retries=1)
    node = life.node_in("starttaskfailed", failing)
    info = node.start_task_info
    assert (info.exit_code, info.result, info.retry_count) == (3, "failure", 1), info
    assert info.failure_info.code == "FailureExitCode", info
    assert b"bad" in b"".join(life.client.download_node_file(failing, node.id, "startup/stderr.txt"))
    broken = life.pool_id + "-broken"
    far = [models.UserAccount(
        name="far", password="Pass-word1",
        linux_user_configuration=models.LinuxUserConfiguration(uid=70_000, gid=70_000),
    )]  # fmt: skip
    if life.is_root:
        life.add_pool(broken, "true", user_accounts=far)
        node = life.node_in("unusable", broken)
        assert node.errors and "far" in node.errors[0].message, node.errors
    for pool_id in (failing, broken):
        if life.client.pool_exists(pool_id):
            life.client.begin_delete_pool(pool_id, polling_interval=0)


def main():
    with open(sys.argv[1]) as file:
        life = Life(json.load(file))
    for step in (start_with_retries, users, reboot, reimage, deallocate_and_start, logs, unusable):
        try:
            step(life)
        except Exception:
            print("failed:", step.__name__, file=sys.stderr)
            raise
    life.client.begin_delete_job(life.pool_id, polling_interval=0)
    life.client.begin_delete_pool(life.pool_id, polling_interval=0)
    wait_until("the end", lambda: life.pool_id not in [it.id for it in life.client.list_pools()])


main()
