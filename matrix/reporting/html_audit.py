"""Findings of an audit on the HTML page: promised ranges that the vendor tests, and their places.

They are read from the file that `audit --json` wrote.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matrix.errors import UnreadableInputError

_REMEDY = "Write one: python -m matrix audit DOCUMENT... --json FILE"
_MAX_PLACES = 20


@dataclasses.dataclass(frozen=True)
class AuditPlace:
    """A line of a document with what it says; `stale` where it is likely out of date."""

    document: str
    line: int
    says: str
    stale: bool


@dataclasses.dataclass(frozen=True)
class AuditNote:
    """A finding in words, with its first places; `more` counts the others."""

    title: str
    subject: str
    says: str
    reason: str
    contradicts: bool
    places: tuple[AuditPlace, ...]
    more: int = 0


@dataclasses.dataclass(frozen=True)
class TestedRow:
    """A promised range, the ranges of it that are tested with their CPythons, and the others."""

    subject: str
    promised: str
    tested: tuple[str, ...]
    untested: tuple[str, ...]
    documents: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class AuditPart:
    """A part of an audit; `more` counts the rows and findings that are left out."""

    name: str
    rows: tuple[TestedRow, ...]
    notes: tuple[AuditNote, ...]
    more: int = 0

    def first(self, most: int | None) -> AuditPart:
        """Return the part with at most so many rows and so many findings."""
        rows, notes = self.rows[:most], self.notes[:most]
        more = len(self.rows) - len(rows) + len(self.notes) - len(notes)
        return AuditPart(self.name, rows, notes, more)


def read_audit(path: Path) -> tuple[AuditPart, ...]:
    """Return the parts of a file that `audit --json` wrote; raise `UnreadableInputError`."""
    try:
        return audit_parts(json.loads(path.read_bytes()))
    except OSError as error:
        raise UnreadableInputError(f"cannot read {path}: {error.strerror}", _REMEDY) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableInputError(f"{path} is not a file of an audit: {error}", _REMEDY) from error


def audit_parts(data: Mapping[str, Any]) -> tuple[AuditPart, ...]:
    """Return the parts that have any findings or rows; raise ValueError for another schema."""
    if data["schema"] != "audit/1":
        raise ValueError(f"its schema is {data['schema']!r}, not 'audit/1'")
    parts = (
        AuditPart(
            str(name),
            tuple(_rows(part["rows"])) if name == "tested" else (),
            tuple(_notes(part["findings"])),
        )
        for name, part in data["parts"].items()
    )
    return tuple(part for part in parts if part.rows or part.notes)


def _rows(rows: Sequence[Mapping[str, Any]]) -> Iterator[TestedRow]:
    for row in rows:
        yield TestedRow(
            str(row["subject"]),
            str(row["specifier"]) or "any release",
            tuple(map(_covered, row["tested"])),
            tuple(map(str, row["untested"])),
            tuple(map(str, row["documents"])),
        )


def _covered(tested: Mapping[str, Any]) -> str:
    """Return a tested range with its CPythons: `3.5.3 to 7.1.0 on CPython 3.9, 3.10`."""
    ends = " to ".join(dict.fromkeys(filter(None, (tested["minimum"], tested["maximum"]))))
    pythons = ", ".join(map(str, tested["pythons"]))
    return f"{ends or 'it'} on CPython {pythons}" if pythons else ends


def _notes(findings: Sequence[Mapping[str, Any]]) -> Iterator[AuditNote]:
    for finding in findings:
        stale = {(place["document"], place["line"]) for place in finding["stale"]}
        yield AuditNote(
            str(finding["title"]),
            str(finding["subject"]),
            str(finding["says"]),
            str(finding["reason"]),
            finding["contradicts"] is True,
            tuple(
                AuditPlace(
                    str(place["document"]),
                    int(place["line"]),
                    str(place["says"]),
                    (place["document"], place["line"]) in stale,
                )
                for place in finding["places"][:_MAX_PLACES]
            ),
            max(len(finding["places"]) - _MAX_PLACES, 0),
        )
