"""Connect to a container engine, found as docker's own command line finds it.

https://docs.docker.com/engine/manage-resources/contexts/ has the order of the addresses. Imports
docker-py only when there is an address to try: it takes a tenth of a second.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from matrix.docker.interface import ContainerError, EngineAddress
from matrix.docker.labels import RunLabels
from matrix.errors import EngineUnavailableError
from matrix.system.paths import home_dir

if TYPE_CHECKING:
    from matrix.docker.engine import DockerEngine


_SECONDS = 5.0
"""Longest wait for an engine's answer to each of the first calls."""

_HINT = (
    "Start Docker (`sudo systemctl start docker`, or Docker Desktop), or name an engine in"
    " DOCKER_HOST or by `docker context use`. Without one, --engine local runs cells of this"
    " machine's own OS and CPU."
)


def find_addresses(environment: Mapping[str, str], home: Path) -> tuple[EngineAddress, ...]:
    """Return the addresses to try, in order: the configured one, or else the existing sockets."""
    host = environment.get("DOCKER_HOST", "").strip()
    if host:
        return (_host_address(host, environment, home),)
    config = Path(environment.get("DOCKER_CONFIG") or home / ".docker")
    context = environment.get("DOCKER_CONTEXT", "").strip()
    context = context or str(_read_json(config / "config.json").get("currentContext", ""))
    if context and context != "default":
        return (_context_address(context, config),)
    return tuple(
        EngineAddress(f"unix://{path}", str(path))
        for path in _sockets(environment, home)
        if os.path.exists(path)  # noqa: PTH110 - unlike `Path.exists`, also in a closed folder
    )


def _host_address(host: str, environment: Mapping[str, str], home: Path) -> EngineAddress:
    verify = bool(environment.get("DOCKER_TLS_VERIFY"))
    if not (verify or environment.get("DOCKER_TLS")):
        return EngineAddress(host, "DOCKER_HOST")
    folder = Path(environment.get("DOCKER_CERT_PATH") or home / ".docker")
    return EngineAddress(_https_url(host), "DOCKER_HOST", folder, verify)


def _context_address(name: str, config: Path) -> EngineAddress:
    """Return the address of a context of docker's CLI; its URL is "" for an unknown context."""
    origin = f"docker context {name!r}"
    digest = hashlib.sha256(name.encode()).hexdigest()
    endpoints = _read_json(config / "contexts" / "meta" / digest / "meta.json").get("Endpoints")
    endpoint = endpoints.get("docker") if isinstance(endpoints, dict) else None
    if not isinstance(endpoint, dict):
        return EngineAddress("", origin)
    url = str(endpoint.get("Host", ""))
    folder = config / "contexts" / "tls" / digest / "docker"
    if not os.path.isdir(folder):  # noqa: PTH112 - also in a closed folder
        return EngineAddress(url, origin)
    return EngineAddress(_https_url(url), origin, folder, not endpoint.get("SkipTLSVerify"))


def _https_url(url: str) -> str:
    return f"https://{url[len('tcp://') :]}" if url.startswith("tcp://") else url


def _read_json(path: Path) -> dict[str, object]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _sockets(environment: Mapping[str, str], home: Path) -> Iterator[Path]:
    if os.name != "posix":
        return
    yield Path("/var/run/docker.sock")
    runtime = environment.get("XDG_RUNTIME_DIR")
    if runtime:  # a rootless engine
        yield Path(runtime) / "docker.sock"
    yield home / ".docker" / "run" / "docker.sock"  # Docker Desktop on macOS
    yield home / ".docker" / "desktop" / "docker.sock"  # Docker Desktop on Linux


def connect(run: RunLabels, seconds: float = _SECONDS) -> DockerEngine:
    """Return the engine that answers; raise EngineUnavailableError with all addresses tried.

    No call may be silent for longer than `seconds` meanwhile; an engine that is known to exist may
    be busy. All objects that the engine makes get the labels of `run`. Close the engine after use.
    """
    failures = []
    for address in find_addresses(os.environ, home_dir()):
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
        return "" if os.path.exists(path) else "no such socket"  # noqa: PTH110 - as above
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
