//! Whether what jobs run fits the containers that their pools offer.

use kiln_domain::batch::container::{
    ContainerConfiguration, ContainerSettings, TaskKind, admit_to_pool,
};
use kiln_domain::batch::job::JobSpec;
use kiln_domain::batch::pool::PoolSpec;
use kiln_store::View;

use super::error::OpError;
use crate::kept;

/// How the document of a pool that runs containers says so.
const CONFIGURATION: &str = "containerConfiguration";

/// What the pool of a job offers; nothing is known of a pool that is not there yet.
pub(super) enum Offer {
    /// The pool is not there.
    Unknown,
    /// It runs containers so, or not at all.
    Known(Option<ContainerConfiguration>),
}

impl Offer {
    /// What the pool of this id offers.
    pub(super) fn of(view: &View<'_>, account: &str, pool_id: &str) -> Result<Self, OpError> {
        let Some(pool) = view.pool(account, pool_id)? else { return Ok(Self::Unknown) };
        // Most pools run none, and a look at a text is cheaper than reading it.
        if !pool.document.contains(CONFIGURATION) {
            return Ok(Self::Known(None));
        }
        Ok(Self::of_spec(&kept::pool_spec(&pool)?))
    }

    /// What a pool of this specification offers.
    pub(super) fn of_spec(spec: &PoolSpec) -> Self {
        Self::Known(spec.containers().cloned())
    }

    /// Refuses a command, in the member `name`, that does not fit.
    pub(super) fn check(
        &self,
        name: &str,
        kind: TaskKind,
        settings: Option<&ContainerSettings>,
    ) -> Result<(), OpError> {
        match self {
            Self::Unknown => Ok(()),
            Self::Known(offered) => Ok(admit_to_pool(name, kind, settings, offered.as_ref())?),
        }
    }

    /// Refuses a job whose nodes would be prepared or released in a way that does not fit.
    pub(super) fn check_job(&self, spec: &JobSpec) -> Result<(), OpError> {
        let preparation = spec.job_preparation_task.as_ref();
        let release = spec.job_release_task.as_ref();
        for (name, settings) in [
            ("jobPreparationTask", preparation.and_then(|task| task.container_settings.as_ref())),
            ("jobReleaseTask", release.and_then(|task| task.container_settings.as_ref())),
        ] {
            self.check(&format!("{name}.containerSettings"), TaskKind::Preparation, settings)?;
        }
        Ok(())
    }
}
