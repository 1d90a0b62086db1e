"""A task on two real nodes, prepared before and released after, by plain HTTP."""

import time

import pytest
import raw


@pytest.fixture
def batch(kiln):
    return raw.batch_of(kiln)


def until(batch, path, state, seconds=90):
    """The resource, once it is in this state."""
    end = time.monotonic() + seconds
    while True:
        shown = batch.request("GET", path).json
        if shown["state"] == state:
            return shown
        assert time.monotonic() < end, shown
        time.sleep(0.1)


def test_a_task_on_two_prepared_nodes(batch, suffix):
    name = f"gang-{suffix}"
    image = {
        "imageReference": {"publisher": "canonical", "offer": "0001-com-ubuntu-server-jammy", "sku": "22_04-lts"},
        "nodeAgentSKUId": "batch.node.ubuntu 22.04",
    }
    pool = {
        "id": name,
        "vmSize": "standard_d1_v2",
        "virtualMachineConfiguration": image,
        "targetDedicatedNodes": 2,
        "enableInterNodeCommunication": True,
    }
    assert batch.request("POST", "/pools", body=pool).status == 201
    job = {
        "id": name,
        "poolInfo": {"poolId": name},
        "jobPreparationTask": {"commandLine": "/bin/sh -c 'echo prepared > brought'"},
        "jobReleaseTask": {"commandLine": "/bin/sh -c 'cat $AZ_BATCH_JOB_PREP_WORKING_DIR/brought'"},
    }
    assert batch.request("POST", "/jobs", body=job).status == 201
    # Each node serves a word at its own address; the primary asks all of them.
    serve = (
        "/bin/bash -c 'cd $AZ_BATCH_TASK_SHARED_DIR && cp $AZ_BATCH_JOB_PREP_WORKING_DIR/brought word;"
        " n=0; $AZ_BATCH_IS_CURRENT_NODE_MASTER || n=1; IFS=, read -ra hosts <<< $AZ_BATCH_HOST_LIST;"
        " python3 -m http.server 6001 --bind ${hosts[$n]} > served 2>&1 & sleep 1'"
    )
    ask = (
        "/bin/bash -c 'for host in ${AZ_BATCH_HOST_LIST//,/ }; do"
        " python3 -c \"import sys, urllib.request as r;"
        " print(r.build_opener(r.ProxyHandler({})).open(sys.argv[1]).read().decode().strip())\""
        " http://$host:6001/word || exit 1; done'"
    )
    task = {
        "id": "t",
        "commandLine": ask,
        "multiInstanceSettings": {"numberOfInstances": 2, "coordinationCommandLine": serve},
    }
    assert batch.request("POST", f"/jobs/{name}/tasks", body=task).status == 201
    shown = until(batch, f"/jobs/{name}/tasks/t", "completed")
    printed = batch.request("GET", f"/jobs/{name}/tasks/t/files/stdout.txt").body
    errors = batch.request("GET", f"/jobs/{name}/tasks/t/files/stderr.txt").body
    assert (shown["executionInfo"].get("exitCode"), printed) == (0, b"prepared\nprepared\n"), (shown, errors)
    assert batch.request("POST", f"/jobs/{name}/terminate", body={}).status == 202
    until(batch, f"/jobs/{name}", "completed")
    status = batch.request("GET", f"/jobs/{name}/jobpreparationandreleasetaskstatus").json["value"]
    codes = [(it["jobPreparationTaskExecutionInfo"]["exitCode"], it["jobReleaseTaskExecutionInfo"]["exitCode"]) for it in status]
    assert codes == [(0, 0), (0, 0)], status
    assert batch.request("DELETE", f"/pools/{name}").status == 202
