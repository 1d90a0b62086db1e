//! One attempt of one task on one node.
//!
//! Decides; never acts. [`step`] takes what happened and answers with the next state and
//! the effects that the node must carry out. The start task's runs are attempts too.

use serde::{Deserialize, Serialize};

use super::task::{FailureInfo, Outcome};

/// What an attempt is a run of.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum AttemptKind {
    /// A task.
    #[default]
    Task,
    /// The preparation of a node for a job.
    Preparation,
    /// What a job leaves behind on a node is cleared away.
    Release,
    /// The coordination command of one instance of a task; it lasts as long as the task runs.
    Subtask {
        /// Counts the instances; the primary is 0.
        number: u32,
    },
}

/// How an attempt stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Its directory is made and its files are fetched.
    Preparing,
    /// Its process is asked for.
    Spawning,
    /// Its process is asked for, but no longer wanted.
    Unwanted(Outcome),
    /// Its process runs.
    Running,
    /// Its process, a coordination command, did what it should; what it started stays.
    Coordinated,
    /// It is decided how it ends; what is left of it is being killed.
    Ending(Outcome),
    /// Its process ended by itself, and its output files are uploaded.
    Uploading {
        /// Its exit code.
        exit_code: i32,
    },
    /// It ended, and nothing of it runs.
    Done,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Directory and files are there.
    Prepared,
    /// Directory or files can not be had.
    PrepareFailed(FailureInfo),
    /// The process runs.
    Spawned,
    /// The process can not be started.
    SpawnFailed(FailureInfo),
    /// The process ended.
    Exited {
        /// The exit code; 128 + signal when a signal ended it.
        exit_code: i32,
    },
    /// The process ended because the program could not be started in its container.
    NeverBegan(FailureInfo),
    /// The process, a coordination command, ended well.
    Coordinated,
    /// Its time is over.
    Deadline,
    /// It took more of its node than it may.
    Exceeded(FailureInfo),
    /// Its end is asked for.
    Stop,
    /// No process of it is left.
    Emptied,
    /// Its output files are uploaded, as far as there are any.
    Uploaded,
    /// Not all of its output files could be uploaded.
    UploadFailed(FailureInfo),
}

/// What the node must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Stop making the directory and fetching files.
    AbandonPreparation,
    /// Start the process.
    Spawn,
    /// Say that the coordination command ended well.
    Announce,
    /// Kill every process of the attempt, and say [`Fact::Emptied`] once none is left.
    Empty,
    /// Upload its output files.
    Upload {
        /// The exit code, on which it depends which ones.
        exit_code: i32,
    },
    /// Stop uploading.
    AbandonUpload,
    /// Say how it ended.
    Report(Outcome),
}

/// A fact that can not happen in a state: the caller lost track.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an attempt in state `{state:?}` can not see `{fact:?}`")]
pub struct Impossible {
    /// The state.
    pub state: Box<State>,
    /// The fact.
    pub fact: Box<Fact>,
}

/// The next state and what is to be done.
type Next = (State, Vec<Effect>);

/// Decides what follows from `fact`.
pub fn step(state: State, fact: Fact) -> Result<Next, Impossible> {
    let next = match &state {
        State::Preparing => while_preparing(&fact),
        State::Spawning => while_spawning(&fact),
        State::Unwanted(end) => while_unwanted(end, &fact),
        State::Running => while_running(&fact),
        State::Coordinated => while_coordinated(&fact),
        State::Ending(end) => while_ending(end, &fact),
        State::Uploading { exit_code } => while_uploading(*exit_code, &fact),
        State::Done => when_done(&fact),
    };
    next.ok_or_else(|| Impossible { state: Box::new(state), fact: Box::new(fact) })
}

fn while_preparing(fact: &Fact) -> Option<Next> {
    use {Effect as E, Fact as F, State as S};
    match fact {
        F::Prepared => Some((S::Spawning, vec![E::Spawn])),
        F::PrepareFailed(failure) => Some(not_started(failure)),
        F::Deadline => Some((S::Done, vec![E::AbandonPreparation, E::Report(Outcome::TimedOut)])),
        F::Exceeded(failure) => {
            let end = Outcome::Exceeded { failure: failure.clone() };
            Some((S::Done, vec![E::AbandonPreparation, E::Report(end)]))
        }
        F::Stop => Some((S::Done, vec![E::AbandonPreparation, E::Report(Outcome::Stopped)])),
        F::Spawned
        | F::SpawnFailed(_)
        | F::Exited { .. }
        | F::NeverBegan(_)
        | F::Coordinated
        | F::Emptied
        | F::Uploaded
        | F::UploadFailed(_) => None,
    }
}

fn while_spawning(fact: &Fact) -> Option<Next> {
    use {Fact as F, State as S};
    match fact {
        F::Spawned => Some((S::Running, vec![])),
        F::SpawnFailed(failure) => Some(not_started(failure)),
        F::Deadline => Some((S::Unwanted(Outcome::TimedOut), vec![])),
        F::Exceeded(failure) => {
            Some((S::Unwanted(Outcome::Exceeded { failure: failure.clone() }), vec![]))
        }
        F::Stop => Some((S::Unwanted(Outcome::Stopped), vec![])),
        F::Prepared
        | F::PrepareFailed(_)
        | F::Exited { .. }
        | F::NeverBegan(_)
        | F::Coordinated
        | F::Emptied
        | F::Uploaded
        | F::UploadFailed(_) => None,
    }
}

fn while_unwanted(end: &Outcome, fact: &Fact) -> Option<Next> {
    use {Effect as E, Fact as F, State as S};
    match fact {
        F::Spawned => Some((S::Ending(end.clone()), vec![E::Empty])),
        F::SpawnFailed(_) => Some((S::Done, vec![E::Report(end.clone())])),
        F::Deadline | F::Exceeded(_) | F::Stop => Some((S::Unwanted(end.clone()), vec![])),
        F::Prepared
        | F::PrepareFailed(_)
        | F::Exited { .. }
        | F::NeverBegan(_)
        | F::Coordinated
        | F::Emptied
        | F::Uploaded
        | F::UploadFailed(_) => None,
    }
}

fn while_running(fact: &Fact) -> Option<Next> {
    use {Effect as E, Fact as F, State as S};
    let end = match fact {
        F::Coordinated => return Some((S::Coordinated, vec![E::Announce])),
        F::Exited { exit_code } => Outcome::Exited { exit_code: *exit_code },
        F::NeverBegan(failure) => Outcome::NotStarted { failure: failure.clone() },
        F::Deadline => Outcome::TimedOut,
        F::Exceeded(failure) => Outcome::Exceeded { failure: failure.clone() },
        F::Stop => Outcome::Stopped,
        F::Prepared
        | F::PrepareFailed(_)
        | F::Spawned
        | F::SpawnFailed(_)
        | F::Emptied
        | F::Uploaded
        | F::UploadFailed(_) => return None,
    };
    Some((S::Ending(end), vec![E::Empty]))
}

fn while_coordinated(fact: &Fact) -> Option<Next> {
    use {Effect as E, Fact as F, State as S};
    match fact {
        F::Deadline => Some((S::Ending(Outcome::TimedOut), vec![E::Empty])),
        F::Exceeded(failure) => {
            let end = Outcome::Exceeded { failure: failure.clone() };
            Some((S::Ending(end), vec![E::Empty]))
        }
        F::Stop => Some((S::Ending(Outcome::Stopped), vec![E::Empty])),
        F::Prepared
        | F::PrepareFailed(_)
        | F::Spawned
        | F::SpawnFailed(_)
        | F::Exited { .. }
        | F::NeverBegan(_)
        | F::Coordinated
        | F::Emptied
        | F::Uploaded
        | F::UploadFailed(_) => None,
    }
}

fn while_ending(end: &Outcome, fact: &Fact) -> Option<Next> {
    use {Effect as E, Fact as F, State as S};
    match (fact, end) {
        (
            F::Exited { .. }
            | F::NeverBegan(_)
            | F::Coordinated
            | F::Deadline
            | F::Exceeded(_)
            | F::Stop,
            end,
        ) => Some((S::Ending(end.clone()), vec![])),
        (F::Emptied, Outcome::Exited { exit_code }) => {
            let exit_code = *exit_code;
            Some((S::Uploading { exit_code }, vec![E::Upload { exit_code }]))
        }
        (F::Emptied, end) => Some((S::Done, vec![E::Report(end.clone())])),
        (
            F::Prepared
            | F::PrepareFailed(_)
            | F::Spawned
            | F::SpawnFailed(_)
            | F::Uploaded
            | F::UploadFailed(_),
            _,
        ) => None,
    }
}

fn while_uploading(exit_code: i32, fact: &Fact) -> Option<Next> {
    use {Effect as E, Fact as F, State as S};
    let reported = |end| Some((S::Done, vec![E::Report(end)]));
    match fact {
        F::Uploaded => reported(Outcome::Exited { exit_code }),
        F::UploadFailed(failure) => {
            reported(Outcome::UploadFailed { exit_code, failure: failure.clone() })
        }
        // Its time, and its share of the node, were for its process.
        F::Deadline | F::Exceeded(_) => Some((S::Uploading { exit_code }, vec![])),
        F::Stop => Some((S::Done, vec![E::AbandonUpload, E::Report(Outcome::Stopped)])),
        F::Prepared
        | F::PrepareFailed(_)
        | F::Spawned
        | F::SpawnFailed(_)
        | F::Exited { .. }
        | F::NeverBegan(_)
        | F::Coordinated
        | F::Emptied => None,
    }
}

fn when_done(fact: &Fact) -> Option<Next> {
    use Fact as F;
    match fact {
        F::Deadline | F::Exceeded(_) | F::Stop => Some((State::Done, vec![])),
        F::Prepared
        | F::PrepareFailed(_)
        | F::Spawned
        | F::SpawnFailed(_)
        | F::Exited { .. }
        | F::NeverBegan(_)
        | F::Coordinated
        | F::Emptied
        | F::Uploaded
        | F::UploadFailed(_) => None,
    }
}

fn not_started(failure: &FailureInfo) -> Next {
    (State::Done, vec![Effect::Report(Outcome::NotStarted { failure: failure.clone() })])
}

#[cfg(test)]
mod tests {
    use super::{Fact, State, step};
    use crate::batch::task::{FailureInfo, Outcome};

    fn failure() -> FailureInfo {
        FailureInfo::user_error("BlobNotFound", "")
    }

    fn fact(name: &str) -> Fact {
        match name {
            "prepared" => Fact::Prepared,
            "no-files" => Fact::PrepareFailed(failure()),
            "spawned" => Fact::Spawned,
            "no-program" => Fact::SpawnFailed(failure()),
            "exit0" => Fact::Exited { exit_code: 0 },
            "exit3" => Fact::Exited { exit_code: 3 },
            "never-began" => Fact::NeverBegan(failure()),
            "coordinated" => Fact::Coordinated,
            "deadline" => Fact::Deadline,
            "exceeded" => Fact::Exceeded(FailureInfo::disk_full(1)),
            "stop" => Fact::Stop,
            "emptied" => Fact::Emptied,
            "uploaded" => Fact::Uploaded,
            "no-container" => Fact::UploadFailed(FailureInfo::user_error("NoContainer", "")),
            name => panic!("no fact `{name}`"),
        }
    }

    /// Walks through `facts` and checks the names of all effects.
    #[track_caller]
    fn check(facts: &str, expected: &str) {
        let mut state = State::Preparing;
        let mut effects = Vec::new();
        for name in facts.split(' ') {
            match step(state, fact(name)) {
                Ok((next, more)) => {
                    state = next;
                    effects.extend(more.iter().map(|effect| match effect {
                        super::Effect::AbandonPreparation => "abandon".to_owned(),
                        super::Effect::Spawn => "spawn".to_owned(),
                        super::Effect::Announce => "announce".to_owned(),
                        super::Effect::Empty => "empty".to_owned(),
                        super::Effect::Upload { exit_code } => format!("upload {exit_code}"),
                        super::Effect::AbandonUpload => "abandon upload".to_owned(),
                        super::Effect::Report(Outcome::UploadFailed { exit_code, failure }) => {
                            format!("report {exit_code} {}", failure.code)
                        }
                        super::Effect::Report(Outcome::Exited { exit_code }) => {
                            format!("report {exit_code}")
                        }
                        super::Effect::Report(
                            Outcome::NotStarted { failure } | Outcome::Exceeded { failure },
                        ) => {
                            format!("report {}", failure.code)
                        }
                        super::Effect::Report(Outcome::TimedOut) => "report timed out".to_owned(),
                        super::Effect::Report(Outcome::Stopped) => "report stopped".to_owned(),
                    }));
                }
                Err(impossible) => {
                    effects.push(format!("impossible {:?}", impossible.fact));
                    break;
                }
            }
        }
        assert_eq!(effects.join(", "), expected, "{facts}");
    }

    #[test]
    fn lives_of_an_attempt() {
        check("prepared spawned exit0 emptied uploaded", "spawn, empty, upload 0, report 0");
        check("prepared spawned exit3 stop emptied uploaded", "spawn, empty, upload 3, report 3");
        check("no-files", "report BlobNotFound");
        check("prepared no-program", "spawn, report BlobNotFound");
        check("prepared spawned never-began emptied", "spawn, empty, report BlobNotFound");
        check("prepared spawned stop never-began emptied", "spawn, empty, report stopped");
        check("stop", "abandon, report stopped");
        check("deadline stop", "abandon, report timed out");
        check("prepared stop spawned exit3 emptied", "spawn, empty, report stopped");
        check("prepared deadline stop no-program", "spawn, report timed out");
        check("prepared spawned deadline exit3 emptied stop", "spawn, empty, report timed out");
        check("prepared spawned stop deadline emptied", "spawn, empty, report stopped");
        check("prepared spawned exceeded stop exit3 emptied", "spawn, empty, report DiskFull");
        check("exceeded", "abandon, report DiskFull");
        check("prepared exceeded spawned emptied", "spawn, empty, report DiskFull");
        check(
            "prepared spawned coordinated exceeded emptied",
            "spawn, announce, empty, report DiskFull",
        );
    }

    #[test]
    fn only_a_process_that_ended_by_itself_uploads() {
        check(
            "prepared spawned exit0 emptied exceeded uploaded",
            "spawn, empty, upload 0, report 0",
        );
        let upload = "prepared spawned exit3 emptied";
        check(&format!("{upload} no-container"), "spawn, empty, upload 3, report 3 NoContainer");
        check(&format!("{upload} deadline uploaded"), "spawn, empty, upload 3, report 3");
        check(&format!("{upload} stop"), "spawn, empty, upload 3, abandon upload, report stopped");
        check("prepared spawned stop exit0 emptied", "spawn, empty, report stopped");
    }

    #[test]
    fn what_a_coordination_command_started_stays_until_it_is_stopped() {
        let coordinated = "prepared spawned coordinated";
        let ends = |how: &str| format!("spawn, announce, empty, report {how}");
        check(&format!("{coordinated} stop deadline emptied"), &ends("stopped"));
        check(&format!("{coordinated} deadline stop emptied"), &ends("timed out"));
        check("prepared spawned stop coordinated emptied", "spawn, empty, report stopped");
        check(
            &format!("{coordinated} exit3"),
            "spawn, announce, impossible Exited { exit_code: 3 }",
        );
    }

    #[test]
    fn what_can_not_happen() {
        check("uploaded", "impossible Uploaded");
        check("spawned", "impossible Spawned");
        check("prepared exit0", "spawn, impossible Exited { exit_code: 0 }");
        check("prepared spawned emptied", "spawn, impossible Emptied");
        check("stop emptied", "abandon, report stopped, impossible Emptied");
    }
}
