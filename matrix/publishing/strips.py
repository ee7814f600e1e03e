"""Which releases were tried for a promise and what each showed, as a strip. Pure."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from matrix.errors import UnreadableInputError
from matrix.model.cell import Cell
from matrix.model.verdict import Outcome, PartVerdict, Shows, Tightness
from matrix.publishing.heat import HeatMap, Line
from matrix.records import Record
from matrix.reporting.words import promise

__all__ = ["Strip", "Tried", "of_searches", "of_verdicts", "read_searches"]

_MOST = 40
_ANSWERS = {"works": "works", "fails": "fails", "cannot-tell": "open"}
_SHOWS = {Shows.PRESENT: "works", Shows.ABSENT: "fails", Shows.UNKNOWN: "open"}
_REMEDY = "Make it with: python -m matrix minimum SUBJECT... --json FILE"


@dataclasses.dataclass(frozen=True)
class Tried:
    """A release and what it did: `works` (it was shown), `fails`, `open`; `mixed` where
    environments differ.
    """

    release: str
    answer: str


@dataclasses.dataclass(frozen=True)
class Strip:
    """The releases of one project that were tried, ascending.

    `documented` is the least release promised and `observed` the least that was seen to work, ""
    where there is none.
    """

    title: str
    project: str
    tried: tuple[Tried, ...]
    documented: str
    observed: str
    said: str


def read_searches(path: Path) -> list[Strip]:
    """Return the searches of a file that `minimum --json` wrote; raise `UnreadableInputError`."""
    try:
        data = json.loads(path.read_bytes())
        return of_searches(data)
    except OSError as error:
        raise UnreadableInputError(f"{path} cannot be read: {error.strerror}", _REMEDY) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableInputError(f"{path} is no file of searches: {error}", _REMEDY) from error


def of_searches(data: Mapping[str, Any]) -> list[Strip]:
    """Return a strip for each channel of each search; raise ValueError for something else."""
    if data["schema"] != "minimum/1":
        raise ValueError(f"its schema is {data['schema']!r}, not 'minimum/1'")
    return [
        Strip(
            title=f"{search['subject']}, {channel['name']}: {search['framework'] or 'itself'},"
            f" CPython {search['python']}, {search['target']}",
            project=search["project"],
            tried=tuple(
                Tried(str(each["release"]), _ANSWERS[each["answer"]]) for each in channel["tried"]
            ),
            documented=channel["documented"] or "",
            observed=channel["observed"] or "",
            said=" ".join(dict.fromkeys(each["said"] for each in channel["promises"])),
        )
        for search in data["searches"]
        for channel in search["channels"]
    ]


def of_verdicts(record: Record, heat: HeatMap) -> list[Strip]:
    """Return a strip for each promise whose minimum is another than documented."""
    told = (
        _strip(record, line, name)
        for line in heat.lines
        for name in dict.fromkeys(
            (part.probe, part.channel) for part in line.verdict.parts if _is_off(part)
        )
    )
    return [strip for strip in told if len(strip.tried) > 1][:_MOST]


def _is_off(part: PartVerdict) -> bool:
    off = (Tightness.EARLIER, Tightness.LATER, Tightness.MIXED)
    return part.outcome is Outcome.REFUTED or part.tightness in off


def _strip(record: Record, line: Line, name: tuple[str, str]) -> Strip:
    """Return what one channel of a probe showed in all cells that the answer rests on."""
    parts = [part for part in line.verdict.parts if (part.probe, part.channel) == name]
    asked = {(part.probe, part.channel, cell) for part in parts for cell in part.cells}
    cells = {cell for _, _, cell in asked}
    # A row of a library is about the library's releases where those differ, else the tracer's.
    parsed = {name: Cell.parse(name) for name in cells}
    own = {each.framework_version for each in parsed.values()}
    by_library = line.claims[0].kind.value in {"framework", "integration"} and len(own) > 1
    answers: dict[str, set[str]] = defaultdict(set)
    for at in cells:
        known = record.cell_by_id.get(at)
        release = parsed[at].framework_version if by_library else parsed[at].ddtrace
        for finding in known.findings if known else ():
            if (finding.probe, finding.channel, at) in asked:
                answers[release].add(_SHOWS[finding.shows])
    tried = [
        Tried(release, next(iter(found)) if len(found) == 1 else "mixed")
        for release, found in answers.items()
    ]
    tried.sort(key=lambda each: _version(each.release))
    working = [each.release for each in tried if each.answer == "works"]
    firsts = [
        cell.framework_version if by_library else cell.ddtrace
        for cell in (Cell.parse(part.cells[0]) for part in parts)
    ]
    subjects = sorted({cell.framework for cell in parsed.values()})
    return Strip(
        title=f"{promise(line.claims[0])}, {name[1]}",
        project=", ".join(subjects) if by_library else "ddtrace",
        tried=tuple(tried),
        documented=min(firsts, key=_version, default=""),
        observed=working[0] if working else "",
        said="",
    )


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")
