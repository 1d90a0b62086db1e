//! No statement reads a whole table, however long its history: asked of SQLite itself.

use std::cell::RefCell;
use std::collections::BTreeSet;

use kiln_domain::batch::application::{ApplicationLife, PackageBlob, PackageLife};
use kiln_domain::batch::certificate::{CertificateFile, CertificateFormat, CertificateLife};
use kiln_domain::batch::dependencies::{Dependencies, IdRange};
use kiln_domain::batch::gang::{ChosenNode, Gang};
use kiln_domain::batch::job::{Job, JobLife};
use kiln_domain::batch::job_schedule::{JobSchedule, JobScheduleLife};
use kiln_domain::batch::needs::TaskNeeds;
use kiln_domain::batch::node::{Node, NodeLife};
use kiln_domain::batch::pool::{PoolLife, PoolSpec};
use kiln_domain::batch::pool_usage::{Consumption, Machines, Meter};
use kiln_domain::batch::preparation::{Preparation, PreparationLife};
use kiln_domain::batch::task::{Task, TaskLife, TaskState};
use kiln_domain::batch::ties::Ties;
use kiln_domain::batch::usage::Usage;
use kiln_domain::blob::container::{Container, PublicAccess};
use kiln_domain::blob::content::{
    Blob, BlobDetails, Block, ContentProperties, Deletion, Piece, Slice,
};
use kiln_domain::blob::edition::Edition;
use kiln_domain::blob::kind::BlobKind;
use kiln_domain::blob::metadata::Metadata;
use kiln_domain::blob::settings::StorageSettings;
use kiln_domain::blob::tags::Tags;
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use rusqlite::Connection;

use crate::{
    Account, AccountKind, Bucket, ContainerKey, ExtentPlace, ExtentUses, KeptTask, MeteredPool,
    PoolUsage, StoreError, TaskRange, Tx, migrations,
};

/// Tables that are read whole, by intent: at the start, or because they stay small.
const READ_WHOLE: [&str; 9] = [
    "SCAN dependency_turn USING COVERING INDEX dependency_turn_of_job",
    "SCAN account",
    "SCAN certificate",
    "SCAN job USING INDEX job_open",
    "SCAN job_schedule",
    "SCAN pool",
    "SCAN container USING COVERING INDEX container_deleted",
    "SCAN pending_copy",
    "SCAN task USING INDEX task_on_node",
];

thread_local! {
    static NOTED: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// Remembers a statement that was prepared on this thread.
pub(crate) fn note(sql: &str) {
    NOTED.with_borrow_mut(|noted| noted.insert(sql.to_owned()));
}

fn database() -> Connection {
    let mut connection = Connection::open_in_memory().expect("a database");
    connection.pragma_update(None, "foreign_keys", "ON").expect("set");
    migrations::apply(&mut connection).expect("the newest schema");
    connection
}

#[test]
fn every_statement_finds_its_rows_through_an_index() {
    let connection = database();
    let mut tx = Tx::new(&connection);
    accounts(&mut tx).expect("accounts");
    applications(&mut tx).expect("applications");
    certificates(&mut tx).expect("certificates");
    pools_and_nodes(&mut tx).expect("pools and nodes");
    jobs_and_tasks(&mut tx).expect("jobs and tasks");
    job_schedules(&mut tx).expect("job schedules");
    kept_files(&mut tx).expect("kept files");
    blobs(&mut tx).expect("containers and blobs");
    let noted = NOTED.take();
    let n_written = n_statements_in_the_source();
    assert!(noted.len() * 10 >= n_written * 9, "{} of {n_written} were tried", noted.len());
    for sql in &noted {
        let plan = plan_of(&connection, sql);
        for step in plan {
            let is_slow = step.starts_with("SCAN") || step.contains("TEMP B-TREE");
            assert!(!is_slow || READ_WHOLE.contains(&step.as_str()), "{step}\n{sql}");
        }
    }
}

/// A row that others point to can be removed without a look at all of these.
#[test]
fn every_reference_has_an_index() {
    let connection = database();
    let rows = |sql: &str, column: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).expect("a statement");
        let rows = statement.query_map([], |row| row.get(column)).expect("rows");
        rows.collect::<Result<_, _>>().expect("text")
    };
    for table in rows("SELECT name FROM sqlite_schema WHERE type = 'table'", "name") {
        for column in rows(&format!("PRAGMA foreign_key_list({table})"), "from") {
            let sql = format!("SELECT 1 FROM {table} WHERE {column} = ?1");
            let plan = plan_of(&connection, &sql);
            assert!(plan.iter().all(|it| it.starts_with("SEARCH")), "{table}.{column}: {plan:?}");
        }
    }
}

fn plan_of(connection: &Connection, sql: &str) -> Vec<String> {
    let explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"));
    let mut statement = explained.expect("a statement that was prepared before");
    let mut rows = statement.raw_query();
    let mut plan = Vec::new();
    while let Some(row) = rows.next().expect("a row") {
        plan.push(row.get::<_, String>("detail").expect("text"));
    }
    plan
}

/// How many statements the files of rows prepare, about.
fn n_statements_in_the_source() -> usize {
    [
        include_str!("account.rs"),
        include_str!("application.rs"),
        include_str!("certificate.rs"),
        include_str!("blob.rs"),
        include_str!("container.rs"),
        include_str!("dependency.rs"),
        include_str!("dependency_turn.rs"),
        include_str!("extent.rs"),
        include_str!("instance.rs"),
        include_str!("job.rs"),
        include_str!("job_schedule.rs"),
        include_str!("kept_file.rs"),
        include_str!("node.rs"),
        include_str!("piece.rs"),
        include_str!("pool.rs"),
        include_str!("pool_usage.rs"),
        include_str!("preparation.rs"),
        include_str!("tag.rs"),
        include_str!("task.rs"),
        include_str!("task_count.rs"),
        include_str!("upload.rs"),
        include_str!("usage.rs"),
    ]
    .iter()
    .map(|source| source.matches(".statement(").count())
    .sum()
}

fn accounts(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    tx.storage_settings("a")?;
    tx.update_storage_settings("a", &StorageSettings::default())?;
    let keys = ["k".to_owned(), "k".to_owned()];
    let kind = AccountKind::Batch;
    let account = Account {
        kind,
        name: "a".to_owned(),
        keys: keys.clone(),
        created_at: Timestamp(0),
        linked_storage: None,
    };
    tx.insert_account(&account)?;
    tx.account(kind, "a")?;
    tx.accounts()?;
    tx.update_account_keys(kind, "a", &keys)?;
    tx.delete_account(kind, "a")?;
    Ok(())
}

fn certificates(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let life = CertificateLife::new(CertificateFormat::Cer, String::new(), Timestamp(0));
    let file = CertificateFile { bytes: Vec::new(), password: None };
    tx.insert_certificate("a", "ff", &life, &file)?;
    let key = tx.certificate("a", "ff")?.ok_or(StoreError::Closed)?.key;
    tx.certificate_by_key(key)?;
    tx.certificate_file(key)?;
    tx.certificates_after("a", "", 9)?;
    tx.all_certificate_keys()?;
    tx.update_certificate(key, &life)?;
    tx.delete_certificate(key)
}

fn applications(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let life = ApplicationLife::new(Timestamp(0));
    let key = tx.insert_application("a", "app", &life)?;
    tx.application("a", "APP")?;
    tx.applications_after("a", "", 9)?;
    tx.update_application(key, &life)?;
    let (account, container, name) = ("s".to_owned(), "c".to_owned(), "1".to_owned());
    let life = PackageLife::new(PackageBlob { account, container, name }, Timestamp(0));
    tx.put_package(key, "1", &life)?;
    tx.packages(key)?;
    let package = tx.package(key, "1")?.ok_or(StoreError::Closed)?;
    tx.delete_package(&package)?;
    tx.delete_application(key)
}

fn pools_and_nodes(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let spec: PoolSpec = serde_json::from_str(r#"{"id":"p"}"#)
        .map_err(|cause| StoreError::Damaged { what: "specification", cause })?;
    let life = PoolLife::new(&spec, Timestamp(0));
    let key = tx.insert_pool("a", "p", "{}", &life)?;
    tx.pool("a", "P")?;
    tx.pool_by_key(key)?;
    tx.pools_after("a", "", 9)?;
    tx.n_pools("a")?;
    tx.all_pools()?;
    tx.update_pool(key, &life)?;
    tx.update_pool_spec(key, "{}")?;
    let life = NodeLife::new(1, true, 1, Timestamp(0));
    let node =
        Node { id: "n".to_owned(), pool_key: key, secret: String::new(), start_task: None, life };
    tx.insert_node(&node)?;
    pool_usage(tx, key)?;
    tx.node("n")?;
    tx.nodes_of_pool(key)?;
    tx.update_node("n", &node.life)?;
    tx.update_node_secret("n", "s")?;
    tx.update_node_start_task("n", Some("{}"))?;
    tx.delete_node("n")?;
    tx.delete_pool(key)
}

fn pool_usage(tx: &mut Tx<'_>, key: i64) -> Result<(), StoreError> {
    let machines = Machines { dedicated: 1, low_priority: 0 };
    let meter = Meter::new(machines, 1, Timestamp(0));
    tx.put_pool_meter(key, &meter)?;
    tx.pool_meter(key)?;
    tx.pool_meters("a")?;
    tx.metered_pools_after(0, 9)?;
    let (account, id, vm_size) = ("a".to_owned(), "p".to_owned(), "small".to_owned());
    let pool = MeteredPool { key, account, id, vm_size };
    let consumption = Consumption::default();
    let (updated_at, dedicated_core_time) = (Timestamp(0), Span::ZERO);
    tx.add_pool_usage(&pool, &PoolUsage { updated_at, dedicated_core_time, consumption })?;
    tx.usage_of_pool(key)?;
    tx.usage_of_pools("a")?;
    for time in meter.count(Timestamp(9)) {
        tx.add_pool_interval(&pool, &time, &consumption)?;
    }
    let nothing = (Timestamp(0), "", "");
    tx.pool_intervals("a", (Timestamp(0), Timestamp(9)), nothing, 9)?;
    Ok(())
}

fn jobs_and_tasks(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let life = JobLife::new("p".to_owned(), Timestamp(0));
    let job = Job {
        key: 0,
        account: "a".to_owned(),
        id: "j".to_owned(),
        document: "{}".to_owned(),
        schedule_key: None,
        life: life.clone(),
    };
    let key = tx.insert_job(&job)?;
    tx.job("a", "J")?;
    tx.active_jobs_and_schedules("a")?;
    tx.job_by_key(key)?;
    tx.jobs_after("a", "", 9)?;
    tx.open_jobs()?;
    tx.update_job(key, &life)?;
    tx.update_job_spec(key, "{}")?;
    let mut task = Task {
        job_key: key,
        id: "t".to_owned(),
        sequence: 1,
        needs: TaskNeeds::slots(1),
        ties: Ties { has_dependencies: true, ..Ties::default() },
        n_unmet: 0,
        document: "{}".to_owned(),
        life: TaskLife::new(0, Timestamp(0)),
    };
    tx.insert_task(&mut task)?;
    let ranges = BTreeSet::from([IdRange { start: 3, end: 9 }]);
    let dependencies = Dependencies { ids: BTreeSet::from(["p".to_owned()]), ranges };
    tx.insert_dependencies(key, "t", &dependencies)?;
    tx.set_dependency_met(key, "7", true, 1)?;
    tx.set_dependency_met(key, "7", false, 1)?;
    tx.go_on_with_turns(key, 1)?;
    tx.jobs_with_turns()?;
    tx.is_turning_back(key)?;
    tx.unmet_dependencies(key, "t", 9)?;
    tx.unmet_numbers(key, IdRange { start: 3, end: 9 }, 9)?;
    tx.task(key, "T")?;
    lists_of_tasks(tx, key)?;
    tx.open_tasks_after(key, 0, 9)?;
    tx.running_tasks(key, 9)?;
    tx.waiting_tasks_after(key, 0, 9)?;
    tx.tasks_of_node("n")?;
    tx.tasks_on_nodes()?;
    tx.task_counts(key)?;
    let usage = task.life.with_usage(1, Usage::of_length(Span::seconds(1)), Timestamp(0));
    tx.update_task(&task, &usage.ok_or(StoreError::Closed)?)?;
    tx.keep_usage()?;
    tx.keep_counts()?;
    tx.usage_of_job(key)?;
    tx.usage_of_schedule(1)?;
    tx.usage_of_jobs("a")?;
    tx.update_task_spec(&task, "{}")?;
    tx.update_task(&task, &with_instance("n"))?;
    let task = Task { life: with_instance("n"), ..task };
    tx.update_task(&task, &with_instance("m"))?;
    let ended = TaskLife { state: TaskState::Completed, ..with_instance("m") };
    tx.update_task(&task, &ended)?;
    tx.gangs_of_node("m")?;
    tx.delete_task(&Task { life: with_instance("m"), ..task })?;
    preparations(tx, key)?;
    tx.delete_job(key)
}

fn lists_of_tasks(tx: &Tx<'_>, job_key: i64) -> Result<(), StoreError> {
    let after = std::ops::Bound::Excluded("t");
    tx.tasks_in(job_key, &TaskRange::ALL, 9)?;
    tx.tasks_in(job_key, &TaskRange { from: after, last: Some("u"), ..TaskRange::ALL }, 9)?;
    for bucket in Bucket::ALL {
        let in_state = TaskRange { buckets: &[bucket], ..TaskRange::ALL };
        tx.tasks_in(job_key, &in_state, 9)?;
        tx.tasks_in(job_key, &TaskRange { from: after, ..in_state }, 9)?;
    }
    Ok(())
}

/// The life of a task whose only instance is on a node.
fn with_instance(node_id: &str) -> TaskLife {
    let (node_id, address) = (node_id.to_owned(), String::new());
    let node = ChosenNode { node_id, address, is_prepared: true };
    let life = TaskLife::new(0, Timestamp(0));
    let gang = Some(Gang::new(vec![node], Timestamp(0)));
    TaskLife { state: TaskState::Running, gang, ..life }
}

fn preparations(tx: &mut Tx<'_>, job_key: i64) -> Result<(), StoreError> {
    let life = PreparationLife::new("p".to_owned());
    tx.put_preparation(&Preparation { job_key, node_id: "n".to_owned(), life })?;
    tx.preparation(job_key, "n")?;
    tx.preparations_after(job_key, "", 9)?;
    tx.lasting_preparations(job_key, 9)?;
    tx.releasing_preparations(job_key, 9)?;
    tx.preparations_of_node("n")?;
    tx.excluded_nodes(job_key)?;
    Ok(())
}

fn job_schedules(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let life = JobScheduleLife::new(Timestamp(0));
    let (account, id, document) = ("a".to_owned(), "s".to_owned(), "{}".to_owned());
    let schedule = JobSchedule { key: 0, account, id, document, life };
    let key = tx.insert_job_schedule(&schedule)?;
    tx.job_schedule("a", "S")?;
    tx.job_schedule_by_key(key)?;
    tx.job_schedules_after("a", "", 9)?;
    tx.all_job_schedule_keys()?;
    tx.jobs_of_schedule_after(key, "", 9)?;
    tx.update_job_schedule(key, &schedule.life)?;
    tx.update_job_schedule_spec(key, "{}")?;
    tx.delete_job_schedule(key)
}

fn kept_files(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let node_key = tx.insert_kept_node("a", "n")?;
    tx.unsorted_kept_nodes()?;
    tx.unsorted_kept_nodes_of("n")?;
    tx.unsorted_kept_node(node_key)?;
    tx.has_kept_node(node_key)?;
    let kept = KeptTask {
        job_key: 1,
        task_id: "t".to_owned(),
        node_key,
        sequence: 1,
        ended_at: Timestamp(5),
        path: "workitems/j/job-1/t".to_owned(),
        bytes: 9,
        keep_until: Timestamp(7),
    };
    tx.insert_kept_task(&kept)?;
    let life = TaskLife { ended_at: Some(Timestamp(5)), ..TaskLife::new(0, Timestamp(0)) };
    tx.kept_task(&Task {
        job_key: 1,
        id: "T".to_owned(),
        sequence: 1,
        needs: TaskNeeds::slots(1),
        ties: Ties::default(),
        n_unmet: 0,
        document: "{}".to_owned(),
        life,
    })?;
    tx.due_kept_tasks(Timestamp(9), 9)?;
    tx.oldest_kept_tasks(9)?;
    tx.next_due_kept_task()?;
    tx.kept_bytes()?;
    tx.delete_kept_task(&kept)?;
    tx.sort_kept_node(node_key)?;
    tx.delete_empty_kept_node(node_key)?;
    Ok(())
}

fn blobs(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let now = Timestamp(0);
    let container = Container {
        name: "c".to_owned(),
        modified_at: now,
        metadata: Metadata::default(),
        public_access: PublicAccess::Private,
        policies: Vec::new(),
        lease: None,
        deleted: None,
    };
    tx.insert_container("a", &container)?;
    let key: ContainerKey = tx.container("a", "c")?.ok_or(StoreError::Closed)?.key;
    tx.containers("a", b"", 9)?;
    tx.deleted_containers()?;
    tx.update_container(key, &container)?;
    let extent = tx.insert_extent(&ExtentPlace::Inline(Vec::new()))?;
    tx.extent_place(extent)?;
    tx.extent_uses(extent)?;
    tx.unnamed_files(&[1])?;
    let block = Block { id: "AAAA".to_owned(), extent, offset: 0, size_bytes: 0 };
    tx.put_staged_block(key, "b", &block, (None, now))?;
    tx.put_staged_block(key, "b", &block, (None, Timestamp(1)))?;
    tx.staged(key, "b")?;
    tx.staged_blocks(key, "b")?;
    tx.uncommitted_names(key, b"", 9)?;
    tx.stale_uploads(Timestamp(9), 9)?;
    tx.take_staged_blocks(key, "b")?;
    tx.take_uploads(key, 9)?;
    let mut uses = ExtentUses::default();
    let tags = Tags::admit([("k".to_owned(), "v".to_owned())]).unwrap_or_default();
    let blob = Blob { tags, ..empty_blob("b", Edition::Current) };
    tx.put_blob(key, &blob, &[block])?;
    tx.blob(key, "b")?;
    tx.blob_blocks(key, "b", None)?;
    tx.blobs(key, b"", 9)?;
    tx.past_of_blob(key, "b")?;
    tx.past_blobs(key, (b"", now), 9)?;
    tx.purgeable_blobs(now, 9)?;
    tx.update_blob(key, &blob)?;
    tx.tagged(key, "k", ("", b""), 9)?;
    tx.put_pending_copy(key, "b", "id")?;
    tx.pending_copies(9)?;
    tx.delete_pending_copy(key, "b", "id")?;
    let list = tx.insert_piece_list()?;
    tx.put_piece(list, &Piece { start: 0, slice: Slice { extent, offset: 0, length: 1 } })?;
    tx.pieces(list, 0, 9, 9)?;
    let copy = tx.copy_piece_list(list)?;
    tx.delete_piece(list, 0)?;
    let past = Blob { pieces: Some(copy), ..empty_blob("b", Edition::Snapshot(now)) };
    tx.put_blob(key, &past, &[])?;
    tx.take_blobs(key, 9, &mut uses)?;
    tx.apply_extent_uses(uses)?;
    let mut uses = ExtentUses::default();
    uses.add(extent);
    tx.apply_extent_uses(uses)?;
    let mut uses = ExtentUses::default();
    uses.remove(extent);
    tx.apply_extent_uses(uses)?;
    tx.mark_container_kept(key, Deletion { deleted_at: now, purge_at: now })?;
    tx.kept_containers("a", (b"", key), 9)?;
    tx.restore_container(key, "c")?;
    tx.expire_containers(now, 9)?;
    tx.mark_container_deleted(key)?;
    tx.delete_container(key)
}

fn empty_blob(name: &str, edition: Edition) -> Blob {
    Blob {
        name: name.to_owned(),
        edition,
        kind: BlobKind::Block,
        created_at: Timestamp(0),
        modified_at: Timestamp(0),
        size_bytes: 0,
        properties: ContentProperties::default(),
        metadata: Metadata::default(),
        tags: Tags::default(),
        lease: None,
        details: BlobDetails::default(),
        pieces: None,
        deleted: None,
    }
}
