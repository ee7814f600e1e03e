"""docker-py's client, with a time limit on everything. To be imported late: docker-py is slow.

Where a container engine may listen, in the order in which docker's own CLI looks.

https://docs.docker.com/engine/manage-resources/contexts/
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import hashlib
import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import docker.errors
import docker.tls
import requests

from matrix.docker.pipe import DockerPipe

__all__ = ["EngineAddress", "EngineClient", "addresses", "make_client", "patience"]


@dataclasses.dataclass(frozen=True)
class EngineAddress:
    """An engine's URL, who says so, and the folder of certificates where it speaks TLS.

    `asked` where somebody named it: then no other one will do.
    """

    url: str
    said_by: str
    asked: bool = True
    certificates: Path | None = None
    verify: bool = True


def addresses(environment: Mapping[str, str], home: Path) -> tuple[EngineAddress, ...]:
    """Return what to try, in order: what is named, or else the sockets that are there."""
    host = environment.get("DOCKER_HOST", "").strip()
    if host:
        return (_of_host(host, environment, home),)
    config = Path(environment.get("DOCKER_CONFIG") or home / ".docker")
    context = environment.get("DOCKER_CONTEXT", "").strip() or _current(config)
    if context and context != "default":
        return (_of_context(context, config),)
    return tuple(
        EngineAddress(f"unix://{path}", str(path), asked=False)
        for path in _sockets(environment, home)
        if path.exists()
    )


def _of_host(host: str, environment: Mapping[str, str], home: Path) -> EngineAddress:
    verify = bool(environment.get("DOCKER_TLS_VERIFY"))
    if not (verify or environment.get("DOCKER_TLS")):
        return EngineAddress(host, "DOCKER_HOST")
    folder = Path(environment.get("DOCKER_CERT_PATH") or home / ".docker")
    return EngineAddress(_https(host), "DOCKER_HOST", certificates=folder, verify=verify)


def _of_context(name: str, config: Path) -> EngineAddress:
    """Return what a context of docker's CLI names; an empty URL where there is no such context."""
    said_by = f"docker context {name!r}"
    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = _json(config / "contexts" / "meta" / digest / "meta.json")
    endpoints = meta.get("Endpoints")
    endpoint = endpoints.get("docker") if isinstance(endpoints, dict) else None
    if not isinstance(endpoint, dict):
        return EngineAddress("", said_by)
    url = str(endpoint.get("Host", ""))
    folder = config / "contexts" / "tls" / digest / "docker"
    if not folder.is_dir():
        return EngineAddress(url, said_by)
    verify = not endpoint.get("SkipTLSVerify")
    return EngineAddress(_https(url), said_by, certificates=folder, verify=verify)


def _https(url: str) -> str:
    return f"https://{url[len('tcp://') :]}" if url.startswith("tcp://") else url


def _current(config: Path) -> str:
    return str(_json(config / "config.json").get("currentContext", ""))


def _json(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _sockets(environment: Mapping[str, str], home: Path) -> Iterator[Path]:
    if os.name != "posix":
        return
    yield Path("/var/run/docker.sock")
    runtime = environment.get("XDG_RUNTIME_DIR")
    if runtime:  # an engine without root
        yield Path(runtime) / "docker.sock"
    yield home / ".docker" / "run" / "docker.sock"  # Docker Desktop on macOS
    yield home / ".docker" / "desktop" / "docker.sock"  # Docker Desktop on Linux


SECONDS = 120
"""How long the engine may be silent while it does one thing."""


_OLDEST = "1.41"
"""Of Docker 20.10, the first whose containers can be of another platform."""


_CONNECTIONS = 64

_patience: contextvars.ContextVar[float | None] = contextvars.ContextVar("patience", default=None)


@contextlib.contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Let the engine be silent for so long within, in this thread."""
    token = _patience.set(seconds)
    try:
        yield
    finally:
        _patience.reset(token)


class EngineClient(docker.APIClient):
    """Some of docker-py's calls (attach among them) set no limit: the client's own counts then."""

    def request(self, method: str, url: str, **options: Any) -> requests.Response:  # type: ignore[override] # noqa: ANN401
        """Send a request; only the stream of events may be silent for ever."""
        if options.get("timeout") is None and not url.endswith("/events"):
            options["timeout"] = _patience.get() or self.timeout
        return super().request(method, url, **options)

    def negotiate(self) -> None:
        """Speak the API that the engine speaks: newest ones refuse the oldest, and the reverse."""
        self._version = str(self.version(api_version=False)["ApiVersion"])

    def created(self, body: Mapping[str, object], name: str | None, platform: str) -> str:
        """Create a container; return its id."""
        untyped: Any = self
        made = untyped.create_container_from_config(body, name, platform)
        return str(made["Id"])

    def inspected(self, reference: str) -> dict[str, Any] | None:
        """Return what the engine says of an image, None where it has none."""
        untyped: Any = self
        try:
            return dict(untyped.inspect_image(reference))
        except docker.errors.NotFound:
            return None

    def attached(self, container: str) -> DockerPipe:
        """Attach to a container's three streams."""
        wanted = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        found: Any = self.attach_socket(container, params=wanted)
        # A SocketIO over a Unix or TCP socket, or a TLS socket; it keeps its response alive.
        connection: socket.socket = getattr(found, "_sock", found)
        return DockerPipe(connection, found)


def make_client(address: EngineAddress, seconds: float) -> EngineClient:
    """Return a client of the engine at `address`, which has said which API it speaks.

    Nothing that it does may be silent for longer than `seconds`, until `timeout` is set to
    something else. Raises what docker-py raises.
    """
    tls: docker.tls.TLSConfig | bool = False
    if address.certificates is not None:
        folder = address.certificates
        pair = (folder / "cert.pem", folder / "key.pem")
        authority = folder / "ca.pem"
        tls = docker.tls.TLSConfig(
            client_cert=(str(pair[0]), str(pair[1])) if all(p.exists() for p in pair) else None,
            ca_cert=str(authority) if authority.exists() else None,
            verify=address.verify,
        )
    client = EngineClient(
        address.url,
        version=_OLDEST,
        timeout=seconds,  # type: ignore[arg-type] # requests takes fractions
        tls=tls,
        max_pool_size=_CONNECTIONS,
    )
    if sys.platform != "win32" and address.url.startswith("unix://"):
        from matrix.docker.unix_transport import UnixAdapter  # noqa: PLC0415 - not everywhere

        path = address.url[len("unix://") :]
        make: Any = UnixAdapter
        client.mount(
            "http+docker://", make(f"http+unix://{path}", seconds, max_pool_size=_CONNECTIONS)
        )
    try:
        client.negotiate()
    except BaseException:
        client.close()
        raise
    return client
