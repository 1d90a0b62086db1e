"""Starting, stopping and killing a Kiln of one's own."""

import dataclasses
import json
import os
import pathlib
import signal
import socket
import stat
import subprocess
import time
import urllib.error
import urllib.request
import zipfile

BINARY = os.path.abspath(os.environ.get("KILN_BINARY", "target/debug/kiln"))
START_MAX_SECONDS = 30
STOP_MAX_SECONDS = 30
# One kill in so many hits a server that has only just been started.
EARLY = 8


@dataclasses.dataclass
class Account:
    """One account: its name, its key, and where it is."""

    account: str
    key: str
    url: str


def run_kiln(*arguments, timeout=60, environment=None):
    """Runs `kiln ARGUMENTS` to its end and answers what became of it."""
    return subprocess.run(
        [BINARY, *map(str, arguments)],
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def free_port():
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Kiln:
    """One Kiln with its own data directory; ports stay the same over restarts."""

    def __init__(self, folder, batch_port=0, blob_port=0, data=None, arguments=(), environment=None):
        self.folder = pathlib.Path(folder)
        self.data = pathlib.Path(data or self.folder / "data")
        self.arguments = list(arguments)
        self.variables = environment or {}
        self.ports = {"batch": batch_port, "blob": blob_port}
        self.process = None
        self.n_starts = 0

    @property
    def log(self):
        return self.folder / "kiln.log"

    def up_arguments(self):
        return [
            "up",
            "--data", self.data,
            "--batch-listen", "127.0.0.1:{}".format(self.ports["batch"]),
            "--blob-listen", "127.0.0.1:{}".format(self.ports["blob"]),
            "--ready-file", self.ready_file,
            *self.arguments,
        ]  # fmt: skip

    @property
    def ready_file(self):
        return self.folder / "ready-{}".format(self.n_starts)

    def launch(self):
        """Starts the server, ready or not."""
        assert self.process is None
        self.n_starts += 1
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [BINARY, *map(str, self.up_arguments())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.variables},
            )

    def start(self):
        """Starts the server and waits until it is ready."""
        self.launch()
        deadline = time.monotonic() + START_MAX_SECONDS
        while not self.ready_file.exists():
            code = self.process.poll()
            assert code is None, "kiln up ended with {}:\n{}".format(code, self.log_tail())
            assert time.monotonic() < deadline, "kiln up is not ready:\n" + self.log_tail()
            time.sleep(0.02)
        return self

    def kill(self):
        """Kills the server as a crash would: no goodbye."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def come_back(self, chance):
        """Kills the server and starts it anew; now and then also one that has only just been started."""
        self.kill()
        if chance.randrange(EARLY) == 0:
            self.launch()
            time.sleep(chance.uniform(0, 0.2))
            self.kill()
        self.start()

    def stop(self):
        """Stops the server as Ctrl-C would; answers its exit code."""
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(STOP_MAX_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.process = None
        return code

    def log_tail(self, n_lines=40):
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-n_lines:])

    def monitor(self, path):
        """Asks the endpoint for operators; answers status and text."""
        url = json.loads(self.ready_file.read_text())["monitorUrl"]
        try:
            with urllib.request.urlopen(url + path, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def environment(self):
        """What `kiln env --format json` says."""
        answer = run_kiln("env", "--data", self.data, "--format", "json")
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)

    def batch(self):
        told = self.environment()
        return Account(
            told["AZURE_BATCH_ACCOUNT"], told["AZURE_BATCH_ACCESS_KEY"], told["AZURE_BATCH_ENDPOINT"]
        )

    def storage(self):
        told = self.environment()
        pairs = (part.partition("=") for part in told["AZURE_STORAGE_CONNECTION_STRING"].split(";"))
        parts = {name: value for name, _, value in pairs}
        return Account(parts["AccountName"], parts["AccountKey"], parts["BlobEndpoint"].rstrip("/"))

    def add_application(self, name, version, folder):
        """Uploads a package that holds one small file."""
        package = pathlib.Path(folder) / "package.zip"
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("hello.txt", "hello from {} {}".format(name, version))
        answer = run_kiln("application", "add", "--data", self.data, name, version, package, "--default")
        assert answer.returncode == 0, answer.stderr

    def exec_arguments(self, *command):
        """The command line that runs `command` with Azure's names ending at this Kiln."""
        return [BINARY, "exec", "--data", str(self.data), "--", *map(str, command)]


def is_reachable_by_others(path):
    """Whether users that are neither owner nor group can read below this folder."""
    path = pathlib.Path(path).resolve()
    return all(it.stat().st_mode & stat.S_IXOTH for it in [path, *path.parents])
