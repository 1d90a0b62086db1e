"""The tutorial's workflow, by whichever SDKs this interpreter has.

Containers, uploads, SAS, a pool with an elevated start task, a job, three tasks with
resource files, waiting, downloading, and taking everything down again. Every step checks
what came back; the words and counts at the end are exact. Settings come as JSON in a file
(see `kiln_process.Settings` beside the tests). A line `phase: NAME` marks each step for
whoever watches.
"""

import json
import os
import sys

from batch_sdk import open_batch
from storage_sdk import open_storage
from waiting import wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
TASK_PROGRAM = "topwords_task.py"
EXPECTED = {
    "harbor": [("the", 11), ("boat", 5), ("a", 4)],
    "orchard": [("the", 7), ("apples", 5), ("pears", 4)],
    "workshop": [("measure", 5), ("the", 5), ("cut", 4)],
}


def phase(name):
    print("phase: {}".format(name), flush=True)


def in_shell(*commands):
    """One command line for commands that need a shell."""
    return "/bin/bash -c 'set -e; set -o pipefail; {}; wait'".format("; ".join(commands))


class Workflow:
    """One run; every name in it ends in the run's own suffix."""

    def __init__(self, settings):
        batch, storage = settings["batch"], settings["storage"]
        self.settings = settings
        self.storage = open_storage(storage["account"], storage["key"], storage["url"])
        self.batch = open_batch(
            settings["batch_sdk"], batch["account"], batch["key"], batch["url"]
        )
        suffix = settings["suffix"]
        self.application = "application-" + suffix
        self.input = "input-" + suffix
        self.output = "output-" + suffix
        self.pool = "pool-" + suffix
        self.job = "job-" + suffix
        self.tasks = {stem: "topwords-" + stem for stem in EXPECTED}

    def run(self):
        phase("containers")
        self.create_containers()
        phase("uploading")
        program, texts = self.upload()
        phase("adding pool")
        self.add_pool(program)
        phase("adding job")
        self.batch.add_job(self.job, self.pool)
        phase("adding tasks")
        self.add_tasks(texts)
        phase("waiting")
        self.wait_for_tasks()
        phase("downloading")
        self.check_outputs()
        phase("cleaning")
        self.take_down()
        phase("done")

    def create_containers(self):
        for name in (self.application, self.input, self.output):
            assert self.storage.create_container(name) is True, name
            assert self.storage.create_container(name) is False, name

    def upload(self):
        program = self.uploaded(self.application, os.path.join(HERE, TASK_PROGRAM))
        texts = {
            stem: self.uploaded(self.input, os.path.join(HERE, "texts", stem + ".txt"))
            for stem in EXPECTED
        }
        assert sorted(self.storage.names(self.input)) == sorted(
            stem + ".txt" for stem in EXPECTED
        )
        return program, texts

    def uploaded(self, container, path):
        name = os.path.basename(path)
        self.storage.upload(container, name, path)
        return self.storage.url_that_reads(container, name), name

    def add_pool(self, program):
        command = in_shell(
            "test \"$(id -u)\" = 0 || sudo -n true",
            "cp -p {} $AZ_BATCH_NODE_SHARED_DIR".format(TASK_PROGRAM),
        )
        self.batch.add_pool(self.pool, self.settings["n_nodes"], command, [program])

    def add_tasks(self, texts):
        storage = self.settings["storage"]
        words = [
            self.settings["task_interpreter"],
            "$AZ_BATCH_NODE_SHARED_DIR/" + TASK_PROGRAM,
            "--filepath {}",
            "--numwords 3",
            "--storageaccount " + storage["account"],
            "--storagecontainer " + self.output,
            '--sastoken "{}"'.format(self.storage.token_that_writes(self.output)),
        ]
        if self.settings["task_endpoint"]:
            words.append("--endpoint " + self.settings["task_endpoint"])
        tasks = []
        for stem, (url, name) in sorted(texts.items()):
            line = in_shell(" ".join(words).replace("{}", name))
            tasks.append((self.tasks[stem], line, [(url, name)]))
        added = self.batch.add_tasks(self.job, tasks, self.settings["tasks_elevated"])
        assert sorted(added) == sorted(self.tasks.values()), added

    def wait_for_tasks(self):
        def all_completed():
            states = self.batch.task_states(self.job)
            assert sorted(states) == sorted(self.tasks.values()), states
            return set(states.values()) == {"completed"}

        wait_until("completion of all tasks", all_completed)
        nodes = self.batch.node_states(self.pool)
        assert len(nodes) == self.settings["n_nodes"], nodes

    def check_outputs(self):
        for stem, task_id in self.tasks.items():
            name = stem + "_OUTPUT.txt"
            code = self.batch.exit_code(self.job, task_id)
            errors = self.batch.read_file(self.job, task_id, "stderr.txt").decode()
            assert code == 0, "{} ended with {}: {}".format(task_id, code, errors)
            said = self.batch.read_file(self.job, task_id, "stdout.txt").decode()
            assert said == "uploaded {}\n".format(name), said
            in_work_folder = self.batch.read_file(self.job, task_id, "wd/" + name).decode()
            path = os.path.join(self.settings["folder"], name)
            self.storage.download(self.output, name, path)
            with open(path, encoding="utf-8") as output:
                downloaded = output.read()
            assert downloaded == in_work_folder, (downloaded, in_work_folder)
            self.check_output(downloaded.splitlines(), stem, task_id)
        names = sorted(self.storage.names(self.output))
        assert names == sorted(stem + "_OUTPUT.txt" for stem in EXPECTED), names

    def check_output(self, lines, stem, task_id):
        expected = ["{} {}".format(word, count) for word, count in EXPECTED[stem]]
        assert lines[:3] == expected, (stem, lines)
        told = dict(line.split(": ", 1) for line in lines[3:])
        assert told["pool"] == self.pool, told
        assert told["job"] == self.job, told
        assert told["task"] == task_id, told
        assert told["node"], told

    def take_down(self):
        for name in (self.application, self.input, self.output):
            self.storage.delete_container(name)
            assert not self.storage.has_container(name), name
        self.batch.delete_job(self.job)
        self.batch.delete_pool(self.pool)
        wait_until("end of the job", lambda: self.batch.is_job_gone(self.job))
        wait_until("end of the pool", lambda: self.batch.is_pool_gone(self.pool))


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as source:
        Workflow(json.load(source)).run()
