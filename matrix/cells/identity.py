"""The identity of a cell as its own interpreter reports it, compared with the planned one."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

from packaging.utils import canonicalize_name

from matrix.cells.interface import Sandbox
from matrix.cells.job import CellJob
from matrix.interpreters.inspect import target_name
from matrix.model.capture import Cost, Identity
from matrix.model.cell import Cell
from matrix.model.environment import Image
from matrix.probes.integrations import distribution_name
from matrix.pypi.tags import is_same_version
from matrix.system.timings import IDENTITY, TIMINGS

_LOCKED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;]+)")

# The results of uname(2) for a target: with the wrong personality, installers inside choose files
# for another CPU, even though the interpreter itself is the right one.
_MACHINES = {
    "x86_64": {"x86_64", "amd64"},
    "i686": {"i386", "i486", "i586", "i686"},
    "aarch64": {"aarch64", "arm64"},
}


class IdentityError(Exception):
    """The environment's interpreter did not report its identity; the message has its output."""


def read_identity(sandbox: Sandbox, *, timeout: float) -> Identity:
    """Run the cell's interpreter; raises IdentityError, TimeoutError if it takes too long.

    The latter says nothing about the installation.
    """
    began = time.monotonic()
    try:
        output = sandbox.run([str(sandbox.fixtures / "identity.py")], timeout)
        TIMINGS.add([Cost(IDENTITY, 1, time.monotonic() - began, output.cpu_seconds or 0.0)])
        if output.code != 0:
            lines = (output.err or output.out).strip().splitlines()
            raise IdentityError(f"exit code {output.code}: {' '.join(lines[-1:])}")
        # The last line only: in a container warnings are written to the same stream.
        fields = json.loads(output.out.strip().rpartition("\n")[2])
        installed = {
            str(canonicalize_name(name)): text for name, text in fields.pop("installed").items()
        }
        return Identity(**fields, installed=dict(sorted(installed.items())))
    except TimeoutError:
        raise
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise IdentityError(f"{type(error).__name__}: {error}") from error


def target_mismatches(job: CellJob, identity: Identity) -> tuple[str, ...]:
    """Return a clause for each difference from the cell's interpreter, target or image."""
    return (*_cell_mismatches(job.planned.cell, identity), *_image_mismatches(job.image, identity))


def _cell_mismatches(cell: Cell, identity: Identity) -> Iterator[str]:
    if ".".join(identity.python.split(".")[:2]) != cell.python:
        yield f"CPython {identity.python}, not {cell.python}"
    if identity.implementation != "CPython":
        yield f"{identity.implementation}, not CPython"
    target = target_name(identity.platform, identity.machine, identity.bits)
    if target != cell.target:
        yield f"{target}, not {cell.target}"
    machines = _MACHINES.get(cell.target.partition("_")[2])
    if machines is not None and identity.machine.lower() not in machines:
        yield f"the machine reports itself as {identity.machine}"


def _image_mismatches(image: Image | None, identity: Identity) -> Iterator[str]:
    if image is None:
        return
    pairs = {
        "CPython": (identity.python, image.python),
        "build": (identity.build, image.build),
        "libc": (identity.libc, image.libc),
        "interpreter": (identity.executable, image.executable),
    }
    for name, (actual, expected) in pairs.items():
        if " ".join(actual.split()) != " ".join(expected.split()):
            yield f"{name} {actual!r}, not the image's {expected!r}"


def install_mismatches(job: CellJob, identity: Identity) -> tuple[str, ...]:
    """Return a clause for each distribution that differs from the cell or its lock."""
    cell = job.planned.cell
    expected = {"ddtrace": cell.ddtrace}
    if distribution := distribution_name(cell.framework, cell.framework_version):
        expected[str(canonicalize_name(distribution))] = cell.framework_version
    for line in job.lock:
        if match := _LOCKED.match(line):
            expected[str(canonicalize_name(match["name"]))] = match["version"]
    clauses = []
    for name, version in expected.items():
        actual = identity.installed.get(name)
        if actual is None:
            clauses.append(f"{name} {version} is not installed")
        elif not is_same_version(actual, version):
            clauses.append(f"{name} {actual}, not {version}")
    return tuple(clauses)
