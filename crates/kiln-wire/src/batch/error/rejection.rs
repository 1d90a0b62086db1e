//! What each rule that says no answers on the wire.

use kiln_domain::rejection::Rejection;

use super::Refusal;
use super::code::Code;

impl From<Rejection> for Refusal {
    #[expect(clippy::too_many_lines, reason = "one line for each rule, and no rule without one")]
    fn from(rejection: Rejection) -> Self {
        use {Code as C, Rejection as R};
        match &rejection {
            R::InvalidProperty { name, value, reason } => {
                Self::invalid_property(name, value, reason)
            }
            R::MissingProperty { name } => Self::missing_property(name),
            R::MetadataWithoutName => C::EMPTY_METADATA_KEY.refusal(),
            R::PoolExists { .. } => C::POOL_EXISTS.refusal(),
            R::PoolNotFound { .. } => C::POOL_NOT_FOUND.refusal(),
            R::PoolBeingDeleted { .. } => C::POOL_BEING_DELETED.refusal(),
            R::PoolBeingResized { .. } => C::POOL_BEING_RESIZED.refusal(),
            R::PoolScalesItself { .. } => {
                C::OPERATION_INVALID.refusal().because(rejection.to_string())
            }
            R::PoolDoesNotScaleItself { .. } => {
                C::OPERATION_INVALID.refusal().because(rejection.to_string())
            }
            R::PoolNotEmpty { .. } => C::OPERATION_INVALID.refusal().because(rejection.to_string()),
            R::PoolSystemFixed { .. } => C::POOL_NOT_ELIGIBLE_FOR_UPGRADE.refusal(),
            R::PoolSystemUnchanged { .. } => C::POOL_VERSION_EQUALS_UPGRADE_VERSION.refusal(),
            R::PoolOperationInvalid { reason, .. } => {
                C::OPERATION_NOT_VALID_ON_POOL.refusal().because(reason)
            }
            R::PoolQuotaReached { .. } => C::POOL_QUOTA_REACHED.refusal(),
            R::AutoScaleEnabledTooOften { .. } => C::TOO_MANY_ENABLE_AUTO_SCALE.refusal(),
            R::AutoScaleFormulaTooLong { .. } => {
                C::AUTO_SCALING_FORMULA_TOO_LONG.refusal().because(rejection.to_string())
            }
            R::AutoScaleFormulaInvalid { reason, .. } => {
                C::AUTO_SCALING_FORMULA_SYNTAX_ERROR.refusal().because(reason)
            }
            R::AutoScaleSettingsInvalid { reason, .. } => {
                C::INVALID_AUTO_SCALING_SETTINGS.refusal().because(reason)
            }
            R::ApplicationNotFound { .. } => C::APPLICATION_NOT_FOUND.refusal(),
            R::ApplicationPackageNotFound { .. } => {
                C::INVALID_APPLICATION_PACKAGES.refusal().because(rejection.to_string())
            }
            R::PackageNotFound { .. } => C::PACKAGE_NOT_FOUND.refusal(),
            R::PackageNotUploaded { .. } => C::PACKAGE_BLOB_NOT_FOUND.refusal(),
            R::PackageUpdatesOff { .. } => C::PACKAGE_UPDATES_OFF.refusal(),
            R::PackageIsDefault { .. } => C::PACKAGE_IS_DEFAULT.refusal(),
            R::DefaultVersionNotActive { .. } => C::DEFAULT_VERSION_NOT_ACTIVE.refusal(),
            R::ApplicationNotEmpty { .. } => C::APPLICATION_NOT_EMPTY.refusal(),
            R::ApplicationQuotaReached { .. } => C::APPLICATION_QUOTA_REACHED.refusal(),
            R::PackageQuotaReached { .. } => C::PACKAGE_QUOTA_REACHED.refusal(),
            R::NoLinkedStorage => {
                C::STORAGE_ACCOUNT_NOT_FOUND.refusal().because(rejection.to_string())
            }
            R::NodeNotFound { .. } => C::NODE_NOT_FOUND.refusal(),
            R::NodeBeingCreated { .. } => C::NODE_BEING_CREATED.refusal(),
            R::NodeBeingStarted { .. } => C::NODE_BEING_STARTED.refusal(),
            R::NodeBeingRebooted { .. } => C::NODE_BEING_REBOOTED.refusal(),
            R::NodeBeingReimaged { .. } => C::NODE_BEING_REIMAGED.refusal(),
            R::NodeUnusable { .. } => C::NODE_STATE_UNUSABLE.refusal(),
            R::NodeNotReady { .. } => C::OPERATION_INVALID.refusal().because(rejection.to_string()),
            R::NodeUnreachable { .. } => C::NODE_NOT_READY.refusal().because(rejection.to_string()),
            R::NodeOperationInvalid { reason, .. } => {
                C::OPERATION_NOT_VALID_ON_NODE.refusal().because(reason)
            }
            R::NodeSchedulingUnchanged { .. } => C::NODE_ALREADY_IN_SCHEDULING_STATE.refusal(),
            R::NodeExtensionNotFound { .. } => C::RESOURCE_NOT_FOUND.refusal(),
            R::NodeUserExists { .. } => C::NODE_USER_EXISTS.refusal(),
            R::NodeUserNotFound { .. } => C::NODE_USER_NOT_FOUND.refusal(),
            R::JobExists { .. } => C::JOB_EXISTS.refusal(),
            R::JobNotFound { .. } => C::JOB_NOT_FOUND.refusal(),
            R::JobCompleted { .. } => C::JOB_COMPLETED.refusal(),
            R::JobBeingTerminated { .. } => C::JOB_BEING_TERMINATED.refusal(),
            R::JobBeingDeleted { .. } => C::JOB_BEING_DELETED.refusal(),
            R::JobNotActive { .. } => C::JOB_NOT_ACTIVE.refusal().because(rejection.to_string()),
            R::JobNotDisabled { .. } => {
                C::OPERATION_INVALID.refusal().because(rejection.to_string())
            }
            R::JobHasNoPreparationOrRelease { .. } => C::JOB_HAS_NO_PREPARATION.refusal(),
            R::JobQuotaReached { .. } => C::ACTIVE_JOB_QUOTA_REACHED.refusal(),
            R::JobScheduleWithSameIdExists { .. } => C::JOB_SCHEDULE_WITH_SAME_ID.refusal(),
            R::JobScheduleExists { .. } => C::JOB_SCHEDULE_EXISTS.refusal(),
            R::JobScheduleNotFound { .. } => C::JOB_SCHEDULE_NOT_FOUND.refusal(),
            R::JobScheduleCompleted { .. } => C::JOB_SCHEDULE_COMPLETED.refusal(),
            R::JobScheduleDisabled { .. } => C::JOB_SCHEDULE_DISABLED.refusal(),
            R::JobScheduleBeingTerminated { .. } => C::JOB_SCHEDULE_BEING_TERMINATED.refusal(),
            R::JobScheduleBeingDeleted { .. } => C::JOB_SCHEDULE_BEING_DELETED.refusal(),
            R::JobWithSameIdExists { .. } => C::JOB_WITH_SAME_ID.refusal(),
            R::TaskExists { .. } => C::TASK_EXISTS.refusal(),
            R::TaskNotFound { .. } => C::TASK_NOT_FOUND.refusal(),
            R::TaskCompleted { .. } => C::TASK_COMPLETED.refusal(),
            R::TaskNotCompleted { .. } => C::TASK_NOT_COMPLETED.refusal(),
            R::TaskSucceeded { .. } => C::TASK_SUCCEEDED.refusal(),
            R::TaskNamedLikePreparation { .. } => C::TASK_ID_SAME_AS_PREPARATION.refusal(),
            R::TaskNamedLikeRelease { .. } => C::TASK_ID_SAME_AS_RELEASE.refusal(),
            R::TaskDependenciesOff { .. } => C::TASK_DEPENDENCIES_NOT_SPECIFIED.refusal(),
            R::TaskDependencyListTooLong { .. } => {
                C::TASK_DEPENDENCY_LIST_TOO_LONG.refusal().because(rejection.to_string())
            }
            R::TaskDependencyRangesTooLong { .. } => {
                C::TASK_DEPENDENCY_RANGES_TOO_LONG.refusal().because(rejection.to_string())
            }
            R::TooManyTasks { count, limit } => Self::invalid_property(
                "value",
                count.to_string(),
                format!("A collection has at most {limit} tasks"),
            ),
            R::TaskTooLarge { limit_bytes, .. } => Self::body_too_large(*limit_bytes),
            R::FileNotFound { .. } => C::FILE_NOT_FOUND.refusal(),
            R::PathNotFound { .. } => C::PATH_NOT_FOUND.refusal(),
            R::FileIsDirectory { .. } => {
                C::OPERATION_INVALID.refusal().because(rejection.to_string())
            }
            R::DirectoryNotEmpty { .. } => {
                C::OPERATION_INVALID.refusal().because(rejection.to_string())
            }
            R::RangeInvalid { .. } => C::INVALID_RANGE.refusal(),
            R::TaskNotStarted { .. } => {
                C::OPERATION_INVALID.refusal().because(rejection.to_string())
            }
            R::TaskFilesUnavailable { .. } => C::TASK_FILES_UNAVAILABLE.refusal(),
            R::TaskFilesCleanedUp { .. } => C::TASK_FILES_CLEANED_UP.refusal(),
            R::NodeFilesUnavailable { .. } => {
                C::NODE_NOT_READY.refusal().because(rejection.to_string())
            }
            R::CertificateExists { .. } => C::CERTIFICATE_EXISTS.refusal(),
            R::CertificateNotFound { .. } => C::CERTIFICATE_NOT_FOUND.refusal(),
            R::CertificateBeingDeleted { .. } => C::CERTIFICATE_BEING_DELETED.refusal(),
            R::CertificateReferenceInvalid { .. } => {
                C::INVALID_CERTIFICATE_REFERENCES.refusal().because(rejection.to_string())
            }
            R::CertificateQuotaReached { .. } => C::CERTIFICATE_QUOTA_REACHED.refusal(),
            R::CertificateActive { .. } => C::CERTIFICATE_STATE_ACTIVE.refusal(),
            R::ConditionNotMet { .. } => C::CONDITION_NOT_MET.refusal(),
            R::NotModified { .. } => C::NOT_MODIFIED.refusal(),
        }
    }
}
