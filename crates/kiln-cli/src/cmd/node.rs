//! `kiln node`: nodes of pools, and what can happen to them.

use clap::{Args, Subcommand};
use kiln_client::BatchClient;
use kiln_client::batch::Node;

use super::account;
use super::env::AccountChoice;
use crate::data::DataDirectory;
use crate::failure::Failure;
use crate::output::{self, table};

/// Letters of a node's id that tell it from its neighbors in a table.
const ID_LETTERS_MIN: usize = 14;

const EXAMPLE: &str = "\
Preempting takes the machine of a Spot node away, as Azure does when it needs it: tasks that run
there wait again, and after a while the node comes back under its name. Nodes are taken away by
themselves when the settings say how often.

Examples:
  kiln node list mypool
  kiln node preempt mypool
  kiln node preempt mypool tvmps_1f...0a_p";

/// Show nodes of a pool, and take Spot nodes away.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct NodeArgs {
    #[command(subcommand)]
    verb: Verb,
    /// Which accounts, where there are several
    #[command(flatten)]
    accounts: AccountChoice,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the nodes of a pool
    List {
        /// The pool
        pool: String,
    },
    /// Take the machine of a Spot node away
    Preempt {
        /// The pool
        pool: String,
        /// The node, or how its id begins; any Spot node when absent
        node: Option<String>,
    },
}

pub(crate) fn run(args: &NodeArgs, data: &DataDirectory) -> Result<(), Failure> {
    let batch = account::batch_client(data, &args.accounts)?;
    crate::runtime()?.block_on(async {
        match &args.verb {
            Verb::List { pool } => {
                output::line(&listing(&batch.nodes(pool).all().await?));
                Ok(())
            }
            Verb::Preempt { pool, node } => preempt(&batch, pool, node.as_deref()).await,
        }
    })
}

async fn preempt(batch: &BatchClient, pool: &str, node: Option<&str>) -> Result<(), Failure> {
    let nodes = batch.nodes(pool).all().await?;
    let chosen = choose(&nodes, node)?;
    batch.preempt_node(pool, &chosen.id).await?;
    output::line(&format!("preempted `{}`", chosen.id));
    Ok(())
}

/// The one node that is meant, or a Spot node that has its machine.
fn choose<'n>(nodes: &'n [Node], named: Option<&str>) -> Result<&'n Node, Failure> {
    let hint = "`kiln node list POOL` shows the nodes";
    let Some(named) = named else {
        let found = nodes.iter().find(|node| !node.is_dedicated && node.state != "preempted");
        return found.ok_or_else(|| Failure::new("the pool has no Spot node to take").hint(hint));
    };
    let mut fitting = nodes.iter().filter(|node| node.id.starts_with(named));
    match (fitting.next(), fitting.next()) {
        (Some(node), None) => Ok(node),
        (None, _) => Err(Failure::new(format!("no node's id begins with `{named}`")).hint(hint)),
        (Some(_), Some(_)) => {
            Err(Failure::new(format!("the ids of several nodes begin with `{named}`")).hint(hint))
        }
    }
}

fn listing(nodes: &[Node]) -> String {
    let row = |node: &Node| {
        let ending = node.id.get(node.id.len().saturating_sub(2)..).unwrap_or_default();
        let beginning = node.id.get(..ID_LETTERS_MIN).unwrap_or(&node.id);
        let what = node.errors.first().map(|error| error.code.clone());
        [
            format!("{beginning}…{ending}"),
            if node.is_dedicated { "dedicated" } else { "spot" }.to_owned(),
            node.state.clone(),
            node.running_tasks_count.to_string(),
            node.total_tasks_run.to_string(),
            node.ip_address.clone(),
            what.unwrap_or_default(),
        ]
    };
    let header = ["node", "kind", "state", "running", "ran", "address", "error"];
    table::render(header, nodes.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use kiln_client::batch::Node;

    use super::{choose, listing};

    fn node(id: &str, is_dedicated: bool, state: &str) -> Node {
        let (id, state) = (id.to_owned(), state.to_owned());
        Node { id, is_dedicated, state, ..Node::default() }
    }

    #[test]
    fn a_node_is_named_by_how_its_id_begins() {
        let nodes = [
            node("tvmps_aa_d", true, "idle"),
            node("tvmps_ab_p", false, "preempted"),
            node("tvmps_b_p", false, "idle"),
        ];
        let chosen = |named| choose(&nodes, named).map(|node| node.id.as_str()).ok();
        assert_eq!(chosen(None), Some("tvmps_b_p"));
        assert_eq!(chosen(Some("tvmps_ab")), Some("tvmps_ab_p"));
        assert_eq!(chosen(Some("tvmps_a")), None);
        assert_eq!(chosen(Some("x")), None);
        assert!(choose(&nodes[..2], None).is_err());
    }

    #[test]
    fn nodes_make_a_table() {
        let long = format!("tvmps_{}_d", "0123456789abcdef".repeat(4));
        let shown = listing(&[node(&long, true, "idle")]);
        let line = shown.lines().nth(1).expect("a row");
        assert!(line.starts_with("tvmps_01234567…_d  dedicated  idle"), "{line}");
    }
}
