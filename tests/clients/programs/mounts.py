"""Pools that mount containers and shares on their nodes, with the newest SDKs for Python.

    python mounts.py SETTINGS.json

Tasks that are no administrators use a mounted container as a directory; what they wrote is read
by the SDK of the storage account, and what that SDK wrote by them. Pools whose mounts can not be
had say why.
"""

import hashlib
import json
import sys

from azure.batch import BatchClient, models

# Not public in this package, which fails to make this request without it.
from azure.batch.models._models import BatchNodeRebootOptions
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient
from waiting import wait_until

BIG_BYTES = 20_000_000

# What tasks do, in order, in `$M`, the mounted container; each must succeed.
STEPS = {
    "reads": """
        test "$(cat $M/in/words.txt)" = "one two"
        test "$(ls $M)" = "$(printf "in\\nlone.txt\\nmarked")"
        test -d $M/in && test -d $M/marked && test ! -e $M/absent
        test $(stat -c %s $M/in/words.txt) = 7
        dd if=$M/in/words.txt bs=1 skip=4 count=3 status=none | grep -x two""",
    "writes": """
        mkdir $M/out && echo first > $M/out/a.txt && echo second >> $M/out/a.txt
        test "$(cat $M/out/a.txt)" = "$(printf "first\\nsecond")"
        printf X | dd of=$M/out/a.txt bs=1 seek=1 conv=notrunc status=none
        test "$(head -n 1 $M/out/a.txt)" = fXrst
        : > $M/out/empty; test -e $M/out/empty && test ! -s $M/out/empty
        cp $M/in/words.txt $M/out/copy.txt && truncate -s 3 $M/out/copy.txt
        test "$(cat $M/out/copy.txt)" = one""",
    "writes-much": """
        head -c {big} /dev/urandom > big && cp big $M/out/big && cmp big $M/out/big
        sha256sum < big""",
    "renames": """
        echo moved > $M/out/x && mv $M/out/x $M/out/y && test ! -e $M/out/x && cat $M/out/y
        echo other > $M/out/z && mv $M/out/z $M/out/y && test "$(cat $M/out/y)" = other
        mkdir $M/old && echo in > $M/old/f && mv $M/old $M/new && test "$(cat $M/new/f)" = in
        test ! -e $M/old""",
    "removes": """
        rm $M/out/y && test ! -e $M/out/y
        mkdir -p $M/gone/deep && echo f > $M/gone/deep/f && rm -r $M/gone && test ! -e $M/gone
        ! rmdir $M/out 2> /dev/null && mkdir $M/bare && rmdir $M/bare && test ! -e $M/bare""",
    "is-refused": """
        ! echo x 2> /dev/null > $R/new && ! rm $R/in/words.txt 2> /dev/null
        test "$(cat $R/in/words.txt)" = "one two" """,
}


class Story:
    def __init__(self, settings):
        account = settings["batch"]
        self.settings = settings
        self.pools = []
        credential = AzureNamedKeyCredential(account["account"], account["key"])
        self.client = BatchClient(endpoint=account["url"], credential=credential)
        self.container = ContainerClient.from_container_url(settings["container_url"])
        self.name = self.container.container_name

    def add_pool(self, pool_id, *mounts):
        machine = models.VirtualMachineConfiguration(
            image_reference=models.BatchVmImageReference(
                publisher="canonical", offer="0001-com-ubuntu-server-jammy", sku="22_04-lts"
            ),
            node_agent_sku_id="batch.node.ubuntu 22.04",
        )
        self.client.create_pool(
            models.BatchPoolCreateOptions(
                id=pool_id,
                vm_size="standard_d2_v3",
                virtual_machine_configuration=machine,
                target_dedicated_nodes=1,
                mount_configuration=list(mounts),
            )
        )
        self.pools.append(pool_id)

    def blob(self, path, **members):
        storage = self.settings["storage"]
        members.setdefault("account_key", storage["key"])
        return models.MountConfiguration(
            azure_blob_file_system_configuration=models.AzureBlobFileSystemConfiguration(
                account_name=storage["account"], container_name=members.pop("container", self.name),
                relative_mount_path=path, **members,
            )
        )  # fmt: skip

    def node_in(self, pool_id, state):
        def look():
            nodes = list(self.client.list_nodes(pool_id))
            states = {node.state for node in nodes}
            assert state == "unusable" or "unusable" not in states, nodes[0].errors
            return nodes[0] if states == {state} else None

        return wait_until("a node that is " + state, look)

    def run(self, job_id, task_id, script):
        """Runs a task to its end; gives what it printed."""
        script = "set -e; M=$AZ_BATCH_NODE_MOUNTS_DIR/data; R=$AZ_BATCH_NODE_MOUNTS_DIR/ro\n" + script
        file = models.ResourceFile(http_url=self.upload(task_id, script), file_path="script")
        self.client.create_task(
            job_id,
            models.BatchTaskCreateOptions(
                id=task_id, command_line="/bin/sh script", resource_files=[file]
            ),
        )

        def look():
            task = self.client.get_task(job_id, task_id)
            return task if task.state == "completed" else None

        task = wait_until("the end of " + task_id, look)

        def printed(name):
            return b"".join(self.client.download_task_file(job_id, task_id, name)).decode()

        code = task.execution_info.exit_code
        assert code == 0, (task_id, code, printed("stderr.txt"), task.execution_info.failure_info)
        return printed("stdout.txt")

    def upload(self, name, text):
        scripts = ContainerClient.from_container_url(self.settings["scripts_url"])
        scripts.upload_blob(name, text.encode())
        address, query = self.settings["scripts_url"].split("?")
        return "{}/{}?{}".format(address, name, query)

    def content(self, name):
        return self.container.download_blob(name).readall()

    def unusable(self, pool_id, mount):
        """What a node says that can not mount something."""
        self.add_pool(pool_id, mount)
        error = self.node_in(pool_id, "unusable").errors[0]
        assert error.code == "MountConfigurationFailed", error
        return error.message


def use_a_container(story):
    story.container.upload_blob("in/words.txt", b"one two")
    story.container.upload_blob("lone.txt", b"")
    story.container.upload_blob("marked", b"", metadata={"hdi_isfolder": "true"})
    pool_id = "mounts-" + story.settings["suffix"]
    sas = story.settings["container_url"].split("?")[1]
    story.add_pool(
        pool_id,
        story.blob("data", blobfuse_options="-o attr_timeout=0 -o entry_timeout=0 -o novel"),
        story.blob("ro", account_key=None, sas_key="?" + sas, blobfuse_options="--read-only"),
    )
    kept = story.client.get_pool(pool_id).mount_configuration[0]
    assert kept.azure_blob_file_system_configuration.relative_mount_path == "data", kept
    assert kept.azure_blob_file_system_configuration.account_key is None, "a key is shown"
    node = story.node_in(pool_id, "idle")
    story.client.create_job(
        models.BatchJobCreateOptions(id=pool_id, pool_info=models.BatchPoolInfo(pool_id=pool_id))
    )
    printed = {}
    for name, script in STEPS.items():
        printed[name] = story.run(pool_id, name, script.replace("{big}", str(BIG_BYTES)))
    assert story.content("out/a.txt") == b"fXrst\nsecond\n"
    assert story.content("out/copy.txt") == b"one"
    assert story.content("out/empty") == b""
    assert story.content("new/f") == b"in\n"
    digest = hashlib.sha256(story.content("out/big")).hexdigest()
    assert printed["writes-much"].split()[0] == digest, "the large file is another"
    names = [blob.name for blob in story.container.list_blobs()]
    assert not [name for name in names if name.startswith(("gone", "bare", "old", "out/x"))], names
    # What comes later is seen too.
    story.container.upload_blob("later.txt", b"later")
    assert story.run(pool_id, "sees-later", "cat $M/later.txt") == "later"
    log = b"".join(story.client.download_node_file(pool_id, node.id, "fsmounts/data.log")).decode()
    assert "mounted" in log and "without effect: novel" in log, log
    # A node that boots anew mounts anew.
    story.client.begin_reboot_node(pool_id, node.id, BatchNodeRebootOptions(node_reboot_kind="requeue"), polling_interval=0)

    def has_booted():
        return story.client.get_node(pool_id, node.id).last_boot_time > node.last_boot_time

    wait_until("the boot", has_booted)
    story.node_in(pool_id, "idle")
    assert story.run(pool_id, "reads-again", "cat $M/in/words.txt") == "one two"
    story.client.begin_delete_job(pool_id, polling_interval=0)


def say_why(story):
    suffix = story.settings["suffix"]
    nfs = models.MountConfiguration(
        nfs_mount_configuration=models.NfsMountConfiguration(
            source="127.0.0.1:/export", relative_mount_path="nfs"
        )
    )
    said = story.unusable("nfs-" + suffix, nfs)
    assert "fsmounts/nfs" in said and "127.0.0.1:/export" in said, said
    cifs = models.MountConfiguration(
        cifs_mount_configuration=models.CifsMountConfiguration(
            username="me", password="hush-hush", source="//127.0.0.1/share", relative_mount_path="cifs"
        )
    )
    said = story.unusable("cifs-" + suffix, cifs)
    assert "fsmounts/cifs" in said and "hush" not in said, said
    said = story.unusable("absent-" + suffix, story.blob("absent", container="no-such-container"))
    assert "ContainerNotFound" in said, said
    said = story.unusable("denied-" + suffix, story.blob("denied", account_key="aHVzaC1odXNo"))
    assert "AuthenticationFailed" in said and "sig" not in said, said
    try:
        story.add_pool("outside-" + suffix, story.blob("../outside"))
    except HttpResponseError as refused:
        assert "InvalidPropertyValue" in str(refused), refused
    else:
        raise AssertionError("a mount may lie anywhere")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        story = Story(json.load(file))
    use_a_container(story)
    say_why(story)
    for pool_id in story.pools:
        story.client.begin_delete_pool(pool_id, polling_interval=0)


main()
