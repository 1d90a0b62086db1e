//! What the end of a task means for its job and for the tasks that depend on it.

use serde::{Deserialize, Serialize};

use super::job::OnTaskFailure;
use super::task::TaskLife;
use crate::rejection::Rejection;

/// Where a run failed, if it did not fail by its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FailedAt {
    /// Before its process ran.
    Start,
    /// When its output files were uploaded.
    Upload,
}

/// What the rules about ends read of a task's specification.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExitSpec {
    #[serde(default)]
    exit_conditions: ExitConditions,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ExitConditions {
    exit_codes: Vec<ExitCode>,
    exit_code_ranges: Vec<ExitCodeRange>,
    pre_processing_error: Option<ExitOptions>,
    file_upload_error: Option<ExitOptions>,
    default: Option<ExitOptions>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExitCode {
    code: i32,
    exit_options: ExitOptions,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExitCodeRange {
    start: i32,
    end: i32,
    exit_options: ExitOptions,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExitOptions {
    job_action: Option<JobAction>,
    dependency_action: Option<DependencyAction>,
}

/// What becomes of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobAction {
    /// It goes on.
    None,
    /// It is disabled; its running tasks run again once it is enabled.
    Disable,
    /// It ends.
    Terminate,
}

impl JobAction {
    fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Disable => "disable",
            Self::Terminate => "terminate",
        }
    }
}

/// What becomes of the tasks that depend on this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DependencyAction {
    /// They need not wait for it any more.
    Satisfy,
    /// They wait on.
    Block,
}

/// What the end of a task means for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consequence {
    /// For its job, if that acts on the ends of its tasks.
    pub job: JobAction,
    /// For the tasks that depend on it.
    pub dependents: DependencyAction,
}

impl ExitSpec {
    /// Whether a job lets its tasks say what their ends mean.
    ///
    /// # Errors
    /// When a condition asks for an action that the job never takes, or contains nothing.
    pub fn admit_to(&self, on_task_failure: OnTaskFailure) -> Result<(), Rejection> {
        let conditions = &self.exit_conditions;
        for ExitCodeRange { start, end, .. } in &conditions.exit_code_ranges {
            if start > end {
                let reason = "A range does not end before it begins";
                let value = format!("{start}..{end}");
                return Err(Rejection::property("exitConditions.exitCodeRanges", value, reason));
            }
        }
        match conditions.all_options().find_map(|options| options.job_action) {
            Some(action) if on_task_failure == OnTaskFailure::NoAction => {
                let reason = "The onTaskFailure of the job is noaction";
                Err(Rejection::property("exitOptions.jobAction", action.word(), reason))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// What it means that a task completed with this life.
    pub fn consequence(&self, life: &TaskLife) -> Consequence {
        let is_success = life.exit_code == Some(0);
        let options = self.exit_conditions.options_of(life);
        let (job, dependents) = if is_success && life.failure.is_none() {
            (JobAction::None, DependencyAction::Satisfy)
        } else {
            (JobAction::Terminate, DependencyAction::Block)
        };
        Consequence {
            job: options.job_action.unwrap_or(job),
            dependents: options.dependency_action.unwrap_or(dependents),
        }
    }
}

impl ExitConditions {
    fn all_options(&self) -> impl Iterator<Item = &ExitOptions> {
        let codes = self.exit_codes.iter().map(|it| &it.exit_options);
        let ranges = self.exit_code_ranges.iter().map(|it| &it.exit_options);
        let others = [&self.pre_processing_error, &self.file_upload_error, &self.default];
        codes.chain(ranges).chain(others.into_iter().flatten())
    }

    /// The options that are about this end: an exit code comes before all else.
    fn options_of(&self, life: &TaskLife) -> ExitOptions {
        if let Some(options) = life.exit_code.and_then(|code| self.options_of_code(code)) {
            return options;
        }
        if life.failure.is_none() {
            return ExitOptions::default();
        }
        let own = match life.failed_at {
            Some(FailedAt::Start) => self.pre_processing_error,
            Some(FailedAt::Upload) => self.file_upload_error,
            None => None,
        };
        own.or(self.default).unwrap_or_default()
    }

    fn options_of_code(&self, code: i32) -> Option<ExitOptions> {
        let exact = self.exit_codes.iter().find(|it| it.code == code).map(|it| it.exit_options);
        let range = || self.exit_code_ranges.iter().find(|it| (it.start..=it.end).contains(&code));
        exact.or_else(|| range().map(|it| it.exit_options))
    }
}

#[cfg(test)]
mod tests {
    use super::ExitSpec;
    use crate::batch::job::OnTaskFailure;
    use crate::batch::needs::TaskNeeds;
    use crate::batch::task::{FailureInfo, Outcome, Place, Task, TaskFact, TaskLife, step};
    use crate::batch::ties::Ties;
    use crate::time::Timestamp;

    const CONDITIONS: &str = r#"{"exitConditions":{
        "exitCodes":[{"code":3,"exitOptions":{"jobAction":"disable"}},
                     {"code":5,"exitOptions":{"dependencyAction":"satisfy"}}],
        "exitCodeRanges":[{"start":4,"end":6,"exitOptions":{"jobAction":"none","dependencyAction":"block"}}],
        "preProcessingError":{"dependencyAction":"satisfy"},
        "fileUploadError":{"jobAction":"none"},
        "default":{"jobAction":"none","dependencyAction":"satisfy"}}}"#;

    fn exited(exit_code: i32) -> TaskFact {
        TaskFact::Ended(Outcome::Exited { exit_code })
    }

    fn failure() -> FailureInfo {
        FailureInfo::user_error("BlobNotFound", "")
    }

    fn not_uploaded(exit_code: i32) -> TaskFact {
        TaskFact::Ended(Outcome::UploadFailed { exit_code, failure: failure() })
    }

    #[track_caller]
    fn check(conditions: &str, fact: TaskFact, expected: &str) {
        let mut task = Task {
            job_key: 1,
            id: "t".to_owned(),
            sequence: 1,
            needs: TaskNeeds::slots(1),
            ties: Ties::default(),
            n_unmet: 0,
            document: String::new(),
            life: TaskLife::new(0, Timestamp(0)),
        };
        let place = Place { pool_id: "p".to_owned(), node_id: "n".to_owned() };
        task.life = step(&task, TaskFact::Assigned(place), Timestamp(1)).expect("it may run");
        let life = step(&task, fact, Timestamp(2)).expect("it may end");
        let spec: ExitSpec = serde_json::from_str(conditions).expect("a specification");
        let consequence = spec.consequence(&life);
        assert_eq!(format!("{:?} {:?}", consequence.job, consequence.dependents), expected);
    }

    #[test]
    fn the_first_condition_that_speaks_of_an_end_counts() {
        check(CONDITIONS, exited(3), "Disable Block");
        check(CONDITIONS, exited(5), "Terminate Satisfy");
        check(CONDITIONS, exited(4), "None Block");
        check(CONDITIONS, exited(7), "None Satisfy");
        check(CONDITIONS, exited(0), "None Satisfy");
        let not_started = TaskFact::Ended(Outcome::NotStarted { failure: failure() });
        check(CONDITIONS, not_started, "Terminate Satisfy");
        check(CONDITIONS, not_uploaded(0), "None Block");
        check(CONDITIONS, not_uploaded(5), "Terminate Satisfy");
        check(CONDITIONS, TaskFact::Ended(Outcome::TimedOut), "None Satisfy");
        check(CONDITIONS, TaskFact::Terminated, "None Satisfy");
    }

    #[test]
    fn an_end_that_no_condition_speaks_of() {
        check("{}", exited(0), "None Satisfy");
        check("{}", exited(1), "Terminate Block");
        check("{}", not_uploaded(0), "Terminate Block");
        check("{}", TaskFact::Terminated, "Terminate Block");
        let of_zero = r#"{"exitConditions":{"exitCodes":[{"code":0,"exitOptions":
            {"dependencyAction":"block"}}],"default":{"jobAction":"disable"}}}"#;
        check(of_zero, exited(0), "None Block");
        check(of_zero, not_uploaded(1), "Disable Block");
    }

    #[test]
    fn a_job_that_takes_no_action_is_asked_for_none() {
        let spec = |json| serde_json::from_str::<ExitSpec>(json).expect("a specification");
        let acts = OnTaskFailure::PerformExitOptionsJobAction;
        assert!(spec(CONDITIONS).admit_to(acts).is_ok());
        assert!(spec(CONDITIONS).admit_to(OnTaskFailure::NoAction).is_err());
        let quiet = r#"{"exitConditions":{"default":{"dependencyAction":"satisfy"}}}"#;
        assert!(spec(quiet).admit_to(OnTaskFailure::NoAction).is_ok());
        let empty =
            r#"{"exitConditions":{"exitCodeRanges":[{"start":2,"end":1,"exitOptions":{}}]}}"#;
        assert!(spec(empty).admit_to(acts).is_err());
    }
}
