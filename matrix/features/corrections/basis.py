"""The verdicts and findings that corrections rest on, and the verdicts on the changed documents.

Minimums are corrected from recorded findings by environment and release. They include every
capture ever recorded, judged by today's rules, also of cells that are in no plan: those of a search
for a minimum, for example.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from packaging.version import Version

from matrix.errors import UnreadableInputError, did_you_mean
from matrix.features.corrections.page import PageText
from matrix.judging.cells import findings_of
from matrix.judging.claims import judge
from matrix.judging.findings import FindingTable
from matrix.model.capture import CellCapture
from matrix.model.cell import Cell
from matrix.model.claim import Claim
from matrix.model.plan import StaticEvidence
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed, Outcome, PartVerdict, Verdict
from matrix.planning.existence import Unsatisfiable
from matrix.planning.locations import select_targets
from matrix.planning.planner import make_plan
from matrix.pypi.client import Index
from matrix.runs.journal import Journal
from matrix.runs.record import Record
from matrix.runs.record_store import read_record
from matrix.runs.result_store import CaptureStore

# A probe's channel, and the CPython, target and framework of the cell. The framework's release is
# not part of the key: each release of the tracer has the framework of its time.
_Key: TypeAlias = tuple[str, str, str, str, str]


@dataclasses.dataclass(frozen=True)
class CorrectionBasis:
    """The verdicts by claim id and the findings that corrections rest on, and the plan's inputs.

    `source` names it in reports. `contained` are the findings of cells that ran in containers, the
    only ones that claims about containers are judged by. `missing` are documents that it has no
    claims of, such as those that a selection left out.
    """

    verdicts: Mapping[str, Verdict]
    findings: tuple[Finding, ...]
    source: str
    profile: str
    targets: tuple[str, ...]
    obstacles: Mapping[str, Unsatisfiable] = dataclasses.field(default_factory=dict)
    contained: tuple[Finding, ...] = ()
    missing: tuple[str, ...] = ()


def contained_findings(record: Record) -> tuple[Finding, ...]:
    """Return the findings of cells that ran in containers."""
    return tuple(finding for cell in record.cells if cell.contained for finding in cell.findings)


def read_verdicts(path: Path, pages: Iterable[PageText]) -> CorrectionBasis:
    """Return the verdicts that `verify --json` wrote on documents that have not changed since.

    Raises `UnreadableInputError`, which names the file, where it is not such a file, has another
    schema, or is about other documents or another version of one.
    """
    pages = tuple(page for page in pages if not page.host)
    record = read_record(path)
    digests: dict[str, set[str]] = defaultdict(set)
    for claim in record.claims:
        digests[claim.document].add(claim.sha256)
    _check(path, digests, pages)
    return CorrectionBasis(
        record.verdict_by_claim,
        tuple(finding for cell in record.cells for finding in cell.findings),
        path.name,
        record.run.profile,
        record.run.targets,
        contained=contained_findings(record),
        missing=tuple(page.name for page in pages if page.name not in digests),
    )


def _check(path: Path, digests: Mapping[str, set[str]], pages: Sequence[PageText]) -> None:
    problems = []
    covered = [page for page in pages if page.name in digests]
    for page in covered:
        digest = page.sha256
        if digest not in digests[page.name]:
            recorded = ", ".join(sorted(other[:12] for other in digests[page.name]))
            problems.append(
                f"it is about another version of {page.name} (sha256 {recorded}..., {page.path}"
                f" now has {digest[:12]}...)"
            )
    if pages and not covered:
        names = ", ".join(page.name for page in pages)
        problems.append(f"it has no claims of {names}{did_you_mean(pages[0].name, digests)}")
    if problems:
        raise UnreadableInputError(
            f"{path} does not match the documents: {'; '.join(problems)}",
            "Verify these documents again: python -m matrix verify DOCUMENT... --json FILE",
        )


def still_refuted(
    claims: Sequence[Claim],
    index: Index,
    basis: CorrectionBasis,
    *,
    as_of: dt.date | None,
    static: Callable[[Iterable[Claim], Index], Mapping[str, StaticEvidence]],
) -> tuple[Verdict, ...]:
    """Return the refuted verdicts of a new plan for the claims, by the findings so far."""
    table = FindingTable(basis.findings)
    for finding in basis.contained:
        table.add(finding, contained=True)
    plan = make_plan(
        claims,
        index,
        profile=basis.profile,
        as_of=as_of,
        targets=basis.targets,
        obstacles=basis.obstacles,
        places=select_targets(basis.targets, contained=bool(basis.contained)).places,
    )
    evidence = tuple(static(claims, index).values())
    verdicts = judge(dataclasses.replace(plan, static=evidence), table)
    return tuple(verdict for verdict in verdicts if verdict.outcome is Outcome.REFUTED)


@dataclasses.dataclass(frozen=True)
class KnownMinimum:
    """The first release that was observed to work.

    `exact` is set where the release right before it was observed to fail; otherwise `release` is
    an upper bound. `fails` is the newest release below it that was observed to fail, "" if none
    was. `findings` are the evidence.
    """

    release: str
    exact: bool
    fails: str
    findings: tuple[Finding, ...]


class ObservedFindings:
    """All findings of a run, or of everything recorded.

    `releases` are the final releases of the tracer, ascending; without them no minimum is exact.
    """

    def __init__(self, findings: Iterable[Finding], releases: Sequence[str] = ()) -> None:
        self.findings = tuple(findings)
        self._releases = [Version(release) for release in releases]
        self._by_key: dict[_Key, dict[Version, list[Finding]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for finding in self.findings:
            key = _key(finding.probe, finding.channel, finding.cell)
            self._by_key[key][Version(finding.cell.ddtrace)].append(finding)

    def minimum(
        self,
        required: Iterable[PartVerdict],
        optional: Iterable[PartVerdict],
        above: Version | None = None,
        below: Version | None = None,
    ) -> KnownMinimum | None:
        """Return the first release in which all `required` parts were observed to work.

        A release in which an `optional` part was observed to fail, though it works in a later one,
        does not count: it would only break that promise instead. None where there is no release.
        """
        needed, others = (
            list(dict.fromkeys(_key(part.probe, part.channel, part.cells[0]) for part in parts))
            for parts in (required, optional)
        )
        candidates = sorted({release for key in needed for release in self._by_key[key]})
        for release in candidates:
            if (above is not None and release <= above) or (below and release >= below):
                continue
            if all(self._shows(key, release) is Observed.PRESENT for key in needed) and not any(
                self._breaks(key, release) for key in others
            ):
                return self._known_minimum(release, needed)
        return None

    def _known_minimum(self, release: Version, keys: Sequence[_Key]) -> KnownMinimum:
        findings = [finding for key in keys for finding in self._by_key[key][release]]
        failing = [
            (version, of_version)
            for key in keys
            for version, of_version in self._by_key[key].items()
            if version < release and self._shows(key, version) is Observed.ABSENT
        ]
        fails = max((version for version, _ in failing), default=None)
        for version, of_version in failing:
            if version == fails:
                findings += of_version
        before = max((other for other in self._releases if other < release), default=None)
        return KnownMinimum(
            findings[0].cell.ddtrace,
            exact=fails is not None and fails == before,
            fails=str(fails) if fails is not None else "",
            findings=tuple(findings),
        )

    def _shows(self, key: _Key, release: Version) -> Observed:
        """Return the observation for a release; a single failure means that it does not work."""
        shown = {finding.shows for finding in self._by_key.get(key, {}).get(release, ())}
        if Observed.ABSENT in shown:
            return Observed.ABSENT
        return Observed.PRESENT if Observed.PRESENT in shown else Observed.UNKNOWN

    def _breaks(self, key: _Key, release: Version) -> bool:
        return self._shows(key, release) is Observed.ABSENT and any(
            later > release and self._shows(key, later) is Observed.PRESENT
            for later in self._by_key.get(key, {})
        )


def recorded_findings(
    journal: Journal,
    captures: CaptureStore,
    probes: Mapping[str, Probe],
    accepts: Callable[[CellCapture], bool] = lambda _capture: True,
) -> tuple[Finding, ...]:
    """Return the newest finding of each cell, probe and channel, of the captures that count.

    A transient one, such as a lack of memory, hides no lasting one.
    """
    newest: dict[tuple[Cell, str, str], Finding] = {}
    entries = journal.read().entries.values()
    for entry in sorted(entries, key=lambda entry: not entry.transient):
        capture = captures.read(entry.cell, entry.key, named=True)
        if capture is None or entry.count or not accepts(capture):
            continue  # A count of crashes is no result of its own.
        for finding in findings_of(capture, entry.probes, probes):
            if finding.reason is not Reason.NOT_RUN:
                newest[finding.cell, finding.probe, finding.channel] = finding
    return tuple(newest.values())


def _key(probe: str, channel: str, cell: Cell) -> _Key:
    return probe, channel, cell.python, cell.target, cell.framework
