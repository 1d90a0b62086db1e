//! Pools that are made for one job or one job schedule, and go with it.

use serde::{Deserialize, Serialize};

use super::job::PoolInfo;
use super::task::FailureInfo;
use crate::rejection::Rejection;
use crate::{id, limits};

/// What the rules read of an `autoPoolSpecification`, beside the specification of the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoPoolSpec {
    /// What the pool's id begins with.
    pub auto_pool_id_prefix: Option<String>,
    /// With what the pool goes.
    pub pool_lifetime_option: PoolLifetime,
    /// Whether the pool stays after all.
    #[serde(default)]
    pub keep_alive: bool,
}

/// With what an auto pool goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PoolLifetime {
    /// With its job; each job of a schedule has its own.
    Job,
    /// With the job schedule whose jobs share it.
    JobSchedule,
}

/// The member that describes an auto pool, in the specification of a job.
const MEMBER: &str = "poolInfo.autoPoolSpecification";

impl AutoPoolSpec {
    /// The id of the pool that is made: the prefix, and what makes it one of its kind.
    pub fn pool_id(&self, unique: &str) -> String {
        let unique = unique.to_ascii_uppercase();
        match self.auto_pool_id_prefix.as_deref() {
            None | Some("") => unique,
            Some(prefix) => format!("{prefix}_{unique}"),
        }
    }

    /// Whether a pool of this lifetime goes with its owner.
    pub fn goes_with(&self, lifetime: PoolLifetime) -> bool {
        self.pool_lifetime_option == lifetime && !self.keep_alive
    }
}

/// Whether a job may be given its pool in this way: by one name, or by one description.
///
/// # Errors
/// When a member breaks a rule.
pub fn check(info: &PoolInfo) -> Result<(), Rejection> {
    match (&info.pool_id, &info.auto_pool_specification) {
        (Some(_), None) => Ok(()),
        (None, Some(auto)) => check_prefix(auto.auto_pool_id_prefix.as_deref().unwrap_or_default()),
        (Some(pool_id), Some(_)) => {
            let reason = "A job has either the id of a pool or the specification of an auto pool";
            Err(Rejection::property("poolInfo.poolId", pool_id, reason))
        }
        (None, None) => Err(Rejection::MissingProperty { name: "poolInfo.poolId".to_owned() }),
    }
}

fn check_prefix(prefix: &str) -> Result<(), Rejection> {
    let longest = limits::AUTO_POOL_PREFIX_LENGTH_MAX;
    if prefix.is_empty() || (id::is_valid(prefix) && prefix.len() <= longest) {
        return Ok(());
    }
    let reason =
        format!("It has at most {longest} characters: letters, digits, hyphens and underscores");
    Err(Rejection::property(format!("{MEMBER}.autoPoolIdPrefix"), prefix, reason))
}

/// Whether a job that no schedule makes may have its pool in this way.
///
/// # Errors
/// When the pool would go with a schedule.
pub fn check_without_schedule(info: &PoolInfo) -> Result<(), Rejection> {
    let lifetime = info.auto_pool_specification.as_ref().map(|auto| auto.pool_lifetime_option);
    if lifetime != Some(PoolLifetime::JobSchedule) {
        return Ok(());
    }
    let reason = "Only the pool of a job that a job schedule makes can go with the schedule";
    Err(Rejection::property(format!("{MEMBER}.poolLifetimeOption"), "jobschedule", reason))
}

/// Whether a client may put `new` in the place of `old`; beside this nothing of an auto pool
/// changes but `keepAlive`.
///
/// # Errors
/// When there was no auto pool, or it goes with a schedule.
pub fn check_change(old: &PoolInfo, new: &PoolInfo) -> Result<(), Rejection> {
    let Some(new) = &new.auto_pool_specification else { return Ok(()) };
    let Some(old) = &old.auto_pool_specification else {
        let reason = "A job that was added with the id of a pool cannot get an auto pool";
        return Err(Rejection::property(MEMBER, "", reason));
    };
    if old.keep_alive != new.keep_alive && old.pool_lifetime_option != PoolLifetime::Job {
        let reason = "It can be changed only of a pool that goes with its job";
        return Err(Rejection::property(format!("{MEMBER}.keepAlive"), new.keep_alive, reason));
    }
    Ok(())
}

/// How a job tells that its pool could not be made.
pub fn scheduling_error(rejection: &Rejection) -> FailureInfo {
    use Rejection as R;
    let code = if let R::PoolQuotaReached { .. } = rejection {
        "AutoPoolCreationFailedWithQuotaReached"
    } else if let R::ApplicationNotFound { .. } | R::ApplicationPackageNotFound { .. } = rejection {
        "InvalidApplicationPackageReferencesInAutoPool"
    } else if let R::CertificateReferenceInvalid { .. } = rejection {
        "InvalidCertificatesInAutoPool"
    } else if let R::AutoScaleFormulaTooLong { .. }
    | R::AutoScaleFormulaInvalid { .. }
    | R::AutoScaleSettingsInvalid { .. } = rejection
    {
        "InvalidAutoScaleFormulaInAutoPool"
    } else {
        "InvalidAutoPoolSettings"
    };
    FailureInfo::user_error(code, &rejection.to_string())
}

#[cfg(test)]
mod tests {
    use super::{
        AutoPoolSpec, PoolInfo, PoolLifetime, check, check_change, check_without_schedule,
        scheduling_error,
    };
    use crate::rejection::Rejection;

    fn info(json: &str) -> PoolInfo {
        serde_json::from_str(json).expect("a place for tasks")
    }

    fn auto(more: &str) -> PoolInfo {
        info(&format!(r#"{{"autoPoolSpecification":{{{more}}}}}"#))
    }

    fn said(result: Result<(), Rejection>) -> String {
        result.map_or_else(|rejection| rejection.to_string(), |()| "fine".to_owned())
    }

    #[test]
    fn an_auto_pool_is_named_by_its_prefix_and_a_guid() {
        let named = |prefix: Option<&str>| {
            let auto_pool_id_prefix = prefix.map(str::to_owned);
            let pool_lifetime_option = PoolLifetime::Job;
            AutoPoolSpec { auto_pool_id_prefix, pool_lifetime_option, keep_alive: false }
                .pool_id("c0ffee00-0000-4000-8000-00000000000a")
        };
        assert_eq!(named(Some("x-y")), "x-y_C0FFEE00-0000-4000-8000-00000000000A");
        assert_eq!(named(None), "C0FFEE00-0000-4000-8000-00000000000A");
        assert_eq!(named(Some("")), "C0FFEE00-0000-4000-8000-00000000000A");
    }

    #[test]
    fn a_job_has_one_pool() {
        let both = r#"{"poolId":"p","autoPoolSpecification":{"poolLifetimeOption":"job"}}"#;
        let long = "x".repeat(21);
        let prefix =
            |it: &str| auto(&format!(r#""poolLifetimeOption":"job","autoPoolIdPrefix":"{it}""#));
        for (info, expected) in [
            (info(r#"{"poolId":"p"}"#), "fine"),
            (info("{}"), "property `poolInfo.poolId` is missing"),
            (info(both), "property `poolInfo.poolId` cannot be `p`"),
            (prefix(""), "fine"),
            (prefix("abc_def-1"), "fine"),
            (prefix("a b"), "property `poolInfo.autoPoolSpecification.autoPoolIdPrefix` cannot be"),
            (prefix(&long), "property `poolInfo.autoPoolSpecification.autoPoolIdPrefix` cannot be"),
        ] {
            let found = said(check(&info));
            assert!(found.starts_with(expected), "{info:?}: {found}");
        }
    }

    #[test]
    fn a_pool_goes_with_a_schedule_only_where_there_is_one() {
        for (info, expected) in [
            (info(r#"{"poolId":"p"}"#), "fine"),
            (auto(r#""poolLifetimeOption":"job""#), "fine"),
            (
                auto(r#""poolLifetimeOption":"jobschedule""#),
                "property `poolInfo.autoPoolSpecification.poolLifetimeOption` cannot be \
                 `jobschedule`: Only the pool of a job that a job schedule makes can go with the \
                 schedule",
            ),
        ] {
            assert_eq!(said(check_without_schedule(&info)), expected, "{info:?}");
        }
    }

    #[test]
    fn a_pool_that_is_kept_alive_goes_with_nothing() {
        for (more, lifetime, expected) in [
            (r#""poolLifetimeOption":"job""#, PoolLifetime::Job, true),
            (r#""poolLifetimeOption":"job""#, PoolLifetime::JobSchedule, false),
            (r#""poolLifetimeOption":"jobschedule""#, PoolLifetime::JobSchedule, true),
            (r#""poolLifetimeOption":"job","keepAlive":true"#, PoolLifetime::Job, false),
        ] {
            let goes = auto(more).auto_pool_specification.map(|auto| auto.goes_with(lifetime));
            assert_eq!(goes, Some(expected), "{more} {lifetime:?}");
        }
    }

    #[test]
    fn only_keep_alive_of_an_auto_pool_changes() {
        let job = r#""poolLifetimeOption":"job""#;
        let kept = r#""poolLifetimeOption":"job","keepAlive":true"#;
        let schedule = r#""poolLifetimeOption":"jobschedule""#;
        let schedule_kept = r#""poolLifetimeOption":"jobschedule","keepAlive":true"#;
        let named = info(r#"{"poolId":"p"}"#);
        for (old, new, expected) in [
            (auto(job), auto(job), "fine"),
            (auto(job), auto(kept), "fine"),
            (auto(kept), auto(job), "fine"),
            (auto(job), named.clone(), "fine"),
            (named, auto(job), "property `poolInfo.autoPoolSpecification` cannot be"),
            (auto(schedule), auto(schedule), "fine"),
            (
                auto(schedule),
                auto(schedule_kept),
                "property `poolInfo.autoPoolSpecification.keepAlive` cannot be `true`",
            ),
        ] {
            let found = said(check_change(&old, &new));
            assert!(found.starts_with(expected), "{old:?} {new:?}: {found}");
        }
    }

    #[test]
    fn why_a_pool_could_not_be_made_has_a_code() {
        let text = String::new;
        for (rejection, expected) in [
            (Rejection::PoolQuotaReached { limit: 1 }, "AutoPoolCreationFailedWithQuotaReached"),
            (
                Rejection::CertificateReferenceInvalid { thumbprint: text() },
                "InvalidCertificatesInAutoPool",
            ),
            (
                Rejection::ApplicationNotFound { application: text() },
                "InvalidApplicationPackageReferencesInAutoPool",
            ),
            (Rejection::PoolExists { pool: text() }, "InvalidAutoPoolSettings"),
        ] {
            assert_eq!(scheduling_error(&rejection).code, expected);
        }
    }
}
