"""Find an engine as docker's own CLI would, and connect to it: quickly, or not at all."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from matrix.docker.client import EngineAddress, addresses, make_client
from matrix.docker.engine import DockerEngine
from matrix.docker.errors import translated
from matrix.docker.interface import ContainerError
from matrix.docker.labels import RunLabels
from matrix.errors import EngineUnavailableError

__all__ = ["connect", "find_engine"]

_SECONDS = 5.0
"""An engine that does not answer within this time is none, where nobody says otherwise."""

_HINT = (
    "Start Docker (`sudo systemctl start docker`, or Docker Desktop), or name an engine in"
    " DOCKER_HOST or by `docker context use`. Without one, --engine local runs cells of this"
    " machine's own OS and CPU."
)


def connect(run: RunLabels, seconds: float = _SECONDS) -> DockerEngine:
    """Return the engine that answers; raise EngineUnavailableError, which says what was tried.

    Nothing that it is asked may take longer than `seconds`: one that is known to be there may be
    busy. Everything the engine makes is labelled as of `run`. Close it when done with it.
    """
    tried = []
    for address in addresses(os.environ, Path.home()):
        obstacle = _obstacle(address)
        if not obstacle:
            found = _answering(address, run, seconds)
            if not isinstance(found, str):
                return found
            obstacle = found
        tried.append(f"{address.url or address.said_by} ({address.said_by}): {obstacle}")
    if not tried:
        raise EngineUnavailableError("there is no container engine on this machine", _HINT)
    raise EngineUnavailableError(f"no container engine answers: {'; '.join(tried)}", _HINT)


def find_engine(run: RunLabels) -> DockerEngine | None:
    """Return the same, None where none answers."""
    try:
        return connect(run)
    except EngineUnavailableError:
        return None


def _obstacle(address: EngineAddress) -> str:
    """Return why not to try, "" where it is worth it; in no time."""
    if not address.url:
        return "there is no such context"
    if address.url.startswith("unix://"):
        if sys.platform == "win32":
            return "there are no Unix sockets here"
        path = Path(address.url[len("unix://") :])
        return "" if path.exists() else "there is no such socket"
    if address.url.startswith(("tcp://", "http://", "https://")):
        return ""
    kind = address.url.partition(":")[0]
    return f"{kind} is not a way that we can go; forward the engine's socket and name that"


def _answering(address: EngineAddress, run: RunLabels, seconds: float) -> DockerEngine | str:
    """Return the engine, or why it does not answer."""
    # Only here: docker-py takes a tenth of a second to import.

    try:
        with translated("connecting"):
            client = make_client(address, seconds)
        try:
            return DockerEngine(client, run)
        except BaseException:
            client.close()
            raise
    except ContainerError as error:
        return str(error)
