//! What pools used: sums of a pool and of an account, and use by intervals.

use std::sync::LazyLock;

use kiln_domain::batch::pool_usage::{Consumption, CoreTime, Machines, Meter};
use kiln_domain::limits::POOL_USAGE_KEPT_DAYS;
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use rusqlite::{OptionalExtension, Row, ToSql, params};

use super::summing::added;
use crate::{StoreError, Tx, View};

/// The sums of a pool, or of all pools that an account ever had.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolUsage {
    /// When they last changed.
    pub updated_at: Timestamp,
    /// Time of the cores of dedicated nodes, as far as it is counted.
    pub dedicated_core_time: Span,
    /// What nodes measured.
    pub consumption: Consumption,
}

/// What a pool used in one interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolInterval {
    /// When the interval begins.
    pub starts_at: Timestamp,
    /// The pool, which may be gone.
    pub pool_id: String,
    /// The size of its nodes.
    pub vm_size: String,
    /// Until when this is counted.
    pub counted_until: Timestamp,
    /// Time of the cores of all its nodes.
    pub core_time: Span,
    /// Bytes that nodes received.
    pub network_in_bytes: u64,
    /// Bytes that nodes sent.
    pub network_out_bytes: u64,
}

/// Names a pool where its use is kept, also when the pool is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeteredPool {
    /// The store's key of the pool.
    pub key: i64,
    /// Its account.
    pub account: String,
    /// Its id.
    pub id: String,
    /// The size of its nodes.
    pub vm_size: String,
}

/// The columns of sums, in the order of [`sums`].
const SUMS: &str = "updated_at, dedicated_core_time, measured, cpu_worked, cpu_available, \
                    memory_byte_seconds, disk_byte_seconds, peak_memory_bytes, peak_disk_bytes, \
                    disk_read_ops, disk_write_ops, disk_read_bytes, disk_write_bytes, \
                    network_in_bytes, network_out_bytes";
/// What becomes of them when a row is there already.
static ADD: LazyLock<String> = LazyLock::new(|| added(SUMS));

fn sums(row: &Row<'_>) -> Result<PoolUsage, rusqlite::Error> {
    let span = |idx| row.get(idx).map(Span::from_ticks);
    let count = |idx| row.get::<_, i64>(idx).map(|it| u64::try_from(it).unwrap_or(0));
    Ok(PoolUsage {
        updated_at: Timestamp(row.get(0)?),
        dedicated_core_time: span(1)?,
        consumption: Consumption {
            measured: span(2)?,
            cpu_worked: span(3)?,
            cpu_available: span(4)?,
            memory_byte_seconds: row.get(5)?,
            disk_byte_seconds: row.get(6)?,
            peak_memory_bytes: count(7)?,
            peak_disk_bytes: count(8)?,
            disk_read_ops: count(9)?,
            disk_write_ops: count(10)?,
            disk_read_bytes: count(11)?,
            disk_write_bytes: count(12)?,
            network_in_bytes: count(13)?,
            network_out_bytes: count(14)?,
        },
    })
}

fn meter(row: &Row<'_>) -> Result<Meter, rusqlite::Error> {
    let machines = Machines { dedicated: row.get(1)?, low_priority: row.get(2)? };
    Ok(Meter { counted_until: Timestamp(row.get(0)?), machines, cores: row.get(3)? })
}

fn interval(row: &Row<'_>) -> Result<PoolInterval, rusqlite::Error> {
    let count = |idx| row.get::<_, i64>(idx).map(|it| u64::try_from(it).unwrap_or(0));
    Ok(PoolInterval {
        starts_at: Timestamp(row.get(0)?),
        pool_id: row.get(1)?,
        vm_size: row.get(2)?,
        counted_until: Timestamp(row.get(3)?),
        core_time: Span::from_ticks(row.get(4)?),
        network_in_bytes: count(5)?,
        network_out_bytes: count(6)?,
    })
}

impl View<'_> {
    /// The meter of a pool, once it had a machine.
    pub fn pool_meter(&self, pool_key: i64) -> Result<Option<Meter>, StoreError> {
        let sql = "SELECT counted_until, dedicated, low_priority, cores FROM pool_meter
                   WHERE pool_key = ?1";
        Ok(self.statement(sql)?.query_row(params![pool_key], meter).optional()?)
    }

    /// Keys of pools that have machines, in order: at most `limit` after `after`.
    pub fn metered_pools_after(&self, after: i64, limit: usize) -> Result<Vec<i64>, StoreError> {
        let sql = "SELECT pool_key FROM pool_meter
                   WHERE pool_key > ?1 AND dedicated + low_priority > 0
                   ORDER BY pool_key LIMIT ?2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.statement(sql)?;
        let keys = statement.query_map(params![after, limit], |row| row.get(0))?;
        Ok(keys.collect::<Result<_, _>>()?)
    }

    /// The meters of the pools that an account has, as far as they had machines.
    pub fn pool_meters(&self, account: &str) -> Result<Vec<Meter>, StoreError> {
        let sql = "SELECT counted_until, dedicated, low_priority, cores
                   FROM pool JOIN pool_meter ON pool_meter.pool_key = pool.key
                   WHERE pool.account = ?1";
        let mut statement = self.statement(sql)?;
        Ok(statement.query_map(params![account], meter)?.collect::<Result<_, _>>()?)
    }

    /// The sums of a pool, once there are some.
    pub fn usage_of_pool(&self, pool_key: i64) -> Result<Option<PoolUsage>, StoreError> {
        let sql = format!("SELECT {SUMS} FROM pool_usage WHERE pool_key = ?1");
        Ok(self.statement(&sql)?.query_row(params![pool_key], sums).optional()?)
    }

    /// The sums of all pools that an account ever had, once there are some.
    pub fn usage_of_pools(&self, account: &str) -> Result<Option<PoolUsage>, StoreError> {
        let sql = format!("SELECT {SUMS} FROM account_pool_usage WHERE account = ?1");
        Ok(self.statement(&sql)?.query_row(params![account], sums).optional()?)
    }

    /// What pools used in intervals that begin from `from` on and before `to`, in the order of
    /// time, id and size: at most `limit` that come after `after`.
    pub fn pool_intervals(
        &self,
        account: &str,
        (from, to): (Timestamp, Timestamp),
        (after_at, after_pool, after_size): (Timestamp, &str, &str),
        limit: usize,
    ) -> Result<Vec<PoolInterval>, StoreError> {
        let sql = "SELECT starts_at, pool_id, vm_size, counted_until, core_time,
                          network_in_bytes, network_out_bytes
                   FROM pool_usage_interval
                   WHERE account = ?1 AND starts_at >= ?2 AND starts_at < ?3
                     AND (starts_at, pool_id, vm_size) > (?4, ?5, ?6)
                   ORDER BY starts_at, pool_id, vm_size LIMIT ?7";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.statement(sql)?;
        let values = params![account, from.0, to.0, after_at.0, after_pool, after_size, limit];
        Ok(statement.query_map(values, interval)?.collect::<Result<_, _>>()?)
    }
}

impl Tx<'_> {
    /// Keeps the meter of a pool.
    pub fn put_pool_meter(&mut self, pool_key: i64, meter: &Meter) -> Result<(), StoreError> {
        let sql = "INSERT INTO pool_meter (pool_key, counted_until, dedicated, low_priority, cores)
                   VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT (pool_key) DO UPDATE SET
                       counted_until = excluded.counted_until,
                       dedicated = excluded.dedicated,
                       low_priority = excluded.low_priority,
                       cores = excluded.cores";
        let Machines { dedicated, low_priority } = meter.machines;
        let values = params![pool_key, meter.counted_until.0, dedicated, low_priority, meter.cores];
        self.statement(sql)?.execute(values)?;
        Ok(())
    }

    /// Adds to the sums of a pool, unless it is gone, and of its account.
    pub fn add_pool_usage(
        &mut self,
        pool: &MeteredPool,
        usage: &PoolUsage,
    ) -> Result<(), StoreError> {
        if self.pool_by_key(pool.key)?.is_some() {
            self.add_sums("pool_usage", "pool_key", pool.key, usage)?;
        }
        self.add_sums("account_pool_usage", "account", &pool.account, usage)
    }

    fn add_sums(
        &mut self,
        table: &str,
        column: &str,
        key: impl ToSql,
        usage: &PoolUsage,
    ) -> Result<(), StoreError> {
        let add = ADD.as_str();
        let sql = format!(
            "INSERT INTO {table} ({column}, {SUMS})
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
             ON CONFLICT ({column}) DO UPDATE SET {add}"
        );
        let it = &usage.consumption;
        self.statement(&sql)?.execute(params![
            key,
            usage.updated_at.0,
            usage.dedicated_core_time.ticks(),
            it.measured.ticks(),
            it.cpu_worked.ticks(),
            it.cpu_available.ticks(),
            it.memory_byte_seconds,
            it.disk_byte_seconds,
            signed(it.peak_memory_bytes),
            signed(it.peak_disk_bytes),
            signed(it.disk_read_ops),
            signed(it.disk_write_ops),
            signed(it.disk_read_bytes),
            signed(it.disk_write_bytes),
            signed(it.network_in_bytes),
            signed(it.network_out_bytes),
        ])?;
        Ok(())
    }

    /// Adds to what a pool used in an interval; with the first of an account's intervals that
    /// begins so late, those go that were kept for long enough.
    pub fn add_pool_interval(
        &mut self,
        pool: &MeteredPool,
        time: &CoreTime,
        consumption: &Consumption,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO pool_usage_interval
                       (account, starts_at, pool_id, vm_size, counted_until, core_time,
                        network_in_bytes, network_out_bytes)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                   ON CONFLICT (account, starts_at, pool_id, vm_size) DO UPDATE SET
                       counted_until = max(counted_until, excluded.counted_until),
                       core_time = core_time + excluded.core_time,
                       network_in_bytes = network_in_bytes + excluded.network_in_bytes,
                       network_out_bytes = network_out_bytes + excluded.network_out_bytes";
        self.statement(sql)?.execute(params![
            pool.account,
            time.interval.0,
            pool.id,
            pool.vm_size,
            time.until.0,
            time.all.ticks(),
            signed(consumption.network_in_bytes),
            signed(consumption.network_out_bytes),
        ])?;
        let oldest = time.interval.plus(Span::days(POOL_USAGE_KEPT_DAYS).negative());
        let sql = "DELETE FROM pool_usage_interval WHERE account = ?1 AND starts_at < ?2";
        self.statement(sql)?.execute(params![pool.account, oldest.0])?;
        Ok(())
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
