"""`kiln task`: why a task waits or failed, a shell where it ran, and the same once more."""

import os
import pty
import re
import select
import subprocess
import time

import pytest
import raw
from kiln_process import BINARY, run_kiln
from steps import PATIENCE_SECONDS, add, dependent_job, nodes, ready_pool, state_of, tool, until


@pytest.fixture(scope="module")
def batch(kiln):
    return raw.batch_of(kiln)


@pytest.fixture(scope="module")
def pool(batch):
    with ready_pool(batch, "task-tools") as pool:
        yield pool


@pytest.fixture
def job(batch, pool, suffix):
    return dependent_job(batch, pool, "tools-" + suffix)


def test_a_task_finds_its_directories_and_clients_its_files(kiln, batch, job):
    names = ("NODE_ROOT", "NODE_MOUNTS", "TASK", "CERTIFICATES")
    script = "".join("echo $AZ_BATCH_{}_DIR; ".format(it) for it in names) + "echo deep > deep.txt"
    add(batch, job, "where", script)
    until(lambda: state_of(batch, job, "where") == "completed")
    path = "/jobs/{}/tasks/where/files/".format(job)
    root, mounts, task, certificates = batch.request("GET", path + "stdout.txt").body.decode().split()
    assert (mounts, certificates) == (root + "/fsmounts", task + "/certs")
    assert task.startswith(root + "/workitems/"), task
    for separator in ("/", "%2F", "%5C"):
        answer = batch.request("GET", path + "wd" + separator + "deep.txt")
        assert (answer.status, answer.body) == (200, b"deep\n"), (separator, answer)


def test_explain_tells_what_a_task_waits_for(kiln, batch, job):
    add(batch, job, "first", "sleep 1000")
    add(batch, job, "second", "true", dependsOn={"taskIds": ["first", "never"]})
    until(lambda: state_of(batch, job, "first") == "running")
    told = tool(kiln, "explain", job, "second")
    assert told.returncode == 0, told.stderr
    words = " ".join(told.stdout.split())
    assert "active since" in words and "Dependencies 2 of the dependencies" in words, told.stdout
    assert re.search(r"first +running +runs", told.stdout), told.stdout
    assert re.search(r"never +there is no such task", told.stdout), told.stdout
    assert batch.request("POST", "/jobs/{}/terminate".format(job)).status == 202


def test_explain_tells_why_no_node_takes_a_task(kiln, batch, job, pool):
    add(batch, job, "wide", "true", requiredSlots=2)
    until(lambda: state_of(batch, job, "wide") == "completed")
    add(batch, job, "long", "sleep 1000")
    until(lambda: state_of(batch, job, "long") == "running")
    add(batch, job, "again", "true", requiredSlots=2)
    told = tool(kiln, "explain", job, "again").stdout
    assert "no node has room for it" in told and "the task takes 2" in told, told
    assert re.search(r"dedicated +running +2 +1 ", told), told
    path = "/pools/{}/nodes/{}".format(pool, nodes(batch, pool)[0]["id"])
    assert batch.request("POST", path + "/disablescheduling", body={}).status == 200
    until(lambda: "scheduling is disabled" in tool(kiln, "explain", job, "again").stdout)
    assert batch.request("POST", path + "/enablescheduling").status == 200
    assert batch.request("POST", "/jobs/{}/disable".format(job), body={"disableTasks": "terminate"}).status == 202
    until(lambda: "its tasks start once it is enabled" in tool(kiln, "explain", job, "again").stdout)


def test_explain_tells_how_a_task_failed(kiln, batch, job):
    add(batch, job, "t", "echo no luck >&2; exit 3")
    until(lambda: state_of(batch, job, "t") == "completed")
    told = tool(kiln, "explain", job, "t").stdout
    assert "exit code 3" in told and "FailureExitCode" in told, told
    assert told.rstrip().endswith("no luck"), told
    none = tool(kiln, "explain", job, "none")
    assert none.returncode == 1 and "TaskNotFound" in none.stderr, none


def test_explain_tells_of_a_pool_that_is_not_there(kiln, batch, suffix):
    body = {"id": "tools-" + suffix, "poolInfo": {"poolId": "no-such-pool"}}
    made = batch.request("POST", "/jobs", body=body)
    if made.status == 201:
        add(batch, body["id"], "t", "true")
        assert "no-such-pool" in tool(kiln, "explain", body["id"], "t").stdout


def test_shell_runs_what_it_reads_as_its_task(kiln, batch, job):
    settings = [{"name": "MOOD", "value": "fine"}]
    add(batch, job, "t", "echo mine > mine; sleep 1000", environmentSettings=settings)
    until(lambda: state_of(batch, job, "t") == "running")
    script = "cat mine; echo $MOOD $AZ_BATCH_TASK_ID; whoami; echo to errors >&2; exit 4"
    until(lambda: "mine" in tool(kiln, "shell", job, "t", given="ls").stdout)
    done = tool(kiln, "shell", job, "t", given=script)
    assert done.returncode == 4, done
    assert done.stdout == "mine\nfine t\n_azbatch\n", done
    assert done.stderr == "to errors\n", done
    one = tool(kiln, "shell", job, "t", "--", "sh", "-c", "echo $0 $PWD", "word")
    assert re.fullmatch(r"word /\S+/t/wd\n", one.stdout), one
    # It is not the task: the task still runs.
    assert state_of(batch, job, "t") == "running"
    none = tool(kiln, "shell", job, "t", "--", "no-such-program")
    assert none.returncode == 1 and "not found" in none.stderr, none
    batch.request("POST", "/jobs/{}/terminate".format(job))


def test_shell_is_there_after_its_task(kiln, batch, job):
    add(batch, job, "t", "echo left > left", userIdentity={"autoUser": {"scope": "task"}})
    until(lambda: state_of(batch, job, "t") == "completed")
    done = tool(kiln, "shell", job, "t", given="cat left; stat -c %U left; id -un; echo more >> left")
    owner, user = done.stdout.split()[1:]
    assert done.stdout.startswith("left\n") and owner == user and user.startswith("_azbatchtask_"), done


def test_shell_carries_much_both_ways(kiln, batch, job):
    add(batch, job, "t", "true")
    until(lambda: state_of(batch, job, "t") == "completed")
    text = "".join("line {}\n".format(number) for number in range(200_000))
    assert tool(kiln, "shell", job, "t", "--", "cat", given=text).stdout == text
    # What nobody reads is not in the way.
    assert tool(kiln, "shell", job, "t", "--", "true", given=text).returncode == 0


def test_shell_has_a_terminal_at_a_terminal(kiln, batch, job):
    add(batch, job, "t", "true")
    until(lambda: state_of(batch, job, "t") == "completed")
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "vt100"
        os.execv(BINARY, [BINARY, "task", "shell", "--data", str(kiln.data), job, "t"])
    seen = b""

    def read_until(expected):
        nonlocal seen
        end = time.monotonic() + PATIENCE_SECONDS
        while not re.search(expected, seen):
            assert time.monotonic() < end, seen
            if select.select([terminal], [], [], 0.2)[0]:
                seen += os.read(terminal, 65536)

    read_until(rb"[$#] $")
    os.write(terminal, b"echo $TERM; tty; stty size; test -t 0 && echo is-a-$((0))-terminal\r")
    read_until(rb"is-a-0-terminal")
    assert b"vt100" in seen and b"/dev/pts/" in seen, seen
    # Ctrl-C ends what runs, not the shell.
    os.write(terminal, b"sleep 1000\r")
    read_until(rb"sleep 1000\r\n")
    os.write(terminal, b"\x03")
    os.write(terminal, b"echo still-$((1))-here\r")
    read_until(rb"still-1-here")
    os.write(terminal, b"exit 6\r")
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            break
        assert time.monotonic() < end, seen
        # What is printed must be read for the end to come.
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                seen += os.read(terminal, 65536)
            except OSError:
                pass
    assert os.waitstatus_to_exitcode(status) == 6, seen
    os.close(terminal)


def test_shell_ends_with_its_client(kiln, batch, job):
    add(batch, job, "t", "true")
    until(lambda: state_of(batch, job, "t") == "completed")
    command = [BINARY, "task", "shell", "--data", str(kiln.data), job, "t", "--", "bash", "-c"]
    waiting = subprocess.Popen(
        [*command, "echo $$ > waiting; exec sleep 1000"], stdin=subprocess.PIPE
    )
    look = "test -e /proc/$(cat waiting)/fd && echo lives"
    until(lambda: "lives" in tool(kiln, "shell", job, "t", given=look).stdout)
    waiting.kill()
    waiting.wait()
    until(lambda: "lives" not in tool(kiln, "shell", job, "t", given=look).stdout)


def test_shell_is_not_for_tasks(kiln, batch, job):
    url = kiln.batch().url
    tried = (
        "for path in shell explanation; do curl -s -o /dev/null -w '%{http_code} ' --noproxy '*' "
        "-X $([ $path = shell ] && echo POST || echo GET) "
        "-H \\\"Authorization: Bearer $AZ_BATCH_AUTHENTICATION_TOKEN\\\" "
        "'URL/kiln/jobs/JOB/tasks/t/'$path'?api-version=2024-07-01.20.0'; done"
    ).replace("URL", url.rstrip("/")).replace("JOB", job)
    body = {
        "id": "t",
        "commandLine": '/bin/bash -c "{}"'.format(tried),
        "authenticationTokenSettings": {"access": ["job"]},
    }
    made = batch.request("POST", "/jobs/{}/tasks".format(job), body=body, version="2024-07-01.20.0")
    assert made.status == 201, made.body
    until(lambda: state_of(batch, job, "t") == "completed")
    printed = batch.request("GET", "/jobs/{}/tasks/t/files/stdout.txt".format(job)).body
    assert printed == b"403 403 ", printed
    unsigned = raw.Batch(batch.account, "bm90IGEga2V5", batch.url)
    path = "/kiln/jobs/{}/tasks/t/shell".format(job)
    assert unsigned.request("POST", path, body={}).status == 403


def test_shell_of_a_task_that_has_not_begun_is_refused(kiln, batch, job):
    add(batch, job, "t", "true", dependsOn={"taskIds": ["none"]})
    done = tool(kiln, "shell", job, "t", given="true")
    assert done.returncode == 1 and "has not started" in done.stderr.lower() or "TaskNotStarted" in done.stderr, done


def test_rerun_does_the_same_on_the_same_node(kiln, batch, job):
    settings = [{"name": "CODE", "value": "5"}]
    add(batch, job, "t", "echo $AZ_BATCH_NODE_ID; echo bad >&2; exit $CODE", environmentSettings=settings)
    until(lambda: state_of(batch, job, "t") == "completed")
    done = tool(kiln, "rerun", job, "t")
    assert done.returncode == 5, done
    original = batch.request("GET", "/jobs/{}/tasks/t".format(job)).json
    assert done.stdout.strip() == original["nodeInfo"]["nodeId"], done
    assert "bad\n" in done.stderr, done
    assert batch.request("GET", "/jobs/{}/tasks/t-rerun".format(job)).json["executionInfo"]["exitCode"] == 5
    named = tool(kiln, "rerun", job, "t", "--id", "other")
    assert named.returncode == 5 and state_of(batch, job, "other") == "completed"
    again = tool(kiln, "rerun", job, "t", "--reactivate")
    assert again.returncode == 5, again
    missing = tool(kiln, "rerun", job, "none")
    assert missing.returncode == 1 and "TaskNotFound" in missing.stderr


def test_every_help_shows_an_example():
    for verb in ("shell", "rerun"):
        told = run_kiln("task", verb, "--help")
        assert told.returncode == 0 and "Example" in told.stdout, told
