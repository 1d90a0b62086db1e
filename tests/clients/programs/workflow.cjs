// The tutorial's workflow with the JavaScript SDKs: the same steps and checks as workflow.py.

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { setTimeout: sleep } = require("node:timers/promises");
const { BatchServiceClient, BatchSharedKeyCredentials } = require("@azure/batch");
const {
  BlobSASPermissions,
  BlobServiceClient,
  ContainerSASPermissions,
  StorageSharedKeyCredential,
  generateBlobSASQueryParameters,
} = require("@azure/storage-blob");

const TASK_PROGRAM = "topwords_task.cjs";
const IMAGE = { publisher: "canonical", offer: "0001-com-ubuntu-server-focal", sku: "20_04-lts" };
const WAIT_MAX_MS = 180_000;
const EXPECTED = {
  harbor: ["the 11", "boat 5", "a 4"],
  orchard: ["the 7", "apples 5", "pears 4"],
  workshop: ["measure 5", "the 5", "cut 4"],
};
const STEMS = Object.keys(EXPECTED);
const OUTPUTS = STEMS.map((stem) => `${stem}_OUTPUT.txt`);

const settings = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const suffix = settings.suffix;
const names = {
  application: `application-${suffix}`,
  input: `input-${suffix}`,
  output: `output-${suffix}`,
  pool: `pool-${suffix}`,
  job: `job-${suffix}`,
};
const key = new StorageSharedKeyCredential(settings.storage.account, settings.storage.key);
const storage = new BlobServiceClient(settings.storage.url, key);
const batch = new BatchServiceClient(
  new BatchSharedKeyCredentials(settings.batch.account, settings.batch.key),
  settings.batch.url,
);

const phase = (name) => console.log(`phase: ${name}`);
const inShell = (...commands) =>
  `/bin/bash -c 'set -e; set -o pipefail; ${commands.join("; ")}; wait'`;
const inTwoHours = () => new Date(Date.now() + 2 * 3600 * 1000);

async function collected(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts).toString();
}

async function waitUntil(what, isSo) {
  const deadline = Date.now() + WAIT_MAX_MS;
  while (!(await isSo())) {
    assert(Date.now() < deadline, `${what} did not happen in ${WAIT_MAX_MS} ms`);
    await sleep(500);
  }
}

async function isGone(get, code) {
  try {
    await get();
  } catch (refusal) {
    assert.equal(refusal.statusCode, 404);
    assert.equal(refusal.code, code);
    return true;
  }
  return false;
}

async function createContainers() {
  for (const name of [names.application, names.input, names.output]) {
    await storage.createContainer(name);
    const again = await storage.getContainerClient(name).createIfNotExists();
    assert.equal(again.succeeded, false);
    assert.equal(again.errorCode, "ContainerAlreadyExists");
  }
}

async function uploaded(container, file) {
  const blob = storage.getContainerClient(container).getBlockBlobClient(path.basename(file));
  await blob.uploadFile(file);
  const sas = generateBlobSASQueryParameters(
    {
      containerName: container,
      blobName: path.basename(file),
      permissions: BlobSASPermissions.parse("r"),
      expiresOn: inTwoHours(),
    },
    key,
  );
  return { httpUrl: `${blob.url}?${sas}`, filePath: path.basename(file) };
}

async function upload() {
  const program = await uploaded(names.application, path.join(__dirname, TASK_PROGRAM));
  const texts = [];
  for (const stem of STEMS) {
    texts.push(await uploaded(names.input, path.join(__dirname, "texts", `${stem}.txt`)));
  }
  return { program, texts };
}

const ELEVATED = { autoUser: { scope: "pool", elevationLevel: "admin" } };

async function addPool(program) {
  const images = await batch.account.listSupportedImages();
  const found = images.find(
    ({ imageReference: it }) =>
      it.publisher.toLowerCase() === IMAGE.publisher &&
      it.offer.toLowerCase() === IMAGE.offer &&
      it.sku.startsWith(IMAGE.sku),
  );
  assert(found, "no such image");
  await batch.pool.add({
    id: names.pool,
    vmSize: "STANDARD_A1",
    virtualMachineConfiguration: {
      imageReference: found.imageReference,
      nodeAgentSKUId: found.nodeAgentSKUId,
    },
    targetDedicatedNodes: settings.n_nodes,
    startTask: {
      commandLine: inShell(`cp -p ${TASK_PROGRAM} $AZ_BATCH_NODE_SHARED_DIR`),
      resourceFiles: [program],
      userIdentity: ELEVATED,
      waitForSuccess: true,
    },
  });
}

async function addTasks(texts) {
  const sas = generateBlobSASQueryParameters(
    {
      containerName: names.output,
      permissions: ContainerSASPermissions.parse("w"),
      expiresOn: inTwoHours(),
    },
    key,
  );
  const tasks = texts.map((file) => {
    const words = [
      settings.task_interpreter,
      `$AZ_BATCH_NODE_SHARED_DIR/${TASK_PROGRAM}`,
      `--filepath ${file.filePath}`,
      "--numwords 3",
      `--storageaccount ${settings.storage.account}`,
      `--storagecontainer ${names.output}`,
      `--sastoken "${sas}"`,
    ];
    if (settings.task_endpoint) words.push(`--endpoint ${settings.task_endpoint}`);
    return {
      id: `topwords-${path.parse(file.filePath).name}`,
      commandLine: inShell(words.join(" ")),
      resourceFiles: [file],
      ...(settings.tasks_elevated ? { userIdentity: ELEVATED } : {}),
    };
  });
  const added = await batch.task.addCollection(names.job, tasks);
  for (const result of added.value) assert.equal(result.status.toLowerCase(), "success");
  assert.equal(added.value.length, STEMS.length);
}

async function waitForTasks() {
  await waitUntil("completion of all tasks", async () => {
    const tasks = await batch.task.list(names.job);
    assert.equal(tasks.length, STEMS.length);
    return tasks.every((task) => task.state === "completed");
  });
}

async function checkOutputs() {
  for (const stem of STEMS) {
    const taskId = `topwords-${stem}`;
    const task = await batch.task.get(names.job, taskId);
    const read = async (file) => {
      const answer = await batch.file.getFromTask(names.job, taskId, file);
      return collected(answer.readableStreamBody);
    };
    assert.equal(task.executionInfo.exitCode, 0, await read("stderr.txt"));
    assert.equal(await read("stdout.txt"), `uploaded ${stem}_OUTPUT.txt\n`);
    const blob = storage.getContainerClient(names.output).getBlobClient(`${stem}_OUTPUT.txt`);
    const lines = (await collected((await blob.download()).readableStreamBody)).split("\n");
    assert.deepEqual(lines.slice(0, 3), EXPECTED[stem]);
    assert(lines.includes(`task: ${taskId}`) && lines.includes(`job: ${names.job}`));
  }
  const listed = [];
  for await (const blob of storage.getContainerClient(names.output).listBlobsFlat()) {
    listed.push(blob.name);
  }
  assert.deepEqual(listed.sort(), OUTPUTS.sort());
}

async function takeDown() {
  for (const name of [names.application, names.input, names.output]) {
    await storage.deleteContainer(name);
    assert.equal(await storage.getContainerClient(name).exists(), false);
  }
  await batch.job.deleteMethod(names.job);
  await batch.pool.deleteMethod(names.pool);
  await waitUntil("end of the job", () => isGone(() => batch.job.get(names.job), "JobNotFound"));
  await waitUntil("end of the pool", () =>
    isGone(() => batch.pool.get(names.pool), "PoolNotFound"),
  );
}

async function main() {
  phase("containers");
  await createContainers();
  phase("uploading");
  const { program, texts } = await upload();
  phase("adding pool");
  await addPool(program);
  phase("adding job");
  await batch.job.add({ id: names.job, poolInfo: { poolId: names.pool } });
  phase("adding tasks");
  await addTasks(texts);
  phase("waiting");
  await waitForTasks();
  phase("downloading");
  await checkOutputs();
  phase("cleaning");
  await takeDown();
  phase("done");
}

main().catch((failure) => {
  console.error(failure);
  process.exitCode = 1;
});
