"""What azure-storage-blob 12 can do with blobs."""

import datetime
import os

from azure.core import MatchConditions
from azure.storage import blob as sdk
from blob_steps import LEASE, PAGE, Names, block_id, in_two_hours, read_url
from every_blob_operation import Recorder, refused


class Family(Names):
    """The clients of one package, and the steps."""

    LEFT_OUT = {
        "BlobServiceClient.get_user_delegation_key": "asks with tokens, which this program has none of",
        "BlobClient.get_page_range_diff_for_managed_disk": "for managed disks, which are no blobs of an account",
        "StorageAccountHostsMixin.close": "sends nothing",
        "BlobServiceClient.close": "sends nothing",
        "ContainerClient.close": "sends nothing",
        "BlobClient.close": "sends nothing",
    }

    def __init__(self, settings):
        super().__init__(settings["suffix"])
        storage = settings["storage"]
        self.account, self.key, self.url = storage["account"], storage["key"], storage["url"]
        lease = getattr(sdk, "BlobLeaseClient", None) or sdk.LeaseClient
        kinds = (sdk.BlobServiceClient, sdk.ContainerClient, sdk.BlobClient, lease)
        self.recorder = Recorder(kinds)
        # The first of these packages finds no account in the path of a URL.
        self.connection = (
            "DefaultEndpointsProtocol=http;AccountName={0};AccountKey={1};"
            "BlobEndpoint={2};BlobSecondaryEndpoint={3}-secondary;"
        ).format(self.account, self.key, self.url, self.url.partition("://")[2])
        self.service = self.recorder.wrap(
            sdk.BlobServiceClient.from_connection_string(
                self.connection, retry_total=0, max_single_put_size=4 * 1024 * 1024
            )
        )
        if not hasattr(sdk.ContainerClient, "exists"):
            why = "the first of these packages sends batches by https, whatever its URL is"
            for name in ("delete_blobs", "set_standard_blob_tier_blobs", "set_premium_page_blob_tier_blobs"):
                self.LEFT_OUT["ContainerClient." + name] = why

    def container(self):
        client = self.service.get_container_client(self.name())
        client.create_container()
        return client

    def blob(self, content=b"content", **named):
        """A container with one blob, `b`; its client."""
        client = self.container().get_blob_client("b")
        client.upload_blob(content, **named)
        return client

    def beside(self, blob, name):
        """Another blob of the same container."""
        return self.service.get_blob_client(blob.container_name, name)

    def readable(self, blob):
        token = sdk.generate_blob_sas(
            self.account,
            blob.container_name,
            blob.blob_name,
            account_key=self.key,
            permission=sdk.BlobSasPermissions(read=True),
            expiry=in_two_hours(),
        )
        return "{}?{}".format(blob.url, token)

    # The account.

    def step_clients(self):
        blob = self.blob()
        service, container, single, _ = self.recorder.classes
        made = service.from_connection_string(self.connection)
        self.recorder.note(made, "from_connection_string")
        assert made.get_blob_client(blob.container_name, "b").download_blob().readall() == b"content"
        made = container.from_connection_string(self.connection, blob.container_name)
        self.recorder.note(made, "from_connection_string")
        assert [it.name for it in made.list_blobs()] == ["b"]
        token = sdk.generate_container_sas(
            self.account,
            blob.container_name,
            account_key=self.key,
            permission=sdk.ContainerSasPermissions(list=True),
            expiry=in_two_hours(),
        )
        made = container.from_container_url("{}?{}".format(made.url, token))
        self.recorder.note(made, "from_container_url")
        assert [it.name for it in made.list_blobs()] == ["b"]
        made = single.from_connection_string(self.connection, blob.container_name, "b")
        self.recorder.note(made, "from_connection_string")
        assert made.download_blob().readall() == b"content"
        made = single.from_blob_url(self.readable(blob))
        self.recorder.note(made, "from_blob_url")
        # This version loses the slash before an account that stands in the path.
        if sdk.__version__ != "12.4.0":
            assert made.download_blob().readall() == b"content"

    def step_account_information(self):
        blob = self.blob()
        container = self.service.get_container_client(blob.container_name)
        for client in (self.service, container, blob):
            assert client.get_account_information()["account_kind"] == "StorageV2"

    def step_service_properties(self):
        rule = sdk.CorsRule(["https://example.org"], ["GET"], max_age_in_seconds=5)
        before = self.service.get_service_properties()
        self.service.set_service_properties(cors=[rule], target_version="2015-02-21")
        kept = self.service.get_service_properties()
        origins = [it.allowed_origins for it in kept["cors"]]
        assert origins in [["https://example.org"], [["https://example.org"]]], origins
        assert kept["target_version"] == "2015-02-21"
        assert kept["hour_metrics"].enabled == before["hour_metrics"].enabled
        self.service.set_service_properties(cors=[])
        assert not self.service.get_service_properties()["cors"]

    def step_service_stats(self):
        # The package puts the path of the endpoint behind its other host too, so in path style
        # the account's other name has to be in that path.
        secondary = self.recorder.wrap(
            sdk.BlobServiceClient.from_connection_string(
                self.connection.replace(self.url + ";", self.url + "-secondary;").replace(
                    "BlobSecondaryEndpoint=" + self.url.partition("://")[2] + "-secondary",
                    "BlobSecondaryEndpoint=" + self.url.partition("://")[2].partition("/")[0],
                ),
                retry_total=0,
            )
        )
        assert secondary.get_service_stats()["geo_replication"]["status"] == "live"

    # Containers.

    def step_containers(self):
        name = self.name()
        client = self.service.create_container(name, metadata={"first": "1"})
        refused("ContainerAlreadyExists", client.create_container)
        client.set_container_metadata({"second": "2"})
        found = client.get_container_properties()
        assert found.metadata == {"second": "2"}, found.metadata
        assert found.lease.state == "available"
        listed = list(self.service.list_containers(name_starts_with=name, include_metadata=True))
        assert [(it.name, it.metadata) for it in listed] == [(name, {"second": "2"})]
        if hasattr(sdk.ContainerClient, "exists"):
            assert client.exists() and not self.service.get_container_client(self.name()).exists()
        client.delete_container()
        refused("ContainerNotFound", client.get_container_properties)
        refused("ContainerNotFound", self.service.delete_container, name)

    def step_container_policies(self):
        container = self.container()
        container.upload_blob("b", b"by policy")
        policy = sdk.AccessPolicy(
            permission=sdk.ContainerSasPermissions(read=True),
            expiry=in_two_hours(),
            start=datetime.datetime.utcnow() - datetime.timedelta(hours=1),
        )
        container.set_container_access_policy({"readers": policy})
        kept = container.get_container_access_policy()["signed_identifiers"]
        assert [(it.id, it.access_policy.permission) for it in kept] == [("readers", "r")]
        token = sdk.generate_container_sas(
            self.account, container.container_name, account_key=self.key, policy_id="readers"
        )
        assert read_url("{}/b?{}".format(container.url, token)) == b"by policy"

    def step_container_leases(self):
        container = self.container()
        lease = container.acquire_lease(15)
        refused("LeaseIdMissing", container.delete_container)
        lease.renew()
        lease.change(LEASE)
        assert lease.id == LEASE
        lease.release()
        lease.acquire(60)
        assert lease.break_lease(0) == 0
        assert container.get_container_properties().lease.state == "broken"

    def step_container_undelete(self):
        if not hasattr(sdk.BlobServiceClient, "undelete_container"):
            return False
        refused("ContainerNotFound", self.service.undelete_container, self.name(), "01D00000000000000")

    # Block blobs.

    def step_block_blobs(self):
        blob = self.blob(b"0123456789")
        assert blob.download_blob(offset=2, length=3).readall() == b"234"
        refused("BlobAlreadyExists", blob.upload_blob, b"again")
        blob.upload_blob(b"again", overwrite=True)
        assert blob.download_blob().readall() == b"again"
        if hasattr(sdk.BlobClient, "exists"):
            assert blob.exists() and not self.beside(blob, "none").exists()
        container = self.service.get_container_client(blob.container_name)
        if hasattr(sdk.ContainerClient, "download_blob"):
            assert container.download_blob("b").readall() == b"again"
        container.upload_blob("empty", b"")
        assert self.beside(blob, "empty").download_blob().readall() == b""
        container.delete_blob("empty")
        blob.delete_blob()
        refused("BlobNotFound", blob.get_blob_properties)

    def step_large_block_blob(self):
        content = os.urandom(9 * 1024 * 1024 + 1)
        blob = self.blob(content, max_concurrency=2)
        assert blob.download_blob(max_concurrency=2).readall() == content
        assert len(blob.get_block_list()[0]) == 3

    def step_validated_content(self):
        blob = self.blob(b"checked", validate_content=True)
        assert blob.download_blob(validate_content=True).readall() == b"checked"
        blob.stage_block(block_id(1), b"checked again", validate_content=True)
        blob.commit_block_list([sdk.BlobBlock(block_id(1))], validate_content=True)
        assert blob.download_blob(validate_content=True).readall() == b"checked again"

    def step_blocks(self):
        container = self.container()
        blob = container.get_blob_client("b")
        blob.stage_block(block_id(1), b"one ")
        blob.stage_block(block_id(2), b"two")
        committed, uncommitted = blob.get_block_list("all")
        assert (len(committed), [it.size for it in uncommitted]) == (0, [4, 3])
        assert [it.name for it in container.list_blobs(include=["uncommittedblobs"])] == ["b"]
        assert list(container.list_blobs()) == []
        blob.commit_block_list([sdk.BlobBlock(block_id(1)), sdk.BlobBlock(block_id(2))])
        assert blob.download_blob().readall() == b"one two"

    def step_blocks_from_url(self):
        source = self.blob(b"0123456789")
        blob = self.beside(source, "target")
        blob.stage_block_from_url(block_id(1), self.readable(source), source_offset=2, source_length=3)
        blob.commit_block_list([sdk.BlobBlock(block_id(1))])
        assert blob.download_blob().readall() == b"234"

    def step_blob_from_url(self):
        if not hasattr(sdk.BlobClient, "upload_blob_from_url"):
            return False
        source = self.blob(b"whole", metadata={"of": "source"})
        blob = self.beside(source, "target")
        blob.upload_blob_from_url(self.readable(source))
        assert blob.download_blob().readall() == b"whole"

    def step_properties(self):
        settings = sdk.ContentSettings(content_type="text/x-one", content_language="en")
        blob = self.blob(content_settings=settings, metadata={"a": "1"})
        blob.set_blob_metadata({"b": "2"})
        blob.set_http_headers(sdk.ContentSettings(content_type="text/x-two"))
        found = blob.get_blob_properties()
        assert found.metadata == {"b": "2"}
        assert found.content_settings.content_type == "text/x-two"
        assert found.content_settings.content_language is None
        assert found.blob_type == "BlockBlob"

    def step_lists(self):
        container = self.container()
        for name in ("a/1", "a/2", "b", "c/d/3"):
            container.upload_blob(name, b"x", metadata={"of": name.replace("/", "")})
        assert [it.name for it in container.list_blobs()] == ["a/1", "a/2", "b", "c/d/3"]
        assert sorted(it.name for it in container.walk_blobs()) == ["a/", "b", "c/"]
        pages = container.list_blobs(results_per_page=2).by_page()
        assert [[it.name for it in page] for page in pages] == [["a/1", "a/2"], ["b", "c/d/3"]]
        listed = container.list_blobs(name_starts_with="a/", include=["metadata"])
        assert [it.metadata for it in listed] == [{"of": "a1"}, {"of": "a2"}]
        if hasattr(sdk.ContainerClient, "list_blob_names"):
            assert list(container.list_blob_names(name_starts_with="c")) == ["c/d/3"]

    def step_snapshots(self):
        blob = self.blob(b"before")
        container = self.service.get_container_client(blob.container_name)
        past = blob.create_snapshot(metadata={"of": "past"})["snapshot"]
        blob.upload_blob(b"after", overwrite=True)
        old = self.service.get_blob_client(blob.container_name, "b", snapshot=past)
        assert old.download_blob().readall() == b"before"
        listed = [(it.name, it.snapshot) for it in container.list_blobs(include=["snapshots"])]
        assert listed == [("b", past), ("b", None)], listed
        refused("SnapshotsPresent", blob.delete_blob)
        blob.delete_blob(delete_snapshots="only")
        assert len(list(container.list_blobs(include=["snapshots"]))) == 1
        blob.create_snapshot()
        blob.delete_blob(delete_snapshots="include")
        assert list(container.list_blobs(include=["snapshots"])) == []

    def step_copies(self):
        source = self.blob(b"copied", metadata={"a": "1"})
        target = self.beside(source, "target")
        copy = target.start_copy_from_url(source.url)
        assert copy["copy_status"] == "success", copy
        assert target.download_blob().readall() == b"copied"
        assert target.get_blob_properties().metadata == {"a": "1"}
        refused("NoPendingCopyOperation", target.abort_copy, copy["copy_id"])
        target = self.beside(source, "sync")
        copy = target.start_copy_from_url(self.readable(source), requires_sync=True)
        assert copy["copy_status"] == "success", copy
        assert target.download_blob().readall() == b"copied"

    def step_blob_leases(self):
        blob = self.blob(b"leased")
        lease = blob.acquire_lease(15)
        refused("LeaseIdMissing", blob.upload_blob, b"without", overwrite=True)
        blob.upload_blob(b"with", overwrite=True, lease=lease)
        lease.renew()
        lease.change(LEASE)
        lease.release()
        lease.acquire(-1)
        assert lease.break_lease() == 0
        assert blob.get_blob_properties().lease.state == "broken"

    def step_tiers(self):
        blob = self.blob(b"cool")
        blob.set_standard_blob_tier("Cool")
        assert blob.get_blob_properties().blob_tier == "Cool"
        blob.set_standard_blob_tier("Archive")
        refused("BlobArchived", blob.download_blob)

    def step_batch(self):
        if "ContainerClient.delete_blobs" in self.LEFT_OUT:
            return False
        container = self.container()
        for name in ("1", "2"):
            container.upload_blob(name, b"x")
        answers = container.set_standard_blob_tier_blobs("Cool", "1", "2")
        assert [it.status_code for it in answers] == [200, 200]
        answers = container.delete_blobs("1", "none", raise_on_any_failure=False)
        assert [it.status_code for it in answers] == [202, 404]
        assert [it.name for it in container.list_blobs()] == ["2"]

    def step_batch_page_tiers(self):
        if "ContainerClient.delete_blobs" in self.LEFT_OUT:
            return False
        container = self.container()
        container.get_blob_client("p").create_page_blob(PAGE)
        answers = container.set_premium_page_blob_tier_blobs("P10", "p", raise_on_any_failure=False)
        # A general account has no premium tiers: it refuses them or records them.
        assert [it.status_code for it in answers][0] in (200, 202, 400, 409)

    def step_tags(self):
        if not hasattr(sdk.BlobClient, "set_blob_tags"):
            return False
        word = "w" + self.suffix
        blob = self.blob(b"tagged", tags={"word": word, "n": "1"})
        assert blob.get_blob_tags() == {"word": word, "n": "1"}
        blob.set_blob_tags({"word": word, "n": "2"})
        assert blob.get_blob_properties().tag_count == 2
        found = self.service.find_blobs_by_tags("\"word\" = '{}' AND \"n\" > '1'".format(word))
        assert [(it.container_name, it.name) for it in found] == [(blob.container_name, "b")]
        if hasattr(sdk.ContainerClient, "find_blobs_by_tags"):
            container = self.service.get_container_client(blob.container_name)
            assert [it.name for it in container.find_blobs_by_tags("\"word\" = '{}'".format(word))] == ["b"]
        refused("ConditionNotMet", blob.download_blob, if_tags_match_condition="\"n\" = '7'")

    def step_undelete(self):
        blob = self.blob(b"deleted")
        days = sdk.RetentionPolicy(enabled=True, days=1)
        self.service.set_service_properties(delete_retention_policy=days)
        try:
            blob.delete_blob()
            refused("BlobNotFound", blob.get_blob_properties)
            blob.undelete_blob()
            assert blob.download_blob().readall() == b"deleted"
        finally:
            off = sdk.RetentionPolicy(enabled=False)
            self.service.set_service_properties(delete_retention_policy=off)

    def step_immutability(self):
        if not hasattr(sdk.BlobClient, "set_immutability_policy"):
            return False
        blob = self.blob(b"kept")
        policy = sdk.ImmutabilityPolicy(expiry_time=in_two_hours(), policy_mode="Unlocked")
        blob.set_immutability_policy(policy)
        assert blob.get_blob_properties().immutability_policy.policy_mode.lower() == "unlocked"
        refused("BlobImmutableDueToPolicy", blob.upload_blob, b"other", overwrite=True)
        refused("BlobImmutableDueToPolicy", blob.delete_blob)
        blob.delete_immutability_policy()
        blob.set_legal_hold(True)
        container = self.service.get_container_client(blob.container_name)
        assert [it.has_legal_hold for it in container.list_blobs(include=["legalhold"])] == [True]
        refused("BlobImmutableDueToLegalHold", blob.set_blob_metadata, {"a": "1"})
        blob.set_legal_hold(False)
        blob.delete_blob()
        blob.upload_blob(b"kept", legal_hold=True)
        refused("BlobImmutableDueToLegalHold", blob.delete_blob)
        blob.set_legal_hold(False)

    def step_query(self):
        if not hasattr(sdk.BlobClient, "query_blob"):
            return False
        blob = self.blob(b"1,a\r\n2,b\r\nthree\r\n")
        reader = blob.query_blob("SELECT * FROM BlobStorage")
        assert reader.readall() == b"1,a\n2,b\nthree\n"
        assert len(reader) == 17
        failed = []
        reader = blob.query_blob("SELECT _2 FROM BlobStorage WHERE _2 <> 'a'", on_error=failed.append)
        assert list(reader.records()) == [b"b", b""]
        assert [(it.error, it.is_fatal, it.position) for it in failed] == [("InvalidColumnOrdinal", False, 10)]
        snapshot = blob.create_snapshot()
        blob.upload_blob(b"Id,Name\n7,\"x,y\"\n", overwrite=True)
        old = self.service.get_blob_client(blob.container_name, "b", snapshot=snapshot)
        assert old.query_blob("SELECT COUNT(*) FROM BlobStorage", encoding="utf-8").readall() == "3\n"
        headed = sdk.DelimitedTextDialect(has_header=True)
        semicolons = sdk.DelimitedTextDialect(delimiter=";", quotechar="'", lineterminator=".")
        query = "SELECT name, id + 0.5 FROM BlobStorage"
        reader = blob.query_blob(query, blob_format=headed, output_format=semicolons)
        assert reader.readall() == b"x,y;'7.5'."
        refused("ErrorProcessingQueryExpression", blob.query_blob, "SELECT name FROM BlobStorage")
        refused("ConditionNotMet", blob.query_blob, query, etag="odd", match_condition=MatchConditions.IfNotModified)
        self.query_json()

    def query_json(self):
        json = sdk.DelimitedJsonDialect
        blob = self.blob(b'{"name": "owner", "tags": ["x", 1]}{"name2": "owner2"}')
        reader = blob.query_blob(
            "SELECT name, tags[1] AS tag FROM BlobStorage", blob_format=json(), output_format=json(delimiter=";")
        )
        assert reader.readall() == b'{"name":"owner","tag":1};{};'
        failed = []
        blob.upload_blob(b"{name: owner}\n{}\n", overwrite=True)
        reader = blob.query_blob("SELECT * FROM BlobStorage", blob_format=json(), on_error=failed.append)
        assert reader.readall() == b"" and len(reader) == 17
        assert [(it.error, it.is_fatal, it.position) for it in failed] == [("ParseError", True, 0)]

    # Page blobs.

    def step_page_blobs(self):
        content = os.urandom(2 * PAGE)
        blob = self.blob(content, blob_type="PageBlob")
        assert blob.download_blob().readall() == content
        made = self.beside(blob, "made")
        made.create_page_blob(8 * PAGE)
        made.upload_page(b"x" * 2 * PAGE, offset=2 * PAGE, length=2 * PAGE)
        made.clear_page(offset=3 * PAGE, length=PAGE)
        ranges, _ = made.get_page_ranges()
        assert ranges == [{"start": 2 * PAGE, "end": 3 * PAGE - 1}], ranges
        if hasattr(sdk.BlobClient, "list_page_ranges"):
            ranges = [(it.start, it.end) for it in made.list_page_ranges()]
            assert ranges == [(2 * PAGE, 3 * PAGE - 1)], ranges
            made.upload_page(b"x" * PAGE, offset=5 * PAGE, length=PAGE)
            pages = made.list_page_ranges(results_per_page=1).by_page()
            ranges = [[it.start // PAGE for it in page] for page in pages]
            assert ranges == [[2], [5]], ranges
        made.resize_blob(4 * PAGE)
        made.set_sequence_number("update", "7")
        assert int(made.set_sequence_number("increment")["blob_sequence_number"]) == 8
        found = made.get_blob_properties()
        assert (found.size, found.page_blob_sequence_number) == (4 * PAGE, 8)

    def step_page_differences(self):
        page = self.container().get_blob_client("p")
        page.create_page_blob(8 * PAGE)
        page.upload_page(b"x" * PAGE, offset=0, length=PAGE)
        past = page.create_snapshot()
        page.upload_page(b"y" * PAGE, offset=PAGE, length=PAGE)
        page.clear_page(offset=0, length=PAGE)
        changed, cleared = page.get_page_ranges(previous_snapshot_diff=past)
        assert changed == [{"start": PAGE, "end": 2 * PAGE - 1}], changed
        assert cleared == [{"start": 0, "end": PAGE - 1}], cleared

    def step_page_tiers(self):
        page = self.container().get_blob_client("p")
        page.create_page_blob(PAGE)
        # A general account has no premium tiers: it refuses them or records them.
        try:
            page.set_premium_page_blob_tier("P10")
        except Exception as refusal:
            assert getattr(refusal, "status_code", 0) in (400, 409), refusal

    def step_pages_from_url(self):
        source = self.blob(b"s" * PAGE)
        page = self.beside(source, "p")
        page.create_page_blob(2 * PAGE)
        page.upload_pages_from_url(self.readable(source), PAGE, PAGE, 0)
        assert page.download_blob().readall() == bytes(PAGE) + b"s" * PAGE

    # Append blobs.

    def step_append_blobs(self):
        container = self.container()
        blob = container.get_blob_client("a")
        blob.create_append_blob()
        first = blob.append_block(b"one")
        assert (int(first["blob_append_offset"]), first["blob_committed_block_count"]) == (0, 1)
        blob.upload_blob(b" two", blob_type="AppendBlob")
        assert blob.download_blob().readall() == b"one two"
        refused("AppendPositionConditionNotMet", blob.append_block, b"x", appendpos_condition=3)
        if hasattr(sdk.BlobClient, "seal_append_blob"):
            blob.seal_append_blob()
            refused("BlobIsSealed", blob.append_block, b"x")

    def step_append_from_url(self):
        source = self.blob(b"0123456789")
        blob = self.beside(source, "a")
        blob.create_append_blob()
        blob.append_block_from_url(self.readable(source), source_offset=1, source_length=3)
        assert blob.download_blob().readall() == b"123"
