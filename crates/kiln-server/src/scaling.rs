//! Evaluates the formulas of pools that size themselves.

use kiln_domain::autoscale::{self, Run, Sample, Scene, Wish};
use kiln_domain::batch::change::Change;
use kiln_domain::batch::pool::{Pool, PoolLife};
use kiln_domain::batch::scaling;
use kiln_domain::time::Timestamp;
use kiln_store::{StoreError, Tx};

use crate::server::Server;
use crate::{kept, samples};

/// Evaluates a formula on a pool as `latest` counts it, at that time, and changes nothing.
pub fn evaluate(
    server: &Server,
    pool: &Pool,
    formula: &str,
    latest: Sample,
) -> (Run, Option<Wish>) {
    server.samples.with(pool.key, |history| {
        let scene = Scene {
            now: latest.at,
            targets: pool.life.targets,
            history,
            latest,
            seed: latest.at.0.unsigned_abs() ^ pool.key.unsigned_abs(),
        };
        autoscale::evaluate(formula, &scene)
    })
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
        let latest = samples::count(server, tx, pool, now)?;
        scale(server, tx, pool, formula, latest)?;
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
    latest: Sample,
) -> Result<PoolLife, StoreError> {
    let (run, wish) = evaluate(server, pool, formula, latest);
    let life = scaling::evaluated(pool, run, wish, latest.at);
    tx.update_pool(pool.key, &life)?;
    if life.allocation_at != pool.life.allocation_at {
        tx.announce(Change::PoolSize { pool_key: pool.key });
    }
    Ok(life)
}
