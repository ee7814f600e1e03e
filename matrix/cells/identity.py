"""Who a cell is, as told from inside of it, and whether that is who it should be."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from packaging.version import InvalidVersion, Version

from matrix.cells.job import CellJob
from matrix.cells.sandbox import Sandbox
from matrix.interpreters.inspect import target_of
from matrix.model.capture import Identity
from matrix.model.cell import Cell
from matrix.model.environment import Image
from matrix.probes.integrations import distribution_of

__all__ = ["IdentityError", "identify", "not_installed", "not_the_target"]

_LOCKED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;]+)")


# What uname(2) may say where a target is run: the wrong personality makes installers of what runs
# inside choose for another CPU, though the interpreter itself is the right one.
_MACHINES = {
    "x86_64": {"x86_64", "amd64"},
    "i686": {"i386", "i486", "i586", "i686"},
    "aarch64": {"aarch64", "arm64"},
}


class IdentityError(Exception):
    """The environment's interpreter did not say who it is; the message has its words."""


def identify(place: Sandbox, *, timeout: float) -> Identity:
    """Ask the cell's interpreter; raises IdentityError, TimeoutError where it has no time to say.

    What takes too long tells of the moment: it must not be taken for what is installed.
    """
    try:
        asked = place.ask([str(place.fixtures / "identity.py")], timeout)
        if asked.code != 0:
            words = (asked.err or asked.out).strip().splitlines()
            raise IdentityError(f"exit code {asked.code}: {' '.join(words[-1:])}")
        # Whatever was said before: in a container warnings come the same way.
        told = json.loads(asked.out.strip().rpartition("\n")[2])
        installed = {_normalised(name): text for name, text in told.pop("installed").items()}
        return Identity(**told, installed=dict(sorted(installed.items())))
    except TimeoutError:
        raise
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise IdentityError(f"{type(error).__name__}: {error}") from error


def not_the_target(job: CellJob, identity: Identity) -> tuple[str, ...]:
    """Return a clause for each way in which the cell is not where it says, or not in its image."""
    return (*_not_the_cell(job.planned.cell, identity), *_not_the_image(job.image, identity))


def _not_the_cell(cell: Cell, identity: Identity) -> Iterator[str]:
    if ".".join(identity.python.split(".")[:2]) != cell.python:
        yield f"CPython {identity.python}, not {cell.python}"
    if identity.implementation != "CPython":
        yield f"{identity.implementation}, not CPython"
    target = target_of(identity.platform, identity.machine, identity.bits)
    if target != cell.target:
        yield f"{target}, not {cell.target}"
    machines = _MACHINES.get(cell.target.partition("_")[2])
    if machines is not None and identity.machine.lower() not in machines:
        yield f"a machine that calls itself {identity.machine}"


def _not_the_image(image: Image | None, identity: Identity) -> Iterator[str]:
    if image is None:
        return
    told = {
        "CPython": (identity.python, image.python),
        "build": (identity.build, image.build),
        "libc": (identity.libc, image.libc),
        "interpreter": (identity.executable, image.executable),
    }
    for what, (have, wanted) in told.items():
        if " ".join(have.split()) != " ".join(wanted.split()):
            yield f"{what} {have!r}, not the image's {wanted!r}"


def not_installed(job: CellJob, identity: Identity) -> tuple[str, ...]:
    """Return a clause for each distribution that is not what the cell or its lock says."""
    return tuple(_not_installed(job, identity))


def _not_installed(job: CellJob, identity: Identity) -> Iterator[str]:
    cell = job.planned.cell
    wanted = {"ddtrace": cell.ddtrace}
    if distribution := distribution_of(cell.framework):
        wanted[_normalised(distribution)] = cell.framework_version
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
