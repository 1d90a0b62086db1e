"""Every operation for blobs that each generation of the storage SDKs has, called through it."""

import json

import pytest
import raw
from conftest import CLIENTS, PROGRAMS, Client, run_program

# Versions of the package, and the steps that fit them.
GENERATIONS = {
    "0.20.3": "blob_steps_oldest",
    "0.30.0": "blob_steps_legacy",
    "0.34.3": "blob_steps_legacy",
    "0.36.0": "blob_steps_legacy",
    "0.37.1": "blob_steps_legacy",
    "2.1.0": "blob_steps_legacy",
    "12.0.0": "blob_steps_current",
    "12.4.0": "blob_steps_current",
    "12.31.1": "blob_steps_current",
}
JAVASCRIPT = ["azure-storage", "@azure/storage-blob"]


def settings_file(kiln, family, suffix, folder):
    settings = {
        "family": family,
        "storage": vars(kiln.storage()),
        "suffix": suffix,
        "folder": str(folder),
    }
    path = folder / "settings.json"
    path.write_text(json.dumps(settings))
    return path


def check(said):
    """Every step passed, and no operation was forgotten."""
    report = json.loads(said)
    failed = report["failed"]
    assert not failed, "\n".join("{}: {}".format(step, why) for step, why in failed.items())
    assert not report["unserved"], report["unserved"]
    assert not report["never_called"], report["never_called"]
    assert len(report["called"]) > 30


def storage_python(version):
    folder = CLIENTS / "storage-{}".format(version)
    assert folder.is_dir(), "run `cargo xtask test clients` to make {}".format(folder)
    return [str(folder / "bin/python"), "-W", "ignore"]


@pytest.mark.parametrize("version", GENERATIONS)
def test_every_blob_operation_of_the_python_sdk_is_served(kiln, version, suffix, tmp_path):
    settings = settings_file(kiln, GENERATIONS[version], suffix, tmp_path)
    command = [*storage_python(version), PROGRAMS / "every_blob_operation.py", settings]
    if version == "0.20.3":
        # This one knows the hosts of Azure only.
        command = kiln.exec_arguments(*command)
    check(run_program(command, kiln))


@pytest.mark.parametrize("package", JAVASCRIPT)
def test_every_blob_operation_of_the_javascript_sdk_is_served(kiln, package, suffix, tmp_path):
    client = Client("javascript")
    client.require()
    settings = settings_file(kiln, package, suffix, tmp_path)
    check(run_program([*client.interpreter, PROGRAMS / "every_blob_operation.cjs", settings], kiln))


def test_every_blob_operation_of_the_rust_sdk_is_served(kiln, suffix):
    # This one knows tokens and signatures, and no keys.
    service = raw.blob_of(kiln)
    program = CLIENTS / "rust/debug/kiln-clients"
    assert program.is_file(), "run `cargo xtask test clients` to build {}".format(program)
    command = [program, "{}?{}".format(service.url, service.account_sas()), suffix]
    assert run_program(command, kiln).splitlines()[-1] == "phase: done"


def test_adlfs_has_a_file_system(kiln, suffix, tmp_path):
    settings = settings_file(kiln, "adlfs", suffix, tmp_path)
    said = run_program([*storage_python("adlfs"), PROGRAMS / "adlfs_files.py", settings], kiln)
    assert said.splitlines()[-1] == "phase: done", said
