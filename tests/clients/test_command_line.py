"""What `kiln` itself promises: one server for a data directory, no open doors, a demo."""

import json
import os
import subprocess
import time

import raw
from kiln_process import BINARY, Kiln, run_kiln

USAGE, NOT_RUNNING, ALREADY_RUNNING = 2, 3, 4


def test_second_server_on_the_same_data_is_refused(kiln):
    second = run_kiln(*Kiln(kiln.folder).up_arguments()[:-2])
    assert second.returncode == ALREADY_RUNNING, second.stderr
    assert str(kiln.data) in second.stderr, second.stderr
    assert str(kiln.process.pid) in second.stderr, second.stderr


def test_published_keys_are_refused_on_an_open_address(tmp_path):
    answer = run_kiln(
        "up", "--data", tmp_path / "data", "--batch-listen", "0.0.0.0:0",
        "--blob-listen", "127.0.0.1:0",
    )  # fmt: skip
    assert answer.returncode != 0
    assert "0.0.0.0" in answer.stderr, answer.stderr


def test_environment_formats_agree(kiln):
    told = kiln.environment()
    shell = run_kiln("env", "--data", kiln.data)
    assert shell.returncode == 0, shell.stderr
    read_back = "\npython3 -c 'import os, json; print(json.dumps(dict(os.environ)))'"
    seen = subprocess.run(
        ["/bin/sh", "-c", shell.stdout + read_back],
        capture_output=True, text=True, check=True,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    seen = json.loads(seen.stdout)
    assert {name: seen.get(name) for name in told} == told
    dotenv = run_kiln("env", "--data", kiln.data, "--format", "dotenv")
    names = [line.partition("=")[0] for line in dotenv.stdout.splitlines() if line]
    assert sorted(names) == sorted(told)


def test_environment_of_no_server_is_refused(tmp_path):
    answer = run_kiln("env", "--data", tmp_path / "none")
    assert (answer.returncode, answer.stdout) == (NOT_RUNNING, ""), answer
    assert "kiln up" in answer.stderr


def test_exec_without_a_server_starts_one_for_the_program(tmp_path):
    command = [BINARY, "exec", "--data", str(tmp_path / "none"), "--", "sh", "-c"]
    script = "echo $AZURE_BATCH_ENDPOINT $HTTPS_PROXY $REQUESTS_CA_BUNDLE"
    done = subprocess.run([*command, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    endpoint, proxy, bundle = done.stdout.split()
    assert endpoint.startswith("http://127.0.0.1:") and proxy.startswith("http://127.0.0.1:")
    assert bundle.startswith("/")


def test_program_of_exec_gives_its_exit_code(kiln):
    done = subprocess.run(kiln.exec_arguments("sh", "-c", "exit 7"), check=False)
    assert done.returncode == 7


def test_demo_shows_words_and_counts(tmp_path):
    done = subprocess.run(
        [BINARY, "demo"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=180, check=False, cwd=tmp_path, env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip(), done.stderr


def test_unknown_options_are_refused_with_the_usage():
    answer = run_kiln("up", "--no-such-option")
    assert answer.returncode == USAGE
    assert "--no-such-option" in answer.stderr


def test_accounts_are_made_and_removed_while_the_server_runs(kiln):
    def account(*words):
        return run_kiln("account", *words, "--data", kiln.data)

    made = account("create", "batch", "renderfarm")
    assert made.returncode == 0, made.stderr
    again = account("create", "batch", "renderfarm")
    assert again.returncode != 0 and "renderfarm" in again.stderr, again
    assert "renderfarm" in account("list").stdout
    keys = account("keys", "batch", "renderfarm").stdout
    primary = next(line.split()[1] for line in keys.splitlines() if line.startswith("primary"))
    assert primary not in account("list").stdout
    url = kiln.batch().url
    deadline = time.monotonic() + 10
    while raw.Batch("renderfarm", primary, url).request("GET", "/pools").status != 200:
        assert time.monotonic() < deadline, "the server does not notice the account"
        time.sleep(0.1)
    changed = account("regenerate", "batch", "renderfarm", "--key", "primary")
    assert changed.returncode == 0 and primary not in changed.stdout, changed
    while raw.Batch("renderfarm", primary, url).request("GET", "/pools").status != 403:
        assert time.monotonic() < deadline, "the server still takes the old key"
        time.sleep(0.1)
    assert account("remove", "batch", "renderfarm").returncode == 0
    assert "renderfarm" not in account("list").stdout


def test_doctor_tells_about_isolation(kiln):
    told = run_kiln("doctor", "--data", kiln.data)
    assert "isolation" in told.stdout.lower() or "node" in told.stdout.lower(), told
