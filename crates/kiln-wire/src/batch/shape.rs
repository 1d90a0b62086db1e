//! The bodies of requests and answers, and the models of the contract they are.

use crate::api_version::ApiVersion;

/// What a document on the wire is: the body of a request or a part of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Body: adds a pool.
    PoolAdd,
    /// Body: changes the given members of a pool.
    PoolPatch,
    /// Body: replaces what can be replaced of a pool.
    PoolUpdateProperties,
    /// Body: resizes a pool.
    PoolResize,
    /// Body: switches autoscale on.
    PoolEnableAutoScale,
    /// Body: tries a formula.
    PoolEvaluateAutoScale,
    /// Body: removes nodes from a pool.
    PoolRemoveNodes,
    /// Body: upgrades the system of a cloud service pool.
    PoolUpgradeOs,
    /// Body: adds a job.
    JobAdd,
    /// Body: changes the given members of a job.
    JobPatch,
    /// Body: replaces what can be replaced of a job.
    JobUpdate,
    /// Body: disables a job.
    JobDisable,
    /// Body: terminates a job.
    JobTerminate,
    /// Body: adds a job schedule.
    JobScheduleAdd,
    /// Body: changes the given members of a job schedule.
    JobSchedulePatch,
    /// Body: replaces what can be replaced of a job schedule.
    JobScheduleUpdate,
    /// Body: adds a task.
    TaskAdd,
    /// Body: adds up to a hundred tasks, under `value`.
    TaskAddCollection,
    /// Body: replaces the constraints of a task.
    TaskUpdate,
    /// Body: reboots a node.
    NodeReboot,
    /// Body: makes a node anew.
    NodeReimage,
    /// Body: stops a node.
    NodeDeallocate,
    /// Body: keeps tasks from a node.
    NodeDisableScheduling,
    /// Body: adds a user to a node.
    NodeUserAdd,
    /// Body: changes a user of a node.
    NodeUserUpdate,
    /// Body: uploads the logs of a node's agent.
    NodeUploadLogs,
    /// Body: adds a certificate.
    CertificateAdd,
    /// Answer: a pool.
    Pool,
    /// Answer: the numbers of nodes of a pool by state.
    PoolNodeCounts,
    /// Answer: what a pool used in an hour.
    PoolUsageMetrics,
    /// Answer: the sums of all pools there were.
    PoolStatistics,
    /// Answer: one evaluation of an autoscale formula.
    AutoScaleRun,
    /// Answer: a job.
    Job,
    /// Answer: the sums of all jobs there were.
    JobStatistics,
    /// Answer: numbers of a job's tasks by state.
    TaskCounts,
    /// Answer: preparation and release of a job on one node.
    JobPreparationAndReleaseStatus,
    /// Answer: a job schedule.
    JobSchedule,
    /// Answer: a task.
    Task,
    /// Answer: what became of one task of a collection.
    TaskAddResult,
    /// Answer: what became of the tasks of a collection, under `value`.
    TaskAddCollectionResult,
    /// Answer: one subtask of a multi-instance task.
    Subtask,
    /// Answer: a node.
    Node,
    /// Answer: an extension of a node.
    NodeExtension,
    /// Answer: where to log in to a node.
    NodeRemoteLogin,
    /// Answer: where the logs of a node went.
    NodeUploadLogsResult,
    /// Answer: a file of a task or node.
    NodeFile,
    /// Answer: an image that pools may use.
    SupportedImage,
    /// Answer: a node agent with its images, for versions before supported images.
    NodeAgentSku,
    /// Answer: an application.
    Application,
    /// Answer: a certificate.
    Certificate,
}

impl Shape {
    /// All shapes.
    pub const ALL: [Self; 50] = [
        Self::PoolAdd,
        Self::PoolPatch,
        Self::PoolUpdateProperties,
        Self::PoolResize,
        Self::PoolEnableAutoScale,
        Self::PoolEvaluateAutoScale,
        Self::PoolRemoveNodes,
        Self::PoolUpgradeOs,
        Self::JobAdd,
        Self::JobPatch,
        Self::JobUpdate,
        Self::JobDisable,
        Self::JobTerminate,
        Self::JobScheduleAdd,
        Self::JobSchedulePatch,
        Self::JobScheduleUpdate,
        Self::TaskAdd,
        Self::TaskAddCollection,
        Self::TaskUpdate,
        Self::NodeReboot,
        Self::NodeReimage,
        Self::NodeDeallocate,
        Self::NodeDisableScheduling,
        Self::NodeUserAdd,
        Self::NodeUserUpdate,
        Self::NodeUploadLogs,
        Self::CertificateAdd,
        Self::Pool,
        Self::PoolNodeCounts,
        Self::PoolUsageMetrics,
        Self::PoolStatistics,
        Self::AutoScaleRun,
        Self::Job,
        Self::JobStatistics,
        Self::TaskCounts,
        Self::JobPreparationAndReleaseStatus,
        Self::JobSchedule,
        Self::Task,
        Self::TaskAddResult,
        Self::TaskAddCollectionResult,
        Self::Subtask,
        Self::Node,
        Self::NodeExtension,
        Self::NodeRemoteLogin,
        Self::NodeUploadLogsResult,
        Self::NodeFile,
        Self::SupportedImage,
        Self::NodeAgentSku,
        Self::Application,
        Self::Certificate,
    ];

    /// The model of the contract, by its name up to 2024-02-01.19.0.
    pub(crate) fn model(self) -> &'static str {
        match self {
            Self::PoolAdd => "PoolAddParameter",
            Self::PoolPatch => "PoolPatchParameter",
            Self::PoolUpdateProperties => "PoolUpdatePropertiesParameter",
            Self::PoolResize => "PoolResizeParameter",
            Self::PoolEnableAutoScale => "PoolEnableAutoScaleParameter",
            Self::PoolEvaluateAutoScale => "PoolEvaluateAutoScaleParameter",
            Self::PoolRemoveNodes => "NodeRemoveParameter",
            Self::PoolUpgradeOs => "PoolUpgradeOSParameter",
            Self::JobAdd => "JobAddParameter",
            Self::JobPatch => "JobPatchParameter",
            Self::JobUpdate => "JobUpdateParameter",
            Self::JobDisable => "JobDisableParameter",
            Self::JobTerminate => "JobTerminateParameter",
            Self::JobScheduleAdd => "JobScheduleAddParameter",
            Self::JobSchedulePatch => "JobSchedulePatchParameter",
            Self::JobScheduleUpdate => "JobScheduleUpdateParameter",
            Self::TaskAdd => "TaskAddParameter",
            Self::TaskAddCollection => "TaskAddCollectionParameter",
            Self::TaskUpdate => "TaskUpdateParameter",
            Self::NodeReboot => "NodeRebootParameter",
            Self::NodeReimage => "NodeReimageParameter",
            Self::NodeDeallocate => "BatchNodeDeallocateOptions",
            Self::NodeDisableScheduling => "NodeDisableSchedulingParameter",
            Self::NodeUserAdd => "ComputeNodeUser",
            Self::NodeUserUpdate => "NodeUpdateUserParameter",
            Self::NodeUploadLogs => "UploadBatchServiceLogsConfiguration",
            Self::CertificateAdd => "CertificateAddParameter",
            Self::Pool => "CloudPool",
            Self::PoolNodeCounts => "PoolNodeCounts",
            Self::PoolUsageMetrics => "PoolUsageMetrics",
            Self::PoolStatistics => "PoolStatistics",
            Self::AutoScaleRun => "AutoScaleRun",
            Self::Job => "CloudJob",
            Self::JobStatistics => "JobStatistics",
            Self::TaskCounts => "TaskCountsResult",
            Self::JobPreparationAndReleaseStatus => {
                "JobPreparationAndReleaseTaskExecutionInformation"
            }
            Self::JobSchedule => "CloudJobSchedule",
            Self::Task => "CloudTask",
            Self::TaskAddResult => "TaskAddResult",
            Self::TaskAddCollectionResult => "TaskAddCollectionResult",
            Self::Subtask => "SubtaskInformation",
            Self::Node => "ComputeNode",
            Self::NodeExtension => "NodeVMExtension",
            Self::NodeRemoteLogin => "ComputeNodeGetRemoteLoginSettingsResult",
            Self::NodeUploadLogsResult => "UploadBatchServiceLogsResult",
            Self::NodeFile => "NodeFile",
            Self::SupportedImage => "ImageInformation",
            Self::NodeAgentSku => "NodeAgentSku",
            Self::Application => "ApplicationSummary",
            Self::Certificate => "Certificate",
        }
    }

    /// The model an answer has in `version` once the changes of the shape itself are undone.
    pub(crate) fn model_in(self, version: ApiVersion) -> &'static str {
        if self == Self::TaskCounts && version < ApiVersion::V2020_09_01 {
            return "TaskCounts";
        }
        self.model()
    }

    /// Whether a request may come without this body.
    pub(crate) fn is_optional(self) -> bool {
        matches!(
            self,
            Self::JobTerminate
                | Self::NodeReboot
                | Self::NodeReimage
                | Self::NodeDeallocate
                | Self::NodeDisableScheduling
        )
    }

    /// Whether the body replaces a resource, and so may be all of what a client once read of it.
    pub(crate) fn is_replacement(self) -> bool {
        matches!(
            self,
            Self::JobUpdate
                | Self::JobScheduleUpdate
                | Self::TaskUpdate
                | Self::PoolUpdateProperties
        )
    }
}

/// The resource that the body `model` describes.
pub(crate) fn resource_of(model: &str) -> Option<&'static str> {
    let body = Shape::ALL.into_iter().find(|shape| shape.model() == model)?;
    let resource = match body {
        Shape::PoolAdd | Shape::PoolPatch | Shape::PoolUpdateProperties => Shape::Pool,
        Shape::JobAdd | Shape::JobPatch | Shape::JobUpdate => Shape::Job,
        Shape::JobScheduleAdd | Shape::JobSchedulePatch | Shape::JobScheduleUpdate => {
            Shape::JobSchedule
        }
        Shape::TaskAdd | Shape::TaskUpdate => Shape::Task,
        Shape::CertificateAdd => Shape::Certificate,
        Shape::PoolResize
        | Shape::PoolEnableAutoScale
        | Shape::PoolEvaluateAutoScale
        | Shape::PoolRemoveNodes
        | Shape::PoolUpgradeOs
        | Shape::JobDisable
        | Shape::JobTerminate
        | Shape::TaskAddCollection
        | Shape::NodeReboot
        | Shape::NodeReimage
        | Shape::NodeDeallocate
        | Shape::NodeDisableScheduling
        | Shape::NodeUserAdd
        | Shape::NodeUserUpdate
        | Shape::NodeUploadLogs
        | Shape::Pool
        | Shape::PoolNodeCounts
        | Shape::PoolUsageMetrics
        | Shape::PoolStatistics
        | Shape::AutoScaleRun
        | Shape::Job
        | Shape::JobStatistics
        | Shape::TaskCounts
        | Shape::JobPreparationAndReleaseStatus
        | Shape::JobSchedule
        | Shape::Task
        | Shape::TaskAddResult
        | Shape::TaskAddCollectionResult
        | Shape::Subtask
        | Shape::Node
        | Shape::NodeExtension
        | Shape::NodeRemoteLogin
        | Shape::NodeUploadLogsResult
        | Shape::NodeFile
        | Shape::SupportedImage
        | Shape::NodeAgentSku
        | Shape::Application
        | Shape::Certificate => return None,
    };
    Some(resource.model())
}
