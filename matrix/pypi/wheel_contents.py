"""What was found in a wheel, as it is kept: all that policy may ask, so that it can change.

A wheel's METADATA: what it requires.

https://packaging.python.org/en/latest/specifications/core-metadata/
"""

from __future__ import annotations

import dataclasses
import email.parser
from collections.abc import Mapping
from typing import Any

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from matrix.pypi.imports import Import, ImportCondition, ModuleImports
from matrix.pypi.native_libraries import NativeLibrary

__all__ = [
    "WheelContents",
    "WheelMetadata",
    "WheelRequirement",
    "from_json",
    "modules_from_json",
    "modules_to_json",
    "read_metadata",
    "requirements_on",
    "to_json",
]


@dataclasses.dataclass(frozen=True)
class WheelMetadata:
    """`requires` are the lines as written; `odd` those that no installer of today understands."""

    name: str
    version: str
    requires_python: str
    requires: tuple[str, ...]
    odd: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class WheelRequirement:
    """One requirement that holds on some CPython and machine."""

    project: str
    specifier: str
    as_written: str


def read_metadata(content: bytes) -> WheelMetadata:
    """Return what the file says; nothing is an error here, for installers are as lenient."""
    said = email.parser.BytesParser().parsebytes(content, headersonly=True)
    lines = [str(line) for line in said.get_all("Requires-Dist", [])]
    requires = tuple(line for line in lines if _understood(line))
    return WheelMetadata(
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


def requirements_on(
    metadata: WheelMetadata, environment: dict[str, str]
) -> tuple[WheelRequirement, ...]:
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
        found.append(WheelRequirement(name, str(requirement.specifier), line))
    return tuple(found)


FORMAT = "artifact/1"


@dataclasses.dataclass(frozen=True)
class WheelContents:
    """One wheel. `names` are all its members; `notes` say what could not be read.

    `sources` names the set of its Python files, which many wheels of one release have in common;
    `modules` are what those files import.
    """

    filename: str
    sha256: str
    names: tuple[str, ...]
    libraries: tuple[NativeLibrary, ...]
    metadata: WheelMetadata
    sources: str
    modules: tuple[ModuleImports, ...] = ()
    notes: tuple[str, ...] = ()


def to_json(contents: WheelContents) -> dict[str, Any]:
    """Return all but the modules, which are kept by `sources`."""
    return {
        "format": FORMAT,
        "filename": contents.filename,
        "sha256": contents.sha256,
        "names": contents.names,
        "libraries": [dataclasses.astuple(library) for library in contents.libraries],
        "metadata": dataclasses.asdict(contents.metadata),
        "sources": contents.sources,
        "notes": contents.notes,
    }


def from_json(data: Mapping[str, Any], modules: tuple[ModuleImports, ...] = ()) -> WheelContents:
    """Return what `to_json` wrote; raise ValueError, KeyError or TypeError where it is none."""
    if data["format"] != FORMAT:
        raise ValueError(f"not {FORMAT}")
    said = data["metadata"]
    return WheelContents(
        filename=data["filename"],
        sha256=data["sha256"],
        names=tuple(data["names"]),
        libraries=tuple(
            NativeLibrary(path, form, tuple(machines), tuple(bits), _tuple(needed))
            for path, form, machines, bits, needed in data["libraries"]
        ),
        metadata=WheelMetadata(
            said["name"],
            said["version"],
            said["requires_python"],
            tuple(said["requires"]),
            tuple(said["odd"]),
        ),
        sources=data["sources"],
        modules=modules,
        notes=tuple(data["notes"]),
    )


def modules_to_json(modules: tuple[ModuleImports, ...]) -> dict[str, Any]:
    """Return the modules as plain JSON values."""
    return {
        "format": FORMAT,
        "modules": [
            [
                module.path,
                [[each.module, each.name, each.line, each.when.value] for each in module.imports],
                module.names,
                module.exact,
            ]
            for module in modules
        ],
    }


def modules_from_json(data: Mapping[str, Any]) -> tuple[ModuleImports, ...]:
    """Return what `modules_to_json` wrote; raises as `from_json` does."""
    if data["format"] != FORMAT:
        raise ValueError(f"not {FORMAT}")
    return tuple(
        ModuleImports(
            path,
            tuple(
                Import(module, name, line, ImportCondition(when))
                for module, name, line, when in imports
            ),
            _tuple(names),
            exact,
        )
        for path, imports, names, exact in data["modules"]
    )


def _tuple(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)
