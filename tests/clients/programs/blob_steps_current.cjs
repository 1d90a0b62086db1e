// What @azure/storage-blob can do with blobs.

const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { Readable } = require("node:stream");
const sdk = require("@azure/storage-blob");

const PAGE = 512;
const LEASE = "11111111-2222-3333-4444-555555555555";
const blockId = (number) => Buffer.from(String(number).padStart(8, "0")).toString("base64");
const inTwoHours = () => new Date(Date.now() + 7_200_000);

const LEFT_OUT = {
  "BlobServiceClient.getUserDelegationKey": "asks with tokens, which this program has none of",
  "ContainerClient.generateUserDelegationSasUrl": "needs a key that tokens are asked with",
  "ContainerClient.generateUserDelegationSasStringToSign": "needs a key that tokens are asked with",
  "BlobClient.generateUserDelegationSasUrl": "needs a key that tokens are asked with",
  "BlobClient.generateUserDelegationSasStringToSign": "needs a key that tokens are asked with",
  "PageBlobClient.getPageRangesDiffForManagedDisks": "for managed disks, which are no blobs of an account",
  "BlockBlobClient.uploadBrowserData": "for browsers",
};
// Members that other members are made of.
const isPlumbing = (name) =>
  /Segments?$|Items$|listItemsByHierarchy$|uploadSeekableInternal$|NamesFromUrl$|ContainerNameFromUrl$/.test(name);

async function all(pages) {
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
}

async function textOf(blob, ...range) {
  const chunks = [];
  for await (const chunk of (await blob.download(...range)).readableStreamBody) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

module.exports = (settings, { Recorder, refused }) => {
  const { account, key, url } = settings.storage;
  const credential = new sdk.StorageSharedKeyCredential(account, key);
  const recorder = new Recorder([
    sdk.BlobServiceClient, sdk.ContainerClient, sdk.BlobClient, sdk.BlockBlobClient,
    sdk.AppendBlobClient, sdk.PageBlobClient, sdk.BlobLeaseClient, sdk.BlobBatchClient,
  ], isPlumbing);
  const options = { retryOptions: { maxTries: 1 } };
  const service = recorder.wrap(new sdk.BlobServiceClient(url, credential, options));
  let nNames = 0;
  const name = () => `j-${settings.suffix}-${++nNames}`;

  async function container() {
    const client = service.getContainerClient(name());
    await client.create();
    return client;
  }

  /** A container with one blob, `b`. */
  async function blobOf(content, more = {}) {
    const within = await container();
    const blob = within.getBlockBlobClient("b");
    await blob.upload(content, content.length, more);
    return { within, blob };
  }

  const readable = (blob) =>
    blob.generateSasUrl({ permissions: sdk.BlobSASPermissions.parse("r"), expiresOn: inTwoHours() });

  const steps = {
    async account() {
      const { within, blob } = await blobOf("signed");
      for (const client of [service, within, blob]) {
        assert.equal((await client.getAccountInfo()).accountKind, "StorageV2");
      }
      const permissions = sdk.AccountSASPermissions.parse("r");
      const signed = service.generateAccountSasUrl(inTwoHours(), permissions, "o");
      assert.match(service.generateSasStringToSign(inTwoHours(), permissions, "o"), new RegExp(account));
      const answer = await fetch(`${blob.url}?${signed.split("?")[1]}`);
      assert.equal(await answer.text(), "signed");
      const rights = { permissions: sdk.ContainerSASPermissions.parse("r"), expiresOn: inTwoHours() };
      const inside = await within.generateSasUrl(rights);
      assert.equal(await (await fetch(`${blob.url}?${inside.split("?")[1]}`)).text(), "signed");
      assert.match(within.generateSasStringToSign(rights), new RegExp(within.containerName));
      const own = { permissions: sdk.BlobSASPermissions.parse("r"), expiresOn: inTwoHours() };
      assert.match(blob.generateSasStringToSign(own), /\/b\n/);
    },

    async serviceProperties() {
      const before = await service.getProperties();
      const cors = [{
        allowedOrigins: "https://example.org", allowedMethods: "GET", allowedHeaders: "", exposedHeaders: "",
        maxAgeInSeconds: 5,
      }];
      await service.setProperties({ cors });
      const kept = await service.getProperties();
      assert.deepEqual(kept.cors.map((it) => it.allowedOrigins), ["https://example.org"]);
      assert.equal(kept.hourMetrics.enabled, before.hourMetrics.enabled);
      await service.setProperties({ cors: [] });
    },

    async serviceStatistics() {
      const secondary = recorder.wrap(new sdk.BlobServiceClient(`${url}-secondary`, credential, options));
      assert.equal((await secondary.getStatistics()).geoReplication.status, "live");
    },

    async containers() {
      const { containerClient } = await service.createContainer(name(), { metadata: { first: "1" } });
      const client = recorder.wrap(containerClient);
      await refused("ContainerAlreadyExists", () => client.create());
      assert.equal((await client.createIfNotExists()).succeeded, false);
      await client.setMetadata({ second: "2" });
      const found = await client.getProperties();
      assert.deepEqual(found.metadata, { second: "2" });
      assert.equal(found.leaseState, "available");
      assert.equal(await client.exists(), true);
      const listed = await all(service.listContainers({ prefix: client.containerName, includeMetadata: true }));
      assert.deepEqual(listed.map((it) => it.metadata), [{ second: "2" }]);
      await client.delete();
      assert.equal((await client.deleteIfExists()).succeeded, false);
      await refused("ContainerNotFound", () => service.deleteContainer(client.containerName));
    },

    async undeletedContainers() {
      await refused("ContainerNotFound", () => service.undeleteContainer(name(), "01D00000000000000"));
    },

    async containerPolicies() {
      const client = await container();
      const policy = { startsOn: new Date(), expiresOn: inTwoHours(), permissions: "r" };
      await client.setAccessPolicy(undefined, [{ id: "readers", accessPolicy: policy }]);
      const kept = await client.getAccessPolicy();
      assert.deepEqual(kept.signedIdentifiers.map((it) => it.accessPolicy.permissions), ["r"]);
    },

    async leases() {
      const { within, blob } = await blobOf("leased");
      for (const client of [within, blob]) {
        const lease = client.getBlobLeaseClient();
        await lease.acquireLease(15);
        await refused("LeaseIdMissing", () => client.delete());
        await lease.renewLease();
        await lease.changeLease(LEASE);
        await lease.releaseLease();
        await lease.acquireLease(60);
        assert.equal((await lease.breakLease(0)).leaseTime, 0);
        assert.equal((await client.getProperties()).leaseState, "broken");
      }
    },

    async blockBlobs() {
      const within = await container();
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), "kiln-"));
      const file = path.join(folder, "file");
      fs.writeFileSync(file, "from a file");
      const blob = (it) => within.getBlockBlobClient(it);
      await within.uploadBlockBlob("put", "from a string", 13);
      await blob("data").uploadData(Buffer.from("from data"));
      await blob("file").uploadFile(file);
      await blob("stream").uploadStream(Readable.from([Buffer.from("from "), Buffer.from("a stream")]));
      assert.equal(await textOf(blob("put"), 5, 3), "a s");
      assert.equal((await blob("data").downloadToBuffer()).toString(), "from data");
      await blob("file").downloadToFile(`${file}2`);
      assert.equal(fs.readFileSync(`${file}2`, "utf8"), "from a file");
      assert.equal(await textOf(blob("stream")), "from a stream");
      assert.equal(await blob("stream").exists(), true);
      await blob("stream").delete();
      assert.equal((await blob("stream").deleteIfExists()).succeeded, false);
      await within.deleteBlob("file");
      await refused("BlobAlreadyExists", () => blob("put").upload("x", 1, { conditions: { ifNoneMatch: "*" } }));
      fs.rmSync(folder, { recursive: true });
    },

    async largeBlockBlob() {
      const content = crypto.randomBytes(9 * 1024 * 1024 + 1);
      const blob = (await container()).getBlockBlobClient("large");
      await blob.uploadData(content, { blockSize: 4 * 1024 * 1024, maxSingleShotSize: 1024, concurrency: 2 });
      assert.equal((await blob.getBlockList("committed")).committedBlocks.length, 3);
      assert.ok((await blob.downloadToBuffer(0, undefined, { blockSize: 2 * 1024 * 1024 })).equals(content));
    },

    async blocks() {
      const { within, blob: source } = await blobOf("0123456789");
      const blob = within.getBlockBlobClient("blocks");
      await blob.stageBlock(blockId(1), "one ", 4);
      assert.equal((await blob.getBlockList("all")).uncommittedBlocks.length, 1);
      await blob.commitBlockList([blockId(1)]);
      assert.equal(await textOf(blob), "one ");
      await blob.stageBlockFromURL(blockId(2), await readable(source), 2, 3);
      await blob.commitBlockList([blockId(1), blockId(2)]);
      assert.equal(await textOf(blob), "one 234");
    },

    async properties() {
      const { blob } = await blobOf("text", {
        metadata: { a: "1" }, blobHTTPHeaders: { blobContentType: "text/x-one", blobContentLanguage: "en" },
      });
      await blob.setMetadata({ b: "2" });
      await blob.setHTTPHeaders({ blobContentType: "text/x-two" });
      const found = await blob.getProperties();
      assert.deepEqual(found.metadata, { b: "2" });
      assert.equal(found.contentType, "text/x-two");
      assert.equal(found.contentLanguage, undefined);
    },

    async lists() {
      const within = await container();
      for (const it of ["a/1", "a/2", "b", "c/d/3"]) await within.uploadBlockBlob(it, "x", 1);
      assert.deepEqual((await all(within.listBlobsFlat())).map((it) => it.name), ["a/1", "a/2", "b", "c/d/3"]);
      const parts = await all(within.listBlobsByHierarchy("/"));
      assert.deepEqual(parts.map((it) => it.name).sort(), ["a/", "b", "c/"]);
      const pages = [];
      for await (const page of within.listBlobsFlat().byPage({ maxPageSize: 3 })) {
        pages.push(page.segment.blobItems.length);
      }
      assert.deepEqual(pages, [3, 1]);
    },

    async snapshots() {
      const { within, blob } = await blobOf("before");
      const { snapshot } = await blob.createSnapshot();
      await blob.upload("after", 5);
      assert.equal(await textOf(within.getBlobClient("b").withSnapshot(snapshot)), "before");
      assert.equal(await textOf(blob.withSnapshot(snapshot)), "before");
      const listed = await all(within.listBlobsFlat({ includeSnapshots: true }));
      assert.deepEqual(listed.map((it) => it.snapshot), [snapshot, undefined]);
      await refused("SnapshotsPresent", () => blob.delete());
      await blob.delete({ deleteSnapshots: "include" });
    },

    async versions() {
      const { within } = await blobOf("kept");
      // Of an account that keeps no versions there is none to be had.
      const old = within.getBlobClient("b").withVersion("2020-01-01T00:00:00.0000000Z");
      await assert.rejects(() => old.getProperties());
    },

    async copies() {
      const { within, blob: source } = await blobOf("copied", { metadata: { a: "1" } });
      const target = within.getBlobClient("target");
      const copy = await target.beginCopyFromURL(source.url);
      assert.equal((await copy.pollUntilDone()).copyStatus, "success");
      assert.equal(await textOf(target), "copied");
      await target.startCopyFromURL(source.url);
      const { copyId } = await target.getProperties();
      await refused("NoPendingCopyOperation", () => target.abortCopyFromURL(copyId));
      const sync = within.getBlockBlobClient("sync");
      assert.equal((await sync.syncCopyFromURL(await readable(source))).copyStatus, "success");
      assert.equal(await textOf(sync), "copied");
    },

    async uploadsFromUrls() {
      const { within, blob: source } = await blobOf("whole");
      const target = within.getBlockBlobClient("target");
      await target.syncUploadFromURL(await readable(source));
      assert.equal(await textOf(target), "whole");
    },

    async tiers() {
      const { blob } = await blobOf("cool");
      await blob.setAccessTier("Cool");
      assert.equal((await blob.getProperties()).accessTier, "Cool");
      await blob.setAccessTier("Archive");
      await refused("BlobArchived", () => blob.download());
    },

    async batches() {
      const within = await container();
      for (const it of ["1", "2"]) await within.uploadBlockBlob(it, "x", 1);
      const urls = ["1", "2"].map((it) => within.getBlobClient(it).url);
      const batch = service.getBlobBatchClient();
      const tiers = await batch.setBlobsAccessTier(urls, credential, "Cool");
      assert.deepEqual(tiers.subResponses.map((it) => it.status), [200, 200]);
      const more = batch.createBatch();
      await more.deleteBlob(urls[0], credential);
      assert.equal((await batch.submitBatch(more)).subResponsesSucceededCount, 1);
      const inside = within.getBlobBatchClient();
      assert.equal((await inside.deleteBlobs(urls, credential)).subResponsesFailedCount, 1);
      assert.deepEqual(await all(within.listBlobsFlat()), []);
    },

    async tags() {
      const word = `w${settings.suffix}j`;
      const { within, blob } = await blobOf("tagged", { tags: { word, n: "1" } });
      await blob.setTags({ word, n: "2" });
      assert.deepEqual((await blob.getTags()).tags, { word, n: "2" });
      const found = await all(service.findBlobsByTags(`"word" = '${word}' AND "n" > '1'`));
      assert.deepEqual(found.map((it) => it.name), ["b"]);
      assert.equal((await all(within.findBlobsByTags(`"word" = '${word}'`))).length, 1);
    },

    async undelete() {
      const { blob } = await blobOf("deleted");
      await service.setProperties({ deleteRetentionPolicy: { enabled: true, days: 1 } });
      try {
        await blob.delete();
        await blob.undelete();
        assert.equal(await textOf(blob), "deleted");
      } finally {
        await service.setProperties({ deleteRetentionPolicy: { enabled: false } });
      }
    },

    async immutability() {
      const { blob } = await blobOf("kept");
      await blob.setImmutabilityPolicy({ expiriesOn: inTwoHours(), policyMode: "Unlocked" });
      await blob.deleteImmutabilityPolicy();
      await blob.setLegalHold(true);
      await blob.setLegalHold(false);
      await blob.delete();
    },

    async query() {
      const { blob } = await blobOf("1,a\nb\n3,c\n");
      async function answer(query, options) {
        const chunks = [];
        for await (const chunk of (await blob.query(query, options)).readableStreamBody) chunks.push(chunk);
        return Buffer.concat(chunks).toString();
      }
      const [failed, loaded] = [[], []];
      const options = { onError: (it) => failed.push(it), onProgress: (it) => loaded.push(it.loadedBytes) };
      assert.equal(await answer("SELECT _2 FROM BlobStorage WHERE _2 <> 'a'", options), "c\n");
      assert.equal(loaded.at(-1), 10);
      assert.deepEqual(failed.map((it) => [it.name, it.isFatal, it.position]), [["InvalidColumnOrdinal", false, 4]]);
      const head = await blob.query("SELECT * FROM BlobStorage");
      assert.equal(head.contentType, "avro/binary");
      assert.equal(head.blobType, "BlockBlob");
      head.readableStreamBody.resume();
      const json = { kind: "json", recordSeparator: "\n" };
      const named = { kind: "csv", hasHeaders: true };
      const asJson = { inputTextConfiguration: named, outputTextConfiguration: json };
      assert.equal(await answer('SELECT "a" FROM BlobStorage WHERE _1 = 3', asJson), '{"a":"c"}\n');
      assert.equal(await answer("SELECT * FROM BlobStorage", { ...options, inputTextConfiguration: json }), "");
      assert.deepEqual([failed.at(-1).name, failed.at(-1).isFatal, failed.at(-1).position], ["ParseError", true, 0]);
      await refused("ErrorProcessingQueryExpression", () => blob.query("SELECT"));
      const conditions = { ifModifiedSince: inTwoHours() };
      await assert.rejects(() => blob.query("SELECT * FROM BlobStorage", { conditions }), { statusCode: 304 });
    },

    async pageBlobs() {
      const { within, blob: source } = await blobOf("s".repeat(PAGE));
      const page = within.getPageBlobClient("p");
      await page.create(8 * PAGE);
      assert.equal((await page.createIfNotExists(PAGE)).succeeded, false);
      assert.equal(await textOf(within.getBlobClient("p").getPageBlobClient(), 0, 2), "\0\0");
      await page.uploadPages("x".repeat(2 * PAGE), 2 * PAGE, 2 * PAGE);
      await page.clearPages(3 * PAGE, PAGE);
      // The package counts to the last byte of a range, not past it.
      assert.deepEqual((await page.getPageRanges()).pageRange, [{ offset: 2 * PAGE, count: PAGE - 1 }]);
      assert.equal((await all(page.listPageRanges())).length, 1);
      const { snapshot } = await page.createSnapshot();
      assert.equal((await page.withSnapshot(snapshot).getProperties()).contentLength, 8 * PAGE);
      await page.uploadPagesFromURL(await readable(source), 0, 0, PAGE);
      const difference = await page.getPageRangesDiff(0, 8 * PAGE, snapshot);
      assert.deepEqual(difference.pageRange, [{ offset: 0, count: PAGE - 1 }]);
      assert.equal((await all(page.listPageRangesDiff(0, 8 * PAGE, snapshot))).length, 1);
      await page.resize(4 * PAGE);
      assert.equal((await page.updateSequenceNumber("update", 7)).blobSequenceNumber, 7);
    },

    async incrementalCopies() {
      const within = await container();
      const page = within.getPageBlobClient("p");
      await page.create(PAGE);
      const { snapshot } = await page.createSnapshot();
      const source = page.withSnapshot(snapshot).url;
      const copy = await within.getPageBlobClient("copy").startCopyIncremental(source);
      assert.ok(["pending", "success"].includes(copy.copyStatus));
    },

    async appendBlobs() {
      const { within, blob: source } = await blobOf("0123456789");
      const log = within.getAppendBlobClient("log");
      await log.create();
      assert.equal((await log.createIfNotExists()).succeeded, false);
      assert.equal((await log.appendBlock("one", 3)).blobAppendOffset, "0");
      await log.appendBlockFromURL(await readable(source), 1, 3);
      const { snapshot } = await log.createSnapshot();
      await log.seal();
      await refused("BlobIsSealed", () => log.appendBlock("x", 1));
      assert.equal(await textOf(log.withSnapshot(snapshot)), "one123");
      assert.equal(await textOf(within.getBlobClient("log").getAppendBlobClient()), "one123");
      assert.equal(await textOf(within.getBlobClient("b").getBlockBlobClient()), "0123456789");
    },
  };
  return { recorder, steps, leftOut: LEFT_OUT };
};
