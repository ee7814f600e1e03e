"""A small API server of Kubernetes on a loopback port, with the objects that cells need.

Namespaces, ConfigMaps, pods with their watch and logs, reviews of access, and what kubectl asks
first. It stores objects as they come, counts versions, deletes what is in a namespace with it, and
answers errors as Status objects. A `Kubelet` runs the pods: it gets each as it is created, and says
what becomes of it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["Denial", "FakeKubernetes", "Kubelet", "running_kubernetes", "write_kubeconfig"]

Object = dict[str, Any]
Key = tuple[str, str, str]
"""Kind (as in URLs), namespace and name."""
Kubelet = Callable[["FakeKubernetes", Object], None]

CONTEXT = "kind-test"
_KINDS = {"namespaces": "Namespace", "configmaps": "ConfigMap", "pods": "Pod"}
_REASONS = {403: "Forbidden", 404: "NotFound", 409: "AlreadyExists", 429: "TooManyRequests"}
_VERBS = ["create", "delete", "get", "list", "watch"]


@dataclasses.dataclass
class Denial:
    """An error for calls of a verb on a kind, at most `times` of them (None for all)."""

    verb: str
    kind: str
    status: int
    message: str
    times: int | None = None
    headers: dict[str, str] = dataclasses.field(default_factory=dict)


class FakeKubernetes:
    """The state of the server; safe for threads. `calls` are `VERB kind` in their order."""

    def __init__(self, kubelet: Kubelet | None = None) -> None:
        self.objects: dict[Key, Object] = {}
        self.logs: dict[tuple[str, str], bytes] = {}
        self.denials: list[Denial] = []
        self.rights: Callable[[str, str], bool] = lambda _verb, _resource: True
        self.calls: list[str] = []
        self.changed = threading.Condition()
        self.url = ""
        self.kubelet = kubelet
        self._version = 0
        self._events: list[tuple[int, str, Key, Object]] = []
        self.threads: list[threading.Thread] = []

    def names(self, kind: str) -> list[str]:
        """Return the names of all objects of a kind."""
        with self.changed:
            return [name for found, _, name in self.objects if found == kind]

    def create(self, kind: str, namespace: str, body: Object) -> Object:
        """Store an object; raise FileExistsError where there is one of its name."""
        key = (kind, namespace, body["metadata"]["name"])
        with self.changed:
            if key in self.objects:
                raise FileExistsError(key[2])
            if namespace and ("namespaces", "", namespace) not in self.objects:
                raise KeyError(namespace)
            body = json.loads(json.dumps(body))
            if namespace:
                body["metadata"]["namespace"] = namespace
            if kind == "pods":
                body["status"] = {"phase": "Pending"}
            self._store("ADDED", key, body)
        if kind == "pods" and self.kubelet is not None:
            thread = threading.Thread(target=self.kubelet, args=(self, body), daemon=True)
            self.threads.append(thread)
            thread.start()
        return body

    def set_status(self, namespace: str, name: str, status: Object) -> None:
        """Change the status of a pod, if it still exists."""
        key = ("pods", namespace, name)
        with self.changed:
            if (pod := self.objects.get(key)) is None:
                return
            self._store("MODIFIED", key, {**pod, "status": status})

    def delete(self, key: Key) -> Object:
        """Remove an object, and what is in a namespace; raise KeyError where there is none."""
        with self.changed:
            body = self.objects[key]
            inside = [
                other for other in self.objects if key[0] == "namespaces" and other[1] == key[2]
            ]
            for other in (*inside, key):
                gone = self.objects.pop(other)
                self._version += 1
                self._events.append((self._version, "DELETED", other, gone))
            self.changed.notify_all()
            return body

    def exists(self, key: Key) -> bool:
        """Return whether there is such an object."""
        with self.changed:
            return key in self.objects

    def list(self, kind: str, namespace: str, fields: str, labels: str) -> tuple[int, list[Object]]:
        """Return the version of the list, and the objects that the selectors name."""
        with self.changed:
            found = [
                body
                for (other, within, name), body in self.objects.items()
                if other == kind and within == namespace
                if not fields or fields == f"metadata.name={name}"
                if not labels or _has_label(body, labels)
            ]
            return self._version, found

    def events(self, key: Key, after: int, seconds: float) -> Iterator[tuple[str, Object]]:
        """Yield the events of an object after a version, for so many seconds."""
        until = time.monotonic() + seconds
        while True:
            with self.changed:
                new = [event for event in self._events if event[0] > after and event[2] == key]
                if not new:
                    left = until - time.monotonic()
                    if left <= 0:
                        return
                    self.changed.wait(min(left, 0.2))
                    continue
            for version, kind, _, body in new:
                after = version
                yield kind, body

    def denial(self, verb: str, kind: str) -> Denial | None:
        """Return the error that a call gets, and count it."""
        with self.changed:
            self.calls.append(f"{verb} {kind}")
            for denial in self.denials:
                if (denial.verb, denial.kind) == (verb, kind) and denial.times != 0:
                    denial.times = None if denial.times is None else denial.times - 1
                    return denial
        return None

    def _store(self, event: str, key: Key, body: Object) -> None:
        self._version += 1
        body["metadata"] = {**body["metadata"], "resourceVersion": str(self._version)}
        self.objects[key] = body
        self._events.append((self._version, event, key, body))
        self.changed.notify_all()


@contextlib.contextmanager
def running_kubernetes(kubelet: Kubelet | None = None) -> Iterator[FakeKubernetes]:
    """Yield a cluster whose API server listens on a loopback port."""
    cluster = FakeKubernetes(kubelet)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(cluster))
    server.daemon_threads = True
    cluster.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield cluster
    finally:
        for key in list(cluster.objects):
            with contextlib.suppress(KeyError):
                cluster.delete(key)
        for runner in cluster.threads:
            runner.join(20)
        server.shutdown()
        server.server_close()
        thread.join()


def write_kubeconfig(path: Path, url: str, *names: str) -> Path:
    """Write a kubeconfig with contexts of these names (by default CONTEXT) for one server."""
    names = names or (CONTEXT,)
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": names[0],
        "clusters": [{"name": "fake", "cluster": {"server": url}}],
        "users": [{"name": "me", "user": {"token": "not-a-secret"}}],
        "contexts": [
            {"name": name, "context": {"cluster": "fake", "user": "me"}} for name in names
        ],
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def _has_label(body: Object, selector: str) -> bool:
    name, _, value = selector.partition("=")
    return bool((body["metadata"].get("labels") or {}).get(name) == value)


def _handler(cluster: FakeKubernetes) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(_ApiHandler):
        state = cluster

    return Handler


class _ApiHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: FakeKubernetes

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path, query = self._parse()
        kind, namespace, name, part = _resource(path)
        if path == "/version":
            self._answer({"major": "1", "minor": "34", "gitVersion": "v1.34.1"})
        elif found := _DISCOVERY.get(path):
            self._answer(found)
        elif not kind:
            self._error(404, f"no such path: {path}")
        elif "watch" in query and query["watch"] not in {"0", "false"}:
            if not self._denied("watch", kind):
                self._watch(kind, namespace, query)
        elif part == "log":
            if not self._denied("get", "pods/log"):
                self._log(namespace, name, query)
        elif not self._denied("get" if name else "list", kind):
            self._get(kind, namespace, name, query)

    def do_POST(self) -> None:
        path, _ = self._parse()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews":
            wanted = body["spec"]["resourceAttributes"]
            resource = "/".join(filter(None, (wanted["resource"], wanted.get("subresource"))))
            allowed = self.state.rights(wanted["verb"], resource)
            self._answer({**body, "status": {"allowed": allowed}}, 201)
            return
        kind, namespace, _, _ = _resource(path)
        if self._denied("create", kind):
            return
        try:
            self._answer(_typed(kind, self.state.create(kind, namespace, body)), 201)
        except FileExistsError as error:
            self._error(409, f"{kind} {error} already exists")
        except KeyError as error:
            self._error(404, f"namespaces {error} not found")

    def do_DELETE(self) -> None:
        path, _ = self._parse()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind, namespace, name, _ = _resource(path)
        if self._denied("delete", kind):
            return
        try:
            self._answer(_typed(kind, self.state.delete((kind, namespace, name))))
        except KeyError:
            self._error(404, f'{kind} "{name}" not found')

    def _parse(self) -> tuple[str, dict[str, str]]:
        url = urllib.parse.urlsplit(self.path)
        return url.path.rstrip("/"), dict(urllib.parse.parse_qsl(url.query))

    def _get(self, kind: str, namespace: str, name: str, query: dict[str, str]) -> None:
        selectors = (query.get("fieldSelector", ""), query.get("labelSelector", ""))
        if name:
            found = self.state.list(kind, namespace, f"metadata.name={name}", "")[1]
            if found:
                self._answer(_typed(kind, found[0]))
            else:
                self._error(404, f'{kind} "{name}" not found')
            return
        version, items = self.state.list(kind, namespace, *selectors)
        self._answer(
            {
                "apiVersion": "v1",
                "kind": f"{_KINDS[kind]}List",
                "metadata": {"resourceVersion": str(version)},
                "items": [_typed(kind, item) for item in items],
            }
        )

    def _watch(self, kind: str, namespace: str, query: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        name = query["fieldSelector"].removeprefix("metadata.name=")
        after = int(query.get("resourceVersion") or 0)
        seconds = float(query.get("timeoutSeconds", 60))
        with contextlib.suppress(OSError):
            for event, body in self.state.events((kind, namespace, name), after, seconds):
                line = json.dumps({"type": event, "object": _typed(kind, body)}).encode() + b"\n"
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

    def _log(self, namespace: str, name: str, query: dict[str, str]) -> None:
        if not self.state.exists(("pods", namespace, name)):
            self._error(404, f'pods "{name}" not found')
            return
        text = self.state.logs.get((name, query["container"]), b"")
        if lines := int(query.get("tailLines", 0)):
            text = b"".join(text.splitlines(keepends=True)[-lines:])
        self._send(200, text, "text/plain")

    def _denied(self, verb: str, kind: str) -> bool:
        denial = self.state.denial(verb, kind)
        if denial is None:
            return False
        if denial.status == 0:
            self.close_connection = True  # without an answer
        else:
            self._error(denial.status, denial.message, denial.headers)
        return True

    def _error(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "Status",
            "status": "Failure",
            "message": message,
            "reason": _REASONS.get(status, "InternalError"),
            "code": status,
        }
        self._send(status, json.dumps(body).encode(), "application/json", headers)

    def _answer(self, body: Object, status: int = 200) -> None:
        self._send(status, json.dumps(body).encode(), "application/json")

    def _send(
        self, status: int, content: bytes, kind: str, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _typed(kind: str, body: Object) -> Object:
    return {"apiVersion": "v1", "kind": _KINDS[kind], **body}


def _resource(path: str) -> tuple[str, str, str, str]:
    """Return kind, namespace, name and part (`log`) of a path, "" for what it has not."""
    words = path.removeprefix("/api/v1/").split("/") if path.startswith("/api/v1/") else []
    if words[:1] == ["namespaces"] and len(words) > 2:
        kind, name, part = (*words[2:], "", "")[:3]
        return (kind if kind in _KINDS else "", words[1], name, part)
    kind, name = (*words, "", "")[:2]
    return (kind if kind in _KINDS else "", "", name, "")


_DISCOVERY: dict[str, Object] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {
                "name": name,
                "singularName": kind.lower(),
                "kind": kind,
                "namespaced": name != "namespaces",
                "verbs": _VERBS,
            }
            for name, kind in _KINDS.items()
        ],
    },
}
