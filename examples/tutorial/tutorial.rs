//! The Batch tutorial: three text files, three tasks, three lists of frequent words.
//!
//! Read it from top to bottom: [`Tutorial::run`] is the whole workflow of a Batch program.
//! It uploads a program and its input, makes a pool whose start task installs the program,
//! adds a job with a task for each input file, waits, and downloads what the tasks uploaded.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use kiln_client::batch::{NewJob, NewPool, NewTask, ResourceFile, StartTask, Task, UserIdentity};
use kiln_client::blob::Permissions;
use kiln_client::{BatchClient, BlobClient, ClientError};

const APPLICATION: &str = "application";
const INPUT: &str = "input";
const OUTPUT: &str = "output";
const POOL: &str = "KilnTutorialPool";
const JOB: &str = "KilnTutorialJob";
const NODES: u32 = 1;
const TASKS_AT_ONCE: u32 = 3;
const WORDS: u32 = 3;

const TIMEOUT: Duration = Duration::from_secs(20 * 60);
const POLL: Duration = Duration::from_millis(50);
/// Deleting goes on after its request was answered; a name is free again soon.
const NAME_TIMEOUT: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// The program that runs on the nodes, and its input.
const PROGRAM: (&str, &str) = ("task.sh", include_str!("task.sh"));
const TEXTS: [(&str, &str); 3] = [
    ("taskdata1.txt", include_str!("data/taskdata1.txt")),
    ("taskdata2.txt", include_str!("data/taskdata2.txt")),
    ("taskdata3.txt", include_str!("data/taskdata3.txt")),
];

/// Where the tutorial runs.
pub(crate) struct Tutorial {
    /// The Batch account.
    pub(crate) batch: BatchClient,
    /// The storage account.
    pub(crate) blobs: BlobClient,
    /// Directory for the downloaded results.
    pub(crate) results: PathBuf,
    /// What is removed at the end.
    pub(crate) clean: Clean,
}

/// What is removed at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clean {
    /// Containers, job and pool.
    Everything,
    /// Only the containers, so that pool, job and tasks can be looked at.
    Containers,
}

/// Why the tutorial did not reach its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TutorialError {
    /// A service refused, or was not there.
    #[error("the service did not do what the tutorial needs")]
    Service(#[from] ClientError),
    /// The report can not be written.
    #[error("cannot write the report")]
    Write(#[from] io::Error),
    /// A result can not be written.
    #[error("cannot write the result `{}`", path.display())]
    Result {
        /// Where it was to go.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// There is no Linux image for the nodes.
    #[error("the service offers no verified Linux image")]
    NoImage,
    /// A task was not taken.
    #[error("task `{task}` was not added: {code}")]
    NotAdded {
        /// Which.
        task: String,
        /// Azure's code.
        code: String,
    },
    /// Tasks did not end in time.
    #[error("tasks did not reach the 'Completed' state within {}: {}", clock(TIMEOUT), .0)]
    TimedOut(String),
    /// A task ended badly.
    #[error("task `{task}` failed: {why}")]
    TaskFailed {
        /// Which.
        task: String,
        /// What it left on its standard error, or Azure's message.
        why: String,
    },
    /// A node can not take tasks.
    #[error("node `{node}` is unusable ({state}): {why}")]
    NodeFailed {
        /// Which.
        node: String,
        /// Its state.
        state: String,
        /// What its start task left on its standard error, or Azure's message.
        why: String,
    },
}

impl Tutorial {
    /// Runs the tutorial and reports to `out`; cleans up even when it fails half way.
    pub(crate) async fn run(&self, out: &mut impl Write) -> Result<(), TutorialError> {
        let started = now();
        writeln!(out, "Sample start: {}\n", time_of_day())?;
        self.delete_job_and_pool().await?;
        let worked = self.work(out).await;
        let cleaned = self.clean_up(out).await;
        let results = worked?;
        cleaned?;
        writeln!(out, "\nSample end: {}", time_of_day())?;
        writeln!(out, "Elapsed time: {}", clock(now() - started))?;
        for (name, content) in results {
            let words: Vec<&str> = content.lines().take_while(|line| is_result(line)).collect();
            writeln!(out, "\n{name}")?;
            for line in words {
                writeln!(out, "  {line}")?;
            }
        }
        Ok(())
    }

    async fn work(&self, out: &mut impl Write) -> Result<Vec<(String, String)>, TutorialError> {
        // 1. Containers for the program, its input and its output.
        for container in [APPLICATION, INPUT, OUTPUT] {
            once_free(|| async { self.blobs.create_container(container).await.map(drop) }).await?;
        }

        // 2. Upload the program and the input.
        let (name, content) = PROGRAM;
        let program = self.upload(out, APPLICATION, name, content).await?;
        let mut inputs = Vec::new();
        for (name, content) in TEXTS {
            inputs.push(self.upload(out, INPUT, name, content).await?);
        }

        // 3. A pool whose nodes have the program.
        writeln!(out, "Creating pool [{POOL}]...")?;
        self.create_pool(program).await?;

        // 4. A job on that pool.
        writeln!(out, "Creating job [{JOB}]...")?;
        let job = NewJob::on_pool(JOB, POOL);
        once_free(|| self.batch.add_job(&job)).await?;

        // 5. A task for each input file.
        writeln!(out, "Adding {} tasks to job [{JOB}]...", inputs.len())?;
        self.add_tasks(&inputs).await?;

        // 6. Wait for the tasks.
        writeln!(
            out,
            "Monitoring all tasks for 'Completed' state, timeout in {}...",
            clock(TIMEOUT)
        )?;
        self.wait_for_tasks(inputs.len()).await?;
        writeln!(
            out,
            "  Success! All tasks reached the 'Completed' state within the specified timeout \
             period."
        )?;

        // 7. Download what they uploaded.
        self.download(out).await
    }

    /// Uploads a file; answers with a URL that lets a node read it.
    async fn upload(
        &self,
        out: &mut impl Write,
        container: &str,
        name: &str,
        content: &'static str,
    ) -> Result<ResourceFile, TutorialError> {
        writeln!(out, "Uploading file {name} to container [{container}]...")?;
        self.blobs.put_blob(container, name, content).await?;
        let http_url = self.blobs.blob_sas_url(container, name, &Permissions::READ, 2 * HOUR)?;
        Ok(ResourceFile { http_url, file_path: name.to_owned() })
    }

    async fn create_pool(&self, program: ResourceFile) -> Result<(), TutorialError> {
        let images = self.batch.supported_images().all().await?;
        let image = images
            .iter()
            .find(|image| image.os_type == "linux" && image.verification_type == "verified")
            .ok_or(TutorialError::NoImage)?;
        let mut pool = NewPool::new(POOL, image, NODES);
        pool.task_slots_per_node = TASKS_AT_ONCE;
        pool.start_task = Some(StartTask {
            command_line: shell("cp -p $AZ_BATCH_TASK_WORKING_DIR/* $AZ_BATCH_NODE_SHARED_DIR"),
            resource_files: vec![program],
            user_identity: Some(UserIdentity::admin()),
            wait_for_success: true,
            ..StartTask::default()
        });
        Ok(once_free(|| self.batch.add_pool(&pool)).await?)
    }

    async fn add_tasks(&self, inputs: &[ResourceFile]) -> Result<(), TutorialError> {
        let mut tasks = Vec::new();
        for (index, input) in inputs.iter().enumerate() {
            let result = input.file_path.replace(".txt", "_OUTPUT.txt");
            let url = self.blobs.blob_sas_url(OUTPUT, &result, &Permissions::WRITE, 2 * HOUR)?;
            let command = format!(
                "sh $AZ_BATCH_NODE_SHARED_DIR/task.sh {} {WORDS} \"{url}\"",
                input.file_path
            );
            let mut task = NewTask::new(format!("topNtask{index}"), shell(&command));
            task.resource_files.push(input.clone());
            tasks.push(task);
        }
        for added in self.batch.add_tasks(JOB, &tasks).await? {
            if let Some(refused) = added.error {
                return Err(TutorialError::NotAdded { task: added.task_id, code: refused.code });
            }
        }
        Ok(())
    }

    async fn wait_for_tasks(&self, n_tasks: usize) -> Result<(), TutorialError> {
        let style = ProgressStyle::with_template("  [{bar:40}] {pos}/{len} tasks  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(u64::try_from(n_tasks).unwrap_or(0)).with_style(style);
        let deadline = now() + TIMEOUT;
        loop {
            let tasks = self.batch.tasks(JOB).all().await?;
            let n_completed = tasks.iter().filter(|task| task.state == "completed").count();
            bar.set_position(u64::try_from(n_completed).unwrap_or(0));
            if n_completed >= n_tasks {
                bar.finish_and_clear();
                return self.require_success(&tasks).await;
            }
            self.require_usable_nodes().await?;
            if now() > deadline {
                let late: Vec<_> = tasks.iter().filter(|task| task.state != "completed").collect();
                let names: Vec<_> = late.iter().map(|task| task.id.as_str()).collect();
                return Err(TutorialError::TimedOut(names.join(", ")));
            }
            bar.set_message(tasks.first().map(|task| task.state.clone()).unwrap_or_default());
            pause(POLL).await;
        }
    }

    async fn require_success(&self, tasks: &[Task]) -> Result<(), TutorialError> {
        for task in tasks {
            let info = task.execution_info.clone().unwrap_or_default();
            if info.exit_code == Some(0) {
                continue;
            }
            let said = self.batch.task_file(JOB, &task.id, "stderr.txt").await;
            let why = match (info.failure_info, said) {
                (_, Ok(text)) if !text.is_empty() => String::from_utf8_lossy(&text).into_owned(),
                (Some(failure), _) => failure.message,
                (None, _) => format!("exit code {:?}", info.exit_code),
            };
            return Err(TutorialError::TaskFailed { task: task.id.clone(), why });
        }
        Ok(())
    }

    /// A pool whose start task fails would keep the tasks waiting for ever.
    async fn require_usable_nodes(&self) -> Result<(), TutorialError> {
        for node in self.batch.nodes(POOL).all().await? {
            if !matches!(node.state.as_str(), "starttaskfailed" | "unusable") {
                continue;
            }
            let said = self.batch.node_file(POOL, &node.id, "startup/stderr.txt").await;
            let why = match (node.errors.first(), said) {
                (_, Ok(text)) if !text.is_empty() => String::from_utf8_lossy(&text).into_owned(),
                (Some(error), _) => error.message.clone(),
                (None, _) => "its start task failed".to_owned(),
            };
            return Err(TutorialError::NodeFailed { node: node.id, state: node.state, why });
        }
        Ok(())
    }

    async fn download(&self, out: &mut impl Write) -> Result<Vec<(String, String)>, TutorialError> {
        writeln!(out, "Downloading all files from container [{OUTPUT}]...")?;
        let mut results = Vec::new();
        for blob in self.blobs.list_blobs(OUTPUT, "").await? {
            let content = self.blobs.get_blob(OUTPUT, &blob.name).await?;
            let name = Path::new(&blob.name).file_name().unwrap_or_default();
            let path = self.results.join(name);
            std::fs::write(&path, &content)
                .map_err(|cause| TutorialError::Result { path: path.clone(), cause })?;
            let (name, path) = (&blob.name, path.display());
            writeln!(out, "  Downloaded blob [{name}] from container [{OUTPUT}] to {path}")?;
            results.push((name.clone(), String::from_utf8_lossy(&content).into_owned()));
        }
        writeln!(out, "  Download complete!")?;
        Ok(results)
    }

    /// Removes what was made; what is not there need not be removed.
    async fn clean_up(&self, out: &mut impl Write) -> Result<(), TutorialError> {
        writeln!(out, "Deleting containers...")?;
        for container in [APPLICATION, INPUT, OUTPUT] {
            ignore_absent(self.blobs.delete_container(container).await)?;
        }
        if self.clean == Clean::Everything {
            writeln!(out, "Deleting job and pool...")?;
            self.delete_job_and_pool().await?;
        }
        Ok(())
    }

    /// Also what an earlier run kept.
    async fn delete_job_and_pool(&self) -> Result<(), ClientError> {
        ignore_absent(self.batch.delete_job(JOB).await)?;
        ignore_absent(self.batch.delete_pool(POOL).await)
    }
}

/// Makes something whose name may still belong to what an earlier run deletes.
async fn once_free<F>(make: impl Fn() -> F) -> Result<(), ClientError>
where
    F: Future<Output = Result<(), ClientError>>,
{
    let deadline = now() + NAME_TIMEOUT;
    loop {
        match make().await {
            Err(error) if is_being_deleted(&error) && now() < deadline => pause(POLL).await,
            result => return result,
        }
    }
}

fn is_being_deleted(error: &ClientError) -> bool {
    error.service().is_some_and(|refusal| refusal.code.ends_with("BeingDeleted"))
}

/// The command line for commands that need a shell: Batch itself starts none.
fn shell(commands: &str) -> String {
    format!("/bin/sh -c 'set -e; {commands}'")
}

fn ignore_absent(result: Result<(), ClientError>) -> Result<(), ClientError> {
    match result {
        Err(error) if error.is_not_found() || is_being_deleted(&error) => Ok(()),
        other => other,
    }
}

/// A result begins with lines of a word and its count.
fn is_result(line: &str) -> bool {
    line.split_once(' ').is_some_and(|(_, count)| count.parse::<u32>().is_ok())
}

/// `0:06:02`, with tenths below a minute.
fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let whole = format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if seconds < 60 { format!("{whole}.{}", duration.subsec_millis() / 100) } else { whole }
}

/// `2016-05-20 22:47:10`, in UTC.
fn time_of_day() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[expect(clippy::disallowed_methods, reason = "a tutorial is a program of its own")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "a tutorial is a program of its own")]
async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}
