"""Writers of blobs that know at every moment what a server may hold, crash or not.

Each writer owns its names and does one thing at a time. What was acknowledged must be there;
what was under way when the server died may have happened or not, whole or not at all.
"""

import base64
import dataclasses
import hashlib
import http.client
import random
import threading

import raw

N_NAMES = 16
# The letters of names by what is done first with them; other verbs take any.
FAMILIES = {"put_small": "b", "put_large": "b", "blocks": "b", "append": "a", "page": "p"}
PAGE = 512
PAGES = 64
BROKEN = (OSError, http.client.HTTPException)


@dataclasses.dataclass(frozen=True)
class State:
    """One blob: its type, its content, and a word of metadata."""

    kind: str
    content: bytes
    word: str = ""

    def __str__(self):
        digest = hashlib.sha256(self.content).hexdigest()[:12]
        return "{} of {} bytes {} `{}`".format(self.kind, len(self.content), digest, self.word)


class Refused(Exception):
    """The server answered, but not as it should."""


class Writer(threading.Thread):
    """Writes, deletes and copies until it is told to stop."""

    def __init__(self, account, container, seed, kinds, gate):
        super().__init__()
        self.blob = raw.Blob(account.account, account.key, account.url)
        self.container = container
        self.random = random.Random(seed)
        self.kinds = kinds
        self.gate = gate
        self.states = {}
        self.snapshots = {}
        # Names that may have a snapshot of which nobody knows the time.
        self.unclear_snapshots = set()
        self.n_acknowledged = 0
        self.n_unclear = 0
        self.stops = False
        self.failure = None

    def run(self):
        try:
            while not self.stops:
                self.gate.wait()
                self.step()
        except BaseException as failure:  # told to the test, which raises it
            self.failure = failure

    def step(self):
        """One change, whose end may stay unknown for as long as the server is away."""
        kind = self.random.choice(self.kinds)
        verb = getattr(self, "do_" + kind)
        # A name keeps its type of blob: others do not take its place.
        family = FAMILIES.get(kind) or self.random.choice("bap")
        name = "{}-{}{}".format(self.name_part(), family, self.random.randrange(N_NAMES))
        before = self.states.get(name)
        after, query = before, {}
        try:
            for after, (method, query, headers, body, expected) in verb(name, before):
                answer = self.ask(name, method, query, headers, body)
                if answer.status not in expected:
                    raise Refused("{} {} {}: {} {}".format(method, name, query, answer.status, answer.body))
                self.n_acknowledged += 1
                if "x-ms-snapshot" in answer.headers:
                    self.snapshots[name, answer.headers["x-ms-snapshot"]] = after
                before = after
                self.note(name, after)
        except BROKEN:
            self.n_unclear += 1
            if query.get("comp") == "snapshot":
                self.unclear_snapshots.add(name)
            self.settle(name, before, after)

    def name_part(self):
        return self.container.rpartition("-")[2]

    def ask(self, name, method, query=None, headers=None, body=None):
        return self.blob.request(method, "/{}/{}".format(self.container, name), body, query, headers)

    def note(self, name, state):
        if state is None:
            self.states.pop(name, None)
        else:
            self.states[name] = state

    def settle(self, name, before, after):
        """Finds out which of two states a blob is in once the server is back."""
        while not self.stops:
            self.gate.wait()
            try:
                found = self.read(name, before or after)
            except BROKEN:
                continue
            if found not in (before, after):
                raise Refused("{} is {}, neither {} nor {}".format(name, found, before, after))
            self.note(name, found)
            return
        self.states[name] = (before, after)

    def read(self, name, like=None, snapshot=None):
        query = {"snapshot": snapshot} if snapshot else {}
        answer = self.ask(name, "GET", query)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise Refused("GET {}: {} {}".format(name, answer.status, answer.body))
        told = answer.headers.get("content-md5")
        if told and base64.b64decode(told) != hashlib.md5(answer.body).digest():
            raise Refused("the MD5 of {} is not that of its content".format(name))
        kind = answer.headers["x-ms-blob-type"]
        return State(kind, answer.body, answer.headers.get("x-ms-meta-word", ""))

    def check(self):
        """Looks at everything that was ever acknowledged and not taken back."""
        for name, state in sorted(self.states.items(), key=lambda it: it[0]):
            wanted = state if isinstance(state, tuple) else (state,)
            found = self.read(name)
            assert found in wanted, "{} is {}, not {}".format(name, found, state)
        for (name, snapshot), state in self.snapshots.items():
            found = self.read(name, snapshot=snapshot)
            assert found == state, "{} of {} is {}, not {}".format(snapshot, name, found, state)

    def content(self, least, most):
        return self.random.randbytes(self.random.randint(least, most))

    # Each verb gives the state after a request and the request.

    def put(self, content):
        word = "w{}".format(self.random.randrange(1000))
        headers = {"x-ms-blob-type": "BlockBlob", "x-ms-meta-word": word}
        return State("BlockBlob", content, word), ("PUT", {}, headers, content, (201,))

    def do_put_small(self, name, before):
        yield self.put(self.content(0, 8 * 1024))

    def do_put_large(self, name, before):
        yield self.put(self.content(40 * 1024, 400 * 1024))

    def do_blocks(self, name, before):
        if before and before.kind != "BlockBlob":
            return
        blocks = [self.content(1, 60 * 1024) for _ in range(self.random.randint(1, 4))]
        ids = [base64.b64encode("{:04}".format(it).encode()).decode() for it in range(len(blocks))]
        for block_id, block in zip(ids, blocks):
            yield before, ("PUT", {"comp": "block", "blockid": block_id}, {}, block, (201,))
        listed = "".join("<Latest>{}</Latest>".format(it) for it in ids)
        body = "<BlockList>{}</BlockList>".format(listed).encode()
        after = State("BlockBlob", b"".join(blocks))
        yield after, ("PUT", {"comp": "blocklist"}, {}, body, (201,))

    def do_delete(self, name, before):
        has_snapshots = name in self.unclear_snapshots or any(it == name for it, _ in self.snapshots)
        if before and not has_snapshots:
            yield None, ("DELETE", {}, {}, None, (202,))

    def do_metadata(self, name, before):
        if before:
            word = "m{}".format(self.random.randrange(1000))
            after = dataclasses.replace(before, word=word)
            yield after, ("PUT", {"comp": "metadata"}, {"x-ms-meta-word": word}, b"", (200,))

    def do_copy(self, name, before):
        family = name.rpartition("-")[2][0]
        sources = sorted(it for it in self.states if it != name and "-" + family in it)
        if sources:
            source = self.random.choice(sources)
            url = "{}/{}/{}".format(self.blob.url, self.container, source)
            yield self.states[source], ("PUT", {}, {"x-ms-copy-source": url}, b"", (202,))

    def do_append(self, name, before):
        if before is None or before.kind != "AppendBlob":
            headers = {"x-ms-blob-type": "AppendBlob"}
            before = State("AppendBlob", b"")
            yield before, ("PUT", {}, headers, b"", (201,))
        piece = self.content(1, 50 * 1024)
        after = dataclasses.replace(before, content=before.content + piece)
        yield after, ("PUT", {"comp": "appendblock"}, {}, piece, (201,))

    def do_page(self, name, before):
        if before is None or before.kind != "PageBlob":
            size = PAGES * PAGE
            headers = {"x-ms-blob-type": "PageBlob", "x-ms-blob-content-length": str(size)}
            before = State("PageBlob", bytes(size))
            yield before, ("PUT", {}, headers, b"", (201,))
        first = self.random.randrange(PAGES)
        pages = self.random.randbytes(PAGE * self.random.randint(1, PAGES - first))
        start, end = first * PAGE, first * PAGE + len(pages)
        content = before.content[:start] + pages + before.content[end:]
        headers = {"x-ms-page-write": "update", "x-ms-range": "bytes={}-{}".format(start, end - 1)}
        yield dataclasses.replace(before, content=content), ("PUT", {"comp": "page"}, headers, pages, (201,))

    def do_snapshot(self, name, before):
        if before and len(self.snapshots) < 2 * N_NAMES:
            yield before, ("PUT", {"comp": "snapshot"}, {}, b"", (201,))


ALWAYS = ["put_small", "put_small", "put_large", "blocks", "delete", "metadata", "copy"]
PROBES = {
    "append": {"x-ms-blob-type": "AppendBlob"},
    "page": {"x-ms-blob-type": "PageBlob", "x-ms-blob-content-length": "512"},
}


def kinds_served(account, container):
    """The verbs that the server serves; what it does not serve cannot be lost."""
    blob = raw.Blob(account.account, account.key, account.url)
    kinds = list(ALWAYS)
    for kind, headers in PROBES.items():
        if blob.request("PUT", "/{}/probe-{}".format(container, kind), b"", {}, headers).status != 501:
            kinds.append(kind)
    put = {"x-ms-blob-type": "BlockBlob"}
    assert blob.request("PUT", "/{}/probe".format(container), b"", {}, put).status == 201
    if blob.request("PUT", "/{}/probe".format(container), b"", {"comp": "snapshot"}).status != 501:
        kinds.append("snapshot")
    return kinds
