//! Pools that size themselves: what they may be told, and what comes of an evaluation.

use serde::{Deserialize, Serialize};

use super::pool::{self, AllocationState, Pool, PoolFact, PoolLife, PoolState};
use crate::autoscale::{Formula, Run, Wish};
use crate::limits;
use crate::rejection::Rejection;
use crate::span::Span;
use crate::time::Timestamp;

/// What of a pool's specification says how it sizes itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScalingSpec {
    /// Whether it does.
    pub enable_auto_scale: bool,
    /// The formula that says how large it wants to be.
    pub auto_scale_formula: Option<String>,
    /// Time from one evaluation to the next.
    pub auto_scale_evaluation_interval: Option<Span>,
    /// Dedicated nodes that a client wants.
    pub target_dedicated_nodes: Option<i64>,
    /// Spot nodes that a client wants.
    pub target_low_priority_nodes: Option<i64>,
}

/// What has become of a pool's sizing itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scaling {
    /// When a client last switched it on, or gave it another formula or interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_at: Option<Timestamp>,
    /// The last evaluation, while it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
}

impl ScalingSpec {
    /// The formula of a pool that sizes itself.
    pub fn formula(&self) -> Option<&str> {
        self.auto_scale_formula.as_deref().filter(|_| self.enable_auto_scale)
    }

    /// Time from one evaluation to the next.
    pub fn interval(&self) -> Span {
        let default = Span::minutes(limits::FORMULA_INTERVAL_MINUTES);
        self.auto_scale_evaluation_interval.unwrap_or(default)
    }
}

/// Whether a pool may be added with these settings.
///
/// # Errors
/// When they contradict each other, or one breaks a rule.
pub fn admit(spec: &ScalingSpec) -> Result<(), Rejection> {
    let refused =
        |reason: &str| Err(Rejection::AutoScaleSettingsInvalid { reason: reason.to_owned() });
    if !spec.enable_auto_scale {
        if spec.auto_scale_formula.is_some() || spec.auto_scale_evaluation_interval.is_some() {
            return refused(
                "autoScaleFormula and autoScaleEvaluationInterval need enableAutoScale to be true",
            );
        }
        return Ok(());
    }
    if spec.target_dedicated_nodes.is_some() || spec.target_low_priority_nodes.is_some() {
        return refused(
            "targetDedicatedNodes and targetLowPriorityNodes are the formula's matter when \
             enableAutoScale is true",
        );
    }
    let formula = spec.auto_scale_formula.as_ref().ok_or_else(formula_needed)?;
    check_formula(formula)?;
    check_interval(spec.interval())
}

/// The rejection of autoscale without a formula.
pub fn formula_needed() -> Rejection {
    let reason = "autoScaleFormula is needed when enableAutoScale is true".to_owned();
    Rejection::AutoScaleSettingsInvalid { reason }
}

/// Whether a pool may be given this formula.
///
/// # Errors
/// When it is too long or none.
pub fn check_formula(formula: &str) -> Result<(), Rejection> {
    check_length(formula)?;
    match Formula::parse(formula) {
        Ok(_) => Ok(()),
        Err(failure) => Err(Rejection::AutoScaleFormulaInvalid { reason: failure.to_string() }),
    }
}

/// Whether a formula is short enough to be looked at.
///
/// # Errors
/// When it is not.
pub fn check_length(formula: &str) -> Result<(), Rejection> {
    let length = formula.chars().count();
    let limit = limits::FORMULA_CHARACTERS_MAX;
    if length > limit {
        return Err(Rejection::AutoScaleFormulaTooLong { length, limit });
    }
    Ok(())
}

/// Whether a formula may be evaluated in this interval.
///
/// # Errors
/// When it is too short or too long.
pub fn check_interval(interval: Span) -> Result<(), Rejection> {
    let shortest = Span::minutes(limits::FORMULA_INTERVAL_MIN_MINUTES);
    let longest = Span::minutes(limits::FORMULA_INTERVAL_MAX_MINUTES);
    if (shortest..=longest).contains(&interval) {
        return Ok(());
    }
    Err(Rejection::InvalidProperty {
        name: "autoScaleEvaluationInterval".to_owned(),
        value: interval.to_string(),
        reason: format!("It must be at least {shortest} and at most {longest}"),
    })
}

/// Whether a client may switch autoscale of a pool on, or change it.
///
/// # Errors
/// When the pool is going, a resize runs, or a client did so a moment ago.
pub fn may_enable(pool: &Pool, spec: &ScalingSpec, now: Timestamp) -> Result<(), Rejection> {
    refuse_deleted(pool)?;
    let pool_id = || pool.id.clone();
    if !spec.enable_auto_scale && pool.life.allocation != AllocationState::Steady {
        return Err(Rejection::PoolBeingResized { pool: pool_id() });
    }
    let pause = Span::seconds(limits::AUTO_SCALE_SET_EVERY_SECONDS);
    if pool.life.scaling.set_at.is_some_and(|set_at| now < set_at.plus(pause)) {
        return Err(Rejection::AutoScaleEnabledTooOften { pool: pool_id() });
    }
    Ok(())
}

/// Whether a formula may be tried on a pool.
///
/// # Errors
/// When the pool is going, or does not size itself.
pub fn may_evaluate(pool: &Pool, spec: &ScalingSpec) -> Result<(), Rejection> {
    refuse_deleted(pool)?;
    if spec.enable_auto_scale {
        return Ok(());
    }
    Err(Rejection::PoolDoesNotScaleItself { pool: pool.id.clone() })
}

/// What becomes of a pool whose formula was evaluated.
pub fn evaluated(pool: &Pool, run: Run, wish: Option<Wish>, now: Timestamp) -> PoolLife {
    let fact = wish.map(PoolFact::Scaled);
    // A pool that is going, or winds a resize down, is not sized now.
    let sized = fact.and_then(|fact| pool::step(pool, fact, now).ok());
    let mut life = sized.unwrap_or_else(|| pool.life.clone());
    life.scaling.run = Some(run);
    life
}

/// When the formula of a pool is to be evaluated next, if it has one; the interval is the
/// pool's own, or `at_most` if that is shorter.
pub fn next_evaluation(
    pool: &Pool,
    spec: &ScalingSpec,
    at_most: Option<Span>,
) -> Option<Timestamp> {
    let is_on = pool.life.state == PoolState::Active && spec.formula().is_some();
    let interval = at_most.map_or_else(|| spec.interval(), |it| it.min(spec.interval()));
    let last =
        pool.life.scaling.run.as_ref().map_or(pool.life.created_at, |run| run.at.plus(interval));
    is_on.then_some(last)
}

fn refuse_deleted(pool: &Pool) -> Result<(), Rejection> {
    match pool.life.state {
        PoolState::Active => Ok(()),
        PoolState::Deleting => Err(Rejection::PoolBeingDeleted { pool: pool.id.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        ScalingSpec, admit, check_formula, check_interval, evaluated, may_enable, may_evaluate,
        next_evaluation,
    };
    use crate::autoscale::{Run, Wish};
    use crate::batch::node::Treatment;
    use crate::batch::pool::{
        self, AllocationState, Pool, PoolFact, PoolLife, PoolSpec, ResizeError, Targets,
    };
    use crate::rejection::Rejection;
    use crate::span::Span;
    use crate::time::{TICKS_PER_SECOND, Timestamp};

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * TICKS_PER_SECOND)
    }

    fn spec(json: &str) -> ScalingSpec {
        serde_json::from_str(json).expect("a specification")
    }

    fn scaled() -> ScalingSpec {
        spec(r#"{"enableAutoScale":true,"autoScaleFormula":"$TargetDedicatedNodes=1"}"#)
    }

    /// A steady pool of two dedicated nodes.
    fn pool() -> Pool {
        let spec: PoolSpec =
            serde_json::from_str(r#"{"id":"p","targetDedicatedNodes":2}"#).expect("a pool");
        let mut pool = Pool {
            key: 1,
            account: "a".to_owned(),
            id: "p".to_owned(),
            document: String::new(),
            life: PoolLife::new(&spec, at(0)),
        };
        pool.life = pool::step(&pool, PoolFact::SizeReached, at(1)).expect("it grew");
        pool
    }

    fn wish(dedicated: u32) -> Wish {
        let targets = Targets { dedicated, low_priority: 0 };
        Wish { targets, treatment: Treatment::Requeue }
    }

    fn run(seconds: i64) -> Run {
        Run { at: at(seconds), results: String::new(), failure: None }
    }

    fn said(result: Result<(), Rejection>) -> String {
        result.map_or_else(|rejection| rejection.to_string(), |()| "yes".to_owned())
    }

    #[test]
    fn settings_of_autoscale_go_together() {
        for (json, expected) in [
            ("{}", "yes"),
            (r#"{"targetDedicatedNodes":1}"#, "yes"),
            (r#"{"enableAutoScale":true,"autoScaleFormula":"a=1"}"#, "yes"),
            (r#"{"enableAutoScale":true}"#, "autoScaleFormula is needed"),
            (r#"{"autoScaleFormula":"a=1"}"#, "need enableAutoScale"),
            (r#"{"autoScaleEvaluationInterval":"PT5M"}"#, "need enableAutoScale"),
            (
                r#"{"enableAutoScale":true,"autoScaleFormula":"a=1","targetLowPriorityNodes":0}"#,
                "the formula's matter",
            ),
            (r#"{"enableAutoScale":true,"autoScaleFormula":"a="}"#, "Line 1, Col 3"),
            (
                r#"{"enableAutoScale":true,"autoScaleFormula":"a=1",
                    "autoScaleEvaluationInterval":"PT1M"}"#,
                "autoScaleEvaluationInterval",
            ),
        ] {
            let said = said(admit(&spec(json)));
            assert!(said.contains(expected), "{json}: {said}");
        }
    }

    #[test]
    fn formulas_and_intervals_have_bounds() {
        assert_eq!(said(check_formula(&" ".repeat(8192))), "yes");
        assert!(said(check_formula(&"ä".repeat(8193))).contains("8193"));
        for (interval, is_good) in [
            (Span::seconds(299), false),
            (Span::minutes(5), true),
            (Span::minutes(168 * 60), true),
            (Span::seconds(168 * 3600 + 1), false),
        ] {
            assert_eq!(check_interval(interval).is_ok(), is_good, "{interval}");
        }
    }

    #[test]
    fn autoscale_is_switched_on_when_no_resize_runs_and_not_too_often() {
        let mut pool = pool();
        let off = ScalingSpec::default();
        assert_eq!(said(may_enable(&pool, &off, at(5))), "yes");
        pool.life.scaling.set_at = Some(at(5));
        let too_often = "autoscale of pool `p` was set less than 30 seconds ago";
        assert_eq!(said(may_enable(&pool, &off, at(34))), too_often);
        assert_eq!(said(may_enable(&pool, &scaled(), at(34))), too_often);
        assert_eq!(said(may_enable(&pool, &scaled(), at(35))), "yes");
        pool.life.allocation = AllocationState::Resizing;
        assert_eq!(said(may_enable(&pool, &scaled(), at(35))), "yes");
        assert_eq!(said(may_enable(&pool, &off, at(35))), "pool `p` is being resized");
        pool.life = pool::step(&pool, PoolFact::Deleted, at(36)).expect("it goes");
        assert_eq!(said(may_enable(&pool, &scaled(), at(99))), "pool `p` is being deleted");
        assert_eq!(said(may_evaluate(&pool, &scaled())), "pool `p` is being deleted");
    }

    #[test]
    fn a_formula_is_tried_on_a_pool_that_has_one() {
        let (pool, off) = (pool(), ScalingSpec::default());
        assert_eq!(said(may_evaluate(&pool, &scaled())), "yes");
        assert_eq!(said(may_evaluate(&pool, &off)), "pool `p` has no autoscale formula");
    }

    #[test]
    fn an_evaluation_resizes_a_pool_that_it_wants_otherwise() {
        use AllocationState::{Resizing, Steady, Stopping};
        for (before, wish, expected) in [
            (Steady, Some(wish(3)), (Resizing, 3, at(9))),
            (Steady, Some(wish(2)), (Steady, 2, at(1))),
            (Steady, None, (Steady, 2, at(1))),
            (Resizing, Some(wish(3)), (Resizing, 3, at(9))),
            (Resizing, Some(wish(2)), (Resizing, 2, at(1))),
            (Stopping, Some(wish(3)), (Stopping, 2, at(1))),
        ] {
            let mut pool = pool();
            pool.life.allocation = before;
            let life = evaluated(&pool, run(9), wish, at(9));
            assert_eq!((life.allocation, life.targets.dedicated, life.allocation_at), expected);
            assert_eq!(life.modified_at, pool.life.modified_at);
            assert_eq!(life.scaling.run, Some(run(9)));
        }
    }

    #[test]
    fn nodes_leave_as_their_formula_says() {
        for treatment in [Treatment::Terminate, Treatment::TaskCompletion, Treatment::RetainedData]
        {
            let wish = Wish { treatment, ..wish(1) };
            let life = evaluated(&pool(), run(9), Some(wish), at(9));
            assert_eq!((life.targets.dedicated, life.treatment), (1, treatment));
        }
    }

    #[test]
    fn an_evaluation_tries_again_what_a_resize_missed() {
        let mut pool = pool();
        let error = ResizeError {
            code: "AllocationTimedOut".to_owned(),
            message: String::new(),
            values: Vec::new(),
        };
        pool.life.resize_errors = vec![error];
        let life = evaluated(&pool, run(9), Some(wish(2)), at(9));
        assert_eq!((life.allocation, life.allocation_at), (AllocationState::Resizing, at(9)));
        assert!(life.resize_errors.is_empty());
        assert_eq!(evaluated(&pool, run(9), None, at(9)).resize_errors, pool.life.resize_errors);
    }

    #[test]
    fn a_formula_is_evaluated_at_once_and_then_in_its_interval() {
        let (mut pool, own) = (pool(), scaled());
        assert_eq!(next_evaluation(&pool, &own, None), Some(at(0)));
        pool.life = evaluated(&pool, run(10), None, at(10));
        assert_eq!(next_evaluation(&pool, &own, None), Some(at(10 + 15 * 60)));
        assert_eq!(next_evaluation(&pool, &own, Some(Span::seconds(30))), Some(at(40)));
        assert_eq!(next_evaluation(&pool, &own, Some(Span::days(1))), Some(at(10 + 15 * 60)));
        assert_eq!(next_evaluation(&pool, &ScalingSpec::default(), None), None);
        pool.life = pool::step(&pool, PoolFact::Deleted, at(11)).expect("it goes");
        assert_eq!(next_evaluation(&pool, &own, None), None);
    }
}
