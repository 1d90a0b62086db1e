//! Runs the start task of a node: carries out what [`kiln_domain::batch::start_task`]
//! decides, and reports each run.

use kiln_domain::batch::command::StartTaskSpec;
use kiln_domain::batch::start_task::{Effect, Fact, State, begin, step};
use kiln_domain::batch::task::Outcome;
use kiln_wire::node::{Report, StartTaskInfo};
use tokio::sync::{mpsc, watch};

use crate::boot::Boot;
use crate::clock;
use crate::command::{self, End};

/// Runs the start task to its end.
pub(crate) async fn run(
    boot: &Boot,
    spec: &StartTaskSpec,
    reports: &mpsc::Sender<Report>,
    stop: watch::Receiver<bool>,
) {
    let (mut state, mut effect) = begin();
    let mut info = None;
    loop {
        let fact = match effect {
            Effect::Run => {
                let retry_count = match state {
                    State::Running { retry_count } | State::Pausing { retry_count } => retry_count,
                    State::Done { .. } => return,
                };
                let started = StartTaskInfo::begun(retry_count, clock::now());
                tell(boot, reports, started.clone()).await;
                let End { outcome, container, .. } = match boot.start_task_command(spec) {
                    Ok(command) => command::run(boot, &command, stop.clone(), None).await,
                    Err(failure) => Outcome::NotStarted { failure }.into(),
                };
                info = Some(StartTaskInfo {
                    is_running: false,
                    ended_at: Some(clock::now()),
                    exit_code: outcome.exit_code(),
                    failure: outcome.failure(),
                    container,
                    ..started
                });
                Fact::Ended(outcome)
            }
            Effect::Pause(time) => {
                if let Some(info) = info.take() {
                    tell(boot, reports, info).await;
                }
                clock::sleep(time).await;
                Fact::PauseOver
            }
            Effect::Finish => {
                if let Some(info) = info.take() {
                    tell(boot, reports, StartTaskInfo { is_final: true, ..info }).await;
                }
                return;
            }
        };
        (state, effect) = match step(state, fact, spec.max_task_retry_count) {
            Ok(next) => next,
            Err(impossible) => {
                tracing::error!(%impossible, "a start task lost track");
                return;
            }
        };
    }
}

async fn tell(boot: &Boot, reports: &mpsc::Sender<Report>, info: StartTaskInfo) {
    // Nobody listens to a start task whose node ends.
    let _ended = reports.send(Report::StartTask { boot: boot.number, info }).await;
}
