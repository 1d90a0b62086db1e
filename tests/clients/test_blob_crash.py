"""Blobs under a server that is killed at random moments, again and again.

`KILN_CRASH_SEED` repeats the choices of a run, `KILN_CRASH_KILLS` says how many kills.
"""

import os
import random
import threading
import time

import raw
from blob_loader import Writer, kinds_served
from kiln_process import Kiln, free_port

N_KILLS = int(os.environ.get("KILN_CRASH_KILLS", "50"))
SEED = int(os.environ.get("KILN_CRASH_SEED") or random.randrange(2**32))
N_WRITERS = 4
# A server lives this long between two kills, in seconds.
LIFE = (0.02, 0.6)
# One kill in so many hits a server that has only just been started.
EARLY = 8


def test_no_blob_is_lost_or_torn_by_kills(tmp_path):
    print("KILN_CRASH_SEED={}".format(SEED))
    chance = random.Random(SEED)
    kiln = Kiln(tmp_path, free_port(), free_port()).start()
    account = kiln.storage()
    owner = raw.Blob(account.account, account.key, account.url)
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
        for _ in range(N_KILLS):
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
    print("{} kills, {} acknowledged, {} cut off; {}".format(N_KILLS, n_acknowledged, n_unclear, kinds))
    assert n_acknowledged > 10 * N_KILLS and n_unclear > N_KILLS / 2
    assert kiln.stop() == 0


def live_and_die(kiln, gate, chance):
    """Lets the server work for a while, kills it, and starts it anew."""
    time.sleep(chance.uniform(*LIFE))
    gate.clear()
    kiln.kill()
    if chance.randrange(EARLY) == 0:
        kiln.launch()
        time.sleep(chance.uniform(0, 0.2))
        kiln.kill()
    kiln.start()
    gate.set()
