"""Records of runs in files: read them, bounded and fully checked, as anybody may have written them.

This machine's own are named by time and digest: `records/20261120T213245Z-1a2b3c4d.json`. A file of
such a name whose content has another digest is refused, wherever it is.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import errno
import hashlib
import operator
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matrix.errors import UnreadableInputError, did_you_mean, storage_errors
from matrix.model.capture import CellLocation
from matrix.model.cell import Cell
from matrix.model.claim import Claim
from matrix.model.fact import stored_asides, stored_facts
from matrix.model.plan import Omission
from matrix.model.reason import Reason
from matrix.model.service import Backend
from matrix.model.validate import cell_id, count, seconds, text, time
from matrix.model.verdict import Finding, Observed, Outcome, PartVerdict, Tightness, Verdict
from matrix.runs.record import CellRecord, Record, RunFacts
from matrix.system.files import read_regular, write_atomic
from matrix.system.paths import results_dir
from matrix.system.strict_json import parse_strict

_REMEDY = "Make one with: python -m matrix verify"
_KEPT = 50
_NAME = re.compile(r"\d{8}T\d{6}Z-(?P<digest>[0-9a-f]{8})\.json")


@dataclasses.dataclass(frozen=True)
class RecordStore:
    """A folder with the newest recorded runs; `notices` name those that were passed over."""

    folder: Path
    notices: list[str] = dataclasses.field(default_factory=list, compare=False)

    @classmethod
    def default(cls) -> RecordStore:
        """Return the store in this project's results."""
        return cls(results_dir() / "records")

    def write(self, text: str, started: str) -> Path:
        """Write the record of a run that started at an ISO time; raise StorageError."""
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        began = dt.datetime.fromisoformat(started).astimezone(dt.timezone.utc)
        path = self.folder / f"{began:%Y%m%dT%H%M%SZ}-{digest}.json"
        hint = "Free space, or set COMPAT_MATRIX_RESULTS to another folder."
        with storage_errors(f"cannot record the run in {self.folder}", hint, brief=True):
            write_atomic(path, text, durable=True)
            for old in self._paths()[:-_KEPT]:
                old.unlink(missing_ok=True)
        return path

    def names(self) -> list[str]:
        """Return the names of the runs, the oldest first."""
        return [path.stem for path in self._paths()]

    def latest(self) -> Record:
        """Return the newest run; raise `UnreadableInputError` where there is none."""
        return self._read(self._newest())

    def previous(self, record: Record) -> Record | None:
        """Return the newest older run with any of the same claims, None without one."""
        names = self.names()
        older = names[: names.index(record.name)] if record.name in names else []
        for name in reversed(older):
            try:
                other = self._read(name)
            except UnreadableInputError as error:
                self.notices.append(f"{error.message}: not compared with it")
                continue
            if other.claim_by_id.keys() & record.claim_by_id.keys():
                return other
        return None

    def find(self, name: str) -> Record:
        """Return the run that a user named, as `path_of` finds it; raise `UnreadableInputError`."""
        path = self.path_of(name)
        return read_record(path, path.stem if path.parent == self.folder else "")

    def path_of(self, name: str) -> Path:
        """Return the file of a run by its path, its name, the beginning of its name, or `latest`.

        Raises `UnreadableInputError`.
        """
        path = Path(name)
        if _is_file(path):
            return path
        if name == "latest":
            return self.folder / f"{self._newest()}.json"
        names = self.names()
        matching = [known for known in names if known.startswith(name)]
        if len(matching) == 1:
            return self.folder / f"{matching[0]}.json"
        if matching:
            raise UnreadableInputError(
                f"{name!r} is the beginning of the names of {len(matching)} runs",
                f"Name one of them: {', '.join(matching[-5:])}",
            )
        raise UnreadableInputError(
            f"no file {name!r}, and no recorded run of this name{did_you_mean(name, names)}",
            f"The runs: {', '.join(names[-5:]) or 'none'}. {_REMEDY}",
        )

    def _newest(self) -> str:
        names = self.names()
        if not names:
            raise UnreadableInputError(f"no run is recorded in {self.folder}", _REMEDY)
        return names[-1]

    def _read(self, name: str) -> Record:
        return read_record(self.folder / f"{name}.json", name)

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("*Z-*.json")) if self.folder.is_dir() else []


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False  # too long for a name, or in a folder without permission


@dataclasses.dataclass(frozen=True)
class FileKind:
    """A kind of JSON files: name (`a file of verdicts`), schema, size limit in bytes, remedy."""

    name: str
    schema: str
    max_bytes: int
    remedy: str

    def read(self, path: Path) -> bytes:
        """Return the bytes of a file; raise `UnreadableInputError`."""
        try:
            return read_regular(path, self.max_bytes)
        except FileNotFoundError:
            raise UnreadableInputError(f"there is no file {path}", self.remedy) from None
        except OSError as error:
            if error.errno == errno.EFBIG:
                message = f"{path} is too large for {self.name}"
                raise UnreadableInputError(message, self.remedy) from error
            raise UnreadableInputError(f"cannot read {path}: {error}", self.remedy) from error

    def parse(self, content: bytes, name: str) -> dict[str, Any]:
        """Return the object that the bytes are; raise `UnreadableInputError` naming the file."""
        try:
            data = parse_strict(content)
        except ValueError as error:
            raise UnreadableInputError(f"{name} is not JSON: {error}", self.remedy) from error
        schema = data.get("schema") if isinstance(data, dict) else None
        if schema != self.schema:
            raise UnreadableInputError(
                f"{name} is not {self.name}: its schema is {schema!r}, not {self.schema!r}",
                self.remedy,
            )
        return dict(data)


SCHEMA = "verdicts/1"
_PLACE = operator.attrgetter(
    *("engine", "image", "os", "machine", "libc", "python", "build", "isolation")
)
_FILE_REMEDY = "Make it with: python -m matrix verify DOCUMENT... --json FILE"
_VERDICTS = FileKind("a file of verdicts", SCHEMA, 500_000_000, _FILE_REMEDY)


def read_record(path: Path, name: str = "") -> Record:
    """Return the record in a file; raise `UnreadableInputError`."""
    return parse_record(read_content(path), str(path), name)


def read_content(path: Path) -> bytes:
    """Return the bytes of a file of verdicts; raise `UnreadableInputError`."""
    content = _VERDICTS.read(path)
    match = _NAME.fullmatch(path.name)
    if match and not hashlib.sha256(content).hexdigest().startswith(match["digest"]):
        raise UnreadableInputError(
            f"{path} is damaged: its content does not have the digest in its name",
            "Name another run, or make it again: python -m matrix verify --rejudge",
        )
    return content


def parse_record(content: bytes, file: str, name: str = "") -> Record:
    """Return the record in the bytes of a file; `file` is its name in errors.

    Raises `UnreadableInputError`.
    """
    data = _VERDICTS.parse(content, file)
    try:
        return _record(data, hashlib.sha256(content).hexdigest(), name)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableInputError(
            f"{file} is not a complete file of verdicts: {type(error).__name__}: {error}",
            _FILE_REMEDY,
        ) from error


def _record(data: Mapping[str, Any], sha256: str, name: str) -> Record:
    record = Record(
        run=_run(data["run"]),
        claims=tuple(map(_claim, data["claims"])),
        verdicts=tuple(map(_verdict, data["verdicts"])),
        cells=tuple(map(_cell_record, data["cells"])),
        omissions=tuple(
            Omission(
                text(item["claim"]),
                text(item["what"]),
                Reason(item["reason"]),
                text(item["detail"]),
            )
            for item in data["left_out"]
        ),
        sha256=sha256,
        name=name,
    )
    if len(record.claim_by_id) != len(record.claims):
        raise ValueError("a claim is listed twice")
    if sorted(verdict.claim for verdict in record.verdicts) != sorted(record.claim_by_id):
        raise ValueError("claims and verdicts do not match")
    if len(record.cell_records) != len(record.cells):
        raise ValueError("a cell is listed twice")
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
    for value in (claim.sha256, claim.heading, *(word for pair in claim.scope for word in pair)):
        text(value)
    count(claim.line)
    return claim


def _verdict(data: Mapping[str, Any]) -> Verdict:
    parts = tuple(map(_part, data["parts"]))
    return Verdict(claim=text(data["claim"]), parts=parts, **_judged(data))


def _part(data: Mapping[str, Any]) -> PartVerdict:
    if not data["cells"]:
        raise ValueError(f"a part of {data['probe']!r} without cells")
    return PartVerdict(probe=text(data["probe"]), channel=text(data["channel"]), **_judged(data))


def _judged(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that verdicts of claims and of parts have in common."""
    return {
        "outcome": Outcome(data["outcome"]),
        "tightness": Tightness(data["tightness"]) if data["tightness"] else None,
        "reason": Reason(data["reason"]) if data["reason"] else None,
        "facts": stored_facts(data),
        "cells": tuple(map(_cell, data["cells"])),
        "remarks": stored_asides(data, "remark"),
        "backends": _backends(data),
    }


def _cell_record(data: Mapping[str, Any]) -> CellRecord:
    findings = tuple(_finding(data["id"], item) for item in data["findings"])
    if len({(finding.probe, finding.channel) for finding in findings}) != len(findings):
        raise ValueError(f"a finding of {data['id']} is listed twice")
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
        repeats=tuple((text(shows), count(number)) for shows, number in data["repeats"].items()),
        notes=stored_asides(data, "note"),
        backends=_backends(data),
    )


def _cell(value: object) -> Cell:
    return Cell.parse(cell_id(value))


def _backends(data: Mapping[str, Any]) -> tuple[Backend, ...]:
    return tuple(Backend.parse(text(name)) for name in data.get("back_ends", ()))
