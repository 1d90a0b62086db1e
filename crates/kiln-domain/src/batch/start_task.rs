//! The runs of a node's start task: one attempt after the other until one succeeds.
//!
//! Decides; never acts. [`begin`] and [`step`] answer with the next state and the effect
//! that the node must carry out.

use std::time::Duration;

use super::task::Outcome;

/// Pause before the first retry, in milliseconds; doubled by each further one.
const PAUSE_MS: u64 = 100;
/// Longest pause before a retry, in milliseconds.
const PAUSE_MS_MAX: u64 = 10_000;

/// How the start task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A run is under way.
    Running {
        /// Runs before this one.
        retry_count: u32,
    },
    /// A run failed and the next one waits.
    Pausing {
        /// Runs before the next one.
        retry_count: u32,
    },
    /// No further run follows.
    Done {
        /// Whether the last run did what it should.
        is_success: bool,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A run ended.
    Ended(Outcome),
    /// The pause is over.
    PauseOver,
}

/// What the node must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Run the command.
    Run,
    /// Say [`Fact::PauseOver`] after this time.
    Pause(Duration),
    /// Nothing more.
    Finish,
}

/// A fact that can not happen in a state: the caller lost track.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a start task in state `{state:?}` can not see `{fact:?}`")]
pub struct Impossible {
    /// The state.
    pub state: State,
    /// The fact.
    pub fact: Fact,
}

/// The first run.
pub fn begin() -> (State, Effect) {
    (State::Running { retry_count: 0 }, Effect::Run)
}

/// Decides what follows from `fact`; a negative `retry_count_max` has no end.
pub fn step(state: State, fact: Fact, retry_count_max: i32) -> Result<(State, Effect), Impossible> {
    Ok(match (state, fact) {
        (State::Running { retry_count }, Fact::Ended(end)) => {
            if may_retry(&end, retry_count, retry_count_max) {
                let retry_count = retry_count.saturating_add(1);
                (State::Pausing { retry_count }, Effect::Pause(pause(retry_count)))
            } else {
                (
                    State::Done { is_success: matches!(end, Outcome::Exited { exit_code: 0 }) },
                    Effect::Finish,
                )
            }
        }
        (State::Pausing { retry_count }, Fact::PauseOver) => {
            (State::Running { retry_count }, Effect::Run)
        }
        (state @ (State::Pausing { .. } | State::Done { .. }), fact @ Fact::Ended(_))
        | (state @ (State::Running { .. } | State::Done { .. }), fact @ Fact::PauseOver) => {
            return Err(Impossible { state, fact });
        }
    })
}

/// Only a failed command is run again: what can not be started, or was stopped, is not.
fn may_retry(end: &Outcome, retry_count: u32, retry_count_max: i32) -> bool {
    match end {
        Outcome::Exited { exit_code: 0 }
        | Outcome::UploadFailed { .. }
        | Outcome::TimedOut
        | Outcome::Exceeded { .. }
        | Outcome::Stopped
        | Outcome::NotStarted { .. } => false,
        Outcome::Exited { .. } => {
            u32::try_from(retry_count_max).is_ok_and(|max| retry_count < max) || retry_count_max < 0
        }
    }
}

fn pause(retry_count: u32) -> Duration {
    let doublings = retry_count.saturating_sub(1).min(16);
    Duration::from_millis((PAUSE_MS << doublings).min(PAUSE_MS_MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Effect, Fact, Outcome, State, begin, step};

    /// Runs the start task with the exit codes given, as long as it goes on.
    #[track_caller]
    fn check(exit_codes: &[i32], retry_count_max: i32, expected_runs: usize, is_success: bool) {
        let (mut state, _) = begin();
        let mut n_runs = 0;
        for exit_code in exit_codes {
            n_runs += 1;
            let ended = Fact::Ended(Outcome::Exited { exit_code: *exit_code });
            let (next, effect) = step(state, ended, retry_count_max).expect("it runs");
            state = next;
            if effect == Effect::Finish {
                break;
            }
            state = step(state, Fact::PauseOver, retry_count_max).expect("it pauses").0;
        }
        assert_eq!((n_runs, state), (expected_runs, State::Done { is_success }));
    }

    #[test]
    fn retries_have_an_end() {
        check(&[0], 0, 1, true);
        check(&[1, 0], 0, 1, false);
        check(&[1, 0], 1, 2, true);
        check(&[1, 1, 1], 2, 3, false);
        check(&[1, 1, 1, 1, 1, 0], -1, 6, true);
    }

    #[test]
    fn pauses_grow() {
        let pause_of = |retry_count| {
            let state = State::Running { retry_count };
            let ended = Fact::Ended(Outcome::Exited { exit_code: 1 });
            step(state, ended, -1).expect("it runs").1
        };
        assert_eq!(pause_of(0), Effect::Pause(Duration::from_millis(100)));
        assert_eq!(pause_of(1), Effect::Pause(Duration::from_millis(200)));
        assert_eq!(pause_of(60), Effect::Pause(Duration::from_secs(10)));
    }

    #[test]
    fn what_is_stopped_is_not_run_again() {
        let state = State::Running { retry_count: 0 };
        let (state, effect) = step(state, Fact::Ended(Outcome::Stopped), -1).expect("it runs");
        assert_eq!((state, effect), (State::Done { is_success: false }, Effect::Finish));
        assert!(step(state, Fact::PauseOver, -1).is_err());
    }
}
