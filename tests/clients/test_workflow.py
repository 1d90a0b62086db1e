"""The tutorial's workflow with each generation of the SDKs, on plain endpoints and as on Azure."""

import json

import pytest
from conftest import CLIENTS_OF_ALL_GENERATIONS, run_program, settings_for


@pytest.mark.parametrize("way", ["endpoints", "exec"])
@pytest.mark.parametrize("client", CLIENTS_OF_ALL_GENERATIONS, ids=str)
def test_workflow(kiln, client, way, suffix, tmp_path, tasks_elevated):
    client.require()
    is_intercepted = way == "exec"
    settings = settings_for(
        kiln,
        client,
        suffix,
        tmp_path,
        is_intercepted=is_intercepted,
        tasks_elevated=tasks_elevated,
    )
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(settings))
    command = [*client.workflow, str(file)]
    if is_intercepted:
        command = kiln.exec_arguments(*command)
    said = run_program(command, kiln)
    assert said.splitlines()[-1] == "phase: done", said
