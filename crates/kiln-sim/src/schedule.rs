//! One run: what goes wrong in it, and what must be so at its end.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kiln_clock::pause;
use kiln_extents::Extents;
use tokio::task::JoinSet;

use crate::chance::Chance;
use crate::clock::FalseClock;
use crate::faults::{Faults, Lie};
use crate::life::{self, LifeError};
use crate::trace::Trace;
use crate::world::World;
use crate::{job_schedule, log, machines, model, script};

/// Jobs of a run.
const JOBS: usize = 2;
/// Time in which clients must have come to their ends.
const CLIENTS_WITHIN: Duration = Duration::from_secs(6 * 3600);
/// Time in which all must have settled once nothing goes wrong any more.
const SETTLED_WITHIN: Duration = Duration::from_secs(3600);
/// Time between two looks whether it has.
const LOOK_EACH: Duration = Duration::from_millis(500);
/// Time between two times that a client mends what it can.
const MENDED_EACH: u32 = 60;
/// Steps of a run at the most: what takes more runs for ever.
const STEPS_MAX: u64 = 3_000_000;

/// How a run is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// All its chance.
    pub seed: u64,
    /// Who lies, if anybody does.
    pub lie: Option<Lie>,
    /// Whether all that happens is kept as text.
    pub keeps_text: bool,
}

/// A run that came to its end.
#[derive(Debug)]
pub struct Outcome {
    /// The seed of the run.
    pub seed: u64,
    /// What was as it must not be, if anything was.
    pub broken: Option<String>,
    /// All that happened, as a number.
    pub hash: u64,
    /// All that happened, as text, if it was to be kept.
    pub lines: Vec<String>,
    /// States that were reached.
    pub reached: BTreeSet<String>,
    /// Commits of the server.
    pub n_commits: u64,
    /// Time that seemed to pass.
    pub length: Duration,
}

/// Why there was no run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The directory of the run can not be used.
    #[error("no directory for the run")]
    Directory(#[from] std::io::Error),
    /// The folder of blob bytes can not be used.
    #[error("no folder for the bytes of blobs")]
    Extents(#[from] kiln_extents::ExtentFailure),
}

/// Runs a schedule in a directory of its own below `place`.
///
/// # Errors
/// When the directory can not be made.
pub fn run(options: Options, place: &Path) -> Result<Outcome, RunError> {
    let directory = tempfile::Builder::new().prefix("kiln-sim").tempdir_in(place)?;
    let chance = Arc::new(Chance::new(options.seed));
    let clock = FalseClock::new(Arc::clone(&chance));
    let _in_place = kiln_clock::put_in_place(Arc::new(clock.clone()));
    let mut faults = Faults::drawn(&chance);
    faults.lie = options.lie;
    let extents = Extents::open(&directory.path().join("extents"))?;
    let world = Arc::new(World::new(
        (chance, clock.clone()),
        faults,
        (directory.path().to_owned(), extents),
        Trace::new(options.keeps_text),
    ));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .on_thread_park(move || clock.advance())
        .build()?;
    let _logs = log::listen(&world);
    let played = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(play(&world))));
    if played.is_err() {
        world.breaks("bug: the simulator panicked".to_owned());
    }
    world.end();
    drop(runtime);
    let trace = world.take_trace();
    Ok(Outcome {
        seed: options.seed,
        broken: world.broken(),
        hash: trace.hash(),
        lines: trace.into_lines(),
        reached: world.model.reached(),
        n_commits: world.model.n_commits(),
        length: world.clock.elapsed(),
    })
}

async fn play(world: &Arc<World>) {
    if let Err(cause) = life::start(world) {
        return world.breaks(format!("the server does not start: {cause}"));
    }
    tokio::select! {
        biased;
        () = keep_alive(world) => {}
        () = watch(world) => {}
        () = tell(world) => {}
    }
}

/// The story of a run: clients while all goes wrong, then the end of all that was begun.
async fn tell(world: &Arc<World>) {
    let jobs: Vec<String> = (0..JOBS).map(|number| format!("j{number}")).collect();
    let mut clients = JoinSet::new();
    let adding = Arc::clone(world);
    if script::add_pool(&adding).await.is_none() {
        return;
    }
    for job in &jobs {
        clients.spawn(script::look_after_job(Arc::clone(world), job.clone()));
    }
    clients.spawn(script::look_after_pool(Arc::clone(world)));
    clients.spawn(job_schedule::look_after(Arc::clone(world)));
    let mut troubles = JoinSet::new();
    let faults = &world.faults;
    troubles.spawn(about_each(Arc::clone(world), faults.kill_each_s, kill_agent));
    troubles.spawn(about_each(Arc::clone(world), faults.crash_each_s, |it| it.crash.notify_one()));
    troubles.spawn(about_each(Arc::clone(world), faults.clock_set_each_s, set_clock));
    let all = async { while clients.join_next().await.is_some() {} };
    if kiln_clock::within(CLIENTS_WITHIN, all).await.is_err() {
        return world.breaks("clients do not come to their ends".to_owned());
    }
    troubles.abort_all();
    world.faults.end();
    world.note("nothing goes wrong any more");
    wait(world, &jobs, model::settled).await;
    if world.broken().is_some() {
        return;
    }
    world.model.look_at_all(world);
    if script::clear(world, &jobs).await.is_some() {
        wait(world, &[], model::empty).await;
    }
}

/// Waits until nothing is left to be done; a client goes on mending what it can.
async fn wait(world: &Arc<World>, jobs: &[String], left: impl Fn(&World) -> Vec<String>) {
    let mut n_looks = 0;
    let waiting = async {
        loop {
            if !jobs.is_empty() && n_looks % MENDED_EACH == 0 {
                let mended = script::mend(world, jobs).await;
                if mended.is_none() {
                    return;
                }
            }
            n_looks += 1;
            pause(LOOK_EACH).await;
            if left(world).is_empty() {
                return;
            }
        }
    };
    if kiln_clock::within(SETTLED_WITHIN, waiting).await.is_err() {
        let left = left(world);
        world.breaks(format!("work stopped for ever: {left:#?}"));
    }
}

/// Starts the server again each time it crashed.
async fn keep_alive(world: &Arc<World>) {
    loop {
        world.crash.notified().await;
        let again = async {
            life::crash(world).await?;
            life::start(world)?;
            Ok::<_, LifeError>(())
        };
        if let Err(cause) = again.await {
            return world.breaks(format!("the server does not start: {cause}"));
        }
    }
}

/// Comes back when the run is broken, or runs for ever.
async fn watch(world: &World) {
    while world.broken().is_none() {
        pause(LOOK_EACH).await;
        if world.clock.n_steps() > STEPS_MAX {
            world.breaks(format!("it runs for ever, {:?} so far", world.clock.elapsed()));
        }
    }
}

/// Does something again and again, about each so many seconds; never for 0.
async fn about_each(world: Arc<World>, seconds: u64, act: impl Fn(&Arc<World>)) {
    if seconds == 0 {
        return;
    }
    loop {
        pause(world.chance.ms(0, seconds * 2_000)).await;
        act(&world);
    }
}

fn kill_agent(world: &Arc<World>) {
    if let Some(node_id) = world.chance.pick(&world.machines.living()) {
        machines::kill(world, node_id);
    }
}

fn set_clock(world: &Arc<World>) {
    let length = world.chance.ms(1, 300_000);
    let ticks = i64::try_from(length.as_micros() * 10).unwrap_or(0);
    let ticks = if world.chance.is(50.0) { ticks } else { -ticks };
    world.note(&format!("the clock is set by {ticks} ticks"));
    world.clock.set_forward(ticks);
}
