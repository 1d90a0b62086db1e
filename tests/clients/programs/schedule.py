"""An hourly job schedule, by whichever SDK this interpreter has.

Its first job gets a pool of its own and a manager task, whose output is read by way of the job's
name, with the colon in it; the job ends with the schedule, and takes its pool along. Settings come
as JSON in a file.
"""

import json
import sys

from batch_sdk import open_batch, spelled
from waiting import wait_until



def main():
    with open(sys.argv[1]) as file:
        settings = json.load(file)
    account = settings["batch"]
    batch = open_batch(settings["batch_sdk"], account["account"], account["key"], account["url"])
    schedule_id = "schedule-" + settings["suffix"]
    first = schedule_id + ":job-1"

    batch.add_schedule(schedule_id, "/bin/sh -c 'echo $AZ_BATCH_JOB_ID $AZ_BATCH_POOL_ID'", 1)
    info = wait_until(
        "the first job",
        lambda: batch.schedule(schedule_id).execution_info.recent_job
        and batch.schedule(schedule_id).execution_info,
    )
    assert info.recent_job.id == first, info.recent_job.id
    created = batch.schedule(schedule_id).creation_time
    assert (info.next_run_time - created).total_seconds() == 3600, (info.next_run_time, created)

    jobs = batch.jobs_of_schedule(schedule_id)
    assert list(jobs) == [first], jobs
    pool_id = jobs[first][1]
    assert pool_id.startswith("auto_") and pool_id[5:] == pool_id[5:].upper(), pool_id
    wait_until(
        "the end of the manager",
        lambda: batch.task_states(first) == {"manager": "completed"},
    )
    printed = batch.read_file(first, "manager", "stdout.txt").decode()
    assert printed == "{} {}\n".format(first, pool_id), printed

    assert batch.rest_and_go_on(schedule_id) == "disabled"
    batch.rename_jobs(schedule_id, "another")
    changed = batch.schedule(schedule_id)
    assert changed.job_specification.display_name == "another"
    assert spelled(changed.state) == "active", changed.state

    batch.end_schedule(schedule_id)
    wait_until(
        "the end of the schedule",
        lambda: spelled(batch.schedule(schedule_id).state) == "completed",
    )
    assert batch.job_state(first) == "completed"
    wait_until("the end of the pool", lambda: batch.is_pool_gone(pool_id))
    batch.delete_schedule(schedule_id)
    wait_until("the removal of the schedule", lambda: batch.is_schedule_gone(schedule_id))
    assert batch.is_job_gone(first)


main()
