//! `kiln task explain`: why a task waits, or how it failed.

use kiln_client::BatchClient;
use kiln_client::batch::{Dependency, Explanation, NodeVerdict, Task};

use super::Named;
use crate::failure::Failure;
use crate::output::{self, table};

/// Bytes of a task's errors that are looked at, from their end.
const TAIL_BYTES_MAX: u64 = 4096;
/// Lines of them that are shown.
const TAIL_LINES_MAX: usize = 20;
/// Letters of a node's id that tell it from its neighbors in a table.
const ID_LETTERS_MIN: usize = 14;

pub(super) async fn run(batch: &BatchClient, named: &Named) -> Result<(), Failure> {
    let Named { job, task } = named;
    let explained = batch.explain_task(job, task).await?;
    output::line(&text(&explained));
    if let Some(tail) = tail_of_errors(batch, job, &explained.task).await {
        output::line(&format!("\nstderr.txt ends with\n{tail}"));
    }
    Ok(())
}

/// All that is known but for what the task printed.
fn text(explained: &Explanation) -> String {
    let Explanation { task, job, reasons, dependencies, nodes, .. } = explained;
    let mut parts = vec![headline(task, &job.id)];
    parts.extend(failure(task));
    if !reasons.is_empty() {
        let rows = reasons.iter().map(|it| [it.code.clone(), it.message.clone()]);
        parts.push(table::render(["waits for", "because"], rows.collect()));
    }
    if !dependencies.is_empty() {
        let rows = dependencies.iter().map(dependency_row).collect();
        parts.push(table::render(["depends on", "state", "which"], rows));
    }
    if !nodes.is_empty() {
        let header = ["node", "kind", "state", "slots", "free", "verdict"];
        parts.push(table::render(header, nodes.iter().map(node_row).collect()));
    }
    if explained.nodes_left_out > 0 {
        parts.push(format!("and {} more nodes", explained.nodes_left_out));
    }
    parts.join("\n\n")
}

fn headline(task: &Task, job_id: &str) -> String {
    let Task { id, state, state_transition_time, execution_info, node_info, .. } = task;
    let mut parts =
        vec![format!("task `{id}` of job `{job_id}`: {state} since {state_transition_time}")];
    let run = execution_info.as_ref();
    parts.extend(run.and_then(|run| run.exit_code).map(|code| format!(", exit code {code}")));
    let n_retries = run.map_or(0, |run| run.retry_count);
    if n_retries > 0 {
        parts.push(format!(", retried {n_retries} times"));
    }
    if let Some(node) = node_info {
        parts.push(format!("\non node {} of pool `{}`", node.node_id, node.pool_id));
    }
    parts.concat()
}

fn failure(task: &Task) -> Option<String> {
    let failure = task.execution_info.as_ref()?.failure_info.as_ref()?;
    let mut lines = vec![format!("failed: {} ({})", failure.message, failure.code)];
    lines.extend(failure.details.iter().map(|it| format!("  {}: {}", it.name, it.value)));
    Some(lines.join("\n"))
}

fn dependency_row(dependency: &Dependency) -> [String; 3] {
    let Dependency { task_id, task_id_range, state, message } = dependency;
    let named = task_id.as_ref().or(task_id_range.as_ref());
    [named.cloned().unwrap_or_default(), state.clone().unwrap_or_default(), message.clone()]
}

fn node_row(node: &NodeVerdict) -> [String; 6] {
    let ending = node.id.get(node.id.len().saturating_sub(2)..).unwrap_or_default();
    let beginning = node.id.get(..ID_LETTERS_MIN).unwrap_or(&node.id);
    let wish = if node.is_wished { " (the task rather runs here)" } else { "" };
    [
        format!("{beginning}…{ending}"),
        if node.is_dedicated { "dedicated" } else { "spot" }.to_owned(),
        node.state.clone(),
        node.task_slots.to_string(),
        node.free_slots.to_string(),
        format!("{}{wish}", node.verdict),
    ]
}

/// The last that a task that failed printed to standard error, if it is still there.
async fn tail_of_errors(batch: &BatchClient, job: &str, task: &Task) -> Option<String> {
    task.execution_info.as_ref()?.failure_info.as_ref()?;
    let length = batch.task_file_length(job, &task.id, "stderr.txt").await.ok()?;
    let first = length.saturating_sub(TAIL_BYTES_MAX);
    let bytes = batch.task_file_from(job, &task.id, "stderr.txt", first).await.ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let shown = lines.get(lines.len().saturating_sub(TAIL_LINES_MAX)..).unwrap_or_default();
    (!shown.is_empty())
        .then(|| shown.iter().map(|line| format!("  {line}\n")).collect::<String>())
        .map(|text| text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use kiln_client::batch::{Explanation, NodeVerdict, Reason, Task};

    use super::text;

    #[test]
    fn all_that_is_known_is_shown() {
        let reason = |code: &str, message: &str| Reason {
            code: code.to_owned(),
            message: message.to_owned(),
        };
        let node = NodeVerdict {
            id: "tvmps_0123456789abcdef_d".to_owned(),
            state: "running".to_owned(),
            is_dedicated: true,
            task_slots: 4,
            free_slots: 1,
            is_wished: true,
            verdict: "too few of its slots are free".to_owned(),
        };
        let task = Task {
            id: "t".to_owned(),
            state: "active".to_owned(),
            state_transition_time: "2026-01-01T00:00:00Z".to_owned(),
            ..Task::default()
        };
        let explained = Explanation {
            task,
            reasons: vec![reason("Nodes", "no node has room for it")],
            nodes: vec![node],
            ..Explanation::default()
        };
        let shown = text(&explained);
        let words: Vec<&str> = shown.split_whitespace().collect();
        let words = words.join(" ");
        for expected in [
            "task `t` of job ``: active since 2026-01-01T00:00:00Z",
            "waits for because Nodes no node has room for it",
            "tvmps_01234567…_d dedicated running 4 1 too few of its slots are free (the task rather",
        ] {
            assert!(words.contains(expected), "{shown}");
        }
    }
}
