"""docker-py's client with a time limit on every call, and its errors as our own.

docker-py is slow to import: import this module only where an engine is about to be used.
"""

from __future__ import annotations

import contextlib
import contextvars
import socket
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import docker
import docker.errors
import docker.tls
import requests
import urllib3.exceptions
from docker.transport import UnixHTTPAdapter
from docker.transport.unixconn import UnixHTTPConnection, UnixHTTPConnectionPool

from matrix.docker.interface import ContainerError, EngineAddress, EngineLostError
from matrix.docker.pipe import DockerPipe

SILENCE_SECONDS = 120
"""Longest silence of the engine within one call."""

NOT_FOUND = 404
CONFLICT = 409
"""HTTP status: a container is being removed already, or another object is in use."""

_OLDEST_API = "1.41"
"""Of Docker 20.10, the first whose containers can be of another platform."""

_CONNECTIONS = 64

_silence_seconds: contextvars.ContextVar[float | None] = contextvars.ContextVar(
    "silence_seconds", default=None
)


@contextlib.contextmanager
def silence_limit(seconds: float) -> Iterator[None]:
    """Allow calls of this thread in the block a silence of so many seconds."""
    token = _silence_seconds.set(seconds)
    try:
        yield
    finally:
        _silence_seconds.reset(token)


@contextlib.contextmanager
def translate_errors(action: str) -> Iterator[None]:
    """Raise every failure in the block as ContainerError or EngineLostError, prefixed by `action`.

    It covers the errors of docker-py and of the libraries that it uses.
    """
    try:
        yield
    except docker.errors.APIError as error:
        raise ContainerError(f"{action}: {error.explanation or error}") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        # Refused, reset, ended early and silent for too long all mean the same.
        raise EngineLostError(f"{action}: the engine does not answer ({error})") from error
    except (docker.errors.DockerException, ValueError) as error:
        raise ContainerError(f"{action}: {error}") from error


@contextlib.contextmanager
def allow_status(*codes: int) -> Iterator[None]:
    """Ignore the engine's errors with one of these HTTP statuses."""
    try:
        yield
    except docker.errors.APIError as error:
        if error.status_code not in codes:
            raise


class EngineClient(docker.APIClient):
    """docker-py's client, with its own time limit for calls that set none (attach among them)."""

    def request(self, method: str, url: str, **options: Any) -> requests.Response:  # type: ignore[override] # noqa: ANN401
        """Send a request; only the stream of events may be silent forever."""
        if options.get("timeout") is None and not url.endswith("/events"):
            options["timeout"] = _silence_seconds.get() or self.timeout
        return super().request(method, url, **options)

    def negotiate(self) -> None:
        """Switch to the engine's API version: newest engines refuse the oldest, and vice versa."""
        self._version = str(self.version(api_version=False)["ApiVersion"])

    def create_from_body(self, body: Mapping[str, object], name: str | None, platform: str) -> str:
        """Create a container; return its id."""
        untyped: Any = self
        return str(untyped.create_container_from_config(body, name, platform)["Id"])

    def find_image(self, reference: str) -> dict[str, Any] | None:
        """Return the engine's description of an image, None where it does not have it."""
        untyped: Any = self
        try:
            return dict(untyped.inspect_image(reference))
        except docker.errors.NotFound:
            return None

    def attach_pipe(self, container: str) -> DockerPipe:
        """Attach to a container's three standard streams."""
        streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        attached: Any = self.attach_socket(container, params=streams)
        # A SocketIO over a Unix or TCP socket, or a TLS socket; it keeps its response alive.
        connection: socket.socket = getattr(attached, "_sock", attached)
        return DockerPipe(connection, attached)


class _UnixConnection(UnixHTTPConnection):
    """Closes its socket when connecting fails: docker-py leaves that to the garbage collector."""

    def connect(self) -> None:
        if sys.platform == "win32":
            raise OSError("Windows has no Unix sockets")
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(self.timeout)
            connection.connect(self.unix_socket)
        except BaseException:
            connection.close()
            raise
        self.sock = connection


class _UnixPool(UnixHTTPConnectionPool):
    def _new_conn(self) -> Any:  # noqa: ANN401
        seconds: Any = self.timeout
        return _UnixConnection(self.base_url, self.socket_path, seconds)


class _UnixAdapter(UnixHTTPAdapter):
    def get_connection(self, url: Any, proxies: Any = None) -> _UnixPool:  # noqa: ANN401, ARG002
        with self.pools.lock:
            pool: _UnixPool | None = self.pools.get(url)
            if pool is None:
                pool = _UnixPool(url, self.socket_path, self.timeout, maxsize=self.max_pool_size)
                self.pools[url] = pool
            return pool


def create_client(address: EngineAddress, seconds: float) -> EngineClient:
    """Return a client of the engine at `address`, with the API version negotiated.

    No call may be silent for longer than `seconds`, until the client's `timeout` is changed.
    Raises docker-py's errors.
    """
    tls: docker.tls.TLSConfig | bool = False
    if address.certificates is not None:
        own, key, authority = (
            str(path) if (path := address.certificates / name).exists() else None
            for name in ("cert.pem", "key.pem", "ca.pem")
        )
        pair = (own, key) if own and key else None
        tls = docker.tls.TLSConfig(client_cert=pair, ca_cert=authority, verify=address.verify)
    client = EngineClient(
        address.url,
        version=_OLDEST_API,
        timeout=seconds,  # type: ignore[arg-type] # requests takes fractions
        tls=tls,
        max_pool_size=_CONNECTIONS,
    )
    if address.url.startswith("unix://"):
        adapter: Any = _UnixAdapter
        url = f"http+{address.url}"
        client.mount("http+docker://", adapter(url, seconds, max_pool_size=_CONNECTIONS))
    try:
        client.negotiate()
    except BaseException:
        client.close()
        raise
    return client
