// What a user with bearer tokens does with @azure/storage-blob, on Azure's own host names.
//
//     kiln exec -- node blob_access.cjs SETTINGS.json

const assert = require("node:assert");
const crypto = require("node:crypto");
const fs = require("node:fs");
const sdk = require("@azure/storage-blob");

const settings = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));

function part(value) {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

// Gives out the tokens of one user.
function credential(oid) {
  return {
    async getToken() {
      const exp = Math.floor(Date.now() / 1000) + 3600;
      const aud = "https://storage.azure.com";
      const claims = { iss: "https://issuer.example/", aud, exp, oid, tid: "tenant" };
      const said = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
      const mac = crypto.createHmac("sha256", settings.secret).update(said);
      return { token: `${said}.${mac.digest("base64url")}`, expiresOnTimestamp: exp * 1000 };
    },
  };
}

async function main() {
  const name = `access-js-${settings.suffix}`;
  const owner = new sdk.BlobServiceClient(settings.url, credential("owner"));
  const container = owner.getContainerClient(name);
  await container.create();
  const blobs = ["a", "b c"].map((blob) => container.getBlockBlobClient(blob));
  for (const blob of blobs) {
    await blob.upload("content", 7);
  }
  const reader = new sdk.BlobServiceClient(settings.url, credential("reader"));
  const seen = reader.getContainerClient(name).getBlockBlobClient("b c");
  assert.strictEqual((await seen.downloadToBuffer()).toString(), "content");
  await assert.rejects(seen.upload("x", 1), { code: "AuthorizationPermissionMismatch" });

  const startsOn = new Date(Date.now() - 60e3);
  const expiresOn = new Date(Date.now() + 3600e3);
  const key = await owner.getUserDelegationKey(startsOn, expiresOn);
  const permissions = sdk.ContainerSASPermissions.parse("rl");
  const terms = { containerName: name, permissions, startsOn, expiresOn };
  const token = sdk.generateBlobSASQueryParameters(terms, key, settings.account);
  const delegated = new sdk.ContainerClient(`${settings.url}/${name}?${token}`);
  const bytes = await delegated.getBlobClient("b c").downloadToBuffer();
  assert.strictEqual(bytes.toString(), "content");
  await assert.rejects(delegated.getBlockBlobClient("a").upload("x", 1), {
    code: "AuthorizationPermissionMismatch",
  });

  const batch = await owner.getBlobBatchClient().deleteBlobs(blobs);
  assert.strictEqual(batch.subResponsesSucceededCount, 2);
  await container.delete();
  console.log("phase: done");
}

main();
