"""Tasks that try to do harm, on nodes of each kind: as root, as an ordinary user, and plain.

What a task can do on which kind of node is the table in docs/isolation.md; each line of it is
tried here, and after all of them the machine is as it was and the next task works.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import zipfile

import pytest
import raw
from kiln_process import BINARY, Kiln, run_kiln
from steps import IMAGE

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs/isolation.md"
# A user of the machine that nobody is.
NOBODYS_UID = 54_321
PATIENCE_SECONDS = 90
KINDS = ["root", "user", "plain"]
N_PROCESSES_MAX = 64
MEMORY_MAX = "256MiB"
DISK_MAX = "64MiB"


class KindOfKiln(Kiln):
    """A Kiln that makes nodes of one kind."""

    def __init__(self, folder, kind):
        super().__init__(folder)
        self.kind = kind
        self.program = pathlib.Path(folder) / "kiln"
        shutil.copy(BINARY, self.program)
        self.program.chmod(0o755)
        if kind == "user":
            os.chown(folder, NOBODYS_UID, NOBODYS_UID)

    def start(self):
        self.n_starts += 1
        command = [str(self.program), *map(str, self.up_arguments())]
        command += ["--slot-processes", str(N_PROCESSES_MAX), "--slot-memory", MEMORY_MAX]
        command += ["--slot-disk", DISK_MAX]
        command += ["--isolation", "plain" if self.kind == "plain" else "namespaces"]
        if self.kind == "user":
            uid = str(NOBODYS_UID)
            command = ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", *command]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )
        until(lambda: self.ready_file.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log_tail()
        return self


def until(is_so, what="it"):
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < end, "waited too long for {}".format(what)
        time.sleep(0.05)


class World:
    """A Kiln of one kind with a node, a job, and a task that others may try to harm."""

    def __init__(self, folder, kind):
        self.kind = kind
        self.kiln = KindOfKiln(folder, kind).start()
        self.batch = raw.batch_of(self.kiln)
        self.storage = self.kiln.storage()
        self.n_tasks = 0
        body = {
            "id": "p",
            "vmSize": "standard_d4_v3",
            "virtualMachineConfiguration": IMAGE,
            "targetDedicatedNodes": 1,
            "taskSlotsPerNode": 4,
        }
        assert self.ask("POST", "/pools", body).status == 201
        assert self.ask("POST", "/jobs", {"id": "j", "poolInfo": {"poolId": "p"}}).status == 201
        self.victim = "victim-of-{}".format(kind)
        script = (
            "echo $$ > $AZ_BATCH_NODE_SHARED_DIR/pid-of-victim; umask 077; echo secret > secret; "
            "exec -a {} sleep 100000"
        ).format(self.victim)
        self.add("victim", script)
        until(lambda: self.state("victim") == "running", "the victim")
        until(self.victim_pids, "the victim's process")
        self.victim_pid = self.victim_pids()[0]

    def ask(self, method, path, body=None):
        return self.batch.request(method, path, body=body)

    def state(self, task_id):
        return self.ask("GET", "/jobs/j/tasks/{}".format(task_id)).json["state"]

    def victim_pids(self):
        """Processes of the victim, on the machine."""
        return processes_named(self.victim)

    def add(self, task_id, script, level="nonadmin", **more):
        user = {"autoUser": {"scope": "task", "elevationLevel": level}}
        files = [{"name": "SCRIPT", "value": script}]
        body = {
            "id": task_id,
            "commandLine": "/bin/bash -c 'eval \"$SCRIPT\"'",
            "environmentSettings": files,
            "userIdentity": user,
            **more,
        }
        answer = self.ask("POST", "/jobs/j/tasks", body)
        assert answer.status == 201, answer.body

    def run(self, script, level="nonadmin", **more):
        """Runs a task to its end; gives it, and what it printed."""
        self.n_tasks += 1
        task_id = "t{}".format(self.n_tasks)
        self.add(task_id, script, level, **more)
        until(lambda: self.state(task_id) == "completed", script)
        task = self.ask("GET", "/jobs/j/tasks/" + task_id).json
        printed = [
            self.ask("GET", "/jobs/j/tasks/{}/files/{}".format(task_id, name)).body.decode()
            for name in ("stdout.txt", "stderr.txt")
        ]
        return task, *printed

    def says_yes(self, script, level="nonadmin"):
        """Whether a task that tries something says that it could."""
        task, printed, errors = self.run(script, level)
        words = printed.split()
        assert words and words[-1] in ("yes", "no"), (task["executionInfo"], printed, errors)
        return words[-1] == "yes"

    def end(self):
        self.ask("DELETE", "/pools/p")
        until(lambda: self.ask("GET", "/pools/p").status == 404, "the end of the pool")
        assert self.kiln.stop() == 0, self.kiln.log_tail()
        assert not self.victim_pids()


def processes_named(name):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cmdline").read_bytes().split(b"\0")[0] == name.encode():
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


@pytest.fixture(scope="module", params=KINDS)
def world(request):
    if os.geteuid() != 0:
        pytest.skip("needs root, to be everyone")
    folder = tempfile.mkdtemp(prefix="kiln-hostile-", dir="/var/tmp")
    os.chmod(folder, 0o755)
    before = machine()
    world = World(folder, request.param)
    yield world
    # Whatever was tried, the next task works, and the machine is as it was.
    assert world.run("echo fine")[1] == "fine\n"
    assert world.victim_pids(), "the victim was harmed"
    world.end()
    assert machine() == before
    shutil.rmtree(folder)


def machine():
    """What of the machine a task that gets out would first change."""
    places = ["/etc", "/usr/bin", "/usr/local/bin", "/root", "/var/tmp/kiln-trap"]
    names = {place: sorted(os.listdir(place)) if os.path.isdir(place) else None for place in places}
    shadow = pathlib.Path("/etc/shadow").read_bytes()
    return names, shadow, pathlib.Path("/proc/sys/kernel/hostname").read_text()


# What is tried: a script that ends with `yes` where it could and `no` where not, and who runs it.
# `$DATA` is the server's directory, `$SERVER` and `$AGENT` are ids of processes, `$DISK` is a number.
TRACE = (
    "python3 -c \"import ctypes; libc = ctypes.CDLL(None, use_errno=True);"
    " print('yes' if libc.ptrace(0x4206, {}, 0, 0) == 0 else 'no')\""
)
CONNECT = (
    "python3 -c \"import socket; s = socket.socket(socket.AF_UNIX);"
    " s.connect('$DATA/link.sock'); print('yes')\" || echo no"
)
ANSWER = "&& echo yes || echo no"
TRIES = {
    "read the server's state": ("ls $DATA/* > /dev/null " + ANSWER, "nonadmin"),
    "read the server's state, as an administrator": ("ls $DATA/* > /dev/null " + ANSWER, "admin"),
    "speak with the server as an agent does": (CONNECT, "nonadmin"),
    "see processes of the machine": ("test \"$(tr '\\0' ' ' < /proc/$SERVER/cmdline)\" = \"$SERVED\" " + ANSWER, "nonadmin"),
    "send signals to the server or an agent": ("kill -0 $SERVER || kill -0 $AGENT " + ANSWER, "nonadmin"),
    "trace the agent": (TRACE.format("$AGENT"), "nonadmin"),
    "see another task's processes": ("grep -qa $VICTIM_NAME /proc/[0-9]*/cmdline " + ANSWER, "nonadmin"),
    "read another task's variables": ("cat /proc/[0-9]*/environ 2> /dev/null | tr '\\0' '\\n' | grep -q 'AZ_BATCH_TASK_ID=victi[m]' " + ANSWER, "nonadmin"),
    "send signals to another task": ("kill -0 $(cat $AZ_BATCH_NODE_SHARED_DIR/pid-of-victim) " + ANSWER, "nonadmin"),
    "trace another task": (TRACE.format("$(cat $AZ_BATCH_NODE_SHARED_DIR/pid-of-victim)"), "nonadmin"),
    "read another task's private files": ("cat $AZ_BATCH_TASK_DIR/../victim/wd/secret > /dev/null " + ANSWER, "nonadmin"),
    "change the machine's files, as an administrator": ("touch /etc/kiln-was-here; echo done", "admin"),
    "change the kernel's settings, as an administrator": ("sysctl -qw vm.swappiness=$(sysctl -n vm.swappiness) 2> /dev/null " + ANSWER, "admin"),
    "mount something, as an administrator": ("mkdir -p m; mount -t tmpfs none m && umount m " + ANSWER, "admin"),
    "make device files, as an administrator": ("mknod disk b $DISK " + ANSWER, "admin"),
    "start more processes than it may": ("for i in $(seq 400); do sleep 5 & done 2> /dev/null; n=$(jobs -r | wc -l); test $n -gt 300 " + ANSWER, "nonadmin"),
    "take more memory than it may": ("python3 -c 'x = b\"x\" * (512 << 20)' 2> /dev/null " + ANSWER, "nonadmin"),
}  # fmt: skip


def expected():
    """The table of docs/isolation.md: what a task can do, on which kinds of node."""
    text = DOCUMENT.read_text()
    section = text.split("## What a task can do", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| ([^|]+) \| (\w+) \| (\w+) \| (\w+) \|$", section, re.MULTILINE)
    return {name: dict(zip(KINDS, answers)) for name, *answers in rows}


def agents_of(kiln):
    """Processes of agents of a server: those that have its data directory open."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                program = os.readlink(entry / "exe")
            except OSError:
                continue
            if program == str(kiln.program) and b"agent" in words:
                found.append(int(entry.name))
    return found


def test_the_table_has_a_line_for_everything_that_is_tried():
    beyond = {"leave a process behind", "leave a process behind that hides from its mark"}
    assert sorted(expected()) == sorted(set(TRIES) | beyond)
    words = {word for answers in expected().values() for word in answers.values()}
    assert words <= {"yes", "no"}


@pytest.mark.parametrize("what", TRIES)
def test_a_task_can_do_what_the_table_says(world, what):
    script, level = TRIES[what]
    agents = agents_of(world.kiln)
    assert agents, "no agent is found"
    served = pathlib.Path("/proc/{}/cmdline".format(world.kiln.process.pid)).read_bytes()
    values = {
        "DATA": str(world.kiln.data),
        "SERVER": str(world.kiln.process.pid),
        "SERVED": served.replace(b"\0", b" ").decode(),
        "AGENT": str(agents[0]),
        "DISK": "{} {}".format(os.major(os.stat("/").st_dev), os.minor(os.stat("/").st_dev)),
        # Not whole, so that the one who looks does not find itself.
        "VICTIM_NAME": "[v]" + world.victim[1:],
    }
    settings = "".join("{}='{}'; ".format(name, value) for name, value in values.items())
    if what.startswith("change the machine's files"):
        world.run(settings + script, level)
        trace = pathlib.Path("/etc/kiln-was-here")
        could = trace.exists()
        trace.unlink(missing_ok=True)
    elif "than it may" in what:
        # The shell that tries it may itself be what is ended.
        task, printed, errors = world.run(settings + script, level)
        could = printed.endswith("yes\n")
        assert could or printed.endswith("no\n") or task["executionInfo"]["exitCode"] in (137, 254), errors
    else:
        could = world.says_yes(settings + script, level)
    assert ("yes" if could else "no") == expected()[what][world.kind]
    assert world.victim_pids() == [world.victim_pid]


@pytest.mark.parametrize(
    ("what", "start"),
    [
        ("leave a process behind", "setsid bash -c"),
        ("leave a process behind that hides from its mark", "env -i /usr/bin/setsid /bin/bash -c"),
    ],
)
def test_what_a_task_leaves_behind(world, what, start):
    """A daemon: in a session of its own, its parent gone, deaf to polite signals."""
    name = "daemon-of-{}-{}".format(world.kind, len(start))
    script = (
        "( {} \"trap '' TERM HUP INT; (exec -a {} sleep 100000) & wait\" & ); "
        "until pgrep -f '[d]{}' > /dev/null; do sleep 0.01; done"
    ).format(start, name, name[1:])
    world.run(script)
    left = processes_named(name)
    could = bool(left)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert ("yes" if could else "no") == expected()[what][world.kind]


def test_a_task_does_not_fill_the_disk(world):
    """In its own directory; and, where it has a user of its own, in those that all share."""
    places = ["."] + (["/tmp", "$AZ_BATCH_NODE_SHARED_DIR"] if world.kind == "root" else [])
    for place in places:
        # More than a task of one slot, or all of the node's four, may take.
        script = "head -c 600M /dev/zero > {}/large; exec sleep 1000".format(place)
        task, _, _ = world.run(script)
        failure = task["executionInfo"]["failureInfo"]
        assert (failure["code"], failure["category"].lower()) == ("DiskFull", "usererror"), task
        assert "exitCode" not in task["executionInfo"], task
    world.run("rm -f /tmp/large $AZ_BATCH_NODE_SHARED_DIR/large", level="admin")
    small = "head -c 20M /dev/zero > small; sleep 3"
    assert world.run(small)[0]["executionInfo"]["exitCode"] == 0


def test_a_task_that_does_not_listen_ends_when_it_must(world):
    name = "deaf-of-{}".format(world.kind)
    script = "trap '' TERM HUP INT QUIT; exec -a {} bash -c \"trap '' TERM; while :; do sleep 1; done\""
    world.add("deaf", script.format(name))
    until(lambda: processes_named(name), "the deaf task")
    assert world.ask("POST", "/jobs/j/tasks/deaf/terminate").status == 204
    until(lambda: not processes_named(name), "the end of the deaf task")
    assert world.state("deaf") == "completed"


def blob(world, name, content):
    """Makes a blob that everybody may read, and gives its URL."""
    storage = raw.blob_of(world.kiln)
    storage.request("PUT", "/drop", query={"restype": "container"}, headers={"x-ms-blob-public-access": "container"})
    made = storage.request("PUT", "/drop/" + name, body=content, headers={"x-ms-blob-type": "BlockBlob"})
    assert made.status == 201, made.body
    return "{}/drop/{}".format(world.storage.url, name)


@pytest.mark.parametrize("path", ["../../evil", "a/../../../evil", "/etc/kiln-evil", "..", "a//../../evil"])
def test_a_resource_file_stays_in_the_directory_of_its_task(world, path):
    url = blob(world, "evil", b"evil")
    body = {"httpUrl": url, "filePath": path}
    self_id = "drop-{}".format(len(world.ask("GET", "/jobs/j/tasks").json["value"]))
    made = world.ask(
        "POST", "/jobs/j/tasks",
        {"id": self_id, "commandLine": "/bin/true", "resourceFiles": [body]},
    )  # fmt: skip
    if made.status == 201:
        until(lambda: world.state(self_id) == "completed")
    root = "/pools/p/nodes/{}/files".format(world.ask("GET", "/pools/p/nodes").json["value"][0]["id"])
    names = [it["name"] for it in world.batch.listed(root, query={"recursive": "true"})]
    evil = [name for name in names if "evil" in name.split("/")[-1]]
    assert all(re.match(r"workitems/j/job-1/drop-\d+/wd/", name) for name in evil), evil
    assert not os.path.exists("/etc/kiln-evil")


def test_a_link_does_not_lead_a_resource_file_out(world):
    """The second task has the id of the first, whose directory holds a trap."""
    trap = pathlib.Path(tempfile.mkdtemp(prefix="kiln-trap-", dir="/var/tmp"))
    trap.chmod(0o777)
    link = "ln -s {} out; ln -s {}/file evil".format(trap, trap)
    world.add("trapped", link + "; exit 1", constraints={"maxTaskRetryCount": 0})
    until(lambda: world.state("trapped") == "completed")
    files = [{"httpUrl": blob(world, "evil", b"evil"), "filePath": path} for path in ("out/file", "evil")]
    assert world.ask("DELETE", "/jobs/j/tasks/trapped").status == 200
    world.add("trapped", "true", resourceFiles=files)
    until(lambda: world.state("trapped") == "completed")
    assert list(trap.iterdir()) == []
    trap.rmdir()


def test_output_files_are_what_their_task_may_read(world):
    storage = raw.blob_of(world.kiln)
    secret = pathlib.Path(tempfile.mkstemp(prefix="kiln-secret-", dir="/var/tmp")[1])
    secret.write_text("of the machine")
    url = raw.container_url(world.kiln, "taken")
    patterns = [str(secret), "link", "../../../../../../../../../{}".format(secret), "**/*"]
    outputs = [
        {
            "filePattern": pattern,
            "destination": {"container": {"containerUrl": url, "path": "p{}".format(number)}},
            "uploadOptions": {"uploadCondition": "taskCompletion"},
        }
        for number, pattern in enumerate(patterns)
    ]
    world.run("ln -s {} link; echo mine > mine".format(secret), outputFiles=outputs)
    listed = storage.request("GET", "/taken", query={"restype": "container", "comp": "list"}).body.decode()
    names = re.findall(r"<Name>([^<]*)</Name>", listed)
    assert "p3/mine" in names, names
    for name in names:
        content = storage.request("GET", "/taken/" + name).body
        assert b"of the machine" not in content, name
        storage.request("DELETE", "/taken/" + name)
    secret.unlink()


def test_a_package_stays_in_its_directory(world):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kiln-package-", dir="/var/tmp"))
    package = folder / "evil.zip"
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("good.txt", "good")
        for name in ("../evil.txt", "/etc/kiln-evil", "a/../../evil.txt"):
            archive.writestr(name, "evil")
        link = zipfile.ZipInfo("out")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/var/tmp")
        archive.writestr("out/kiln-evil", "evil")
    added = run_kiln("application", "add", "--data", world.kiln.data, "evil", "1", package, "--default")
    shutil.rmtree(folder)
    assert added.returncode == 0, added.stderr
    task, _, _ = world.run("true", applicationPackageReferences=[{"applicationId": "evil"}])
    assert task["state"] == "completed"
    assert not os.path.exists("/etc/kiln-evil") and not os.path.exists("/var/tmp/kiln-evil")
    root = "/pools/p/nodes/{}/files".format(world.ask("GET", "/pools/p/nodes").json["value"][0]["id"])
    names = [it["name"] for it in world.batch.listed(root, query={"recursive": "true"})]
    evil = [name for name in names if name.split("/")[-1] in ("evil.txt", "kiln-evil")]
    assert all(re.match(r"applications/evil1\S*/", name) for name in evil), evil
