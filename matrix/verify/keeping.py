"""Results of this and earlier runs: by what key, where they lie, and whether they still count."""

from __future__ import annotations

from collections.abc import Mapping

from matrix.errors import StorageError
from matrix.journal import CaptureStore, Entry, Journal, Sources, is_transient, result_key
from matrix.judging import cell_failure, findings_of
from matrix.model.capture import CellCapture
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.verdict import Finding

__all__ = ["Keeping"]


class Keeping:
    """The journal and the captures, as one run sees them; `reuse` is off for `--fresh`.

    `sources` is over what runs in a cell, `judge` over what judges it.
    """

    def __init__(
        self,
        journal: Journal,
        captures: CaptureStore,
        sources: Sources,
        judge: str,
        *,
        reuse: bool = True,
    ) -> None:
        self._journal = journal
        self._captures = captures
        self._sources = sources
        self._judge = judge
        reading = journal.read()
        self._entries = reading.entries if reuse else {}
        self.remarks = reading.remarks

    def key(self, planned: PlannedCell, environment: str, probes: Mapping[str, Probe]) -> str:
        """Return the key of the cell's result in the environment with this key."""
        return result_key(planned, environment, self._sources, probes)

    def find(self, key: str, planned: PlannedCell, probes: Mapping[str, Probe]) -> Entry | None:
        """Return an earlier result that still counts, judged by today's rules, or None."""
        entry = self._entries.get(key)
        if entry is None or entry.transient:
            return None
        if entry.judge == self._judge:
            return entry
        capture = self._captures.read(entry.cell, key)
        if capture is None:
            return None
        return self.keep(capture, planned, probes, again=True)[0]

    def keep(
        self,
        capture: CellCapture,
        planned: PlannedCell,
        probes: Mapping[str, Probe],
        *,
        again: bool = False,
    ) -> tuple[Entry, str]:
        """Judge a capture and write it down; return the entry, and a warning where it was not kept.

        A full disk does not end the run: what was seen is judged and shown all the same. `again`
        is for a capture that is already on disk.
        """
        failure = cell_failure(capture)
        entry = Entry(
            key=capture.key,
            cell=capture.cell,
            reason=failure.reason if failure else None,
            detail=capture.detail or (failure.said if failure else ""),
            started=capture.started,
            seconds=round(capture.seconds, 3),
            transient=is_transient(capture),
            judge=self._judge,
            findings=self.judge(capture, planned, probes),
        )
        if not capture.key:
            return entry, ""
        try:
            if not again:
                self._captures.write(capture)
            self._journal.append(entry)
        except StorageError as error:
            return entry, f"a result was not kept: {error.message}. {error.hint}"
        return entry, ""

    def judge(
        self, capture: CellCapture, planned: PlannedCell, probes: Mapping[str, Probe]
    ) -> tuple[Finding, ...]:
        """Return what the capture shows of the cell's probes."""
        return findings_of(capture, planned.probes, probes)
