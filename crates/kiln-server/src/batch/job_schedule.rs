//! Job schedules: add, list, get, exists, patch, update, disable, enable, terminate, delete,
//! and the jobs they made.

use kiln_domain::batch::change::Change;
use kiln_domain::batch::job::{self, Job, JobFact};
use kiln_domain::batch::job_schedule::{
    self, JobSchedule, JobScheduleFact, JobScheduleLife, JobScheduleSpec, JobScheduleState,
};
use kiln_domain::rejection::Rejection;
use kiln_domain::time::Timestamp;
use kiln_store::{Tx, View};
use kiln_wire::batch::error::Refusal;
use kiln_wire::batch::job_schedule::{tree, url};
use kiln_wire::batch::odata::List;
use kiln_wire::batch::{Shape, metadata};
use serde_json::Value;
use uuid::Uuid;

use super::answer::Answer;
use super::call::Call;
use super::conditions::Conditions;
use super::error::OpError;
use super::job::{self as jobs, NewJob};
use super::job_life;
use super::page::Page;
use super::spec::{self, Edit};
use super::statistics;
use crate::kept;

/// Why the job of a schedule ends that is terminated.
const TERMINATED_WITH_SCHEDULE: &str = "TerminateJobSchedule";

/// `POST /jobschedules`.
pub(super) async fn add(call: &Call) -> Result<Answer, Refusal> {
    let document = call.lift(Shape::JobScheduleAdd)?;
    let spec = admit(&document)?;
    let life = JobScheduleLife::new(call.now);
    let account = call.account.clone();
    let location = url(&call.base_url, &spec.id);
    let limit = call.server.config.quotas.active_jobs_and_schedules;
    call.server
        .store
        .write(move |tx| {
            refuse_existing(tx, &account, &spec.id)?;
            job::admit_one_more(tx.active_jobs_and_schedules(&account)?, limit)?;
            let document = document.to_string();
            let schedule = JobSchedule { key: 0, account, id: spec.id, document, life };
            let schedule_key = tx.insert_job_schedule(&schedule)?;
            tx.announce(Change::JobSchedule { schedule_key });
            Ok::<_, OpError>(())
        })
        .await?;
    Ok(Answer::created(location, call.now))
}

/// `GET /jobschedules`.
pub(super) fn list(call: &Call) -> Result<Answer, Refusal> {
    let page = Page::of(call, Shape::JobSchedule, Some(List::JobSchedules))?;
    page.collect(metadata::JOB_SCHEDULES, |after, limit| {
        call.server.store.read(|view| {
            let schedules = view.job_schedules_after(&call.account, after, limit)?;
            let shown = |it: JobSchedule| Ok((it.id.clone(), show(view, &it, &page, call)?));
            schedules.into_iter().map(shown).collect::<Result<_, OpError>>()
        })
    })
}

/// `GET /jobschedules/S`.
pub(super) fn get(call: &Call, schedule_id: &str) -> Result<Answer, Refusal> {
    let schedule = found(call, schedule_id)?;
    let page = Page::of(call, Shape::JobSchedule, None)?;
    let tree = call.server.store.read(|view| show(view, &schedule, &page, call))?;
    let answer = page.single(metadata::JOB_SCHEDULES, tree)?;
    Ok(answer.revision(schedule.life.modified_at))
}

/// `HEAD /jobschedules/S`.
pub(super) fn exists(call: &Call, schedule_id: &str) -> Result<Answer, Refusal> {
    let schedule = found(call, schedule_id)?;
    Ok(Answer::new(200).revision(schedule.life.modified_at))
}

/// `GET /jobschedules/S/jobs`.
pub(super) fn list_jobs(call: &Call, schedule_id: &str) -> Result<Answer, Refusal> {
    let schedule = call.server.store.read(|view| find(view, &call.account, schedule_id))?;
    let page = Page::of(call, Shape::Job, Some(List::JobsOfSchedule))?;
    page.collect(metadata::JOBS, |after, limit| {
        call.server.store.read(|view| {
            let jobs = view.jobs_of_schedule_after(schedule.key, after, limit)?;
            let shown = |job: Job| Ok((job.id.clone(), jobs::show(view, &job, &page, call)?));
            jobs.into_iter().map(shown).collect::<Result<_, OpError>>()
        })
    })
}

/// `PATCH /jobschedules/S`: what is given replaces what was; jobs that there are go on.
pub(super) async fn patch(call: &Call, schedule_id: &str) -> Result<Answer, Refusal> {
    let body = call.lift(Shape::JobSchedulePatch)?;
    change(call, schedule_id, body, Edit::Patch).await
}

/// `PUT /jobschedules/S`: the same, and what is not given goes.
pub(super) async fn update(call: &Call, schedule_id: &str) -> Result<Answer, Refusal> {
    let body = call.lift(Shape::JobScheduleUpdate)?;
    change(call, schedule_id, body, Edit::Replace(call.version, Shape::JobScheduleUpdate)).await
}

async fn change(
    call: &Call,
    schedule_id: &str,
    body: Value,
    edit: Edit,
) -> Result<Answer, Refusal> {
    let changed = take(call, schedule_id, move |tx, schedule, now| {
        let life = job_schedule::step(schedule, JobScheduleFact::Changed, now)?;
        let mut document = kept::document(&schedule.document, "job schedule specification")?;
        edit.apply(&mut document, body);
        admit(&document)?;
        tx.update_job_schedule_spec(schedule.key, &document.to_string())?;
        Ok(life)
    });
    Ok(Answer::done(200, call, changed.await?))
}

/// `POST /jobschedules/S/disable`.
pub(super) async fn disable(call: &Call, schedule_id: &str) -> Result<Answer, Refusal> {
    let disabled = take(call, schedule_id, |_, schedule, now| {
        Ok(job_schedule::step(schedule, JobScheduleFact::Disabled, now)?)
    });
    Ok(Answer::done(204, call, disabled.await?))
}

/// `POST /jobschedules/S/enable`.
pub(super) async fn enable(call: &Call, schedule_id: &str) -> Result<Answer, Refusal> {
    let enabled = take(call, schedule_id, |_, schedule, now| {
        Ok(job_schedule::step(schedule, JobScheduleFact::Enabled, now)?)
    });
    Ok(Answer::done(204, call, enabled.await?))
}

/// `POST /jobschedules/S/terminate`.
pub(super) async fn terminate(call: &Call, schedule_id: &str) -> Result<Answer, Refusal> {
    let is_forced = jobs::is_forced(call);
    let terminated = take(call, schedule_id, move |tx, schedule, now| {
        let life = job_schedule::step(schedule, JobScheduleFact::Terminated { is_forced }, now)?;
        if let Some(job) = kept::running_job(tx, schedule)? {
            let reason = TERMINATED_WITH_SCHEDULE.to_owned();
            let fact = JobFact::Terminated { reason, is_forced };
            job_life::take_if_allowed(tx, &job, fact, now)?;
        }
        Ok(life)
    });
    Ok(Answer::done(202, call, terminated.await?))
}

/// `DELETE /jobschedules/S`.
pub(super) async fn delete(call: &Call, schedule_id: &str) -> Result<Answer, Refusal> {
    let is_forced = jobs::is_forced(call);
    let deleted = take(call, schedule_id, move |_, schedule, now| {
        Ok(job_schedule::step(schedule, JobScheduleFact::Deleted { is_forced }, now)?)
    });
    deleted.await?;
    Ok(Answer::new(202))
}

/// Lets `step` change a job schedule as a client asks for it; gives the time of its last change.
async fn take(
    call: &Call,
    schedule_id: &str,
    step: impl FnOnce(&mut Tx<'_>, &JobSchedule, Timestamp) -> Result<JobScheduleLife, OpError>
    + Send
    + 'static,
) -> Result<Timestamp, Refusal> {
    let conditions = Conditions::of(call)?;
    let (account, schedule_id, now) = (call.account.clone(), schedule_id.to_owned(), call.now);
    let modified_at = call
        .server
        .store
        .write(move |tx| {
            let schedule = find(tx, &account, &schedule_id)?;
            conditions.check(schedule.life.modified_at)?;
            let life = step(tx, &schedule, now)?;
            tx.update_job_schedule(schedule.key, &life)?;
            tx.announce(Change::JobSchedule { schedule_key: schedule.key });
            Ok::<_, OpError>(life.modified_at)
        })
        .await?;
    Ok(modified_at)
}

/// The job schedule that a read asks for, under its conditions.
fn found(call: &Call, schedule_id: &str) -> Result<JobSchedule, Refusal> {
    let schedule = call.server.store.read(|view| find(view, &call.account, schedule_id))?;
    Conditions::of(call)?.check(schedule.life.modified_at)?;
    Ok(schedule)
}

fn find(view: &View<'_>, account: &str, schedule_id: &str) -> Result<JobSchedule, OpError> {
    let not_found = || Rejection::JobScheduleNotFound { schedule: schedule_id.to_owned() };
    Ok(view.job_schedule(account, schedule_id)?.ok_or_else(not_found)?)
}

/// Whether a document may describe a job schedule, and its jobs.
fn admit(document: &Value) -> Result<JobScheduleSpec, OpError> {
    let spec: JobScheduleSpec = spec::read(document, "job schedule specification")?;
    job_schedule::admit(&spec)?;
    let of_job = kept::document_of_job(document, &spec.id);
    // Only looked at here: each job is made of what is kept then.
    let unique = Uuid::nil().to_string();
    let admitted = NewJob::admit(of_job, &unique);
    admitted.map_err(|failed| failed.within("jobSpecification"))?;
    Ok(spec)
}

fn refuse_existing(view: &View<'_>, account: &str, schedule_id: &str) -> Result<(), OpError> {
    match view.job_schedule(account, schedule_id)? {
        Some(schedule) if schedule.life.state == JobScheduleState::Deleting => {
            Err(Rejection::JobScheduleBeingDeleted { schedule: schedule.id }.into())
        }
        Some(schedule) => Err(Rejection::JobScheduleExists { schedule: schedule.id }.into()),
        None => match view.job(account, schedule_id)? {
            Some(job) => Err(Rejection::JobWithSameIdExists { id: job.id }.into()),
            None => Ok(()),
        },
    }
}

fn show(
    view: &View<'_>,
    schedule: &JobSchedule,
    page: &Page<'_>,
    call: &Call,
) -> Result<Value, OpError> {
    let spec = kept::job_schedule_spec(schedule)?;
    let next_run_at = schedule.life.next_run_at(&spec.schedule, call.now);
    let mut tree = tree(schedule, next_run_at, &call.base_url);
    if page.shows_stats() {
        statistics::add_to_schedule(view, schedule, &mut tree)?;
    }
    Ok(tree)
}
