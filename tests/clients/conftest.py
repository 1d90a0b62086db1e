"""What the tests share: one Kiln for the session, and the environments of the clients."""

import base64
import itertools
import os
import pathlib
import subprocess

import pytest
from kiln_process import Kiln, is_reachable_by_others

HERE = pathlib.Path(__file__).resolve().parent
CLIENTS = pathlib.Path(os.environ.get("KILN_CLIENTS", HERE.parents[1] / "target/clients"))
PROGRAMS = HERE / "programs"
# A certificate that certifies nothing, in its binary form.
CERTIFICATE = base64.b64decode((HERE / "certificate.txt").read_text())
AZURE_BATCH_URL = "https://{}.westeurope.batch.azure.com"
AZURE_BLOB_URL = "https://{}.blob.core.windows.net"


@pytest.fixture(scope="session")
def kiln(tmp_path_factory):
    """A Kiln that every test may use; names must be the test's own."""
    folder = tmp_path_factory.mktemp("kiln")
    process = Kiln(folder).start()
    yield process
    code = process.stop()
    assert code == 0, "kiln up ended with {}:\n{}".format(code, process.log_tail())


@pytest.fixture(scope="session")
def suffixes():
    """Makes names that no other test of the session has."""
    return ("t{}".format(number) for number in itertools.count(1))


@pytest.fixture
def suffix(suffixes):
    return next(suffixes)


@pytest.fixture(scope="session")
def application(kiln, tmp_path_factory):
    """An application of which a package lies ready."""
    kiln.add_application("every-client", "1.0", tmp_path_factory.mktemp("package"))
    return "every-client"


@pytest.fixture(scope="session")
def tasks_elevated():
    """Whether tasks must run as administrators to reach the clients' interpreters."""
    interpreter = (CLIENTS / "batch-14.2.0/bin/python").resolve()
    reachable = is_reachable_by_others(CLIENTS) and is_reachable_by_others(interpreter.parent)
    if not reachable:
        print("note: {} is private, so tasks run elevated".format(CLIENTS))
    return not reachable


class Client:
    """One set of SDKs: how to run a program with it, here and on a node."""

    def __init__(self, version):
        self.version = version
        self.is_javascript = version == "javascript"
        self.folder = CLIENTS / (version if self.is_javascript else "batch-" + version)

    def __str__(self):
        return self.version

    @property
    def interpreter(self):
        """The words that start a program."""
        if self.is_javascript:
            return ["env", "NODE_PATH={}".format(self.folder / "node_modules"), "node"]
        return [str(self.folder / "bin/python")]

    @property
    def workflow(self):
        name = "workflow.cjs" if self.is_javascript else "workflow.py"
        return [*self.interpreter, str(PROGRAMS / name)]

    def require(self):
        """Skips the test where this set could not be installed."""
        if self.is_javascript and os.environ.get("KILN_HAS_JAVASCRIPT") == "":
            pytest.skip("needs node and npm: `cargo xtask test --setup` installs them")
        assert self.folder.is_dir(), "run `cargo xtask test clients` to make {}".format(self.folder)


CLIENTS_OF_ALL_GENERATIONS = [
    Client(version)
    for version in (
        "1.0.0", "2.0.1", "3.1.0", "4.1.3", "8.0.0", "14.2.0", "15.1.0", "javascript",
    )
]  # fmt: skip


def settings_for(kiln, client, suffix, folder, *, is_intercepted, tasks_elevated, n_nodes=1):
    """The settings file of a workflow, as a dictionary."""
    batch, storage = kiln.batch(), kiln.storage()
    task_endpoint = "" if is_intercepted else storage.url
    if is_intercepted:
        batch.url = AZURE_BATCH_URL.format(batch.account)
        storage.url = AZURE_BLOB_URL.format(storage.account)
    return {
        "batch_sdk": client.version,
        "batch": vars(batch),
        "storage": vars(storage),
        "task_interpreter": " ".join(client.interpreter),
        "task_endpoint": task_endpoint,
        "tasks_elevated": tasks_elevated,
        "n_nodes": n_nodes,
        "suffix": suffix,
        "folder": str(folder),
    }


def run_program(command, kiln, timeout=240, **options):
    """Runs a client program to its end; a failure shows both its words and the server's."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **options.pop("environment", {})}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=False,
            env=environment, stdin=options.pop("stdin", subprocess.DEVNULL), **options,
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        words = [part.decode(errors="replace") for part in (late.stdout, late.stderr) if part]
        pytest.fail("{} s were not enough:\n{}\n{}".format(timeout, "\n".join(words), kiln.log_tail()))
    assert done.returncode == 0, "ended with {}\n{}\n{}\nthe server said:\n{}".format(
        done.returncode, done.stdout, done.stderr, kiln.log_tail()
    )
    return done.stdout
