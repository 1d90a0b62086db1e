"""What azure-storage 0.20 can do with blobs: one service, and words of the protocol as arguments."""

import datetime
import io
import os
import tempfile

from azure.storage import (
    AccessPolicy,
    SharedAccessPolicy,
    SignedIdentifier,
    SignedIdentifiers,
    StorageServiceProperties,
)
from azure.storage import blob as sdk
from blob_steps import LEASE, PAGE, Names, block_id, read_url
from every_blob_operation import Recorder, refused


class Family(Names):
    """The service of the package, and the steps."""

    LEFT_OUT = {
        "_StorageClient.set_proxy": "sends nothing",
        "_StorageClient.with_filter": "sends nothing",
    }

    def __init__(self, settings):
        super().__init__(settings["suffix"])
        account = settings["storage"]
        self.recorder = Recorder((sdk.BlobService,))
        self.blobs = self.recorder.wrap(sdk.BlobService(account["account"], account["key"]))

    def container(self):
        name = self.name()
        assert self.blobs.create_container(name, fail_on_exist=True)
        return name

    def put(self, container, name, text, **named):
        self.blobs.put_block_blob_from_text(container, name, text, **named)

    def listed(self, container, **named):
        return [it.name for it in self.blobs.list_blobs(container, **named)]

    def step_containers(self):
        name = self.name()
        assert self.blobs.create_container(name, x_ms_meta_name_values={"first": "1"})
        assert not self.blobs.create_container(name)
        refused("Conflict", self.blobs.create_container, name, fail_on_exist=True)
        assert self.blobs.get_container_metadata(name)["x-ms-meta-first"] == "1"
        self.blobs.set_container_metadata(name, {"second": "2"})
        found = self.blobs.get_container_properties(name)
        assert found["x-ms-meta-second"] == "2" and "x-ms-meta-first" not in found
        assert [it.name for it in self.blobs.list_containers(prefix=name)] == [name]
        assert self.blobs.delete_container(name)
        assert not self.blobs.delete_container(name)

    def step_container_acl(self):
        name = self.container()
        self.put(name, "b", "by policy")
        expiry = (datetime.datetime.utcnow() + datetime.timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
        policies = SignedIdentifiers()
        readers = SignedIdentifier()
        readers.id = "readers"
        readers.access_policy = AccessPolicy("", expiry, "r")
        policies.signed_identifiers.append(readers)
        self.blobs.set_container_acl(name, policies)
        kept = self.blobs.get_container_acl(name)
        assert [it.id for it in kept.signed_identifiers] == ["readers"]
        token = self.blobs.generate_shared_access_signature(
            name, "b", SharedAccessPolicy(AccessPolicy("", expiry, "r"))
        )
        assert read_url(self.blobs.make_blob_url(name, "b", sas_token=token)) == b"by policy"

    def step_container_leases(self):
        name, lease = self.container(), self.blobs.lease_container
        held = lease(name, "acquire")["x-ms-lease-id"]
        refused("LeaseIdMissing", self.blobs.delete_container, name, fail_not_exist=True)
        lease(name, "renew", held)
        assert lease(name, "change", held, x_ms_proposed_lease_id=LEASE)["x-ms-lease-id"] == LEASE
        lease(name, "release", LEASE)
        lease(name, "acquire")
        assert lease(name, "break", x_ms_lease_break_period=0)["x-ms-lease-time"] == "0"

    def step_service_properties(self):
        properties = StorageServiceProperties()
        properties.logging.retention_policy.enabled = False
        self.blobs.set_blob_service_properties(properties)
        kept = self.blobs.get_blob_service_properties()
        assert not kept.hour_metrics.enabled

    def step_block_blobs(self):
        name = self.container()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "file")
            with open(path, "wb") as file:
                file.write(b"from a path")
            self.blobs.put_block_blob_from_path(name, "path", path)
            self.blobs.get_blob_to_path(name, "path", path + "2")
            with open(path + "2", "rb") as file:
                assert file.read() == b"from a path"
        self.blobs.put_block_blob_from_bytes(name, "bytes", b"from bytes")
        self.blobs.put_block_blob_from_file(name, "file", io.BytesIO(b"from a file"))
        self.put(name, "text", "from text")
        self.blobs.put_blob(name, "put", b"put", "BlockBlob")
        assert self.blobs.get_blob(name, "put") == b"put"
        assert self.blobs.get_blob_to_bytes(name, "bytes") == b"from bytes"
        stream = io.BytesIO()
        self.blobs.get_blob_to_file(name, "file", stream)
        assert stream.getvalue() == b"from a file"
        assert self.blobs.get_blob_to_text(name, "text") == "from text"
        assert self.blobs.get_blob(name, "text", x_ms_range="bytes=5-6") == b"te"
        assert self.listed(name) == ["bytes", "file", "path", "put", "text"]
        self.blobs.delete_blob(name, "put")
        assert "put" not in self.listed(name)

    def step_blocks(self):
        name = self.container()
        self.blobs.put_block(name, "b", b"one ", block_id(1))
        self.blobs.put_block(name, "b", b"two", block_id(2))
        assert len(self.blobs.get_block_list(name, "b", blocklisttype="all").uncommitted_blocks) == 2
        self.blobs.put_block_list(name, "b", [block_id(1), block_id(2)])
        assert self.blobs.get_blob(name, "b") == b"one two"

    def step_properties(self):
        name = self.container()
        self.put(name, "b", "text", x_ms_meta_name_values={"a": "1"}, x_ms_blob_content_language="en")
        assert self.blobs.get_blob_metadata(name, "b")["x-ms-meta-a"] == "1"
        self.blobs.set_blob_metadata(name, "b", {"b": "2"})
        self.blobs.set_blob_properties(name, "b", x_ms_blob_content_type="text/x-two")
        found = self.blobs.get_blob_properties(name, "b")
        assert found["content-type"] == "text/x-two" and "content-language" not in found
        assert found["x-ms-meta-b"] == "2" and found["x-ms-blob-type"] == "BlockBlob"

    def step_lists(self):
        name = self.container()
        for blob in ("a/1", "a/2", "b", "c/d/3"):
            self.put(name, blob, "x")
        listed = self.blobs.list_blobs(name, delimiter="/")
        assert [it.name for it in listed] == ["b"]
        assert [it.name for it in listed.prefixes] == ["a/", "c/"]
        first = self.blobs.list_blobs(name, maxresults=3)
        assert [it.name for it in first] == ["a/1", "a/2", "b"]
        assert self.listed(name, marker=first.next_marker) == ["c/d/3"]

    def step_snapshots(self):
        name = self.container()
        self.put(name, "b", "before")
        past = self.blobs.snapshot_blob(name, "b")["x-ms-snapshot"]
        self.put(name, "b", "after")
        assert self.blobs.get_blob(name, "b", snapshot=past) == b"before"
        refused("Conflict", self.blobs.delete_blob, name, "b")
        self.blobs.delete_blob(name, "b", x_ms_delete_snapshots="include")
        assert self.listed(name, include="snapshots") == []

    def step_copies(self):
        name = self.container()
        self.put(name, "source", "copied")
        copy = self.blobs.copy_blob(name, "target", self.blobs.make_blob_url(name, "source"))
        assert copy["x-ms-copy-status"] == "success", copy
        assert self.blobs.get_blob(name, "target") == b"copied"
        refused("Conflict", self.blobs.abort_copy_blob, name, "target", copy["x-ms-copy-id"])

    def step_blob_leases(self):
        name, lease = self.container(), self.blobs.lease_blob
        self.put(name, "b", "leased")
        held = lease(name, "b", "acquire")["x-ms-lease-id"]
        refused("LeaseIdMissing", self.blobs.put_blob, name, "b", b"x", "BlockBlob")
        self.blobs.put_blob(name, "b", b"x", "BlockBlob", x_ms_lease_id=held)
        lease(name, "b", "renew", held)
        lease(name, "b", "change", held, x_ms_proposed_lease_id=LEASE)
        lease(name, "b", "release", LEASE)

    def step_page_blobs(self):
        name, content = self.container(), os.urandom(2 * PAGE)
        self.blobs.put_page_blob_from_bytes(name, "bytes", content)
        self.blobs.put_page_blob_from_file(name, "file", io.BytesIO(content), 2 * PAGE)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "file")
            with open(path, "wb") as file:
                file.write(content)
            self.blobs.put_page_blob_from_path(name, "path", path)
        for blob in ("bytes", "file", "path"):
            assert self.blobs.get_blob(name, blob) == content, blob
        self.blobs.put_page(name, "bytes", b"x" * PAGE, "bytes=0-511", "update")
        self.blobs.put_page(name, "bytes", b"", "bytes=512-1023", "clear")
        ranges = [(it.start, it.end) for it in self.blobs.get_page_ranges(name, "bytes")]
        assert ranges == [(0, 511)], ranges
