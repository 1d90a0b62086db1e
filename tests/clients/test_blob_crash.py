"""Blobs under a server that is killed at random moments, again and again.

`KILN_CRASH_SEED` repeats the choices of a run, `KILN_CRASH_KILLS` says how many kills.
"""

import json
import os
import random
import threading
import time

import raw
from blob_loader import Writer, kinds_served
from kiln_below import on_top_of
from kiln_process import Kiln, free_port, run_kiln

N_KILLS = int(os.environ.get("KILN_CRASH_KILLS", "50"))
SEED = int(os.environ.get("KILN_CRASH_SEED") or random.randrange(2**32))
N_WRITERS = 4
# A server lives this long between two kills, in seconds.
LIFE = (0.02, 0.6)


def test_no_blob_is_lost_or_torn_by_kills(tmp_path):
    kiln = Kiln(tmp_path, free_port(), free_port()).start()
    crash(kiln, N_KILLS)


def test_no_blob_is_lost_where_bytes_are_in_an_object_store(tmp_path):
    """The bytes are blobs of another Kiln, which lives."""
    (tmp_path / "below").mkdir()
    below = Kiln(tmp_path / "below", free_port(), free_port()).start()
    try:
        kiln = on_top_of(below, tmp_path)
        crash(kiln.start(), max(N_KILLS // 5, 5))
        names = blobs_of(below)
        assert names and all(it.startswith("kiln/extents/") for it in names), names[:5]
    finally:
        assert below.stop() == 0


def blobs_of(kiln):
    done = run_kiln("blob", "list", "-r", "--json", "--data", kiln.data, "az://bytes/")
    assert done.returncode == 0, done.stderr
    return [it["name"] for it in json.loads(done.stdout)["blobs"]]


def crash(kiln, n_kills):
    """Kills a Kiln again and again under writers, and looks at what they wrote."""
    try:
        crash_and_check(kiln, n_kills)
    finally:
        kiln.stop()


def crash_and_check(kiln, n_kills):
    print("KILN_CRASH_SEED={}".format(SEED))
    chance = random.Random(SEED)
    account = kiln.storage()
    owner = raw.blob_of(kiln)
    containers = ["crash-{}".format(number) for number in range(N_WRITERS)]
    for container in containers:
        assert owner.request("PUT", "/" + container, query={"restype": "container"}).status == 201
    kinds = kinds_served(account, containers[0])
    gate = threading.Event()
    writers = [Writer(account, it, chance.randrange(2**32), kinds, gate) for it in containers]
    try:
        for writer in writers:
            writer.start()
        gate.set()
        for _ in range(n_kills):
            live_and_die(kiln, gate, chance)
            assert not [it.failure for it in writers if it.failure]
    finally:
        for writer in writers:
            writer.stops = True
        gate.set()
        for writer in writers:
            writer.join(60)
    for writer in writers:
        if writer.failure:
            raise AssertionError("seed {}\n{}".format(SEED, kiln.log_tail())) from writer.failure
        writer.check()
    n_acknowledged = sum(it.n_acknowledged for it in writers)
    n_unclear = sum(it.n_unclear for it in writers)
    print("{} kills, {} acknowledged, {} cut off; {}".format(n_kills, n_acknowledged, n_unclear, kinds))
    assert n_acknowledged > 10 * n_kills and n_unclear > n_kills / 2
    assert kiln.stop() == 0
    check_whole(kiln)


def check_whole(kiln):
    """Holds all names against all bytes; what a kill left without a name is no damage."""
    done = run_kiln("blob", "fsck", "--json", "--data", kiln.data, environment=kiln.variables)
    report = json.loads(done.stdout or "{}")
    assert (done.returncode, report.get("findings")) == (0, 0), (done.stdout, done.stderr)
    assert report["blobs"] > 0


def live_and_die(kiln, gate, chance):
    """Lets the server work for a while, kills it, and starts it anew."""
    time.sleep(chance.uniform(*LIFE))
    gate.clear()
    kiln.come_back(chance)
    gate.set()
