"""What was found in a wheel, as it is kept: all that policy may ask, so that it can change."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from matrix.artifacts.metadata import Metadata
from matrix.artifacts.native import Library
from matrix.artifacts.sources import Import, Module, When

__all__ = ["Contents", "from_json", "modules_from_json", "modules_to_json", "to_json"]

FORMAT = "artifact/1"


@dataclasses.dataclass(frozen=True)
class Contents:
    """One wheel. `names` are all its members; `notes` say what could not be read.

    `sources` names the set of its Python files, which many wheels of one release have in common;
    `modules` are what those files import.
    """

    filename: str
    sha256: str
    names: tuple[str, ...]
    libraries: tuple[Library, ...]
    metadata: Metadata
    sources: str
    modules: tuple[Module, ...] = ()
    notes: tuple[str, ...] = ()


def to_json(contents: Contents) -> dict[str, Any]:
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


def from_json(data: Mapping[str, Any], modules: tuple[Module, ...] = ()) -> Contents:
    """Return what `to_json` wrote; raise ValueError, KeyError or TypeError where it is none."""
    if data["format"] != FORMAT:
        raise ValueError(f"not {FORMAT}")
    said = data["metadata"]
    return Contents(
        filename=data["filename"],
        sha256=data["sha256"],
        names=tuple(data["names"]),
        libraries=tuple(
            Library(path, form, tuple(machines), tuple(bits), _tuple(needed))
            for path, form, machines, bits, needed in data["libraries"]
        ),
        metadata=Metadata(
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


def modules_to_json(modules: tuple[Module, ...]) -> dict[str, Any]:
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


def modules_from_json(data: Mapping[str, Any]) -> tuple[Module, ...]:
    """Return what `modules_to_json` wrote; raises as `from_json` does."""
    if data["format"] != FORMAT:
        raise ValueError(f"not {FORMAT}")
    return tuple(
        Module(
            path,
            tuple(Import(module, name, line, When(when)) for module, name, line, when in imports),
            _tuple(names),
            exact,
        )
        for path, imports, names, exact in data["modules"]
    )


def _tuple(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)
