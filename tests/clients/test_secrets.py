"""No log and no command line holds a key, a signature, a password or a token.

The server and its agents log all they can while one story hands them every kind of secret, also
where things go wrong: failures like to repeat what they failed with.
"""

import base64
import contextlib
import pathlib
import sqlite3
import threading
import time
import urllib.parse

import pytest
import raw
from kiln_process import Kiln
from registry import LACKING, Registry

EXPIRES_AT = "2099-01-01T00:00:00Z"
PATIENCE_SECONDS = 90
MACHINE = {
    "imageReference": {"publisher": "canonical", "offer": "0001-com-ubuntu-server-jammy", "sku": "22_04-lts"},
    "nodeAgentSKUId": "batch.node.ubuntu 22.04",
}
# The last version in which tasks ask for tokens.
WITH_TOKENS = "2024-07-01.20.0"


@pytest.fixture
def talkative_kiln(tmp_path, monkeypatch):
    """A Kiln of its own that logs all it can, its agents too."""
    monkeypatch.setenv("KILN_LOG", "trace")
    process = Kiln(tmp_path).start()
    yield process
    process.stop()


@pytest.fixture
def signatures(monkeypatch):
    """Every signature that the test makes: of requests, and of SAS."""
    made, sign = [], raw.signature

    def noted(key, text):
        made.append(sign(key, text))
        return made[-1]

    monkeypatch.setattr(raw, "signature", noted)
    return made


class CommandLines:
    """What the command lines of this machine's processes were while this was open."""

    def __init__(self):
        self.seen, self.is_over = set(), threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_error):
        self.is_over.set()
        self.thread.join()

    def watch(self):
        while not self.is_over.wait(0.01):
            for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(path.read_bytes())
                except OSError:
                    pass  # It ended meanwhile.


class Story:
    """Hands a Kiln every kind of secret."""

    def __init__(self, kiln, registry):
        self.registry = registry
        self.kiln = kiln
        self.batch, self.blob = raw.batch_of(kiln), raw.blob_of(kiln)
        self.secrets = {"key of the Batch account": self.batch.key, "key of the storage account": self.blob.key}

    def ask(self, method, path, body=None, status=(200, 201, 202, 204), version=raw.NEWEST):
        answer = self.batch.request(method, path, body, version=version)
        assert answer.status in status, (method, path, answer.body)
        return answer

    def until(self, path, holds):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            shown = self.ask("GET", path).json
            if holds(shown):
                return shown
            assert time.monotonic() < deadline, (path, shown)
            time.sleep(0.05)

    def password(self, what):
        self.secrets["password of " + what] = secret = "pass-{}-w0rd".format(what.replace(" ", "-"))
        return secret

    def url(self, path, token):
        return "{}{}?{}".format(self.blob.url, path, urllib.parse.urlencode(token))

    def containers(self):
        for name in ("input", "output"):
            made = self.blob.request("PUT", "/" + name, query={"restype": "container"})
            assert made.status == 201, made
        put = self.blob.request("PUT", "/input/a.txt", b"hello", headers={"x-ms-blob-type": "BlockBlob"})
        assert put.status == 201, put
        self.input = self.url("/input/a.txt", self.blob.sas("b", "r", EXPIRES_AT, "/input/a.txt"))
        self.output = self.url("/output", self.blob.sas("c", "rwl", EXPIRES_AT, "/output"))
        # Signatures that open nothing are told by nobody either.
        self.closed = self.url("/input/a.txt", {**self.blob.sas("b", "r", EXPIRES_AT, "/input/b.txt")})
        self.missing = self.url("/nowhere", self.blob.sas("c", "rwl", EXPIRES_AT, "/nowhere"))

    def pool(self):
        self.ask("POST", "/pools", {
            "id": "p", "vmSize": "standard_d2_v3", "targetDedicatedNodes": 1, "taskSlotsPerNode": 2,
            "virtualMachineConfiguration": MACHINE,
            "startTask": {
                "commandLine": "cat a.txt", "waitForSuccess": True,
                "resourceFiles": [{"httpUrl": self.input, "filePath": "a.txt"}]},
            "userAccounts": [{"name": "ada", "password": self.password("a pool's user")}],
        })  # fmt: skip
        idle = lambda shown: [it["state"] for it in shown["value"]] == ["idle"]
        self.node = "/pools/p/nodes/" + self.until("/pools/p/nodes", idle)["value"][0]["id"]

    def users(self):
        user = {"name": "bob", "password": self.password("a node's user")}
        self.ask("POST", self.node + "/users", user, status=(201, 409))
        changed = {"password": self.password("a changed user")}
        self.ask("PUT", self.node + "/users/bob", changed, status=(200, 404, 409))
        logs = {"containerUrl": self.output, "startTime": "2020-01-01T00:00:00Z"}
        self.ask("POST", self.node + "/uploadbatchservicelogs", logs)

    def tasks(self):
        self.ask("POST", "/jobs", {"id": "j", "poolInfo": {"poolId": "p"}})
        upload = lambda container, path: {
            "filePattern": "../std*.txt", "uploadOptions": {"uploadCondition": "taskcompletion"},
            "destination": {"container": {"containerUrl": container, "path": path}}}  # fmt: skip
        tell = "/bin/sh -c 'cat a.txt; echo; echo $AZ_BATCH_AUTHENTICATION_TOKEN'"
        tasks = {
            "good": {"resourceFiles": [{"httpUrl": self.input, "filePath": "a.txt"}],
                     "outputFiles": [upload(self.output, "good")]},
            "closed": {"resourceFiles": [{"httpUrl": self.closed, "filePath": "a.txt"}]},
            "nowhere": {"resourceFiles": [{"httpUrl": self.input, "filePath": "a.txt"}],
                        "outputFiles": [upload(self.missing, "nowhere")]},
        }  # fmt: skip
        for name, more in tasks.items():
            own = {"id": name, "commandLine": tell, "authenticationTokenSettings": {"access": ["job"]}}
            self.ask("POST", "/jobs/j/tasks", {**own, **more}, version=WITH_TOKENS)
        for name in tasks:
            shown = self.until("/jobs/j/tasks/" + name, lambda it: it["state"] == "completed")
            wanted = "success" if name == "good" else "failure"
            assert shown["executionInfo"]["result"] == wanted, shown
        printed = self.ask("GET", "/jobs/j/tasks/good/files/stdout.txt").body.decode().split()
        assert printed[0] == "hello" and len(printed[1]) > 20, printed
        self.secrets["token of a task"] = printed[1]

    def containers_of_images(self):
        """Tasks of images that a registry gives to those who know its password."""
        host, self.secrets["password of a registry"] = self.registry.host, self.registry.password
        admitted = lambda password: {
            "registryServer": host, "username": self.registry.user, "password": password}  # fmt: skip
        configuration = {
            "type": "dockerCompatible", "containerImageNames": [host + "/tool:1"],
            "containerRegistries": [admitted(self.registry.password)]}  # fmt: skip
        self.ask("POST", "/pools", {
            "id": "c", "vmSize": "standard_d2_v3", "targetDedicatedNodes": 1,
            "virtualMachineConfiguration": {**MACHINE, "containerConfiguration": configuration},
        })  # fmt: skip
        self.ask("POST", "/jobs", {"id": "k", "poolInfo": {"poolId": "c"}})
        stranger = admitted(self.password("a stranger of a registry"))
        for name, settings, wanted in (
            ("good", {"imageName": host + "/tool:1"}, "success"),
            ("bad", {"imageName": host + "/tool:2", "registry": stranger}, "failure"),
        ):
            task = {"id": name, "commandLine": "/bin/true", "containerSettings": settings}
            self.ask("POST", "/jobs/k/tasks", task)
            shown = self.until("/jobs/k/tasks/" + name, lambda it: it["state"] == "completed")
            assert shown["executionInfo"]["result"] == wanted, shown

    def refusals(self):
        """A body that makes no sense, a signature that is wrong."""
        broken = {"id": "x", "commandLine": "true", "resourceFiles": [{"httpUrl": self.input}], "bad": 1}
        self.ask("POST", "/jobs/j/tasks", broken, status=(400,))
        stranger = raw.Batch(self.batch.account, "d3Jvbmcga2V5", self.batch.url)
        assert stranger.request("GET", "/jobs").status == 403
        gone = self.blob.sas("b", "r", "2001-01-01T00:00:00Z", "/input/a.txt")
        assert self.blob.request_with_sas("GET", "/input/a.txt", gone).status == 403

    def link_secrets(self):
        """What agents prove themselves with."""
        with contextlib.closing(sqlite3.connect("file:{}?mode=ro".format(self.kiln.data / "kiln.db"), uri=True)) as kept:
            (self.secrets["secret of a link"],) = kept.execute("SELECT secret FROM node").fetchone()


def found_in(text, secrets):
    """The secrets that a text holds: as they are, as part of a URL, or as a registry is told them."""
    spelled = lambda secret: (
        secret, urllib.parse.quote(secret), urllib.parse.quote_plus(secret),
        base64.b64encode("{}:{}".format(Registry.user, secret).encode()).decode(),
    )  # fmt: skip
    return [what for what, secret in secrets.items() if any(it in text for it in spelled(secret))]


@pytest.fixture
def registry():
    """A registry that wants a password, where this machine runs containers."""
    found = None if LACKING else Registry()
    yield found
    if found is not None:
        found.stop()


def test_no_log_and_no_command_line_holds_a_secret(talkative_kiln, registry, signatures):
    story = Story(talkative_kiln, registry)
    with CommandLines() as command_lines:
        story.containers()
        story.pool()
        story.users()
        story.tasks()
        if registry is not None:
            story.containers_of_images()
        story.refusals()
        story.link_secrets()
        story.ask("DELETE", "/jobs/j")
    secrets = dict(story.secrets)
    secrets.update(("signature {}".format(number), it) for number, it in enumerate(signatures))
    logs = [talkative_kiln.log, *(talkative_kiln.data / "nodes").glob("*/agent.log*")]
    texts = {log: log.read_text(errors="replace") for log in logs}
    detailed = [log for log, text in texts.items() if " DEBUG " in text or " TRACE " in text]
    assert talkative_kiln.log in detailed and len(detailed) > 1, texts
    for log, text in texts.items():
        assert found_in(text, secrets) == [], log
    lines = b"\n".join(command_lines.seen).decode(errors="replace")
    assert "kiln" in lines
    assert found_in(lines, secrets) == []
