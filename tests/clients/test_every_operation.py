"""Every operation that each generation of the SDK has, called through it."""

import base64
import json

import pytest
import raw
from conftest import CERTIFICATE, PROGRAMS, Client, run_program

GENERATIONS = ["1.1.0", "3.1.0", "6.0.1", "9.0.0", "11.0.0", "14.2.0", "15.1.0"]


PACKAGES = ["azure-batch", "@azure/batch"]


def settings_file(kiln, sdk, suffix, application, folder):
    """The settings of the programs that call every operation."""
    batch = kiln.batch()
    settings = {
        "batch_sdk": sdk,
        "batch": vars(batch),
        "suffix": suffix,
        "application": application,
        "certificate": base64.b64encode(CERTIFICATE).decode(),
        "container": raw.container_url(kiln, "every-" + suffix),
    }
    path = folder / "settings.json"
    path.write_text(json.dumps(settings))
    return path


@pytest.mark.parametrize("version", GENERATIONS)
def test_every_operation_of_the_python_sdk_is_served(kiln, version, suffix, tmp_path, application):
    client = Client(version)
    client.require()
    settings = settings_file(kiln, version, suffix, application, tmp_path)
    said = run_program([*client.interpreter, PROGRAMS / "every_operation.py", settings], kiln)
    assert "operations" in said


@pytest.mark.parametrize("package", PACKAGES)
def test_every_operation_of_the_javascript_sdk_is_served(kiln, package, suffix, tmp_path, application):
    client = Client("javascript")
    client.require()
    settings = settings_file(kiln, package, suffix, application, tmp_path)
    said = run_program([*client.interpreter, PROGRAMS / "every_operation.cjs", settings], kiln)
    assert "operations" in said
