"""Runs tasks that do nothing with HyperQueue; prints the seconds that they took."""

import os
import sys
import time

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig

n_tasks, n_cores = int(sys.argv[1]), int(sys.argv[2])
job = Job()
for _ in range(n_tasks):
    job.program(["true"])
with LocalCluster(worker_config=WorkerConfig(cores=n_cores)) as cluster:
    client = cluster.client()
    begun_at = time.time()
    client.wait_for_jobs([client.submit(job)])
    # It tells of the end only at some seconds; the last task's file is made at its begin.
    files = [entry.stat().st_mtime for entry in os.scandir(".") if entry.name.endswith("stdout")]
assert len(files) == n_tasks, len(files)
print(max(files) - begun_at)
