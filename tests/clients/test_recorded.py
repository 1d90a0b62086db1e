"""What the real service answered to two generations of clients, asked again of Kiln.

`recorded/VERSION.json` holds the requests in their order, one to a line, each with the status,
the headers and the form of the body that the service was seen to answer. In forms of bodies,
`=text` is the text itself, `^text` how it begins, other words name a kind of value. Every member
of a form must be there and no other; `differs` says where Kiln's answer is another, and why;
`adapted` says why a form is not quite the recorded one.
"""

import base64
import hashlib
import json
import pathlib
import re
import time

import pytest
import raw
from conftest import CERTIFICATE
from kiln_process import Kiln

RECORDED = pathlib.Path(__file__).resolve().parent / "recorded"
# Headers that say nothing of the service, or that only Kiln or only the cloud sends.
OTHER_HEADERS = {
    "connection", "content-length", "dataserviceversion", "date", "request-id", "server",
    "transfer-encoding", "x-content-type-options",
}
PATIENCE_SECONDS = 10
KINDS = {
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z",
    "etag": r"0x8D[0-9A-F]{13}",
    "span": r"-?P(\d+D)?(T(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?",
    "url": r"https?://\S+",
    "digits": r"\d+",
    "string": r"(?s).+",
}


def differences(form, value, at=""):
    """Where `value` does not have the form, one line each."""
    if isinstance(form, dict):
        if not isinstance(value, dict):
            return ["{}: {!r} is no object".format(at, value)]
        found = ["{}/{} is missing".format(at, name) for name in form if name not in value]
        found += ["{}/{} is there: {!r}".format(at, name, value[name]) for name in value if name not in form]
        for name in form.keys() & value.keys():
            found += differences(form[name], value[name], "{}/{}".format(at, name))
        return found
    if isinstance(form, list):
        if not isinstance(value, list):
            return ["{}: {!r} is no list".format(at, value)]
        if not form:
            return ["{} is not empty".format(at)] if value else []
        found = []
        for index, item in enumerate(form):
            tried = [differences(item, candidate, "{}/{}".format(at, index)) for candidate in value]
            if [] not in tried:
                found += min(tried, key=len, default=["{}: the list is empty".format(at)])
        return found
    return [] if fits(form, value) else ["{}: {!r} is not {!r}".format(at, value, form)]


def fits(form, value):
    if form == "any":
        return True
    if form == "bool":
        return isinstance(value, bool)
    if form == "int":
        return isinstance(value, int) and not isinstance(value, bool)
    if form == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if not isinstance(value, str):
        return False
    if form.startswith("=$metadata"):
        return value.endswith("/" + form[1:])
    if form.startswith("="):
        return value == form[1:]
    if form.startswith("^"):
        return value.startswith(form[1:])
    return re.fullmatch(KINDS[form], value) is not None


class Replay:
    """One api-version's requests, made one after another."""

    def __init__(self, kiln, version):
        self.batch = raw.batch_of(kiln)
        self.version = version
        self.names = {
            "certificate": base64.b64encode(CERTIFICATE).decode(),
            "container": raw.container_url(kiln, "recorded"),
            "thumbprint": hashlib.sha1(CERTIFICATE).hexdigest(),
        }
        self.next_link = None

    def request(self, method, path, body=None):
        path, _, query = path.partition("?")
        pairs = dict(raw.urllib.parse.parse_qsl(query, keep_blank_values=True))
        return self.batch.request(method, path, body=body, query=pairs, version=self.version)

    def fill(self, text):
        for name, value in self.names.items():
            text = text.replace("{%s}" % name, value)
        return text

    def prepare(self, action):
        """What must be so before a request: made by another request, or waited for."""
        if action[0] == "until":
            _, path, wanted = action
            self.wait(path, lambda shown: all(shown.get(k) == v for k, v in wanted.items()))
        elif action[0] == "nodes":
            _, pool, count = action
            path = "/pools/{}/nodes".format(pool)
            is_ready = lambda shown: [it["state"] for it in shown.get("value", [])] == ["idle"] * count
            nodes = sorted(self.wait(path, is_ready)["value"], key=lambda it: it["allocationTime"])
            if pool == "pool-1":
                for number, node in enumerate(nodes, 1):
                    self.names["node-{}".format(number)] = node["id"]
        else:
            method, path, body = action
            answer = self.request(method, self.fill(path), body)
            assert answer.status < 300, (action, answer)

    def wait(self, path, holds):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = self.request("GET", self.fill(path))
            shown = answer.json if answer.status == 200 else {}
            if holds(shown):
                return shown
            assert time.monotonic() < deadline, (path, answer)
            time.sleep(0.02)

    def check(self, step):
        """Makes the request; where its answer is another than the recorded one."""
        for action in step.get("before", []):
            self.prepare(action)
        method, path = self.fill(step["ask"]).split(" ", 1)
        if path.endswith("?{next}"):
            parts = raw.urllib.parse.urlsplit(self.next_link)
            path = parts.path + "?" + parts.query
        send = step.get("send")
        send = None if send is None else json.loads(self.fill(json.dumps(send)))
        answer = self.request(method, path, send)
        form = step.get("body")
        shown = json.loads(answer.body) if form is not None and answer.body[:1] == b"{" else None
        if isinstance(shown, dict):
            self.next_link = shown.get("odata.nextLink", self.next_link)
        headers = " ".join(sorted(set(answer.headers) - OTHER_HEADERS))
        found = []
        if answer.status != step["status"]:
            found.append("status {} for {}: {}".format(answer.status, step["status"], answer.body[:600]))
        elif headers != step["headers"]:
            found.append("headers `{}` for `{}`".format(headers, step["headers"]))
        if form is not None and answer.status == step["status"]:
            found += differences(form, shown)
        allowed = {it["found"] for it in step.get("differs", [])}
        unsaid = [it for it in found if not any(re.search(pattern, it) for pattern in allowed)]
        gone = [it for it in allowed if not any(re.search(it, line) for line in found)]
        return unsaid + ["no longer so: " + it for it in gone]


@pytest.fixture
def own_kiln(tmp_path):
    """A Kiln that holds nothing but what the requests make."""
    process = Kiln(tmp_path).start()
    yield process
    process.stop()


@pytest.mark.parametrize("version", ["2016-07-01.3.1", "2019-08-01.10.0"])
def test_recorded_answers_are_given_in_kind(own_kiln, version, tmp_path):
    own_kiln.add_application("app", "1.0", tmp_path)
    replay = Replay(own_kiln, version)
    steps = json.loads((RECORDED / (version + ".json")).read_text())
    wrong = []
    for number, step in enumerate(steps, 1):
        wrong += ["{} {}: {}".format(number, step["ask"], it) for it in replay.check(step)]
    assert wrong == [], "\n" + "\n".join(wrong)
