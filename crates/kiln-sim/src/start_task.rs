//! The start task of a node: what comes next is decided as on real nodes, what happens by chance.

use kiln_clock::{now, pause};
use kiln_domain::batch::command::StartTaskSpec;
use kiln_domain::batch::start_task::{Effect, Fact, State, begin, step};
use kiln_wire::node::{Outcome, Report, StartTaskInfo};
use tokio::sync::mpsc;

use crate::world::World;

/// Runs the start task to its end.
pub(crate) async fn run(
    world: &World,
    boot: u32,
    spec: &StartTaskSpec,
    reports: &mpsc::Sender<Report>,
) {
    let tell = |info| async move { drop(reports.send(Report::StartTask { boot, info }).await) };
    let (mut state, mut effect) = begin();
    let mut ended = None;
    loop {
        let fact = match effect {
            Effect::Run => {
                let (State::Running { retry_count } | State::Pausing { retry_count }) = state
                else {
                    return;
                };
                let began = StartTaskInfo::begun(retry_count, now());
                tell(began.clone()).await;
                pause(world.chance.ms(1, 2_000)).await;
                let fails = world.faults.happens(&world.chance, 30.0);
                let outcome = Outcome::Exited { exit_code: i32::from(fails) };
                ended = Some(StartTaskInfo {
                    is_running: false,
                    ended_at: Some(now()),
                    exit_code: outcome.exit_code(),
                    failure: outcome.failure(),
                    ..began
                });
                Fact::Ended(outcome)
            }
            Effect::Pause(length) => {
                if let Some(info) = ended.take() {
                    tell(info).await;
                }
                pause(length).await;
                Fact::PauseOver
            }
            Effect::Finish => {
                if let Some(info) = ended.take() {
                    tell(StartTaskInfo { is_final: true, ..info }).await;
                }
                return;
            }
        };
        (state, effect) = match step(state, fact, spec.max_task_retry_count) {
            Ok(next) => next,
            Err(impossible) => {
                return world.breaks(format!("a start task lost track: {impossible}"));
            }
        };
    }
}
