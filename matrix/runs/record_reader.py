"""A recorded run read back: all of it is checked, and a file that is something else is named.

JSON files that anybody may have written, each of a kind: read with bounds, or refused.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matrix.errors import UnreadableInputError
from matrix.model.capture import CellLocation
from matrix.model.cell import Cell
from matrix.model.claim import Claim
from matrix.model.fact import stored_facts, stored_notes, stored_remarks
from matrix.model.plan import Omission
from matrix.model.reason import Reason
from matrix.model.service import Backend
from matrix.model.validate import cell_id, count, seconds, text, time
from matrix.model.verdict import Finding, Observed, Outcome, PartVerdict, Tightness, Verdict
from matrix.runs.record import CellRecord, Record, RunFacts

__all__ = ["SCHEMA", "FileKind", "parse_record", "read_content", "read_record"]


@dataclasses.dataclass(frozen=True)
class FileKind:
    """What people call such a file (`a file of verdicts`), its schema, the most bytes it may have,
    and how one gets another.
    """

    called: str
    schema: str
    largest: int
    remedy: str

    def read(self, path: Path) -> bytes:
        """Return the bytes of a file; raise `UnreadableInputError`, which names it."""
        try:
            with path.open("rb") as file:
                content = file.read(self.largest + 1)
        except FileNotFoundError:
            raise UnreadableInputError(f"there is no file {path}", self.remedy) from None
        except OSError as error:
            raise UnreadableInputError(f"{path} cannot be read: {error}", self.remedy) from error
        if len(content) > self.largest:
            raise UnreadableInputError(f"{path} is too large for {self.called}", self.remedy)
        return content

    def parse(self, content: bytes, name: str) -> dict[str, Any]:
        """Return the object that the bytes are; raise `UnreadableInputError` naming the file."""
        try:
            data = json.loads(content)
        except (ValueError, RecursionError) as error:
            said = f"{name} cannot be read as JSON: {error}"
            raise UnreadableInputError(said, self.remedy) from error
        schema = data.get("schema") if isinstance(data, dict) else None
        if schema != self.schema:
            raise UnreadableInputError(
                f"{name} is not {self.called}: its schema is {schema!r}, not {self.schema!r}",
                self.remedy,
            )
        found: dict[str, Any] = data
        return found


SCHEMA = "verdicts/1"
_PLACE = operator.attrgetter(
    *("engine", "image", "os", "machine", "libc", "python", "build", "isolation")
)
_REMEDY = "Make it with: python -m matrix verify DOCUMENT... --json FILE"
_VERDICTS = FileKind("a file of verdicts", SCHEMA, 500_000_000, _REMEDY)


def read_record(path: Path, name: str = "") -> Record:
    """Return the run that a file holds; raise `UnreadableInputError`, which names the file."""
    return parse_record(read_content(path), str(path), name)


def read_content(path: Path) -> bytes:
    """Return the bytes of a file of verdicts; raise `UnreadableInputError`, which names it."""
    return _VERDICTS.read(path)


def parse_record(content: bytes, called: str, name: str = "") -> Record:
    """Return the run that the bytes of a file hold; `called` is the file's name for errors.

    Raises `UnreadableInputError`.
    """
    data = _VERDICTS.parse(content, called)
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
        omissions=tuple(
            Omission(
                text(one["claim"]), text(one["what"]), Reason(one["reason"]), text(one["detail"])
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
    if len(record.cell_records) != len(record.cells):
        raise ValueError("a cell stands twice")
    return record


def _run(data: Mapping[str, Any]) -> RunFacts:
    return RunFacts(
        profile=text(data["profile"]),
        snapshot=text(data["snapshot"]),
        as_of=text(data["as_of"]),
        started=time(data["started"]),
        seconds=seconds(data["seconds"]),
        interrupted=data["interrupted"] is not False,
        targets=tuple(map(text, data.get("targets", ()))),
        warnings=tuple(map(text, data["warnings"])),
        lost=text(data.get("lost", "")),
    )


def _claim(data: Mapping[str, Any]) -> Claim:
    claim = Claim.from_json(data)
    for name in ("id", "subject", "specifier", "as_written", "document", "language"):
        text(getattr(claim, name))
    for value in (claim.sha256, claim.heading, *(each for pair in claim.scope for each in pair)):
        text(value)
    count(claim.line)
    return claim


def _verdict(data: Mapping[str, Any]) -> Verdict:
    return Verdict(
        claim=text(data["claim"]),
        outcome=Outcome(data["outcome"]),
        tightness=Tightness(data["tightness"]) if data["tightness"] else None,
        reason=Reason(data["reason"]) if data["reason"] else None,
        facts=stored_facts(data),
        cells=tuple(map(_cell, data["cells"])),
        parts=tuple(_part(one) for one in data["parts"]),
        remarks=stored_remarks(data),
        backends=_backends(data),
    )


def _part(data: Mapping[str, Any]) -> PartVerdict:
    cells = tuple(map(_cell, data["cells"]))
    if not cells:
        raise ValueError(f"a part of {data['probe']!r} without cells")
    return PartVerdict(
        probe=text(data["probe"]),
        channel=text(data["channel"]),
        cells=cells,
        outcome=Outcome(data["outcome"]),
        tightness=Tightness(data["tightness"]) if data["tightness"] else None,
        reason=Reason(data["reason"]) if data["reason"] else None,
        facts=stored_facts(data),
        remarks=stored_remarks(data),
        backends=_backends(data),
    )


def _line(data: Mapping[str, Any]) -> CellRecord:
    findings = tuple(_finding(data["id"], one) for one in data["findings"])
    if len({(each.probe, each.channel) for each in findings}) != len(findings):
        raise ValueError(f"a finding of {data['id']} stands twice")
    return CellRecord(
        cell=_cell(data["id"]),
        probes=tuple(map(text, data["probes"])),
        reason=Reason(data["reason"]) if data["reason"] else None,
        detail=text(data["detail"]),
        seconds=seconds(data["seconds"]),
        reused=bool(data["reused"]),
        fallback=bool(data["fallback"]),
        key=text(data["key"]),
        started=text(data["started"]),
        findings=findings,
        where=_where(data["where"]) if data.get("where") else None,
    )


def _where(data: Mapping[str, Any]) -> CellLocation:
    where = CellLocation.from_json(data)
    for value in (*_PLACE(where), *where.tracer):
        text(value)
    count(where.bits)
    return where


def _finding(cell: str, data: Mapping[str, Any]) -> Finding:
    return Finding(
        cell=_cell(cell),
        probe=text(data["probe"]),
        channel=text(data["channel"]),
        shows=Observed(data["shows"]),
        facts=stored_facts(data),
        reason=Reason(data["reason"]) if data["reason"] else None,
        repeats=tuple((text(word), count(many)) for word, many in data["repeats"].items()),
        notes=stored_notes(data),
        backends=_backends(data),
    )


def _cell(value: object) -> Cell:
    return Cell.parse(cell_id(value))


def _backends(data: Mapping[str, Any]) -> tuple[Backend, ...]:
    return tuple(Backend.parse(text(name)) for name in data.get("back_ends", ()))
