"""A Batch program of 2017, as a user would have it: accounts in constants, Azure's hosts.

It has the structure and makes the calls of the Python tutorial of that time (azure-batch
1.0, azure-storage 0.33): the point of it is that it knows nothing of Kiln. Before it runs,
only the five strings below are filled in.
"""

import datetime
import os
import sys
import time

import azure.batch.batch_auth as batch_auth
import azure.batch.batch_service_client as batch
import azure.batch.models as models
import azure.storage.blob as blob

BATCH_NAME = ""
BATCH_KEY = ""
BATCH_URL = ""
STORAGE_NAME = ""
STORAGE_KEY = ""

POOL_ID = "WordPool"
JOB_ID = "WordJob"
N_NODES = 1
TASK_PROGRAM = "word_task.py"
APPLICATION, INPUT, OUTPUT = "words-application", "words-input", "words-output"


def one_shell(commands):
    return "/bin/bash -c 'set -e; set -o pipefail; {}; wait'".format(";".join(commands))


def wants_to(question):
    """Asks on the terminal; an empty answer means yes."""
    sys.stdout.write("{} [Y/n] ".format(question))
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("", "y", "yes")


def resource_file(storage, container, path):
    name = os.path.basename(path)
    storage.create_blob_from_path(container, name, path)
    token = storage.generate_blob_shared_access_signature(
        container,
        name,
        permission=blob.BlobPermissions.READ,
        expiry=datetime.datetime.utcnow() + datetime.timedelta(hours=2),
    )
    return models.ResourceFile(
        file_path=name, blob_source=storage.make_blob_url(container, name, sas_token=token)
    )


def first_image(client, publisher, offer, sku_prefix):
    fitting = [
        (sku.id, image)
        for sku in client.account.list_node_agent_skus()
        for image in sorted(sku.verified_image_references, key=lambda it: it.sku)
        if image.publisher.lower() == publisher.lower()
        and image.offer.lower() == offer.lower()
        and image.sku.startswith(sku_prefix)
    ]
    return fitting[0]


def add_pool(client, program):
    sku_id, image = first_image(client, "Canonical", "UbuntuServer", "16")
    setup = [
        "cp -p {} $AZ_BATCH_NODE_SHARED_DIR".format(TASK_PROGRAM),
        "python -m pip --version || curl -fSsL https://bootstrap.pypa.io/get-pip.py | python",
        "pip install azure-storage==0.33.0",
    ]
    client.pool.add(
        models.PoolAddParameter(
            id=POOL_ID,
            virtual_machine_configuration=models.VirtualMachineConfiguration(
                image_reference=image, node_agent_sku_id=sku_id
            ),
            vm_size="BASIC_A1",
            target_dedicated=N_NODES,
            start_task=models.StartTask(
                command_line=one_shell(setup),
                run_elevated=True,
                wait_for_success=True,
                resource_files=[program],
            ),
        )
    )


def add_tasks(client, inputs, token):
    tasks = []
    for index, text in enumerate(inputs):
        words = (
            "python $AZ_BATCH_NODE_SHARED_DIR/{} --filepath {} --numwords 3 "
            '--storageaccount {} --storagecontainer {} --sastoken "{}"'
        ).format(TASK_PROGRAM, text.file_path, STORAGE_NAME, OUTPUT, token)
        tasks.append(
            models.TaskAddParameter(
                "wordtask{}".format(index), one_shell([words]), resource_files=[text]
            )
        )
    client.task.add_collection(JOB_ID, tasks)


def wait_for_tasks(client, timeout):
    deadline = datetime.datetime.now() + timeout
    while datetime.datetime.now() < deadline:
        tasks = list(client.task.list(JOB_ID))
        if all(task.state == models.TaskState.completed for task in tasks):
            return
        time.sleep(1)
    raise RuntimeError("the tasks did not end within {}".format(timeout))


def main(folder):
    storage = blob.BlockBlobService(account_name=STORAGE_NAME, account_key=STORAGE_KEY)
    for container in (APPLICATION, INPUT, OUTPUT):
        storage.create_container(container, fail_on_exist=False)

    texts = os.path.join(folder, "texts")
    program = resource_file(storage, APPLICATION, os.path.join(folder, TASK_PROGRAM))
    inputs = [
        resource_file(storage, INPUT, os.path.join(texts, name))
        for name in sorted(os.listdir(texts))
    ]
    token = storage.generate_container_shared_access_signature(
        OUTPUT,
        permission=blob.ContainerPermissions.WRITE,
        expiry=datetime.datetime.utcnow() + datetime.timedelta(hours=2),
    )

    credentials = batch_auth.SharedKeyCredentials(BATCH_NAME, BATCH_KEY)
    client = batch.BatchServiceClient(credentials, base_url=BATCH_URL)
    add_pool(client, program)
    client.job.add(models.JobAddParameter(JOB_ID, models.PoolInformation(pool_id=POOL_ID)))
    add_tasks(client, inputs, token)
    wait_for_tasks(client, datetime.timedelta(minutes=3))

    for found in storage.list_blobs(OUTPUT).items:
        storage.get_blob_to_path(OUTPUT, found.name, os.path.join(folder, found.name))
        print("downloaded {}".format(found.name))
    for container in (APPLICATION, INPUT, OUTPUT):
        storage.delete_container(container)

    if wants_to("Delete the job?"):
        client.job.delete(JOB_ID)
    if wants_to("Delete the pool?"):
        client.pool.delete(POOL_ID)


if __name__ == "__main__":
    main(os.path.dirname(os.path.abspath(__file__)))
