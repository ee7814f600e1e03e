"""Where a container engine may listen, in the order in which docker's own CLI looks.

https://docs.docker.com/engine/manage-resources/contexts/
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["Address", "addresses"]


@dataclasses.dataclass(frozen=True)
class Address:
    """An engine's URL, who says so, and the folder of certificates where it speaks TLS.

    `asked` where somebody named it: then no other one will do.
    """

    url: str
    said_by: str
    asked: bool = True
    certificates: Path | None = None
    verify: bool = True


def addresses(environment: Mapping[str, str], home: Path) -> tuple[Address, ...]:
    """Return what to try, in order: what is named, or else the sockets that are there."""
    host = environment.get("DOCKER_HOST", "").strip()
    if host:
        return (_of_host(host, environment, home),)
    config = Path(environment.get("DOCKER_CONFIG") or home / ".docker")
    context = environment.get("DOCKER_CONTEXT", "").strip() or _current(config)
    if context and context != "default":
        return (_of_context(context, config),)
    return tuple(
        Address(f"unix://{path}", str(path), asked=False)
        for path in _sockets(environment, home)
        if path.exists()
    )


def _of_host(host: str, environment: Mapping[str, str], home: Path) -> Address:
    verify = bool(environment.get("DOCKER_TLS_VERIFY"))
    if not (verify or environment.get("DOCKER_TLS")):
        return Address(host, "DOCKER_HOST")
    folder = Path(environment.get("DOCKER_CERT_PATH") or home / ".docker")
    return Address(_https(host), "DOCKER_HOST", certificates=folder, verify=verify)


def _of_context(name: str, config: Path) -> Address:
    """Return what a context of docker's CLI names; an empty URL where there is no such context."""
    said_by = f"docker context {name!r}"
    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = _json(config / "contexts" / "meta" / digest / "meta.json")
    endpoints = meta.get("Endpoints")
    endpoint = endpoints.get("docker") if isinstance(endpoints, dict) else None
    if not isinstance(endpoint, dict):
        return Address("", said_by)
    url = str(endpoint.get("Host", ""))
    folder = config / "contexts" / "tls" / digest / "docker"
    if not folder.is_dir():
        return Address(url, said_by)
    verify = not endpoint.get("SkipTLSVerify")
    return Address(_https(url), said_by, certificates=folder, verify=verify)


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
