"""Steps that tests share which speak plain HTTP: a pool's image, tasks, waiting, `kiln task`."""

import contextlib
import subprocess
import time

from kiln_process import BINARY

IMAGE = {
    "imageReference": {
        "publisher": "canonical", "offer": "0001-com-ubuntu-server-jammy", "sku": "22_04-lts",
    },
    "nodeAgentSKUId": "batch.node.ubuntu 22.04",
}  # fmt: skip
PATIENCE_SECONDS = 60


def until(is_so, what="it", seconds=PATIENCE_SECONDS):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "waited too long for {}".format(what)
        time.sleep(0.1)


def nodes(batch, pool):
    return batch.request("GET", "/pools/{}/nodes".format(pool)).json["value"]


@contextlib.contextmanager
def ready_pool(batch, pool):
    """A pool with one node of two slots, which is ready, until it is gone."""
    body = {
        "id": pool,
        "vmSize": "standard_d2_v3",
        "virtualMachineConfiguration": IMAGE,
        "targetDedicatedNodes": 1,
        "taskSlotsPerNode": 2,
    }
    assert batch.request("POST", "/pools", body=body).status == 201
    until(lambda: [it["state"] for it in nodes(batch, pool)] == ["idle"], "the node")
    yield pool
    assert batch.request("DELETE", "/pools/" + pool).status == 202
    until(lambda: batch.request("GET", "/pools/" + pool).status == 404, "the end of the pool")


def dependent_job(batch, pool, job):
    """A job that uses dependencies."""
    body = {"id": job, "poolInfo": {"poolId": pool}, "usesTaskDependencies": True}
    assert batch.request("POST", "/jobs", body=body).status == 201
    return job


def add(batch, job, task_id, script, **more):
    body = {"id": task_id, "commandLine": '/bin/bash -c "{}"'.format(script), **more}
    answer = batch.request("POST", "/jobs/{}/tasks".format(job), body=body)
    assert answer.status == 201, answer.body


def state_of(batch, job, task_id):
    return batch.request("GET", "/jobs/{}/tasks/{}".format(job, task_id)).json["state"]


def tool(kiln, verb, *words, given=None):
    """Runs `kiln task VERB …` with `given` to read."""
    command = [BINARY, "task", verb, "--data", str(kiln.data), *words]
    return subprocess.run(
        command, input=given or "", capture_output=True, text=True, timeout=60, check=False
    )
