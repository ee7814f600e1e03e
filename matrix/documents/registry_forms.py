"""The rows of the tracer's registry in JSON, CSV and YAML, each with its line in the file."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from matrix.documents.source import DocumentSource
from matrix.errors import UnreadableInputError

_JSON_KEYS = ('"dependency"', '"python_versions"')
_YAML_START = re.compile(r"integrations\s*:\s*(?:#.*)?$")
_YAML_KEYS = ("integration_name", "dependency_names", "tested_versions_by_dependency")
_SEPARATOR = re.compile(r"[\s,]*")
_PYTHON = re.compile(r"\d+\.\d+")
_MARKED = re.compile(r"\s*\*+$")
_AUTOMATIC = {"true": True, "yes": True, "false": False, "no": False}


@dataclasses.dataclass(frozen=True)
class RegistryRow:
    """An entry of a registry: one dependency, on one CPython if it tells them apart.

    `lines` are those of its `versions`, empty where they have none of their own. `problem` says
    what is not understood of it; its other fields are what is known.
    """

    line: int
    integration: str
    dependency: str = ""
    python: str = ""
    minimum: str = ""
    maximum: str = ""
    versions: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()
    automatic: bool | None = None
    note: str = ""
    problem: str = ""


def registry_rows(source: DocumentSource) -> list[RegistryRow] | None:
    """Return the rows of a registry, None for a file of another shape.

    Raises `UnreadableInputError` for JSON or YAML that is damaged.
    """
    written = [line.strip() for line in source.lines if line.strip()]
    text = "\n".join(source.lines)
    if not written:  # nothing but a front matter
        return None
    if written[0].startswith(("[", "{")) and all(key in text for key in _JSON_KEYS):
        return list(_json_rows(text, source))
    header = [cell.strip().casefold() for cell in next(csv.reader(written[:1]), [])]
    if {"dependency", "integration"} <= set(header):
        return list(_csv_rows(source.lines, header))
    content = (line for line in written if not line.startswith(("#", "---")))
    if _YAML_START.match(next(content, "")) and _YAML_KEYS[0] in text:
        return list(_yaml_rows(text, source))
    return None


def _json_rows(text: str, source: DocumentSource) -> Iterator[RegistryRow]:
    """Decode the entries of the list one by one: that tells on which line each begins."""
    decoder = json.JSONDecoder(object_pairs_hook=_unique)
    position, line = text.find("[") + 1, 1
    counted = 0
    try:
        while text[(position := _after_separator(text, position))] != "]":
            line += text.count("\n", counted, position)
            counted = position
            entry, position = decoder.raw_decode(text, position)
            yield from _json_entry(entry, text[counted:position], line)
    except (ValueError, IndexError, RecursionError) as error:
        line = text.count("\n", 0, getattr(error, "pos", position)) + 1
        detail = getattr(error, "msg", error)
        raise UnreadableInputError(
            f"{source.path}:{line}: damaged JSON of the tracer's registry: {detail}",
            "Get the file again.",
        ) from None


def _after_separator(text: str, position: int) -> int:
    match = _SEPARATOR.match(text, position)
    return match.end() if match else position


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"{next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return found


def _json_entry(entry: object, text: str, line: int) -> Iterator[RegistryRow]:
    if not isinstance(entry, dict):
        yield RegistryRow(line, "", problem="no object")
        return
    integration, note = _integration(entry.get("integration"))
    automatic = entry.get("auto-instrumented")
    row = RegistryRow(
        line,
        integration,
        str(entry.get("dependency") or ""),
        automatic=automatic if isinstance(automatic, bool) else None,
        note=note,
    )
    pythons = entry.get("python_versions")
    if not isinstance(pythons, dict) or not pythons:
        yield dataclasses.replace(row, problem="no versions of CPython")
        return
    for python, ranges in pythons.items():
        key = re.search(rf"{re.escape(json.dumps(python))}\s*:", text)
        at = line + (text.count("\n", 0, key.start()) if key else 0)
        here = dataclasses.replace(row, line=at, python=python)
        tested = ranges.get("tested_versions", []) if isinstance(ranges, dict) else None
        if not isinstance(ranges, dict) or not _PYTHON.fullmatch(python):
            yield dataclasses.replace(here, problem=f"no range of versions for CPython {python!r}")
        elif not isinstance(tested, list) or not all(isinstance(one, str) for one in tested):
            yield dataclasses.replace(here, problem="no list of tested versions")
        else:
            yield dataclasses.replace(
                here,
                minimum=str(ranges.get("minimum_package_version") or ""),
                maximum=str(ranges.get("maximum_package_version") or ""),
                versions=tuple(tested),
                lines=tuple(_version_lines(text, key.end() if key else 0, tested, line)),
            )


def _version_lines(text: str, start: int, versions: Sequence[str], line: int) -> Iterator[int]:
    """Yield the line of each tested version in an entry's text, which begins on `line`."""
    position = max(start, text.find('"tested_versions"', start))
    for version in versions:
        position = max(position, text.find(json.dumps(version), position))
        yield line + text.count("\n", 0, position)


def _csv_rows(lines: Sequence[str], header: Sequence[str]) -> Iterator[RegistryRow]:
    start = next(number for number, line in enumerate(lines) if line.strip())
    columns = {_csv_role(name): number for number, name in enumerate(header)}
    reader = csv.reader(lines[start + 1 :])
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        line = start + 1 + reader.line_num
        values = {
            role: cells[number].strip() for role, number in columns.items() if number < len(cells)
        }
        integration, note = _integration(values.get("integration"))
        automatic = values.get("automatic", "")
        yield RegistryRow(
            line,
            integration,
            values.get("dependency", ""),
            minimum=values.get("minimum", ""),
            maximum=values.get("maximum", ""),
            automatic=_AUTOMATIC.get(automatic.casefold()),
            note=note,
            problem="" if len(cells) == len(header) else f"{len(cells)} cells, not {len(header)}",
        )


def _csv_role(name: str) -> str:
    for start, role in (("min", "minimum"), ("max", "maximum"), ("auto", "automatic")):
        if name.startswith(start):
            return role
    return name


def _integration(written: object) -> tuple[str, str]:
    """Return the name of an integration, and a note of the star that a table marks it with."""
    text = str(written or "").strip()
    name = _MARKED.sub("", text)
    return name, "marked with *" if name != text else ""


_Node: TypeAlias = Any  # a node of PyYAML: a value with its place in the file


def _yaml_rows(text: str, source: DocumentSource) -> Iterator[RegistryRow]:
    import yaml  # noqa: PLC0415 - slow to import, and only this form needs it

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{source.path}:{mark.line + 1}" if mark else str(source.path)
        detail = getattr(error, "problem", None) or type(error).__name__
        raise UnreadableInputError(
            f"{place}: damaged YAML of the tracer's registry: {detail}", "Get the file again."
        ) from None
    entries = _mapping(root).get("integrations")
    for entry in entries.value if entries is not None and entries.id == "sequence" else ():
        yield from _yaml_entry(entry)


def _yaml_entry(entry: _Node) -> Iterator[RegistryRow]:
    fields = _mapping(entry)
    row = RegistryRow(_line(entry), _scalar(fields.get("integration_name")))
    if not row.integration:
        yield dataclasses.replace(row, problem="no integration_name")
        return
    if _scalar(fields.get("is_tested")) == "false":
        row = dataclasses.replace(row, note="not tested")
    names = fields.get("dependency_names")
    dependencies = {
        _scalar(node): _line(node)
        for node in (names.value if names is not None and names.id == "sequence" else ())
    }
    tested = fields.get("tested_versions_by_dependency")
    ranges = _mapping(tested)
    lines = {key.value: _line(key) for key, _ in (tested.value if tested and ranges else ())}
    for name in dict.fromkeys((*dependencies, *ranges)):
        bounds = _mapping(ranges.get(name))
        yield dataclasses.replace(
            row,
            line=lines.get(name) or dependencies[name],
            dependency=name,
            minimum=_scalar(bounds.get("min")),
            maximum=_scalar(bounds.get("max")),
            problem="no range of versions" if name in ranges and not bounds else "",
        )
    if not dependencies and not ranges:
        yield row


def _mapping(node: _Node | None) -> Mapping[str, _Node]:
    """Return the values of a mapping by their keys, nothing for any other node."""
    if node is None or node.id != "mapping":
        return {}
    return {str(key.value): value for key, value in node.value}


def _scalar(node: _Node | None) -> str:
    """Return a value as it is written: `1.10` is no number here."""
    return str(node.value).strip() if node is not None and node.id == "scalar" else ""


def _line(node: _Node) -> int:
    return int(node.start_mark.line) + 1
