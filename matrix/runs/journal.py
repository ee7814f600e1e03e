"""The journal of a results folder: one JSON line for each cell that ended.

A line begins with the digest of the rest; where that does not match, or is missing, the line is
skipped with a remark. A line is flushed and synced as the cell ends, and is complete only with its
newline. A killed run leaves at most one incomplete line at the end: it is skipped when the journal
is read, and cut off before the next line is appended. One run at a time uses a results folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from io import FileIO
from pathlib import Path
from typing import Any

import filelock

from matrix.errors import AnotherRunError, StorageError, storage_errors
from matrix.judging.sentences import evidence_text
from matrix.model.capture import CellCapture, CellLocation
from matrix.model.cell import Cell
from matrix.model.fact import facts_to_json, stored_asides, stored_facts
from matrix.model.reason import Reason
from matrix.model.service import Backend
from matrix.model.verdict import Finding, Observed
from matrix.system.files import sync_folder
from matrix.system.stamps import UnstampedError, stamp, unstamp

SCHEMA = 3

# Reasons that depend on the moment and not on the release: the next run tries again.
TRANSIENT = frozenset(
    {
        Reason.AGENT_FAILED,
        Reason.BACK_END_LOST,
        Reason.CLUSTER_LOST,
        Reason.CONTAINER_LOST,
        Reason.DISK_FULL,
        Reason.ENGINE_LOST,
        Reason.ENVIRONMENT_CHANGED,
        Reason.INDEX_UNAVAILABLE,
        Reason.INTERNAL_ERROR,
        Reason.INTERRUPTED,
        Reason.NO_BACK_END,
        Reason.NO_IMAGE,
        Reason.NO_INTERPRETER,
        Reason.NOT_RUN,
        Reason.OUT_OF_MEMORY,
        Reason.POD_REFUSED,
        Reason.TIMED_OUT,
        Reason.WORKER_LOST,
        Reason.WRONG_IMAGE,
    }
)


@dataclasses.dataclass(frozen=True)
class Entry:
    """The result of a cell that ended: its key, its end, and its findings.

    The key is made of `base`, `probes` (digest by name), `decisive`, `soak`, `repeats` and `count`
    (of crashes); a result also counts for cells that need less of the same. `judge` is the key of
    the rules that made `findings`: by other rules the capture is judged again. `reason` is why
    nothing could be judged, None for a cell that was observed. `transient` entries are not reused.
    `started` is an ISO time, `seconds` the duration. `where` is None for a cell that did not start.
    """

    key: str
    base: str
    probes: Mapping[str, str]
    decisive: tuple[str, ...]
    soak: bool
    cell: str
    reason: Reason | None
    detail: str
    started: str
    seconds: float
    transient: bool
    judge: str
    findings: tuple[Finding, ...]
    where: CellLocation | None = None
    repeats: int = 1
    count: str = ""

    @property
    def contained(self) -> bool:
        """Return whether it is known to have run in a container."""
        return self.where is not None and bool(self.where.engine)

    def answers(
        self,
        probes: Mapping[str, str],
        decisive: Iterable[str],
        *,
        soak: bool,
        repeats: int = 1,
        count: str = "",
    ) -> bool:
        """Return whether the result has all of these, probed in the same way."""
        return (
            probes.items() <= self.probes.items()
            and set(decisive) <= set(self.decisive)
            and (self.soak or not soak)
            and self.repeats >= repeats
            and self.count == count
        )

    def to_json(self) -> dict[str, Any]:
        """Return the entry as plain JSON values."""
        data = {
            "schema": SCHEMA,
            **vars(self),
            "probes": dict(self.probes),
            "decisive": list(self.decisive),
            "reason": self.reason.value if self.reason else None,
            "findings": [_finding_to_json(item) for item in self.findings],
            "where": self.where.to_json() if self.where else None,
        }
        if self.repeats <= 1:
            del data["repeats"]
        if not self.count:
            del data["count"]
        return data

    def to_line(self) -> str:
        """Return the line of the journal, with its digest and its newline."""
        return stamp(json.dumps(self.to_json(), ensure_ascii=False, separators=(",", ":"))) + "\n"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Entry:
        """Return the entry that `to_json` wrote; raise ValueError, KeyError or TypeError."""
        if data["schema"] != SCHEMA:
            raise ValueError(f"schema {data['schema']!r} is not {SCHEMA}")
        return cls(
            key=data["key"],
            base=data["base"],
            probes=dict(data["probes"]),
            decisive=tuple(data["decisive"]),
            soak=data["soak"],
            cell=data["cell"],
            reason=Reason(data["reason"]) if data["reason"] else None,
            detail=data["detail"],
            started=data["started"],
            seconds=data["seconds"],
            transient=data["transient"],
            judge=data["judge"],
            findings=tuple(_finding_from_json(item) for item in data["findings"]),
            where=CellLocation.from_json(data["where"]) if data.get("where") else None,
            repeats=int(data.get("repeats", 1)),
            count=data.get("count", ""),
        )


def is_transient(capture: CellCapture, *, timed_out_before: bool = False) -> bool:
    """Return whether a capture depends on the moment, at least in part, and must be made again.

    A timeout depends on the release where it occurs in two runs in a row, or in one process of a
    cell and not in the others, which the same machine ran at the same time.
    """
    reasons = {capture.failed, *(process.failed for process in capture.processes)}
    others = capture.failed is None and any(item.failed is None for item in capture.processes)
    transient = TRANSIENT - {Reason.TIMED_OUT} if timed_out_before or others else TRANSIENT
    return not transient.isdisjoint(reason for reason in reasons if reason is not None)


def _finding_to_json(finding: Finding) -> dict[str, Any]:
    return {
        "cell": finding.cell.id,
        "probe": finding.probe,
        "channel": finding.channel,
        "shows": finding.shows.value,
        "evidence": evidence_text(finding.facts),
        "facts": facts_to_json(finding.facts),
        "reason": finding.reason.value if finding.reason else None,
        "repeats": [list(item) for item in finding.repeats],
        "notes": [evidence_text([note]) for note in finding.notes],
        "note_facts": facts_to_json(finding.notes),
        "back_ends": [str(backend) for backend in finding.backends],
    }


def _finding_from_json(data: Mapping[str, Any]) -> Finding:
    return Finding(
        cell=Cell.parse(data["cell"]),
        probe=data["probe"],
        channel=data["channel"],
        shows=Observed(data["shows"]),
        facts=stored_facts(data),
        reason=Reason(data["reason"]) if data["reason"] else None,
        repeats=tuple((name, count) for name, count in data["repeats"]),
        notes=stored_asides(data, "note"),
        backends=tuple(map(Backend.parse, data.get("back_ends", ()))),
    )


STORAGE_HINT = (
    "Free space, or move the results with COMPAT_MATRIX_RESULTS; finished cells are kept."
)


@dataclasses.dataclass(frozen=True)
class JournalContent:
    """The entries by key (the last of equal keys counts), and remarks on unreadable lines."""

    entries: dict[str, Entry]
    remarks: tuple[str, ...] = ()


class Journal:
    """A journal file; close it after use (`contextlib.closing`)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: FileIO | None = None

    def read(self) -> JournalContent:
        """Return all readable entries, none where there is no file; raise StorageError."""
        with storage_errors(f"cannot read {self.path}", STORAGE_HINT):
            try:
                data = self.path.read_bytes()
            except FileNotFoundError:
                return JournalContent({})
        lines = data.split(b"\n")
        tail = lines.pop()
        entries: dict[str, Entry] = {}
        remarks = []
        unstamped = []
        for number, line in enumerate(lines, start=1):
            if not line:
                continue
            try:
                entry = Entry.from_json(json.loads(unstamp(line)))
            except UnstampedError:
                unstamped.append(number)
                continue
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                remarks.append(f"{self.path}:{number}: skipped an invalid line ({error})")
                continue
            # The newest entry moves to the end: the order is that of the file.
            entries.pop(entry.key, None)
            entries[entry.key] = entry
        if unstamped:
            more = f", and {len(unstamped) - 1} more such lines" if unstamped[1:] else ""
            remarks.append(
                f"{self.path}:{unstamped[0]}: skipped an invalid line (it has no digest: an earlier"
                f" version wrote it, or it is damaged){more}"
            )
        if tail:
            remarks.append(
                f"{self.path}:{len(lines) + 1}: dropped an incomplete last line"
                " (the previous run was killed while it wrote)"
            )
        return JournalContent(entries, tuple(remarks))

    def append(self, entry: Entry) -> None:
        """Append an entry, synced to the disk; raise StorageError."""
        with storage_errors(f"cannot write {self.path}", STORAGE_HINT):
            try:
                _write(self._file or self._open(), entry.to_line().encode())
            except OSError:
                # A part of the line that was written is cut off when the file is opened again.
                self.close()
                raise

    def close(self) -> None:
        """Close the file; appending opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> FileIO:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Without a buffer: closing the file writes nothing, and cannot fail.
        self._file = file = self.path.open("ab", buffering=0)
        sync_folder(self.path.parent)
        _cut_incomplete_line(self.path)
        return file


def _cut_incomplete_line(path: Path) -> None:
    with path.open("r+b") as file:
        if not file.seek(0, os.SEEK_END):
            return
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)


def _write(file: FileIO, data: bytes) -> None:
    if file.write(data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(file.fileno())


@contextlib.contextmanager
def lock_results(folder: Path) -> Iterator[None]:
    """Lock the results folder; raise `AnotherRunError` naming the process that has locked it.

    The operating system releases the lock when the process ends, however it ends. Raises
    StorageError where the folder cannot be made.
    """
    hint = "Name a writable folder in COMPAT_MATRIX_RESULTS."
    with storage_errors(f"cannot make {folder}", hint):
        folder.mkdir(parents=True, exist_ok=True)
    pid_file = folder / "run.pid"
    lock = filelock.FileLock(folder / "run.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise AnotherRunError(
            f"another run (process {_read_pid(pid_file)}) is writing to {folder}",
            "Wait until it ends or stop it (Ctrl-C keeps what is done);"
            " COMPAT_MATRIX_RESULTS names another folder.",
        ) from None
    except OSError as error:
        raise StorageError(f"cannot lock {folder}: {error.strerror}", hint) from error
    # The lock is what counts: the file is for the message of another run.
    try:
        with contextlib.suppress(OSError):
            pid_file.write_text(f"{os.getpid()}\n")
        yield
    finally:
        with contextlib.suppress(OSError):
            pid_file.unlink(missing_ok=True)
        lock.release()


def _read_pid(path: Path) -> str:
    try:
        return path.read_text().strip() or "unknown"
    except OSError:
        return "unknown"
