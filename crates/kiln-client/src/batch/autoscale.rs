//! Autoscale formulas of pools.

use serde::{Deserialize, Serialize};

use super::BatchClient;
use crate::ClientError;

/// One evaluation of a formula.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AutoScaleRun {
    /// When (ISO 8601).
    pub timestamp: String,
    /// The variables, `$TargetDedicatedNodes=3;…`.
    pub results: String,
    /// Why it failed.
    pub error: Option<AutoScaleError>,
}

/// Why the evaluation of a formula failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AutoScaleError {
    /// The service's name for it.
    pub code: String,
    /// A sentence about it.
    pub message: String,
    /// More about it.
    pub values: Vec<AutoScaleErrorValue>,
}

/// More about a failed evaluation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AutoScaleErrorValue {
    /// `Message`.
    pub name: String,
    /// Where and why, `Line 1, Col 1: …`.
    pub value: String,
}

impl BatchClient {
    /// Tries a formula on a pool that sizes itself; the pool is not changed.
    ///
    /// # Errors
    /// When the service refuses or can not be reached. A formula that fails is no error: the
    /// run says why.
    pub async fn evaluate_autoscale(
        &self,
        pool_id: &str,
        formula: &str,
    ) -> Result<AutoScaleRun, ClientError> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body<'a> {
            auto_scale_formula: &'a str,
        }
        let body = Body { auto_scale_formula: formula };
        let response = self.post(&["pools", pool_id, "evaluateautoscale"], &body).await?;
        self.transport.json(response).await
    }
}
