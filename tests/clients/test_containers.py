"""Tasks in containers, by real SDKs, with an image made here and a registry on loopback."""

import json

import pytest
from conftest import PROGRAMS, Client, run_program
from registry import LACKING, Registry


@pytest.fixture(scope="module")
def registry():
    if LACKING:
        pytest.skip("containers need {}: `cargo xtask test --setup` installs them".format(", ".join(LACKING)))
    registry = Registry()
    yield registry
    registry.stop()


@pytest.mark.parametrize("version", ["14.2.0", "15.1.0", "javascript"])
def test_containers(kiln, registry, suffix, tmp_path, version):
    client = Client(version)
    client.require()
    settings = {
        "batch_sdk": version,
        "batch": vars(kiln.batch()),
        "suffix": suffix,
        "registry": registry.host,
        "user": registry.user,
        "password": registry.password,
    }
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(settings))
    program = "containers.cjs" if client.is_javascript else "containers.py"
    run_program([*client.interpreter, str(PROGRAMS / program), str(file)], kiln)
    # The password is nobody's business but the registry's.
    assert registry.password not in kiln.log.read_text(errors="replace")
    assert "/v2/tool/manifests/1" in registry.asked
