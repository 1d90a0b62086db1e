"""A disk that is full, read-only or failing: clear answers, and a service that goes on."""

import http.client
import os
import subprocess

import pytest
import raw
from kiln_process import Kiln, free_port, run_kiln

SIZE_MIB = 24
MIB = 1024 * 1024
PUT = {"x-ms-blob-type": "BlockBlob"}


def run(*command):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, with little room."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = run("mount", "-t", "tmpfs", "-o", "size={}m,mode=700".format(SIZE_MIB), "tmpfs", place)
    if mounted.returncode != 0:
        assert os.geteuid() != 0 or "permission denied" in mounted.stderr.lower(), mounted.stderr
        pytest.skip("needs the right to mount: {}".format(mounted.stderr.strip()))
    yield place
    unmounted = run("umount", place)
    assert unmounted.returncode == 0, unmounted.stderr


@pytest.fixture
def kiln(tmp_path, small_disk):
    process = Kiln(tmp_path, free_port(), free_port(), data=small_disk / "data").start()
    yield process
    process.stop()


def owner_of(kiln):
    owner = raw.blob_of(kiln)
    assert owner.request("PUT", "/cont", query={"restype": "container"}).status == 201
    return owner


def fill(owner, size, limit=200):
    """Puts blobs until one is refused; answers those that were taken, and the refusal."""
    taken = {}
    for number in range(limit):
        body = os.urandom(size)
        answer = owner.request("PUT", "/cont/{}-{}".format(size, number), body, headers=PUT)
        if answer.status != 201:
            return taken, answer
        taken["/cont/{}-{}".format(size, number)] = body
    raise AssertionError("the disk did not fill up")


def check_all(owner, taken):
    for path, body in taken.items():
        answer = owner.request("GET", path)
        assert (answer.status, answer.body) == (200, body), (path, answer.status)


def test_a_full_disk_refuses_and_recovers(kiln):
    owner = owner_of(kiln)
    taken, refusal = fill(owner, MIB)
    assert (refusal.status, refusal.code) == (507, "InsufficientStorage"), refusal.body
    assert b"disk" in refusal.body
    # Rows fill up what is left for them, and are refused the same way.
    small, refusal = fill(owner, 16 * 1024, limit=2000)
    assert (refusal.status, refusal.code) == (507, "InsufficientStorage"), refusal.body
    taken.update(small)
    check_all(owner, taken)
    # Room is made by removing, and used again.
    gone = [it for it in taken if it.startswith("/cont/{}-".format(MIB))][:5]
    for path in gone:
        assert owner.request("DELETE", path).status == 202, path
        del taken[path]
    taken["/cont/again"] = os.urandom(MIB)
    answer = owner.request("PUT", "/cont/again", taken["/cont/again"], headers=PUT)
    assert answer.status == 201, answer.body
    check_all(owner, taken)
    assert kiln.stop() == 0
    kiln.start()
    check_all(owner, taken)
    assert kiln.stop() == 0
    report = run_kiln("blob", "fsck", "--data", kiln.data)
    assert report.returncode == 0, report.stdout


def test_a_read_only_disk_is_read_and_comes_back(kiln, small_disk):
    owner = owner_of(kiln)
    bodies = {"/cont/small": b"small", "/cont/large": os.urandom(MIB)}
    for path, body in bodies.items():
        assert owner.request("PUT", path, body, headers=PUT).status == 201
    # The database is open for writing, which keeps all of the disk from becoming read-only;
    # the folder of extents can, for the server opens its files by their paths.
    extents = small_disk / "data/extents"
    assert run("mount", "--bind", extents, extents).returncode == 0
    try:
        assert run("mount", "-o", "remount,bind,ro", extents).returncode == 0
        check_all(owner, bodies)
        answer = owner.request("PUT", "/cont/new", os.urandom(MIB), headers=PUT)
        assert (answer.status, answer.code) == (503, "ServerBusy"), answer.body
        answer = owner.request("HEAD", "/cont/new")
        assert answer.status == 404
    finally:
        assert run("umount", extents).returncode == 0
    bodies["/cont/new"] = os.urandom(MIB)
    assert owner.request("PUT", "/cont/new", bodies["/cont/new"], headers=PUT).status == 201
    check_all(owner, bodies)


def test_a_file_that_is_gone_is_told_and_harms_nothing_else(kiln, small_disk):
    owner = owner_of(kiln)
    bodies = {"/cont/one": os.urandom(MIB), "/cont/two": os.urandom(MIB + 1)}
    for path, body in bodies.items():
        assert owner.request("PUT", path, body, headers=PUT).status == 201
    files = [it for it in (small_disk / "data/extents").rglob("*") if it.is_file()]
    [lost] = [it for it in files if it.stat().st_size == MIB]
    lost.unlink()
    # The head of the answer has left by then, or not: either way nobody takes it for content.
    try:
        answer = owner.request("GET", "/cont/one")
        assert answer.status >= 500, answer.status
    except (OSError, http.client.HTTPException):
        pass
    check_all(owner, {"/cont/two": bodies["/cont/two"]})
    assert owner.request("PUT", "/cont/one", bodies["/cont/one"], headers=PUT).status == 201
    check_all(owner, bodies)


def test_tasks_on_a_full_disk_are_refused_and_taken_again(kiln):
    owner = owner_of(kiln)
    batch = raw.batch_of(kiln)
    assert batch.request("POST", "/jobs", {"id": "job", "poolInfo": {"poolId": "none"}}).status == 201
    taken, _ = fill(owner, MIB)
    # Tasks fill what blobs leave for them.
    added, refusal = [], None
    while refusal is None:
        task = {"id": "t{:05}".format(len(added)), "commandLine": "echo " + "x" * 30_000}
        answer = batch.request("POST", "/jobs/job/tasks", task)
        if answer.status == 201:
            added.append(task["id"])
        else:
            refusal = answer
        assert len(added) < 5000, "the disk did not fill up"
    assert (refusal.status, refusal.code) == (503, "ServerBusy"), refusal.body
    assert int(refusal.headers["retry-after"]) > 0
    assert "disk of the server is full" in refusal.json["message"]["value"], refusal.body
    # What was taken is read, and a task that fits nowhere leaves nothing behind.
    assert [it["id"] for it in batch.listed("/jobs/job/tasks")] == added
    assert kiln.monitor("/readyz")[0] == 503
    for path in list(taken)[:8]:
        assert owner.request("DELETE", path).status == 202, path
        del taken[path]
    again = {"id": "t{:05}".format(len(added)), "commandLine": "echo " + "x" * 30_000}
    assert batch.request("POST", "/jobs/job/tasks", again).status == 201
    assert kiln.stop() == 0
    kiln.start()
    assert [it["id"] for it in batch.listed("/jobs/job/tasks")] == [*added, again["id"]]
    check_all(owner, taken)
