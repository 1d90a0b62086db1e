"""The protocol's corners, by plain HTTP: what no SDK would send, and what all rely on."""

import datetime
import email.utils

import pytest
import raw


@pytest.fixture
def batch(kiln):
    return raw.batch_of(kiln)


@pytest.fixture
def blob(kiln):
    return raw.blob_of(kiln)


def wrong(key):
    """A well-formed key that is not this one."""
    return ("A" if key[0] != "A" else "B") + key[1:]


def test_missing_api_version_is_refused_by_name(batch):
    answer = batch.request("GET", "/pools", version=None)
    assert (answer.status, answer.code) == (400, "MissingRequiredQueryParameter"), answer


def test_older_and_newer_api_versions_are_served(batch):
    for version in ("2016-07-01.3.1", "2024-02-01.19.0", "2025-06-01", "2031-01-01", "2031-01-01.99.0"):
        answer = batch.request("GET", "/pools", version=version)
        assert answer.status == 200, (version, answer.status, answer.body)


def test_malformed_api_version_is_refused(batch):
    answer = batch.request("GET", "/pools", version="yesterday")
    assert (answer.status, answer.code) == (400, "UnsupportedRequestVersion"), answer


def test_wrong_keys_are_refused(batch, blob):
    batch.key, blob.key = wrong(batch.key), wrong(blob.key)
    answer = batch.request("GET", "/pools")
    assert (answer.status, answer.code) == (403, "AuthenticationFailed"), answer
    answer = blob.request("GET", "", query={"comp": "list"})
    assert (answer.status, answer.code) == (403, "AuthenticationFailed"), answer


def test_old_requests_are_refused(batch):
    hour_ago = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
    headers = {"ocp-date": email.utils.format_datetime(hour_ago, usegmt=True)}
    answer = batch.request("GET", "/pools", headers=headers)
    assert (answer.status, answer.code) == (403, "AuthenticationFailed"), answer


def test_unknown_names_are_refused_by_name(batch, blob):
    for path, code in (
        ("/pools/no-such", "PoolNotFound"),
        ("/jobs/no-such", "JobNotFound"),
        ("/jobs/no-such/tasks/none", "JobNotFound"),
    ):
        answer = batch.request("GET", path)
        assert (answer.status, answer.code) == (404, code), (path, answer)
    answer = blob.request("GET", "/no-such-container/blob")
    assert (answer.status, answer.code) == (404, "ContainerNotFound"), answer


def test_errors_carry_what_sdks_read(batch):
    answer = batch.request("GET", "/pools/no-such")
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json["message"]["lang"] == "en-US"
    assert "RequestId:" in answer.json["message"]["value"]
    assert answer.headers["request-id"] in answer.json["message"]["value"]


def test_client_request_id_comes_back_only_on_request(batch):
    sent = "9c3f6c1e-0000-4000-8000-000000000001"
    asked = {"client-request-id": sent, "return-client-request-id": "true"}
    assert batch.request("GET", "/pools", headers=asked).headers["client-request-id"] == sent
    unasked = {"client-request-id": sent}
    assert "client-request-id" not in batch.request("GET", "/pools", headers=unasked).headers


def pool_body(name, n_nodes=0):
    return {
        "id": name,
        "vmSize": "STANDARD_D2_V3",
        "targetDedicatedNodes": n_nodes,
        "virtualMachineConfiguration": {
            "imageReference": {
                "publisher": "canonical",
                "offer": "0001-com-ubuntu-server-focal",
                "sku": "20_04-lts",
                "version": "latest",
            },
            "nodeAgentSKUId": "batch.node.ubuntu 20.04",
        },
    }


@pytest.fixture
def job(batch, suffix):
    """An active job on a pool without nodes; tasks in it wait for ever."""
    name = "protocol-" + suffix
    assert batch.request("POST", "/pools", pool_body(name)).status == 201
    assert batch.request("POST", "/jobs", {"id": name, "poolInfo": {"poolId": name}}).status == 201
    yield name
    assert batch.request("DELETE", "/jobs/" + name).status == 202
    assert batch.request("DELETE", "/pools/" + name).status == 202


def test_lists_are_paged(batch, job):
    ids = ["task-{:03}".format(number) for number in range(23)]
    body = {"value": [{"id": name, "commandLine": "true"} for name in ids]}
    answer = batch.request("POST", "/jobs/{}/addtaskcollection".format(job), body)
    assert answer.status == 200
    assert [item["status"].lower() for item in answer.json["value"]] == ["success"] * 23
    first = batch.request("GET", "/jobs/{}/tasks".format(job), query={"maxresults": "10"})
    assert len(first.json["value"]) == 10
    assert first.json["odata.nextLink"].startswith(batch.url)
    listed = batch.listed("/jobs/{}/tasks".format(job), {"maxresults": "10"})
    assert sorted(task["id"] for task in listed) == ids


def test_repeated_ids_are_refused(batch, job):
    again = batch.request("POST", "/jobs", {"id": job, "poolInfo": {"poolId": job}})
    assert (again.status, again.code) == (409, "JobExists"), again
    again = batch.request("POST", "/pools", pool_body(job.upper()))
    assert (again.status, again.code) == (409, "PoolExists"), again
    tasks = "/jobs/{}/tasks".format(job)
    task = {"id": "twice", "commandLine": "true"}
    assert batch.request("POST", tasks, task).status == 201
    again = batch.request("POST", tasks, task)
    assert (again.status, again.code) == (409, "TaskExists"), again
    both = {"value": [task, {"id": "once", "commandLine": "true"}]}
    results = batch.request("POST", "/jobs/{}/addtaskcollection".format(job), both).json["value"]
    told = {item["taskId"]: item for item in results}
    assert told["once"]["status"].lower() == "success"
    assert told["twice"]["status"].lower() == "clienterror"
    assert told["twice"]["error"]["code"] == "TaskExists"


def test_conditions_are_checked(batch, job):
    etag = batch.request("GET", "/jobs/" + job).headers["etag"]
    path = "/jobs/{}".format(job)
    same = batch.request("GET", path, headers={"If-None-Match": etag})
    assert same.status == 304, same
    stale = batch.request("DELETE", path, headers={"If-Match": '"0x8D0000000000000"'})
    assert (stale.status, stale.code) == (412, "ConditionNotMet"), stale
    assert batch.request("GET", path, headers={"If-Match": etag}).status == 200


def test_bodies_are_checked_by_name(batch, job):
    tasks = "/jobs/{}/tasks".format(job)
    missing = batch.request("POST", tasks, {"id": "no-command"})
    assert missing.status == 400, missing
    unknown = batch.request("POST", tasks, {"id": "a", "commandLine": "true", "color": "red"})
    assert unknown.status == 400, unknown
    assert "color" in unknown.body.decode()
    too_long = batch.request("POST", tasks, {"id": "a" * 65, "commandLine": "true"})
    assert too_long.status == 400, too_long


def test_what_does_not_fit_its_pool_is_refused_by_name(batch, job):
    task = {"id": "contained", "commandLine": "true", "containerSettings": {"imageName": "busybox"}}
    answer = batch.request("POST", "/jobs/{}/tasks".format(job), task)
    assert (answer.status, answer.code) == (400, "InvalidPropertyValue"), answer
    assert "containerSettings" in answer.body.decode()
    assert batch.request("GET", "/jobs/{}/tasks/contained".format(job)).status == 404


def test_refusals_say_their_sentence_after_the_status(batch):
    path, sentence = "/pools/no-such", "The specified pool does not exist."
    told = batch.request("GET", path)
    assert (told.status, told.reason) == (404, sentence), told
    assert told.json["message"]["value"].startswith(sentence + "\n"), told
    # All that a client sees of a HEAD.
    bare = batch.request("HEAD", path)
    assert (bare.status, bare.reason, bare.body) == (404, sentence, b""), bare


def test_a_timeout_of_any_length_and_odd_parameters_are_let_pass(batch):
    for name, value in (("timeout", "30"), ("timeOut", "30"), ("timeout", "45"), ("odd", "2")):
        answer = batch.request("GET", "/pools", query={name: value})
        assert answer.status == 200, (name, value, answer)


def test_a_job_is_told_its_own_address(batch, job):
    made = batch.request("POST", "/jobs", {"id": job + "-b", "poolInfo": {"poolId": job}})
    url = "{}/jobs/{}-b".format(batch.url, job)
    assert (made.status, made.headers["location"], made.headers["dataserviceid"]) == (201, url, url), made
    assert batch.request("GET", "/jobs/{}-b".format(job)).json["url"] == url
    assert batch.request("DELETE", "/jobs/{}-b".format(job)).status == 202


def test_autoscale_keeps_what_a_change_leaves_out(batch, suffix):
    path, formula = "/pools/scaled-" + suffix, "$TargetDedicatedNodes = 0"
    body = {**pool_body("scaled-" + suffix), "enableAutoScale": True, "autoScaleFormula": formula}
    del body["targetDedicatedNodes"]
    assert batch.request("POST", "/pools", body).status == 201
    change = {"autoScaleEvaluationInterval": "PT07M00S"}
    assert batch.request("POST", path + "/enableautoscale", change).status == 200
    changed = batch.request("GET", path).json
    assert (changed["autoScaleFormula"], changed["autoScaleEvaluationInterval"]) == (formula, "PT7M")
    # Trying another formula changes nothing of the pool.
    tried = {"autoScaleFormula": "$TargetDedicatedNodes = 7"}
    assert batch.request("POST", path + "/evaluateautoscale", tried).status == 200
    kept = batch.request("GET", path).json
    for name in ("eTag", "autoScaleFormula", "targetDedicatedNodes"):
        assert kept[name] == changed[name], name
    assert "TargetDedicatedNodes=0;" in kept["autoScaleRun"]["results"]
    # Neither are its nodes taken away by hand.
    removed = batch.request("POST", path + "/removenodes", {"nodeList": ["none"]})
    assert (removed.status, removed.code) == (409, "OperationInvalidForCurrentState"), removed
    assert batch.request("DELETE", path).status == 202


def test_what_the_newest_version_removed_is_refused_by_name(batch, job, suffix):
    pool = {
        "id": "removed-" + suffix,
        "vmSize": "standard_d2_v3",
        "virtualMachineConfiguration": {
            "imageReference": {
                "publisher": "canonical", "offer": "0001-com-ubuntu-server-jammy", "sku": "22_04-lts",
            },
            "nodeAgentSKUId": "batch.node.ubuntu 22.04",
        },
        "targetDedicatedNodes": 0,
    }  # fmt: skip
    task = {"id": "removed", "commandLine": "true"}
    tasks = "/jobs/{}/tasks".format(job)
    for path, body, member, value in (
        ("/pools", pool, "certificateReferences", []),
        ("/pools", pool, "targetNodeCommunicationMode", "default"),
        ("/pools", pool, "resourceTags", {}),
        (tasks, task, "authenticationTokenSettings", {"access": ["job"]}),
    ):
        answer = batch.request("POST", path, {**body, member: value}, version="2025-06-01")
        assert answer.status == 400 and member in answer.body.decode(), (member, answer)
        assert batch.request("GET", "{}/{}".format(path, body["id"])).status == 404
    kept = batch.request("POST", tasks, {**task, "authenticationTokenSettings": {"access": ["job"]}}, version="2024-07-01.20.0")
    assert kept.status == 201, kept


def test_old_versions_have_their_own_shapes(batch, job):
    old = batch.request("GET", "/pools/" + job, version="2016-07-01.3.1").json
    new = batch.request("GET", "/pools/" + job).json
    assert old["targetDedicated"] == 0 and "targetDedicatedNodes" not in old, old
    assert new["targetDedicatedNodes"] == 0 and "targetDedicated" not in new, new


def test_blob_ranges_and_conditions(blob, suffix):
    container = "/protocol-" + suffix
    query = {"restype": "container"}
    assert blob.request("PUT", container, query=query).status == 201
    again = blob.request("PUT", container, query=query)
    assert (again.status, again.code) == (409, "ContainerAlreadyExists"), again
    path = container + "/some%20text.txt"
    kind = {"x-ms-blob-type": "BlockBlob"}
    put = blob.request("PUT", path, b"0123456789", headers=kind)
    assert put.status == 201 and "last-modified" in put.headers, put
    part = blob.request("GET", path, headers={"x-ms-range": "bytes=2-4"})
    assert (part.status, part.body) == (206, b"234"), part
    assert part.headers["content-range"] == "bytes 2-4/10"
    beyond = blob.request("GET", path, headers={"x-ms-range": "bytes=10-20"})
    assert (beyond.status, beyond.code) == (416, "InvalidRange"), beyond
    kept = blob.request("PUT", path, b"x", headers={**kind, "If-None-Match": "*"})
    assert (kept.status, kept.code) == (409, "BlobAlreadyExists"), kept
    assert blob.request("DELETE", path).status == 202
    gone = blob.request("GET", path)
    assert (gone.status, gone.code) == (404, "BlobNotFound"), gone
    assert blob.request("DELETE", container, query=query).status == 202


def test_names_of_metadata_keep_their_case(blob, suffix):
    container = "/cased-" + suffix
    query = {"restype": "container"}
    metadata = {"x-ms-meta-AbC": "1", "X-MS-META-d_E": "2"}
    assert blob.request("PUT", container, query=query, headers=metadata).status == 201
    headers = {**metadata, "x-ms-blob-type": "BlockBlob"}
    assert blob.request("PUT", container + "/b", b"x", headers=headers).status == 201
    for path, query in [(container, query), (container + "/b", None)]:
        answer = blob.request("HEAD", path, query=query)
        kept = [name for name in answer.names if name.lower().startswith("x-ms-meta-")]
        assert kept == ["x-ms-meta-AbC", "x-ms-meta-d_E"], answer
        assert "ETag" in answer.names and "Last-Modified" in answer.names, answer
    listed = blob.request("GET", container, query={"restype": "container", "comp": "list", "include": "metadata"})
    assert b"<AbC>1</AbC><d_E>2</d_E>" in listed.body, listed
    assert blob.request("DELETE", container, query={"restype": "container"}).status == 202


def test_blob_lists_are_paged(blob, suffix):
    container = "/paged-" + suffix
    assert blob.request("PUT", container, query={"restype": "container"}).status == 201
    for number in range(5):
        put = blob.request(
            "PUT", "{}/b{}".format(container, number), b"", headers={"x-ms-blob-type": "BlockBlob"}
        )
        assert put.status == 201
    query = {"restype": "container", "comp": "list", "maxresults": "2"}
    names, marker = [], ""
    for _ in range(4):
        asked = {**query, **({"marker": marker} if marker else {})}
        text = blob.request("GET", container, query=asked).body.decode()
        names += [part.split("</Name>")[0] for part in text.split("<Name>")[1:]]
        if "<NextMarker>" not in text:
            break
        marker = text.split("<NextMarker>")[1].split("</NextMarker>")[0]
        if not marker:
            break
    assert names == ["b0", "b1", "b2", "b3", "b4"], names


def in_minutes(minutes):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_sas_gives_what_it_says_and_no_more(blob, suffix):
    container = "/signed-" + suffix
    path = container + "/text.txt"
    kind = {"x-ms-blob-type": "BlockBlob"}
    assert blob.request("PUT", container, query={"restype": "container"}).status == 201
    assert blob.request("PUT", path, b"signed", headers=kind).status == 201

    reads = blob.sas("b", "r", in_minutes(10), path)
    answer = blob.request_with_sas("GET", path, reads)
    assert (answer.status, answer.body) == (200, b"signed"), answer
    refused = blob.request_with_sas("PUT", path, reads, b"x", kind)
    assert (refused.status, refused.code) == (403, "AuthorizationPermissionMismatch"), refused
    other = blob.request_with_sas("GET", container + "/other.txt", reads)
    assert (other.status, other.code) == (403, "AuthenticationFailed"), other

    writes = blob.sas("c", "w", in_minutes(10), container)
    assert blob.request_with_sas("PUT", container + "/new.txt", writes, b"x", kind).status == 201
    refused = blob.request_with_sas("GET", path, writes)
    assert (refused.status, refused.code) == (403, "AuthorizationPermissionMismatch"), refused

    late = blob.request_with_sas("GET", path, blob.sas("b", "r", in_minutes(-10), path))
    assert (late.status, late.code) == (403, "AuthenticationFailed"), late
    widened = blob.request_with_sas("GET", path, {**writes, "sp": "rw"})
    assert (widened.status, widened.code) == (403, "AuthenticationFailed"), widened


def test_blocks_are_committed_in_the_listed_order(blob, suffix):
    """And are invisible until then."""
    container = "/blocks-" + suffix
    path = container + "/joined.txt"
    assert blob.request("PUT", container, query={"restype": "container"}).status == 201
    for name, body in (("YQ==", b"first "), ("Yg==", b"second ")):
        put = blob.request("PUT", path, body, query={"comp": "block", "blockid": name})
        assert put.status == 201, put
    assert blob.request("GET", path).status == 404
    order = (
        '<?xml version="1.0" encoding="utf-8"?><BlockList>'
        "<Latest>Yg==</Latest><Uncommitted>YQ==</Uncommitted></BlockList>"
    )
    put = blob.request("PUT", path, order.encode(), query={"comp": "blocklist"})
    assert put.status == 201, put
    assert blob.request("GET", path).body == b"second first "
    unknown = order.replace("YQ==", "enp6").encode()
    put = blob.request("PUT", path, unknown, query={"comp": "blocklist"})
    assert (put.status, put.code) == (400, "InvalidBlockList"), put
