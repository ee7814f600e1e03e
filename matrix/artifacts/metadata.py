"""A wheel's METADATA: what it requires.

https://packaging.python.org/en/latest/specifications/core-metadata/
"""

from __future__ import annotations

import dataclasses
import email.parser

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

__all__ = ["Metadata", "Required", "read_metadata", "required_on"]


@dataclasses.dataclass(frozen=True)
class Metadata:
    """`requires` are the lines as written; `odd` those that no installer of today understands."""

    name: str
    version: str
    requires_python: str
    requires: tuple[str, ...]
    odd: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Required:
    """One requirement that holds on some CPython and machine."""

    project: str
    specifier: str
    as_written: str


def read_metadata(content: bytes) -> Metadata:
    """Return what the file says; nothing is an error here, for installers are as lenient."""
    said = email.parser.BytesParser().parsebytes(content, headersonly=True)
    lines = [str(line) for line in said.get_all("Requires-Dist", [])]
    requires = tuple(line for line in lines if _understood(line))
    return Metadata(
        name=str(said.get("Name", "")),
        version=str(said.get("Version", "")),
        requires_python=str(said.get("Requires-Python", "")),
        requires=requires,
        odd=tuple(line for line in lines if line not in requires),
    )


def _understood(line: str) -> bool:
    try:
        Requirement(line)
    except InvalidRequirement:
        return False
    return True


def required_on(metadata: Metadata, environment: dict[str, str]) -> tuple[Required, ...]:
    """Return the requirements whose markers hold, those of extras left out.

    `environment` are marker variables (`python_version`, `sys_platform`); the rest is that of the
    machine we are on, so give all that matter.
    """
    found = []
    for line in metadata.requires:
        requirement = Requirement(line)
        if requirement.marker is not None:
            try:
                if not requirement.marker.evaluate({**environment, "extra": ""}):
                    continue
            except (UndefinedComparison, UndefinedEnvironmentName):
                continue
        name = str(canonicalize_name(requirement.name))
        found.append(Required(name, str(requirement.specifier), line))
    return tuple(found)
