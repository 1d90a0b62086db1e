"""A program written for Azure in 2017, unedited but for its five account strings."""

import os
import pathlib
import re
import shutil
import sys

import raw
from conftest import AZURE_BATCH_URL, PROGRAMS, Client, run_program

sys.path.insert(0, str(PROGRAMS))
from workflow import EXPECTED  # noqa: E402

FIRST_SDK = Client("1.0.0")


def filled_in(text, values):
    """The program with its empty constants filled; each must be there exactly once."""
    for name, value in values.items():
        text, n_found = re.subn(
            r'(?m)^{} = (""|\'\')$'.format(name), "{} = {!r}".format(name, value), text
        )
        assert n_found == 1, "{} is there {} times".format(name, n_found)
    return text


def test_program_of_2017(kiln, tmp_path):
    """The same structure and calls as the tutorial, in our own words."""
    shutil.copytree(PROGRAMS / "tutorial", tmp_path, dirs_exist_ok=True)
    shutil.copytree(PROGRAMS / "texts", tmp_path / "texts")
    batch, storage = kiln.batch(), kiln.storage()
    program = tmp_path / "word_client.py"
    strings = {
        "BATCH_NAME": batch.account,
        "BATCH_KEY": batch.key,
        "BATCH_URL": AZURE_BATCH_URL.format(batch.account),
        "STORAGE_NAME": storage.account,
        "STORAGE_KEY": storage.key,
    }
    program.write_text(filled_in(program.read_text(), strings))
    command = kiln.exec_arguments(*FIRST_SDK.interpreter, program)
    try:
        run_program(command, kiln, cwd=tmp_path)
    except BaseException:
        print(start_tasks(kiln, "WordPool"))
        raise
    for stem, words in EXPECTED.items():
        lines = (tmp_path / (stem + "_OUTPUT.txt")).read_text().splitlines()
        assert lines[:3] == ["{} {}".format(*pair) for pair in words], (stem, lines)
        assert lines[3].startswith("node tvm"), lines


def start_tasks(kiln, pool):
    """What became of the start tasks of a pool: what a user would look at first."""
    batch = raw.batch_of(kiln)
    told = []
    for node in batch.listed("/pools/{}/nodes".format(pool)):
        told.append("{} {}: {}".format(node["id"], node["state"], node.get("startTaskInfo")))
        files = "/pools/{}/nodes/{}/files/startup/".format(pool, node["id"])
        for name in ("stdout.txt", "stderr.txt"):
            told.append(batch.request("GET", files + name).body.decode(errors="replace")[-3000:])
    return "\n".join(told)


def check_top_words(text, output):
    """The tutorial counts words split at white space, without punctuation."""
    counts = {}
    for word in text.split():
        bare = word.strip("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
        counts[bare] = counts.get(bare, 0) + 1
    found = re.findall(r"^(\S+)\s+(\d+)", output, re.MULTILINE)[:3]
    assert len(found) == 3, output
    highest = sorted(counts.values(), reverse=True)[:3]
    assert [int(count) for _, count in found] == highest, (output, highest)
    for word, count in found:
        assert counts[word] == int(count), (word, count, counts.get(word))


def original_tutorial(kiln, tmp_path):
    """The tutorial's own program, from the folder that KILN_SEED_PROGRAM names."""
    source = pathlib.Path(os.environ["KILN_SEED_PROGRAM"]).resolve()
    place = tmp_path / "tutorial"
    shutil.copytree(source, place)
    batch, storage = kiln.batch(), kiln.storage()
    program = next(place.rglob("python_tutorial_client.py"))
    values = {
        "BATCH_ACCOUNT_NAME": batch.account,
        "BATCH_ACCOUNT_KEY": batch.key,
        "BATCH_ACCOUNT_URL": AZURE_BATCH_URL.format(batch.account),
        "STORAGE_ACCOUNT_NAME": storage.account,
        "STORAGE_ACCOUNT_KEY": storage.key,
    }
    text = program.read_text()
    for name, value in values.items():
        text, n_found = re.subn(
            r"(?m)^(_?{}) = (''|\"\")$".format(name), r"\1 = {!r}".format(value), text
        )
        assert n_found == 1, "{} is there {} times".format(name, n_found)
    program.write_text(text)
    home = tmp_path / "home"
    home.mkdir()
    with open(tmp_path / "answers", "w+", encoding="utf-8") as answers:
        answers.write("y\ny\n\n")
        answers.seek(0)
        try:
            run_program(
                kiln.exec_arguments(*FIRST_SDK.interpreter, program.name),
                kiln,
                cwd=program.parent,
                stdin=answers,
                environment={"HOME": str(home)},
                timeout=90,
            )
        except BaseException:
            print(start_tasks(kiln, "PythonTutorialPool"))
            raise
    outputs = sorted(home.glob("*_OUTPUT.txt"))
    assert [it.name for it in outputs] == [
        "taskdata{}_OUTPUT.txt".format(number) for number in (1, 2, 3)
    ]
    for output in outputs:
        text = next(place.rglob(output.name.replace("_OUTPUT", ""))).read_text()
        check_top_words(text, output.read_text())

# The tutorial's text is not ours to keep; where there is a copy, it is run too.
if "KILN_SEED_PROGRAM" in os.environ:
    test_original_tutorial = original_tutorial
