//! Leases: who alone may change a blob, or delete a container.
//!
//! A lease needs no timer: what state it is in follows from the times it holds and the time
//! of the question.

use serde::{Deserialize, Serialize};

use super::limits::LEASE_BREAK_SECONDS_MAX;
use super::rejection::BlobRejection;
use crate::span::Span;
use crate::time::Timestamp;

/// A lease that somebody took and nobody gave back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The id that its holder proves to have it with.
    pub id: String,
    /// Seconds it lasts from each renewal; `None` without end.
    pub lasts_seconds: Option<i64>,
    /// When it ends by itself; `None` without end.
    pub until: Option<Timestamp>,
    /// When it ends because somebody broke it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaks_at: Option<Timestamp>,
}

/// What a lease amounts to at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// Nobody has it.
    Available,
    /// Somebody has it.
    Leased,
    /// It ended by itself.
    Expired,
    /// It was broken and has not ended yet.
    Breaking,
    /// It was broken and has ended.
    Broken,
}

impl LeaseState {
    /// Azure's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Leased => "leased",
            Self::Expired => "expired",
            Self::Breaking => "breaking",
            Self::Broken => "broken",
        }
    }

    /// Whether it keeps others out.
    pub const fn is_locked(self) -> bool {
        match self {
            Self::Leased | Self::Breaking => true,
            Self::Available | Self::Expired | Self::Broken => false,
        }
    }
}

/// What a lease is of; decides how refusals are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leased {
    /// A blob.
    Blob,
    /// A container.
    Container,
}

/// What is asked of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseAction {
    /// To have it.
    Acquire {
        /// Seconds, or without end.
        lasts_seconds: Option<i64>,
        /// The id it is to have: proposed by the client or made here.
        id: String,
    },
    /// To have it for its time anew.
    Renew {
        /// The id of the lease.
        id: String,
    },
    /// To call it by another id.
    Change {
        /// The id of the lease.
        id: String,
        /// Its id from now on.
        proposed: String,
    },
    /// To give it back.
    Release {
        /// The id of the lease.
        id: String,
    },
    /// To end it, whoever has it.
    Break {
        /// Seconds until it ends; when absent, when it would have ended.
        period_seconds: Option<i64>,
    },
}

/// What becomes of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseOutcome {
    /// The lease from now on; `None` when it is available.
    pub lease: Option<Lease>,
    /// Of a break: seconds until it has ended.
    pub remaining_seconds: i64,
}

impl Lease {
    /// What it amounts to at `now`.
    pub fn state(&self, now: Timestamp) -> LeaseState {
        match (self.breaks_at, self.until) {
            (Some(at), _) if now < at => LeaseState::Breaking,
            (Some(_), _) => LeaseState::Broken,
            (None, Some(until)) if now >= until => LeaseState::Expired,
            (None, _) => LeaseState::Leased,
        }
    }

    fn taken(id: String, lasts_seconds: Option<i64>, now: Timestamp) -> Self {
        let until = lasts_seconds.map(|seconds| now.plus(Span::seconds(seconds)));
        Self { id, lasts_seconds, until, breaks_at: None }
    }

    fn has_id(&self, id: &str) -> bool {
        self.id.eq_ignore_ascii_case(id)
    }
}

/// The state that `lease` is in, if there is one.
pub fn state_of(lease: Option<&Lease>, now: Timestamp) -> LeaseState {
    lease.map_or(LeaseState::Available, |lease| lease.state(now))
}

/// Decides what `action` makes of a lease.
pub fn decide(
    lease: Option<&Lease>,
    action: LeaseAction,
    now: Timestamp,
) -> Result<LeaseOutcome, BlobRejection> {
    match action {
        LeaseAction::Acquire { lasts_seconds, id } => acquire(lease, lasts_seconds, id, now),
        LeaseAction::Renew { id } => renew(lease, &id, now),
        LeaseAction::Change { id, proposed } => change(lease, &id, proposed, now),
        LeaseAction::Release { id } => release(lease, &id),
        LeaseAction::Break { period_seconds } => break_it(lease, period_seconds, now),
    }
    .map(|(lease, remaining_seconds)| LeaseOutcome { lease, remaining_seconds })
}

type Decision = Result<(Option<Lease>, i64), BlobRejection>;

fn acquire(lease: Option<&Lease>, lasts: Option<i64>, id: String, now: Timestamp) -> Decision {
    use LeaseState as S;
    let has_id = lease.is_some_and(|lease| lease.has_id(&id));
    match (state_of(lease, now), has_id) {
        (S::Available | S::Expired | S::Broken, _) | (S::Leased, true) => {
            Ok((Some(Lease::taken(id, lasts, now)), 0))
        }
        (S::Breaking, true) => Err(BlobRejection::LeaseIsBreakingAndCannotBeAcquired),
        (S::Leased | S::Breaking, false) => Err(BlobRejection::LeaseAlreadyPresent),
    }
}

fn renew(lease: Option<&Lease>, id: &str, now: Timestamp) -> Decision {
    use LeaseState as S;
    let Some(lease) = lease.filter(|lease| lease.has_id(id)) else {
        return Err(BlobRejection::LeaseIdMismatchWithLeaseOperation);
    };
    match lease.state(now) {
        S::Leased | S::Expired => {
            Ok((Some(Lease::taken(lease.id.clone(), lease.lasts_seconds, now)), 0))
        }
        S::Breaking | S::Broken | S::Available => {
            Err(BlobRejection::LeaseIsBrokenAndCannotBeRenewed)
        }
    }
}

fn change(lease: Option<&Lease>, id: &str, proposed: String, now: Timestamp) -> Decision {
    use LeaseState as S;
    let Some(lease) = lease else { return Err(BlobRejection::LeaseNotPresentWithLeaseOperation) };
    let is_known = lease.has_id(id) || lease.has_id(&proposed);
    match (lease.state(now), is_known) {
        (S::Leased, true) => Ok((Some(Lease { id: proposed, ..lease.clone() }), 0)),
        (S::Leased, false) => Err(BlobRejection::LeaseIdMismatchWithLeaseOperation),
        (S::Breaking, true) => Err(BlobRejection::LeaseIsBreakingAndCannotBeChanged),
        (S::Breaking, false) => Err(BlobRejection::LeaseIdMismatchWithLeaseOperation),
        (S::Expired | S::Broken | S::Available, _) => {
            Err(BlobRejection::LeaseNotPresentWithLeaseOperation)
        }
    }
}

fn release(lease: Option<&Lease>, id: &str) -> Decision {
    match lease {
        Some(lease) if lease.has_id(id) => Ok((None, 0)),
        Some(_) | None => Err(BlobRejection::LeaseIdMismatchWithLeaseOperation),
    }
}

fn break_it(lease: Option<&Lease>, period: Option<i64>, now: Timestamp) -> Decision {
    use LeaseState as S;
    let Some(lease) = lease else { return Err(BlobRejection::LeaseNotPresentWithLeaseOperation) };
    let period = period.map(|seconds| now.plus(Span::seconds(seconds)));
    let breaks_at = match lease.state(now) {
        S::Available => return Err(BlobRejection::LeaseNotPresentWithLeaseOperation),
        S::Expired | S::Broken => now,
        S::Leased => match (period, lease.until) {
            (Some(period), Some(until)) => period.min(until),
            (Some(period), None) => period,
            (None, Some(until)) => until,
            (None, None) => now,
        },
        // A break under way may only be shortened.
        S::Breaking => match (period, lease.breaks_at) {
            (Some(period), Some(at)) => period.min(at),
            (None, Some(at)) => at,
            (_, None) => now,
        },
    };
    let seconds = breaks_at.since(now).as_secs_f64().ceil();
    let remaining = (0..LEASE_BREAK_SECONDS_MAX).find(|n| f64_of(*n) >= seconds);
    let lease = Lease { breaks_at: Some(breaks_at), ..lease.clone() };
    Ok((Some(lease), remaining.unwrap_or(LEASE_BREAK_SECONDS_MAX)))
}

/// Seconds as a number with a point; those of a lease are few.
fn f64_of(seconds: i64) -> f64 {
    i32::try_from(seconds).map_or(f64::MAX, f64::from)
}

/// Decides whether a request that sent the lease id `given` may change, or delete, what has
/// this lease. An expired lease counts for its holder until somebody else takes or changes
/// the thing.
pub fn admit_change(
    of: Leased,
    lease: Option<&Lease>,
    given: Option<&str>,
    now: Timestamp,
) -> Result<(), BlobRejection> {
    use LeaseState as S;
    let Some(given) = given else {
        return if state_of(lease, now).is_locked() {
            Err(BlobRejection::LeaseIdMissing { of })
        } else {
            Ok(())
        };
    };
    match lease {
        None => Err(BlobRejection::LeaseNotPresent { of }),
        Some(lease) => match (lease.state(now), lease.has_id(given)) {
            (S::Leased | S::Breaking | S::Expired, true) => Ok(()),
            (S::Leased | S::Breaking, false) => Err(BlobRejection::LeaseIdMismatch { of }),
            (S::Broken | S::Available, _) | (S::Expired, false) => {
                Err(BlobRejection::LeaseNotPresent { of })
            }
        },
    }
}

/// Decides whether a request that sent the lease id `given` may read what has this lease:
/// without an id it always may.
pub fn admit_read(
    of: Leased,
    lease: Option<&Lease>,
    given: Option<&str>,
    now: Timestamp,
) -> Result<(), BlobRejection> {
    match given {
        Some(_) => admit_change(of, lease, given, now),
        None => Ok(()),
    }
}

/// What is left of a lease after somebody changed its blob: one that has ended, by itself or
/// broken, is forgotten unless its holder made the change.
pub fn after_change(lease: Option<Lease>, given: Option<&str>, now: Timestamp) -> Option<Lease> {
    lease.filter(|lease| {
        lease.state(now).is_locked() || given.is_some_and(|given| lease.has_id(given))
    })
}

#[cfg(test)]
mod tests;
