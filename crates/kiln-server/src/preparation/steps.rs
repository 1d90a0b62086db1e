//! What happens to the nodes of a job, as part of one commit.

use kiln_domain::batch::change::Change;
use kiln_domain::batch::container::ContainerInfo;
use kiln_domain::batch::gang::InstanceFact;
use kiln_domain::batch::job::{Job, JobSpec};
use kiln_domain::batch::node::NodeLife;
use kiln_domain::batch::preparation::{
    self, Admission, Effect, Fact, Preparation, PreparationLife, Rules, may_release,
};
use kiln_domain::batch::task::{self, Outcome, Task, TaskFact, TaskState};
use kiln_domain::time::Timestamp;
use kiln_store::{StoreError, Tx, View};
use kiln_wire::node::{AttemptId, AttemptKind, ToAgent};

use super::commands::{attempt_of, load_job, message};
use crate::batch::{Here, Outbox, keep_task, leave_nodes};
use crate::dispatch::run_message;
use crate::{gang, kept};

/// What the end of a job has still to do on its nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreleased {
    /// Nothing.
    Nothing,
    /// Some are to be released, or not waited for any longer: see [`Steps::release`].
    Due,
    /// All that are to be released run the release task.
    UnderWay,
}

/// How far the nodes of a job that ends are released.
pub(crate) fn unreleased(
    view: &View<'_>,
    job: &Job,
    spec: &JobSpec,
) -> Result<Unreleased, StoreError> {
    if spec.job_preparation_task.is_none() || job.life.is_lasting() {
        return Ok(Unreleased::Nothing);
    }
    if !view.lasting_preparations(job.key, 1)?.is_empty() {
        return Ok(Unreleased::Due);
    }
    let is_releasing = !view.releasing_preparations(job.key, 1)?.is_empty();
    Ok(match (is_releasing, job.life.is_forced) {
        (false, _) => Unreleased::Nothing,
        (true, false) => Unreleased::UnderWay,
        (true, true) => Unreleased::Due,
    })
}

/// Whether a node takes tasks of a job, now or once it is prepared.
pub(crate) fn admits(view: &View<'_>, job: &Job, node_id: &str) -> Result<bool, StoreError> {
    Ok(view.preparation(job.key, node_id)?.is_none_or(|known| known.life.takes_tasks()))
}

/// Steps of one commit.
pub(crate) struct Steps<'s, 't> {
    tx: &'s mut Tx<'t>,
    now: Timestamp,
    /// What leaves after the commit.
    outbox: &'s mut Outbox,
}

/// A job that prepares its nodes.
#[derive(Clone, Copy)]
struct Prepares<'j> {
    job: &'j Job,
    spec: &'j JobSpec,
    rules: Rules,
}

impl<'j> Prepares<'j> {
    fn of(job: &'j Job, spec: &'j JobSpec) -> Option<Self> {
        Some(Self { job, spec, rules: Rules::of(spec)? })
    }
}

impl<'s, 't> Steps<'s, 't> {
    pub(crate) fn new(tx: &'s mut Tx<'t>, now: Timestamp, outbox: &'s mut Outbox) -> Self {
        Self { tx, now, outbox }
    }

    /// A task of `job` is to run on a node in this boot of it: whether it may, and when.
    pub(crate) fn want(
        &mut self,
        job: &Job,
        spec: &JobSpec,
        node_id: &str,
        boot: u32,
    ) -> Result<Admission, StoreError> {
        let Some(job) = Prepares::of(job, spec) else { return Ok(Admission::Now) };
        let known = self.tx.preparation(job.job.key, node_id)?;
        let known = known.unwrap_or_else(|| Preparation {
            job_key: job.job.key,
            node_id: node_id.to_owned(),
            life: PreparationLife::new(job.job.life.pool_id.clone()),
        });
        let (known, _) = self.keep(job, known, Fact::Wanted { boot })?;
        Ok(known.life.admission(&job.rules))
    }

    /// A run of a preparation or release task ended on a node.
    pub(crate) fn end_attempt(
        &mut self,
        node_id: &str,
        node_life: &mut NodeLife,
        attempt: &AttemptId,
        outcome: Outcome,
    ) -> Result<(), StoreError> {
        let Some(known) = self.tx.preparation(attempt.job_key, node_id)? else { return Ok(()) };
        let Some((job, spec)) = load_job(self.tx, attempt.job_key)? else { return Ok(()) };
        if attempt_of(&spec, &known).as_ref() != Some(attempt) {
            return Ok(());
        }
        let fact = match attempt.kind {
            AttemptKind::Preparation => Fact::PreparationEnded(outcome),
            AttemptKind::Release => Fact::ReleaseEnded(outcome),
            AttemptKind::Task | AttemptKind::Subtask { .. } => return Ok(()),
        };
        match Prepares::of(&job, &spec) {
            Some(job) => self.happen(job, known, fact, node_life),
            None => Ok(()),
        }
    }

    /// A node booted: what its boot interrupted, or may have spoiled, is done again.
    pub(crate) fn on_booted(
        &mut self,
        node_id: &str,
        node_life: &mut NodeLife,
        is_fresh: bool,
    ) -> Result<(), StoreError> {
        let boot = node_life.boot;
        for known in self.tx.preparations_of_node(node_id)? {
            let Some((job, spec)) = load_job(self.tx, known.job_key)? else { continue };
            let Some(job) = Prepares::of(&job, &spec) else { continue };
            if known.life.boot < boot {
                let fact = if is_fresh { Fact::Reimaged { boot } } else { Fact::Rebooted { boot } };
                self.happen(job, known, fact, node_life)?;
            }
        }
        Ok(())
    }

    /// A node is gone, or will not be heard of again by itself. Its tasks are others' business.
    pub(crate) fn on_node_lost(&mut self, node_id: &str) -> Result<(), StoreError> {
        for known in self.tx.preparations_of_node(node_id)? {
            let Some((job, spec)) = load_job(self.tx, known.job_key)? else { continue };
            let Some(job) = Prepares::of(&job, &spec) else { continue };
            self.keep(job, known, Fact::NodeLost)?;
        }
        Ok(())
    }

    /// Tells at most `limit` nodes of a job that it ends: they are released. A forced end does
    /// not wait for them.
    pub(crate) fn release(&mut self, job: &Job, limit: usize) -> Result<(), StoreError> {
        let spec = kept::job_spec(job)?;
        let is_forced = job.life.is_forced;
        let Some(job) = Prepares::of(job, &spec) else { return Ok(()) };
        for known in self.tx.lasting_preparations(job.job.key, limit)? {
            let node = self.tx.node(&known.node_id)?;
            let is_there = node.is_some_and(|node| may_release(&node.life));
            self.keep(job, known, Fact::JobEnded { may_release: is_there && !is_forced })?;
        }
        if is_forced {
            for known in self.tx.releasing_preparations(job.job.key, limit)? {
                self.stop(&known.node_id, attempt_of(&spec, &known));
                self.keep(job, known, Fact::NodeLost)?;
            }
        }
        Ok(())
    }

    /// Keeps what follows from `fact`, with what that means for the tasks on the node.
    fn happen(
        &mut self,
        job: Prepares<'_>,
        known: Preparation,
        fact: Fact,
        node_life: &mut NodeLife,
    ) -> Result<(), StoreError> {
        let (known, effects) = self.keep(job, known, fact)?;
        if effects.contains(&Effect::Return) {
            self.send_back(&known, node_life)?;
        }
        if effects.contains(&Effect::Open) && self.run_waiting(job, &known)? {
            self.keep(job, known, Fact::Wanted { boot: node_life.boot })?;
        }
        Ok(())
    }

    /// Keeps what follows from `fact` for the node itself; what is left to do for its tasks is
    /// among the effects.
    fn keep(
        &mut self,
        job: Prepares<'_>,
        known: Preparation,
        fact: Fact,
    ) -> Result<(Preparation, Vec<Effect>), StoreError> {
        let before = attempt_of(job.spec, &known);
        let (life, effects) = preparation::step(known.life.clone(), fact, &job.rules, self.now);
        let is_same = life == known.life;
        let known = Preparation { life, ..known };
        if !is_same {
            self.tx.put_preparation(&known)?;
        }
        let (job_key, node_id) = (job.job.key, known.node_id.clone());
        for effect in &effects {
            let node_id = node_id.clone();
            match effect {
                Effect::RunPreparation | Effect::RunRelease => self.run(job, &known),
                Effect::StopPreparation => self.stop(&node_id, before.clone()),
                Effect::Exclude => self.tx.announce(Change::JobNodeExcluded { job_key, node_id }),
                Effect::Admit => self.tx.announce(Change::JobNodeAdmitted { job_key, node_id }),
                Effect::Finish => self.tx.announce(Change::JobEnd { job_key }),
                Effect::Open | Effect::Return => {}
            }
        }
        Ok((known, effects))
    }

    fn run(&mut self, job: Prepares<'_>, known: &Preparation) {
        let attempt = attempt_of(job.spec, known);
        if let Some(run) = attempt.and_then(|attempt| message(job.job, job.spec, attempt)) {
            self.outbox.add(&known.node_id, run);
        }
    }

    fn stop(&mut self, node_id: &str, attempt: Option<AttemptId>) {
        if let Some(attempt) = attempt {
            self.outbox.add(node_id, ToAgent::Stop { attempt });
        }
    }

    /// The tasks that wait for the node wait for any node again.
    fn send_back(
        &mut self,
        known: &Preparation,
        node_life: &mut NodeLife,
    ) -> Result<(), StoreError> {
        for (task, _) in self.waiting_tasks(known)? {
            let Ok(life) = task::step(&task, TaskFact::NotPrepared, self.now) else { continue };
            let here = Some(Here { node_id: &known.node_id, life: node_life });
            leave_nodes(self.tx, &task, &life, here, self.now, self.outbox)?;
            keep_task(self.tx, &task, &life, self.now)?;
        }
        Ok(())
    }

    /// The tasks that wait for the node run; whether there are any.
    fn run_waiting(&mut self, job: Prepares<'_>, known: &Preparation) -> Result<bool, StoreError> {
        let tasks = self.waiting_tasks(known)?;
        let is_wanted = !tasks.is_empty();
        for (task, prepared) in tasks {
            let Ok(life) = task::step(&task, prepared, self.now) else { continue };
            keep_task(self.tx, &task, &life, self.now)?;
            let task = Task { life, ..task };
            if let Some(run) = run_message(job.job, job.spec, &task) {
                self.outbox.add(&known.node_id, run);
            }
            gang::begin(job.job, job.spec, &task, Some(&known.node_id), self.outbox);
        }
        Ok(is_wanted)
    }

    /// The tasks that wait for the node, with what happens to them once it is prepared.
    fn waiting_tasks(&self, known: &Preparation) -> Result<Vec<(Task, TaskFact)>, StoreError> {
        let is_waiting =
            |task: &Task| task.job_key == known.job_key && task.life.state == TaskState::Preparing;
        let mut waiting = Vec::new();
        for task in self.tx.tasks_of_node(&known.node_id)? {
            if is_waiting(&task) && task.life.gang.is_none() {
                waiting.push((task, TaskFact::Prepared));
            }
        }
        for task in self.tx.gangs_of_node(&known.node_id)? {
            let number = task.life.gang.as_ref().and_then(|it| it.waiting_on(&known.node_id));
            if let Some(number) = number.filter(|_| is_waiting(&task)) {
                waiting.push((task, TaskFact::Instance { number, fact: InstanceFact::Prepared }));
            }
        }
        Ok(waiting)
    }
}

/// The command that prepares or releases a node runs or ran in this container.
pub(crate) fn contain(
    tx: &mut Tx<'_>,
    node_id: &str,
    attempt: &AttemptId,
    container: ContainerInfo,
) -> Result<(), StoreError> {
    let Some(known) = tx.preparation(attempt.job_key, node_id)? else { return Ok(()) };
    let Some((_, spec)) = load_job(tx, attempt.job_key)? else { return Ok(()) };
    if attempt_of(&spec, &known).as_ref() != Some(attempt) {
        return Ok(());
    }
    let life = known.life.clone().contained(container);
    tx.put_preparation(&Preparation { life, ..known })
}
