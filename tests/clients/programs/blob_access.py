"""What a user with bearer tokens does with azure-storage-blob 12, on Azure's own host names.

    kiln exec -- python blob_access.py SETTINGS.json

The tokens are made here, with the secret that the server was told of.
"""

import base64
import datetime
import hashlib
import hmac
import io
import json
import os
import sys
import time

from azure.core.credentials import AccessToken
from azure.storage import blob as sdk
from every_blob_operation import refused

ISSUER = "https://issuer.example/"
NO_RIGHT = "AuthorizationPermissionMismatch"


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


class Credential:
    """Gives out the tokens of one user; the first may be one that no server takes."""

    def __init__(self, secret, oid, begins_wrong=False):
        self.secret, self.oid, self.begins_wrong = secret, oid, begins_wrong
        self.tenants = []

    def get_token(self, *scopes, **options):
        self.tenants.append(options.get("tenant_id"))
        expires_at = int(time.time()) + 3600
        wrong = self.begins_wrong and len(self.tenants) == 1
        claims = {
            "iss": ISSUER,
            "aud": "https://vault.azure.net" if wrong else "https://storage.azure.com",
            "exp": expires_at,
            "oid": self.oid,
            "tid": "tenant",
        }
        said = part({"alg": "HS256", "typ": "JWT"}) + b"." + part(claims)
        signature = hmac.new(self.secret.encode(), said, hashlib.sha256).digest()
        signature = base64.urlsafe_b64encode(signature).rstrip(b"=")
        return AccessToken((said + b"." + signature).decode(), expires_at)


def roles(url, secret, name):
    owner = sdk.BlobServiceClient(url, credential=Credential(secret, "owner"))
    container = owner.create_container(name) or owner.get_container_client(name)
    container.get_blob_client("a b (1).txt").upload_blob(b"content")
    reader = sdk.BlobServiceClient(url, credential=Credential(secret, "reader"))
    seen = reader.get_container_client(name)
    assert [it.name for it in seen.list_blobs()] == ["a b (1).txt"]
    assert seen.get_blob_client("a b (1).txt").download_blob().readall() == b"content"
    refused(NO_RIGHT, seen.get_blob_client("new").upload_blob, b"x")
    stranger = sdk.BlobServiceClient(url, credential=Credential(secret, "stranger"))
    refused(NO_RIGHT, stranger.get_container_client(name).get_container_properties)
    return owner, reader


def challenge(url, secret, name):
    """The SDK takes the tenant out of the challenge and asks for another token."""
    credential = Credential(secret, "owner", begins_wrong=True)
    service = sdk.BlobServiceClient(url, credential=credential)
    service.get_container_client(name).get_container_properties()
    assert credential.tenants[-1] == "tenant-of-the-authority", credential.tenants


def user_delegation(url, owner, reader, account, name):
    now = datetime.datetime.utcnow()
    until = now + datetime.timedelta(hours=1)
    key = owner.get_user_delegation_key(now - datetime.timedelta(minutes=5), until)
    of_container = sdk.generate_container_sas(
        account, name, user_delegation_key=key, permission="rwl", expiry=until
    )
    container = sdk.ContainerClient(url, name, credential=of_container)
    container.get_blob_client("by-key").upload_blob(b"1")
    assert len(list(container.list_blobs())) == 2
    of_blob = sdk.generate_blob_sas(
        account, name, "a b (1).txt", user_delegation_key=key, permission="r", expiry=until
    )
    blob = sdk.BlobClient(url, name, "a b (1).txt", credential=of_blob)
    assert blob.download_blob().readall() == b"content"
    other = sdk.BlobClient(url, name, "by-key", credential=of_blob)
    refused("AuthenticationFailed", other.download_blob)
    key = reader.get_user_delegation_key(now - datetime.timedelta(minutes=5), until)
    token = sdk.generate_container_sas(
        account, name, user_delegation_key=key, permission="rw", expiry=until
    )
    container = sdk.ContainerClient(url, name, credential=token)
    assert container.get_blob_client("by-key").download_blob().readall() == b"1"
    refused(NO_RIGHT, container.get_blob_client("by-key").upload_blob, b"2", overwrite=True)


def bound_delegation(url, secret, owner, account, name):
    """Signatures that are good with certain headers, or for one user, only."""
    now = datetime.datetime.utcnow()
    until = now + datetime.timedelta(hours=1)
    key = owner.get_user_delegation_key(now - datetime.timedelta(minutes=5), until)
    terms = {"user_delegation_key": key, "permission": "r", "expiry": until}
    token = sdk.generate_blob_sas(
        account, name, "by-key", request_headers={"x-ms-color": "blue"}, **terms
    )
    blob = sdk.BlobClient(url, name, "by-key", credential=token)
    assert blob.download_blob(headers={"x-ms-color": "blue"}).readall() == b"1"
    refused("AuthenticationFailed", blob.download_blob, headers={"x-ms-color": "red"})
    token = sdk.generate_blob_sas(account, name, "by-key", user_delegation_oid="reader", **terms)
    address = "{}/{}/by-key?{}".format(url, name, token)
    for user, is_right in (("reader", True), ("owner", False)):
        blob = sdk.BlobClient.from_blob_url(address, credential=Credential(secret, user))
        if is_right:
            assert blob.download_blob().readall() == b"1"
        else:
            refused("AuthenticationFailed", blob.download_blob)


def checksums(owner, name):
    """Uploads and downloads that are checked on the way, in one piece and in blocks."""
    content = os.urandom(10 * 1024 * 1024 + 7)
    for validate in ("crc64", "md5"):
        options = {"validate_content": validate, "overwrite": True}
        blob = owner.get_blob_client(name, "checked-" + validate)
        for data in (content[:1000], content, io.BytesIO(content)):
            blob.upload_blob(data, **options)
            got = blob.download_blob(validate_content=validate).readall()
            assert got == (data if isinstance(data, bytes) else content), validate
        blob.stage_block("QQ==", content[:1000], validate_content=validate)
        blob.commit_block_list([sdk.BlobBlock("QQ==")], validate_content=validate)
        got = blob.download_blob(10, 100, validate_content=validate).readall()
        assert got == content[10:110], validate


def main():
    with open(sys.argv[1]) as file:
        settings = json.load(file)
    url, account = settings["url"], settings["account"]
    secret, name = settings["secret"], "access-" + settings["suffix"]
    owner, reader = roles(url, secret, name)
    user_delegation(url, owner, reader, account, name)
    if settings["is_newest"]:
        challenge(url, secret, name)
        bound_delegation(url, secret, owner, account, name)
        checksums(owner, name)
    owner.delete_container(name)
    print("phase: done")


if __name__ == "__main__":
    main()
