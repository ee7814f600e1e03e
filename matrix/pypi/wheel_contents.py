"""Contents of a wheel that audits check, their JSON form, and the parser of its METADATA.

The JSON form holds everything that a check may need, so that checks can change without a new
download. https://packaging.python.org/en/latest/specifications/core-metadata/
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


@dataclasses.dataclass(frozen=True)
class WheelMetadata:
    """Metadata of a wheel: `requires` are its lines as written, `odd` the ones that are invalid."""

    name: str
    version: str
    requires_python: str
    requires: tuple[str, ...]
    odd: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class WheelRequirement:
    """A requirement whose marker holds on a CPython and machine."""

    project: str
    specifier: str
    as_written: str


def read_metadata(content: bytes) -> WheelMetadata:
    """Parse METADATA; nothing is an error, as installers are as lenient."""
    message = email.parser.BytesParser().parsebytes(content, headersonly=True)
    lines = [str(line) for line in message.get_all("Requires-Dist", [])]
    requires = tuple(line for line in lines if _is_requirement(line))
    return WheelMetadata(
        name=str(message.get("Name", "")),
        version=str(message.get("Version", "")),
        requires_python=str(message.get("Requires-Python", "")),
        requires=requires,
        odd=tuple(line for line in lines if line not in requires),
    )


def _is_requirement(line: str) -> bool:
    try:
        Requirement(line)
    except InvalidRequirement:
        return False
    return True


def requirements_on(
    metadata: WheelMetadata, environment: dict[str, str]
) -> tuple[WheelRequirement, ...]:
    """Return the requirements whose markers hold, without those of extras.

    `environment` are marker variables (`python_version`, `sys_platform`); missing ones are those
    of this machine.
    """
    requirements = []
    for line in metadata.requires:
        requirement = Requirement(line)
        if requirement.marker is not None:
            try:
                if not requirement.marker.evaluate({**environment, "extra": ""}):
                    continue
            except (UndefinedComparison, UndefinedEnvironmentName):
                continue
        name = str(canonicalize_name(requirement.name))
        requirements.append(WheelRequirement(name, str(requirement.specifier), line))
    return tuple(requirements)


FORMAT = "artifact/1"


@dataclasses.dataclass(frozen=True)
class WheelContents:
    """The contents of one wheel: `names` are its members, `notes` describe unreadable ones.

    `sources` is a digest over its Python files, which many wheels of one release have in common;
    `modules` are the imports of those files.
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
    """Return the contents as JSON values, without the modules, which are stored by `sources`."""
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
    """Return the contents that `to_json` wrote; raise ValueError, KeyError or TypeError."""
    if data["format"] != FORMAT:
        raise ValueError(f"not {FORMAT}")
    metadata = data["metadata"]
    return WheelContents(
        filename=data["filename"],
        sha256=data["sha256"],
        names=tuple(data["names"]),
        libraries=tuple(
            NativeLibrary(path, form, tuple(machines), tuple(bits), _tuple(needed))
            for path, form, machines, bits, needed in data["libraries"]
        ),
        metadata=WheelMetadata(
            metadata["name"],
            metadata["version"],
            metadata["requires_python"],
            tuple(metadata["requires"]),
            tuple(metadata["odd"]),
        ),
        sources=data["sources"],
        modules=modules,
        notes=tuple(data["notes"]),
    )


def modules_to_json(modules: tuple[ModuleImports, ...]) -> dict[str, Any]:
    """Return the modules as JSON values."""
    return {
        "format": FORMAT,
        "modules": [
            [
                module.path,
                [
                    [item.module, item.name, item.line, item.condition.value]
                    for item in module.imports
                ],
                module.names,
                module.exact,
            ]
            for module in modules
        ],
    }


def modules_from_json(data: Mapping[str, Any]) -> tuple[ModuleImports, ...]:
    """Return the modules from `modules_to_json`; raises as `from_json` does."""
    if data["format"] != FORMAT:
        raise ValueError(f"not {FORMAT}")
    return tuple(
        ModuleImports(
            path,
            tuple(
                Import(module, name, line, ImportCondition(condition))
                for module, name, line, condition in imports
            ),
            _tuple(names),
            exact,
        )
        for path, imports, names, exact in data["modules"]
    )


def _tuple(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)
