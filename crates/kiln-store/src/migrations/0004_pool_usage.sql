
-- Sums over what a pool used: time in ticks of 100 ns, amounts in bytes, averages as amounts times
-- seconds.
CREATE TABLE pool_usage (
    pool_key            INTEGER NOT NULL PRIMARY KEY REFERENCES pool (key) ON DELETE CASCADE,
    updated_at          INTEGER NOT NULL,
    dedicated_core_time INTEGER NOT NULL,
    measured            INTEGER NOT NULL,
    cpu_worked          INTEGER NOT NULL,
    cpu_available       INTEGER NOT NULL,
    memory_byte_seconds REAL NOT NULL,
    disk_byte_seconds   REAL NOT NULL,
    peak_memory_bytes   INTEGER NOT NULL,
    peak_disk_bytes     INTEGER NOT NULL,
    disk_read_ops       INTEGER NOT NULL,
    disk_write_ops      INTEGER NOT NULL,
    disk_read_bytes     INTEGER NOT NULL,
    disk_write_bytes    INTEGER NOT NULL,
    network_in_bytes    INTEGER NOT NULL,
    network_out_bytes   INTEGER NOT NULL
);

-- The same over all pools that an account ever had.
CREATE TABLE account_pool_usage (
    account             TEXT NOT NULL PRIMARY KEY,
    updated_at          INTEGER NOT NULL,
    dedicated_core_time INTEGER NOT NULL,
    measured            INTEGER NOT NULL,
    cpu_worked          INTEGER NOT NULL,
    cpu_available       INTEGER NOT NULL,
    memory_byte_seconds REAL NOT NULL,
    disk_byte_seconds   REAL NOT NULL,
    peak_memory_bytes   INTEGER NOT NULL,
    peak_disk_bytes     INTEGER NOT NULL,
    disk_read_ops       INTEGER NOT NULL,
    disk_write_ops      INTEGER NOT NULL,
    disk_read_bytes     INTEGER NOT NULL,
    disk_write_bytes    INTEGER NOT NULL,
    network_in_bytes    INTEGER NOT NULL,
    network_out_bytes   INTEGER NOT NULL
) WITHOUT ROWID;

-- How many machines a pool has had since its use was last counted.
CREATE TABLE pool_meter (
    pool_key      INTEGER NOT NULL PRIMARY KEY REFERENCES pool (key) ON DELETE CASCADE,
    counted_until INTEGER NOT NULL,
    dedicated     INTEGER NOT NULL,
    low_priority  INTEGER NOT NULL,
    cores         INTEGER NOT NULL
);

CREATE INDEX pool_meter_turning ON pool_meter (pool_key) WHERE dedicated + low_priority > 0;

-- What pools used by intervals, those that are gone included.
CREATE TABLE pool_usage_interval (
    account           TEXT NOT NULL,
    starts_at         INTEGER NOT NULL,
    pool_id           TEXT NOT NULL COLLATE NOCASE,
    vm_size           TEXT NOT NULL,
    -- Until when it is counted.
    counted_until     INTEGER NOT NULL,
    core_time         INTEGER NOT NULL,
    network_in_bytes  INTEGER NOT NULL,
    network_out_bytes INTEGER NOT NULL,
    PRIMARY KEY (account, starts_at, pool_id, vm_size)
) WITHOUT ROWID;

-- How many pools an account has; kept, not counted.
CREATE TABLE pool_count (
    account TEXT NOT NULL PRIMARY KEY,
    n       INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO pool_count (account, n) SELECT account, count(*) FROM pool GROUP BY account;

CREATE TRIGGER pool_added AFTER INSERT ON pool BEGIN
    INSERT INTO pool_count (account, n) VALUES (NEW.account, 1)
    ON CONFLICT (account) DO UPDATE SET n = n + 1;
END;

CREATE TRIGGER pool_removed AFTER DELETE ON pool BEGIN
    UPDATE pool_count SET n = n - 1 WHERE account = OLD.account;
END;
