// Calls every operation that a JavaScript package for Batch has, and tells which it did not call:
// the same story as every_operation.py.
//
//     node every_operation.cjs SETTINGS.json

const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const fs = require("node:fs");
const { setTimeout: sleep } = require("node:timers/promises");

const PATIENCE_MS = 60_000;
const settings = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const { batch, suffix, container, certificate, application } = settings;
const client = connected();
const called = new Set();
const [poolId, jobId, scheduleId] = ["pool", "job", "schedule"].map((it) => `${it}-${suffix}`);

function connected() {
  if (settings.batch_sdk === "azure-batch") {
    const { ServiceClient, SharedKeyCredentials } = require("azure-batch");
    return new ServiceClient(new SharedKeyCredentials(batch.account, batch.key), batch.url);
  }
  const { BatchServiceClient, BatchSharedKeyCredentials } = require("@azure/batch");
  return new BatchServiceClient(new BatchSharedKeyCredentials(batch.account, batch.key), batch.url);
}

const GROUPS = [
  "account", "application", "certificate", "certificateOperations", "computeNode", "computeNodeExtension",
  "computeNodeOperations", "file", "job", "jobSchedule", "pool", "task",
];

/** The operations of the package, as `group.verb`; a list's next page belongs to its list. */
function operations() {
  const found = new Set();
  for (const group of GROUPS.filter((it) => client[it])) {
    for (let at = client[group]; at && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
      for (const name of Object.getOwnPropertyNames(at)) {
        const isPlumbing = /^constructor$|^_|Next$|WithHttpOperationResponse$/.test(name);
        if (!isPlumbing && typeof at[name] === "function") found.add(`${group}.${name}`);
      }
    }
  }
  return found;
}

// Two groups are called in two ways.
const NODES = client.computeNode ? "computeNode" : "computeNodeOperations";
const CERTIFICATES = client.certificate ? "certificate" : "certificateOperations";
const known = operations();
const has = (operation) => known.has(operation);

/** Calls an operation; of a list, also the next pages. */
async function run(operation, ...args) {
  const [group, verb] = operation.split(".");
  called.add(operation);
  let page = await client[group][verb](...args);
  if (!Array.isArray(page)) return page;
  const items = [...page];
  while (page.odatanextLink) {
    page = await client[group][`${verb}Next`](page.odatanextLink);
    items.push(...page);
  }
  return items;
}

async function refused(status, operation, ...args) {
  try {
    await run(operation, ...args);
  } catch (refusal) {
    assert.equal(refusal.statusCode, status, operation);
    return;
  }
  assert.fail(`${operation} was not refused`);
}

async function until(look, wanted, what) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const seen = await look();
    if (wanted(seen)) return seen;
    assert(Date.now() < deadline, `${what} stays ${JSON.stringify(seen)}`);
    await sleep(50);
  }
}

const becomes = (look, state, what) => until(look, (it) => `${it}`.toLowerCase() === state, what);
const steady = () => becomes(async () => (await run("pool.get", poolId)).allocationState, "steady", poolId);

/** The content of a file. The older package gives it to a callback, before a promise could. */
async function content(operation, ...args) {
  const parts = [];
  if (settings.batch_sdk === "@azure/batch") {
    for await (const part of (await run(operation, ...args)).readableStreamBody) parts.push(part);
    return Buffer.concat(parts).toString();
  }
  const [group, verb] = operation.split(".");
  called.add(operation);
  return new Promise((resolve, reject) => {
    client[group][verb](...args, (broken, stream) => {
      if (broken) return reject(broken);
      stream.on("data", (part) => parts.push(Buffer.from(part)));
      stream.on("end", () => resolve(Buffer.concat(parts).toString()));
    });
  });
}

async function idleNodes(count) {
  const isReady = (nodes) => nodes.length === count && nodes.every((it) => it.state === "idle");
  const nodes = await until(() => run(`${NODES}.list`, poolId), isReady, poolId);
  return nodes.map((it) => it.id).sort();
}

async function certificates() {
  const thumbprint = crypto.createHash("sha1").update(Buffer.from(certificate, "base64")).digest("hex");
  const body = { thumbprint, thumbprintAlgorithm: "sha1", data: certificate, certificateFormat: "cer" };
  await run(`${CERTIFICATES}.add`, body);
  const all = await run(`${CERTIFICATES}.list`);
  assert(all.some((it) => it.thumbprint === thumbprint));
  assert.equal((await run(`${CERTIFICATES}.get`, "sha1", thumbprint)).state, "active");
  await run(`${CERTIFICATES}.deleteMethod`, "sha1", thumbprint);
  try {
    await run(`${CERTIFICATES}.cancelDeletion`, "sha1", thumbprint);
    assert.fail("a deletion that did not fail was canceled");
  } catch (refusal) {
    assert.match(`${refusal.code ?? refusal.body?.code}`, /^Certificate(BeingDeleted|NotFound)$/);
  }
  const isGone = (seen) => !seen.some((it) => it.thumbprint === thumbprint);
  await until(() => run(`${CERTIFICATES}.list`), isGone, "the certificate");
}

async function pool() {
  const image = (await run("account.listSupportedImages"))[0];
  await run("pool.add", {
    id: poolId,
    vmSize: "standard_d2_v3",
    targetDedicatedNodes: 3,
    virtualMachineConfiguration: { imageReference: image.imageReference, nodeAgentSKUId: image.nodeAgentSKUId },
  });
  assert(await run("pool.exists", poolId));
  await steady();
  await run("pool.patch", poolId, { metadata: [{ name: "a", value: "b" }] });
  assert.equal((await run("pool.get", poolId)).metadata[0].value, "b");
  await run("pool.updateProperties", poolId, { certificateReferences: [], applicationPackageReferences: [], metadata: [] });
  assert((await run("pool.list")).some((it) => it.id === poolId));
  await run("pool.enableAutoScale", poolId, { autoScaleFormula: "$TargetDedicatedNodes = 3;" });
  const tried = await run("pool.evaluateAutoScale", poolId, "$TargetDedicatedNodes = 2 + 3;");
  assert.match(tried.results, /\$TargetDedicatedNodes=5/);
  await run("pool.disableAutoScale", poolId);
  await steady();
  await run("pool.resize", poolId, { targetDedicatedNodes: 3 });
  await steady();
  const whole = await run("pool.getAllLifetimeStatistics");
  assert(whole.url && whole.usageStats.dedicatedCoreTime && whole.resourceStats.diskReadIOps >= 0);
  assert((await run("job.getAllLifetimeStatistics")).url);
  const counts = await run("account.listPoolNodeCounts");
  assert.equal(counts.find((it) => it.poolId === poolId).dedicated.total, 3);
  return idleNodes(3);
}

async function node(nodeId) {
  const state = async () => (await run(`${NODES}.get`, poolId, nodeId)).state;
  const on = (verb, ...more) => run(`${NODES}.${verb}`, poolId, nodeId, ...more);
  await on("addUser", { name: "ada", password: "n0t-A-secret!" });
  await on("updateUser", "ada", { password: "n0t-A-secret?" });
  await on("deleteUser", "ada");
  await on("disableScheduling");
  await becomes(state, "offline", nodeId);
  await on("enableScheduling");
  await becomes(state, "idle", nodeId);
  assert((await on("getRemoteLoginSettings")).remoteLoginPort > 0);
  await refused(409, `${NODES}.getRemoteDesktop`, poolId, nodeId);
  const logs = { containerUrl: container, startTime: new Date(Date.now() - 3600 * 1000) };
  assert((await on("uploadBatchServiceLogs", logs)).numberOfFilesUploaded > 0);
  if (has("computeNodeExtension.list")) {
    assert.deepEqual(await run("computeNodeExtension.list", poolId, nodeId), []);
    called.add("computeNodeExtension.get");
    await assert.rejects(client.computeNodeExtension.get(poolId, nodeId, "none"));
  }
  for (const verb of ["reboot", "reimage"]) {
    await on(verb);
    await becomes(state, "idle", nodeId);
  }
}

async function job() {
  await run("job.add", {
    id: jobId,
    poolInfo: { poolId },
    jobPreparationTask: { commandLine: "true" },
    jobReleaseTask: { commandLine: "true" },
  });
  await run("job.patch", jobId, { priority: 7 });
  assert.equal((await run("job.get", jobId)).priority, 7);
  await run("job.update", jobId, { poolInfo: { poolId }, priority: 9, constraints: { maxTaskRetryCount: 2 } });
  await pause();
  await run("job.enable", jobId);
  await becomes(async () => (await run("job.get", jobId)).state, "active", jobId);
  assert((await run("job.list")).some((it) => it.id === jobId));
}

async function pause() {
  await run("job.disable", jobId, "requeue");
  await becomes(async () => (await run("job.get", jobId)).state, "disabled", jobId);
}

async function tasks() {
  const state = (name) => async () => (await run("task.get", jobId, name)).state;
  await run("task.add", jobId, { id: "one", commandLine: "/bin/sh -c 'echo hello; echo more > made.txt'" });
  await run("task.addCollection", jobId, [
    { id: "two", commandLine: "true" },
    { id: "fails", commandLine: "false" },
    { id: "long", commandLine: "sleep 600" },
  ]);
  for (const name of ["one", "two", "fails"]) await becomes(state(name), "completed", name);
  assert.equal((await run("task.get", jobId, "fails")).executionInfo.retryCount, 2);
  await becomes(state("long"), "running", "long");
  await run("task.terminate", jobId, "long");
  const answer = await run("job.getTaskCounts", jobId);
  const counts = answer.taskCounts ?? answer;
  assert.deepEqual([counts.completed, counts.succeeded, counts.failed], [4, 2, 2]);
  await pause();
  await run("task.reactivate", jobId, "fails");
  assert.equal(await state("fails")(), "active");
  await run("task.update", jobId, "fails", { constraints: { maxTaskRetryCount: 1 } });
  assert.equal((await run("task.get", jobId, "fails")).constraints.maxTaskRetryCount, 1);
  await run("job.enable", jobId);
  await becomes(state("fails"), "completed", "fails");
  await run("task.listSubtasks", jobId, "one");
  assert.equal((await run("task.list", jobId)).length, 4);
  const statuses = await run("job.listPreparationAndReleaseTaskStatus", jobId);
  assert.equal(statuses[0].jobPreparationTaskExecutionInfo.state, "completed");
  await files();
  await run("task.deleteMethod", jobId, "two");
}

async function files() {
  const listed = await run("file.listFromTask", jobId, "one", { recursive: true });
  assert(listed.some((it) => it.name === "wd/made.txt"));
  assert.equal(await content("file.getFromTask", jobId, "one", "stdout.txt"), "hello\n");
  await run("file.getPropertiesFromTask", jobId, "one", "stdout.txt");
  await run("file.deleteFromTask", jobId, "one", "wd/made.txt");
  const { nodeId } = (await run("task.get", jobId, "one")).nodeInfo;
  const path = `workitems/${jobId}/job-1/one/stdout.txt`;
  assert((await run("file.listFromComputeNode", poolId, nodeId)).some((it) => it.name === "workitems"));
  assert.equal(await content("file.getFromComputeNode", poolId, nodeId, path), "hello\n");
  await run("file.getPropertiesFromComputeNode", poolId, nodeId, path);
  await run("file.deleteFromComputeNode", poolId, nodeId, path);
}

/** A length of time, as the package wants it. */
function hours(count) {
  return settings.batch_sdk === "@azure/batch" ? `PT${count}H` : require("moment").duration(count, "hours");
}

async function schedule() {
  const jobSpecification = { poolInfo: { poolId } };
  await run("jobSchedule.add", { id: scheduleId, schedule: { recurrenceInterval: hours(1) }, jobSpecification });
  assert(await run("jobSchedule.exists", scheduleId));
  const isThere = (jobs) => jobs.length === 1 && jobs[0].id === `${scheduleId}:job-1`;
  await until(() => run("job.listFromJobSchedule", scheduleId), isThere, scheduleId);
  await run("jobSchedule.patch", scheduleId, { schedule: { recurrenceInterval: hours(2) } });
  await run("jobSchedule.update", scheduleId, { schedule: { recurrenceInterval: hours(1) }, jobSpecification });
  await run("jobSchedule.disable", scheduleId);
  assert.equal((await run("jobSchedule.get", scheduleId)).state, "disabled");
  await run("jobSchedule.enable", scheduleId);
  assert((await run("jobSchedule.list")).some((it) => it.id === scheduleId));
  await run("jobSchedule.terminate", scheduleId);
  await becomes(async () => (await run("jobSchedule.get", scheduleId)).state, "completed", scheduleId);
  await run("jobSchedule.deleteMethod", scheduleId);
}

async function takeDown(nodes) {
  await run("job.terminate", jobId);
  await becomes(async () => (await run("job.get", jobId)).state, "completed", jobId);
  await run("job.deleteMethod", jobId);
  await run("pool.removeNodes", poolId, { nodeList: nodes.slice(0, 1) });
  await idleNodes(2);
  await steady();
  const since = { poolListUsageMetricsOptions: { startTime: new Date("2016-01-01T00:00:00Z") } };
  const used = (await run("pool.listUsageMetrics", since)).filter((it) => it.poolId === poolId);
  assert(used.length && used.every((it) => it.totalCoreHours > 0 && it.startTime < it.endTime));
  await run("pool.resize", poolId, { targetDedicatedNodes: 3 });
  // A resize that is over before it can be stopped is refused; both are answers to the call.
  await run("pool.stopResize", poolId).catch((refusal) => assert(refusal.statusCode === 409, refusal));
  await run("pool.deleteMethod", poolId);
}

async function main() {
  await certificates();
  assert((await run("application.list")).some((it) => it.id === application));
  assert.deepEqual((await run("application.get", application)).versions, ["1.0"]);
  const nodes = await pool();
  await node(nodes[0]);
  await job();
  await tasks();
  await schedule();
  await takeDown(nodes);
  const left = [...known].filter((it) => !called.has(it)).sort();
  assert.deepEqual(left, []);
  console.log(`called ${called.size} operations`);
}

main().catch((broken) => {
  console.error(broken);
  process.exit(1);
});
