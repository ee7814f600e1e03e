"""Controls from the side: the same release on another target, where the wheels name the cause.

A capability that no release shows on a target cannot be compared there. Where each wheel of a
release for the target lacks a library that the capability needs (`data/artifacts.toml`), the same
release on another target can stand for a control: the wheels differ, and in what is known.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from matrix.features.audit.wheel_libraries import missing_libraries, required_library_globs
from matrix.features.audit.wheel_platforms import parse_platform
from matrix.model.cell import Cell
from matrix.model.index import File
from matrix.model.plan import LackingWheel, Part, Plan
from matrix.pypi.client import Index
from matrix.pypi.inspect import WheelCache
from matrix.pypi.releases import Releases
from matrix.pypi.remote_file import HttpTransport
from matrix.pypi.wheel_batches import inspect_wheels
from matrix.pypi.wheel_contents import WheelContents
from matrix.system.files import read_data

# The longest inspection: of a wheel that it did not reach nothing is known.
_SECONDS = 300.0

InspectFiles: TypeAlias = Callable[[Sequence[File]], Iterable[WheelContents]]
"""Returns the contents of wheels, without those that could not be read."""


def with_side_controls(plan: Plan, index: Index, inspect: InspectFiles) -> Plan:
    """Return the plan with controls from the side, where there may be any.

    Only wheels of releases that the plan has for several targets are inspected, so none for a plan
    of one. Raises `IndexUnavailableError` if neither the index nor the cache has the tracer.
    """
    beside = _cells_beside(plan.parts)
    if not beside:
        return plan
    released = {item.text: item for item in Releases(index.project("ddtrace")).all}
    wheels: dict[Cell, tuple[File, ...]] = {}
    for part in beside:
        cell = part.minimum
        if cell.ddtrace in released:
            wheels[cell] = released[cell.ddtrace].wheels_for(cell.python, cell.target)
    files = {file.sha256: file for group in wheels.values() for file in group}
    contents = {item.sha256: item for item in inspect(tuple(files.values()))}
    parts = []
    for part in plan.parts:
        of_part = wheels.get(part.minimum, ()) if part in beside else ()
        lacking = [_lacking(part.probe, contents.get(file.sha256), file) for file in of_part]
        if lacking and all(lacking):
            known = tuple(item for item in lacking if item is not None)
            parts.append(dataclasses.replace(part, beside=beside[part], lacking=known))
        else:
            parts.append(part)
    return dataclasses.replace(plan, parts=tuple(parts))


def inspect_with(cache_dir: Path, *, offline: bool) -> InspectFiles:
    """Return a function that inspects wheels on the index, or in the cache only."""

    def inspect(files: Sequence[File]) -> Iterable[WheelContents]:
        with contextlib.closing(HttpTransport()) as transport:
            return inspect_wheels(
                *(files, WheelCache(cache_dir), transport),
                whole=required_library_globs(),
                seconds=_SECONDS,
                offline=offline,
            ).contents

    return inspect


def _cells_beside(parts: Iterable[Part]) -> Mapping[Part, tuple[Cell, ...]]:
    """Return, by part, the minima of equal parts on other targets; no parts without any."""
    capabilities = read_data("artifacts")["capability"]
    groups: dict[object, dict[Cell, None]] = defaultdict(dict)
    candidates = [
        part
        for part in parts
        if part.probe in capabilities and not part.expects_absent and not part.pick
    ]
    for part in candidates:
        groups[_key(part)][part.minimum] = None
    return {
        part: others
        for part in candidates
        if (others := tuple(cell for cell in groups[_key(part)] if cell != part.minimum))
    }


def _key(part: Part) -> object:
    """Return what is equal for parts that differ in the target only."""
    minimum = dataclasses.replace(part.minimum, target="any")
    return part.probe, part.channel, part.contained, minimum


def _lacking(probe: str, contents: WheelContents | None, file: File) -> LackingWheel | None:
    """Return what a wheel lacks for a capability's probe; None where it lacks or tells nothing."""
    platform = parse_platform(file.tags)
    if contents is None or platform is None:
        return None
    for missing in missing_libraries(contents, platform):
        if missing.capability == probe:
            machine = " and ".join(missing.machines)
            return LackingWheel(file.filename, file.sha256, missing.library, machine)
    return None
