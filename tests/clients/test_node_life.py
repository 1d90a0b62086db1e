"""The life of nodes and the users of tasks, by the newest SDK for Python, on real nodes."""

import json
import os
import time

import raw
from conftest import PROGRAMS, Client, run_program


def test_the_life_of_a_node(kiln, suffix, tmp_path):
    client = Client("15.1.0")
    client.require()
    container = "logs-" + suffix
    settings = {
        "batch": vars(kiln.batch()),
        "suffix": suffix,
        "is_root": os.geteuid() == 0,
        "container_url": raw.container_url(kiln, container),
    }
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(settings))
    printed = run_program([*client.interpreter, str(PROGRAMS / "node_life.py"), str(file)], kiln)
    directory = printed.strip()
    storage = raw.blob_of(kiln)
    query = {"restype": "container", "comp": "list"}
    deadline = time.monotonic() + 30
    while directory not in storage.request("GET", "/" + container, query=query).body.decode():
        assert time.monotonic() < deadline, "the logs do not come"
        time.sleep(0.1)
