"""A registry of images on loopback: one image, made of busybox, for who knows the password."""

import base64
import hashlib
import http.server
import io
import json
import os
import pathlib
import platform
import shutil
import tarfile
import threading

BUSYBOX = pathlib.Path("/bin/busybox")
# What this machine lacks to run tasks in containers.
LACKING = [name for name in ("podman", "crun") if shutil.which(name) is None]
LACKING += [] if BUSYBOX.exists() else ["busybox-static"]
LACKING += [] if os.geteuid() == 0 else ["root"]
PROGRAMS = ["sh", "cat", "echo", "env", "id", "ls", "sleep", "true"]
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def layer():
    """The one layer of the image, a tape archive."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(BUSYBOX, "bin/busybox")
        for program in PROGRAMS:
            link = tarfile.TarInfo("bin/" + program)
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for name, text in [("etc/image", b"from the image\n"), ("etc/passwd", b"root:x:0:0::/:/bin/sh\n")]:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o644
            tar.addfile(entry, io.BytesIO(text))
    return archive.getvalue()


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Registry:
    """Serves `tool` under every tag but `none` until it is stopped."""

    user, password = "reader", "swordfish-of-the-registry"

    def __init__(self):
        content = layer()
        config = json.dumps(
            {
                "architecture": {"aarch64": "arm64"}.get(platform.machine(), "amd64"),
                "os": "linux",
                "config": {"Cmd": ["/bin/cat", "/etc/image"], "Env": ["PATH=/bin"]},
                "rootfs": {"type": "layers", "diff_ids": [digest(content)]},
            }
        ).encode()

        def described(kind, body):
            kind = "application/vnd.oci.image." + kind
            return {"mediaType": kind, "digest": digest(body), "size": len(body)}

        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": described("config.v1+json", config),
            "layers": [described("layer.v1.tar", content)],
        }
        self.manifest = json.dumps(manifest).encode()
        self.blobs = {digest(body): body for body in (config, content)}
        self.asked = []
        word = base64.b64encode("{}:{}".format(self.user, self.password).encode()).decode()
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_HEAD(self):
                self.do_GET()

            def do_GET(self):
                registry.asked.append(self.path)
                status, kind, body = registry.answer(self.path)
                if self.headers.get("Authorization") != "Basic " + word:
                    status, kind, body = 401, "application/json", b"{}"
                self.send_response(status)
                if status == 401:
                    self.send_header("WWW-Authenticate", 'Basic realm="tests"')
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = "127.0.0.1:{}".format(self.server.server_port)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path):
        beginning, _, name = path.rpartition("/")
        if path == "/v2/":
            return 200, "application/json", b"{}"
        if beginning == "/v2/tool/manifests" and name != "none":
            return 200, MANIFEST, self.manifest
        if beginning == "/v2/tool/blobs" and name in self.blobs:
            return 200, "application/octet-stream", self.blobs[name]
        return 404, "application/json", b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}'

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
