"""Addresses where a container engine may listen, in the order of docker's own command line.

https://docs.docker.com/engine/manage-resources/contexts/
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class EngineAddress:
    """An engine's URL, where it was configured, and the folder of certificates for TLS."""

    url: str
    origin: str
    certificates: Path | None = None
    verify: bool = True


def find_addresses(environment: Mapping[str, str], home: Path) -> tuple[EngineAddress, ...]:
    """Return the addresses to try, in order: the configured one, or else the existing sockets."""
    host = environment.get("DOCKER_HOST", "").strip()
    if host:
        return (_host_address(host, environment, home),)
    config = Path(environment.get("DOCKER_CONFIG") or home / ".docker")
    context = environment.get("DOCKER_CONTEXT", "").strip() or _current_context(config)
    if context and context != "default":
        return (_context_address(context, config),)
    return tuple(
        EngineAddress(f"unix://{path}", str(path))
        for path in _sockets(environment, home)
        if path.exists()
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
    if not folder.is_dir():
        return EngineAddress(url, origin)
    return EngineAddress(_https_url(url), origin, folder, not endpoint.get("SkipTLSVerify"))


def _https_url(url: str) -> str:
    return f"https://{url[len('tcp://') :]}" if url.startswith("tcp://") else url


def _current_context(config: Path) -> str:
    return str(_read_json(config / "config.json").get("currentContext", ""))


def _read_json(path: Path) -> dict[str, object]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
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
