"""The Batch SDKs behind one set of verbs: a small class for each generation.

What differs between generations is only how a body is spelled, so each class says that and
nothing else. A resource file is a pair of URL and file name.
"""

import datetime


def open_batch(version, account, key, url):
    """A client of the account at `url`; `version` is that of the installed azure-batch."""
    generation = int(version.split(".")[0])
    if generation >= 15:
        return Batch2025(account, key, url)
    if generation >= 6:
        return Batch2019(account, key, url)
    if generation >= 3:
        return Batch2017May(account, key, url)
    if generation >= 2:
        return Batch2017(account, key, url)
    return Batch2016(account, key, url)


def spelled(state):
    """A state as Azure spells it, whether the SDK has an enumeration or plain text."""
    return getattr(state, "value", state)


class Batch2016:
    """azure-batch 1: elevation is a flag, the target of a pool is one number."""

    image = ("Canonical", "UbuntuServer", "16")

    def __init__(self, account, key, url):
        from azure.batch import BatchServiceClient, batch_auth, models

        self.models = models
        credentials = batch_auth.SharedKeyCredentials(account, key)
        self.client = self.connected(BatchServiceClient, credentials, url)

    def connected(self, client, credentials, url):
        return client(credentials, base_url=url)

    def files(self, pairs):
        return [
            self.models.ResourceFile(blob_source=url, file_path=name) for url, name in pairs
        ]

    def elevated(self):
        return {"run_elevated": True}

    def target(self, n_nodes):
        return {"target_dedicated": n_nodes}

    def find_image(self):
        """The agent SKU and the first verified image that fits."""
        publisher, offer, prefix = self.image
        for sku in self.client.account.list_node_agent_skus():
            for image in sku.verified_image_references:
                found = (image.publisher.lower(), image.offer.lower())
                if found == (publisher.lower(), offer.lower()) and image.sku.startswith(prefix):
                    return sku.id, image
        raise AssertionError("no image {} {} {}*".format(publisher, offer, prefix))

    def add_pool(self, pool_id, n_nodes, command, files):
        sku, image = self.find_image()
        self.client.pool.add(
            self.models.PoolAddParameter(
                id=pool_id,
                vm_size="STANDARD_A1",
                virtual_machine_configuration=self.models.VirtualMachineConfiguration(
                    image_reference=image, node_agent_sku_id=sku
                ),
                start_task=self.models.StartTask(
                    command_line=command,
                    resource_files=self.files(files),
                    wait_for_success=True,
                    **self.elevated()
                ),
                **self.target(n_nodes)
            )
        )

    def add_job(self, job_id, pool_id):
        self.client.job.add(
            self.models.JobAddParameter(
                id=job_id, pool_info=self.models.PoolInformation(pool_id=pool_id)
            )
        )

    def add_tasks(self, job_id, tasks, is_elevated):
        """Adds triples of id, command line and resource files; answers the added ids."""
        rights = self.elevated() if is_elevated else {}
        bodies = [
            self.models.TaskAddParameter(
                id=task_id, command_line=command, resource_files=self.files(files), **rights
            )
            for task_id, command, files in tasks
        ]
        results = self.client.task.add_collection(job_id, bodies).value
        for result in results:
            assert spelled(result.status).lower() == "success", result.error
        return [result.task_id for result in results]

    def task_states(self, job_id):
        return {task.id: spelled(task.state) for task in self.client.task.list(job_id)}

    def exit_code(self, job_id, task_id):
        return self.client.task.get(job_id, task_id).execution_info.exit_code

    def read_file(self, job_id, task_id, path):
        return b"".join(self.client.file.get_from_task(job_id, task_id, path))

    def read_on(self, job_id, task_id, path, first):
        """A file from this byte on; `None` when it is not longer."""
        options = self.models.FileGetFromTaskOptions(ocp_range="bytes={}-".format(first))
        try:
            return b"".join(
                self.client.file.get_from_task(
                    job_id, task_id, path, file_get_from_task_options=options
                )
            )
        except self.models.BatchErrorException as refusal:
            assert refusal.response.status_code == 416, refusal
            assert refusal.error.code == "InvalidRange", refusal.error
            return None

    def file_size(self, job_id, task_id, path):
        files = self.client.file
        # The name that the first generation has for it.
        ask = getattr(files, "get_node_file_properties_from_task", None)
        ask = ask or files.get_properties_from_task
        found = ask(job_id, task_id, path, raw=True)
        return int(found.headers["Content-Length"])

    def node_states(self, pool_id):
        return {
            node.id: spelled(node.state) for node in self.client.compute_node.list(pool_id)
        }

    def delete_job(self, job_id):
        self.client.job.delete(job_id)

    def delete_pool(self, pool_id):
        self.client.pool.delete(pool_id)

    def is_gone(self, get, code):
        """Whether `get` is refused because the thing does not exist."""
        try:
            get()
        except self.models.BatchErrorException as refusal:
            assert refusal.error.code == code, refusal.error
            return True
        return False

    def is_pool_gone(self, pool_id):
        return self.is_gone(lambda: self.client.pool.get(pool_id), "PoolNotFound")

    def is_job_gone(self, job_id):
        return self.is_gone(lambda: self.client.job.get(job_id), "JobNotFound")

    def add_schedule(self, schedule_id, command, n_nodes):
        """An hourly schedule: each job has a pool of its own, and outlives its manager."""
        models, (sku, image) = self.models, self.find_image()
        pool = models.PoolSpecification(
            vm_size="STANDARD_A1",
            virtual_machine_configuration=models.VirtualMachineConfiguration(
                image_reference=image, node_agent_sku_id=sku
            ),
            **self.target(n_nodes)
        )
        auto = models.AutoPoolSpecification(
            auto_pool_id_prefix="auto", pool_lifetime_option="job", pool=pool
        )
        manager = models.JobManagerTask(
            id="manager", command_line=command, kill_job_on_completion=False
        )
        specification = models.JobSpecification(
            pool_info=models.PoolInformation(auto_pool_specification=auto),
            job_manager_task=manager,
        )
        self.client.job_schedule.add(
            models.JobScheduleAddParameter(
                id=schedule_id,
                schedule=models.Schedule(recurrence_interval=datetime.timedelta(hours=1)),
                job_specification=specification,
            )
        )

    def schedule(self, schedule_id):
        return self.client.job_schedule.get(schedule_id)

    def rename_jobs(self, schedule_id, name):
        """Lets the jobs to come have another name, the whole schedule being replaced."""
        was = self.schedule(schedule_id)
        was.job_specification.display_name = name
        self.client.job_schedule.update(
            schedule_id,
            self.models.JobScheduleUpdateParameter(
                schedule=was.schedule, job_specification=was.job_specification
            ),
        )

    def rest_and_go_on(self, schedule_id):
        """Disables and enables; answers the state between."""
        self.client.job_schedule.disable(schedule_id)
        state = spelled(self.schedule(schedule_id).state)
        self.client.job_schedule.enable(schedule_id)
        return state

    def jobs_of_schedule(self, schedule_id):
        """By id the state and the pool of each job."""
        jobs = self.client.job.list_from_job_schedule(schedule_id)
        return {job.id: (spelled(job.state), job.execution_info.pool_id) for job in jobs}

    def job(self, job_id):
        return self.client.job.get(job_id)

    def add_rich_job(self, job_id, pool_id):
        """A job with a manager, and with something to change in it."""
        models = self.models
        self.client.job.add(
            models.JobAddParameter(
                id=job_id,
                pool_info=models.PoolInformation(pool_id=pool_id),
                priority=7,
                metadata=[models.MetadataItem(name="color", value="red")],
                job_manager_task=models.JobManagerTask(
                    id="manager", command_line="true", kill_job_on_completion=False
                ),
            )
        )

    def patch_job(self, job_id, *, priority=None, pool_id=None):
        pool_info = self.models.PoolInformation(pool_id=pool_id) if pool_id else None
        patch = self.models.JobPatchParameter(priority=priority, pool_info=pool_info)
        self.client.job.patch(job_id, patch)

    def replace_job(self, job_id, *, retries):
        """Gives the job nothing but its pool and this limit."""
        models = self.models
        self.client.job.update(
            job_id,
            models.JobUpdateParameter(
                pool_info=self.job(job_id).pool_info,
                constraints=models.JobConstraints(max_task_retry_count=retries),
            ),
        )

    def disable_job(self, job_id):
        self.client.job.disable(job_id, "wait")

    def enable_job(self, job_id):
        self.client.job.enable(job_id)

    def end_job(self, job_id, reason):
        self.client.job.terminate(job_id, terminate_reason=reason)

    def reason(self, execution_info):
        return execution_info.terminate_reason

    def job_state(self, job_id):
        return spelled(self.job(job_id).state)

    def end_schedule(self, schedule_id):
        self.client.job_schedule.terminate(schedule_id)

    def delete_schedule(self, schedule_id):
        self.client.job_schedule.delete(schedule_id)

    def is_schedule_gone(self, schedule_id):
        return self.is_gone(lambda: self.schedule(schedule_id), "JobScheduleNotFound")


class Batch2017(Batch2016):
    """azure-batch 2: elevation belongs to a user identity."""

    def elevated(self):
        user = self.models.AutoUserSpecification(
            scope=self.models.AutoUserScope.pool,
            elevation_level=self.models.ElevationLevel.admin,
        )
        return {"user_identity": self.models.UserIdentity(auto_user=user)}


class Batch2017May(Batch2017):
    """azure-batch 3 to 5: a pool has dedicated and low-priority nodes."""

    def target(self, n_nodes):
        return {"target_dedicated_nodes": n_nodes}


class Batch2019(Batch2017May):
    """azure-batch 6 to 14: other names for URLs, and images instead of agent SKUs."""

    image = ("Canonical", "UbuntuServer", "18.04")

    def connected(self, client, credentials, url):
        return client(credentials, batch_url=url)

    def files(self, pairs):
        return [self.models.ResourceFile(http_url=url, file_path=name) for url, name in pairs]

    def find_image(self):
        publisher, offer, prefix = self.image
        options = self.models.AccountListSupportedImagesOptions(
            filter="verificationType eq 'verified'"
        )
        for found in self.client.account.list_supported_images(
            account_list_supported_images_options=options
        ):
            image = found.image_reference
            named = (image.publisher.lower(), image.offer.lower())
            if named == (publisher.lower(), offer.lower()) and image.sku.startswith(prefix):
                return found.node_agent_sku_id, image
        raise AssertionError("no image {} {} {}*".format(publisher, offer, prefix))


class Batch2025(Batch2019):
    """azure-batch 15: another client class, plain text for states, pollers for deletions."""

    image = ("canonical", "0001-com-ubuntu-server-focal", "20_04-lts")

    def __init__(self, account, key, url):
        from azure.batch import BatchClient, models
        from azure.core.credentials import AzureNamedKeyCredential

        self.models = models
        self.client = BatchClient(url, AzureNamedKeyCredential(account, key))

    def elevated(self):
        user = self.models.AutoUserSpecification(scope="pool", elevation_level="admin")
        return {"user_identity": self.models.UserIdentity(auto_user=user)}

    def find_image(self):
        publisher, offer, sku = self.image
        for found in self.client.list_supported_images():
            image = found.image_reference
            named = (image.publisher.lower(), image.offer.lower())
            if named == (publisher.lower(), offer.lower()) and image.sku.startswith(sku):
                return found.node_agent_sku_id, image
        raise AssertionError("no image {} {} {}*".format(publisher, offer, sku))

    def add_pool(self, pool_id, n_nodes, command, files):
        sku, image = self.find_image()
        self.client.create_pool(
            self.models.BatchPoolCreateOptions(
                id=pool_id,
                vm_size="STANDARD_D2_V3",
                virtual_machine_configuration=self.models.VirtualMachineConfiguration(
                    image_reference=image, node_agent_sku_id=sku
                ),
                start_task=self.models.BatchStartTask(
                    command_line=command,
                    resource_files=self.files(files),
                    wait_for_success=True,
                    **self.elevated()
                ),
                **self.target(n_nodes)
            )
        )

    def add_job(self, job_id, pool_id):
        self.client.create_job(
            self.models.BatchJobCreateOptions(
                id=job_id, pool_info=self.models.BatchPoolInfo(pool_id=pool_id)
            )
        )

    def add_tasks(self, job_id, tasks, is_elevated):
        rights = self.elevated() if is_elevated else {}
        bodies = [
            self.models.BatchTaskCreateOptions(
                id=task_id, command_line=command, resource_files=self.files(files), **rights
            )
            for task_id, command, files in tasks
        ]
        results = self.client.create_tasks(job_id, bodies).result_values
        for result in results:
            assert spelled(result.status).lower() == "success", result.error
        return [result.task_id for result in results]

    def task_states(self, job_id):
        return {task.id: spelled(task.state) for task in self.client.list_tasks(job_id)}

    def exit_code(self, job_id, task_id):
        return self.client.get_task(job_id, task_id).execution_info.exit_code

    def read_file(self, job_id, task_id, path):
        return b"".join(self.client.download_task_file(job_id, task_id, path))

    def read_on(self, job_id, task_id, path, first):
        from azure.core.exceptions import HttpResponseError

        try:
            return b"".join(
                self.client.download_task_file(
                    job_id, task_id, path, ocp_range="bytes={}-".format(first)
                )
            )
        except HttpResponseError as refusal:
            assert refusal.status_code == 416, refusal
            return None

    def file_size(self, job_id, task_id, path):
        return self.client.get_task_file_properties(job_id, task_id, path).content_length

    def node_states(self, pool_id):
        return {node.id: spelled(node.state) for node in self.client.list_nodes(pool_id)}

    def delete_job(self, job_id):
        self.client.begin_delete_job(job_id, polling_interval=1).wait(timeout=60)

    def delete_pool(self, pool_id):
        self.client.begin_delete_pool(pool_id, polling_interval=1).wait(timeout=60)

    def is_gone(self, get, code):
        from azure.core.exceptions import ResourceNotFoundError

        try:
            get()
        except ResourceNotFoundError as refusal:
            assert code in str(refusal), refusal
            return True
        return False

    def is_pool_gone(self, pool_id):
        return self.is_gone(lambda: self.client.get_pool(pool_id), "PoolNotFound")

    def is_job_gone(self, job_id):
        return self.is_gone(lambda: self.client.get_job(job_id), "JobNotFound")

    def add_schedule(self, schedule_id, command, n_nodes):
        models, (sku, image) = self.models, self.find_image()
        pool = models.BatchPoolSpecification(
            vm_size="STANDARD_D2_V3",
            virtual_machine_configuration=models.VirtualMachineConfiguration(
                image_reference=image, node_agent_sku_id=sku
            ),
            **self.target(n_nodes)
        )
        auto = models.BatchAutoPoolSpecification(
            auto_pool_id_prefix="auto", pool_lifetime_option="job", pool=pool
        )
        manager = models.BatchJobManagerTask(
            id="manager", command_line=command, kill_job_on_completion=False
        )
        specification = models.BatchJobSpecification(
            pool_info=models.BatchPoolInfo(auto_pool_specification=auto),
            job_manager_task=manager,
        )
        self.client.create_job_schedule(
            models.BatchJobScheduleCreateOptions(
                id=schedule_id,
                schedule=models.BatchJobScheduleConfiguration(
                    recurrence_interval=datetime.timedelta(hours=1)
                ),
                job_specification=specification,
            )
        )

    def schedule(self, schedule_id):
        return self.client.get_job_schedule(schedule_id)

    def rename_jobs(self, schedule_id, name):
        was = self.schedule(schedule_id)
        was.job_specification.display_name = name
        self.client.replace_job_schedule(schedule_id, was)

    def rest_and_go_on(self, schedule_id):
        self.client.disable_job_schedule(schedule_id)
        state = spelled(self.schedule(schedule_id).state)
        self.client.enable_job_schedule(schedule_id)
        return state

    def jobs_of_schedule(self, schedule_id):
        jobs = self.client.list_jobs_from_schedule(schedule_id)
        return {job.id: (spelled(job.state), job.execution_info.pool_id) for job in jobs}

    def job(self, job_id):
        return self.client.get_job(job_id)

    def add_rich_job(self, job_id, pool_id):
        models = self.models
        self.client.create_job(
            models.BatchJobCreateOptions(
                id=job_id,
                pool_info=models.BatchPoolInfo(pool_id=pool_id),
                priority=7,
                metadata=[models.BatchMetadataItem(name="color", value="red")],
                job_manager_task=models.BatchJobManagerTask(
                    id="manager", command_line="true", kill_job_on_completion=False
                ),
            )
        )

    def patch_job(self, job_id, *, priority=None, pool_id=None):
        pool_info = self.models.BatchPoolInfo(pool_id=pool_id) if pool_id else None
        patch = self.models.BatchJobUpdateOptions(priority=priority, pool_info=pool_info)
        self.client.update_job(job_id, patch)

    def replace_job(self, job_id, *, retries):
        was = self.job(job_id)
        was.constraints = self.models.BatchJobConstraints(max_task_retry_count=retries)
        was.priority = was.metadata = None
        self.client.replace_job(job_id, was)

    def disable_job(self, job_id):
        options = self.models.BatchJobDisableOptions(disable_tasks="wait")
        self.client.begin_disable_job(job_id, options, polling_interval=1).wait(timeout=60)

    def enable_job(self, job_id):
        self.client.begin_enable_job(job_id, polling_interval=1).wait(timeout=60)

    def end_job(self, job_id, reason):
        # This SDK does not give out the model of these options.
        options = {"terminateReason": reason}
        ending = self.client.begin_terminate_job(job_id, options, polling_interval=1)
        ending.wait(timeout=60)

    def reason(self, execution_info):
        return execution_info.termination_reason

    def end_schedule(self, schedule_id):
        self.client.begin_terminate_job_schedule(schedule_id, polling_interval=1).wait(timeout=60)

    def delete_schedule(self, schedule_id):
        self.client.begin_delete_job_schedule(schedule_id, polling_interval=1).wait(timeout=60)

    def is_schedule_gone(self, schedule_id):
        return self.is_gone(lambda: self.schedule(schedule_id), "JobScheduleNotFound")
