"""docker-py's client, with a time limit on everything. To be imported late: docker-py is slow."""

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

from matrix.containers.addresses import Address
from matrix.containers.pipe import DockerPipe

__all__ = ["Client", "make_client", "patience"]

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


class Client(docker.APIClient):
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


def make_client(address: Address, seconds: float) -> Client:
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
    client = Client(
        address.url,
        version=_OLDEST,
        timeout=seconds,  # type: ignore[arg-type] # requests takes fractions
        tls=tls,
        max_pool_size=_CONNECTIONS,
    )
    if sys.platform != "win32" and address.url.startswith("unix://"):
        from matrix.containers.transport import UnixAdapter  # noqa: PLC0415 - not everywhere

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
