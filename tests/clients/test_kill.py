"""The server dies at the worst moment, comes back, and nobody has lost anything."""

import json
import os
import subprocess
import threading
import time

import pytest
import raw
from conftest import PROGRAMS, Client, settings_for
from kiln_process import Kiln, free_port

CLIENT = Client("14.2.0")
POOL = {
    "vmSize": "STANDARD_D2_V3",
    "targetDedicatedNodes": 0,
    "virtualMachineConfiguration": {
        "imageReference": {
            "publisher": "canonical",
            "offer": "0001-com-ubuntu-server-focal",
            "sku": "20_04-lts",
            "version": "latest",
        },
        "nodeAgentSKUId": "batch.node.ubuntu 20.04",
    },
}


@pytest.fixture
def mortal_kiln(tmp_path):
    """A Kiln of this test's own, on ports that stay the same."""
    process = Kiln(tmp_path, free_port(), free_port()).start()
    yield process
    process.stop()


def start_program(kiln, command):
    """Starts a client whose words are read line by line."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def read_until(program, is_it):
    """Reads lines until one fits; answers all of them."""
    lines = []
    for line in program.stdout:
        lines.append(line.rstrip("\n"))
        if is_it(lines[-1]):
            return lines
    raise AssertionError("the program ended early:\n" + "\n".join(lines))


def finish(program, kiln, timeout=240):
    watchdog = threading.Timer(timeout, program.kill)
    watchdog.start()
    try:
        rest = program.stdout.read()
        code = program.wait()
    finally:
        watchdog.cancel()
    assert code == 0, "ended with {}\n{}\nthe server said:\n{}".format(code, rest, kiln.log_tail())
    assert rest.splitlines()[-1] == "phase: done", rest


def write_settings(kiln, suffix, folder, tasks_elevated):
    settings = settings_for(
        kiln, CLIENT, suffix, folder, is_intercepted=False, tasks_elevated=tasks_elevated
    )
    file = folder / "settings.json"
    file.write_text(json.dumps(settings))
    return file


def test_workflow_outlives_a_kill_after_its_tasks_were_added(
    mortal_kiln, suffix, tmp_path, tasks_elevated
):
    file = write_settings(mortal_kiln, suffix, tmp_path, tasks_elevated)
    program = start_program(mortal_kiln, [*CLIENT.workflow, str(file)])
    read_until(program, lambda line: line == "phase: waiting")
    mortal_kiln.kill()
    mortal_kiln.start()
    finish(program, mortal_kiln)


def test_upload_outlives_a_kill_between_its_blocks(mortal_kiln, suffix, tmp_path, tasks_elevated):
    file = write_settings(mortal_kiln, suffix, tmp_path, tasks_elevated)
    command = [*CLIENT.interpreter, str(PROGRAMS / "upload_large.py"), str(file), "48"]
    program = start_program(mortal_kiln, command)
    read_until(program, lambda line: line == "phase: sent {}".format(8 * 1024 * 1024))
    mortal_kiln.kill()
    mortal_kiln.start()
    finish(program, mortal_kiln)


class Writer(threading.Thread):
    """Adds pools, jobs, tasks and blobs as fast as it can; keeps what was acknowledged."""

    def __init__(self, kiln, number):
        super().__init__()
        batch, storage = kiln.batch(), kiln.storage()
        self.batch = raw.Batch(batch.account, batch.key, batch.url)
        self.blob = raw.Blob(storage.account, storage.key, storage.url)
        self.number = number
        self.acknowledged = []
        self.has_ended = False

    def run(self):
        container = "/kept-{}".format(self.number)
        try:
            assert self.blob.request("PUT", container, query={"restype": "container"}).status == 201
            for index in range(1_000_000):
                name = "kept-{}-{}".format(self.number, index)
                self.add("/pools/" + name, "POST", "/pools", {"id": name, **POOL})
                self.add("/jobs/" + name, "POST", "/jobs", {"id": name, "poolInfo": {"poolId": name}})
                tasks = "/jobs/{}/tasks".format(name)
                task = {"id": "one", "commandLine": "true"}
                self.add(tasks + "/one", "POST", tasks, task)
                path = "{}/{}".format(container, name)
                headers = {"x-ms-blob-type": "BlockBlob"}
                body = name.encode() * 100
                if self.blob.request("PUT", path, body, headers=headers).status == 201:
                    self.acknowledged.append(("blob", path, body))
        except OSError:
            pass  # the server is dead; what it had acknowledged is kept here
        except Exception as cause:  # noqa: BLE001 - http.client has many ways to say "cut off"
            if "Remote" not in type(cause).__name__ and "Incomplete" not in type(cause).__name__:
                raise
        self.has_ended = True

    def add(self, path, method, where, body):
        answer = self.batch.request(method, where, body)
        assert answer.status == 201, (answer.status, answer.body)
        self.acknowledged.append(("batch", path, None))

    def check(self):
        for kind, path, body in self.acknowledged:
            if kind == "batch":
                answer = self.batch.request("GET", path)
                assert answer.status == 200, (path, answer.status, answer.body)
            else:
                answer = self.blob.request("GET", path)
                assert (answer.status, answer.body) == (200, body), (path, answer.status)


def test_nothing_acknowledged_is_lost(mortal_kiln):
    n_rounds = 3
    for round_number in range(n_rounds):
        writers = [Writer(mortal_kiln, "{}-{}".format(round_number, n)) for n in range(4)]
        for writer in writers:
            writer.start()
        time.sleep(1.5)
        mortal_kiln.kill()
        for writer in writers:
            writer.join(60)
            assert writer.has_ended
        mortal_kiln.start()
        assert sum(len(writer.acknowledged) for writer in writers) > 20
        for writer in writers:
            writer.check()
