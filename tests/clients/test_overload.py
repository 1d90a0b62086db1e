"""More requests than can be served: those beyond are told to come back, in bounded memory."""

import contextlib
import email.utils
import pathlib
import resource
import selectors
import socket
import urllib.parse

import pytest
import raw
from kiln_process import Kiln, free_port

# Requests of a service that are worked on at once.
REQUESTS_MAX = 1024
N_REQUESTS = 2 * REQUESTS_MAX
BODY = b"x" * 100_000
# What a server may take for that, beyond what it takes at rest: bodies are not read ahead.
GROWTH_BYTES_MAX = 64 * 1024 * 1024


@pytest.fixture
def kiln(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    process = Kiln(tmp_path, free_port(), free_port()).start()
    yield process
    process.stop()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def memory_of(kiln):
    """The most memory that the server has had, in bytes."""
    status = pathlib.Path("/proc/{}/status".format(kiln.process.pid)).read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024


def head_of(blob, path):
    """The head of a request for a blob whose body comes later."""
    headers = {
        "x-ms-date": email.utils.formatdate(usegmt=True),
        "x-ms-version": "2021-08-06",
        "x-ms-blob-type": "BlockBlob",
        "Content-Length": str(len(BODY)),
    }
    text = blob.text_to_sign("PUT", path, {}, headers)
    headers["Authorization"] = "SharedKey {}:{}".format(blob.account, raw.signature(blob.key, text))
    parts = urllib.parse.urlsplit(blob.url)
    lines = ["PUT {}{} HTTP/1.1".format(parts.path, path), "Host: " + parts.netloc]
    lines += ["{}: {}".format(*it) for it in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answer_on(connection):
    """Status and headers of an answer."""
    with connection.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        headers = {}
        while (line := stream.readline().strip()):
            name, _, value = line.decode().partition(": ")
            headers[name.lower()] = value
    return status, headers


def test_beyond_its_bounds_clients_are_told_to_come_back(kiln):
    blob = raw.blob_of(kiln)
    assert blob.request("PUT", "/cont", query={"restype": "container"}).status == 201
    parts = urllib.parse.urlsplit(blob.url)
    at_rest = memory_of(kiln)
    with contextlib.ExitStack() as stack:
        # All wait with a body of which nothing has come: as many as there are places hold one.
        waiting = stack.enter_context(selectors.DefaultSelector())
        accepted, n_refused = set(), 0
        for number in range(N_REQUESTS):
            connection = socket.create_connection((parts.hostname, parts.port), timeout=60)
            stack.enter_context(connection)
            connection.sendall(head_of(blob, "/cont/{}".format(number)))
            waiting.register(connection, selectors.EVENT_READ)
            accepted.add(connection)
        # Those beyond are refused at once, whatever becomes of their bodies.
        while n_refused < N_REQUESTS - REQUESTS_MAX:
            answered = waiting.select(timeout=30)
            assert answered, "only {} were refused".format(n_refused)
            for key, _ in answered:
                status, headers = answer_on(key.fileobj)
                assert (status, headers["x-ms-error-code"]) == (503, "ServerBusy"), (status, headers)
                assert int(headers["retry-after"]) >= 1
                waiting.unregister(key.fileobj)
                accepted.remove(key.fileobj)
                n_refused += 1
        assert len(accepted) == REQUESTS_MAX
        # The other service has places of its own, and operators hear of it.
        batch = kiln.batch()
        pools = raw.Batch(batch.account, batch.key, batch.url).request("GET", "/pools")
        assert pools.status == 200
        _, text = kiln.monitor("/metrics")
        figure = 'kiln_requests_refused_total{{service="blob",status="503"}} {}'
        assert figure.format(n_refused) in text, text
        assert memory_of(kiln) - at_rest < GROWTH_BYTES_MAX, (at_rest, memory_of(kiln))
        # What was accepted goes on.
        for connection in accepted:
            connection.sendall(BODY)
        for connection in accepted:
            assert answer_on(connection)[0] == 201
    at_once = REQUESTS_MAX * len(BODY)
    assert memory_of(kiln) - at_rest < GROWTH_BYTES_MAX + 2 * at_once, (at_rest, memory_of(kiln))
    # Whoever comes back is served.
    put = {"x-ms-blob-type": "BlockBlob"}
    assert blob.request("PUT", "/cont/again", BODY, headers=put).status == 201
    assert blob.request("GET", "/cont/0").body == BODY
