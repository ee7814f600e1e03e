"""A minimal image registry on loopback, to pull from by digest.

https://distribution.github.io/distribution/spec/api/
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["SmallRegistry", "small_registry"]

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class SmallRegistry:
    """`blobs` are media type and content by digest; if `silent`, it answers only when closed."""

    def __init__(self, port: int) -> None:
        self.host = f"127.0.0.1:{port}"
        self.blobs: dict[str, tuple[str, bytes]] = {}
        self.silent = False
        self.closing = threading.Event()

    def add(self, name: str, cpu: str) -> str:
        """Add an image of one small file; return the reference to pull it by."""
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            info = tarfile.TarInfo("word")
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
        packed = gzip.compress(layer.getvalue(), mtime=0)
        diff_id = f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"
        config = json.dumps(
            {
                "architecture": cpu,
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            }
        ).encode()
        kind = "application/vnd.docker.{}"
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self._blob(kind.format("container.image.v1+json"), config),
            "layers": [self._blob(kind.format("image.rootfs.diff.tar.gzip"), packed)],
        }
        digest = self._blob(_MANIFEST, json.dumps(manifest).encode())["digest"]
        return f"{self.host}/{name}@{digest}"

    def _blob(self, kind: str, content: bytes) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.blobs[digest] = (kind, content)
        return {"mediaType": kind, "size": len(content), "digest": digest}


@contextmanager
def small_registry() -> Iterator[SmallRegistry]:
    """Run a registry for the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(body=True)

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def answer(self, *, body: bool) -> None:
            if registry.silent:
                registry.closing.wait(60)
            digest = self.path.rpartition("/")[2]
            kind, content = registry.blobs.get(digest, ("application/json", b"{}"))
            exists = digest in registry.blobs or self.path == "/v2/"
            self.send_response(200 if exists else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            if exists and digest:
                self.send_header("Docker-Content-Digest", digest)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        registry = SmallRegistry(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield registry
        finally:
            registry.closing.set()
            server.shutdown()
            thread.join()
