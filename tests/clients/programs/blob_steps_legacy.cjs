// What azure-storage for JavaScript can do with blobs.

const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { Readable, Writable } = require("node:stream");
const sdk = require("azure-storage");

const PAGE = 512;
const LEASE = "11111111-2222-3333-4444-555555555555";
const SENDS_NOTHING = "sends nothing";
const LEFT_OUT = Object.fromEntries(
  ["setHost", "setProxy", "withFilter", "parseMetadataHeaders", "getBlockId", "generateBlockIdPrefix"]
    .flatMap((it) => ["BlobService", "StorageServiceClient"].map((owner) => [`${owner}.${it}`, SENDS_NOTHING])),
);
for (const it of ["createWriteStreamToExistingAppendBlob", "createWriteStreamToNewAppendBlob"]) {
  LEFT_OUT[`BlobService.${it}`] = "with today's Node.js it tells nobody when all is written";
}
// Members that other members are made of, and those of every emitter of events.
const isPlumbing = (name) =>
  /^EventEmitter\.|\.performRequest|\.(get|set)AccountServiceProperties$|\.getAccountProperties$/.test(name);

const inTwoHours = () => new Date(Date.now() + 7_200_000);

function into(chunks) {
  return new Writable({ write: (chunk, _, done) => { chunks.push(chunk); done(); } });
}

module.exports = (settings, { Recorder, refused }) => {
  const { account, key, url } = settings.storage;
  const plain = sdk.createBlobService(account, key, { primaryHost: url, secondaryHost: `${url}-secondary` });
  // The base class of the package does not say its name.
  const recorder = new Recorder([plain.constructor], isPlumbing);
  const blobs = recorder.wrap(plain);
  const call = (name, ...args) =>
    new Promise((resolve, reject) => {
      blobs[name](...args, (error, result, response) => (error ? reject(error) : resolve(result ?? response)));
    });
  let nNames = 0;
  const name = () => `o-${settings.suffix}-${++nNames}`;

  async function container() {
    const made = name();
    await call("createContainer", made);
    return made;
  }

  async function blobOf(text, options = {}) {
    const within = await container();
    await call("createBlockBlobFromText", within, "b", text, options);
    return within;
  }

  async function contentOf(within, blob, options = {}) {
    const chunks = [];
    await call("getBlobToStream", within, blob, into(chunks), options);
    return Buffer.concat(chunks).toString();
  }

  function readable(within, blob) {
    const policy = { AccessPolicy: { Permissions: "r", Expiry: inTwoHours() } };
    return blobs.getUrl(within, blob, blobs.generateSharedAccessSignature(within, blob, policy));
  }

  /** Pipes all of it through the stream that a verb makes, which may have to wait for its blob. */
  function written(verb, ...args) {
    return withFile(args.pop(), (file) => new Promise((resolve, reject) => {
      const stream = blobs[verb](...args, (error) => (error ? reject(error) : resolve()));
      fs.createReadStream(file).pipe(stream);
    }));
  }

  /** Runs with a file of this content; another may be made beside it. */
  async function withFile(content, work) {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "kiln-"));
    const file = path.join(folder, "file");
    fs.writeFileSync(file, content);
    await work(file);
    fs.rmSync(folder, { recursive: true });
  }

  const steps = {
    async containers() {
      const made = name();
      assert.equal((await call("createContainerIfNotExists", made)).created, true);
      assert.equal((await call("createContainerIfNotExists", made)).created, false);
      await refused("ContainerAlreadyExists", () => call("createContainer", made));
      await call("setContainerMetadata", made, { a: "1" });
      assert.deepEqual((await call("getContainerMetadata", made)).metadata, { a: "1" });
      assert.equal((await call("getContainerProperties", made)).lease.state, "available");
      assert.equal((await call("doesContainerExist", made)).exists, true);
      const listed = await call("listContainersSegmentedWithPrefix", made, null);
      assert.deepEqual(listed.entries.map((it) => it.name), [made]);
      assert.ok((await call("listContainersSegmented", null)).entries.length > 0);
      await call("deleteContainer", made);
      assert.equal(await call("deleteContainerIfExists", made), false);
      await refused("ContainerNotFound", () => call("deleteContainer", made));
    },

    async containerAcl() {
      const within = await blobOf("signed");
      const readers = { readers: { Permissions: "r", Start: new Date(Date.now() - 3_600_000), Expiry: inTwoHours() } };
      await call("setContainerAcl", within, readers, {});
      assert.equal((await call("getContainerAcl", within)).signedIdentifiers.readers.Permissions, "r");
      assert.equal(await (await fetch(readable(within, "b"))).text(), "signed");
    },

    async serviceProperties() {
      const before = await call("getServiceProperties");
      before.Cors = { CorsRule: [{
        AllowedOrigins: ["https://example.org"], AllowedMethods: ["GET"], AllowedHeaders: [], ExposedHeaders: [],
        MaxAgeInSeconds: 5,
      }] };
      await call("setServiceProperties", before);
      const kept = await call("getServiceProperties");
      assert.deepEqual(kept.Cors.CorsRule.map((it) => it.AllowedOrigins), [["https://example.org"]]);
      await call("setServiceProperties", { Cors: {} });
    },

    async serviceStatistics() {
      // Only the secondary endpoint tells them, and this package asks the primary one first.
      const options = { locationMode: sdk.StorageUtilities.LocationMode.SECONDARY_ONLY };
      assert.equal((await call("getServiceStats", options)).GeoReplication.Status, "live");
    },

    async leases() {
      const within = await blobOf("leased");
      for (const blob of [null, "b"]) {
        const { id } = await call("acquireLease", within, blob, { leaseDuration: 15 });
        await call("renewLease", within, blob, id);
        await call("changeLease", within, blob, id, LEASE);
        await call("releaseLease", within, blob, LEASE);
        await call("acquireLease", within, blob);
        assert.equal(Number((await call("breakLease", within, blob, { leaseBreakPeriod: 0 })).time), 0);
      }
    },

    async blockBlobs() {
      const within = await container();
      await withFile("from a file", async (file) => {
        await call("createBlockBlobFromLocalFile", within, "file", file);
        await call("getBlobToLocalFile", within, "file", `${file}2`);
        assert.equal(fs.readFileSync(`${file}2`, "utf8"), "from a file");
      });
      await call("createBlockBlobFromStream", within, "stream", Readable.from([Buffer.from("from a stream")]), 13);
      await call("createBlockBlobFromText", within, "text", "from text");
      await written("createWriteStreamToBlockBlob", within, "written", "written");
      assert.equal(await call("getBlobToText", within, "text"), "from text");
      assert.equal(await contentOf(within, "stream"), "from a stream");
      assert.equal(await contentOf(within, "text", { rangeStart: 5, rangeEnd: 6 }), "te");
      const chunks = [];
      await new Promise((resolve, reject) => {
        const stream = blobs.createReadStream(within, "written");
        stream.on("data", (chunk) => chunks.push(chunk)).on("end", resolve).on("error", reject);
      });
      assert.equal(Buffer.concat(chunks).toString(), "written");
      assert.equal((await call("doesBlobExist", within, "text")).exists, true);
      await call("deleteBlob", within, "text");
      assert.equal(await call("deleteBlobIfExists", within, "text"), false);
    },

    async blocks() {
      const within = await blobOf("0123456789");
      const [one, two, three] = ["1", "2", "3"].map((it) => Buffer.from(it.padStart(8, "0")).toString("base64"));
      await call("createBlockFromText", one, within, "blocks", "one ");
      await call("createBlockFromStream", two, within, "blocks", Readable.from([Buffer.from("two ")]), 4);
      await call("createBlockFromURL", three, within, "blocks", readable(within, "b"), 2, 4);
      assert.equal((await call("listBlocks", within, "blocks", "all")).UncommittedBlocks.length, 3);
      await call("commitBlocks", within, "blocks", { LatestBlocks: [one, two, three] });
      assert.equal(await call("getBlobToText", within, "blocks"), "one two 234");
    },

    async properties() {
      const contentSettings = { contentType: "text/x-one", contentLanguage: "en" };
      const within = await blobOf("text", { metadata: { a: "1" }, contentSettings });
      assert.deepEqual((await call("getBlobMetadata", within, "b")).metadata, { a: "1" });
      await call("setBlobMetadata", within, "b", { b: "2" });
      await call("setBlobProperties", within, "b", { contentType: "text/x-two" });
      const found = await call("getBlobProperties", within, "b");
      assert.deepEqual(found.metadata, { b: "2" });
      assert.equal(found.contentSettings.contentType, "text/x-two");
    },

    async lists() {
      const within = await container();
      for (const it of ["a/1", "a/2", "b"]) await call("createBlockBlobFromText", within, it, "x");
      const first = await call("listBlobsSegmented", within, null, { maxResults: 2 });
      const rest = await call("listBlobsSegmented", within, first.continuationToken);
      assert.deepEqual([...first.entries, ...rest.entries].map((it) => it.name), ["a/1", "a/2", "b"]);
      const under = await call("listBlobsSegmentedWithPrefix", within, "a/", null);
      assert.equal(under.entries.length, 2);
      const folders = await call("listBlobDirectoriesSegmented", within, null);
      assert.deepEqual(folders.entries.map((it) => it.name), ["a/"]);
      assert.equal((await call("listBlobDirectoriesSegmentedWithPrefix", within, "a", null)).entries.length, 1);
    },

    async snapshots() {
      const within = await blobOf("before");
      const snapshotId = await call("createBlobSnapshot", within, "b");
      await call("createBlockBlobFromText", within, "b", "after");
      assert.equal(await call("getBlobToText", within, "b", { snapshotId }), "before");
      await refused("SnapshotsPresent", () => call("deleteBlob", within, "b"));
    },

    async copies() {
      const within = await blobOf("copied");
      const copy = await call("startCopyBlob", blobs.getUrl(within, "b"), within, "target");
      assert.equal(copy.copy.status, "success");
      assert.equal(await call("getBlobToText", within, "target"), "copied");
      await refused("NoPendingCopyOperation", () => call("abortCopyBlob", within, "target", copy.copy.id));
    },

    async tiers() {
      const within = await blobOf("cool");
      await call("setBlobTier", within, "b", "Cool");
      assert.equal((await call("getBlobProperties", within, "b")).accessTier, "Cool");
    },

    async undelete() {
      const within = await blobOf("deleted");
      await call("setServiceProperties", { DeleteRetentionPolicy: { Enabled: true, Days: 1 } });
      try {
        await call("deleteBlob", within, "b");
        await call("undeleteBlob", within, "b");
        assert.equal(await call("getBlobToText", within, "b"), "deleted");
      } finally {
        await call("setServiceProperties", { DeleteRetentionPolicy: { Enabled: false } });
      }
    },

    async pageBlobs() {
      const within = await container();
      const content = crypto.randomBytes(2 * PAGE);
      const stream = () => Readable.from([content]);
      await call("createPageBlob", within, "p", 8 * PAGE);
      await call("createPagesFromStream", within, "p", stream(), 2 * PAGE, 4 * PAGE - 1);
      await call("clearPageRange", within, "p", 3 * PAGE, 4 * PAGE - 1);
      const ranges = await call("listPageRanges", within, "p");
      assert.deepEqual(ranges.map((it) => [it.start, it.end]), [[2 * PAGE, 3 * PAGE - 1]]);
      const snapshot = await call("createBlobSnapshot", within, "p");
      await call("createPagesFromStream", within, "p", stream(), 0, 2 * PAGE - 1);
      const changed = await call("getPageRangesDiff", within, "p", snapshot);
      assert.deepEqual([changed.at(0).start, changed.at(-1).end], [0, 2 * PAGE - 1]);
      await call("resizePageBlob", within, "p", 4 * PAGE);
      await call("setPageBlobSequenceNumber", within, "p", "max", 7);
      assert.equal((await call("getBlobProperties", within, "p")).contentLength, String(4 * PAGE));
      await withFile(content, (file) => call("createPageBlobFromLocalFile", within, "file", file));
      await call("createPageBlobFromStream", within, "stream", stream(), 2 * PAGE);
      await written("createWriteStreamToNewPageBlob", within, "new", 2 * PAGE, content);
      await written("createWriteStreamToExistingPageBlob", within, "new", content);
      for (const it of ["file", "stream", "new"]) {
        const chunks = [];
        await call("getBlobToStream", within, it, into(chunks));
        assert.ok(Buffer.concat(chunks).equals(content), it);
      }
    },

    async appendBlobs() {
      const within = await container();
      await call("createOrReplaceAppendBlob", within, "log");
      assert.equal(Number((await call("appendBlockFromText", within, "log", "1")).appendOffset ?? 0), 0);
      await call("appendBlockFromStream", within, "log", Readable.from([Buffer.from("2")]), 1);
      await call("appendFromText", within, "log", "3");
      await call("appendFromStream", within, "log", Readable.from([Buffer.from("4")]), 1);
      await withFile("5", (file) => call("appendFromLocalFile", within, "log", file));
      assert.equal(await call("getBlobToText", within, "log"), "12345");
      await withFile("x", (file) => call("createAppendBlobFromLocalFile", within, "file", file));
      await call("createAppendBlobFromStream", within, "stream", Readable.from([Buffer.from("x")]), 1);
      await call("createAppendBlobFromText", within, "text", "x");
      for (const it of ["file", "stream", "text"]) {
        assert.equal(await call("getBlobToText", within, it), "x");
      }
    },
  };
  return { recorder, steps, leftOut: LEFT_OUT };
};
