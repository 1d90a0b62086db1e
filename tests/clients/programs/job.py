"""The life of a job, by whichever SDK this interpreter has.

No node ever runs it: its manager waits while the job is changed, moved to another pool, disabled,
enabled and ended. Settings come as JSON in a file.
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
    job_id = "job-" + settings["suffix"]

    batch.add_rich_job(job_id, "nowhere")
    job = batch.job(job_id)
    assert (job.priority, job.metadata[0].name, job.metadata[0].value) == (7, "color", "red")
    assert job.job_manager_task.id == "manager"
    assert job.job_manager_task.run_exclusive is True
    assert job.job_manager_task.constraints.max_task_retry_count == 0
    assert batch.task_states(job_id) == {"manager": "active"}

    changed_at = job.last_modified
    batch.patch_job(job_id, priority=-3)
    job = batch.job(job_id)
    assert (job.priority, job.metadata[0].value) == (-3, "red")
    assert job.last_modified > changed_at
    batch.replace_job(job_id, retries=2)
    job = batch.job(job_id)
    assert (job.priority, job.metadata) == (0, None), (job.priority, job.metadata)
    assert job.constraints.max_task_retry_count == 2

    batch.disable_job(job_id)
    wait_until("its rest", lambda: batch.job_state(job_id) == "disabled")
    assert spelled(batch.job(job_id).previous_state) == "disabling"
    batch.patch_job(job_id, pool_id="elsewhere")
    assert batch.job(job_id).execution_info.pool_id == "elsewhere"
    batch.enable_job(job_id)
    wait_until("its return", lambda: batch.job_state(job_id) == "active")

    batch.end_job(job_id, "enough")
    wait_until("its end", lambda: batch.job_state(job_id) == "completed")
    info = batch.job(job_id).execution_info
    assert batch.reason(info) == "enough", info
    assert info.end_time >= info.start_time
    assert batch.task_states(job_id) == {"manager": "active"}
    batch.delete_job(job_id)
    wait_until("its removal", lambda: batch.is_job_gone(job_id))


main()
