//! Takes Spot nodes away by itself, as often as the settings say: never, unless they do.

use std::sync::Arc;
use std::time::Duration;

use kiln_domain::batch::node::{self, NodeFact, NodeOperation};
use kiln_domain::time::Timestamp;
use kiln_store::{StoreError, Tx};
use tracing::{error, info};

use crate::batch::Outbox;
use crate::link::reports;
use crate::server::Server;
use crate::{clock, secrets};

/// Time between two looks at all Spot nodes.
const LOOK_EACH: Duration = Duration::from_secs(1);
/// Seconds in an hour.
const HOUR_SECONDS: f64 = 3600.0;

/// Looks at Spot nodes until it is dropped.
pub async fn run(server: Arc<Server>) {
    let per_hour = server.config.spot.preemptions_per_hour;
    if per_hour <= 0.0 {
        return;
    }
    let mut looked_at = clock::now();
    loop {
        clock::pause(LOOK_EACH).await;
        let now = clock::now();
        let chance = chance(per_hour, now.since(looked_at));
        looked_at = now;
        if let Err(cause) = look(&server, chance, now).await {
            error!(error = %crate::chain(&cause), "Spot nodes could not be looked at");
        }
    }
}

/// How likely a node is taken away within a time. Nodes do not grow old: how long one has
/// been there says nothing.
fn chance(per_hour: f64, within: Duration) -> f64 {
    1.0 - (-per_hour * within.as_secs_f64() / HOUR_SECONDS).exp()
}

async fn look(server: &Arc<Server>, chance: f64, now: Timestamp) -> Result<(), StoreError> {
    for pool in server.store.read(|view| view.all_pools())? {
        for node in server.store.read(|view| view.nodes_of_pool(pool.key))? {
            let may = node::admit(&node, NodeOperation::Preempt).is_ok();
            if may && secrets::fraction() < chance {
                info!(node_id = node.id, "a Spot node is taken away");
                let outbox = server.store.write(move |tx| take_away(tx, &node.id, now)).await?;
                outbox.send(server);
            }
        }
    }
    Ok(())
}

/// The machine of a node is gone, and with it what ran there.
fn take_away(tx: &mut Tx<'_>, node_id: &str, now: Timestamp) -> Result<Outbox, StoreError> {
    let mut outbox = Outbox::default();
    let Some(node) = tx.node(node_id)? else { return Ok(outbox) };
    let mut life = node.life.clone();
    reports::lose_tasks(tx, &node.id, &mut life, now, &mut outbox)?;
    life = node::step(&life, NodeFact::Preempted, now);
    reports::keep_node(tx, &node, &life)?;
    Ok(outbox)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::chance;

    #[test]
    fn chances_of_a_time_add_up_to_the_rate() {
        let second = Duration::from_secs(1);
        assert!(chance(0.0, second).abs() < f64::EPSILON);
        // One an hour: after an hour, of many nodes a share of 1/e is left.
        let left = (1.0 - chance(1.0, second)).powi(3600);
        assert!((left - (-1.0_f64).exp()).abs() < 1e-9, "{left}");
        assert!(chance(36_000.0, second) > 0.9999);
    }
}
