"""Plain HTTP with Azure's signatures, from Python's own library alone.

For what no SDK would send: a wrong key, a missing api-version, one request at a time. The
signing here is written from the published rules and shares nothing with the server's.
"""

import base64
import dataclasses
import email.utils
import hashlib
import hmac
import http.client
import json
import urllib.parse

NEWEST = "2025-06-01"
JSON_TYPE = "application/json; odata=minimalmetadata"
SIGNED_HEADERS = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
]


@dataclasses.dataclass
class Answer:
    """What the server said."""

    status: int
    headers: dict
    body: bytes
    names: list
    """Names of the headers as they were sent; those in `headers` are in lower case."""
    reason: str = ""
    """The words after the status."""

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The error code, of Batch (in the body) or Blob (in a header)."""
        if "x-ms-error-code" in self.headers:
            return self.headers["x-ms-error-code"]
        return self.json["code"]


def signature(key, text):
    digest = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def send(url, method, headers, body):
    """One request over a connection of its own."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    try:
        target = parts.path + ("?" + parts.query if parts.query else "")
        connection.request(method, target, body=body, headers=headers)
        response = connection.getresponse()
        told = {name.lower(): value for name, value in response.getheaders()}
        names = [name for name, _ in response.getheaders()]
        return Answer(response.status, told, response.read(), names, response.reason)
    finally:
        connection.close()


class Batch:
    """Requests to a Batch account."""

    def __init__(self, account, key, url):
        self.account, self.key, self.url = account, key, url.rstrip("/")

    def request(self, method, path, body=None, query=None, headers=None, version=NEWEST):
        """Sends one signed request; `version=None` leaves the api-version out."""
        pairs = dict(query or {})
        if version is not None:
            pairs["api-version"] = version
        data = None if body is None else json.dumps(body).encode()
        if data is None and method in ("POST", "PUT", "PATCH"):
            data = b""
        sent = {"ocp-date": email.utils.formatdate(usegmt=True), **(headers or {})}
        if data is not None:
            sent["Content-Type"] = JSON_TYPE
            sent["Content-Length"] = str(len(data))
        sent["Authorization"] = "SharedKey {}:{}".format(
            self.account, signature(self.key, self.text_to_sign(method, path, pairs, sent))
        )
        text = urllib.parse.urlencode(pairs, quote_via=urllib.parse.quote)
        return send("{}{}?{}".format(self.url, path, text), method, sent, data)

    def text_to_sign(self, method, path, query, headers):
        lower = {name.lower(): value for name, value in headers.items()}
        lines = [method] + [lower.get(name, "") for name in SIGNED_HEADERS]
        lines += [
            "{}:{}".format(name, value)
            for name, value in sorted(lower.items())
            if name.startswith("ocp-")
        ]
        resource = "/{}{}{}".format(self.account, urllib.parse.urlsplit(self.url).path, path)
        resource += "".join(
            "\n{}:{}".format(name.lower(), value) for name, value in sorted(query.items())
        )
        return "\n".join(lines + [resource])

    def listed(self, path, query=None):
        """All items of a list, page after page."""
        answer = self.request("GET", path, query=query)
        items = []
        while True:
            assert answer.status == 200, (answer.status, answer.body)
            items += answer.json["value"]
            following = answer.json.get("odata.nextLink")
            if not following:
                return items
            parts = urllib.parse.urlsplit(following)
            pairs = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
            version = pairs.pop("api-version")
            answer = self.request("GET", path, query=pairs, version=version)


class Blob:
    """Requests to a storage account's Blob endpoint, in path style."""

    def __init__(self, account, key, url):
        self.account, self.key, self.url = account, key, url.rstrip("/")

    def request(self, method, path, body=None, query=None, headers=None, version="2021-08-06"):
        data = b"" if body is None and method == "PUT" else body
        sent = {
            "x-ms-date": email.utils.formatdate(usegmt=True),
            "x-ms-version": version,
            **(headers or {}),
        }
        if data is not None:
            sent["Content-Length"] = str(len(data))
        pairs = query or {}
        sent["Authorization"] = "SharedKey {}:{}".format(
            self.account, signature(self.key, self.text_to_sign(method, path, pairs, sent))
        )
        text = urllib.parse.urlencode(pairs, quote_via=urllib.parse.quote)
        target = "{}{}{}".format(self.url, path, "?" + text if text else "")
        return send(target, method, sent, data)

    def text_to_sign(self, method, path, query, headers):
        lower = {name.lower(): value for name, value in headers.items()}
        if lower.get("content-length") == "0":
            lower["content-length"] = ""
        lines = [method] + [lower.get(name, "") for name in SIGNED_HEADERS]
        lines += [
            "{}:{}".format(name, value)
            for name, value in sorted(lower.items())
            if name.startswith("x-ms-")
        ]
        resource = "/{}{}{}".format(self.account, urllib.parse.urlsplit(self.url).path, path)
        resource += "".join(
            "\n{}:{}".format(name.lower(), value) for name, value in sorted(query.items())
        )
        return "\n".join(lines + [resource])

    def sas(self, resource, permissions, expires_at, path):
        """A service SAS for a blob (`b`) or container (`c`), as of x-ms-version 2021-08-06."""
        version = "2021-08-06"
        canonical = "/blob/{}{}".format(self.account, path)
        fields = [
            permissions, "", expires_at, canonical, "", "", "", version, resource,
            "", "", "", "", "", "", "",
        ]  # fmt: skip
        token = {
            "sv": version,
            "sp": permissions,
            "se": expires_at,
            "sr": resource,
            "sig": signature(self.key, "\n".join(fields)),
        }
        return token

    def account_sas(self):
        """A SAS for all that an account SAS can allow, as the query of a URL."""
        fields = {
            "sp": "rwdxyltfmeopcaiu",
            "ss": "b",
            "srt": "sco",
            "st": "",
            "se": "2099-01-01T00:00:00Z",
            "sip": "",
            "spr": "",
            "sv": "2021-08-06",
            "ses": "",
        }
        text = "\n".join([self.account, *fields.values(), ""])
        token = {name: value for name, value in fields.items() if value}
        return urllib.parse.urlencode({**token, "sig": signature(self.key, text)})

    def request_with_sas(self, method, path, token, body=None, headers=None):
        """Sends a request whose only permission is the SAS."""
        text = urllib.parse.urlencode(token, quote_via=urllib.parse.quote)
        sent = dict(headers or {})
        if body is not None:
            sent["Content-Length"] = str(len(body))
        return send("{}{}?{}".format(self.url, path, text), method, sent, body)


def batch_of(kiln):
    """Requests to the Batch account of a Kiln."""
    account = kiln.batch()
    return Batch(account.account, account.key, account.url)


def blob_of(kiln):
    """Requests to the storage account of a Kiln."""
    account = kiln.storage()
    return Blob(account.account, account.key, account.url)


def container_url(kiln, name):
    """The URL of a new container, with the right to write to it and to list it."""
    blob = blob_of(kiln)
    assert blob.request("PUT", "/" + name, query={"restype": "container"}).status == 201
    token = blob.sas("c", "rwl", "2099-01-01T00:00:00Z", "/" + name)
    return "{}/{}?{}".format(blob.url, name, urllib.parse.urlencode(token))
