"""Tasks in containers, by real SDKs, with an image made here and a registry on loopback."""

import json

import pytest
import raw
from conftest import PROGRAMS, Client, run_program
from registry import LACKING, Registry
from steps import IMAGE, tool, until


@pytest.fixture(scope="module")
def registry():
    if LACKING:
        pytest.skip("containers need {}: `cargo xtask test --setup` installs them".format(", ".join(LACKING)))
    registry = Registry()
    yield registry
    registry.stop()


@pytest.mark.parametrize("version", ["14.2.0", "15.1.0", "javascript"])
def test_containers(kiln, registry, suffix, tmp_path, version):
    client = Client(version)
    client.require()
    settings = {
        "batch_sdk": version,
        "batch": vars(kiln.batch()),
        "suffix": suffix,
        "registry": registry.host,
        "user": registry.user,
        "password": registry.password,
    }
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(settings))
    program = "containers.cjs" if client.is_javascript else "containers.py"
    run_program([*client.interpreter, str(PROGRAMS / program), str(file)], kiln)
    # The password is nobody's business but the registry's.
    assert registry.password not in kiln.log.read_text(errors="replace")
    assert "/v2/tool/manifests/1" in registry.asked


def test_a_shell_is_in_the_container_of_its_task(kiln, registry, suffix):
    batch = raw.batch_of(kiln)
    name, image = "shell-" + suffix, registry.host + "/tool:1"
    login = {"registryServer": registry.host, "username": registry.user, "password": registry.password}
    machine = {
        **IMAGE,
        "containerConfiguration": {
            "type": "dockerCompatible",
            "containerImageNames": [image],
            "containerRegistries": [login],
        },
    }
    pool = {
        "id": name,
        "vmSize": "standard_d2_v3",
        "virtualMachineConfiguration": machine,
        "targetDedicatedNodes": 1,
    }
    assert batch.request("POST", "/pools", pool).status == 201
    assert batch.request("POST", "/jobs", {"id": name, "poolInfo": {"poolId": name}}).status == 201
    task = {
        "id": "t",
        "commandLine": "/bin/sh -c 'echo mine > made; until [ -e go ]; do sleep 0.1; done; exit 3'",
        "containerSettings": {"imageName": image},
    }
    assert batch.request("POST", "/jobs/{}/tasks".format(name), task).status == 201
    look = "cat /etc/image made; echo $AZ_BATCH_TASK_ID"
    path = "/jobs/{}/tasks/t".format(name)
    until(lambda: batch.request("GET", path).json["state"] == "running")
    until(lambda: "mine" in tool(kiln, "shell", name, "t", given="ls; cat made").stdout)
    beside = tool(kiln, "shell", name, "t", given=look + "; echo > go; exit 4")
    assert (beside.returncode, beside.stdout) == (4, "from the image\nmine\nt\n"), beside
    until(lambda: batch.request("GET", path).json["state"] == "completed")
    assert batch.request("GET", path).json["executionInfo"]["exitCode"] == 3
    after = tool(kiln, "shell", name, "t", "--", "sh", "-c", look + "; exit 5")
    assert (after.returncode, after.stdout) == (5, "from the image\nmine\nt\n"), after
    assert batch.request("DELETE", "/pools/" + name).status == 202
    until(lambda: batch.request("GET", "/pools/" + name).status == 404)
