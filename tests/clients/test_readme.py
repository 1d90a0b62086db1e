"""The README's example, as it stands there."""

import pathlib
import re

from conftest import Client, run_program

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"
CLIENT = Client("14.2.0")


def test_five_minutes_with_the_python_sdk(kiln, tmp_path):
    [example] = re.findall(r"<<'EOF'\n(.*?)\nEOF\n", README.read_text(), re.DOTALL)
    program = tmp_path / "example.py"
    program.write_text(example)
    said = run_program(
        [*CLIENT.interpreter, str(program)], kiln, environment=kiln.environment(), timeout=60
    )
    lines = sorted(said.splitlines())
    assert [line.split(" on tvm")[0] for line in lines] == [
        "I am task{}".format(number) for number in range(4)
    ], lines
