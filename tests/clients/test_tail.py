"""What a task prints is read while it runs and after its node is gone, with several SDKs."""

import json

import pytest
from conftest import PROGRAMS, Client, run_program, settings_for


@pytest.mark.parametrize("version", ["1.0.0", "8.0.0", "14.2.0", "15.1.0"])
def test_tail(kiln, version, suffix, tmp_path):
    client = Client(version)
    settings = settings_for(
        kiln, client, suffix, tmp_path, is_intercepted=False, tasks_elevated=False
    )
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(settings))
    run_program([*client.interpreter, str(PROGRAMS / "tail.py"), str(file)], kiln)
