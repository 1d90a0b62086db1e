"""Who may touch blobs: users with tokens, and each probe of the protocol that emulators fail."""

import datetime
import json
import urllib.parse

import pytest
import raw
from conftest import AZURE_BLOB_URL, CLIENTS, PROGRAMS, Client, run_program
from kiln_process import Kiln

SECRET = "what the issuer signs with"
LATER = "2099-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def trusting(tmp_path_factory):
    """A Kiln that trusts an issuer of tokens."""
    folder = tmp_path_factory.mktemp("trusting")
    secret = folder / "secret"
    secret.write_text(SECRET + "\n")
    process = Kiln(folder)
    process.data.mkdir(mode=0o700)
    (process.data / "kiln.toml").write_text(
        "[tokens]\n"
        'issuers = ["https://issuer.example"]\n'
        'secret-file = "{}"\n'
        'authority = "https://login.example/tenant-of-the-authority"\n'
        "[tokens.roles]\n"
        'owner = "owner"\n'
        'reader = "Storage Blob Data Reader"\n'.format(secret)
    )
    process.start()
    yield process
    code = process.stop()
    assert code == 0, "kiln up ended with {}:\n{}".format(code, process.log_tail())


def run_with_tokens(kiln, suffix, folder, command, is_newest):
    account = kiln.storage().account
    settings = folder / "settings.json"
    settings.write_text(
        json.dumps(
            {
                "url": AZURE_BLOB_URL.format(account),
                "account": account,
                "secret": SECRET,
                "suffix": suffix,
                "is_newest": is_newest,
            }
        )
    )
    said = run_program(kiln.exec_arguments(*command, settings), kiln)
    assert said.splitlines()[-1] == "phase: done", said


@pytest.mark.parametrize("version", ["12.0.0", "12.31.1"])
def test_users_with_tokens_work_with_the_python_sdk(trusting, version, suffix, tmp_path):
    folder = CLIENTS / "storage-{}".format(version)
    assert folder.is_dir(), "run `cargo xtask test clients` to make {}".format(folder)
    command = [folder / "bin/python", "-W", "ignore", PROGRAMS / "blob_access.py"]
    run_with_tokens(trusting, suffix, tmp_path, command, is_newest=version != "12.0.0")


def test_users_with_tokens_work_with_the_javascript_sdk(trusting, suffix, tmp_path):
    client = Client("javascript")
    client.require()
    command = [*client.interpreter, PROGRAMS / "blob_access.cjs"]
    run_with_tokens(trusting, suffix, tmp_path, command, is_newest=True)


@pytest.fixture
def blob(kiln, suffix):
    """Requests to a storage account with one container of the test's own."""
    blob = raw.blob_of(kiln)
    blob.container = "/probe-" + suffix
    created = blob.request("PUT", blob.container, query={"restype": "container"})
    assert created.status == 201, created
    return blob


def put(blob, name, content=b"content"):
    headers = {"x-ms-blob-type": "BlockBlob"}
    path = "{}/{}".format(blob.container, urllib.parse.quote(name))
    answer = blob.request("PUT", path, content, headers=headers)
    assert answer.status == 201, answer
    return path


def signed(blob, fields, **parameters):
    """A query whose signature covers `fields`, one a line."""
    return {**parameters, "sig": raw.signature(blob.key, "\n".join(fields))}


def test_every_version_is_served(blob):
    path = put(blob, "b")
    for version in ("2014-02-14", "2023-05-03", "2026-10-06", "2033-03-03"):
        answer = blob.request("GET", path, version=version)
        assert (answer.status, answer.body) == (200, b"content"), (version, answer)
        assert answer.headers["x-ms-version"] == min(version, "2026-10-06")
    answer = blob.request("GET", path, version="latest")
    assert (answer.status, answer.code) == (400, "InvalidHeaderValue"), answer


def test_tokens_of_2014_and_before(blob):
    path = put(blob, "b")
    resource = "/{}{}".format(blob.account, path)
    fields = ["r", "", LATER, resource, "", "2014-02-14", "", "", "", "", ""]
    token = signed(blob, fields, sv="2014-02-14", sr="b", sp="r", se=LATER)
    assert blob.request_with_sas("GET", path, token).body == b"content"
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=50)
    soon = soon.strftime("%Y-%m-%dT%H:%M:%SZ")
    token = signed(blob, ["r", "", soon, resource, ""], sr="b", sp="r", se=soon)
    answer = blob.request_with_sas("GET", path, token)
    assert (answer.body, answer.headers["x-ms-version"]) == (b"content", "2011-08-18")
    token = signed(blob, ["r", "", LATER, resource, ""], sr="b", sp="r", se=LATER)
    answer = blob.request_with_sas("GET", path, token)
    assert (answer.status, answer.code) == (403, "AuthenticationFailed"), answer


def test_the_first_range_of_an_empty_blob_is_refused_as_clients_expect(blob):
    path = put(blob, "empty", b"")
    answer = blob.request("GET", path, headers={"x-ms-range": "bytes=0-33554431"})
    assert (answer.status, answer.code) == (416, "InvalidRange"), answer
    assert answer.headers["content-range"] == "bytes */0"
    answer = blob.request("GET", path, headers={"x-ms-range": "bytes=None-"})
    assert (answer.status, answer.body) == (200, b""), answer


def test_a_container_token_writes_new_names_only_with_its_letter(blob):
    token = blob.sas("c", "w", LATER, blob.container)
    headers = {"x-ms-blob-type": "BlockBlob"}
    path = blob.container + "/new%20name"
    answer = blob.request_with_sas("PUT", path, token, b"1", headers)
    assert answer.status == 201, answer
    answer = blob.request_with_sas("GET", path, token)
    assert (answer.status, answer.code) == (403, "AuthorizationPermissionMismatch"), answer


def test_names_with_spaces_are_signed_decoded(blob):
    path = put(blob, "a b (1).txt")
    token = blob.sas("b", "r", LATER, blob.container + "/a b (1).txt")
    assert blob.request_with_sas("GET", path, token).body == b"content"


def test_account_tokens_of_new_versions_have_a_line_for_the_scope(blob):
    fields = [blob.account, "rl", "b", "sco", "", LATER, "", "", "2025-11-05", "", ""]
    token = signed(blob, fields, sv="2025-11-05", ss="b", srt="sco", sp="rl", se=LATER)
    path = put(blob, "b")
    assert blob.request_with_sas("GET", path, token).body == b"content"
    assert blob.request_with_sas("GET", "", {**token, "comp": "list"}).status == 200


def test_a_token_for_another_address_is_refused(blob):
    path = put(blob, "b")
    canonical = "/blob/{}{}".format(blob.account, path)
    for address, status in (("10.1.2.3", 403), ("127.0.0.0-127.0.0.9", 200)):
        fields = ["r", "", LATER, canonical, "", address, "", "2015-07-08", "", "", "", "", ""]
        token = signed(blob, fields, sv="2015-07-08", sr="b", sp="r", se=LATER, sip=address)
        answer = blob.request_with_sas("GET", path, token)
        assert answer.status == status, (address, answer)
        if status == 403:
            assert answer.code == "AuthorizationSourceIPMismatch"
    fields = ["r", "", LATER, canonical, "", "", "https", "2015-07-08", "", "", "", "", ""]
    token = signed(blob, fields, sv="2015-07-08", sr="b", sp="r", se=LATER, spr="https")
    answer = blob.request_with_sas("GET", path, token)
    assert (answer.status, answer.code) == (403, "AuthorizationProtocolMismatch"), answer


def test_a_token_sets_headers_of_the_answer(blob):
    path = put(blob, "b")
    canonical = "/blob/{}{}".format(blob.account, path)
    fields = ["r", "", LATER, canonical, "", "", "", "2015-07-08", "", "a;b", "", "", "x/y"]
    token = signed(blob, fields, sv="2015-07-08", sr="b", sp="r", se=LATER, rscd="a;b", rsct="x/y")
    answer = blob.request_with_sas("GET", path, token)
    told = (answer.headers["content-disposition"], answer.headers["content-type"])
    assert (answer.status, told) == (200, ("a;b", "x/y")), answer


def test_a_copy_finds_its_source_in_any_spelling(blob):
    path = put(blob, "a b (1).txt")
    for spelling in (path, path.replace("%28", "(").replace("%29", ")")):
        headers = {"x-ms-copy-source": blob.url + spelling}
        answer = blob.request("PUT", blob.container + "/copy", headers=headers)
        told = (answer.status, answer.headers.get("x-ms-copy-status"))
        assert told == (202, "success"), (spelling, answer)


def test_keys_of_users_are_for_users_only(blob):
    query = {"restype": "service", "comp": "userdelegationkey"}
    body = "<KeyInfo><Expiry>{}</Expiry></KeyInfo>".format(LATER).encode()
    answer = blob.request("POST", "/", body, query=query)
    assert (answer.status, answer.code) == (403, "AuthenticationFailed"), answer


def test_refusals_of_head_have_a_code_and_no_body(blob):
    answer = blob.request("HEAD", blob.container + "/none")
    assert (answer.status, answer.code, answer.body) == (404, "BlobNotFound", b""), answer
    assert "content-type" not in answer.headers, answer.headers


def test_what_nobody_knows_is_ignored(blob):
    headers = {"x-ms-unheard-of": "1", "x-ms-client-request-id": "the-id"}
    answer = blob.request("GET", "", query={"comp": "list", "odd": "2"}, headers=headers)
    assert answer.status == 200, answer
    assert answer.headers["x-ms-client-request-id"] == "the-id"
