//! One attempt: what comes next is decided as on real nodes, what happens by chance.

use std::time::Duration;

use kiln_clock::{now, pause};
use kiln_domain::batch::attempt::{Effect, Fact, State, step};
use kiln_domain::batch::task::FailureInfo;
use kiln_wire::node::{AttemptKind, Outcome, Report, Run};
use tokio::sync::{mpsc, watch};

use crate::world::World;

/// Runs an attempt to its end.
pub(crate) async fn run(
    world: &World,
    run: &Run,
    mut stopped: watch::Receiver<bool>,
    reports: &mpsc::Sender<Report>,
) -> Outcome {
    let mut state = State::Preparing;
    let mut has_time = true;
    let mut is_stopped = false;
    let deadline = run.task.constraints.max_wall_clock_time.map(|time| time.to_std());
    let mut deadline = Box::pin(pause(deadline.unwrap_or(Duration::MAX)));
    loop {
        let Some((length, by_itself)) = next(world, run, &state) else {
            return Outcome::Stopped;
        };
        let fact = tokio::select! {
            biased;
            Ok(_) = stopped.wait_for(|it| *it), if !is_stopped => {
                is_stopped = true;
                Fact::Stop
            }
            () = &mut deadline, if has_time => {
                has_time = false;
                Fact::Deadline
            }
            () = pause(length) => by_itself,
        };
        let (after, effects) = match step(state, fact) {
            Ok(next) => next,
            Err(impossible) => {
                world.breaks(format!("an attempt lost track: {impossible}"));
                return Outcome::Stopped;
            }
        };
        state = after;
        for effect in effects {
            match effect {
                Effect::Report(outcome) => return outcome,
                Effect::Announce => {
                    let attempt = run.attempt.clone();
                    drop(reports.send(Report::Coordinated { attempt, at: now() }).await);
                }
                Effect::AbandonPreparation
                | Effect::Spawn
                | Effect::Empty
                | Effect::Upload { .. }
                | Effect::AbandonUpload => {}
            }
        }
    }
}

/// What happens by itself in a state, and after which time; `None` when it is over.
fn next(world: &World, run: &Run, state: &State) -> Option<(Duration, Fact)> {
    let chance = &world.chance;
    let failure = || FailureInfo::user_error("NotFound", "by chance");
    Some(match state {
        State::Preparing if chance.is(2.0) => (chance.ms(1, 500), Fact::PrepareFailed(failure())),
        State::Preparing => (chance.ms(1, 500), Fact::Prepared),
        State::Spawning | State::Unwanted(_) if chance.is(1.0) => {
            (chance.ms(1, 5), Fact::SpawnFailed(failure()))
        }
        State::Spawning | State::Unwanted(_) => (chance.ms(1, 5), Fact::Spawned),
        State::Running => {
            let length =
                if chance.is(20.0) { chance.ms(1_000, 40_000) } else { chance.ms(1, 1_000) };
            (length, ended(world, run))
        }
        State::Coordinated => (Duration::MAX, Fact::Emptied),
        State::Ending(_) => (chance.ms(1, 50), Fact::Emptied),
        State::Uploading { .. } if chance.is(2.0) => {
            (chance.ms(1, 300), Fact::UploadFailed(failure()))
        }
        State::Uploading { .. } => (chance.ms(1, 300), Fact::Uploaded),
        State::Done => return None,
    })
}

fn ended(world: &World, run: &Run) -> Fact {
    let fails = match run.attempt.kind {
        AttemptKind::Task => 20.0,
        AttemptKind::Preparation | AttemptKind::Release if world.faults.are_over() => 0.0,
        AttemptKind::Preparation | AttemptKind::Release => 10.0,
        AttemptKind::Subtask { .. } => 2.0,
    };
    if world.chance.is(fails) {
        let exit_code = i32::try_from(1 + world.chance.below(3)).unwrap_or(1);
        return Fact::Exited { exit_code };
    }
    match run.attempt.kind {
        AttemptKind::Subtask { .. } => Fact::Coordinated,
        AttemptKind::Task | AttemptKind::Preparation | AttemptKind::Release => {
            Fact::Exited { exit_code: 0 }
        }
    }
}
