//! Why a request is refused.
//!
//! A rejection is not a failure: a rule said no, and the client can act on it.
//! One variant per rule, carrying the values that rule looked at. The code, status and
//! wording that Azure's clients expect are given on the wire, one per variant.

use crate::time::Timestamp;

/// A rule of Batch that said no, with what it looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    // Properties of any body.
    /// The value of a property breaks a rule; the general rejection of a body.
    #[error("property `{name}` cannot be `{value}`: {reason}")]
    InvalidProperty {
        /// Path of the property in the body.
        name: String,
        /// What it was.
        value: String,
        /// Why not, as a sentence for the client.
        reason: String,
    },
    /// A property that this request needs is absent.
    #[error("property `{name}` is missing")]
    MissingProperty {
        /// Path of the property in the body.
        name: String,
    },
    /// An item of metadata has no name.
    #[error("an item of `metadata` has no name")]
    MetadataWithoutName,
    // Pools.
    /// A pool of that name is there.
    #[error("pool `{pool}` already exists")]
    PoolExists {
        /// The pool.
        pool: String,
    },
    /// No pool of that name.
    #[error("pool `{pool}` does not exist")]
    PoolNotFound {
        /// The pool.
        pool: String,
    },
    /// The pool is going away and takes no more changes.
    #[error("pool `{pool}` is being deleted")]
    PoolBeingDeleted {
        /// The pool.
        pool: String,
    },
    /// A resize runs; another cannot begin.
    #[error("pool `{pool}` is being resized")]
    PoolBeingResized {
        /// The pool.
        pool: String,
    },
    /// A pool with autoscale is not resized by hand.
    #[error("pool `{pool}` is sized by its autoscale formula")]
    PoolScalesItself {
        /// The pool.
        pool: String,
    },
    /// Autoscale is off, so there is nothing to evaluate.
    #[error("pool `{pool}` has no autoscale formula")]
    PoolDoesNotScaleItself {
        /// The pool.
        pool: String,
    },
    /// The change is allowed only while the pool has no nodes.
    #[error("pool `{pool}` still has nodes")]
    PoolNotEmpty {
        /// The pool.
        pool: String,
    },
    /// The system of the pool is not one that is upgraded by its name.
    #[error("the system of pool `{pool}` can not be upgraded")]
    PoolSystemFixed {
        /// The pool.
        pool: String,
    },
    /// The pool has the system that it is to be upgraded to.
    #[error("pool `{pool}` already has this system")]
    PoolSystemUnchanged {
        /// The pool.
        pool: String,
    },
    /// The pool is of a kind that does not offer the operation.
    #[error("the operation is not valid on pool `{pool}`: {reason}")]
    PoolOperationInvalid {
        /// The pool.
        pool: String,
        /// Why not, as a sentence for the client.
        reason: String,
    },
    /// The account may have no more pools.
    #[error("the account already has its {limit} pools")]
    PoolQuotaReached {
        /// The most there may be.
        limit: u64,
    },
    /// Autoscale was enabled too soon after the last time.
    #[error("autoscale of pool `{pool}` was set less than 30 seconds ago")]
    AutoScaleEnabledTooOften {
        /// The pool.
        pool: String,
    },
    /// The formula is too long.
    #[error("the autoscale formula has {length} characters, more than {limit}")]
    AutoScaleFormulaTooLong {
        /// How long it is.
        length: usize,
        /// The most there may be.
        limit: usize,
    },
    /// The formula does not parse.
    #[error("the autoscale formula is wrong: {reason}")]
    AutoScaleFormulaInvalid {
        /// Why not, as a sentence for the client.
        reason: String,
    },
    /// Formula, interval and targets do not go together.
    #[error("the autoscale settings contradict each other: {reason}")]
    AutoScaleSettingsInvalid {
        /// Why not, as a sentence for the client.
        reason: String,
    },
    /// No application of that name.
    #[error("application `{application}` does not exist")]
    ApplicationNotFound {
        /// The application.
        application: String,
    },
    /// A reference to an application package leads nowhere.
    #[error("application `{application}` has no package `{version}`")]
    ApplicationPackageNotFound {
        /// The application.
        application: String,
        /// The package's version.
        version: String,
    },
    /// No package of that version.
    #[error("application `{application}` has no package `{version}`")]
    PackageNotFound {
        /// The application.
        application: String,
        /// The package's version.
        version: String,
    },
    /// The package's file is not where it was to be uploaded to.
    #[error("the file of package `{version}` of application `{application}` was not uploaded")]
    PackageNotUploaded {
        /// The application.
        application: String,
        /// The package's version.
        version: String,
    },
    /// The application does not allow that a version is uploaded again.
    #[error("packages of application `{application}` may not be uploaded again")]
    PackageUpdatesOff {
        /// The application.
        application: String,
    },
    /// References without a version mean this package.
    #[error("`{version}` is the default version of application `{application}`")]
    PackageIsDefault {
        /// The application.
        application: String,
        /// The package's version.
        version: String,
    },
    /// A default version must be one that nodes may get.
    #[error("package `{version}` of application `{application}` is not active")]
    DefaultVersionNotActive {
        /// The application.
        application: String,
        /// The package's version.
        version: String,
    },
    /// An application goes only without packages.
    #[error("application `{application}` still has packages")]
    ApplicationNotEmpty {
        /// The application.
        application: String,
    },
    /// The account may have no more applications.
    #[error("the account already has its {limit} applications")]
    ApplicationQuotaReached {
        /// The most there may be.
        limit: usize,
    },
    /// The application may have no more packages.
    #[error("application `{application}` already has its {limit} packages")]
    PackageQuotaReached {
        /// The application.
        application: String,
        /// The most there may be.
        limit: usize,
    },
    /// There is no storage account to keep files in.
    #[error("there is no storage account for the files of the Batch account")]
    NoLinkedStorage,
    // Nodes.
    /// No node of that name in the pool.
    #[error("node `{node}` does not exist")]
    NodeNotFound {
        /// The node.
        node: String,
    },
    /// The node is not there yet.
    #[error("node `{node}` is being created")]
    NodeBeingCreated {
        /// The node.
        node: String,
    },
    /// The node is not ready yet.
    #[error("node `{node}` is starting")]
    NodeBeingStarted {
        /// The node.
        node: String,
    },
    /// The node is away for a reboot.
    #[error("node `{node}` is rebooting")]
    NodeBeingRebooted {
        /// The node.
        node: String,
    },
    /// The node is away to be made anew.
    #[error("node `{node}` is being reimaged")]
    NodeBeingReimaged {
        /// The node.
        node: String,
    },
    /// The node cannot do anything.
    #[error("node `{node}` is unusable")]
    NodeUnusable {
        /// The node.
        node: String,
    },
    /// The node's state does not allow the operation.
    #[error("node `{node}` is {state}")]
    NodeNotReady {
        /// The node.
        node: String,
        /// The state it is in.
        state: String,
    },
    /// The agent of the node is out of reach.
    #[error("node `{node}` can not be reached")]
    NodeUnreachable {
        /// The node.
        node: String,
    },
    /// The node is of a kind that does not offer the operation.
    #[error("the operation is not valid on node `{node}`: {reason}")]
    NodeOperationInvalid {
        /// The node.
        node: String,
        /// Why not, as a sentence for the client.
        reason: String,
    },
    /// Scheduling is already as asked for.
    #[error("scheduling on node `{node}` is already {state}")]
    NodeSchedulingUnchanged {
        /// The node.
        node: String,
        /// The state it is in.
        state: String,
    },
    /// No extension of that name on the node.
    #[error("node `{node}` has no extension `{extension}`")]
    NodeExtensionNotFound {
        /// The node.
        node: String,
        /// The extension.
        extension: String,
    },
    /// A user of that name is on the node.
    #[error("node `{node}` already has a user `{user}`")]
    NodeUserExists {
        /// The node.
        node: String,
        /// The user.
        user: String,
    },
    /// No user of that name on the node.
    #[error("node `{node}` has no user `{user}`")]
    NodeUserNotFound {
        /// The node.
        node: String,
        /// The user.
        user: String,
    },
    // Jobs.
    /// A job of that name is there.
    #[error("job `{job}` already exists")]
    JobExists {
        /// The job.
        job: String,
    },
    /// No job of that name.
    #[error("job `{job}` does not exist")]
    JobNotFound {
        /// The job.
        job: String,
    },
    /// The job is over.
    #[error("job `{job}` is completed")]
    JobCompleted {
        /// The job.
        job: String,
    },
    /// The job is ending.
    #[error("job `{job}` is being terminated")]
    JobBeingTerminated {
        /// The job.
        job: String,
    },
    /// The job is going away and takes no more changes.
    #[error("job `{job}` is being deleted")]
    JobBeingDeleted {
        /// The job.
        job: String,
    },
    /// The operation needs an active job.
    #[error("job `{job}` is {state}, not active")]
    JobNotActive {
        /// The job.
        job: String,
        /// The state it is in.
        state: String,
    },
    /// The change is allowed only while the job is disabled.
    #[error("job `{job}` is {state}, not disabled")]
    JobNotDisabled {
        /// The job.
        job: String,
        /// The state it is in.
        state: String,
    },
    /// There is no status to list.
    #[error("job `{job}` has neither a preparation nor a release task")]
    JobHasNoPreparationOrRelease {
        /// The job.
        job: String,
    },
    /// The account may have no more active jobs and schedules.
    #[error("the account already has its {limit} active jobs and schedules")]
    JobQuotaReached {
        /// The most there may be.
        limit: u64,
    },
    /// A new job may not be named like a schedule.
    #[error("a job schedule `{id}` already exists")]
    JobScheduleWithSameIdExists {
        /// The name.
        id: String,
    },
    // Job schedules.
    /// A schedule of that name is there.
    #[error("job schedule `{schedule}` already exists")]
    JobScheduleExists {
        /// The schedule.
        schedule: String,
    },
    /// No schedule of that name.
    #[error("job schedule `{schedule}` does not exist")]
    JobScheduleNotFound {
        /// The schedule.
        schedule: String,
    },
    /// The schedule is over.
    #[error("job schedule `{schedule}` is completed")]
    JobScheduleCompleted {
        /// The schedule.
        schedule: String,
    },
    /// The schedule is switched off.
    #[error("job schedule `{schedule}` is disabled")]
    JobScheduleDisabled {
        /// The schedule.
        schedule: String,
    },
    /// The schedule is ending.
    #[error("job schedule `{schedule}` is being terminated")]
    JobScheduleBeingTerminated {
        /// The schedule.
        schedule: String,
    },
    /// The schedule is going away and takes no more changes.
    #[error("job schedule `{schedule}` is being deleted")]
    JobScheduleBeingDeleted {
        /// The schedule.
        schedule: String,
    },
    /// A new schedule may not be named like a job.
    #[error("a job `{id}` already exists")]
    JobWithSameIdExists {
        /// The name.
        id: String,
    },
    // Tasks.
    /// A task of that name is in the job.
    #[error("task `{task}` already exists")]
    TaskExists {
        /// The task.
        task: String,
    },
    /// No task of that name in the job.
    #[error("task `{task}` does not exist")]
    TaskNotFound {
        /// The task.
        task: String,
    },
    /// The task is over.
    #[error("task `{task}` is completed")]
    TaskCompleted {
        /// The task.
        task: String,
    },
    /// Only completed tasks can be reactivated.
    #[error("task `{task}` is not completed")]
    TaskNotCompleted {
        /// The task.
        task: String,
    },
    /// A task that succeeded is not reactivated.
    #[error("task `{task}` succeeded")]
    TaskSucceeded {
        /// The task.
        task: String,
    },
    /// The name is taken by the preparation task.
    #[error("task `{task}` is named like the job's preparation task")]
    TaskNamedLikePreparation {
        /// The task.
        task: String,
    },
    /// The name is taken by the release task.
    #[error("task `{task}` is named like the job's release task")]
    TaskNamedLikeRelease {
        /// The task.
        task: String,
    },
    /// The task depends on others and its job does not allow that.
    #[error("job `{job}` does not use task dependencies")]
    TaskDependenciesOff {
        /// The job.
        job: String,
    },
    /// The list of tasks it depends on is too long.
    #[error("the task depends on {length} characters of ids, more than {limit}")]
    TaskDependencyListTooLong {
        /// How long it is.
        length: usize,
        /// The most there may be.
        limit: usize,
    },
    /// The task depends on too many ranges of tasks.
    #[error("the task depends on {count} ranges of ids, more than {limit}")]
    TaskDependencyRangesTooLong {
        /// How many.
        count: usize,
        /// The most there may be.
        limit: usize,
    },
    /// Too many tasks in one collection.
    #[error("{count} tasks in one request, more than {limit}")]
    TooManyTasks {
        /// How many.
        count: usize,
        /// The most there may be.
        limit: usize,
    },
    /// One task is larger than a request may be.
    #[error("the task has {size_bytes} bytes, more than {limit_bytes}")]
    TaskTooLarge {
        /// How large it is.
        size_bytes: usize,
        /// How large it may be.
        limit_bytes: usize,
    },
    // Files.
    /// No file at that path.
    #[error("file `{path}` does not exist")]
    FileNotFound {
        /// The path.
        path: String,
    },
    /// No file or directory at that path.
    #[error("path `{path}` does not exist")]
    PathNotFound {
        /// The path.
        path: String,
    },
    /// A directory has no content to read.
    #[error("`{path}` is a directory")]
    FileIsDirectory {
        /// The path.
        path: String,
    },
    /// A directory with content is deleted only recursively.
    #[error("directory `{path}` is not empty")]
    DirectoryNotEmpty {
        /// The path.
        path: String,
    },
    /// The range begins after the end of the file.
    #[error("range `{range}` is not within file `{path}`")]
    RangeInvalid {
        /// The path.
        path: String,
        /// The range asked for.
        range: String,
    },
    /// There are no files yet.
    #[error("task `{task}` has not started, so it has no files")]
    TaskNotStarted {
        /// The task.
        task: String,
    },
    /// The node of the task is gone or out of reach.
    #[error("files of task `{task}` are not available")]
    TaskFilesUnavailable {
        /// The task.
        task: String,
    },
    /// The task's directory is gone.
    #[error("files of task `{task}` were removed after their retention time")]
    TaskFilesCleanedUp {
        /// The task.
        task: String,
    },
    /// The node is out of reach.
    #[error("files of node `{node}` are not available")]
    NodeFilesUnavailable {
        /// The node.
        node: String,
    },
    // Certificates.
    /// A certificate with that thumbprint is there.
    #[error("certificate `{thumbprint}` already exists")]
    CertificateExists {
        /// The certificate.
        thumbprint: String,
    },
    /// No certificate with that thumbprint.
    #[error("certificate `{thumbprint}` does not exist")]
    CertificateNotFound {
        /// The certificate.
        thumbprint: String,
    },
    /// The certificate is going away.
    #[error("certificate `{thumbprint}` is being deleted")]
    CertificateBeingDeleted {
        /// The certificate.
        thumbprint: String,
    },
    /// A reference to a certificate leads nowhere.
    #[error("there is no active certificate `{thumbprint}` to refer to")]
    CertificateReferenceInvalid {
        /// The certificate.
        thumbprint: String,
    },
    /// The account may have no more certificates.
    #[error("the account already has its {limit} certificates")]
    CertificateQuotaReached {
        /// The most there may be.
        limit: usize,
    },
    /// There is no deletion to cancel.
    #[error("certificate `{thumbprint}` is not being deleted")]
    CertificateActive {
        /// The certificate.
        thumbprint: String,
    },
    // Conditions.
    /// A condition of a change does not hold.
    #[error("the resource was last modified at {last_modified}, which the conditions exclude")]
    ConditionNotMet {
        /// When the resource was last modified.
        last_modified: Timestamp,
    },
    /// A condition of a read says that the client already has it.
    #[error("the resource has not changed since {last_modified}")]
    NotModified {
        /// When the resource was last modified.
        last_modified: Timestamp,
    },
}

impl Rejection {
    /// The general rejection of a property, for rules with no variant of their own.
    pub fn property(
        name: impl Into<String>,
        value: impl ToString,
        reason: impl Into<String>,
    ) -> Self {
        Self::InvalidProperty { name: name.into(), value: value.to_string(), reason: reason.into() }
    }
}

impl Rejection {
    /// The same of a body that is the member `parent` of another.
    #[must_use]
    pub fn within(mut self, parent: &str) -> Self {
        if let Self::InvalidProperty { name, .. } | Self::MissingProperty { name } = &mut self {
            *name = format!("{parent}.{name}");
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::Rejection;

    #[test]
    fn says_what_was_refused() {
        let rejection = Rejection::property("taskSlotsPerNode", 300, "at most 256");
        assert_eq!(
            rejection.to_string(),
            "property `taskSlotsPerNode` cannot be `300`: at most 256"
        );
    }
}
