"""Who a cell is, as told from inside of it, and whether that is who it should be."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from packaging.version import InvalidVersion, Version

from matrix.cells.environment import bare_environment
from matrix.cells.job import CellJob
from matrix.model.capture import Identity

__all__ = ["IdentityError", "identify", "mismatches"]

_LOCKED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;]+)")


class IdentityError(Exception):
    """The environment's interpreter did not say who it is; the message has its words."""


def identify(job: CellJob, scratch: Path, *, timeout: float) -> Identity:
    """Ask the environment's interpreter; raises IdentityError."""
    try:
        asked = subprocess.run(
            [str(job.python), str(job.fixtures / "identity.py")],
            env=bare_environment(scratch),
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        if asked.returncode != 0:
            words = asked.stderr.decode("utf-8", "replace").strip().splitlines()
            raise IdentityError(f"exit code {asked.returncode}: {' '.join(words[-1:])}")
        told = json.loads(asked.stdout)
        installed = {_normalised(name): text for name, text in told.pop("installed").items()}
        return Identity(**told, installed=dict(sorted(installed.items())))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError, KeyError) as error:
        raise IdentityError(f"{type(error).__name__}: {error}") from error


def mismatches(job: CellJob, identity: Identity) -> tuple[str, ...]:
    """Return a clause for each thing that is not what the cell or its lock says."""
    return tuple(_mismatches(job, identity))


def _mismatches(job: CellJob, identity: Identity) -> Iterator[str]:
    cell = job.planned.cell
    if ".".join(identity.python.split(".")[:2]) != cell.python:
        yield f"CPython {identity.python}, not {cell.python}"
    wanted = {"ddtrace": cell.ddtrace, _normalised(cell.framework): cell.framework_version}
    for line in job.lock:
        if found := _LOCKED.match(line):
            wanted[_normalised(found["name"])] = found["version"]
    for name, version in wanted.items():
        have = identity.installed.get(name)
        if have is None:
            yield f"{name} {version} is not installed"
        elif not _same(have, version):
            yield f"{name} {have}, not {version}"


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _same(have: str, wanted: str) -> bool:
    try:
        return Version(have) == Version(wanted)
    except InvalidVersion:
        return have == wanted
