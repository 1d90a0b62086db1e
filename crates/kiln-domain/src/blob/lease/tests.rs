//! The table of lease states and actions.

use super::{Lease, LeaseAction, LeaseState, Leased, admit_change, after_change, decide, state_of};
use crate::blob::rejection::BlobRejection;
use crate::span::Span;
use crate::time::{TICKS_PER_SECOND, Timestamp};

const NOW: Timestamp = Timestamp(1_000_000_000_000);

fn at(seconds: i64) -> Timestamp {
    NOW.plus(Span::seconds(seconds))
}

/// A lease with the id `a` in the state of that name.
fn lease(state: &str) -> Option<Lease> {
    let base =
        Lease { id: "a".to_owned(), lasts_seconds: Some(30), until: Some(at(20)), breaks_at: None };
    match state {
        "available" => None,
        "leased" => Some(base),
        "endless" => Some(Lease { lasts_seconds: None, until: None, ..base }),
        "expired" => Some(Lease { until: Some(at(-1)), ..base }),
        "breaking" => Some(Lease { breaks_at: Some(at(10)), ..base }),
        "broken" => Some(Lease { breaks_at: Some(at(-1)), ..base }),
        other => panic!("no state {other}"),
    }
}

fn action(text: &str) -> LeaseAction {
    let words: Vec<&str> = text.split(' ').collect();
    let id = |n: usize| words.get(n).copied().unwrap_or_default().to_owned();
    match words.first().copied() {
        Some("acquire") => LeaseAction::Acquire { lasts_seconds: Some(15), id: id(1) },
        Some("renew") => LeaseAction::Renew { id: id(1) },
        Some("change") => LeaseAction::Change { id: id(1), proposed: id(2) },
        Some("release") => LeaseAction::Release { id: id(1) },
        Some("break") => LeaseAction::Break { period_seconds: id(1).parse().ok() },
        other => panic!("no action {other:?}"),
    }
}

/// `leased a 15` is a lease with the id `a` that ends in 15 seconds.
fn shown(lease: Option<&Lease>) -> String {
    let Some(lease) = lease else { return "available".to_owned() };
    let end = lease.breaks_at.or(lease.until);
    let left = end.map(|end| ((end.0 - NOW.0) / TICKS_PER_SECOND).to_string());
    let left = left.unwrap_or_else(|| "-".to_owned());
    format!("{} {} {left}", lease.state(NOW).as_str(), lease.id)
}

fn check(state: &str, asked: &str, expected: &str) {
    let found = match decide(lease(state).as_ref(), action(asked), NOW) {
        Ok(outcome) => format!("{} {}", shown(outcome.lease.as_ref()), outcome.remaining_seconds),
        Err(rejection) => format!("{rejection:?}"),
    };
    assert_eq!(found, expected, "{state}: {asked}");
}

#[test]
fn acquiring() {
    for state in ["available", "expired", "broken"] {
        check(state, "acquire b", "leased b 15 0");
    }
    check("leased", "acquire a", "leased a 15 0");
    check("leased", "acquire b", "LeaseAlreadyPresent");
    check("breaking", "acquire a", "LeaseIsBreakingAndCannotBeAcquired");
    check("breaking", "acquire b", "LeaseAlreadyPresent");
}

#[test]
fn renewing() {
    check("available", "renew a", "LeaseIdMismatchWithLeaseOperation");
    for state in ["leased", "expired"] {
        check(state, "renew A", "leased a 30 0");
        check(state, "renew b", "LeaseIdMismatchWithLeaseOperation");
    }
    check("endless", "renew a", "leased a - 0");
    for state in ["breaking", "broken"] {
        check(state, "renew a", "LeaseIsBrokenAndCannotBeRenewed");
        check(state, "renew b", "LeaseIdMismatchWithLeaseOperation");
    }
}

#[test]
fn changing() {
    check("available", "change a b", "LeaseNotPresentWithLeaseOperation");
    check("leased", "change a b", "leased b 20 0");
    check("leased", "change c a", "leased a 20 0");
    check("leased", "change c d", "LeaseIdMismatchWithLeaseOperation");
    check("breaking", "change a b", "LeaseIsBreakingAndCannotBeChanged");
    check("broken", "change a b", "LeaseNotPresentWithLeaseOperation");
    check("expired", "change a b", "LeaseNotPresentWithLeaseOperation");
}

#[test]
fn releasing() {
    check("available", "release a", "LeaseIdMismatchWithLeaseOperation");
    for state in ["leased", "endless", "breaking", "broken", "expired"] {
        check(state, "release a", "available 0");
        check(state, "release b", "LeaseIdMismatchWithLeaseOperation");
    }
}

#[test]
fn breaking() {
    check("available", "break", "LeaseNotPresentWithLeaseOperation");
    check("leased", "break", "breaking a 20 20");
    check("leased", "break 5", "breaking a 5 5");
    check("leased", "break 60", "breaking a 20 20");
    check("leased", "break 0", "broken a 0 0");
    check("endless", "break", "broken a 0 0");
    check("endless", "break 60", "breaking a 60 60");
    check("breaking", "break 5", "breaking a 5 5");
    check("breaking", "break 30", "breaking a 10 10");
    check("breaking", "break", "breaking a 10 10");
    check("broken", "break", "broken a 0 0");
    check("expired", "break 30", "broken a 0 0");
}

#[test]
fn changes_need_the_id() {
    let of = Leased::Blob;
    for (state, without, right, wrong) in [
        ("available", "ok", "LeaseNotPresent", "LeaseNotPresent"),
        ("leased", "LeaseIdMissing", "ok", "LeaseIdMismatch"),
        ("breaking", "LeaseIdMissing", "ok", "LeaseIdMismatch"),
        ("expired", "ok", "ok", "LeaseNotPresent"),
        ("broken", "ok", "LeaseNotPresent", "LeaseNotPresent"),
    ] {
        let lease = lease(state);
        for (given, expected) in [(None, without), (Some("a"), right), (Some("b"), wrong)] {
            let found = match admit_change(of, lease.as_ref(), given, NOW) {
                Ok(()) => "ok",
                Err(BlobRejection::LeaseIdMissing { .. }) => "LeaseIdMissing",
                Err(BlobRejection::LeaseIdMismatch { .. }) => "LeaseIdMismatch",
                Err(BlobRejection::LeaseNotPresent { .. }) => "LeaseNotPresent",
                Err(other) => panic!("{other:?}"),
            };
            assert_eq!(found, expected, "{state} {given:?}");
        }
    }
}

#[test]
fn a_change_forgets_a_lease_that_ended() {
    for (state, given, is_kept) in [
        ("leased", Some("a"), true),
        ("breaking", Some("a"), true),
        ("expired", Some("a"), true),
        ("expired", None, false),
        ("broken", None, false),
    ] {
        let left = after_change(lease(state), given, NOW);
        assert_eq!(left.is_some(), is_kept, "{state} {given:?}");
    }
    assert_eq!(state_of(None, NOW), LeaseState::Available);
}
