//! What may change of a job, and when.

use super::auto_pool;
use super::job::{self, Job, JobFact, JobLife, JobSpec, JobState, OnAllTasksComplete, PoolInfo};
use crate::id;
use crate::rejection::Rejection;
use crate::time::Timestamp;

/// What becomes of a job whose client wants `new` in the place of `old`.
///
/// # Errors
/// When the job takes no changes where it stands, or this one at no time or not now.
pub fn change(
    job: &Job,
    old: &JobSpec,
    new: &JobSpec,
    now: Timestamp,
) -> Result<JobLife, Rejection> {
    let is_moved = !is_same_pool(&old.pool_info, &new.pool_info);
    let pool_id = new.pool_info.pool_id.as_ref().filter(|_| is_moved);
    let pool_id = pool_id.unwrap_or(&job.life.pool_id).clone();
    let life = job::step(job, JobFact::Updated { pool_id }, now)?;
    job::check_numbers(new)?;
    if old.on_all_tasks_complete == OnAllTasksComplete::TerminateJob
        && new.on_all_tasks_complete == OnAllTasksComplete::NoAction
    {
        let reason = "A job that ends with its tasks can not be made to go on without them";
        return Err(Rejection::property("onAllTasksComplete", "noaction", reason));
    }
    auto_pool::check(&new.pool_info)?;
    auto_pool::check_change(&old.pool_info, &new.pool_info)?;
    if is_moved && job.life.state != JobState::Disabled {
        let state = job.life.state.word().to_owned();
        return Err(Rejection::JobNotDisabled { job: job.id.clone(), state });
    }
    Ok(life)
}

fn is_same_pool(old: &PoolInfo, new: &PoolInfo) -> bool {
    let id = |info: &PoolInfo| info.pool_id.as_deref().map(id::folded);
    id(old) == id(new)
}

#[cfg(test)]
mod tests {
    use super::change;
    use crate::batch::job::{DisableTasks, Job, JobFact, JobLife, JobSpec, step};
    use crate::time::Timestamp;

    /// A job of pool `p` that ends with its tasks, as the client now wants it.
    fn check(facts: &[JobFact], new: &str, expected: &str) {
        let spec = |json: &str| serde_json::from_str::<JobSpec>(json).expect("a specification");
        let old = r#"{"id":"j","poolInfo":{"poolId":"p"},"onAllTasksComplete":"terminatejob"}"#;
        let life = JobLife::new("p".to_owned(), Timestamp(0));
        let (account, id) = ("acct".to_owned(), "j".to_owned());
        let mut job =
            Job { key: 1, account, id, document: old.to_owned(), schedule_key: None, life };
        for fact in facts {
            job.life = step(&job, fact.clone(), Timestamp(1)).expect("the way is open");
        }
        let said = match change(&job, &spec(old), &spec(new), Timestamp(2)) {
            Ok(life) => {
                assert_eq!((life.state, life.modified_at), (job.life.state, Timestamp(2)));
                life.pool_id
            }
            Err(rejection) => rejection.to_string(),
        };
        assert_eq!(said, expected, "{new}");
    }

    #[test]
    fn what_may_change_of_a_job_and_when() {
        let active: &[JobFact] = &[];
        let disabling = &[JobFact::Disabled(DisableTasks::Wait)];
        let disabled = &[JobFact::Disabled(DisableTasks::Wait), JobFact::Settled];
        let new = |pool: &str, more: &str| {
            format!(
                r#"{{"id":"j","poolInfo":{{"poolId":"{pool}"}}, {more}
                    "onAllTasksComplete":"terminatejob"}}"#
            )
        };
        check(active, &new("p", ""), "p");
        check(active, &new("P", r#""priority":5,"#), "p");
        check(active, &new("q", ""), "job `j` is active, not disabled");
        check(disabling, &new("q", ""), "job `j` is disabling, not disabled");
        check(disabled, &new("q", ""), "q");
        check(
            active,
            &new("p", r#""priority":1001,"#),
            "property `priority` cannot be `1001`: It must lie within -1000 and 1000",
        );
        check(
            active,
            &new("p", r#""maxParallelTasks":0,"#),
            "property `maxParallelTasks` cannot be `0`: It must be greater than 0, or -1 for no \
             limit",
        );
        check(
            disabled,
            r#"{"id":"j","poolInfo":{},"onAllTasksComplete":"terminatejob"}"#,
            "property `poolInfo.poolId` is missing",
        );
        check(
            active,
            r#"{"id":"j","poolInfo":{"poolId":"p"}}"#,
            "property `onAllTasksComplete` cannot be `noaction`: A job that ends with its tasks \
             can not be made to go on without them",
        );
    }

    #[test]
    fn a_job_that_ends_changes_no_more() {
        let same = r#"{"id":"j","poolInfo":{"poolId":"p"},"onAllTasksComplete":"terminatejob"}"#;
        let end = JobFact::Terminated { reason: "enough".to_owned(), is_forced: false };
        check(std::slice::from_ref(&end), same, "job `j` is being terminated");
        check(&[end, JobFact::Settled], same, "job `j` is completed");
        check(&[JobFact::Deleted { is_forced: false }], same, "job `j` is being deleted");
    }
}
