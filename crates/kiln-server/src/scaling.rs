//! Evaluates the formulas of pools that size themselves.

use kiln_domain::autoscale::{self, Run, Scene, Wish};
use kiln_domain::batch::change::Change;
use kiln_domain::batch::pool::{Pool, PoolLife};
use kiln_domain::batch::scaling;
use kiln_domain::time::Timestamp;
use kiln_store::{StoreError, Tx, View};

use crate::server::Server;
use crate::{kept, samples};

/// Evaluates a formula on a pool as it is now, and changes nothing.
pub fn evaluate(
    server: &Server,
    view: &View<'_>,
    pool: &Pool,
    formula: &str,
    now: Timestamp,
) -> Result<(Run, Option<Wish>), StoreError> {
    let latest = samples::count(server, view, pool, now)?;
    Ok(server.samples.with(pool.key, |history| {
        let scene = Scene {
            now,
            targets: pool.life.targets,
            history,
            latest,
            seed: now.0.unsigned_abs() ^ pool.key.unsigned_abs(),
        };
        autoscale::evaluate(formula, &scene)
    }))
}

/// Gives a pool that was just added its first size, if that is its formula's matter.
pub fn begin(
    server: &Server,
    tx: &mut Tx<'_>,
    pool: &Pool,
    now: Timestamp,
) -> Result<(), StoreError> {
    let spec = kept::scaling_spec(pool)?;
    if let Some(formula) = spec.formula() {
        scale(server, tx, pool, formula, now)?;
    }
    Ok(())
}

/// Evaluates the formula of a pool and keeps what comes of it; `pool.life` is as it will be
/// kept otherwise.
pub fn scale(
    server: &Server,
    tx: &mut Tx<'_>,
    pool: &Pool,
    formula: &str,
    now: Timestamp,
) -> Result<PoolLife, StoreError> {
    let (run, wish) = evaluate(server, tx, pool, formula, now)?;
    let life = scaling::evaluated(pool, run, wish, now);
    tx.update_pool(pool.key, &life)?;
    if life.allocation_at != pool.life.allocation_at {
        tx.announce(Change::PoolSize { pool_key: pool.key });
    }
    Ok(life)
}
