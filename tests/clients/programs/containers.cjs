// Tasks in containers with the JavaScript SDK, from a registry that wants to know who asks.

const assert = require("node:assert/strict");
const fs = require("node:fs");
const { setTimeout: sleep } = require("node:timers/promises");
const { BatchServiceClient, BatchSharedKeyCredentials } = require("@azure/batch");

const WAIT_MAX_MS = 120_000;
const settings = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const name = `containers-${settings.suffix}`;
const image = `${settings.registry}/tool:1`;
const batch = new BatchServiceClient(
  new BatchSharedKeyCredentials(settings.batch.account, settings.batch.key),
  settings.batch.url,
);

async function until(what, look) {
  const deadline = Date.now() + WAIT_MAX_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert(Date.now() < deadline, `${what} did not happen`);
    await sleep(200);
  }
}

async function printed(task) {
  const file = await batch.file.getFromTask(name, task, "stdout.txt");
  const parts = [];
  for await (const part of file.readableStreamBody) parts.push(part);
  return Buffer.concat(parts).toString();
}

async function main() {
  await batch.pool.add({
    id: name,
    vmSize: "standard_d2_v2",
    targetDedicatedNodes: 1,
    virtualMachineConfiguration: {
      imageReference: { publisher: "canonical", offer: "0001-com-ubuntu-server-jammy", sku: "22_04-lts" },
      nodeAgentSKUId: "batch.node.ubuntu 22.04",
      containerConfiguration: {
        type: "dockerCompatible",
        containerImageNames: [image],
        containerRegistries: [
          { userName: settings.user, password: settings.password, registryServer: settings.registry },
        ],
      },
    },
  });
  const pool = await batch.pool.get(name);
  const kept = pool.virtualMachineConfiguration.containerConfiguration;
  assert.deepEqual(kept.containerImageNames, [image]);
  assert.equal(kept.containerRegistries[0].password, undefined);
  await batch.job.add({ id: name, poolInfo: { poolId: name } });
  await batch.task.add(name, {
    id: "words",
    commandLine: "/bin/sh -c 'cat /etc/image; echo $AZ_BATCH_TASK_ID; exit 4'",
    containerSettings: { imageName: image, containerRunOptions: "--rm" },
  });
  await batch.task.add(name, {
    id: "none",
    commandLine: "true",
    containerSettings: { imageName: `${settings.registry}/tool:none` },
  });
  const ended = (task) =>
    until(`the end of ${task}`, async () => {
      const shown = await batch.task.get(name, task);
      return shown.state === "completed" && shown.executionInfo;
    });
  const words = await ended("words");
  assert.equal(words.exitCode, 4, JSON.stringify(words));
  assert.equal(words.containerInfo.state, "exited");
  assert.equal(await printed("words"), "from the image\nwords\n");
  assert.equal((await ended("none")).failureInfo.code, "ContainerInvalidImage");
  await batch.job.deleteMethod(name);
  await batch.pool.deleteMethod(name);
}

main();
