"""Reads what a task prints while it runs, by ranges, and once more when its node is gone.

The task prints what it is told over a socket, one line after the other, and is told the next one
only when the last was read: what is read is what a running task has printed so far. Settings come
as JSON in a file.
"""

import json
import socket
import sys

from batch_sdk import open_batch
from waiting import wait_until

WAIT_MAX_SECONDS = 60
PATH = "stdout.txt"
COMMAND = (
    "/bin/bash -c 'exec 3<>/dev/tcp/127.0.0.1/{};"
    ' while read -r -u 3 line; do echo "$line"; done\''
)


def main():
    with open(sys.argv[1]) as file:
        settings = json.load(file)
    account = settings["batch"]
    batch = open_batch(settings["batch_sdk"], account["account"], account["key"], account["url"])
    pool_id = job_id = "tail-" + settings["suffix"]
    teller = socket.create_server(("127.0.0.1", 0))
    teller.settimeout(WAIT_MAX_SECONDS)
    batch.add_pool(pool_id, 1, "true", [])
    batch.add_job(job_id, pool_id)
    command = COMMAND.format(teller.getsockname()[1])
    assert batch.add_tasks(job_id, [("t", command, [])], False) == ["t"]
    task, _ = teller.accept()

    # A file that holds nothing yet is read from its start, and from nowhere else.
    assert batch.read_on(job_id, "t", PATH, 0) == b""
    assert batch.read_on(job_id, "t", PATH, 1) is None
    told = b""
    for number in range(5):
        line = "line {}\n".format(number).encode() * (1 + number * 1000)
        task.sendall(line)
        read = b""
        while len(read) < len(line):
            first = len(told) + len(read)
            if first > 0:
                read += wait_until("a line", lambda: batch.read_on(job_id, "t", PATH, first))
            else:
                read += wait_until("a line", lambda: batch.read_file(job_id, "t", PATH))
        assert read == line, (number, read[:80])
        told += line
        assert batch.read_on(job_id, "t", PATH, len(told)) is None
        assert batch.file_size(job_id, "t", PATH) == len(told)
        assert batch.task_states(job_id) == {"t": "running"}
    task.close()
    wait_until("its end", lambda: batch.task_states(job_id) == {"t": "completed"})
    assert batch.exit_code(job_id, "t") == 0

    batch.delete_pool(pool_id)
    wait_until("the end of its node", lambda: batch.is_pool_gone(pool_id))
    assert batch.read_file(job_id, "t", PATH) == told
    assert batch.read_on(job_id, "t", PATH, 3) == told[3:]
    assert batch.read_on(job_id, "t", PATH, len(told)) is None
    assert batch.file_size(job_id, "t", PATH) == len(told)
    batch.delete_job(job_id)
    wait_until("the end of the job", lambda: batch.is_job_gone(job_id))


main()
