//! Every code of the Batch service that Kiln answers with: status, name and sentence.
//!
//! The names are the contract; clients branch on them. Some clients also search the sentences,
//! those are worded as the service words them.

use super::Refusal;

/// One kind of refusal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Code {
    status: u16,
    name: &'static str,
    sentence: &'static str,
}

const fn code(status: u16, name: &'static str, sentence: &'static str) -> Code {
    Code { status, name, sentence }
}

impl Code {
    /// A refusal with this code and nothing more.
    pub(super) fn refusal(self) -> Refusal {
        Refusal {
            status: self.status,
            code: self.name,
            message: self.sentence.to_owned(),
            values: Vec::new(),
        }
    }
}

impl Code {
    pub(super) const MISSING_REQUIRED_HEADER: Self = code(
        400,
        "MissingRequiredHeader",
        "An HTTP header that's mandatory for this request is not specified.",
    );
    pub(super) const INVALID_HEADER_VALUE: Self = code(
        400,
        "InvalidHeaderValue",
        "The value provided for one of the HTTP headers is not in the correct format.",
    );
    pub(super) const MISSING_REQUIRED_QUERY_PARAMETER: Self = code(
        400,
        "MissingRequiredQueryParameter",
        "A query parameter that's mandatory for this request is not specified.",
    );
    pub(super) const INVALID_QUERY_PARAMETER_VALUE: Self = code(
        400,
        "InvalidQueryParameterValue",
        "Value for one of the query parameters specified in the request URI is invalid.",
    );
    pub(super) const UNSUPPORTED_QUERY_PARAMETER: Self = code(
        400,
        "UnsupportedQueryParameter",
        "One of the query parameters specified in the request URI is not supported.",
    );
    pub(super) const UNSUPPORTED_REQUEST_VERSION: Self =
        code(400, "UnsupportedRequestVersion", "The specified api version is not supported.");
    pub(super) const INVALID_REQUEST_BODY: Self =
        code(400, "InvalidRequestBody", "The specified request body is not syntactically valid.");
    pub(super) const MISSING_REQUIRED_PROPERTY: Self = code(
        400,
        "MissingRequiredProperty",
        "A required property was not specified in the request body.",
    );
    pub(super) const UNSUPPORTED_PROPERTY: Self = code(
        400,
        "UnsupportedProperty",
        "One of the properties specified in the request body is not supported.",
    );
    pub(super) const INVALID_PROPERTY_VALUE: Self = code(
        400,
        "InvalidPropertyValue",
        "The value provided for one of the properties in the request body is invalid.",
    );
    pub(super) const EMPTY_METADATA_KEY: Self =
        code(400, "EmptyMetadataKey", "The key for one of the metadata key-value pairs is empty.");
    pub(super) const INVALID_AUTHENTICATION_INFO: Self = code(
        400,
        "InvalidAuthenticationInfo",
        "The authentication information was not provided in the correct format. Verify the value of Authorization header.",
    );
    pub(super) const INVALID_URI: Self =
        code(400, "InvalidUri", "The requested URI does not represent any resource on the server.");
    pub(super) const MULTIPLE_CONDITION_HEADERS: Self = code(
        400,
        "MultipleConditionHeadersNotSupported",
        "Multiple condition headers are not supported.",
    );
    pub(super) const INVALID_AUTO_SCALING_SETTINGS: Self =
        code(400, "InvalidAutoScalingSettings", "The specified autoscale settings are not valid.");
    pub(super) const AUTO_SCALING_FORMULA_SYNTAX_ERROR: Self = code(
        400,
        "AutoScalingFormulaSyntaxError",
        "The specified autoscale formula has a syntax error.",
    );
    pub(super) const AUTO_SCALING_FORMULA_TOO_LONG: Self =
        code(400, "AutoScalingFormulaTooLong", "The specified autoscale formula is too long.");
    pub(super) const TASK_DEPENDENCIES_NOT_SPECIFIED: Self = code(
        400,
        "TaskDependenciesNotSpecifiedOnJob",
        "The specified task has dependencies and its job does not use task dependencies.",
    );
    pub(super) const TASK_DEPENDENCY_LIST_TOO_LONG: Self = code(
        400,
        "TaskDependencyListTooLong",
        "The list of tasks that the specified task depends on is too long.",
    );
    pub(super) const TASK_DEPENDENCY_RANGES_TOO_LONG: Self = code(
        400,
        "TaskDependencyRangesTooLong",
        "The list of ranges of tasks that the specified task depends on is too long.",
    );
    pub(super) const AUTHENTICATION_FAILED: Self = code(
        403,
        "AuthenticationFailed",
        "Server failed to authorize the request. Make sure the value of Authorization header is formed correctly including the signature.",
    );
    pub(super) const FORBIDDEN: Self = code(403, "Forbidden", "Access is Forbidden");
    pub(super) const RESOURCE_NOT_FOUND: Self =
        code(404, "ResourceNotFound", "The specified resource does not exist.");
    pub(super) const POOL_NOT_FOUND: Self =
        code(404, "PoolNotFound", "The specified pool does not exist.");
    pub(super) const NODE_NOT_FOUND: Self =
        code(404, "NodeNotFound", "The specified node does not exist.");
    pub(super) const NODE_USER_NOT_FOUND: Self =
        code(404, "NodeUserNotFound", "The node user does not exist");
    pub(super) const JOB_NOT_FOUND: Self =
        code(404, "JobNotFound", "The specified job does not exist.");
    pub(super) const JOB_SCHEDULE_NOT_FOUND: Self =
        code(404, "JobScheduleNotFound", "The specified job schedule does not exist.");
    pub(super) const TASK_NOT_FOUND: Self =
        code(404, "TaskNotFound", "The specified task does not exist.");
    pub(super) const FILE_NOT_FOUND: Self =
        code(404, "FileNotFound", "The specified file does not exist.");
    pub(super) const PATH_NOT_FOUND: Self =
        code(404, "PathNotFound", "The specified path does not exist.");
    pub(super) const APPLICATION_NOT_FOUND: Self =
        code(404, "ApplicationNotFound", "The specified application does not exist.");
    pub(super) const PACKAGE_NOT_FOUND: Self = code(
        404,
        "ApplicationPackageNotFound",
        "The specified application package does not exist.",
    );
    pub(super) const STORAGE_ACCOUNT_NOT_FOUND: Self =
        code(404, "StorageAccountNotFound", "The Batch account has no storage account.");
    pub(super) const CERTIFICATE_NOT_FOUND: Self =
        code(404, "CertificateNotFound", "The specified certificate does not exist.");
    pub(super) const UNSUPPORTED_HTTP_VERB: Self =
        code(405, "UnsupportedHttpVerb", "The resource doesn't support the specified HTTP verb.");
    pub(super) const OPERATION_INVALID: Self = code(
        409,
        "OperationInvalidForCurrentState",
        "The specified operation is not valid for the current state of the resource.",
    );
    pub(super) const OPERATION_NOT_VALID_ON_POOL: Self =
        code(409, "OperationNotValidOnPool", "The specified operation is not valid on the pool.");
    pub(super) const OPERATION_NOT_VALID_ON_NODE: Self =
        code(409, "OperationNotValidOnNode", "The specified operation is not valid on the node.");
    pub(super) const POOL_EXISTS: Self =
        code(409, "PoolExists", "The specified pool already exists.");
    pub(super) const POOL_BEING_DELETED: Self = code(
        409,
        "PoolBeingDeleted",
        "The specified pool has been marked for deletion and is being reclaimed.",
    );
    pub(super) const POOL_BEING_RESIZED: Self =
        code(409, "PoolBeingResized", "The specified pool has an ongoing resize operation.");
    pub(super) const POOL_NOT_ELIGIBLE_FOR_UPGRADE: Self = code(
        400,
        "PoolNotEligibleForOSVersionUpgrade",
        "The specified pool is not eligible for an upgrade of its operating system.",
    );
    pub(super) const POOL_VERSION_EQUALS_UPGRADE_VERSION: Self = code(
        400,
        "PoolVersionEqualsUpgradeVersion",
        "The specified pool already has the operating system that it is to be upgraded to.",
    );
    pub(super) const POOL_QUOTA_REACHED: Self =
        code(409, "PoolQuotaReached", "The pool quota for the account has been reached.");
    pub(super) const PACKAGE_BLOB_NOT_FOUND: Self = code(
        409,
        "ApplicationPackageBlobNotFound",
        "The file of the application package was not found in the storage account.",
    );
    pub(super) const PACKAGE_UPDATES_OFF: Self = code(
        409,
        "ApplicationUpdatesNotAllowed",
        "The application does not allow updates of its packages.",
    );
    pub(super) const PACKAGE_IS_DEFAULT: Self = code(
        409,
        "ApplicationPackageIsDefaultVersion",
        "The application package is the default version of its application.",
    );
    pub(super) const DEFAULT_VERSION_NOT_ACTIVE: Self = code(
        409,
        "RequestedDefaultVersionNotActive",
        "The requested default version is not an active package of the application.",
    );
    pub(super) const APPLICATION_NOT_EMPTY: Self = code(
        409,
        "ApplicationPackagesNotEmpty",
        "The application still has packages; remove them first.",
    );
    pub(super) const APPLICATION_QUOTA_REACHED: Self = code(
        409,
        "ApplicationQuotaReached",
        "The Batch account has reached its quota of applications.",
    );
    pub(super) const PACKAGE_QUOTA_REACHED: Self = code(
        409,
        "ApplicationPackageQuotaReached",
        "The application has reached its quota of packages.",
    );
    pub(super) const INVALID_APPLICATION_PACKAGES: Self = code(
        409,
        "InvalidApplicationPackageReferences",
        "One or more application package references could not be satisfied.",
    );
    pub(super) const NODE_BEING_CREATED: Self =
        code(409, "NodeBeingCreated", "The specified node is being created.");
    pub(super) const NODE_BEING_STARTED: Self =
        code(409, "NodeBeingStarted", "The specified node is being started.");
    pub(super) const NODE_BEING_REBOOTED: Self =
        code(409, "NodeBeingRebooted", "The specified node is being rebooted.");
    pub(super) const NODE_BEING_REIMAGED: Self =
        code(409, "NodeBeingReimaged", "The specified node is being reimaged.");
    pub(super) const NODE_STATE_UNUSABLE: Self =
        code(409, "NodeStateUnusable", "The specified node is in an unusable state.");
    pub(super) const NODE_ALREADY_IN_SCHEDULING_STATE: Self = code(
        409,
        "NodeAlreadyInTargetSchedulingState",
        "The specified node is already in the target scheduling state.",
    );
    pub(super) const NODE_NOT_READY: Self =
        code(409, "NodeNotReady", "The specified node is not ready to serve the request.");
    pub(super) const NODE_USER_EXISTS: Self =
        code(409, "NodeUserExists", "The specified node user already exists");
    pub(super) const JOB_EXISTS: Self = code(409, "JobExists", "The specified job already exists.");
    pub(super) const JOB_COMPLETED: Self =
        code(409, "JobCompleted", "The specified job is already in a completed state.");
    pub(super) const JOB_BEING_TERMINATED: Self =
        code(409, "JobBeingTerminated", "The specified job is being terminated.");
    pub(super) const JOB_BEING_DELETED: Self = code(
        409,
        "JobBeingDeleted",
        "The specified job has been marked for deletion and is being garbage collected.",
    );
    pub(super) const JOB_NOT_ACTIVE: Self =
        code(409, "JobNotActive", "The specified job is not active.");
    pub(super) const JOB_HAS_NO_PREPARATION: Self = code(
        409,
        "JobPreparationTaskOrReleaseTaskNotSpecified",
        "The specified job does not have either job preparation task or job release task.",
    );
    pub(super) const ACTIVE_JOB_QUOTA_REACHED: Self = code(
        409,
        "ActiveJobAndScheduleQuotaReached",
        "The active job and job schedule quota for the account has been reached.",
    );
    pub(super) const JOB_WITH_SAME_ID: Self =
        code(409, "JobWithSameIdExists", "A job with the same id already exists.");
    pub(super) const JOB_SCHEDULE_WITH_SAME_ID: Self =
        code(409, "JobScheduleWithSameIdExists", "A job schedule with the same id already exists.");
    pub(super) const JOB_SCHEDULE_EXISTS: Self =
        code(409, "JobScheduleExists", "The specified job schedule already exists.");
    pub(super) const JOB_SCHEDULE_COMPLETED: Self = code(
        409,
        "JobScheduleCompleted",
        "The specified job schedule is already in completed state.",
    );
    pub(super) const JOB_SCHEDULE_DISABLED: Self =
        code(409, "JobScheduleDisabled", "The specified job schedule is disabled.");
    pub(super) const JOB_SCHEDULE_BEING_TERMINATED: Self =
        code(409, "JobScheduleBeingTerminated", "The specified job schedule is being terminated.");
    pub(super) const JOB_SCHEDULE_BEING_DELETED: Self = code(
        409,
        "JobScheduleBeingDeleted",
        "The specified job schedule has been marked for deletion.",
    );
    pub(super) const TASK_EXISTS: Self =
        code(409, "TaskExists", "The specified task already exists.");
    pub(super) const TASK_COMPLETED: Self =
        code(409, "TaskCompleted", "The specified task is already in a completed state.");
    pub(super) const TASK_NOT_COMPLETED: Self =
        code(409, "TaskNotCompleted", "The specified task is not in a completed state.");
    pub(super) const TASK_SUCCEEDED: Self =
        code(409, "TaskSucceeded", "The specified task completed successfully.");
    pub(super) const TASK_ID_SAME_AS_PREPARATION: Self = code(
        409,
        "TaskIdSameAsJobPreparationTask",
        "The specified task has the same id as the job preparation task.",
    );
    pub(super) const TASK_ID_SAME_AS_RELEASE: Self = code(
        409,
        "TaskIdSameAsJobReleaseTask",
        "The specified task has the same id as the job release task.",
    );
    pub(super) const TASK_FILES_UNAVAILABLE: Self =
        code(409, "TaskFilesUnavailable", "The files of the specified task are unavailable.");
    pub(super) const TASK_FILES_CLEANED_UP: Self =
        code(409, "TaskFilesCleanedup", "The files of the specified task have been cleaned up.");
    pub(super) const INVALID_CERTIFICATE_REFERENCES: Self = code(
        409,
        "InvalidCertificateReferences",
        "One or more certificate references could not be satisfied.",
    );
    pub(super) const CERTIFICATE_QUOTA_REACHED: Self = code(
        409,
        "CertificateQuotaReached",
        "The Batch account has reached its quota of certificates.",
    );
    pub(super) const CERTIFICATE_EXISTS: Self =
        code(409, "CertificateExists", "The specified certificate already exists.");
    pub(super) const CERTIFICATE_BEING_DELETED: Self = code(
        409,
        "CertificateBeingDeleted",
        "The specified certificate has been marked for deletion and is being deleted.",
    );
    pub(super) const CERTIFICATE_STATE_ACTIVE: Self =
        code(409, "CertificateStateActive", "The specified certificate is in active state.");
    pub(super) const MISSING_CONTENT_LENGTH: Self =
        code(411, "MissingContentLengthHeader", "The Content-Length header was not specified.");
    pub(super) const CONDITION_NOT_MET: Self = code(
        412,
        "ConditionNotMet",
        "The condition specified using HTTP conditional header(s) is not met.",
    );
    pub(super) const NOT_MODIFIED: Self = code(
        304,
        "ConditionNotMet",
        "The condition specified using HTTP conditional header(s) is not met.",
    );
    pub(super) const REQUEST_BODY_TOO_LARGE: Self = code(
        413,
        "RequestBodyTooLarge",
        "The request body is too large and exceeds the maximum permissible limit.",
    );
    pub(super) const INVALID_RANGE: Self = code(
        416,
        "InvalidRange",
        "The range specified is invalid for the current size of the resource.",
    );
    pub(super) const INTERNAL_ERROR: Self = code(
        500,
        "InternalError",
        "Server encountered an internal error. Please try again after some time.",
    );
    pub(super) const OPERATION_TIMED_OUT: Self = code(
        500,
        "OperationTimedOut",
        "Operation could not be completed within the specified time.",
    );
    pub(super) const NOT_IMPLEMENTED: Self =
        code(501, "NotImplemented", "The requested operation is not implemented.");
    pub(super) const SERVER_BUSY: Self =
        code(503, "ServerBusy", "Server is busy. Please try again after some time.");
    pub(super) const TOO_MANY_ENABLE_AUTO_SCALE: Self = code(
        503,
        "TooManyEnableAutoScaleRequests",
        "Autoscale was enabled too often on the specified pool; wait before enabling it again.",
    );
}
