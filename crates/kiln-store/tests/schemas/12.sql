-- What a Kiln of schema 12 kept: at least one row of each table.
PRAGMA foreign_keys = OFF;
BEGIN TRANSACTION;
CREATE TABLE account (
    kind       TEXT NOT NULL,
    name       TEXT NOT NULL,
    key1       TEXT NOT NULL,
    key2       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    linked_storage TEXT, settings TEXT NOT NULL DEFAULT '{}',
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
INSERT INTO "account" VALUES('batch','kilndev','S2lsbiBrZXkgZm9yIGRldmVsb3BtZW50IG9uIGxvb3BiYWNrIG9ubHksIHB1Ymxpc2hlZCwgbm90IHNlY3JldC4h','S2lsbiBrZXkgZm9yIGRldmVsb3BtZW50IG9uIGxvb3BiYWNrIG9ubHksIHB1Ymxpc2hlZCwgbm90IHNlY3JldC4h',17960709028966656,NULL,'{}');
INSERT INTO "account" VALUES('storage','devstoreaccount1','Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==','Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==',17960709028966656,NULL,'{}');
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
INSERT INTO "account_pool_usage" VALUES('kilndev',17960709041258637,6066770,0,0,0,0.0,0.0,0,0,0,0,0,0,0,0);
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
INSERT INTO "account_usage" VALUES('kilndev',17960709034336977,23010,0,514730,1742191,8,8,4096,4096,1,1,0);
CREATE TABLE active_count (
    account TEXT NOT NULL PRIMARY KEY,
    n       INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO "active_count" VALUES('kilndev',4);
CREATE TABLE application (
    key      INTEGER PRIMARY KEY AUTOINCREMENT,
    account  TEXT NOT NULL,
    id       TEXT NOT NULL COLLATE NOCASE,
    life     TEXT NOT NULL,
    UNIQUE (account, id)
);
INSERT INTO "application" VALUES(1,'kilndev','app','{"display_name":null,"default_version":"1.0","allows_updates":true,"created_at":17960709030767503,"modified_at":17960709031645767}');
CREATE TABLE "blob" (
    container_key INTEGER NOT NULL REFERENCES container (key),
    is_past       INTEGER NOT NULL,
    name          BLOB NOT NULL,
    moment        INTEGER NOT NULL,
    edition       INTEGER NOT NULL,
    kind          INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    modified_at   INTEGER NOT NULL,
    size_bytes    INTEGER NOT NULL,
    properties    TEXT NOT NULL,
    metadata      TEXT NOT NULL,
    tags          TEXT,
    lease         TEXT,
    details       TEXT NOT NULL,
    -- Of append and page blobs: the list in `piece`. Block blobs have their blocks here.
    pieces        INTEGER,
    deleted_at    INTEGER,
    purge_at      INTEGER,
    blocks        BLOB NOT NULL,
    PRIMARY KEY (container_key, is_past, name, moment)
) WITHOUT ROWID;
INSERT INTO "blob" VALUES(1,0,X'312E30',0,0,0,17960709031375786,17960709031375786,134,'{"content_type":"application/octet-stream"}','[]',NULL,NULL,'{}',NULL,NULL,NULL,X'08303030303030303001000000000000008600000000000000');
INSERT INTO "blob" VALUES(2,0,X'617070656E64',0,0,1,17960709037432710,17960709037576236,8,'{"content_type":"application/octet-stream"}','[]',NULL,NULL,'{"n_appended":1}',1,NULL,NULL,X'');
INSERT INTO "blob" VALUES(2,0,X'6C61726765',0,0,0,17960709037009536,17960709037009536,102400,'{"content_type":"application/octet-stream","md5":"RNCIzvE20XjpyLqEw/32yg=="}','[]',NULL,NULL,'{}',NULL,NULL,NULL,X'0003000000000000000090010000000000');
INSERT INTO "blob" VALUES(2,0,X'70616765',0,0,2,17960709037758982,17960709037900619,1024,'{"content_type":"application/octet-stream"}','[]',NULL,NULL,'{}',2,NULL,NULL,X'');
INSERT INTO "blob" VALUES(2,0,X'736D616C6C',0,0,0,17960709036572961,17960709036572961,5,'{"content_type":"application/octet-stream","md5":"61wTmahxIRx+ftcy0V46iw=="}','[["word","w"]]','[["k","v"]]',NULL,'{}',NULL,NULL,NULL,X'0002000000000000000500000000000000');
INSERT INTO "blob" VALUES(2,1,X'736D616C6C',17960709038047443,1,0,17960709036572961,17960709036572961,5,'{"content_type":"application/octet-stream","md5":"61wTmahxIRx+ftcy0V46iw=="}','[["word","w"]]','[["k","v"]]',NULL,'{}',NULL,NULL,NULL,X'0002000000000000000500000000000000');
CREATE TABLE blob_tag (
    container_key INTEGER NOT NULL,
    key           TEXT NOT NULL,
    value         TEXT NOT NULL,
    name          BLOB NOT NULL,
    PRIMARY KEY (container_key, key, value, name)
) WITHOUT ROWID;
INSERT INTO "blob_tag" VALUES(2,'k','v',X'736D616C6C');
CREATE TABLE certificate (
    key        INTEGER PRIMARY KEY AUTOINCREMENT,
    account    TEXT NOT NULL,
    thumbprint TEXT NOT NULL,
    life       TEXT NOT NULL,
    password   TEXT,
    bytes      BLOB NOT NULL,
    UNIQUE (account, thumbprint)
);
INSERT INTO "certificate" VALUES(1,'kilndev','85204e789da2426299b3c4ed1f65e296381cb1f1','{"state":"active","state_at":17960709032088153,"previous":null,"format":"cer","public_data":"MIICBDCCAW2gAwIBAgIUCtRww1pYgPVJVJRmqM808Q9AvBMwDQYJKoZIhvcNAQELBQAwFDESMBAGA1UEAwwJa2lsbi10ZXN0MB4XDTI2MTEyMjIyMjA1N1oXDTM2MTExOTIyMjA1N1owFDESMBAGA1UEAwwJa2lsbi10ZXN0MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDztP2ASETsMp0+vRCNzc+i5LMU3vsLHaZAOHYsW81jgQH9aykVBSDl/gycL6vg2q+cB4pbalkUuhNjQ3fIM7Fhv3J6A76/gThGTbFEcVAiVvbn/2Iy15EHQY6c4QKfRRg4Hzlr/3BnrJSkm5egNyp7ybRW4OdKwaOYTEnBDCYMQQIDAQABo1MwUTAdBgNVHQ4EFgQURDRosUA6HyxgUcu8lGcMc6dV+Q0wHwYDVR0jBBgwFoAURDRosUA6HyxgUcu8lGcMc6dV+Q0wDwYDVR0TAQH/BAUwAwEB/zANBgkqhkiG9w0BAQsFAAOBgQAkgq5KkecV4mgrdzEA7ai07IAT/8dZ/xh2YWVFp8yiU8TKz3yJsq8Snb5JyIMK0oRiuBsKI6zSA6hVQuiglNdmlNM9mMpeyuwB2hO9JTDy2nPTO6lTgrXyfe4AWmlfzqre9NAYkexJkZCnLKvWhiU/XYh7U82eYJyd8h6XXp6rog==","failure":null}',NULL,X'308202043082016DA00302010202140AD470C35A5880F549549466A8CF34F10F40BC13300D06092A864886F70D01010B050030143112301006035504030C096B696C6E2D74657374301E170D3236313132323232323035375A170D3336313131393232323035375A30143112301006035504030C096B696C6E2D7465737430819F300D06092A864886F70D010101050003818D0030818902818100F3B4FD804844EC329D3EBD108DCDCFA2E4B314DEFB0B1DA64038762C5BCD638101FD6B29150520E5FE0C9C2FABE0DAAF9C078A5B6A5914BA13634377C833B161BF727A03BEBF8138464DB14471502256F6E7FF6232D79107418E9CE1029F4518381F396BFF7067AC94A49B97A0372A7BC9B456E0E74AC1A3984C49C10C260C410203010001A3533051301D0603551D0E04160414443468B1403A1F2C6051CBBC94670C73A755F90D301F0603551D23041830168014443468B1403A1F2C6051CBBC94670C73A755F90D300F0603551D130101FF040530030101FF300D06092A864886F70D01010B0500038181002482AE4A91E715E2682B773100EDA8B4EC8013FFC759FF1876616545A7CCA253C4CACF7C89B2AF129DBE49C8830AD28462B81B0A23ACD203A85542E8A094D76694D33D98CA5ECAEC01DA13BD2530F2DA73D33BA95382B5F27DEE005A695FCEAADEF4D01891EC499190A72CABD686253F5D887B53CD9E609C9DF21E975E9EABA2');
CREATE TABLE container (
    key           INTEGER PRIMARY KEY AUTOINCREMENT,
    account       TEXT NOT NULL,
    name          TEXT NOT NULL,
    modified_at   INTEGER NOT NULL,
    public_access TEXT NOT NULL,
    metadata      TEXT NOT NULL,
    policies      TEXT NOT NULL,
    -- A deleted container frees its name at once; its blobs go a few at a time.
    is_deleted    INTEGER NOT NULL DEFAULT 0
, lease TEXT, deleted_at INTEGER, purge_at INTEGER);
INSERT INTO "container" VALUES(1,'devstoreaccount1','app-app-0a55c07e480c0a5150d1181cd2a5aa1e',17960709031085874,'"private"','[]','[]',0,NULL,NULL,NULL);
INSERT INTO "container" VALUES(2,'devstoreaccount1','cont',17960709036406090,'"private"','[]','[]',0,NULL,NULL,NULL);
CREATE TABLE dependency (
    job_key   INTEGER NOT NULL REFERENCES job (key),
    parent_id TEXT NOT NULL COLLATE NOCASE,
    child_id  TEXT NOT NULL COLLATE NOCASE,
    PRIMARY KEY (job_key, parent_id, child_id)
) WITHOUT ROWID;
INSERT INTO "dependency" VALUES(1,'1','3');
INSERT INTO "dependency" VALUES(1,'3','4');
INSERT INTO "dependency" VALUES(1,'2','5');
CREATE TABLE dependency_block (
    job_key   INTEGER NOT NULL REFERENCES job (key),
    level     INTEGER NOT NULL,
    block     INTEGER NOT NULL,
    range_key INTEGER NOT NULL,
    PRIMARY KEY (job_key, level, block, range_key)
) WITHOUT ROWID;
INSERT INTO "dependency_block" VALUES(1,0,1,1);
INSERT INTO "dependency_block" VALUES(1,1,1,1);
CREATE TABLE dependency_met (
    job_key   INTEGER NOT NULL REFERENCES job (key),
    parent_id TEXT NOT NULL COLLATE NOCASE,
    number    INTEGER,
    PRIMARY KEY (job_key, parent_id)
) WITHOUT ROWID;
INSERT INTO "dependency_met" VALUES(1,'1',1);
CREATE TABLE dependency_on_range (
    range_key INTEGER NOT NULL,
    job_key   INTEGER NOT NULL REFERENCES job (key),
    child_id  TEXT NOT NULL COLLATE NOCASE,
    PRIMARY KEY (range_key, child_id)
) WITHOUT ROWID;
INSERT INTO "dependency_on_range" VALUES(1,1,'5');
CREATE TABLE dependency_range (
    key     INTEGER PRIMARY KEY,
    job_key INTEGER NOT NULL REFERENCES job (key),
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    -- Numbers that no task meets yet.
    missing INTEGER NOT NULL, since_turn INTEGER NOT NULL DEFAULT 0,
    UNIQUE (job_key, first, last)
);
INSERT INTO "dependency_range" VALUES(1,1,1,3,2,0);
CREATE TABLE dependency_turn (
    key         INTEGER PRIMARY KEY AUTOINCREMENT,
    job_key     INTEGER NOT NULL REFERENCES job (key),
    -- What is added to each count of what is missing.
    step        INTEGER NOT NULL,
    -- Whose counts, by one of three: those of the tasks that wait for this task, of the ranges with
    -- this number, of the tasks that wait for this range.
    parent_id   TEXT COLLATE NOCASE,
    number      INTEGER,
    range_key   INTEGER,
    -- Where it goes on: after this task, and after this range in blocks of this level.
    after_child TEXT NOT NULL,
    level       INTEGER NOT NULL,
    after_range INTEGER NOT NULL
);
INSERT INTO "dependency_turn" VALUES(1,1,-1,'2',NULL,NULL,'',0,0);
CREATE TABLE dependency_unmet (
    job_key  INTEGER NOT NULL REFERENCES job (key),
    child_id TEXT NOT NULL COLLATE NOCASE,
    n_unmet  INTEGER NOT NULL, since_turn INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job_key, child_id)
) WITHOUT ROWID;
INSERT INTO "dependency_unmet" VALUES(1,'3',0,0);
INSERT INTO "dependency_unmet" VALUES(1,'4',1,0);
INSERT INTO "dependency_unmet" VALUES(1,'5',2,0);
CREATE TABLE extent (
    key    INTEGER PRIMARY KEY,
    file   INTEGER,
    n_uses INTEGER NOT NULL,
    bytes  BLOB
, size_bytes INTEGER, md5 BLOB);
INSERT INTO "extent" VALUES(1,NULL,1,X'504B030414000000000061A47E5D351AB68212000000120000000900000068656C6C6F2E74787468656C6C6F2066726F6D2061707020312E30504B0102140314000000000061A47E5D351AB682120000001200000009000000000000000000000080010000000068656C6C6F2E747874504B0506000000000100010037000000390000000000',NULL,NULL);
INSERT INTO "extent" VALUES(2,NULL,2,X'736D616C6C',NULL,NULL);
INSERT INTO "extent" VALUES(3,1099511627776,1,NULL,102400,X'44D088CEF136D178E9C8BA84C3FDF6CA');
INSERT INTO "extent" VALUES(4,NULL,1,X'737461676564',NULL,NULL);
INSERT INTO "extent" VALUES(5,NULL,1,X'617070656E646564',NULL,NULL);
INSERT INTO "extent" VALUES(6,NULL,1,X'7070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070',NULL,NULL);
CREATE TABLE instance (
    job_key  INTEGER NOT NULL REFERENCES job (key),
    task_id  TEXT NOT NULL COLLATE NOCASE,
    node_id  TEXT NOT NULL,
    PRIMARY KEY (job_key, task_id, node_id)
) WITHOUT ROWID;
INSERT INTO "instance" VALUES(1,'multi','tvmps_616292dab2011fb8e3f8d3bcaccdb8c2d79e0ba435dd6bd8c8a53d7559b232f0_d');
CREATE TABLE job (
    key      INTEGER PRIMARY KEY AUTOINCREMENT,
    account  TEXT NOT NULL,
    id       TEXT NOT NULL COLLATE NOCASE,
    spec     TEXT NOT NULL,
    life     TEXT NOT NULL,
    -- The schedule that made it.
    schedule_key INTEGER REFERENCES job_schedule (key),
    is_over  INTEGER NOT NULL DEFAULT 0,
    UNIQUE (account, id)
);
INSERT INTO "job" VALUES(1,'kilndev','job','{"allowTaskPreemption":false,"constraints":{"maxTaskRetryCount":0,"maxWallClockTime":"P10675199DT2H48M5.4775807S"},"id":"job","jobPreparationTask":{"commandLine":"true","constraints":{"maxTaskRetryCount":0,"maxWallClockTime":"P10675199DT2H48M5.4775807S","retentionTime":"P7D"},"id":"jobpreparation","rerunOnNodeRebootAfterSuccess":true,"userIdentity":{"autoUser":{"elevationLevel":"nonadmin","scope":"pool"}},"waitForSuccess":true},"jobReleaseTask":{"commandLine":"true","id":"jobrelease","maxWallClockTime":"PT15M","retentionTime":"P7D","userIdentity":{"autoUser":{"elevationLevel":"nonadmin","scope":"pool"}}},"maxParallelTasks":-1,"onAllTasksComplete":"noaction","onTaskFailure":"noaction","poolInfo":{"poolId":"pool"},"priority":0,"usesTaskDependencies":true}','{"state":"active","state_at":17960709032690789,"previous":null,"created_at":17960709032690789,"modified_at":17960709032690789,"ended_at":null,"terminate_reason":null,"scheduling_error":null,"disable_tasks":null,"is_forced":false,"pool_id":"pool"}',NULL,0);
INSERT INTO "job" VALUES(2,'kilndev','schedule:job-1','{"allowTaskPreemption":false,"constraints":{"maxTaskRetryCount":0,"maxWallClockTime":"P10675199DT2H48M5.4775807S"},"id":"schedule:job-1","maxParallelTasks":-1,"onAllTasksComplete":"noaction","onTaskFailure":"noaction","poolInfo":{"poolId":"pool"},"priority":0,"usesTaskDependencies":false}','{"state":"active","state_at":17960709032971336,"previous":null,"created_at":17960709032971336,"modified_at":17960709032971336,"ended_at":null,"terminate_reason":null,"scheduling_error":null,"disable_tasks":null,"is_forced":false,"pool_id":"pool"}',1,0);
INSERT INTO "job" VALUES(3,'kilndev','kept','{"allowTaskPreemption":false,"constraints":{"maxTaskRetryCount":0,"maxWallClockTime":"P10675199DT2H48M5.4775807S"},"id":"kept","maxParallelTasks":-1,"onAllTasksComplete":"noaction","onTaskFailure":"noaction","poolInfo":{"poolId":"gone"},"priority":0,"usesTaskDependencies":false}','{"state":"active","state_at":17960709038256600,"previous":null,"created_at":17960709038256600,"modified_at":17960709038256600,"ended_at":null,"terminate_reason":null,"scheduling_error":null,"disable_tasks":null,"is_forced":false,"pool_id":"gone"}',NULL,0);
CREATE TABLE job_schedule (
    key      INTEGER PRIMARY KEY AUTOINCREMENT,
    account  TEXT NOT NULL,
    id       TEXT NOT NULL COLLATE NOCASE,
    spec     TEXT NOT NULL,
    life     TEXT NOT NULL,
    is_over  INTEGER NOT NULL DEFAULT 0,
    UNIQUE (account, id)
);
INSERT INTO "job_schedule" VALUES(1,'kilndev','schedule','{"id":"schedule","jobSpecification":{"allowTaskPreemption":false,"constraints":{"maxTaskRetryCount":0,"maxWallClockTime":"P10675199DT2H48M5.4775807S"},"maxParallelTasks":-1,"onAllTasksComplete":"noaction","onTaskFailure":"noaction","poolInfo":{"poolId":"pool"},"priority":0,"usesTaskDependencies":false},"schedule":{"recurrenceInterval":"PT1H"}}','{"state":"active","state_at":17960709032847362,"previous":null,"created_at":17960709032847362,"modified_at":17960709032847362,"ended_at":null,"jobs_made":1,"recent":{"key":2,"id":"schedule:job-1","due_at":17960709032847362},"auto_pool_id":null,"is_forced":false}',0);
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
INSERT INTO "job_usage" VALUES(1,17960709034336977,23010,0,514730,1742191,8,8,4096,4096,1,1,0);
INSERT INTO "job_usage" VALUES(3,17960709039242627,11080,0,46735,754437,32,8,16384,4096,1,0,0);
CREATE TABLE kept_node (
    key       INTEGER PRIMARY KEY AUTOINCREMENT,
    account   TEXT NOT NULL,
    node_id   TEXT NOT NULL,
    -- Whether each of its tasks is a row of kept_task, or gone.
    is_sorted INTEGER NOT NULL DEFAULT 0
);
INSERT INTO "kept_node" VALUES(1,'kilndev','tvmps_6ca9d411becd472b53a98b00194b7e5219bfbc0223a748141aaae86a3c0fb025_d',1);
CREATE TABLE kept_size (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    bytes INTEGER NOT NULL
);
INSERT INTO "kept_size" VALUES(1,8192);
CREATE TABLE kept_task (
    job_key    INTEGER NOT NULL,
    task_id    TEXT NOT NULL COLLATE NOCASE,
    node_key   INTEGER NOT NULL REFERENCES kept_node (key),
    -- Of the task as it ended: a later one of its name, or a later run, is another.
    sequence   INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,
    path       TEXT NOT NULL,
    bytes      INTEGER NOT NULL,
    keep_until INTEGER NOT NULL,
    PRIMARY KEY (job_key, task_id, node_key)
) WITHOUT ROWID;
INSERT INTO "kept_task" VALUES(3,'t',1,1,17960709039242627,'workitems/kept/job-1/t',8192,17966757039242627);
CREATE TABLE node (
    id       TEXT NOT NULL PRIMARY KEY,
    pool_key INTEGER NOT NULL REFERENCES pool (key),
    life     TEXT NOT NULL,
    secret   TEXT NOT NULL,
    -- The start task of its latest boot, as its pool had it then.
    start_task TEXT
) WITHOUT ROWID;
INSERT INTO "node" VALUES('tvmps_616292dab2011fb8e3f8d3bcaccdb8c2d79e0ba435dd6bd8c8a53d7559b232f0_d',1,'{"state":"idle","state_at":17960709034336977,"pending":null,"takes_tasks":true,"number":2,"is_dedicated":true,"allocated_at":17960709032412979,"booted_at":17960709033485953,"boot":1,"incarnation":"4430-17960709032792725","agent_version":"0.1.0","slots":4,"waits_for_start_task":true,"start_task_run":{"is_running":false,"started_at":17960709033404086,"ended_at":17960709033493492,"exit_code":0,"failure":null,"retry_count":0,"last_retry_at":null,"is_final":true},"tasks_running":0,"slots_running":0,"tasks_run":2,"tasks_succeeded":1,"recent_tasks":[{"job_key":1,"task_id":"1"},{"job_key":1,"task_id":"2"}],"errors":[]}','oiDUOheLc7ap0vQ+7Zp7ar2a5deYPhmd2xMXh8Rd6hHEU4C8D8N4fBq9oQOmHvoMADsubEyJ7coZ8t13zyVcwA==','{"commandLine":"true","maxTaskRetryCount":0,"userIdentity":{"autoUser":{"elevationLevel":"nonadmin","scope":"pool"}},"waitForSuccess":true}');
INSERT INTO "node" VALUES('tvmps_e80c830ba6e18fefa89e5029333c2985764499100e7fbddb931411e9e3a7e9ed_d',1,'{"state":"running","state_at":17960709035568211,"pending":null,"takes_tasks":true,"number":1,"is_dedicated":true,"allocated_at":17960709032412979,"booted_at":17960709033696076,"boot":1,"incarnation":"4431-17960709032901840","agent_version":"0.1.0","slots":4,"waits_for_start_task":true,"start_task_run":{"is_running":false,"started_at":17960709033540488,"ended_at":17960709033651343,"exit_code":0,"failure":null,"retry_count":0,"last_retry_at":null,"is_final":true},"tasks_running":1,"slots_running":1,"tasks_run":0,"tasks_succeeded":0,"recent_tasks":[{"job_key":1,"task_id":"3"}],"errors":[]}','Lp4gATVXPj7Mi7k+BF5zpx5NSoHnienUyGX+TUBhFzrVXgBf0kjycdl3H+KarCRJnE6BUdKSd9GEX98By2AlZw==','{"commandLine":"true","maxTaskRetryCount":0,"userIdentity":{"autoUser":{"elevationLevel":"nonadmin","scope":"pool"}},"waitForSuccess":true}');
CREATE TABLE node_work (
    node_id         TEXT NOT NULL PRIMARY KEY REFERENCES node (id) ON DELETE CASCADE,
    state           TEXT NOT NULL,
    state_at        INTEGER NOT NULL,
    tasks_running   INTEGER NOT NULL,
    slots_running   INTEGER NOT NULL,
    tasks_run       INTEGER NOT NULL,
    tasks_succeeded INTEGER NOT NULL,
    -- Pairs of the key of a job and the id of a task.
    recent_tasks    TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "node_work" VALUES('tvmps_e80c830ba6e18fefa89e5029333c2985764499100e7fbddb931411e9e3a7e9ed_d','"running"',17960709035568211,1,1,0,0,'[[1,"3"]]');
CREATE TABLE package (
    application_key INTEGER NOT NULL REFERENCES application (key),
    version         TEXT NOT NULL COLLATE NOCASE,
    life            TEXT NOT NULL,
    PRIMARY KEY (application_key, version)
) WITHOUT ROWID;
INSERT INTO "package" VALUES(1,'1.0','{"state":"active","modified_at":17960709031494048,"blob":{"account":"devstoreaccount1","container":"app-app-0a55c07e480c0a5150d1181cd2a5aa1e","name":"1.0"},"activated_at":17960709031494048,"directory":"app+1.0+2026-11-30-20-35"}');
CREATE TABLE pending_copy (
    container_key INTEGER NOT NULL,
    name          BLOB NOT NULL,
    id            TEXT NOT NULL,
    PRIMARY KEY (container_key, name)
) WITHOUT ROWID;
INSERT INTO "pending_copy" VALUES(2,X'6C61726765','00000000-0000-0000-0000-000000000001');
CREATE TABLE piece (
    list_key   INTEGER NOT NULL,
    start      INTEGER NOT NULL,
    length     INTEGER NOT NULL,
    extent_key INTEGER NOT NULL,
    offset     INTEGER NOT NULL,
    PRIMARY KEY (list_key, start)
) WITHOUT ROWID;
INSERT INTO "piece" VALUES(1,0,8,5,0);
INSERT INTO "piece" VALUES(2,0,512,6,0);
CREATE TABLE piece_list (key INTEGER PRIMARY KEY AUTOINCREMENT);
INSERT INTO "piece_list" VALUES(1);
INSERT INTO "piece_list" VALUES(2);
CREATE TABLE pool (
    key      INTEGER PRIMARY KEY AUTOINCREMENT,
    account  TEXT NOT NULL,
    id       TEXT NOT NULL COLLATE NOCASE,
    spec     TEXT NOT NULL,
    life     TEXT NOT NULL,
    UNIQUE (account, id)
);
INSERT INTO "pool" VALUES(1,'kilndev','pool','{"enableAutoScale":false,"enableInterNodeCommunication":true,"id":"pool","resizeTimeout":"PT15M","startTask":{"commandLine":"true","maxTaskRetryCount":0,"userIdentity":{"autoUser":{"elevationLevel":"nonadmin","scope":"pool"}},"waitForSuccess":true},"targetDedicatedNodes":2,"targetLowPriorityNodes":0,"taskSchedulingPolicy":{"nodeFillType":"spread"},"taskSlotsPerNode":4,"virtualMachineConfiguration":{"imageReference":{"offer":"0001-com-ubuntu-server-jammy","publisher":"canonical","sku":"22_04-lts","version":"latest"},"nodeAgentSKUId":"batch.node.ubuntu 22.04"},"vmSize":"standard_d2_v3"}','{"state":"active","state_at":17960709032254842,"allocation":"steady","allocation_at":17960709032412979,"created_at":17960709032254842,"modified_at":17960709032254842,"targets":{"dedicated":2,"low_priority":0},"resize_timeout":"PT15M","treatment":"requeue","resize_errors":[],"nodes_made":2,"scaling":{}}');
INSERT INTO "pool" VALUES(2,'kilndev','sized','{"autoScaleEvaluationInterval":"PT15M","autoScaleFormula":"$TargetDedicatedNodes=0;","enableAutoScale":true,"enableInterNodeCommunication":false,"id":"sized","resizeTimeout":"PT15M","taskSchedulingPolicy":{"nodeFillType":"spread"},"taskSlotsPerNode":1,"virtualMachineConfiguration":{"imageReference":{"offer":"0001-com-ubuntu-server-jammy","publisher":"canonical","sku":"22_04-lts","version":"latest"},"nodeAgentSKUId":"batch.node.ubuntu 22.04"},"vmSize":"standard_d2_v3"}','{"state":"active","state_at":17960709032470716,"allocation":"steady","allocation_at":17960709032773516,"created_at":17960709032470716,"modified_at":17960709032470716,"targets":{"dedicated":0,"low_priority":0},"resize_timeout":"PT15M","treatment":"requeue","resize_errors":[],"nodes_made":0,"scaling":{"run":{"at":17960709032470716,"results":"$TargetDedicatedNodes=0;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue"}}}');
CREATE TABLE pool_count (
    account TEXT NOT NULL PRIMARY KEY,
    n       INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO "pool_count" VALUES('kilndev',2);
CREATE TABLE pool_meter (
    pool_key      INTEGER NOT NULL PRIMARY KEY REFERENCES pool (key) ON DELETE CASCADE,
    counted_until INTEGER NOT NULL,
    dedicated     INTEGER NOT NULL,
    low_priority  INTEGER NOT NULL,
    cores         INTEGER NOT NULL
);
INSERT INTO "pool_meter" VALUES(1,17960709032412979,2,0,2);
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
INSERT INTO "pool_usage" VALUES(1,17960709032412979,0,0,0,0,0.0,0.0,0,0,0,0,0,0,0,0);
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
INSERT INTO "pool_usage_interval" VALUES('kilndev',17960706000000000,'gone','standard_d2_v3',17960709041258637,6066770,0,0);
CREATE TABLE preparation (
    job_key  INTEGER NOT NULL REFERENCES job (key),
    node_id  TEXT NOT NULL,
    state    INTEGER NOT NULL,
    life     TEXT NOT NULL,
    PRIMARY KEY (job_key, node_id)
) WITHOUT ROWID;
INSERT INTO "preparation" VALUES(1,'tvmps_616292dab2011fb8e3f8d3bcaccdb8c2d79e0ba435dd6bd8c8a53d7559b232f0_d',2,'{"state":"prepared","pool_id":"pool","boot":1,"attempt":1,"has_run_tasks":true,"preparation":{"started_at":17960709033685948,"ended_at":17960709033967803,"exit_code":0,"failure":null,"retry_count":0,"last_retry_at":null},"release":null}');
INSERT INTO "preparation" VALUES(1,'tvmps_e80c830ba6e18fefa89e5029333c2985764499100e7fbddb931411e9e3a7e9ed_d',2,'{"state":"prepared","pool_id":"pool","boot":1,"attempt":1,"has_run_tasks":true,"preparation":{"started_at":17960709035568211,"ended_at":17960709035886880,"exit_code":0,"failure":null,"retry_count":0,"last_retry_at":null},"release":null}');
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
INSERT INTO "schedule_usage" VALUES(1,17960709034336977,23010,0,514730,1742191,8,8,4096,4096,1,1,0);
CREATE TABLE staged_block (
    container_key INTEGER NOT NULL,
    name          BLOB NOT NULL,
    id            TEXT NOT NULL,
    extent_key    INTEGER NOT NULL,
    size_bytes    INTEGER NOT NULL, offset INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (container_key, name, id)
) WITHOUT ROWID;
INSERT INTO "staged_block" VALUES(2,X'737461676564','MDAwMQ==',4,6,0);
CREATE TABLE task (
    job_key  INTEGER NOT NULL REFERENCES job (key),
    id       TEXT NOT NULL COLLATE NOCASE,
    sequence INTEGER NOT NULL,
    state    INTEGER NOT NULL,
    node_id  TEXT,
    slots    INTEGER NOT NULL,
    needs    TEXT,
    -- What it has to do with others, as a sum of bits.
    ties     INTEGER NOT NULL,
    spec     TEXT NOT NULL,
    life     TEXT NOT NULL, is_open INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (job_key, id)
) WITHOUT ROWID;
INSERT INTO "task" VALUES(1,'1',1,3,NULL,1,NULL,1,'{"commandLine":"/bin/sh -c ''echo one''","constraints":{"maxTaskRetryCount":0,"maxWallClockTime":"P10675199DT2H48M5.4775807S","retentionTime":"P7D"},"id":"1","requiredSlots":1,"userIdentity":{"autoUser":{"elevationLevel":"nonadmin","scope":"pool"}}}','{"state":"completed","state_at":17960709034336977,"previous":["running",17960709033967803],"created_at":17960709033059085,"modified_at":17960709033059085,"attempt":1,"place":{"pool_id":"pool","node_id":"tvmps_616292dab2011fb8e3f8d3bcaccdb8c2d79e0ba435dd6bd8c8a53d7559b232f0_d"},"started_at":17960709033967803,"ended_at":17960709034336977,"exit_code":0,"failure":null,"retry_count":0,"last_retry_at":null,"requeue_count":0,"last_requeue_at":null,"retries_max":0,"usage":{"attempt":1,"countedAt":17960709034336977,"sum":{"userCpu":"PT0.001316S","kernelCpu":"PT0S","wallClock":"PT0.0259302S","readOps":8,"writeOps":8,"readBytes":4096,"writeBytes":4096,"peakMemoryBytes":12496896}}}',0);
INSERT INTO "task" VALUES(1,'2',2,4,NULL,1,NULL,1,'{"commandLine":"/bin/sh -c ''exit 3''","constraints":{"maxTaskRetryCount":0,"maxWallClockTime":"P10675199DT2H48M5.4775807S","retentionTime":"P7D"},"id":"2","requiredSlots":1,"userIdentity":{"autoUser":{"elevationLevel":"nonadmin","scope":"pool"}}}','{"state":"completed","state_at":17960709034336977,"previous":["running",17960709033967803],"created_at":17960709033134330,"modified_at":17960709033134330,"attempt":1,"place":{"pool_id":"pool","node_id":"tvmps_616292dab2011fb8e3f8d3bcaccdb8c2d79e0ba435dd6bd8c8a53d7559b232f0_d"},"started_at":17960709033967803,"ended_at":17960709034336977,"exit_code":3,"failure":{"category":"usererror","code":"FailureExitCode","message":"The task exited with an exit code representing a failure","details":[{"name":"Message","value":"The task process exited with an unexpected exit code"},{"name":"AdditionalErrorCode","value":"FailureExitCode"}]},"retry_count":0,"last_retry_at":null,"requeue_count":0,"last_requeue_at":null,"retries_max":0,"usage":{"attempt":1,"countedAt":17960709034336977,"sum":{"userCpu":"PT0.000985S","kernelCpu":"PT0S","wallClock":"PT0.0255428S","readOps":0,"writeOps":0,"readBytes":0,"writeBytes":0,"peakMemoryBytes":12496896}}}',0);
INSERT INTO "task" VALUES(1,'3',3,2,'tvmps_e80c830ba6e18fefa89e5029333c2985764499100e7fbddb931411e9e3a7e9ed_d',1,NULL,5,'{"commandLine":"sleep 10000","constraints":{"maxTaskRetryCount":0,"maxWallClockTime":"P10675199DT2H48M5.4775807S","retentionTime":"P7D"},"dependsOn":{"taskIds":["1"]},"id":"3","requiredSlots":1,"userIdentity":{"autoUser":{"elevationLevel":"nonadmin","scope":"pool"}}}','{"state":"running","state_at":17960709035886880,"previous":["preparing",17960709035568211],"created_at":17960709035542908,"modified_at":17960709035542908,"attempt":1,"place":{"pool_id":"pool","node_id":"tvmps_e80c830ba6e18fefa89e5029333c2985764499100e7fbddb931411e9e3a7e9ed_d"},"started_at":17960709035886880,"ended_at":null,"exit_code":null,"failure":null,"retry_count":0,"last_retry_at":null,"requeue_count":0,"last_requeue_at":null,"retries_max":0}',1);
INSERT INTO "task" VALUES(1,'4',4,0,NULL,1,NULL,5,'{"commandLine":"true","constraints":{"maxTaskRetryCount":0,"maxWallClockTime":"P10675199DT2H48M5.4775807S","retentionTime":"P7D"},"dependsOn":{"taskIds":["3"]},"id":"4","requiredSlots":1,"userIdentity":{"autoUser":{"elevationLevel":"nonadmin","scope":"pool"}}}','{"state":"active","state_at":17960709035688813,"previous":null,"created_at":17960709035688813,"modified_at":17960709035688813,"attempt":0,"place":null,"started_at":null,"ended_at":null,"exit_code":null,"failure":null,"retry_count":0,"last_retry_at":null,"requeue_count":0,"last_requeue_at":null,"retries_max":0}',1);
INSERT INTO "task" VALUES(1,'5',5,0,NULL,1,NULL,5,'{"commandLine":"true","constraints":{"maxTaskRetryCount":0,"maxWallClockTime":"P10675199DT2H48M5.4775807S","retentionTime":"P7D"},"dependsOn":{"taskIdRanges":[{"end":3,"start":1}],"taskIds":["2"]},"id":"5","requiredSlots":1,"userIdentity":{"autoUser":{"elevationLevel":"nonadmin","scope":"pool"}}}','{"state":"active","state_at":17960709035759618,"previous":null,"created_at":17960709035759618,"modified_at":17960709035759618,"attempt":0,"place":null,"started_at":null,"ended_at":null,"exit_code":null,"failure":null,"retry_count":0,"last_retry_at":null,"requeue_count":0,"last_requeue_at":null,"retries_max":0}',1);
INSERT INTO "task" VALUES(1,'multi',6,0,NULL,1,'{"slots":1,"instances":1,"isConnected":true,"isExclusive":false,"onDedicatedOnly":false}',1,'{"commandLine":"sleep 10000","constraints":{"maxTaskRetryCount":0,"maxWallClockTime":"P10675199DT2H48M5.4775807S","retentionTime":"P7D"},"id":"multi","multiInstanceSettings":{"coordinationCommandLine":"true","numberOfInstances":1},"requiredSlots":1,"userIdentity":{"autoUser":{"elevationLevel":"nonadmin","scope":"pool"}}}','{"state":"active","state_at":17960709036028534,"previous":null,"created_at":17960709036028534,"modified_at":17960709036028534,"attempt":0,"place":null,"started_at":null,"ended_at":null,"exit_code":null,"failure":null,"retry_count":0,"last_retry_at":null,"requeue_count":0,"last_requeue_at":null,"retries_max":0}',1);
INSERT INTO "task" VALUES(3,'t',1,3,NULL,1,NULL,0,'{"commandLine":"echo kept","constraints":{"maxTaskRetryCount":0,"maxWallClockTime":"P10675199DT2H48M5.4775807S","retentionTime":"P7D"},"id":"t","requiredSlots":1,"userIdentity":{"autoUser":{"elevationLevel":"nonadmin","scope":"pool"}}}','{"state":"completed","state_at":17960709039242627,"previous":["running",17960709039121163],"created_at":17960709038366726,"modified_at":17960709038366726,"attempt":1,"place":{"pool_id":"gone","node_id":"tvmps_6ca9d411becd472b53a98b00194b7e5219bfbc0223a748141aaae86a3c0fb025_d"},"started_at":17960709039121163,"ended_at":17960709039242627,"exit_code":0,"failure":null,"retry_count":0,"last_retry_at":null,"requeue_count":0,"last_requeue_at":null,"retries_max":0,"usage":{"attempt":1,"countedAt":17960709039242627,"sum":{"userCpu":"PT0.001108S","kernelCpu":"PT0S","wallClock":"PT0.0046735S","readOps":32,"writeOps":8,"readBytes":16384,"writeBytes":4096,"peakMemoryBytes":12333056}}}',0);
CREATE TABLE task_count (
    job_key INTEGER NOT NULL REFERENCES job (key),
    bucket  INTEGER NOT NULL,
    tasks   INTEGER NOT NULL,
    slots   INTEGER NOT NULL,
    -- Of the first bucket: numbers the tasks that were ever added, those that are gone too.
    last_sequence INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job_key, bucket)
) WITHOUT ROWID;
INSERT INTO "task_count" VALUES(1,0,3,3,6);
INSERT INTO "task_count" VALUES(1,1,0,0,0);
INSERT INTO "task_count" VALUES(1,2,1,1,0);
INSERT INTO "task_count" VALUES(1,3,1,1,0);
INSERT INTO "task_count" VALUES(1,4,1,1,0);
INSERT INTO "task_count" VALUES(3,0,0,0,1);
INSERT INTO "task_count" VALUES(3,2,0,0,0);
INSERT INTO "task_count" VALUES(3,3,1,1,0);
CREATE TABLE upload (
    container_key INTEGER NOT NULL REFERENCES container (key),
    name          BLOB NOT NULL,
    n_blocks      INTEGER NOT NULL,
    id_length     INTEGER NOT NULL,
    changed_at    INTEGER NOT NULL, encryption TEXT,
    PRIMARY KEY (container_key, name)
) WITHOUT ROWID;
INSERT INTO "upload" VALUES(2,X'737461676564',1,8,17960709037174849,NULL);
CREATE INDEX node_of_pool ON node (pool_key, id);
CREATE INDEX job_open ON job (key) WHERE is_over = 0;
CREATE TRIGGER job_added AFTER INSERT ON job BEGIN
    INSERT INTO active_count (account, n) VALUES (NEW.account, 1 - NEW.is_over)
    ON CONFLICT (account) DO UPDATE SET n = n + 1 - NEW.is_over;
END;
CREATE TRIGGER job_turned AFTER UPDATE OF is_over ON job WHEN NEW.is_over <> OLD.is_over BEGIN
    UPDATE active_count SET n = n + OLD.is_over - NEW.is_over WHERE account = NEW.account;
END;
CREATE TRIGGER job_removed AFTER DELETE ON job BEGIN
    UPDATE active_count SET n = n - 1 + OLD.is_over WHERE account = OLD.account;
END;
CREATE TRIGGER job_schedule_added AFTER INSERT ON job_schedule BEGIN
    INSERT INTO active_count (account, n) VALUES (NEW.account, 1 - NEW.is_over)
    ON CONFLICT (account) DO UPDATE SET n = n + 1 - NEW.is_over;
END;
CREATE TRIGGER job_schedule_turned AFTER UPDATE OF is_over ON job_schedule
WHEN NEW.is_over <> OLD.is_over BEGIN
    UPDATE active_count SET n = n + OLD.is_over - NEW.is_over WHERE account = NEW.account;
END;
CREATE TRIGGER job_schedule_removed AFTER DELETE ON job_schedule BEGIN
    UPDATE active_count SET n = n - 1 + OLD.is_over WHERE account = OLD.account;
END;
CREATE INDEX job_of_schedule ON job (schedule_key, id) WHERE schedule_key IS NOT NULL;
CREATE INDEX instance_of_node ON instance (node_id);
CREATE INDEX dependency_of_child ON dependency (job_key, child_id);
CREATE INDEX dependency_on_range_of_child ON dependency_on_range (job_key, child_id);
CREATE INDEX dependency_met_number ON dependency_met (job_key, number) WHERE number IS NOT NULL;
CREATE INDEX preparation_of_node ON preparation (node_id, job_key) WHERE state < 5;
CREATE INDEX preparation_lasting ON preparation (job_key, node_id) WHERE state < 4;
CREATE INDEX preparation_failed ON preparation (job_key, node_id) WHERE state = 3;
CREATE INDEX preparation_releasing ON preparation (job_key, node_id) WHERE state = 4;
CREATE UNIQUE INDEX container_by_name ON container (account, name) WHERE is_deleted = 0;
CREATE INDEX container_deleted ON container (key) WHERE is_deleted = 1;
CREATE UNIQUE INDEX extent_of_file ON extent (file) WHERE file IS NOT NULL;
CREATE INDEX upload_by_age ON upload (changed_at);
CREATE INDEX blob_by_purge ON blob (purge_at) WHERE purge_at IS NOT NULL;
CREATE INDEX blob_protected ON blob (container_key) WHERE instr(details, '"protection":') > 0;
CREATE INDEX blob_tag_by_name ON blob_tag (container_key, name);
CREATE INDEX container_kept ON container (account, name, key) WHERE is_deleted = 2;
CREATE INDEX container_by_purge ON container (purge_at) WHERE is_deleted = 2;
CREATE INDEX kept_node_unsorted ON kept_node (node_id, key) WHERE is_sorted = 0;
CREATE INDEX kept_task_due ON kept_task (keep_until);
CREATE INDEX kept_task_oldest ON kept_task (ended_at);
CREATE INDEX kept_task_of_node ON kept_task (node_key);
CREATE TRIGGER kept_task_added AFTER INSERT ON kept_task BEGIN
    UPDATE kept_size SET bytes = bytes + NEW.bytes;
END;
CREATE TRIGGER kept_task_removed AFTER DELETE ON kept_task BEGIN
    UPDATE kept_size SET bytes = bytes - OLD.bytes;
END;
CREATE TRIGGER task_removed AFTER DELETE ON task BEGIN
    UPDATE kept_task SET keep_until = 0
    WHERE job_key = OLD.job_key AND task_id = OLD.id;
END;
CREATE INDEX pool_meter_turning ON pool_meter (pool_key) WHERE dedicated + low_priority > 0;
CREATE TRIGGER pool_added AFTER INSERT ON pool BEGIN
    INSERT INTO pool_count (account, n) VALUES (NEW.account, 1)
    ON CONFLICT (account) DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER pool_removed AFTER DELETE ON pool BEGIN
    UPDATE pool_count SET n = n - 1 WHERE account = OLD.account;
END;
CREATE INDEX dependency_turn_of_job ON dependency_turn (job_key, key);
CREATE INDEX task_open ON task (job_key, sequence) WHERE is_open = 1;
CREATE INDEX task_on_node ON task (node_id) WHERE node_id IS NOT NULL;
CREATE INDEX task_waiting ON task (job_key, id) WHERE state = 0;
CREATE INDEX task_placed ON task (job_key, id) WHERE node_id IS NOT NULL;
CREATE INDEX task_ended ON task (job_key, state, id) WHERE state >= 3;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('application',1);
INSERT INTO "sqlite_sequence" VALUES('pool',2);
INSERT INTO "sqlite_sequence" VALUES('job_schedule',1);
INSERT INTO "sqlite_sequence" VALUES('job',3);
INSERT INTO "sqlite_sequence" VALUES('certificate',1);
INSERT INTO "sqlite_sequence" VALUES('container',2);
INSERT INTO "sqlite_sequence" VALUES('dependency_turn',1);
INSERT INTO "sqlite_sequence" VALUES('kept_node',1);
INSERT INTO "sqlite_sequence" VALUES('piece_list',2);
COMMIT;
PRAGMA user_version = 12;
