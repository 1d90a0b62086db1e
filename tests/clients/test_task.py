"""What a task finds on its node, and what its record says meanwhile."""

import http.server
import threading

import pytest
import raw
from steps import PATIENCE_SECONDS, add, dependent_job, ready_pool, state_of, until


@pytest.fixture(scope="module")
def batch(kiln):
    return raw.batch_of(kiln)


@pytest.fixture(scope="module")
def pool(batch):
    with ready_pool(batch, "task") as pool:
        yield pool


@pytest.fixture
def job(batch, pool, suffix):
    return dependent_job(batch, pool, "finds-" + suffix)


def test_a_task_finds_its_account_and_the_settings_it_was_given(kiln, batch, job):
    settings = {"AZ_BATCH_POOL_ID": "mine", "AZ_BATCH_NEW": "new"}
    settings = [{"name": name, "value": value} for name, value in settings.items()]
    add(batch, job, "env", "env; cat", environmentSettings=settings)
    until(lambda: state_of(batch, job, "env") == "completed")
    path = "/jobs/{}/tasks/env".format(job)
    assert batch.request("GET", path).json["executionInfo"]["exitCode"] == 0
    printed = batch.request("GET", path + "/files/stdout.txt").body.decode()
    for line in (
        "AZ_BATCH_ACCOUNT_NAME=" + batch.account,
        "AZ_BATCH_ACCOUNT_URL={}/".format(batch.url),
        "AZ_BATCH_JOB_ID=" + job,
        "AZ_BATCH_POOL_ID=mine",
        "AZ_BATCH_NEW=new",
    ):
        assert line in printed.splitlines(), (line, printed)


def test_a_task_runs_while_its_files_are_fetched(kiln, batch, job):
    is_open = threading.Event()

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            assert is_open.wait(PATIENCE_SECONDS)
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"late")

        def log_message(self, *_words):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = "http://127.0.0.1:{}/late".format(server.server_port)
        files = [{"httpUrl": url, "filePath": "late.txt"}]
        add(batch, job, "fetching", "cat late.txt", resourceFiles=files)
        until(lambda: state_of(batch, job, "fetching") == "running")
        path = "/jobs/{}/tasks/fetching".format(job)
        assert "exitCode" not in batch.request("GET", path).json["executionInfo"]
        is_open.set()
        until(lambda: state_of(batch, job, "fetching") == "completed")
        server.shutdown()
    assert batch.request("GET", path + "/files/stdout.txt").body == b"late"


def test_logs_of_uploads_are_there_only_with_output_files(kiln, batch, job, suffix):
    url = raw.container_url(kiln, "uploads-" + suffix)
    outputs = [
        {
            "filePattern": "../std*.txt",
            "destination": {"container": {"containerUrl": url}},
            "uploadOptions": {"uploadCondition": "taskcompletion"},
        }
    ]
    add(batch, job, "without", "true")
    add(batch, job, "with", "true", outputFiles=outputs)
    logs = {"fileuploadout.txt", "fileuploaderr.txt"}
    for task, wanted in (("without", set()), ("with", logs)):
        until(lambda: state_of(batch, job, task) == "completed")
        files = batch.listed("/jobs/{}/tasks/{}/files".format(job, task))
        names = {it["name"] for it in files}
        assert {"stdout.txt", "stderr.txt", "wd"} <= names, names
        assert names & logs == wanted, (task, names)
