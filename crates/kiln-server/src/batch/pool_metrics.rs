//! What pools used by intervals: list.

use kiln_domain::batch::pool_usage::{end_of, intervals_shown};
use kiln_domain::time::Timestamp;
use kiln_store::PoolInterval;
use kiln_wire::batch::error::Refusal;
use kiln_wire::batch::odata::{self, List};
use kiln_wire::batch::statistics::{Covered, PoolMetrics, of_interval};
use kiln_wire::batch::{Shape, metadata};

use super::answer::Answer;
use super::call::Call;
use super::error::OpError;
use super::page::Page;

/// `GET /poolusagemetrics`.
pub(super) fn list(call: &Call) -> Result<Answer, Refusal> {
    let page = Page::of(call, Shape::PoolUsageMetrics, Some(List::PoolUsageMetrics))?;
    let (start, end) = (time(call, "startTime")?, time(call, "endTime")?);
    if let (Some(from), Some(to)) = (start, end)
        && from > to
    {
        let reason = "The start time must not be later than the end time";
        return Err(Refusal::invalid_query_parameter("startTime", &from.to_iso(), reason));
    }
    let range = intervals_shown(start, end, call.now);
    page.collect(metadata::POOL_USAGE_METRICS, |after, limit| {
        let after = Cursor::read(after);
        let after = (after.starts_at, after.pool_id, after.vm_size);
        call.server.store.read(|view| {
            let intervals = view.pool_intervals(&call.account, range, after, limit)?;
            let shown = |it: PoolInterval| (Cursor::of(&it).write(), tree(it, call.now));
            Ok::<_, OpError>(intervals.into_iter().map(shown).collect())
        })
    })
}

fn time(call: &Call, name: &str) -> Result<Option<Timestamp>, Refusal> {
    let Some(text) = odata::option(&call.query, name) else { return Ok(None) };
    let refused = || Refusal::invalid_query_parameter(name, text, "It must be a time");
    Timestamp::parse_iso(text).map(Some).ok_or_else(refused)
}

fn tree(interval: PoolInterval, now: Timestamp) -> serde_json::Value {
    let ends_at = end_of(interval.starts_at);
    let until = if ends_at <= now { ends_at } else { interval.counted_until };
    of_interval(&PoolMetrics {
        pool_id: interval.pool_id,
        vm_size: interval.vm_size,
        covers: Covered { from: interval.starts_at, until },
        core_time: interval.core_time,
        network_in_bytes: interval.network_in_bytes,
        network_out_bytes: interval.network_out_bytes,
    })
}

/// Where the list goes on. An id has no slash.
#[derive(Debug, PartialEq, Eq)]
struct Cursor<'t> {
    starts_at: Timestamp,
    pool_id: &'t str,
    vm_size: &'t str,
}

impl<'t> Cursor<'t> {
    fn of(interval: &'t PoolInterval) -> Self {
        let PoolInterval { starts_at, pool_id, vm_size, .. } = interval;
        Self { starts_at: *starts_at, pool_id, vm_size }
    }

    fn write(&self) -> String {
        format!("{}/{}/{}", self.starts_at.0, self.pool_id, self.vm_size)
    }

    /// Nothing comes before the cursor of a first page.
    fn read(text: &'t str) -> Self {
        let mut parts = text.splitn(3, '/');
        let mut next = || parts.next().unwrap_or_default();
        let starts_at = Timestamp(next().parse().unwrap_or(0));
        Self { starts_at, pool_id: next(), vm_size: next() }
    }
}

#[cfg(test)]
mod tests {
    use kiln_domain::time::Timestamp;

    use super::Cursor;

    #[test]
    fn a_cursor_leads_back_to_where_it_was() {
        for (ticks, pool_id, vm_size) in
            [(5, "p", "standard_d1_v2"), (0, "a-b_c", "x/y"), (9, "p", "")]
        {
            let cursor = Cursor { starts_at: Timestamp(ticks), pool_id, vm_size };
            assert_eq!(Cursor::read(&cursor.write()), cursor);
        }
        assert_eq!(Cursor::read(""), Cursor { starts_at: Timestamp(0), pool_id: "", vm_size: "" });
    }
}
