//! Policies and legal holds, under which an edition of a blob can not be changed or deleted.

use serde::{Deserialize, Serialize};

use super::rejection::BlobRejection;
use crate::time::Timestamp;

/// How firm a policy is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PolicyMode {
    /// It can be shortened and taken away.
    #[default]
    Unlocked,
    /// It can be made longer, and nothing else.
    Locked,
}

impl PolicyMode {
    /// Azure's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unlocked => "unlocked",
            Self::Locked => "locked",
        }
    }

    /// The mode of this name, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Unlocked, Self::Locked]
            .into_iter()
            .find(|mode| mode.as_str().eq_ignore_ascii_case(text))
    }
}

/// Until when an edition stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImmutabilityPolicy {
    /// From this time on it can be changed and deleted again.
    pub until: Timestamp,
    /// Whether the policy itself can be taken back.
    pub mode: PolicyMode,
}

/// What keeps an edition as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Protection {
    /// A time until which it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<ImmutabilityPolicy>,
    /// Whether it is kept for as long as nobody says otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_legal_hold: bool,
}

impl Protection {
    /// Whether there never was any.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Decides whether what is protected may be changed in place or deleted.
    pub fn admit_change(&self, now: Timestamp) -> Result<(), BlobRejection> {
        if self.has_legal_hold {
            return Err(BlobRejection::UnderLegalHold);
        }
        match self.policy {
            Some(ImmutabilityPolicy { until, .. }) if now < until => {
                Err(BlobRejection::UnderPolicy { until })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Decides whether `policy` may take the place of the present one.
    pub fn admit_policy(
        &self,
        policy: ImmutabilityPolicy,
        now: Timestamp,
    ) -> Result<(), BlobRejection> {
        if policy.until <= now {
            return Err(BlobRejection::PolicyEndsInThePast { until: policy.until });
        }
        match self.policy {
            Some(ImmutabilityPolicy { until, mode: PolicyMode::Locked })
                if policy.mode != PolicyMode::Locked || policy.until < until =>
            {
                Err(BlobRejection::UnderPolicy { until })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Decides whether the policy may be taken away.
    pub fn admit_removal(&self) -> Result<(), BlobRejection> {
        match self.policy {
            Some(ImmutabilityPolicy { until, mode: PolicyMode::Locked }) => {
                Err(BlobRejection::UnderPolicy { until })
            }
            Some(ImmutabilityPolicy { mode: PolicyMode::Unlocked, .. }) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BlobRejection, ImmutabilityPolicy, PolicyMode, Protection, Timestamp};

    fn policy(until: i64, mode: PolicyMode) -> ImmutabilityPolicy {
        ImmutabilityPolicy { until: Timestamp(until), mode }
    }

    fn word(decided: Result<(), BlobRejection>) -> &'static str {
        match decided {
            Ok(()) => "yes",
            Err(BlobRejection::UnderPolicy { .. }) => "policy",
            Err(BlobRejection::UnderLegalHold) => "hold",
            Err(BlobRejection::PolicyEndsInThePast { .. }) => "past",
            Err(_) => "other",
        }
    }

    #[test]
    fn a_change_waits_for_the_policy_and_the_hold() {
        let check = |until: Option<i64>, has_legal_hold, now, expected| {
            for mode in [PolicyMode::Unlocked, PolicyMode::Locked] {
                let policy = until.map(|until| policy(until, mode));
                let protection = Protection { policy, has_legal_hold };
                assert_eq!(word(protection.admit_change(Timestamp(now))), expected);
            }
        };
        check(None, false, 5, "yes");
        check(Some(9), false, 8, "policy");
        check(Some(9), false, 9, "yes");
        check(None, true, 5, "hold");
        check(Some(9), true, 10, "hold");
    }

    #[test]
    fn a_locked_policy_only_grows() {
        use PolicyMode::{Locked, Unlocked};
        let check = |present: Option<ImmutabilityPolicy>, next, expected| {
            let protection = Protection { policy: present, has_legal_hold: false };
            assert_eq!(word(protection.admit_policy(next, Timestamp(5))), expected, "{next:?}");
        };
        check(None, policy(9, Locked), "yes");
        check(None, policy(5, Unlocked), "past");
        check(Some(policy(9, Unlocked)), policy(7, Unlocked), "yes");
        check(Some(policy(9, Unlocked)), policy(7, Locked), "yes");
        check(Some(policy(9, Locked)), policy(8, Locked), "policy");
        check(Some(policy(9, Locked)), policy(10, Unlocked), "policy");
        check(Some(policy(9, Locked)), policy(10, Locked), "yes");
        let removal = |policy| word(Protection { policy, has_legal_hold: true }.admit_removal());
        assert_eq!(removal(None), "yes");
        assert_eq!(removal(Some(policy(9, Unlocked))), "yes");
        assert_eq!(removal(Some(policy(1, Locked))), "policy");
    }
}
