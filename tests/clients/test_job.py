"""A job that is changed, moved, disabled, enabled and ended, with each generation of the SDKs."""

import json

import pytest
from conftest import CLIENTS_OF_ALL_GENERATIONS, PROGRAMS, run_program, settings_for

PYTHON_CLIENTS = [client for client in CLIENTS_OF_ALL_GENERATIONS if not client.is_javascript]


@pytest.mark.parametrize("client", PYTHON_CLIENTS, ids=str)
def test_job(kiln, client, suffix, tmp_path):
    client.require()
    settings = settings_for(
        kiln, client, suffix, tmp_path, is_intercepted=False, tasks_elevated=False
    )
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(settings))
    run_program([*client.interpreter, str(PROGRAMS / "job.py"), str(file)], kiln)
