//! Tasks: add, add many, get, list, update, terminate, reactivate, delete.

use std::ops::Bound;

use kiln_domain::batch::container::TaskKind;
use kiln_domain::batch::dependencies::{Dependencies, DependencySpec};
use kiln_domain::batch::exit::ExitSpec;
use kiln_domain::batch::job::{self, Job, JobSpec};
use kiln_domain::batch::needs::{PlacementSpec, TaskNeeds};
use kiln_domain::batch::preparation;
use kiln_domain::batch::task::{self, Task, TaskConstraints, TaskFact, TaskLife, TaskSpec};
use kiln_domain::batch::ties::Ties;
use kiln_domain::limits::TASKS_PER_COLLECTION_MAX;
use kiln_domain::rejection::Rejection;
use kiln_domain::time::Timestamp;
use kiln_store::{Bucket, StoreError, TaskRange, Tx, View};
use kiln_wire::batch::error::Refusal;
use kiln_wire::batch::job::manager;
use kiln_wire::batch::odata::{Filter, List};
use kiln_wire::batch::task::{directory, tree, url};
use kiln_wire::batch::{Shape, metadata};
use kiln_wire::node::ToAgent;
use serde_json::{Value, json};

use super::answer::Answer;
use super::application::{self, ReferredBy};
use super::call::Call;
use super::conditions::Conditions;
use super::containers::Offer;
use super::error::OpError;
use super::leave::leave_nodes;
use super::outbox::{Outbox, stop_task};
use super::page::Page;
use super::spec;
use super::statistics;
use super::task_life;
use crate::kept;

/// A task that is about to be added.
pub(super) struct NewTask {
    spec: TaskSpec,
    needs: TaskNeeds,
    dependencies: Dependencies,
    exit: ExitSpec,
    /// Its document, as it is kept if its job gives it no retries.
    document: String,
}

impl NewTask {
    /// Refuses references to packages that are not there.
    pub(super) fn check_packages(&self, view: &View<'_>, account: &str) -> Result<(), OpError> {
        let references = &self.spec.application_package_references;
        application::check_references(view, account, references, ReferredBy::Task)
    }

    /// Refuses a task that does not fit the containers of its pool.
    pub(super) fn check_container(&self, offer: &Offer) -> Result<(), OpError> {
        offer.check("containerSettings", TaskKind::Task, self.spec.container_settings.as_ref())
    }
}

/// `POST /jobs/J/tasks`.
pub(super) async fn add(call: &Call, job_id: &str) -> Result<Answer, Refusal> {
    let new = new_task(call.lift(Shape::TaskAdd)?)?;
    let task_id = new.spec.id.clone();
    let (account, job, now) = (call.account.clone(), job_id.to_owned(), call.now);
    let job_id = call
        .server
        .store
        .write(move |tx| {
            let (job, job_spec) = find_open_job(tx, &account, &job)?;
            let offer = Offer::of(tx, &account, &job.life.pool_id)?;
            insert(tx, &job, &job_spec, (new, &offer), now)?;
            Ok::<_, OpError>(job.id)
        })
        .await?;
    Ok(Answer::created(url(&call.base_url, &job_id, &task_id), now))
}

/// `POST /jobs/J/addtaskcollection`: each task is added or refused by itself.
pub(super) async fn add_collection(call: &Call, job_id: &str) -> Result<Answer, Refusal> {
    let mut body = call.lift(Shape::TaskAddCollection)?;
    let Some(Value::Array(documents)) = body.get_mut("value").map(Value::take) else {
        return Err(Refusal::missing_property("value"));
    };
    if documents.len() > TASKS_PER_COLLECTION_MAX {
        let (count, limit) = (documents.len(), TASKS_PER_COLLECTION_MAX);
        return Err(Rejection::TooManyTasks { count, limit }.into());
    }
    let news: Vec<_> = documents
        .into_iter()
        .map(|document| {
            let id = document.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
            (id, new_task(document))
        })
        .collect();
    let (account, job, now) = (call.account.clone(), job_id.to_owned(), call.now);
    let (job_id, results) = call
        .server
        .store
        .write(move |tx| {
            let (job, job_spec) = find_open_job(tx, &account, &job)?;
            let offer = Offer::of(tx, &account, &job.life.pool_id)?;
            let mut results = Vec::with_capacity(news.len());
            for (id, new) in news {
                let added = new.and_then(|new| insert(tx, &job, &job_spec, (new, &offer), now));
                let added = match added {
                    Ok(()) => Ok(()),
                    Err(OpError::Rejected(rejection)) => Err(Refusal::from(rejection)),
                    Err(failed @ (OpError::Store(_) | OpError::Damaged { .. })) => {
                        return Err(failed);
                    }
                };
                results.push((id, added));
            }
            Ok::<_, OpError>((job.id, results))
        })
        .await?;
    let results: Vec<_> = results
        .into_iter()
        .map(|(task_id, added)| add_result(call, &job_id, &task_id, added))
        .collect();
    let page = Page::of(call, Shape::TaskAddCollectionResult, None)?;
    page.plain(metadata::TASK_ADD_RESULTS, json!({ "value": results }))
}

/// `GET /jobs/J/tasks`.
pub(super) fn list(call: &Call, job_id: &str) -> Result<Answer, Refusal> {
    let job = call.server.store.read(|view| super::job::find(view, &call.account, job_id))?;
    let page = Page::of(call, Shape::Task, Some(List::Tasks))?;
    let buckets = buckets(page.filter());
    let ids = page.filter().map(Filter::ids).unwrap_or_default();
    page.collect(metadata::TASKS, |after, limit| {
        let after_lower = after.to_ascii_lowercase();
        let from = match &ids.first {
            Some(first) if *first > after_lower => Bound::Included(first.as_str()),
            Some(_) | None => Bound::Excluded(after),
        };
        let range = TaskRange { from, last: ids.last.as_deref(), buckets: &buckets };
        let tasks = call.server.store.read(|view| view.tasks_in(job.key, &range, limit));
        let tasks = tasks.map_err(OpError::Store)?;
        let shown = |task: Task| (task.id.clone(), show(&task, &job, &page, call));
        Ok(tasks.into_iter().map(shown).collect())
    })
}

/// The states in which tasks can be that a filter wants.
fn buckets(filter: Option<&Filter>) -> Vec<Bucket> {
    let Some(filter) = filter else { return Bucket::ALL.to_vec() };
    let is_wanted = |bucket: &Bucket| {
        // A task that has not completed has no result.
        let (state, result) = match bucket {
            Bucket::Active => ("active", ""),
            Bucket::Preparing => ("preparing", ""),
            Bucket::Running => ("running", ""),
            Bucket::Succeeded => ("completed", "success"),
            Bucket::Failed => ("completed", "failure"),
        };
        filter.may_be("state", state) && filter.may_be("executionInfo/result", result)
    };
    Bucket::ALL.into_iter().filter(is_wanted).collect()
}

/// `GET /jobs/J/tasks/T`.
pub(super) fn get(call: &Call, job_id: &str, task_id: &str) -> Result<Answer, Refusal> {
    let (job, task) = call.server.store.read(|view| find(view, &call.account, job_id, task_id))?;
    Conditions::of(call)?.check(task.life.modified_at)?;
    let page = Page::of(call, Shape::Task, None)?;
    let answer = page.single(metadata::TASKS, show(&task, &job, &page, call))?;
    Ok(answer.revision(task.life.modified_at))
}

/// A task as `page` shows it.
fn show(task: &Task, job: &Job, page: &Page<'_>, call: &Call) -> Value {
    let mut shown = tree(task, &job.id, &call.base_url);
    if page.shows_stats() {
        statistics::add_to_task(task, &mut shown);
    }
    shown
}

/// `PUT /jobs/J/tasks/T`: its constraints, which runs that are under way keep as they were.
pub(super) async fn update(call: &Call, job_id: &str, task_id: &str) -> Result<Answer, Refusal> {
    let mut body = call.lift(Shape::TaskUpdate)?;
    let mut document = body.get_mut("constraints").map(Value::take).unwrap_or_default();
    let constraints: TaskConstraints = spec::read(&document, "task constraints")?;
    task::check_constraints("constraints", &constraints)?;
    let modified_at = take(call, job_id, task_id, move |tx, Found { job, task, now }| {
        job::admits_tasks(&job)?;
        let retries_max = retries_of(&constraints, &kept::job_spec(&job)?);
        let life = task::step(&task, TaskFact::Constrained(retries_max), now)?;
        set_retries(&mut document, retries_max);
        let mut spec = kept::document(&task.document, "task specification")?;
        set(&mut spec, "constraints", document);
        tx.update_task_spec(&task, &spec.to_string())?;
        task_life::keep(tx, &task, &life, now)?;
        Ok(life.modified_at)
    })
    .await?;
    Ok(Answer::done(200, call, modified_at))
}

/// `POST /jobs/J/tasks/T/terminate`.
pub(super) async fn terminate(call: &Call, job_id: &str, task_id: &str) -> Result<Answer, Refusal> {
    let (modified_at, outbox) = take(call, job_id, task_id, |tx, Found { task, now, .. }| {
        let mut outbox = Outbox::default();
        let life = stop_task(tx, &task, TaskFact::Terminated, now, &mut outbox)?;
        Ok((life.modified_at, outbox))
    })
    .await?;
    outbox.send(&call.server);
    Ok(Answer::done(204, call, modified_at))
}

/// `POST /jobs/J/tasks/T/reactivate`.
pub(super) async fn reactivate(
    call: &Call,
    job_id: &str,
    task_id: &str,
) -> Result<Answer, Refusal> {
    let modified_at = take(call, job_id, task_id, |tx, Found { job, task, now }| {
        job::admits_tasks(&job)?;
        let life = task::step(&task, TaskFact::Reactivated, now)?;
        task_life::keep(tx, &task, &life, now)?;
        Ok(life.modified_at)
    })
    .await?;
    // As was seen: unlike other actions, it does not name the task.
    Ok(Answer::new(204).revision(modified_at))
}

/// `DELETE /jobs/J/tasks/T`.
pub(super) async fn delete(call: &Call, job_id: &str, task_id: &str) -> Result<Answer, Refusal> {
    let outbox = take(call, job_id, task_id, |tx, Found { job, task, now }| {
        let mut outbox = Outbox::default();
        if let Ok(life) = task::step(&task, TaskFact::Terminated, now) {
            leave_nodes(tx, &task, &life, None, now, &mut outbox)?;
        }
        for node_id in task.life.node_ids() {
            let path = directory(&job.id, &task.id);
            outbox.add(node_id, ToAgent::RemoveDirectory { path });
        }
        task_life::remove(tx, &task)?;
        Ok(outbox)
    })
    .await?;
    outbox.send(&call.server);
    Ok(Answer::new(200))
}

/// A task that a client wants something of, and its job.
struct Found {
    job: Job,
    task: Task,
    /// The time of the request.
    now: Timestamp,
}

/// Does something with a task that is there and whose conditions hold, in one commit.
async fn take<T: Send + 'static>(
    call: &Call,
    job_id: &str,
    task_id: &str,
    act: impl FnOnce(&mut Tx<'_>, Found) -> Result<T, OpError> + Send + 'static,
) -> Result<T, Refusal> {
    let conditions = Conditions::of(call)?;
    let (account, now) = (call.account.clone(), call.now);
    let (job_id, task_id) = (job_id.to_owned(), task_id.to_owned());
    let taking = call.server.store.write(move |tx| {
        let (job, task) = find(tx, &account, &job_id, &task_id)?;
        conditions.check(task.life.modified_at)?;
        act(tx, Found { job, task, now })
    });
    Ok(taking.await?)
}

/// The task of that id, and its job.
pub(super) fn find(
    view: &View<'_>,
    account: &str,
    job_id: &str,
    task_id: &str,
) -> Result<(Job, Task), OpError> {
    let job = super::job::find(view, account, job_id)?;
    let not_found = || Rejection::TaskNotFound { task: task_id.to_owned() };
    let task = view.task(job.key, task_id)?.ok_or_else(not_found)?;
    Ok((job, task))
}

fn find_open_job(view: &View<'_>, account: &str, job_id: &str) -> Result<(Job, JobSpec), OpError> {
    let job = super::job::find(view, account, job_id)?;
    job::admits_tasks(&job)?;
    let spec = kept::job_spec(&job)?;
    Ok((job, spec))
}

/// All of a task that can be made ready before the writer deals with it.
fn new_task(mut document: Value) -> Result<NewTask, OpError> {
    let spec: TaskSpec = spec::read(&document, "task specification")?;
    task::admit(&spec)?;
    let needs = spec::read::<PlacementSpec>(&document, "task specification")?.needs()?;
    let waits: DependencySpec = spec::read(&document, "task dependencies")?;
    let exit = spec::read(&document, "exit conditions")?;
    if let Some(constraints) = document.get_mut("constraints") {
        set_retries(constraints, spec.constraints.max_task_retry_count.unwrap_or(0));
    }
    let document = document.to_string();
    Ok(NewTask { spec, needs, dependencies: waits.dependencies()?, exit, document })
}

/// The manager of a job that is about to be added, if it is to have one.
pub(super) fn manager_of(
    job_document: &Value,
    job_spec: &JobSpec,
) -> Result<Option<NewTask>, OpError> {
    let (Some(document), Some(manager)) = (manager(job_document), &job_spec.job_manager_task)
    else {
        return Ok(None);
    };
    let new = new_task(document).map_err(|failed| failed.within("jobManagerTask"))?;
    Ok(Some(NewTask { needs: manager.needs(new.needs), ..new }))
}

/// Adds a task to an open job.
fn insert(
    tx: &mut Tx<'_>,
    job: &Job,
    job_spec: &JobSpec,
    (new, offer): (NewTask, &Offer),
    now: Timestamp,
) -> Result<(), OpError> {
    preparation::admit_task_id(job_spec, &new.spec.id)?;
    new.check_container(offer)?;
    new.dependencies.admit_to(&job.id, job_spec.uses_task_dependencies)?;
    new.exit.admit_to(job_spec.on_task_failure)?;
    new.check_packages(tx, &job.account)?;
    let task_id = new.spec.id.clone();
    match keep_new(tx, job, job_spec, new, now) {
        Ok(()) => Ok(()),
        Err(cause) if cause.is_duplicate() => Err(Rejection::TaskExists { task: task_id }.into()),
        Err(cause) => Err(cause.into()),
    }
}

/// Keeps a task that was admitted to its job.
pub(super) fn keep_new(
    tx: &mut Tx<'_>,
    job: &Job,
    job_spec: &JobSpec,
    new: NewTask,
    now: Timestamp,
) -> Result<(), StoreError> {
    let NewTask { spec, needs, dependencies, mut document, .. } = new;
    let retries_max = retries_of(&spec.constraints, job_spec);
    if spec.constraints.max_task_retry_count.is_none() && retries_max != 0 {
        let mut tree = kept::document(&document, "task specification")?;
        if let Some(constraints) = tree.get_mut("constraints") {
            set_retries(constraints, retries_max);
        }
        document = tree.to_string();
    }
    let mut task = Task {
        job_key: job.key,
        id: spec.id,
        sequence: 0,
        needs,
        ties: Ties::of(job_spec, &dependencies),
        n_unmet: 0,
        document,
        life: TaskLife::new(retries_max, now),
    };
    tx.insert_task(&mut task)?;
    if task.ties.has_dependencies {
        task.n_unmet = tx.insert_dependencies(job.key, &task.id, &dependencies)?;
    }
    tx.announce(task_life::change(&task, &task.life));
    Ok(())
}

/// The retries of a task: its own, or those that its job gives to tasks that say nothing.
fn retries_of(constraints: &TaskConstraints, job_spec: &JobSpec) -> i32 {
    constraints.max_task_retry_count.unwrap_or(job_spec.constraints.max_task_retry_count)
}

fn set_retries(constraints: &mut Value, retries_max: i32) {
    set(constraints, "maxTaskRetryCount", retries_max.into());
}

fn set(document: &mut Value, name: &str, value: Value) {
    if let Some(members) = document.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

fn add_result(call: &Call, job_id: &str, task_id: &str, added: Result<(), Refusal>) -> Value {
    match added {
        Ok(()) => json!({
            "status": "success",
            "taskId": task_id,
            "eTag": call.now.to_etag(),
            "lastModified": call.now.to_iso(),
            "location": url(&call.base_url, job_id, task_id),
        }),
        Err(refusal) => json!({
            "status": "clienterror",
            "taskId": task_id,
            "error": refusal.in_task_result(&call.request_id, call.now),
        }),
    }
}
