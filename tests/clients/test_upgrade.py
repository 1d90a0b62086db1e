"""Data directories of earlier releases, served by this one, and killed while they are brought up.

`KILN_UPGRADE_SEED` repeats the moments of the kills.
"""

import os
import pathlib
import random
import sqlite3
import time

import pytest
import raw
from kiln_process import Kiln, free_port, run_kiln

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "crates/kiln-store/tests/schemas"
SEED = int(os.environ.get("KILN_UPGRADE_SEED") or random.randrange(2**32))
N_KILLS = 8
# Enough that bringing them up takes longer than a server needs to begin with it.
N_BLOBS = 300_000
LISTS = ["/pools", "/jobs", "/jobs/job/tasks", "/jobschedules", "/pools/pool/nodes", "/applications"]


def numbers():
    return sorted(int(path.stem) for path in SCHEMAS.glob("*.sql"))


def directory_of(folder, number):
    """A data directory as a Kiln of this schema left it."""
    data = folder / "data"
    data.mkdir(mode=0o700)
    with sqlite3.connect(data / "kiln.db") as database:
        database.executescript((SCHEMAS / "{}.sql".format(number)).read_text())
    database.close()
    return data


def schema_of(data):
    database = sqlite3.connect(data / "kiln.db")
    try:
        [found] = database.execute("PRAGMA user_version").fetchone()
        blob_table = database.execute("SELECT count(*) FROM blob").fetchone()[0]
        return found, blob_table
    finally:
        database.close()


@pytest.mark.parametrize("number", numbers())
def test_what_an_earlier_release_kept_is_served(tmp_path, number):
    kiln = Kiln(tmp_path, free_port(), free_port(), data=directory_of(tmp_path, number)).start()
    try:
        batch, blob = raw.batch_of(kiln), raw.blob_of(kiln)
        for path in LISTS:
            assert batch.listed(path), path
        task = batch.request("GET", "/jobs/job/tasks/1").json
        assert (task["state"], task["executionInfo"]["exitCode"]) == ("completed", 0), task
        answer = blob.request("GET", "/cont/small")
        assert (answer.status, answer.body) == (200, b"small"), answer
        # It goes on from there.
        added = batch.request("POST", "/jobs/job/tasks", {"id": "new", "commandLine": "true"})
        assert added.status == 201, added.body
        for pool in ("pool", "sized"):
            assert batch.request("DELETE", "/pools/" + pool).status == 202
        deadline = time.monotonic() + 60
        while batch.request("GET", "/pools/pool").status != 404:
            assert time.monotonic() < deadline, kiln.log_tail()
            time.sleep(0.1)
    finally:
        assert kiln.stop() == 0


def test_a_newer_database_is_refused_by_name(tmp_path):
    data = directory_of(tmp_path, numbers()[-1])
    with sqlite3.connect(data / "kiln.db") as database:
        database.execute("PRAGMA user_version = 999")
    database.close()
    done = run_kiln("up", "--data", data, "--batch-listen", "127.0.0.1:0", "--blob-listen", "127.0.0.1:0")
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert "schema 999, this Kiln knows up to {}".format(numbers()[-1]) in done.stderr, done.stderr
    assert schema_of(data)[0] == 999


def test_a_database_is_whole_whenever_its_upgrade_is_killed(tmp_path):
    print("KILN_UPGRADE_SEED={}".format(SEED))
    chance = random.Random(SEED)
    data = directory_of(tmp_path, 1)
    with sqlite3.connect(data / "kiln.db") as database:
        [key] = database.execute("SELECT key FROM container WHERE name = 'cont'").fetchone()
        properties = '{"content_type":"application/octet-stream","md5":null}'
        database.executemany(
            "INSERT INTO blob VALUES (?, ?, 1, 1, 0, ?, '[]', x'')",
            ((key, "many/{:06}".format(n).encode(), properties) for n in range(N_BLOBS)),
        )
    database.close()
    before = schema_of(data)
    kiln = Kiln(tmp_path, free_port(), free_port(), data=data)
    n_unfinished = 0
    for _ in range(N_KILLS):
        kiln.launch()
        time.sleep(chance.uniform(0.02, 0.5))
        kiln.kill()
        found = schema_of(data)
        assert found in (before, (numbers()[-1], before[1])), (found, before)
        n_unfinished += found == before
    assert n_unfinished > 0, "no kill came in time"
    kiln.start()
    try:
        blob = raw.blob_of(kiln)
        assert blob.request("HEAD", "/cont/many/{:06}".format(N_BLOBS - 1)).status == 200
        assert schema_of(data) == (numbers()[-1], before[1])
    finally:
        assert kiln.stop() == 0
