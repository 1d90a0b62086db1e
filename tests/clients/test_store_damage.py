"""A database that was cut or damaged at its tail: recovered, or refused by name, never silently wrong.

`KILN_DAMAGE_SEED` repeats the choices of a run.
"""

import os
import random
import shutil
import sqlite3

import pytest
import raw
from kiln_process import Kiln, free_port

SEED = int(os.environ.get("KILN_DAMAGE_SEED") or random.randrange(2**32))
N_TRIES = 8
N_JOBS = 120
PAGE = 4096


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The data directory of a server that was killed, and the jobs that it acknowledged, in order."""
    folder = tmp_path_factory.mktemp("killed")
    kiln = Kiln(folder, free_port(), free_port()).start()
    batch = raw.batch_of(kiln)
    jobs = ["j{:04}".format(number) for number in range(N_JOBS)]
    for job in jobs:
        body = {"id": job, "poolInfo": {"poolId": "none"}, "metadata": [{"name": "n", "value": job * 50}]}
        assert batch.request("POST", "/jobs", body).status == 201
    kiln.kill()
    assert (kiln.data / "kiln.db-wal").stat().st_size > 100 * PAGE, "its log was brought in already"
    return kiln, jobs


def copy_of(killed, folder):
    kiln, jobs = killed
    shutil.copytree(kiln.data, folder / "data", ignore=shutil.ignore_patterns("*.sock", "*-shm"))
    return Kiln(folder, free_port(), free_port(), data=folder / "data"), jobs


def settled(killed, folder):
    """The same after a server stopped as it should, with all in the database and none in its log."""
    kiln, jobs = copy_of(killed, folder)
    kiln.start()
    assert kiln.stop() == 0
    database = sqlite3.connect(kiln.data / "kiln.db")
    assert database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    database.close()
    return kiln, jobs


def jobs_of(kiln):
    """The jobs that a server has, each of which is whole."""
    kiln.start()
    try:
        batch = raw.batch_of(kiln)
        found = []
        for job in batch.listed("/jobs"):
            assert job["metadata"] == [{"name": "n", "value": job["id"] * 50}], job
            found.append(job["id"])
        # And it takes more.
        body = {"id": "more", "poolInfo": {"poolId": "none"}}
        assert batch.request("POST", "/jobs", body).status == 201
        return found
    finally:
        assert kiln.stop() == 0


@pytest.mark.parametrize("number", range(N_TRIES))
def test_a_log_that_is_cut_or_damaged_loses_its_end_only(killed, tmp_path, number):
    print("KILN_DAMAGE_SEED={}".format(SEED))
    chance = random.Random("{}-{}".format(SEED, number))
    kiln, jobs = copy_of(killed, tmp_path)
    log = kiln.data / "kiln.db-wal"
    content = bytearray(log.read_bytes())
    at = chance.randrange(len(content) // 2, len(content))
    if number % 2:
        log.write_bytes(bytes(content[:at]))
    else:
        length = min(chance.randrange(1, 3 * PAGE), len(content) - at)
        content[at : at + length] = chance.randbytes(length)
        log.write_bytes(bytes(content))
    found = jobs_of(kiln)
    # Each commit has a checksum over all before it: what is left is how it was at one time.
    assert found == jobs[: len(found)] and len(found) >= N_JOBS // 4, found


@pytest.mark.parametrize("number", range(N_TRIES))
def test_a_database_that_is_cut_is_refused_by_name(killed, tmp_path, number):
    print("KILN_DAMAGE_SEED={}".format(SEED))
    chance = random.Random("{}-{}".format(SEED, number))
    kiln, _ = settled(killed, tmp_path)
    path = kiln.data / "kiln.db"
    size = path.stat().st_size
    # Within the first page there is no database, but what says so differs; SQLite does not miss a
    # part of the last page.
    within = {0: (1, 100), 1: (size - PAGE + 1, size)}
    cut_to = chance.randrange(*within.get(number, (PAGE, size)))
    os.truncate(path, cut_to)
    kiln.launch()
    assert kiln.process.wait(30) == 1, kiln.log_tail()
    kiln.process = None
    said = kiln.log.read_text()
    assert "the database was cut or changed" in said and "kiln restore" in said, said
    assert path.stat().st_size == cut_to, "it was changed"


def test_a_database_of_nonsense_is_refused_by_name(killed, tmp_path):
    kiln, _ = settled(killed, tmp_path)
    path = kiln.data / "kiln.db"
    path.write_bytes(random.Random(SEED).randbytes(path.stat().st_size))
    kiln.launch()
    assert kiln.process.wait(30) == 1, kiln.log_tail()
    kiln.process = None
    said = kiln.log.read_text()
    assert "the database was cut or changed" in said, said
