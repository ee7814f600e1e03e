"""Results of this and earlier runs: by what key, where they lie, and whether they still count.

From a capture to its line in a journal.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping

from matrix.errors import StorageError
from matrix.judging.cells import cell_failure, findings_of
from matrix.judging.sentences import evidence_text
from matrix.model.capture import CellCapture, CellLocation
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.verdict import Finding
from matrix.runs.captures import CaptureStore
from matrix.runs.journal import Entry, Journal, is_transient
from matrix.runs.keys import Sources, base_key, probe_keys

__all__ = ["ResultStore", "judged"]


def judged(  # noqa: PLR0913 - what was asked, what was seen, and by which rules
    capture: CellCapture,
    base: str,
    planned: PlannedCell,
    probes: Mapping[str, Probe],
    judge: str,
    *,
    transient: bool,
) -> Entry:
    """Return the entry of a planned cell's capture, judged by the rules whose key is `judge`."""
    failure = cell_failure(capture)
    return Entry(
        key=capture.key,
        base=base,
        probes=probe_keys(planned, probes),
        decisive=planned.decisive,
        soak=planned.soak,
        cell=capture.cell,
        reason=failure.reason if failure else None,
        detail=capture.detail or (evidence_text(failure.facts) if failure else ""),
        started=capture.started,
        seconds=round(capture.seconds, 3),
        transient=transient,
        judge=judge,
        findings=findings_of(capture, planned.probes, probes),
        where=CellLocation.of(capture),
        repeats=planned.repeats,
    )


class ResultStore:
    """The journal and the captures, as one run sees them; `reuse` is off for `--fresh`.

    `sources` is over what runs in a cell, `judge` over what judges it. What began before `since` is
    not used again, where that is given.
    """

    def __init__(  # noqa: PLR0913 - where results are, and which of them count
        self,
        journal: Journal,
        captures: CaptureStore,
        sources: Sources,
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
        self.remarks = reading.remarks
        self._entries: dict[str, list[Entry]] = {}
        self._bases: dict[str, dict[str, None]] = {}
        self._tried = {key for key, entry in reading.entries.items() if entry.transient}
        for entry in reading.entries.values() if reuse else ():
            if not entry.transient and (since is None or _began_after(entry, since)):
                self._entries.setdefault(entry.base, []).append(entry)
                self._bases.setdefault(entry.cell, {})[entry.base] = None

    def base(self, planned: PlannedCell, environment: str) -> str:
        """Return what the keys of the cell's results in this environment have in common."""
        return base_key(planned, environment, self._sources)

    def find(self, base: str, planned: PlannedCell, probes: Mapping[str, Probe]) -> Entry | None:
        """Return an earlier result that still counts, judged by today's rules, or None.

        One that holds more than is asked for also counts; the newest does first.
        """
        wanted = probe_keys(planned, probes)
        for entry in reversed(self._entries.get(base, ())):
            if entry.answers(wanted, planned.decisive, soak=planned.soak, repeats=planned.repeats):
                today = entry if entry.judge == self._judge else self._judged_again(entry, probes)
                if today is not None:
                    asked = [item for item in today.findings if item.probe in wanted]
                    return dataclasses.replace(today, findings=tuple(asked))
        return None

    def known(self, planned: PlannedCell, probes: Mapping[str, Probe]) -> frozenset[str]:
        """Return the bases for which `find` has a result of the cell that still counts."""
        bases = self._bases.get(planned.cell.id, ())
        return frozenset(base for base in bases if self.find(base, planned, probes) is not None)

    def keep(
        self, capture: CellCapture, base: str, planned: PlannedCell, probes: Mapping[str, Probe]
    ) -> tuple[Entry, str]:
        """Judge a capture and write it down; return the entry, and a warning where it was not kept.

        A full disk does not end the run: what was seen is judged and shown all the same. Nothing is
        kept of a cell without a key, of which nothing was asked.
        """
        transient = is_transient(capture, timed_out_before=capture.key in self._tried)
        entry = judged(capture, base, planned, probes, self._judge, transient=transient)
        if not capture.key:
            return entry, ""
        try:
            self._captures.write(capture)
            self._journal.append(entry)
        except StorageError as error:
            return entry, f"a result was not kept: {error.message}. {error.hint}"
        return entry, ""

    def _judged_again(self, entry: Entry, probes: Mapping[str, Probe]) -> Entry | None:
        """Return the entry judged by today's rules, or None where its capture is gone."""
        capture = self._captures.read(entry.cell, entry.key)
        if capture is None:
            return None
        failure = cell_failure(capture)
        today = dataclasses.replace(
            entry,
            reason=failure.reason if failure else None,
            detail=capture.detail or (evidence_text(failure.facts) if failure else ""),
            judge=self._judge,
            findings=self.judge(capture, entry.probes, probes),
        )
        with contextlib.suppress(StorageError):  # it only saves the next run the judging
            self._journal.append(today)
        return today

    def judge(
        self, capture: CellCapture, names: Iterable[str], probes: Mapping[str, Probe]
    ) -> tuple[Finding, ...]:
        """Return what the capture shows of the probes `names`."""
        return findings_of(capture, names, probes)


def _began_after(entry: Entry, since: dt.datetime) -> bool:
    try:
        began = dt.datetime.fromisoformat(entry.started)
    except ValueError:
        return False
    return began.tzinfo is not None and began >= since
