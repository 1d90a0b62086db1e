"""What `kiln blob` promises: copies, lists, signatures, removal, and the check of a directory."""

import hashlib
import json
import os
import random
import urllib.request

import pytest
import raw
from kiln_process import Kiln, run_kiln

MIB = 1024 * 1024


def blob(kiln, *arguments, code=0, environment=None):
    """Runs `kiln blob` and answers what it said."""
    clean = {name: "" for name in os.environ if name.startswith("AZURE_")}
    done = run_kiln("blob", *arguments, "--data", kiln.data, environment={**clean, **(environment or {})})
    assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
    return done.stdout if code == 0 else done.stderr


def told(kiln, *arguments, **named):
    return json.loads(blob(kiln, *arguments, "--json", **named))


@pytest.fixture
def container(kiln, suffix):
    name = "tools-" + suffix
    blob(kiln, "create", "az://" + name)
    return name


def tree(folder):
    """Files of several sizes and depths; their content by relative name."""
    files = {
        "small.txt": b"small",
        "empty": b"",
        "deep/er/large.bin": random.Random(3).randbytes(20 * MIB + 7),
        "deep/exact.bin": random.Random(4).randbytes(8 * MIB),
        "with space/100%.txt": b"odd name",
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return files


def read_tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_folders_go_up_and_come_down_whole(kiln, container, tmp_path):
    (tmp_path / "up").mkdir()
    files = tree(tmp_path / "up")
    sent = told(kiln, "copy", "-r", tmp_path / "up", "az://{}/top/".format(container))
    assert (sent["files"], sent["bytes"]) == (len(files), sum(map(len, files.values())))
    listed = told(kiln, "list", "-r", "az://{}/".format(container))["blobs"]
    assert {it["name"]: it["sizeBytes"] for it in listed} == {
        "top/" + name: len(content) for name, content in files.items()
    }
    got = told(kiln, "copy", "-r", "az://{}/top/".format(container), tmp_path / "down", "--parallel", "3")
    assert got["files"] == len(files)
    assert read_tree(tmp_path / "down") == files


def test_single_files_keep_their_names(kiln, container, tmp_path):
    source = tmp_path / "one.txt"
    source.write_bytes(b"one")
    blob(kiln, "copy", source, "az://{}/in/".format(container))
    blob(kiln, "copy", source, "az://{}/renamed".format(container), "--content-type", "text/plain")
    blob(kiln, "copy", "az://{}/in/one.txt".format(container), tmp_path / "two.txt")
    assert (tmp_path / "two.txt").read_bytes() == b"one"
    (tmp_path / "folder").mkdir()
    blob(kiln, "copy", "az://{}/renamed".format(container), tmp_path / "folder")
    assert (tmp_path / "folder/renamed").read_bytes() == b"one"
    head = raw.blob_of(kiln).request("HEAD", "/{}/renamed".format(container))
    assert head.headers["content-type"] == "text/plain"
    said = blob(kiln, "copy", tmp_path, "az://{}/".format(container), code=2)
    assert "is a folder" in said and "--recursive" in said
    said = blob(kiln, "copy", source, "az://no-such-container/x", code=1)
    assert "ContainerNotFound" in said and "kiln blob create" in said


def test_blocks_of_an_earlier_try_are_not_sent_again(kiln, container, tmp_path):
    content = random.Random(5).randbytes(20 * MIB)
    source = tmp_path / "large.bin"
    source.write_bytes(content)
    owner = raw.blob_of(kiln)
    path = "/{}/large.bin".format(container)
    # What the command would have staged before it was cut off, and a block of other content.
    import base64

    for number, block in ((0, content[: 8 * MIB]), (1, b"other")):
        digest = hashlib.md5(block).digest()
        block_id = base64.b64encode(number.to_bytes(8, "big") + digest).decode()
        query = {"comp": "block", "blockid": block_id}
        assert owner.request("PUT", path, block, query=query).status == 201
    sent = told(kiln, "copy", source, "az://{}/".format(container))
    assert sent == {"files": 1, "bytes": 20 * MIB, "resumedBytes": 8 * MIB}
    answer = owner.request("GET", path)
    assert answer.body == content
    assert answer.headers["content-md5"] == base64.b64encode(hashlib.md5(content).digest()).decode()


def test_what_came_is_held_against_its_checksum(kiln, container, tmp_path):
    owner = raw.blob_of(kiln)
    headers = {"x-ms-blob-content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="}
    path = "/{}/b".format(container)
    assert owner.request("PUT", path + "", b"x", headers={"x-ms-blob-type": "BlockBlob"}).status == 201
    assert owner.request("PUT", path, b"", {"comp": "properties"}, headers).status == 200
    said = blob(kiln, "copy", "az://{}/b".format(container), tmp_path / "b", code=1)
    assert "MD5 differs" in said
    assert list(tmp_path.iterdir()) == []


def test_lists_have_folders(kiln, container, tmp_path):
    source = tmp_path / "x"
    source.write_bytes(b"x")
    for name in ("a/1", "a/2", "b"):
        blob(kiln, "copy", source, "az://{}/{}".format(container, name))
    top = told(kiln, "list", "az://" + container)
    assert (top["folders"], [it["name"] for it in top["blobs"]]) == (["a/"], ["b"])
    table = blob(kiln, "list", "az://{}/a/".format(container))
    assert [line.split()[0] for line in table.splitlines()] == ["name", "a/1", "a/2"]
    assert container in [it["name"] for it in told(kiln, "list")["containers"]]


def test_blobs_are_copied_by_the_service(kiln, container, suffix, tmp_path):
    source = tmp_path / "x"
    source.write_bytes(b"content")
    other = "other-" + suffix
    blob(kiln, "create", "az://" + other)
    for name in ("a/1", "a/2"):
        blob(kiln, "copy", source, "az://{}/{}".format(container, name))
    copied = told(kiln, "copy", "-r", "az://{}/a/".format(container), "az://{}/b/".format(other))
    assert (copied["files"], copied["bytes"]) == (2, 14)
    listed = told(kiln, "list", "-r", "az://{}/".format(other))["blobs"]
    assert [it["name"] for it in listed] == ["b/1", "b/2"]


def test_signatures_open_and_commands_take_them(kiln, container, tmp_path):
    source = tmp_path / "x"
    source.write_bytes(b"signed")
    place = "az://{}/x".format(container)
    blob(kiln, "copy", source, place)
    url = blob(kiln, "sas", place, "--permissions", "r", "--valid-for", "10m").strip()
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"signed"
    blob(kiln, "copy", url, tmp_path / "y")
    assert (tmp_path / "y").read_bytes() == b"signed"
    writes = blob(kiln, "sas", "az://" + container, "--permissions", "wl").strip()
    blob(kiln, "copy", source, writes.replace("?", "/in/x?"))
    assert len(told(kiln, "list", "-r", writes)["blobs"]) == 2
    said = blob(kiln, "sas", place, "--permissions", "q", code=2)
    assert "no letters" in said


def test_accounts_of_the_environment_come_first(kiln, container, tmp_path):
    account = kiln.storage()
    elsewhere = tmp_path / "nobody"
    variables = {
        "AZURE_STORAGE_CONNECTION_STRING": "AccountName={};AccountKey={};BlobEndpoint={};".format(
            account.account, account.key, account.url
        ),
        "KILN_DATA": str(elsewhere),
    }
    done = run_kiln("blob", "list", "--json", environment=variables)
    assert done.returncode == 0, done.stderr
    assert container in done.stdout
    done = run_kiln("blob", "list", environment={"KILN_DATA": str(elsewhere)})
    assert done.returncode == 3, done.stderr


def test_removal(kiln, container, tmp_path):
    source = tmp_path / "x"
    source.write_bytes(b"x")
    for name in ("a/1", "a/2", "b", "c"):
        blob(kiln, "copy", source, "az://{}/{}".format(container, name))
    blob(kiln, "remove", "az://{}/b".format(container))
    assert told(kiln, "remove", "-r", "az://{}/a/".format(container)) == {"blobs": 2}
    assert [it["name"] for it in told(kiln, "list", "az://" + container)["blobs"]] == ["c"]
    said = blob(kiln, "remove", "az://" + container, code=2)
    assert "--recursive" in said
    blob(kiln, "remove", "-r", "az://" + container)
    said = blob(kiln, "list", "az://" + container, code=1)
    assert "ContainerNotFound" in said


def test_a_check_wants_the_directory_for_itself_and_finds_damage(tmp_path):
    kiln = Kiln(tmp_path).start()
    try:
        source = tmp_path / "x"
        source.write_bytes(random.Random(6).randbytes(MIB))
        blob(kiln, "create", "az://cont")
        blob(kiln, "copy", source, "az://cont/x")
        said = blob(kiln, "fsck", code=4)
        assert "already serves" in said
    finally:
        assert kiln.stop() == 0
    report = told(kiln, "fsck")
    assert (report["findings"], report["blobs"], report["files"], report["fileBytes"]) == (0, 1, 1, MIB)
    file = max((it for it in (kiln.data / "extents").rglob("*") if it.is_file()), key=lambda it: it.stat().st_size)
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)
    assert told(kiln, "fsck", "--quick")["findings"] == 0
    done = run_kiln("blob", "fsck", "--data", kiln.data)
    assert done.returncode == 1
    assert "checksum" in done.stdout and "devstoreaccount1/cont/x" in done.stdout, done.stdout


def test_bytes_stay_where_they_were(tmp_path):
    kiln = Kiln(tmp_path).start()
    assert kiln.stop() == 0
    done = run_kiln(
        "up", "--data", kiln.data, "--extents", "s3://bucket/x", "--blob-listen", "127.0.0.1:0",
        "--batch-listen", "127.0.0.1:0", environment={"AWS_REGION": "r"},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "are in the data directory, and not in s3://bucket/x" in done.stderr, done.stderr
