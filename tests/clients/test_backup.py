"""A backup of a Kiln that works on, and what is restored from it, with real clients."""

import json
import os
import pathlib
import random
import stat
import threading

import pytest
import raw
from blob_loader import Writer, kinds_served
from conftest import Client, run_program, settings_for
from kiln_below import on_top_of
from kiln_process import Kiln, free_port, run_kiln
from steps import IMAGE, until

CLIENT = Client("14.2.0")
SEED = int(os.environ.get("KILN_BACKUP_SEED") or random.randrange(2**32))
# Blobs that a writer has written before a backup begins.
N_WRITTEN = 60
SETTINGS = '[nodes]\nlost-after = "5s"\nheard-within = "5s"\n'


@pytest.fixture
def kiln(tmp_path):
    process = Kiln(tmp_path, free_port(), free_port())
    process.data.mkdir(mode=0o700)
    (process.data / "kiln.toml").write_text(SETTINGS)
    process.start()
    yield process
    process.stop()


def back_up(kiln, to):
    done = run_kiln("backup", to, "--json", "--data", kiln.data, environment=kiln.variables)
    assert done.returncode == 0, (done.stdout, done.stderr)
    made = json.loads(done.stdout)
    assert made["filesMissing"] == [] and made["files"] > 0, made
    return made


def restore(backup, data, *options):
    return run_kiln("restore", backup, "--data", data, *options)


class TaskWriter(threading.Thread):
    """Adds tasks as fast as it can; keeps the ids of those that were acknowledged."""

    def __init__(self, batch, job):
        super().__init__()
        self.batch, self.job = batch, job
        self.added = []
        self.stops = False
        self.failure = None

    def run(self):
        path = "/jobs/{}/tasks".format(self.job)
        try:
            while not self.stops:
                task = {"id": "t{:06}".format(len(self.added)), "commandLine": "true"}
                answer = self.batch.request("POST", path, task)
                assert answer.status == 201, answer.body
                self.added.append(task["id"])
        except BaseException as failure:  # told to the test, which raises it
            self.failure = failure


class Load:
    """Writers of blobs and tasks, until they are stopped."""

    def __init__(self, kiln, names, chance):
        self.owner, self.batch = raw.blob_of(kiln), raw.batch_of(kiln)
        for name in names:
            answer = self.owner.request("PUT", "/" + name, query={"restype": "container"})
            assert answer.status == 201, answer.body
        gate = threading.Event()
        gate.set()
        kinds = kinds_served(kiln.storage(), names[0])
        self.blobs = [Writer(kiln.storage(), it, chance.randrange(2**32), kinds, gate) for it in names]
        job = {"id": names[0], "poolInfo": {"poolId": "none"}}
        assert self.batch.request("POST", "/jobs", job).status == 201
        self.tasks = TaskWriter(self.batch, names[0])
        for writer in [*self.blobs, self.tasks]:
            writer.start()
        until(lambda: self.failures() or all(it.n_acknowledged >= N_WRITTEN for it in self.blobs))
        assert not self.failures()

    def failures(self):
        return [it.failure for it in [*self.blobs, self.tasks] if it.failure]

    def stop(self):
        for writer in [*self.blobs, self.tasks]:
            writer.stops = True
        for writer in [*self.blobs, self.tasks]:
            writer.join(60)
        for failure in self.failures():
            raise failure

    def check(self, n_tasks):
        """All that was acknowledged is there, of tasks the first so many."""
        for writer in self.blobs:
            writer.check()
        listed = {it["id"] for it in self.batch.listed("/jobs/{}/tasks".format(self.tasks.job))}
        assert set(self.tasks.added[:n_tasks]) <= listed


def fsck(data):
    done = run_kiln("blob", "fsck", "--json", "--data", data)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert json.loads(done.stdout)["findings"] == 0


def add_running_task(load):
    """A pool with a node, on which a task runs until a restored Kiln runs it again."""
    pool = {
        "id": "pool",
        "vmSize": "standard_d2_v3",
        "virtualMachineConfiguration": IMAGE,
        "targetDedicatedNodes": 1,
    }
    assert load.batch.request("POST", "/pools", pool).status == 201
    job = {"id": "runs", "poolInfo": {"poolId": "pool"}}
    assert load.batch.request("POST", "/jobs", job).status == 201
    task = {"id": "t", "commandLine": "/bin/sh -c 'echo $AZ_BATCH_NODE_ID; exec sleep 5'"}
    assert load.batch.request("POST", "/jobs/runs/tasks", task).status == 201
    until(lambda: load.batch.request("GET", "/jobs/runs/tasks/t").json["state"] == "running")


def end_nodes(load):
    assert load.batch.request("DELETE", "/pools/pool").status == 202
    until(lambda: load.batch.request("GET", "/pools/pool").status == 404)


def test_a_backup_under_load_is_whole(kiln, tmp_path, suffix, tasks_elevated):
    print("KILN_BACKUP_SEED={}".format(SEED))
    chance = random.Random(SEED)
    still = Load(kiln, ["still-0", "still-1"], chance)
    still.stop()
    add_running_task(still)
    # These go on while the backup is made: they add, change and remove.
    busy = Load(kiln, ["busy-0", "busy-1"], chance)
    backup = tmp_path / "backup"
    backup.mkdir(mode=0o755)
    try:
        n_first = len(busy.tasks.added)
        first = back_up(kiln, backup)
        n_second = len(busy.tasks.added)
        second = back_up(kiln, backup)
        assert n_first < n_second < len(busy.tasks.added), "nobody worked meanwhile"
    finally:
        busy.stop()
    # What was there already is not copied again, and what is gone is not kept.
    assert first["filesCopied"] == first["files"] and second["filesCopied"] < second["files"]
    kept = [it for it in (backup / "extents").rglob("*") if it.is_file()]
    assert len(kept) == second["files"]
    for path in [backup, backup / "kiln.db", backup / "extents", backup / "tls"]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    # The Kiln works on after it, and takes back what was removed meanwhile.
    still.check(len(still.tasks.added))
    busy.check(len(busy.tasks.added))
    end_nodes(busy)
    assert kiln.stop() == 0
    fsck(kiln.data)

    data = tmp_path / "restored"
    done = restore(backup, data, "--json")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert json.loads(done.stdout)["findings"] == 0
    (tmp_path / "again").mkdir()
    ports = kiln.ports["batch"], kiln.ports["blob"]
    restored = Kiln(tmp_path / "again", *ports, data=data).start()
    try:
        assert (data / "kiln.toml").read_text() == SETTINGS
        still.check(len(still.tasks.added))
        path = "/jobs/{}/tasks".format(busy.tasks.job)
        listed = {it["id"] for it in busy.batch.listed(path)}
        assert set(busy.tasks.added[:n_second]) <= listed <= set(busy.tasks.added)
        until(lambda: busy.batch.request("GET", "/jobs/runs/tasks/t").json["state"] == "completed")
        printed = busy.batch.request("GET", "/jobs/runs/tasks/t/files/stdout.txt")
        assert printed.status == 200, printed.body
        # Accounts and all else are there: a program of Azure's works as before.
        settings = settings_for(
            restored, CLIENT, suffix, tmp_path, is_intercepted=False, tasks_elevated=tasks_elevated
        )
        file = tmp_path / "settings.json"
        file.write_text(json.dumps(settings))
        run_program([*CLIENT.workflow, str(file)], restored)
        end_nodes(busy)
    finally:
        assert restored.stop() == 0
    fsck(data)


def test_bytes_in_an_object_store_are_in_the_backup(tmp_path):
    """What is restored has its bytes with it, and needs the object store no more."""
    print("KILN_BACKUP_SEED={}".format(SEED))
    chance = random.Random(SEED)
    (tmp_path / "below").mkdir()
    below = Kiln(tmp_path / "below", free_port(), free_port()).start()
    kiln = on_top_of(below, tmp_path).start()
    ports = kiln.ports["batch"], kiln.ports["blob"]
    backup = tmp_path / "backup"
    try:
        still = Load(kiln, ["still-0", "still-1"], chance)
        still.stop()
        busy = Load(kiln, ["busy-0"], chance)
        try:
            back_up(kiln, backup)
        finally:
            busy.stop()
    finally:
        assert kiln.stop() == 0
        assert below.stop() == 0
    data = tmp_path / "restored"
    done = restore(backup, data, "--json")
    assert done.returncode == 0, (done.stdout, done.stderr)
    (tmp_path / "again").mkdir()
    restored = Kiln(tmp_path / "again", *ports, data=data).start()
    try:
        still.check(len(still.tasks.added))
    finally:
        assert restored.stop() == 0
    fsck(data)


@pytest.fixture
def backup(kiln, tmp_path):
    """A backup of one blob in a file."""
    owner = raw.blob_of(kiln)
    assert owner.request("PUT", "/cont", query={"restype": "container"}).status == 201
    headers = {"x-ms-blob-type": "BlockBlob"}
    assert owner.request("PUT", "/cont/blob", bytes(100_000), headers=headers).status == 201
    back_up(kiln, tmp_path / "backup")
    return tmp_path / "backup"


def refusal(done):
    assert done.returncode == 1, (done.stdout, done.stderr)
    return done.stderr


def test_nothing_is_overwritten(kiln, backup, tmp_path):
    assert "is not empty" in refusal(restore(backup, kiln.data))
    assert "holds no whole backup" in refusal(restore(kiln.data, tmp_path / "new"))
    up = run_kiln("up", "--data", backup)
    assert "is a backup" in refusal(up)
    (tmp_path / "empty").mkdir()
    assert restore(backup, tmp_path / "empty").returncode == 0
    assert (tmp_path / "empty/kiln.db").exists()


def damage_bytes(backup):
    [path] = [it for it in (backup / "extents").rglob("*") if it.is_file()]
    path.write_bytes(b"x" + path.read_bytes()[1:])


def lose_bytes(backup):
    [path] = [it for it in (backup / "extents").rglob("*") if it.is_file()]
    path.unlink()


def damage_names(backup):
    path = backup / "kiln.db"
    content = bytearray(path.read_bytes())
    half = len(content) // 2
    content[half:] = os.urandom(len(content) - half)
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("damage", [damage_bytes, lose_bytes, damage_names])
def test_a_damaged_backup_is_refused(backup, tmp_path, damage):
    damage(backup)
    new = tmp_path / "new"
    said = refusal(restore(backup, new))
    assert "nothing is restored" in said, said
    assert sorted(it.name for it in pathlib.Path(tmp_path).iterdir() if "new" in it.name) == []
    if damage is not damage_names:
        assert "the backup is damaged" in said, said
        assert restore(backup, new, "--accept-damage").returncode == 0
        assert (new / "kiln.db").exists()


def test_damage_of_the_kiln_itself_is_told(kiln, backup, tmp_path):
    [path] = [it for it in (kiln.data / "extents").rglob("*") if it.is_file()]
    path.unlink()
    done = run_kiln("backup", tmp_path / "other", "--data", kiln.data)
    assert "1 files are missing" in refusal(done)
    assert (tmp_path / "other/kiln.db").exists()
