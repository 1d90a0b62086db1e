"""Agents and the server are killed again and again under load, and the records stay true.

Each run of a task tells this test over a socket when it begins and when it is done, and the test
decides how long it takes and how it ends. So the truth is known here, whatever is killed, and in
the end each record is held against it.
"""

import datetime
import os
import pathlib
import random
import signal
import socketserver
import threading
import time

import pytest
import raw
from kiln_process import Kiln, free_port

# A failure is repeated with the seed that it printed.
SEED = int(os.environ.get("KILN_CHAOS_SEED", random.SystemRandom().randrange(1_000_000)))
SECONDS = float(os.environ.get("KILN_CHAOS_SECONDS", "25"))
N_NODES = 3
N_TASKS = 400
N_TASKS_AT_ONCE = 50
FINISH_MAX_SECONDS = 120
# Between the record of an event and what follows from it, on a busy machine.
SLACK_SECONDS = 2
COMMAND = (
    "/bin/bash -c 'exec 3<>/dev/tcp/127.0.0.1/{} || exit 77;"
    ' echo "$AZ_BATCH_TASK_ID $AZ_BATCH_NODE_ID" >&3; read -r -u 3 number code || exit 78;'
    " echo $number; echo done >&3; read -r -u 3 bye || exit 79; exit $code'"
)


class Run:
    """One run of a task, as it was seen."""

    def __init__(self, number, task, node, code):
        self.number, self.task, self.node, self.code = number, task, node, code
        self.began_at = time.time()
        self.done_at = None
        self.cut_at = None

    def __repr__(self):
        return "run {number} of {task} on {node}: {began_at} to {done_at}, cut {cut_at}".format(
            **vars(self)
        )


class Witness(socketserver.ThreadingTCPServer):
    """Tells runs what to do, and remembers them."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, chance):
        super().__init__(("127.0.0.1", 0), Questioning)
        self.chance = chance
        self.runs = []
        self.lock = threading.Lock()
        self.is_over = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def begin(self, task, node):
        with self.lock:
            code = 0 if self.chance.random() < 0.9 else 3
            run = Run(len(self.runs), task, node, code)
            self.runs.append(run)
            return run, self.chance.uniform(0.05, 1.0)


class Questioning(socketserver.StreamRequestHandler):
    def handle(self):
        words = self.rfile.readline().decode().split()
        if len(words) != 2:
            return
        run, takes_seconds = self.server.begin(*words)
        # How long the task runs: nothing else is waited for.
        self.server.is_over.wait(takes_seconds)
        try:
            self.wfile.write("{} {}\n".format(run.number, run.code).encode())
            if self.rfile.readline() == b"done\n":
                run.done_at = time.time()
                self.wfile.write(b"bye\n")
                self.rfile.readline()
        except OSError:
            pass
        run.cut_at = time.time()


class Chaos:
    """Kills and pauses what it finds, at moments that the seed chooses."""

    def __init__(self, kiln, chance):
        self.kiln, self.chance = kiln, chance
        self.blows = []
        self.n_servers = 0

    def agents(self):
        """Living agents, by node."""
        found = {}
        for lock in sorted((self.kiln.data / "nodes").glob("*/agent.lock")):
            try:
                pid = int(lock.read_text())
                os.kill(pid, 0)
            except (OSError, ValueError):
                continue
            found[lock.parent.name] = pid
        return found

    def strike(self):
        kind = self.chance.choices(["server", "agent", "pause", "stop"], [3, 6, 2, 1])[0]
        if kind == "server":
            self.n_servers += 1
            self.kiln.kill()
            time.sleep(self.chance.uniform(0, 0.5))
            self.kiln.start()
            return
        agents = self.agents()
        if not agents:
            return
        node = self.chance.choice(sorted(agents))
        try:
            if kind == "agent":
                self.blows.append((time.time(), node))
                os.kill(agents[node], signal.SIGKILL)
            elif kind == "stop":
                # It is never heard again: the server must notice.
                self.blows.append((time.time(), node))
                os.kill(agents[node], signal.SIGSTOP)
            else:
                os.kill(agents[node], signal.SIGSTOP)
                time.sleep(self.chance.uniform(0.1, 1))
                os.kill(agents[node], signal.SIGCONT)
        except ProcessLookupError:
            pass

    def rage(self, until):
        while time.monotonic() < until:
            time.sleep(self.chance.uniform(0.2, 1.5))
            self.strike()

    def explains(self, run, until):
        """Whether something was done to the node of a run that can have ended it."""
        return any(
            node == run.node and run.began_at - SLACK_SECONDS <= at <= until + SLACK_SECONDS
            for at, node in self.blows
        )


class Client:
    """Asks again while the server is between two lives."""

    def __init__(self, kiln):
        self.batch = raw.batch_of(kiln)

    def ask(self, *request, **options):
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.batch.request(*request, **options)
            except Exception:  # noqa: BLE001 - http.client has many ways to say "cut off"
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def add_tasks(self, first, port):
        ids = ["t{:05}".format(first + n) for n in range(N_TASKS_AT_ONCE)]
        tasks = [{"id": name, "commandLine": COMMAND.format(port)} for name in ids]
        answer = self.ask("POST", "/jobs/chaos/addtaskcollection", {"value": tasks})
        assert answer.status == 200, answer.body
        for result in answer.json["value"]:
            # An earlier try may have been kept though its answer was lost.
            is_kept = result["status"] == "success" or result["error"]["code"] == "TaskExists"
            assert is_kept, result
        return ids


@pytest.fixture
def mortal_kiln(tmp_path):
    process = Kiln(tmp_path, free_port(), free_port())
    process.data.mkdir(mode=0o700)
    (process.data / "kiln.toml").write_text('[nodes]\nlost-after = "7s"\n')
    process.start()
    yield process
    for lock in (process.data / "nodes").glob("*/agent.lock"):
        # One that still stands could not be told to leave.
        try:
            os.kill(int(lock.read_text()), signal.SIGCONT)
        except (OSError, ValueError):
            pass
    process.stop()


def moment(text):
    """The seconds of a time in an answer."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    at = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc)
    return at.timestamp() + float("0." + (fraction or "0"))


def check(task, runs, chaos):
    """Holds the record of a task against what its runs said."""
    info = task["executionInfo"]
    story = "{}\n{}".format(info, "\n".join(map(str, runs)))
    assert task["state"] == "completed", story
    began, ended = moment(info["startTime"]), moment(info["endTime"])
    recorded = [run for run in runs if run.began_at >= began]
    assert len(recorded) == 1, "not one run for the recorded attempt:\n" + story
    run = recorded[0]
    assert run is runs[-1], "it ran on after it had completed:\n" + story
    assert run.done_at is not None and run.done_at <= ended + SLACK_SECONDS, story
    assert run.node == task["nodeInfo"]["nodeId"], story
    assert info["exitCode"] == run.code, story
    assert info["result"] == ("success" if run.code == 0 else "failure"), story
    assert (info["retryCount"], info.get("requeueCount", 0)) == (0, 0), story
    for earlier, later in zip(runs, runs[1:]):
        # Nothing but the loss of its agent makes a run be followed by another, and never before
        # it had ended.
        assert chaos.explains(earlier, later.began_at), "why did it run again?\n" + story
        ends = [at for at in (earlier.done_at, earlier.cut_at) if at is not None]
        assert ends and min(ends) <= later.began_at + SLACK_SECONDS, "two at once:\n" + story


def test_records_stay_true_whatever_is_killed(mortal_kiln, tmp_path):
    print("KILN_CHAOS_SEED={} KILN_CHAOS_SECONDS={}".format(SEED, SECONDS))
    chance = random.Random(SEED)
    witness = Witness(random.Random(chance.random()))
    chaos = Chaos(mortal_kiln, chance)
    client = Client(mortal_kiln)
    pool = {
        "id": "chaos",
        "vmSize": "STANDARD_D2_V3",
        "targetDedicatedNodes": N_NODES,
        "taskSlotsPerNode": 4,
        "virtualMachineConfiguration": {
            "imageReference": {
                "publisher": "canonical",
                "offer": "0001-com-ubuntu-server-focal",
                "sku": "20_04-lts",
            },
            "nodeAgentSKUId": "batch.node.ubuntu 20.04",
        },
    }
    assert client.ask("POST", "/pools", pool).status == 201
    job = {"id": "chaos", "poolInfo": {"poolId": "chaos"}}
    assert client.ask("POST", "/jobs", job).status == 201
    raging = threading.Thread(target=chaos.rage, args=(time.monotonic() + SECONDS,))
    port = witness.server_address[1]
    ids = client.add_tasks(0, port)
    raging.start()
    for first in range(N_TASKS_AT_ONCE, N_TASKS, N_TASKS_AT_ONCE):
        ids += client.add_tasks(first, port)
    raging.join()

    deadline = time.monotonic() + FINISH_MAX_SECONDS
    counts = {}
    while counts.get("completed") != N_TASKS:
        assert time.monotonic() < deadline, "{}\n{}".format(counts, mortal_kiln.log_tail())
        time.sleep(0.2)
        counts = client.ask("GET", "/jobs/chaos/taskcounts").json["taskCounts"]
    witness.is_over.set()
    tasks = {task["id"]: task for task in client.batch.listed("/jobs/chaos/tasks")}
    assert sorted(tasks) == ids, "tasks were lost"
    runs = {name: [] for name in ids}
    for run in list(witness.runs):
        runs[run.task].append(run)
    for name in ids:
        check(tasks[name], runs[name], chaos)
    n_again = len(witness.runs) - N_TASKS
    print("{} blows to agents, {} to the server, {} runs again".format(
        len(chaos.blows), chaos.n_servers, n_again))  # fmt: skip
    assert chaos.blows and chaos.n_servers and n_again > 0, "there was no chaos"

    # What the recorded run printed is what clients read, while its node lives and afterwards.
    def check_printed(names):
        for name in names:
            answer = client.ask("GET", "/jobs/chaos/tasks/{}/files/stdout.txt".format(name))
            expected = "{}\n".format(runs[name][-1].number).encode()
            assert (answer.status, answer.body) == (200, expected), (name, answer)

    assert client.ask("DELETE", "/pools/chaos").status == 202
    while client.ask("GET", "/pools/chaos").status != 404:
        assert time.monotonic() < deadline, mortal_kiln.log_tail()
        time.sleep(0.1)
    check_printed(ids)
    left = list(pathlib.Path(mortal_kiln.data / "nodes").iterdir())
    assert left == [], "directories of nodes that are gone"
