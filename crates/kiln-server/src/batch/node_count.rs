//! Numbers of nodes by state: list.

use std::collections::BTreeMap;

use kiln_domain::batch::node::NodeState;
use kiln_wire::batch::error::Refusal;
use kiln_wire::batch::odata::List;
use kiln_wire::batch::pool::node_counts;
use kiln_wire::batch::{Shape, metadata};

use super::answer::Answer;
use super::call::Call;
use super::error::OpError;
use super::page::Page;

/// `GET /nodecounts`.
pub(super) fn list(call: &Call) -> Result<Answer, Refusal> {
    let page = Page::of(call, Shape::PoolNodeCounts, Some(List::NodeCounts))?;
    page.collect(metadata::NODE_COUNTS, |after, limit| {
        call.server.store.read(|view| {
            let mut counted = Vec::new();
            for pool in view.pools_after(&call.account, after, limit)? {
                let mut counts: [BTreeMap<NodeState, u32>; 2] = Default::default();
                let [dedicated, low_priority] = &mut counts;
                for node in view.nodes_of_pool(pool.key)? {
                    let own =
                        if node.life.is_dedicated { &mut *dedicated } else { &mut *low_priority };
                    *own.entry(node.life.state).or_default() += 1;
                }
                let tree = node_counts(&pool.id, dedicated, low_priority);
                counted.push((pool.id, tree));
            }
            Ok::<_, OpError>(counted)
        })
    })
}
