
-- Sums over the tasks of a job, those that were removed included. Ticks of 100 ns.
CREATE TABLE job_usage (
    job_key     INTEGER NOT NULL PRIMARY KEY REFERENCES job (key),
    updated_at  INTEGER NOT NULL,
    user_cpu    INTEGER NOT NULL,
    kernel_cpu  INTEGER NOT NULL,
    wall_clock  INTEGER NOT NULL,
    wait        INTEGER NOT NULL,
    read_ops    INTEGER NOT NULL,
    write_ops   INTEGER NOT NULL,
    read_bytes  INTEGER NOT NULL,
    write_bytes INTEGER NOT NULL,
    succeeded   INTEGER NOT NULL,
    failed      INTEGER NOT NULL,
    retries     INTEGER NOT NULL
);

-- The same over the jobs of a schedule that are gone.
CREATE TABLE schedule_usage (
    schedule_key INTEGER NOT NULL PRIMARY KEY REFERENCES job_schedule (key) ON DELETE CASCADE,
    updated_at  INTEGER NOT NULL,
    user_cpu    INTEGER NOT NULL,
    kernel_cpu  INTEGER NOT NULL,
    wall_clock  INTEGER NOT NULL,
    wait        INTEGER NOT NULL,
    read_ops    INTEGER NOT NULL,
    write_ops   INTEGER NOT NULL,
    read_bytes  INTEGER NOT NULL,
    write_bytes INTEGER NOT NULL,
    succeeded   INTEGER NOT NULL,
    failed      INTEGER NOT NULL,
    retries     INTEGER NOT NULL
);

-- The same over the jobs of an account that are gone.
CREATE TABLE account_usage (
    account     TEXT NOT NULL PRIMARY KEY,
    updated_at  INTEGER NOT NULL,
    user_cpu    INTEGER NOT NULL,
    kernel_cpu  INTEGER NOT NULL,
    wall_clock  INTEGER NOT NULL,
    wait        INTEGER NOT NULL,
    read_ops    INTEGER NOT NULL,
    write_ops   INTEGER NOT NULL,
    read_bytes  INTEGER NOT NULL,
    write_bytes INTEGER NOT NULL,
    succeeded   INTEGER NOT NULL,
    failed      INTEGER NOT NULL,
    retries     INTEGER NOT NULL
) WITHOUT ROWID;
