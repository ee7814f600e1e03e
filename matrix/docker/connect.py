"""Connect to a container engine, found as docker's own command line finds it.

Imports docker-py only when there is an address to try: it takes a tenth of a second.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from matrix.docker.addresses import EngineAddress, find_addresses
from matrix.docker.interface import ContainerError
from matrix.docker.labels import RunLabels
from matrix.errors import EngineUnavailableError

if TYPE_CHECKING:
    from matrix.docker.engine import DockerEngine


_SECONDS = 5.0
"""Longest wait for an engine's answer to each of the first calls."""

_HINT = (
    "Start Docker (`sudo systemctl start docker`, or Docker Desktop), or name an engine in"
    " DOCKER_HOST or by `docker context use`. Without one, --engine local runs cells of this"
    " machine's own OS and CPU."
)


def connect(run: RunLabels, seconds: float = _SECONDS) -> DockerEngine:
    """Return the engine that answers; raise EngineUnavailableError with all addresses tried.

    No call may be silent for longer than `seconds` meanwhile; an engine that is known to exist may
    be busy. All objects that the engine makes get the labels of `run`. Close the engine after use.
    """
    failures = []
    for address in find_addresses(os.environ, Path.home()):
        failure = _find_obstacle(address)
        if not failure:
            try:
                return _connect_to(address, run, seconds)
            except ContainerError as error:
                failure = str(error)
        failures.append(f"{address.url or address.origin} ({address.origin}): {failure}")
    if not failures:
        raise EngineUnavailableError("there is no container engine on this machine", _HINT)
    raise EngineUnavailableError(f"no container engine answers: {'; '.join(failures)}", _HINT)


def find_engine(run: RunLabels) -> DockerEngine | None:
    """Return the engine that answers, None where none does."""
    try:
        return connect(run)
    except EngineUnavailableError:
        return None


def _find_obstacle(address: EngineAddress) -> str:
    """Return the reason not to try an address, "" where there is none; without connecting."""
    if not address.url:
        return "unknown context"
    if address.url.startswith("unix://"):
        if sys.platform == "win32":
            return "Windows has no Unix sockets"
        path = Path(address.url[len("unix://") :])
        return "" if path.exists() else "no such socket"
    if address.url.startswith(("tcp://", "http://", "https://")):
        return ""
    kind = address.url.partition(":")[0]
    return f"unsupported protocol {kind!r}; forward the engine's socket and name that"


def _connect_to(address: EngineAddress, run: RunLabels, seconds: float) -> DockerEngine:
    """Return the engine at an address; raise ContainerError."""
    from matrix.docker.client import create_client, translate_errors  # noqa: PLC0415 - slow
    from matrix.docker.engine import DockerEngine  # noqa: PLC0415 - slow to import

    with translate_errors("connecting"):
        client = create_client(address, seconds)
    try:
        return DockerEngine(client, run)
    except BaseException:
        client.close()
        raise
