"""What operators are told: figures, health, readiness, and log lines with the ids that clients saw."""

import json
import pathlib
import re
import socket
import sqlite3
import urllib.error
import urllib.parse
import urllib.request

import pytest
import raw
from kiln_process import Kiln, free_port, run_kiln
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from test_blob_disk import MIB, PUT, fill, owner_of, small_disk  # noqa: F401 - a fixture
from steps import IMAGE, until

OPERATING = pathlib.Path(__file__).resolve().parents[2] / "docs/operating.md"


@pytest.fixture
def own_kiln(tmp_path):
    process = Kiln(tmp_path, free_port(), free_port(), arguments=["--log-format", "json"])
    yield process.start()
    process.stop()


def figures(kiln):
    """All families by name, and all samples by name and labels."""
    status, text = kiln.monitor("/metrics")
    assert status == 200, text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    samples = {}
    for family in families.values():
        for sample in family.samples:
            samples[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    return families, samples


def value(samples, name, **labels):
    return samples.get((name, tuple(sorted(labels.items()))), 0)


def check_documented(families):
    """Every figure is in the table, and every one of the table is there."""
    documented = set(re.findall(r"^\| `(kiln_[a-z_]+)` \|", OPERATING.read_text(), re.MULTILINE))
    told = {
        name + ("_total" if family.type == "counter" else "_info" if family.type == "info" else "")
        for name, family in families.items()
    }
    assert told == documented, told ^ documented
    assert all(family.documentation for family in families.values())


def test_figures_count_what_happened_and_are_documented(own_kiln):
    batch, blob = raw.batch_of(own_kiln), raw.blob_of(own_kiln)
    pool = {
        "id": "pool",
        "vmSize": "standard_d2_v3",
        "virtualMachineConfiguration": IMAGE,
        "targetDedicatedNodes": 1,
    }
    assert batch.request("POST", "/pools", pool).status == 201
    assert batch.request("POST", "/jobs", {"id": "job", "poolInfo": {"poolId": "pool"}}).status == 201
    for name in ("one", "two"):
        task = {"id": name, "commandLine": "true"}
        assert batch.request("POST", "/jobs/job/tasks", task).status == 201
    assert batch.request("POST", "/jobs/job/tasks", {"id": "one", "commandLine": "true"}).status == 409
    counts = lambda: batch.request("GET", "/jobs/job/taskcounts").json["taskCounts"]
    until(lambda: counts()["completed"] == 2)
    assert blob.request("PUT", "/cont", query={"restype": "container"}).status == 201
    assert blob.request("PUT", "/cont/blob", bytes(100_000), headers=PUT).status == 201
    assert blob.request("GET", "/cont/blob").status == 200
    until(lambda: value(figures(own_kiln)[1], "kiln_nodes", state="idle") == 1)
    # No request at all: refused before it is read.
    address = urllib.parse.urlsplit(blob.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        assert b" 400 " in connection.makefile("rb").readline()
    families, samples = figures(own_kiln)
    check_documented(families)
    assert value(samples, "kiln_requests_refused_total", service="blob", status="400") == 1
    answered = lambda **labels: value(samples, "kiln_requests_total", **labels)
    assert answered(service="batch", operation="task.add", status="201") == 2
    assert answered(service="batch", operation="task.add", status="409") == 1
    assert answered(service="blob", operation="PutBlob", status="201") == 1
    took = value(samples, "kiln_request_seconds_count", service="blob", operation="GetBlob")
    assert took == 1
    assert value(samples, "kiln_request_body_bytes_total", service="blob") >= 100_000
    assert value(samples, "kiln_answer_body_bytes_total", service="blob") >= 100_000
    assert value(samples, "kiln_tasks", state="succeeded") == 2
    assert value(samples, "kiln_dispatch_assignments_total") == 2
    for name in ("kiln_commits_total", "kiln_commit_flush_seconds_count", "kiln_agents", "kiln_ready"):
        assert value(samples, name) >= 1, name
    assert value(samples, "kiln_database_bytes", file="database") > 0
    assert value(samples, "kiln_disk_free_bytes") > 0
    done = run_kiln("status", "--json", "--data", own_kiln.data)
    assert done.returncode == 0, done.stderr
    status = json.loads(done.stdout)
    assert (status["isReady"], status["seen"]["tasks"]["succeeded"]) == (True, 2), status
    told = run_kiln("status", "--data", own_kiln.data)
    assert "2 succeeded" in told.stdout and "1 idle" in told.stdout, told.stdout
    assert batch.request("DELETE", "/pools/pool").status == 202
    until(lambda: batch.request("GET", "/pools/pool").status == 404)


def test_log_lines_of_a_request_carry_the_ids_that_its_client_saw(tmp_path):
    kiln = Kiln(
        tmp_path, free_port(), free_port(),
        arguments=["--log-format", "json", "--log", "warn,kiln_server=debug"],
    ).start()  # fmt: skip
    try:
        batch, blob = raw.batch_of(kiln), raw.blob_of(kiln)
        mine = {"client-request-id": "my-batch-id", "return-client-request-id": "true"}
        refused = batch.request("GET", "/jobs/none", headers=mine)
        missing = blob.request("GET", "/none/none", headers={"x-ms-client-request-id": "my-blob-id"})
        assert (refused.status, missing.status) == (404, 404)
    finally:
        assert kiln.stop() == 0
    lines = [json.loads(line) for line in kiln.log.read_text().splitlines() if line.startswith("{")]
    spans = [line["span"] for line in lines if "span" in line]
    for request_id, client_id in (
        (refused.headers["request-id"], "my-batch-id"),
        (missing.headers["x-ms-request-id"], "my-blob-id"),
    ):
        found = [it for it in spans if it.get("request_id") == request_id]
        assert found and all(client_id in it["client_request_id"] for it in found), (request_id, spans)


def test_readiness_follows_the_disk(tmp_path, small_disk):  # noqa: F811 - a fixture
    kiln = Kiln(tmp_path, free_port(), free_port(), data=small_disk / "data").start()
    try:
        assert kiln.monitor("/healthz") == (200, "lives\n")
        assert kiln.monitor("/readyz") == (200, "ready\n")
        owner = owner_of(kiln)
        taken, _ = fill(owner, MIB)
        fill(owner, 16 * 1024, limit=2000)
        status, text = kiln.monitor("/readyz")
        assert status == 503 and "the disk of the data directory has" in text, text
        done = run_kiln("status", "--data", kiln.data)
        assert done.returncode == 1 and "not ready" in done.stdout, done.stdout
        assert value(figures(kiln)[1], "kiln_ready") == 0
        for path in taken:
            assert owner.request("DELETE", path).status == 202
        until(lambda: kiln.monitor("/readyz")[0] == 200)
        assert kiln.monitor("/none")[0] == 404
    finally:
        assert kiln.stop() == 0


def test_it_lives_and_is_not_ready_while_it_starts(tmp_path):
    """A start that waits for the lock of the database, which somebody else has."""
    kiln = Kiln(tmp_path, free_port(), free_port()).start()
    assert kiln.stop() == 0
    port = free_port()
    kiln.arguments = ["--monitor-listen", "127.0.0.1:{}".format(port)]
    ask = lambda path: urllib.request.urlopen("http://127.0.0.1:{}{}".format(port, path), timeout=5)
    other = sqlite3.connect(kiln.data / "kiln.db", isolation_level=None)
    other.execute("PRAGMA user_version = 1")  # so that the start has something to write
    other.execute("BEGIN IMMEDIATE")
    try:
        kiln.launch()

        def lives():
            try:
                return ask("/healthz").status == 200
            except OSError:
                return False

        until(lives)
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask("/readyz")
        assert refused.value.code == 503 and b"it is starting" in refused.value.read()
    finally:
        kiln.kill()
        other.execute("ROLLBACK")
        other.close()
