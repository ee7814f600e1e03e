"""Results of this and earlier runs: found by key, judged, and written to journal and captures.

Captures are kept raw, one compressed JSON file with its digest per result. A capture is on the disk
before a line of the journal names it: where a line is lost or damaged, the capture is judged again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import gzip
import json
import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from matrix.agent.crashes import is_count
from matrix.errors import StorageError, storage_errors
from matrix.judging.cells import cell_failure, findings_of
from matrix.judging.sentences import evidence_text
from matrix.model.capture import CellCapture, CellLocation
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.runs.journal import Entry, Journal, is_transient
from matrix.runs.keys import base_key, probe_keys, result_key
from matrix.system.files import write_atomic
from matrix.system.stamps import UnstampedError, stamp, unstamp

_SUFFIX = ".json.gz"
_DAMAGE_ERRORS = (
    *(OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError),
    RecursionError,
)


def unstamped_capture(text: bytes) -> bytes:
    """Return the JSON text of a capture without its digest; raise StampError.

    Captures of earlier versions have none: the checksum of gzip must do for them.
    """
    try:
        return unstamp(text)
    except UnstampedError:
        return text


@dataclasses.dataclass(frozen=True)
class CaptureStore:
    """Captures under `<folder>/<cell id>/<key>.json.gz`; `notices` name those that are damaged."""

    folder: Path
    notices: list[str] = dataclasses.field(default_factory=list, compare=False)

    def path(self, cell: str, key: str) -> Path:
        """Return the path of the capture of a cell with this result key."""
        return self.folder / cell / f"{key}{_SUFFIX}"

    def write(self, capture: CellCapture) -> Path:
        """Write a capture atomically and to the disk; raise StorageError."""
        text = stamp(json.dumps(capture.to_json(), ensure_ascii=False, separators=(",", ":")))
        # Without a time stamp equal captures are equal files.
        content = gzip.compress(text.encode(), compresslevel=5, mtime=0)
        return self.put(capture.cell, capture.key, content)

    def put(self, cell: str, key: str, content: bytes) -> Path:
        """Write the file of a capture atomically and to the disk; raise StorageError."""
        path = self.path(cell, key)
        hint = "Free space, or move the results with COMPAT_MATRIX_RESULTS."
        with storage_errors(f"cannot write {path}", hint):
            write_atomic(path, content, durable=True)
        return path

    def read(self, cell: str, key: str, *, named: bool = False) -> CellCapture | None:
        """Return the capture, None where there is no readable one.

        Damage is noticed, and so is a missing file where a line of the journal has `named` it.
        """
        path = self.path(cell, key)
        try:
            text = unstamped_capture(gzip.decompress(path.read_bytes()))
            capture = CellCapture.from_json(json.loads(text))
            if (capture.cell, capture.key) != (cell, key):
                raise ValueError(f"it is of {capture.cell}")
        except FileNotFoundError:
            if named:
                self.notices.append(f"{path} is missing, which the journal names")
            return None
        except _DAMAGE_ERRORS as error:
            self.notices.append(f"{path} is damaged, and not used: {error}")
            return None
        return capture

    def keys(self, cell: str) -> list[str]:
        """Return the keys of the captures of a cell, sorted."""
        files = (self.folder / cell).glob(f"*{_SUFFIX}")
        return sorted(file.name.removesuffix(_SUFFIX) for file in files)

    def newest(self, cell: str) -> CellCapture | None:
        """Return the capture of a cell that was started last, None where there is none.

        One in which crashes were only counted has no answers, and is none.
        """
        read = (self.read(cell, key) for key in self.keys(cell))
        captures = [capture for capture in read if capture is not None]
        whole = (capture for capture in captures if not is_count(capture))
        return max(whole, key=lambda capture: capture.started, default=None)


def judged_entry(  # noqa: PLR0913 - a capture, its key, and the rules it is judged by
    capture: CellCapture,
    base: str,
    planned: PlannedCell,
    probes: Mapping[str, Probe],
    judge: str,
    *,
    transient: bool,
) -> Entry:
    """Return the journal's entry for a capture, judged by the rules whose key is `judge`."""
    reason, detail = _failure(capture)
    return Entry(
        key=capture.key,
        base=base,
        probes=probe_keys(planned, probes),
        decisive=planned.decisive,
        soak=planned.soak,
        cell=capture.cell,
        reason=reason,
        detail=detail,
        started=capture.started,
        seconds=round(capture.seconds, 3),
        transient=transient,
        judge=judge,
        findings=findings_of(capture, planned.probes, probes),
        where=CellLocation.of(capture),
        repeats=planned.repeats,
        count=planned.count.text if planned.count else "",
    )


def _failure(capture: CellCapture) -> tuple[Reason | None, str]:
    failure = cell_failure(capture)
    text = evidence_text(failure.facts) if failure else ""
    return failure.reason if failure else None, capture.detail or text


class ResultStore:
    """The journal and the captures of a results folder, as one run uses them.

    `sources` are the digest of the code that runs in a cell, `judge` is the key of the rules.
    Nothing is reused without `reuse`, nor what began before `since`.
    """

    def __init__(  # noqa: PLR0913 - the places of results, and those that count
        self,
        journal: Journal,
        captures: CaptureStore,
        sources: str,
        judge: str,
        *,
        reuse: bool = True,
        since: dt.datetime | None = None,
    ) -> None:
        self._journal = journal
        self._captures = captures
        self._sources = sources
        self._judge = judge
        reading = journal.read()
        self._remarks = list(reading.remarks)
        self._reuse, self._since = reuse, since
        self._entries: dict[str, list[Entry]] = {}
        self._bases: dict[str, dict[str, None]] = {}
        self._named = set(reading.entries)
        self._tried = {key for key, entry in reading.entries.items() if entry.transient}
        for entry in reading.entries.values():
            self._add(entry)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Return what was skipped so far because it is damaged, and what was judged again."""
        return (*self._remarks, *self._captures.notices)

    def _add(self, entry: Entry) -> bool:
        """Add an entry of the journal to those that count, if it does; return whether it does."""
        recent = self._since is None or _began_after(entry, self._since)
        counts = self._reuse and not entry.transient and recent
        if counts:
            self._entries.setdefault(entry.base, []).append(entry)
            self._bases.setdefault(entry.cell, {})[entry.base] = None
        return counts

    def base(self, planned: PlannedCell, environment: str) -> str:
        """Return the common part of the keys of the cell's results in this environment."""
        return base_key(planned, environment, self._sources)

    def find(self, base: str, planned: PlannedCell, probes: Mapping[str, Probe]) -> Entry | None:
        """Return the newest earlier result that counts, judged by the current rules, or None.

        A result with more probes or repeats than are planned counts, too.
        """
        digests = probe_keys(planned, probes)
        for entry in reversed(self._entries.get(base, ())):
            if entry.answers(
                digests,
                planned.decisive,
                soak=planned.soak,
                repeats=planned.repeats,
                count=planned.count.text if planned.count else "",
            ):
                current = entry if entry.judge == self._judge else self._rejudged(entry, probes)
                if current is not None:
                    findings = [item for item in current.findings if item.probe in digests]
                    return dataclasses.replace(current, findings=tuple(findings))
        return self._without_line(base, planned, probes)

    def known(self, planned: PlannedCell, probes: Mapping[str, Probe]) -> frozenset[str]:
        """Return the bases for which `find` has a result of the cell."""
        bases = self._bases.get(planned.cell.id, ())
        return frozenset(base for base in bases if self.find(base, planned, probes) is not None)

    def keep(
        self, capture: CellCapture, base: str, planned: PlannedCell, probes: Mapping[str, Probe]
    ) -> tuple[Entry, str]:
        """Judge and write a capture; return its entry, and a warning where it was not written.

        A full disk does not end the run: the result is used all the same. The capture of a cell
        without a key is not written.
        """
        transient = is_transient(capture, timed_out_before=capture.key in self._tried)
        entry = judged_entry(capture, base, planned, probes, self._judge, transient=transient)
        if not capture.key:
            return entry, ""
        try:
            self._captures.write(capture)
            self._journal.append(entry)
        except StorageError as error:
            return entry, f"cannot keep a result: {error.message}. {error.hint}"
        return entry, ""

    def _without_line(
        self, base: str, planned: PlannedCell, probes: Mapping[str, Probe]
    ) -> Entry | None:
        """Return the entry of a capture that counts, whose line in the journal was lost."""
        key = result_key(base, planned, probes)
        if not self._reuse or key in self._named:
            return None
        capture = self._captures.read(planned.cell.id, key)
        if capture is None:
            return None
        transient = is_transient(capture)
        entry = judged_entry(capture, base, planned, probes, self._judge, transient=transient)
        if not self._add(entry):
            return None
        self._remarks.append(_judged_again(self._captures.path(entry.cell, key)))
        with contextlib.suppress(StorageError):
            self._journal.append(entry)
        return entry

    def _rejudged(self, entry: Entry, probes: Mapping[str, Probe]) -> Entry | None:
        """Return the entry judged by the current rules, None where its capture is gone."""
        capture = self._captures.read(entry.cell, entry.key, named=True)
        if capture is None:
            return None
        reason, detail = _failure(capture)
        findings = findings_of(capture, entry.probes, probes)
        current = dataclasses.replace(
            entry, reason=reason, detail=detail, judge=self._judge, findings=findings
        )
        with contextlib.suppress(StorageError):  # it only saves the next run the judging
            self._journal.append(current)
        return current


def entries_without_line(
    captures: CaptureStore,
    planned: PlannedCell,
    named: Collection[str],
    probes: Mapping[str, Probe],
) -> Iterator[Entry]:
    """Yield entries for the captures of a cell whose keys no line of the journal has `named`."""
    for key in captures.keys(planned.cell.id):
        if key in named:
            continue
        capture = captures.read(planned.cell.id, key)
        if capture is not None and not is_count(capture):
            captures.notices.append(_judged_again(captures.path(planned.cell.id, key)))
            transient = is_transient(capture)
            yield judged_entry(capture, "", planned, probes, "", transient=transient)


def _judged_again(path: Path) -> str:
    return f"{path} is judged again: no readable line of the journal names it"


def _began_after(entry: Entry, since: dt.datetime) -> bool:
    try:
        began = dt.datetime.fromisoformat(entry.started)
    except ValueError:
        return False
    return began.tzinfo is not None and began >= since
