// The program that a task runs on a node, for the JavaScript SDK: the same words as
// topwords_task.py, the same file, the same upload.

const fs = require("node:fs");
const path = require("node:path");
const { parseArgs } = require("node:util");
const { ContainerClient } = require("@azure/storage-blob");

const text = { type: "string" };
const { values } = parseArgs({
  options: {
    filepath: text,
    numwords: text,
    storageaccount: text,
    storagecontainer: text,
    sastoken: text,
    endpoint: { type: "string", default: "" },
  },
});

function topWords(source, nWords) {
  const counts = new Map();
  for (const [word] of source.toLowerCase().matchAll(/[a-z]+/g)) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const ranked = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return ranked.slice(0, nWords);
}

async function main() {
  const words = topWords(fs.readFileSync(values.filepath, "utf8"), Number(values.numwords));
  const lines = words.map(([word, count]) => `${word} ${count}`);
  for (const variable of ["POOL", "NODE", "JOB", "TASK"]) {
    lines.push(`${variable.toLowerCase()}: ${process.env[`AZ_BATCH_${variable}_ID`]}`);
  }
  const name = `${path.parse(values.filepath).name}_OUTPUT.txt`;
  fs.writeFileSync(name, lines.join("\n") + "\n");
  const account = values.endpoint || `https://${values.storageaccount}.blob.core.windows.net`;
  const container = new ContainerClient(
    `${account}/${values.storagecontainer}?${values.sastoken}`,
  );
  await container.getBlockBlobClient(name).uploadFile(path.resolve(name));
  console.log(`uploaded ${name}`);
}

main();
