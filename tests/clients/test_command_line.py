"""What `kiln` itself promises: one server for a data directory, no open doors, a demo."""

import json
import os
import subprocess

from kiln_process import BINARY, Kiln, run_kiln


def test_second_server_on_the_same_data_is_refused(kiln):
    second = run_kiln(*Kiln(kiln.folder).up_arguments()[:-2])
    assert second.returncode != 0
    assert str(kiln.data) in second.stderr, second.stderr
    assert str(kiln.process.pid) in second.stderr or "already" in second.stderr, second.stderr


def test_published_keys_are_refused_on_an_open_address(tmp_path):
    answer = run_kiln(
        "up", "--data-dir", tmp_path / "data", "--batch-listen", "0.0.0.0:0",
        "--blob-listen", "127.0.0.1:0",
    )  # fmt: skip
    assert answer.returncode != 0
    assert "0.0.0.0" in answer.stderr, answer.stderr


def test_environment_formats_agree(kiln):
    told = kiln.environment()
    shell = run_kiln("env", "--data-dir", kiln.data, "--format", "shell")
    assert shell.returncode == 0, shell.stderr
    script = shell.stdout + "\nexec {} -c 'import os, json; print(json.dumps(dict(os.environ)))'"
    seen = subprocess.run(
        ["/bin/sh", "-c", script.format("python3")],
        capture_output=True, text=True, check=True,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    seen = json.loads(seen.stdout)
    assert {name: seen.get(name) for name in told} == told


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
    assert answer.returncode == 2
    assert "--no-such-option" in answer.stderr
