"""Bytes of blobs in object stores: the suite that every place of extents passes, in real servers."""

import pathlib
import subprocess
import time

import pytest
import raw
from conftest import CLIENTS, run_program
from kiln_process import BINARY, free_port

SUITE = pathlib.Path(BINARY).parent / "examples/extents_suite"
START_MAX_SECONDS = 30


@pytest.fixture
def s3(tmp_path):
    """A server that speaks S3, with the bucket `extents`."""
    url = "http://127.0.0.1:{}".format(free_port())
    folder = CLIENTS / "objects"
    assert folder.is_dir(), "run `cargo xtask test clients` to make {}".format(folder)
    server = folder / "bin/moto_server"
    words = [server, "-H", "127.0.0.1", "-p", url.rpartition(":")[2]]
    with open(tmp_path / "s3.log", "wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + START_MAX_SECONDS
        while True:
            assert process.poll() is None and time.monotonic() < until, (tmp_path / "s3.log").read_text()
            try:
                assert raw.send(url + "/extents", "PUT", {}, b"").status == 200
                break
            except OSError:
                time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait()


def run_suite(kiln, url, **options):
    assert SUITE.is_file(), "run `cargo xtask test clients` to build {}".format(SUITE)
    words = [SUITE, url, *("{}={}".format(name, value) for name, value in options.items())]
    said = run_program(words, kiln).splitlines()
    assert said[-1] == "phase: done" and len(said) > 5, said


def test_extents_are_kept_in_s3(kiln, s3):
    run_suite(
        kiln,
        "s3://extents/some/prefix",
        aws_endpoint=s3,
        aws_region="us-east-1",
        aws_access_key_id="id",
        aws_secret_access_key="secret",
        aws_allow_http="true",
    )


def test_extents_are_kept_in_another_kiln(kiln, suffix):
    service = raw.blob_of(kiln)
    name = "extents-{}".format(suffix)
    assert service.request("PUT", "/" + name, query={"restype": "container"}).status == 201
    run_suite(
        kiln,
        "az://{}/some/prefix".format(name),
        azure_storage_account_name=service.account,
        azure_storage_account_key=service.key,
        azure_storage_endpoint=service.url,
        azure_allow_http="true",
    )
