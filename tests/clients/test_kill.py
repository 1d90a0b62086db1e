"""The server dies at the worst moment, comes back, and nobody has lost anything."""

import http.client
import json
import os
import random
import subprocess
import threading
import time

import pytest
import raw
from conftest import PROGRAMS, Client, settings_for
from kiln_process import Kiln, free_port
from test_blob_crash import check_whole
from test_chaos import moment
from steps import until

CLIENT = Client("14.2.0")
# A failure is repeated with the seed that it printed.
SEED = int(os.environ.get("KILN_KILL_SEED") or random.randrange(2**32))
N_KILLS = int(os.environ.get("KILN_KILLS", "50"))
N_WRITERS = 4
# A server lives this long between two kills, in seconds.
LIFE = (0.05, 0.6)
# One life in so many is so long.
LONG_EACH, LONG_LIFE = 6, 1.5
# One job in so many has nodes to run on.
RUN_EACH = 12
TASKS_AT_ONCE = 20
FINISH_MAX_SECONDS = 120
# A short line is appended whole.
COMMAND = (
    "/bin/sh -c 'echo $AZ_BATCH_JOB_ID $AZ_BATCH_TASK_ID >> $AZ_BATCH_NODE_SHARED_DIR/ran'"
)
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
    """Adds jobs, tasks and blobs as fast as it can; keeps what was acknowledged."""

    def __init__(self, kiln, number, gate):
        super().__init__()
        self.batch, self.blob = raw.batch_of(kiln), raw.blob_of(kiln)
        self.number, self.gate = number, gate
        self.jobs, self.tasks, self.blobs = [], {}, {}
        self.n_cut_off = 0
        self.stops = False
        self.failure = None

    def run(self):
        try:
            for index in range(1_000_000):
                if self.stops:
                    return
                self.gate.wait()
                try:
                    self.step("k{}-{}".format(self.number, index))
                except (OSError, http.client.HTTPException):
                    # What it had acknowledged is kept here; of the rest nobody knows.
                    self.n_cut_off += 1
        except BaseException as failure:  # told to the test, which raises it
            self.failure = failure

    def step(self, name):
        is_run = len(self.jobs) % RUN_EACH == 0
        job = {"id": name, "poolInfo": {"poolId": "kill" if is_run else "none"}}
        assert self.batch.request("POST", "/jobs", job).status == 201
        self.jobs.append(name)
        self.tasks[name] = []
        task = {"id": "one", "commandLine": COMMAND}
        answer = self.batch.request("POST", "/jobs/{}/tasks".format(name), task)
        assert answer.status == 201, answer.body
        self.tasks[name].append("one")
        several = [{"id": "s{:02}".format(n), "commandLine": COMMAND} for n in range(TASKS_AT_ONCE)]
        path = "/jobs/{}/addtaskcollection".format(name)
        answer = self.batch.request("POST", path, {"value": several})
        assert answer.status == 200, answer.body
        assert all(it["status"] == "success" for it in answer.json["value"]), answer.body
        self.tasks[name] += [it["taskId"] for it in answer.json["value"]]
        path, body = "/kept/" + name, name.encode() * (100 if is_run else 10_000)
        answer = self.blob.request("PUT", path, body, headers={"x-ms-blob-type": "BlockBlob"})
        assert answer.status == 201, answer.body
        self.blobs[path] = body

    def check(self):
        """All that was acknowledged is there; answers the tasks that have a pool to run on."""
        running = set()
        for name in self.jobs:
            job = self.batch.request("GET", "/jobs/" + name)
            assert job.status == 200, (name, job.body)
            listed = {it["id"] for it in self.batch.listed("/jobs/{}/tasks".format(name))}
            assert set(self.tasks[name]) <= listed, (name, listed)
            if job.json["poolInfo"]["poolId"] == "kill":
                running |= {(name, task) for task in listed}
        for path, body in self.blobs.items():
            answer = self.blob.request("GET", path)
            assert (answer.status, answer.body) == (200, body), (path, answer.status)
        return running


def lines_of_runs(batch):
    """What tasks wrote down on their nodes: one line for each run."""
    lines = []
    for node in batch.listed("/pools/kill/nodes"):
        path = "/pools/kill/nodes/{}/files/shared/ran".format(node["id"])
        answer = batch.request("GET", path)
        if answer.status == 200:
            lines += answer.body.decode().splitlines()
    return lines


def test_nothing_acknowledged_is_lost_and_nothing_runs_twice(mortal_kiln):
    """Fifty kills while jobs, tasks and blobs are added at full rate and nodes run tasks."""
    print("KILN_KILL_SEED={} KILN_KILLS={}".format(SEED, N_KILLS))
    kiln, chance = mortal_kiln, random.Random(SEED)
    gate = threading.Event()
    writers = [Writer(kiln, number, gate) for number in range(N_WRITERS)]
    batch, blob = writers[0].batch, writers[0].blob
    pool = {"id": "kill", **POOL, "targetDedicatedNodes": 2, "taskSlotsPerNode": 4}
    assert batch.request("POST", "/pools", pool).status == 201
    assert blob.request("PUT", "/kept", query={"restype": "container"}).status == 201
    nodes = lambda: [it["state"] for it in batch.listed("/pools/kill/nodes")]
    until(lambda: nodes() == ["idle", "idle"])
    try:
        for writer in writers:
            writer.start()
        for number in range(N_KILLS):
            gate.set()
            # Long enough now and then that nodes come back and run tasks.
            time.sleep(chance.uniform(*LIFE) if number % LONG_EACH else LONG_LIFE)
            gate.clear()
            killed_at = time.time()
            kiln.come_back(chance)
            assert not [it.failure for it in writers if it.failure], kiln.log_tail()
    finally:
        for writer in writers:
            writer.stops = True
        gate.set()
        for writer in writers:
            writer.join(60)
    for writer in writers:
        if writer.failure:
            raise AssertionError("seed {}\n{}".format(SEED, kiln.log_tail())) from writer.failure
    running = set().union(*(writer.check() for writer in writers))
    deadline = time.monotonic() + FINISH_MAX_SECONDS
    jobs = {job for job, _ in running}
    while jobs:
        assert time.monotonic() < deadline, (len(jobs), kiln.log_tail())
        done = [it for it in sorted(jobs) if not waiting(batch, it)]
        jobs -= set(done)
        time.sleep(0.1)
    # What completed, completed once: no node was lost, so nothing may have run again.
    lines = lines_of_runs(batch)
    assert sorted(lines) == sorted("{} {}".format(*it) for it in running)
    n_before = 0
    for job in {job for job, _ in running}:
        for task in batch.listed("/jobs/{}/tasks".format(job)):
            info = task["executionInfo"]
            assert (task["state"], info["exitCode"], info["retryCount"]) == ("completed", 0, 0), task
            assert info.get("requeueCount", 0) == 0, task
            n_before += moment(info["endTime"]) < killed_at
    n_tasks = sum(len(it) for writer in writers for it in writer.tasks.values())
    n_blobs = sum(len(writer.blobs) for writer in writers)
    n_cut_off = sum(writer.n_cut_off for writer in writers)
    print("{} kills: {} tasks and {} blobs acknowledged, {} ran, {} between kills, {} cut off".format(
        kiln.n_starts - 1, n_tasks, n_blobs, len(lines), n_before, n_cut_off))  # fmt: skip
    assert n_tasks > 10 * N_KILLS and n_blobs > N_KILLS and n_cut_off > N_KILLS // 2
    assert n_before > N_KILLS, "nodes ran nothing meanwhile"
    assert batch.request("DELETE", "/pools/kill").status == 202
    while batch.request("GET", "/pools/kill").status != 404:
        assert time.monotonic() < deadline, kiln.log_tail()
        time.sleep(0.1)
    assert kiln.stop() == 0
    check_whole(kiln)


def waiting(batch, job):
    counts = batch.request("GET", "/jobs/{}/taskcounts".format(job)).json["taskCounts"]
    return counts["active"] + counts["running"]
