"""A recorded run read back: all of it is checked, and a file that is something else is named."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matrix.errors import UnreadableInputError
from matrix.model.cell import Cell
from matrix.model.claim import Claim
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Outcome, PartVerdict, Shows, Tightness, Verdict
from matrix.model.whereabouts import Whereabouts
from matrix.records.record import CellLine, LeftOutLine, Record, RunFacts

__all__ = ["SCHEMA", "parse_record", "read_content", "read_record"]

SCHEMA = "verdicts/1"
_LARGEST = 500_000_000
# Of anything that is counted, and of seconds.
_MOST = 10**9
_PLACE = operator.attrgetter(
    *("engine", "image", "os", "machine", "libc", "python", "build", "isolation")
)
_REMEDY = "Make it with: python -m matrix verify DOCUMENT... --json FILE"


def read_record(path: Path, name: str = "") -> Record:
    """Return the run that a file holds; raise `UnreadableInputError`, which names the file."""
    return parse_record(read_content(path), str(path), name)


def read_content(path: Path) -> bytes:
    """Return the bytes of a file of verdicts; raise `UnreadableInputError`, which names it."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise UnreadableInputError(f"there is no file {path}", _REMEDY) from None
    except OSError as error:
        raise UnreadableInputError(f"{path} cannot be read: {error}", _REMEDY) from error
    if len(content) > _LARGEST:
        raise UnreadableInputError(f"{path} is too large for a file of verdicts", _REMEDY)
    return content


def parse_record(content: bytes, called: str, name: str = "") -> Record:
    """Return the run that the bytes of a file hold; `called` is the file's name for errors.

    Raises `UnreadableInputError`.
    """
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UnreadableInputError(f"{called} cannot be read as JSON: {error}", _REMEDY) from error
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != SCHEMA:
        raise UnreadableInputError(
            f"{called} is no file of verdicts: its schema is {schema!r}, not {SCHEMA!r}", _REMEDY
        )
    try:
        return _record(data, hashlib.sha256(content).hexdigest(), name)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableInputError(
            f"{called} is no complete file of verdicts: {type(error).__name__}: {error}", _REMEDY
        ) from error


def _record(data: Mapping[str, Any], sha256: str, name: str) -> Record:
    record = Record(
        run=_run(data["run"]),
        claims=tuple(map(_claim, data["claims"])),
        verdicts=tuple(map(_verdict, data["verdicts"])),
        cells=tuple(map(_line, data["cells"])),
        left_out=tuple(
            LeftOutLine(
                _text(one["claim"]), _text(one["what"]), Reason(one["reason"]), _text(one["detail"])
            )
            for one in data["left_out"]
        ),
        sha256=sha256,
        name=name,
    )
    if len(record.claim_by_id) != len(record.claims):
        raise ValueError("a claim stands twice")
    if sorted(verdict.claim for verdict in record.verdicts) != sorted(record.claim_by_id):
        raise ValueError("claims and verdicts do not go together")
    if len(record.cell_by_id) != len(record.cells):
        raise ValueError("a cell stands twice")
    return record


def _run(data: Mapping[str, Any]) -> RunFacts:
    return RunFacts(
        profile=_text(data["profile"]),
        snapshot=_text(data["snapshot"]),
        as_of=_text(data["as_of"]),
        started=_time(data["started"]),
        seconds=_seconds(data["seconds"]),
        interrupted=data["interrupted"] is not False,
        targets=tuple(map(_text, data.get("targets", ()))),
        warnings=tuple(map(_text, data["warnings"])),
        lost=_text(data.get("lost", "")),
    )


def _claim(data: Mapping[str, Any]) -> Claim:
    claim = Claim.from_json(data)
    for name in ("id", "subject", "specifier", "as_written", "document", "language"):
        _text(getattr(claim, name))
    for value in (claim.sha256, claim.heading, *(each for pair in claim.scope for each in pair)):
        _text(value)
    _count(claim.line)
    return claim


def _verdict(data: Mapping[str, Any]) -> Verdict:
    return Verdict(
        claim=_text(data["claim"]),
        outcome=Outcome(data["outcome"]),
        tightness=Tightness(data["tightness"]) if data["tightness"] else None,
        reason=Reason(data["reason"]) if data["reason"] else None,
        evidence=_text(data["evidence"]),
        cells=tuple(map(_cell, data["cells"])),
        parts=tuple(_part(one) for one in data["parts"]),
        remarks=tuple(map(_text, data["remarks"])),
        back_ends=tuple(map(_text, data.get("back_ends", ()))),
    )


def _part(data: Mapping[str, Any]) -> PartVerdict:
    cells = tuple(map(_cell, data["cells"]))
    if not cells:
        raise ValueError(f"a part of {data['probe']!r} without cells")
    return PartVerdict(
        probe=_text(data["probe"]),
        channel=_text(data["channel"]),
        cells=cells,
        outcome=Outcome(data["outcome"]),
        tightness=Tightness(data["tightness"]) if data["tightness"] else None,
        reason=Reason(data["reason"]) if data["reason"] else None,
        evidence=_text(data["evidence"]),
        remarks=tuple(map(_text, data["remarks"])),
        back_ends=tuple(map(_text, data.get("back_ends", ()))),
    )


def _line(data: Mapping[str, Any]) -> CellLine:
    findings = tuple(_finding(data["id"], one) for one in data["findings"])
    if len({(each.probe, each.channel) for each in findings}) != len(findings):
        raise ValueError(f"a finding of {data['id']} stands twice")
    return CellLine(
        id=_cell(data["id"]),
        probes=tuple(map(_text, data["probes"])),
        reason=Reason(data["reason"]) if data["reason"] else None,
        detail=_text(data["detail"]),
        seconds=_seconds(data["seconds"]),
        reused=bool(data["reused"]),
        fallback=bool(data["fallback"]),
        key=_text(data["key"]),
        started=_text(data["started"]),
        findings=findings,
        where=_where(data["where"]) if data.get("where") else None,
        back_ends=tuple(map(_text, data.get("back_ends", ()))),
    )


def _where(data: Mapping[str, Any]) -> Whereabouts:
    where = Whereabouts.from_json(data)
    for value in (*_PLACE(where), *where.tracer):
        _text(value)
    _count(where.bits)
    return where


def _finding(cell: str, data: Mapping[str, Any]) -> Finding:
    return Finding(
        cell=_cell(cell),
        probe=_text(data["probe"]),
        channel=_text(data["channel"]),
        shows=Shows(data["shows"]),
        evidence=_text(data["evidence"]),
        reason=Reason(data["reason"]) if data["reason"] else None,
        repeats=tuple((_text(word), _count(many)) for word, many in data["repeats"].items()),
        notes=tuple(map(_text, data["notes"])),
        back_ends=tuple(map(_text, data.get("back_ends", ()))),
    )


def _text(value: object) -> str:
    """Return a value that must be text; raise TypeError where it is not."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    value.encode()  # Half a character is in no file that was written, and can be written to none.
    return value


def _count(value: object) -> int:
    """Return a whole number that is not negative; raise TypeError for anything else."""
    if type(value) is not int or not 0 <= value < _MOST:
        raise TypeError(f"{value!r} is no count")
    return value


def _seconds(value: object) -> float:
    """Return a time that something took; raise TypeError where it is none."""
    if type(value) not in {int, float} or not 0 <= value < _MOST:  # type: ignore[operator]
        raise TypeError(f"{value!r} is no time in seconds")
    return float(value)  # type: ignore[arg-type]


def _time(value: object) -> str:
    """Return an ISO time; raise ValueError where it is none."""
    text = _text(value)
    dt.datetime.fromisoformat(text)
    return text


def _cell(value: object) -> str:
    """Return a cell's id; raise ValueError where it is none, or its versions are none."""
    text = _text(value)
    _ = Cell.parse(text).sort_key
    return text
