//! Whatever happens to a job, in whatever order.

use proptest::prelude::*;

use super::job::{DisableTasks, Job, JobFact, JobLife, JobState, step};
use super::task::FailureInfo;
use crate::rejection::Rejection;
use crate::time::Timestamp;

fn any_fact() -> impl Strategy<Value = JobFact> {
    let how = prop_oneof![
        Just(DisableTasks::Requeue),
        Just(DisableTasks::Terminate),
        Just(DisableTasks::Wait)
    ];
    prop_oneof![
        2 => "[pq]".prop_map(|pool_id| JobFact::Updated { pool_id }),
        2 => how.prop_map(JobFact::Disabled),
        2 => Just(JobFact::Enabled),
        3 => Just(JobFact::Settled),
        1 => Just(JobFact::Unschedulable(FailureInfo::user_error("Unknown", "no pool"))),
        1 => any::<bool>().prop_map(|is_forced| {
            JobFact::Terminated { reason: "enough".to_owned(), is_forced }
        }),
        1 => any::<bool>().prop_map(|is_forced| JobFact::Deleted { is_forced }),
    ]
}

/// Where a job may go from `state`.
fn ways(state: JobState) -> &'static [JobState] {
    use JobState as S;
    match state {
        S::Active => &[S::Disabling, S::Terminating, S::Completed, S::Deleting],
        S::Disabling => &[S::Disabled, S::Terminating, S::Completed, S::Deleting],
        S::Disabled => &[S::Disabling, S::Enabling, S::Terminating, S::Completed, S::Deleting],
        S::Enabling => &[S::Active, S::Terminating, S::Completed, S::Deleting],
        S::Terminating => &[S::Completed, S::Deleting],
        S::Completed => &[S::Deleting],
        S::Deleting => &[],
    }
}

/// What holds of every job, however it came to be what it is.
fn check_life(life: &JobLife) {
    let is_over = life.ended_at.is_some();
    assert_eq!(life.disable_tasks.is_some(), life.state == JobState::Disabling);
    assert!(life.is_open() <= life.is_lasting());
    assert!(!is_over || matches!(life.state, JobState::Completed | JobState::Deleting));
    assert!(is_over || life.state != JobState::Completed);
    assert!(life.terminate_reason.is_none() || !life.is_lasting());
    assert!(life.scheduling_error.is_none() || is_over);
    assert!(!life.is_forced || !life.is_lasting());
    assert!(life.created_at <= life.state_at && life.state_at <= life.modified_at);
}

/// What holds between a job and what a fact made of it.
fn check_step(before: &JobLife, fact: &JobFact, after: &JobLife, now: Timestamp) {
    if after.state == before.state {
        assert_eq!((after.state_at, after.previous), (before.state_at, before.previous));
    } else {
        assert!(ways(before.state).contains(&after.state), "{before:?} {after:?}");
        assert_eq!((after.state_at, after.modified_at), (now, now));
        assert_eq!(after.previous, Some((before.state, before.state_at)));
    }
    if after != before {
        assert_eq!(after.modified_at, now, "a change is seen in the entity tag");
    }
    assert!(before.is_forced <= after.is_forced, "force is not taken back");
    assert_eq!(after.created_at, before.created_at);
    if let JobFact::Updated { pool_id } = fact {
        assert_eq!(&after.pool_id, pool_id);
    } else {
        assert_eq!(after.pool_id, before.pool_id);
    }
}

proptest! {
    // The regressions that it would keep are better written as tables of tests.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_walk_of_a_job_keeps_its_promises(facts in prop::collection::vec(any_fact(), 1..24)) {
        let mut job = Job {
            key: 1,
            account: "acct".to_owned(),
            id: "j".to_owned(),
            document: "{}".to_owned(),
            schedule_key: None,
            life: JobLife::new("p".to_owned(), Timestamp(0)),
        };
        for (second, fact) in (1..).zip(facts) {
            let now = Timestamp(second);
            match step(&job, fact.clone(), now) {
                Ok(life) => {
                    check_step(&job.life, &fact, &life, now);
                    check_life(&life);
                    job.life = life;
                }
                Err(rejection) => {
                    let is_rule = !matches!(fact, JobFact::Settled | JobFact::Unschedulable(_));
                    assert!(is_rule, "what follows by itself is never refused: {rejection}");
                    assert!(
                        !job.life.is_lasting()
                            || matches!(
                                rejection,
                                Rejection::JobNotActive { .. } | Rejection::JobNotDisabled { .. }
                            ),
                        "{rejection}"
                    );
                }
            }
        }
        // Whatever it was, it can be removed.
        let fact = JobFact::Deleted { is_forced: true };
        let life = step(&job, fact, Timestamp(99)).unwrap_or(job.life);
        assert_eq!((life.state, life.is_forced), (JobState::Deleting, true));
    }
}
