//! Jobs: add, get, list, patch, update, disable, enable, terminate, delete, counts of tasks.

use kiln_domain::batch::auto_pool::{check_without_schedule, scheduling_error};
use kiln_domain::batch::change::Change;
use kiln_domain::batch::job::{self, DisableTasks, Job, JobFact, JobLife, JobSpec, JobState};
use kiln_domain::batch::job_change;
use kiln_domain::rejection::Rejection;
use kiln_domain::time::Timestamp;
use kiln_store::{Count, StoreError, Tx, View};
use kiln_wire::batch::error::Refusal;
use kiln_wire::batch::job::{tree, url};
use kiln_wire::batch::odata::List;
use kiln_wire::batch::{Gates, Shape, metadata};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Answer;
use super::auto_pool;
use super::call::Call;
use super::conditions::Conditions;
use super::containers::Offer;
use super::error::OpError;
use super::job_life;
use super::page::Page;
use super::pool::{self, NewPool};
use super::spec::{self, Edit};
use super::statistics;
use super::task::{self, NewTask};
use crate::config::Quotas;
use crate::{clock, kept};

/// A job that is about to be added.
pub(crate) struct NewJob {
    /// What the rules read of `document`.
    spec: JobSpec,
    /// Its specification in the newest shape, with its id and every default.
    document: Value,
    /// The pool that runs it.
    pool_id: String,
    /// The pool that is made with it.
    pool: Option<NewPool>,
    /// The task that is added with it.
    manager: Option<NewTask>,
    /// The job schedule that makes it.
    schedule_key: Option<i64>,
    /// Why it is over as soon as it is there.
    refused: Option<Rejection>,
}

impl NewJob {
    /// A job that a client adds, now or by a schedule; what is made for it has `unique` in its
    /// name.
    ///
    /// # Errors
    /// When no job may be so, whatever else there is.
    pub(super) fn admit(document: Value, unique: &str) -> Result<Self, OpError> {
        spec::check(&document)?;
        let mut new = Self::read(document, None)?;
        job::admit(&new.spec)?;
        new.complete(None, unique)?;
        Ok(new)
    }

    /// A job that a schedule makes, whose specification was admitted with the schedule's;
    /// `shared_pool` is the pool that the schedule has for all its jobs.
    pub(crate) fn of_schedule(
        document: Value,
        schedule_key: i64,
        shared_pool: Option<String>,
        unique: &str,
    ) -> Result<Self, StoreError> {
        let mut new = Self::read(document, Some(schedule_key))?;
        // An earlier version of Kiln may have admitted what this one does not.
        if let Err(failed) = new.complete(shared_pool, unique) {
            new.refused = Some(failed.into_rejection()?);
        }
        Ok(new)
    }

    fn read(document: Value, schedule_key: Option<i64>) -> Result<Self, StoreError> {
        let spec = JobSpec::deserialize(&document)
            .map_err(|cause| StoreError::Damaged { what: "job specification", cause })?;
        let pool_id = spec.pool_info.pool_id.clone().unwrap_or_default();
        Ok(Self { spec, document, pool_id, pool: None, manager: None, schedule_key, refused: None })
    }

    /// Describes what is made with the job.
    fn complete(&mut self, shared_pool: Option<String>, unique: &str) -> Result<(), OpError> {
        if let Some(auto) = &self.spec.pool_info.auto_pool_specification {
            self.pool_id = shared_pool.clone().unwrap_or_else(|| auto.pool_id(unique));
            if shared_pool.is_none() {
                self.pool = Some(auto_pool::described(&self.document, &self.pool_id)?);
            }
        }
        self.manager = task::manager_of(&self.document, &self.spec)?;
        // The job shows its manager with the retries that it has, whatever becomes of its own.
        let limits = self.document.pointer_mut("/jobManagerTask/constraints");
        if let Some(limits) = limits.and_then(Value::as_object_mut) {
            let retries = self.spec.constraints.max_task_retry_count;
            limits.entry("maxTaskRetryCount").or_insert_with(|| retries.into());
        }
        Ok(())
    }
}

impl NewJob {
    /// Refuses a job that does not fit the containers of its pool, as far as that is there.
    fn check_containers(&self, view: &View<'_>, account: &str) -> Result<(), OpError> {
        let offer = match &self.pool {
            Some(pool) => Offer::of_spec(pool.spec()),
            None => Offer::of(view, account, &self.pool_id)?,
        };
        offer.check_job(&self.spec)?;
        let within = |failed: OpError| failed.within("jobManagerTask");
        self.manager.as_ref().map_or(Ok(()), |it| it.check_container(&offer)).map_err(within)
    }
}

/// The body of `POST /jobs/J/disable`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DisableBody {
    disable_tasks: DisableTasks,
}

/// The reason of a termination for which the client gives none.
const TERMINATED_BY_USER: &str = "UserTerminate";

/// `POST /jobs`.
pub(super) async fn add(call: &Call) -> Result<Answer, Refusal> {
    let unique = clock::new_id().to_string();
    let new = NewJob::admit(call.lift(Shape::JobAdd)?, &unique)?;
    check_without_schedule(&new.spec.pool_info)?;
    let (account, job_id, now) = (call.account.clone(), new.spec.id.clone(), call.now);
    let quotas = call.server.config.quotas;
    let job = call
        .server
        .store
        .write(move |tx| {
            refuse_existing(tx, &account, &new.spec.id)?;
            job::admit_one_more(
                tx.active_jobs_and_schedules(&account)?,
                quotas.active_jobs_and_schedules,
            )?;
            new.check_containers(tx, &account)?;
            if let Some(manager) = &new.manager {
                let within = |failed: OpError| failed.within("jobManagerTask");
                manager.check_packages(tx, &account).map_err(within)?;
            }
            Ok::<_, OpError>(insert(tx, &account, new, quotas, now)?)
        })
        .await?;
    Ok(Answer::created(url(&call.base_url, &job_id), job.life.modified_at))
}

/// `GET /jobs`.
pub(super) fn list(call: &Call) -> Result<Answer, Refusal> {
    let page = Page::of(call, Shape::Job, Some(List::Jobs))?;
    page.collect(metadata::JOBS, |after, limit| {
        call.server.store.read(|view| {
            let jobs = view.jobs_after(&call.account, after, limit)?;
            let shown = |job: Job| Ok((job.id.clone(), show(view, &job, &page, call)?));
            jobs.into_iter().map(shown).collect::<Result<_, OpError>>()
        })
    })
}

/// `GET /jobs/J`.
pub(super) fn get(call: &Call, job_id: &str) -> Result<Answer, Refusal> {
    let (conditions, page) = (Conditions::of(call)?, Page::of(call, Shape::Job, None)?);
    let (job, tree) = call.server.store.read(|view| {
        let job = find(view, &call.account, job_id)?;
        conditions.check(job.life.modified_at)?;
        let tree = show(view, &job, &page, call)?;
        Ok::<_, OpError>((job, tree))
    })?;
    Ok(page.single(metadata::JOBS, tree)?.revision(job.life.modified_at))
}

/// A job as `page` shows it.
pub(super) fn show(
    view: &View<'_>,
    job: &Job,
    page: &Page<'_>,
    call: &Call,
) -> Result<Value, OpError> {
    let mut shown = tree(job, &call.base_url);
    if page.shows_stats() {
        statistics::add_to_job(view, job, &mut shown)?;
    }
    Ok(shown)
}

/// `GET /jobs/J/taskcounts`.
pub(super) fn task_counts(call: &Call, job_id: &str) -> Result<Answer, Refusal> {
    let counts = call.server.store.read(|view| {
        let job = find(view, &call.account, job_id)?;
        Ok::<_, OpError>(view.task_counts(job.key)?)
    })?;
    let numbers = |of: fn(&Count) -> i64| {
        let (succeeded, failed) = (of(&counts.succeeded), of(&counts.failed));
        json!({
            "active": of(&counts.active),
            "running": of(&counts.running),
            "completed": succeeded + failed,
            "succeeded": succeeded,
            "failed": failed,
        })
    };
    let tree = json!({
        "taskCounts": numbers(|count| count.tasks),
        "taskSlotCounts": numbers(|count| count.slots),
    });
    Page::of(call, Shape::TaskCounts, None)?.single(metadata::task_counts(call.version), tree)
}

/// `PATCH /jobs/J`.
pub(super) async fn patch(call: &Call, job_id: &str) -> Result<Answer, Refusal> {
    change(call, job_id, call.lift(Shape::JobPatch)?, Edit::Patch).await
}

/// `PUT /jobs/J`.
pub(super) async fn update(call: &Call, job_id: &str) -> Result<Answer, Refusal> {
    let body = call.lift(Shape::JobUpdate)?;
    change(call, job_id, body, Edit::Replace(call.version, Shape::JobUpdate)).await
}

/// Changes the specification of a job.
async fn change(call: &Call, job_id: &str, body: Value, edit: Edit) -> Result<Answer, Refusal> {
    let conditions = Conditions::of(call)?;
    let (account, job_id, now) = (call.account.clone(), job_id.to_owned(), call.now);
    let modified_at = call
        .server
        .store
        .write(move |tx| {
            let job = find(tx, &account, &job_id)?;
            conditions.check(job.life.modified_at)?;
            let old = kept::document(&job.document, "job specification")?;
            let mut document = old.clone();
            edit.apply(&mut document, body);
            auto_pool::keep_description(&old, &mut document)?;
            let (old, spec) = (kept::job_spec(&job)?, spec::read(&document, "job specification")?);
            let life = job_change::change(&job, &old, &spec, now)?;
            if life.pool_id != job.life.pool_id {
                auto_pool::release(tx, &job, &old, now)?;
            }
            let job = Job { document: document.to_string(), ..job };
            tx.update_job_spec(job.key, &job.document)?;
            job_life::keep(tx, &job, &life, now)?;
            Ok::<_, OpError>(life.modified_at)
        })
        .await?;
    Ok(Answer::done(200, call, modified_at))
}

/// `POST /jobs/J/disable`.
pub(super) async fn disable(call: &Call, job_id: &str) -> Result<Answer, Refusal> {
    let body = call.lift(Shape::JobDisable)?;
    let body: DisableBody = spec::read(&body, "way to disable a job")?;
    let modified_at = take(call, job_id, JobFact::Disabled(body.disable_tasks)).await?;
    Ok(Answer::done(202, call, modified_at))
}

/// `POST /jobs/J/enable`.
pub(super) async fn enable(call: &Call, job_id: &str) -> Result<Answer, Refusal> {
    let modified_at = take(call, job_id, JobFact::Enabled).await?;
    Ok(Answer::done(202, call, modified_at))
}

/// `POST /jobs/J/terminate`.
pub(super) async fn terminate(call: &Call, job_id: &str) -> Result<Answer, Refusal> {
    let body = call.lift(Shape::JobTerminate)?;
    let reason = body.get("terminateReason").and_then(Value::as_str).unwrap_or(TERMINATED_BY_USER);
    let fact = JobFact::Terminated { reason: reason.to_owned(), is_forced: is_forced(call) };
    let modified_at = take(call, job_id, fact).await?;
    Ok(Answer::done(202, call, modified_at))
}

/// `DELETE /jobs/J`.
pub(super) async fn delete(call: &Call, job_id: &str) -> Result<Answer, Refusal> {
    take(call, job_id, JobFact::Deleted { is_forced: is_forced(call) }).await?;
    Ok(Answer::new(202))
}

/// Lets `fact` happen to a job as a client asks for it; gives the time of its last change.
async fn take(call: &Call, job_id: &str, fact: JobFact) -> Result<Timestamp, Refusal> {
    let conditions = Conditions::of(call)?;
    let (account, job_id, now) = (call.account.clone(), job_id.to_owned(), call.now);
    let modified_at = call
        .server
        .store
        .write(move |tx| {
            let job = find(tx, &account, &job_id)?;
            conditions.check(job.life.modified_at)?;
            Ok::<_, OpError>(job_life::take(tx, &job, fact, now)?.modified_at)
        })
        .await?;
    Ok(modified_at)
}

/// Whether the client wants an end that waits for no node.
pub(super) fn is_forced(call: &Call) -> bool {
    Gates::of(call.version).jobs_end_by_force && call.flag("force")
}

/// The job of that id.
pub(super) fn find(view: &View<'_>, account: &str, job_id: &str) -> Result<Job, OpError> {
    let not_found = || Rejection::JobNotFound { job: job_id.to_owned() };
    Ok(view.job(account, job_id)?.ok_or_else(not_found)?)
}

/// Adds a job whose id is free, with its manager: the one way in which a job comes to be.
pub(crate) fn insert(
    tx: &mut Tx<'_>,
    account: &str,
    new: NewJob,
    quotas: Quotas,
    now: Timestamp,
) -> Result<Job, StoreError> {
    let NewJob { spec, document, pool_id, pool, manager, schedule_key, mut refused } = new;
    let mut job = Job {
        key: 0,
        account: account.to_owned(),
        id: spec.id.clone(),
        document: document.to_string(),
        schedule_key,
        life: JobLife::new(pool_id, now),
    };
    if let (Some(pool), None) = (&pool, &refused)
        && let Err(failed) = pool::insert(tx, account, pool, quotas, now)
    {
        refused = Some(failed.into_rejection()?);
    }
    if let Some(rejection) = &refused {
        let error = scheduling_error(rejection);
        job.life = job::step(&job, JobFact::Unschedulable(error), now).unwrap_or(job.life);
    }
    job.key = tx.insert_job(&job)?;
    tx.announce(job_life::change(&job, &spec));
    if let (Some(manager), None) = (manager, refused) {
        task::keep_new(tx, &job, &spec, manager, now)?;
    }
    // Its time may run out, or it may have to end as soon as it has no tasks.
    tx.announce(Change::JobEnd { job_key: job.key });
    Ok(job)
}

fn refuse_existing(view: &View<'_>, account: &str, job_id: &str) -> Result<(), OpError> {
    if let Some(schedule) = view.job_schedule(account, job_id)? {
        return Err(Rejection::JobScheduleWithSameIdExists { id: schedule.id }.into());
    }
    match view.job(account, job_id)? {
        None => Ok(()),
        Some(job) if job.life.state == JobState::Deleting => {
            Err(Rejection::JobBeingDeleted { job: job.id }.into())
        }
        Some(job) => Err(Rejection::JobExists { job: job.id }.into()),
    }
}
