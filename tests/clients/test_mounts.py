"""Containers and shares that pools mount on their nodes, by the newest SDKs for Python."""

import json
import os

import pytest
import raw
from conftest import PROGRAMS, Client, run_program
from kiln_process import Kiln


@pytest.fixture(params=["namespaces", "plain"])
def kiln(request, tmp_path_factory):
    """A Kiln whose nodes are of one kind."""
    folder = tmp_path_factory.mktemp("mounts")
    process = Kiln(folder, arguments=["--isolation", request.param]).start()
    yield process
    code = process.stop()
    assert code == 0, "kiln up ended with {}:\n{}".format(code, process.log_tail())


def test_mounts(kiln, suffix, tmp_path):
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        pytest.skip("mounts need root and /dev/fuse")
    client = Client("15.1.0")
    client.require()
    settings = {
        "batch": vars(kiln.batch()),
        "storage": vars(kiln.storage()),
        "suffix": suffix,
        "container_url": raw.container_url(kiln, "mounts-" + suffix),
        "scripts_url": raw.container_url(kiln, "scripts-" + suffix),
    }
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(settings))
    run_program([*client.interpreter, str(PROGRAMS / "mounts.py"), str(file)], kiln)
    # What opens a share or a container is nobody's business but its server's.
    log = kiln.log.read_text(errors="replace")
    assert "hush-hush" not in log and "sig=" not in log, "a secret is in the log"
