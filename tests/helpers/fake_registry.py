"""A registry on loopback with the distribution protocol: token challenge, indexes, blobs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

__all__ = ["DOCKER_LIST", "MANIFEST", "OCI_INDEX", "FakeRegistry", "build_index", "fake_registry"]

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
TOKEN = "a-token"


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def build_index(kind: str, digests: dict[str, str]) -> bytes:
    """Return an index of platforms, with an attestation as builders add them."""
    entries: list[dict[str, object]] = []
    for platform, digest in digests.items():
        system, cpu, *variant = platform.split("/")
        parts = {"os": system, "architecture": cpu, **({"variant": variant[0]} if variant else {})}
        entries.append({"mediaType": MANIFEST, "digest": digest, "size": 1, "platform": parts})
    unknown = {"os": "unknown", "architecture": "unknown"}
    entries.append({"mediaType": MANIFEST, "digest": digest_of(b"a"), "platform": unknown})
    return json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": entries}).encode()


class FakeRegistry:
    """`manifests` by `repository:tag` or `repository@digest`: media type and body; `blobs` by
    digest. `requests` are the paths of all requests that had a token.
    """

    def __init__(self) -> None:
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.blobs: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.realm = ""
        self.host = ""

    def add(self, repository: str, kind: str, body: bytes, tag: str = "") -> str:
        digest = digest_of(body)
        self.manifests[f"{repository}@{digest}"] = (kind, body)
        if tag:
            self.manifests[f"{repository}:{tag}"] = (kind, body)
        return digest

    def add_blob(self, data: bytes) -> dict[str, object]:
        self.blobs[digest_of(data)] = data
        return {"digest": digest_of(data), "size": len(data)}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        self.registry = FakeRegistry()
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/token":
            scope = parse_qs(parts.query).get("scope", [""])[0]
            valid = scope.startswith("repository:") and scope.endswith(":pull")
            self.answer(200 if valid else 400, json.dumps({"token": TOKEN}).encode())
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            repository = parts.path.removeprefix("/v2/").partition("/manifests/")[0]
            challenge = f'Bearer realm="{self.server.registry.realm}",service="fake"'
            if repository:
                challenge += f',scope="repository:{repository}:pull"'
            errors = json.dumps({"errors": [{"message": "authentication required"}]}).encode()
            self.answer(401, errors, {"WWW-Authenticate": challenge})
        else:
            self.server.registry.requests.append(parts.path)
            self.answer_authorized(parts.path)

    def answer_authorized(self, path: str) -> None:
        repository, _, name = path.removeprefix("/v2/").partition("/manifests/")
        key = f"{repository}{'@' if name.startswith('sha256:') else ':'}{name}"
        blob = self.server.registry.blobs.get(path.rpartition("/blobs/")[2])
        if path == "/v2/":
            self.answer(200, b"{}")
        elif key in self.server.registry.manifests:
            kind, body = self.server.registry.manifests[key]
            extra = {"Content-Type": kind, "Docker-Content-Digest": digest_of(body)}
            self.answer(200, body, extra)
        elif blob is not None:
            self.answer(200, blob, {"Content-Type": "application/octet-stream"})
        else:
            errors = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}
            self.answer(404, json.dumps(errors).encode())

    def answer(self, code: int, body: bytes, extra: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in {"Content-Type": "application/json", **(extra or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


@contextlib.contextmanager
def fake_registry() -> Iterator[FakeRegistry]:
    with _Server() as server:
        registry = server.registry
        registry.host = f"127.0.0.1:{server.server_port}"
        registry.realm = f"http://{registry.host}/token"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield registry
        finally:
            server.shutdown()
            thread.join()
