"""What azure-storage 0.30 to azure-storage-blob 2.1 can do with blobs."""

import io
import os
import tempfile

from azure.storage import blob as sdk
from blob_steps import LEASE, PAGE, Names, block_id, in_two_hours, read_url
from every_blob_operation import Recorder, refused

try:
    from azure.storage.common import models
except ImportError:
    from azure.storage import models


class Family(Names):
    """The three services of one package, and the steps."""

    LEFT_OUT = {
        "StorageClient.set_proxy": "sends nothing",
        "StorageClient.with_filter": "sends nothing",
        "StorageClient.extract_date_and_request_id": "sends nothing",
        "BaseBlobService.get_user_delegation_key": "asks with tokens, which this package has none of",
    }

    def __init__(self, settings):
        super().__init__(settings["suffix"])
        services = (sdk.BlockBlobService, sdk.PageBlobService, sdk.AppendBlobService)
        self.recorder = Recorder(services)
        scheme, _, domain = settings["storage"]["url"].partition("://")
        account = {
            "account_name": settings["storage"]["account"],
            "account_key": settings["storage"]["key"],
            "protocol": scheme,
            "custom_domain": domain,
        }
        made = [self.recorder.wrap(service(**account)) for service in services]
        self.block, self.page, self.append = made
        for service in made:
            service.retry = lambda context: None
        self.secondary = domain + "-secondary"

    def container(self):
        name = self.name()
        assert self.block.create_container(name, fail_on_exist=True)
        return name

    def text_of(self, container, name):
        return self.block.get_blob_to_text(container, name).content

    def is_new(self, operation):
        """Whether the package has an operation that came later."""
        return hasattr(sdk.BlockBlobService, operation)

    def readable(self, container, name):
        """A URL of a blob that reads it."""
        token = self.block.generate_blob_shared_access_signature(
            container, name, permission=sdk.BlobPermissions.READ, expiry=in_two_hours()
        )
        return self.block.make_blob_url(container, name, sas_token=token)

    # Containers and the account.

    def step_containers(self):
        name = self.name()
        assert self.block.create_container(name, metadata={"first": "1"})
        assert not self.block.create_container(name)
        refused("ContainerAlreadyExists", self.block.create_container, name, fail_on_exist=True)
        assert self.block.exists(name) and not self.block.exists(self.name())
        assert self.block.get_container_metadata(name) == {"first": "1"}
        self.block.set_container_metadata(name, {"second": "2"})
        found = self.block.get_container_properties(name)
        assert found.metadata == {"second": "2"}, found.metadata
        assert found.properties.lease.state == "available", found.properties.lease.state
        listed = [it for it in self.block.list_containers(prefix=name, include_metadata=True)]
        assert [(it.name, it.metadata) for it in listed] == [(name, {"second": "2"})]
        assert self.block.delete_container(name)
        assert not self.block.delete_container(name)
        refused("ContainerNotFound", self.block.delete_container, name, fail_not_exist=True)

    def step_container_acl(self):
        name = self.container()
        policy = models.AccessPolicy(permission="r", expiry=in_two_hours())
        self.block.set_container_acl(name, {"readers": policy})
        kept = self.block.get_container_acl(name)
        assert kept["readers"].permission == "r", kept
        self.block.create_blob_from_text(name, "b", "by policy")
        token = self.block.generate_container_shared_access_signature(name, id="readers")
        assert read_url(self.block.make_blob_url(name, "b", sas_token=token)) == b"by policy"

    def step_container_public_access(self):
        name = self.container()
        self.block.create_blob_from_text(name, "b", "for all")
        self.block.set_container_acl(name, public_access=sdk.PublicAccess.Container)
        assert self.block.get_container_acl(name).public_access == sdk.PublicAccess.Container
        assert read_url(self.block.make_blob_url(name, "b")) == b"for all"
        if self.is_new("make_container_url"):
            url = self.block.make_container_url(name)
            join = "&" if "?" in url else "?"
            if "restype" not in url:
                url += join + "restype=container"
                join = "&"
            assert b"<Name>b</Name>" in read_url(url + join + "comp=list")

    def step_container_leases(self):
        name, service = self.container(), self.block
        lease = service.acquire_container_lease(name, 15)
        refused("LeaseIdMissing", service.delete_container, name, fail_not_exist=True)
        service.renew_container_lease(name, lease)
        service.change_container_lease(name, lease, LEASE)
        service.release_container_lease(name, LEASE)
        service.acquire_container_lease(name, 60, LEASE)
        assert service.break_container_lease(name, 0) == 0
        assert service.get_container_properties(name).properties.lease.state == "broken"

    def step_service_properties(self):
        rule = models.CorsRule(["https://example.org"], ["GET"], max_age_in_seconds=5)
        before = self.block.get_blob_service_properties()
        self.block.set_blob_service_properties(cors=[rule], target_version="2015-02-21")
        kept = self.block.get_blob_service_properties()
        assert [it.allowed_origins for it in kept.cors] in ["https://example.org", [["https://example.org"]], ["https://example.org"]], kept.cors[0].allowed_origins
        assert kept.default_service_version == "2015-02-21" if hasattr(kept, "default_service_version") else True
        assert kept.hour_metrics.enabled == before.hour_metrics.enabled
        self.block.set_blob_service_properties(cors=[])
        assert not self.block.get_blob_service_properties().cors

    def step_service_stats(self):
        if not self.is_new("get_blob_service_stats"):
            return False
        for service in (self.block, self.page, self.append):
            service.secondary_endpoint = self.secondary
        assert self.block.get_blob_service_stats().geo_replication.status == "live"

    def step_account_information(self):
        if not self.is_new("get_blob_account_information"):
            return False
        assert self.block.get_blob_account_information().account_kind == "StorageV2"

    def step_signatures(self):
        name = self.container()
        self.block.create_blob_from_text(name, "b", "signed")
        assert read_url(self.readable(name, "b")) == b"signed"
        token = self.block.generate_account_shared_access_signature(
            models.ResourceTypes.OBJECT, models.AccountPermissions.READ, in_two_hours()
        )
        assert read_url(self.block.make_blob_url(name, "b", sas_token=token)) == b"signed"

    # Block blobs.

    def step_block_blobs(self):
        name = self.container()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "file")
            with open(path, "wb") as file:
                file.write(b"from a path")
            self.block.create_blob_from_path(name, "path", path)
            self.block.create_blob_from_bytes(name, "bytes", b"from bytes")
            self.block.create_blob_from_stream(name, "stream", io.BytesIO(b"from a stream"))
            self.block.create_blob_from_text(name, "text", "from text")
            self.block.get_blob_to_path(name, "path", path + "2")
            with open(path + "2", "rb") as file:
                assert file.read() == b"from a path"
        assert self.block.get_blob_to_bytes(name, "bytes").content == b"from bytes"
        stream = io.BytesIO()
        self.block.get_blob_to_stream(name, "stream", stream)
        assert stream.getvalue() == b"from a stream"
        assert self.text_of(name, "text") == "from text"
        assert self.block.get_blob_to_bytes(name, "text", start_range=5, end_range=7).content == b"tex"
        assert self.block.exists(name, "text") and not self.block.exists(name, "none")
        self.block.create_blob_from_bytes(name, "empty", b"")
        assert self.block.get_blob_to_bytes(name, "empty").content == b""

    def step_large_block_blob(self):
        name, content = self.container(), os.urandom(9 * 1024 * 1024 + 1)
        self.block.MAX_SINGLE_PUT_SIZE = 4 * 1024 * 1024
        self.block.create_blob_from_bytes(name, "large", content, max_connections=2)
        assert self.block.get_blob_to_bytes(name, "large", max_connections=2).content == content
        assert len(self.block.get_block_list(name, "large").committed_blocks) == 3

    def step_blocks(self):
        name = self.container()
        self.block.put_block(name, "b", b"one ", block_id(1))
        self.block.put_block(name, "b", b"two", block_id(2))
        both = self.block.get_block_list(name, "b", block_list_type=sdk.BlockListType.All)
        assert (len(both.committed_blocks), len(both.uncommitted_blocks)) == (0, 2)
        uncommitted = sdk.Include(uncommitted_blobs=True)
        assert [it.name for it in self.block.list_blobs(name, include=uncommitted)] == ["b"]
        assert list(self.block.list_blobs(name)) == []
        self.block.put_block_list(name, "b", [sdk.BlobBlock(id=block_id(1)), sdk.BlobBlock(id=block_id(2))])
        assert self.text_of(name, "b") == "one two"

    def step_blocks_from_url(self):
        if not self.is_new("put_block_from_url"):
            return False
        name = self.container()
        self.block.create_blob_from_text(name, "source", "0123456789")
        self.block.put_block_from_url(
            name, "b", self.readable(name, "source"), block_id(1), source_range_start=2, source_range_end=4
        )
        self.block.put_block_list(name, "b", [sdk.BlobBlock(id=block_id(1))])
        assert self.text_of(name, "b") == "234"

    def step_properties(self):
        name = self.container()
        settings = sdk.ContentSettings(content_type="text/x-one", content_language="en")
        self.block.create_blob_from_text(name, "b", "text", content_settings=settings, metadata={"a": "1"})
        assert self.block.get_blob_metadata(name, "b") == {"a": "1"}
        self.block.set_blob_metadata(name, "b", {"b": "2"})
        self.block.set_blob_properties(name, "b", sdk.ContentSettings(content_type="text/x-two"))
        found = self.block.get_blob_properties(name, "b")
        assert found.metadata == {"b": "2"}, found.metadata
        assert found.properties.content_settings.content_type == "text/x-two"
        assert found.properties.content_settings.content_language is None
        assert found.properties.blob_type == "BlockBlob"

    def step_lists(self):
        name = self.container()
        for blob in ("a/1", "a/2", "b", "c/d/3"):
            self.block.create_blob_from_text(name, blob, "x", metadata={"of": blob.replace("/", "")})
        assert [it.name for it in self.block.list_blobs(name)] == ["a/1", "a/2", "b", "c/d/3"]
        parts = [it.name for it in self.block.list_blobs(name, delimiter="/")]
        assert sorted(parts) == ["a/", "b", "c/"], parts
        listed = list(self.block.list_blobs(name, prefix="a/", include=sdk.Include(metadata=True)))
        assert [it.metadata for it in listed] == [{"of": "a1"}, {"of": "a2"}]
        if self.is_new("list_blob_names"):
            assert list(self.block.list_blob_names(name, prefix="c")) == ["c/d/3"]

    def step_snapshots(self):
        name = self.container()
        self.block.create_blob_from_text(name, "b", "before")
        past = self.block.snapshot_blob(name, "b", metadata={"of": "past"}).snapshot
        self.block.create_blob_from_text(name, "b", "after")
        assert self.block.get_blob_to_text(name, "b", snapshot=past).content == "before"
        listed = list(self.block.list_blobs(name, include=sdk.Include(snapshots=True)))
        assert [(it.name, it.snapshot) for it in listed] == [("b", past), ("b", None)]
        refused("SnapshotsPresent", self.block.delete_blob, name, "b")
        self.block.delete_blob(name, "b", delete_snapshots=sdk.DeleteSnapshot.Only)
        assert len(list(self.block.list_blobs(name, include=sdk.Include(snapshots=True)))) == 1
        self.block.delete_blob(name, "b")
        assert not self.block.exists(name, "b")

    def step_copies(self):
        name = self.container()
        self.block.create_blob_from_text(name, "source", "copied", metadata={"a": "1"})
        copy = self.block.copy_blob(name, "target", self.block.make_blob_url(name, "source"))
        assert copy.status == "success", copy.status
        assert self.text_of(name, "target") == "copied"
        assert self.block.get_blob_metadata(name, "target") == {"a": "1"}
        refused("NoPendingCopyOperation", self.block.abort_copy_blob, name, "target", copy.id)

    def step_blob_leases(self):
        name, service = self.container(), self.block
        service.create_blob_from_text(name, "b", "leased")
        lease = service.acquire_blob_lease(name, "b", 15)
        refused("LeaseIdMissing", service.create_blob_from_text, name, "b", "without")
        service.create_blob_from_text(name, "b", "with", lease_id=lease)
        service.renew_blob_lease(name, "b", lease)
        service.change_blob_lease(name, "b", lease, LEASE)
        service.release_blob_lease(name, "b", LEASE)
        service.acquire_blob_lease(name, "b", -1, LEASE)
        assert service.break_blob_lease(name, "b") == 0
        assert service.get_blob_properties(name, "b").properties.lease.state == "broken"

    def step_tiers(self):
        if not self.is_new("set_standard_blob_tier"):
            return False
        name = self.container()
        self.block.create_blob_from_text(name, "b", "cool")
        self.block.set_standard_blob_tier(name, "b", "Cool")
        assert self.block.get_blob_properties(name, "b").properties.blob_tier == "Cool"
        self.block.set_standard_blob_tier(name, "b", "Archive")
        refused("BlobArchived", self.block.get_blob_to_text, name, "b")

    def step_batch(self):
        if not self.is_new("batch_delete_blobs"):
            return False
        from azure.storage.blob.models import BatchDeleteSubRequest, BatchSetBlobTierSubRequest

        name = self.container()
        for blob in ("1", "2"):
            self.block.create_blob_from_text(name, blob, "x")
        tiers = [BatchSetBlobTierSubRequest(name, it, "Cool") for it in ("1", "none")]
        answers = self.block.batch_set_standard_blob_tier(tiers)
        assert [it.http_response.status for it in answers] == [200, 404], answers
        answers = self.block.batch_delete_blobs([BatchDeleteSubRequest(name, it) for it in ("1", "2", "none")])
        assert [it.http_response.status for it in answers] == [202, 202, 404]
        assert list(self.block.list_blobs(name)) == []

    def step_undelete(self):
        if not self.is_new("undelete_blob"):
            return False
        name = self.container()
        self.block.create_blob_from_text(name, "b", "deleted")
        days = models.DeleteRetentionPolicy(enabled=True, days=1)
        self.block.set_blob_service_properties(delete_retention_policy=days)
        try:
            self.block.delete_blob(name, "b")
            assert not self.block.exists(name, "b")
            self.block.undelete_blob(name, "b")
            assert self.text_of(name, "b") == "deleted"
        finally:
            off = models.DeleteRetentionPolicy(enabled=False)
            self.block.set_blob_service_properties(delete_retention_policy=off)

    # Page blobs.

    def step_page_blobs(self):
        name, content = self.container(), os.urandom(2 * PAGE)
        self.page.create_blob(name, "made", 4 * PAGE)
        self.page.create_blob_from_bytes(name, "bytes", content)
        self.page.create_blob_from_stream(name, "stream", io.BytesIO(content), 2 * PAGE)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "file")
            with open(path, "wb") as file:
                file.write(content)
            self.page.create_blob_from_path(name, "path", path)
        for blob in ("bytes", "stream", "path"):
            assert self.page.get_blob_to_bytes(name, blob).content == content, blob
        assert self.page.get_blob_to_bytes(name, "made").content == bytes(4 * PAGE)
        assert self.page.get_blob_properties(name, "made").properties.blob_type == "PageBlob"

    def step_pages(self):
        name = self.container()
        self.page.create_blob(name, "p", 8 * PAGE)
        self.page.update_page(name, "p", b"x" * 2 * PAGE, 2 * PAGE, 4 * PAGE - 1)
        self.page.clear_page(name, "p", 3 * PAGE, 4 * PAGE - 1)
        ranges = [(it.start, it.end) for it in self.page.get_page_ranges(name, "p")]
        assert ranges == [(2 * PAGE, 3 * PAGE - 1)], ranges
        self.page.resize_blob(name, "p", 4 * PAGE)
        properties = self.page.get_blob_properties(name, "p").properties
        assert properties.content_length == 4 * PAGE
        self.page.set_sequence_number(name, "p", sdk.SequenceNumberAction.Update, "7")
        numbered = self.page.set_sequence_number(name, "p", sdk.SequenceNumberAction.Increment)
        assert int(numbered.sequence_number) == 8
        copy = self.page.copy_blob(name, "copy", self.page.make_blob_url(name, "p"))
        assert copy.status == "success"

    def step_page_differences(self):
        if not hasattr(sdk.PageBlobService, "get_page_ranges_diff"):
            return False
        name = self.container()
        self.page.create_blob(name, "p", 8 * PAGE)
        self.page.update_page(name, "p", b"x" * PAGE, 0, PAGE - 1)
        past = self.page.snapshot_blob(name, "p").snapshot
        self.page.update_page(name, "p", b"y" * PAGE, PAGE, 2 * PAGE - 1)
        self.page.clear_page(name, "p", 0, PAGE - 1)
        changed = self.page.get_page_ranges_diff(name, "p", past)
        changed = sorted((it.start, it.end, it.is_cleared) for it in changed)
        assert changed == [(0, PAGE - 1, True), (PAGE, 2 * PAGE - 1, False)], changed

    def step_page_incremental_copy(self):
        if not hasattr(sdk.PageBlobService, "incremental_copy_blob"):
            return False
        name = self.container()
        self.page.create_blob(name, "p", PAGE)
        past = self.page.snapshot_blob(name, "p").snapshot
        source = self.page.make_blob_url(name, "p")
        source += ("&" if "?" in source else "?") + "snapshot=" + past
        copy = self.page.incremental_copy_blob(name, "copy", source)
        assert copy.status in ("pending", "success"), copy.status

    def step_page_tiers(self):
        if not hasattr(sdk.PageBlobService, "set_premium_page_blob_tier"):
            return False
        name = self.container()
        self.page.create_blob(name, "p", PAGE)
        # Page tiers are for premium accounts; a general account refuses or keeps them.
        try:
            self.page.set_premium_page_blob_tier(name, "p", "P10")
        except Exception as refusal:
            assert "AccessTierNotSupported" in str(refusal) or "InvalidHeaderValue" in str(refusal) or "BlobTier" in str(refusal), refusal

    def step_pages_from_url(self):
        if not hasattr(sdk.PageBlobService, "update_page_from_url"):
            return False
        name = self.container()
        self.block.create_blob_from_bytes(name, "source", b"s" * PAGE)
        self.page.create_blob(name, "p", 2 * PAGE)
        self.page.update_page_from_url(name, "p", PAGE, 2 * PAGE - 1, self.readable(name, "source"), 0)
        assert self.page.get_blob_to_bytes(name, "p").content == bytes(PAGE) + b"s" * PAGE

    # Append blobs.

    def step_append_blobs(self):
        name = self.container()
        self.append.create_blob(name, "a")
        first = self.append.append_block(name, "a", b"one")
        assert (int(first.append_offset), int(first.committed_block_count)) == (0, 1)
        self.append.append_blob_from_bytes(name, "a", b" two")
        self.append.append_blob_from_text(name, "a", " three")
        self.append.append_blob_from_stream(name, "a", io.BytesIO(b" four"))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "file")
            with open(path, "wb") as file:
                file.write(b" five")
            self.append.append_blob_from_path(name, "a", path)
        assert self.append.get_blob_to_bytes(name, "a").content == b"one two three four five"
        assert self.append.get_blob_properties(name, "a").properties.append_blob_committed_block_count == 5
        refused("AppendPositionConditionNotMet", self.append.append_block, name, "a", b"x", appendpos_condition=3)
        copy = self.append.copy_blob(name, "copy", self.append.make_blob_url(name, "a"))
        assert copy.status == "success"

    def step_append_from_url(self):
        if not hasattr(sdk.AppendBlobService, "append_block_from_url"):
            return False
        name = self.container()
        self.block.create_blob_from_text(name, "source", "0123456789")
        self.append.create_blob(name, "a")
        self.append.append_block_from_url(
            name, "a", self.readable(name, "source"), source_range_start=1, source_range_end=3
        )
        assert self.append.get_blob_to_bytes(name, "a").content == b"123"
