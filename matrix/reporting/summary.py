"""Contents of the final report: rows, remarks, gaps, counts, and the places where cells ran."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from matrix.judging.sentences import remark_text
from matrix.model.capture import NETWORK, PARTS
from matrix.model.claim import Claim
from matrix.model.fact import Fact, FactKind
from matrix.model.reason import Reason
from matrix.model.verdict import Outcome, Verdict
from matrix.planning.locations import short_target
from matrix.planning.missing_experiments import missing_experiments
from matrix.reporting.breakage import BrokenApp, breakage_of
from matrix.reporting.rows import (
    SHOWN_FIRST,
    WORST_FIRST,
    UntestedClaims,
    VerdictRow,
    group_untested,
    group_verdicts,
)
from matrix.reporting.text import MARKS, count_text, promise_text, short_names
from matrix.runs.record import CellRecord, Record
from matrix.system.files import read_toml
from matrix.system.paths import data_dir

# Reasons whose details are alike for many cells, or tell what to do.
_WITH_DETAILS = {
    Reason.BUILD_FAILED,
    Reason.CLUSTER_LOST,
    Reason.DISK_FULL,
    Reason.ENGINE_LOST,
    Reason.INDEX_UNAVAILABLE,
    Reason.NO_IMAGE,
    Reason.NO_INTERPRETER,
    Reason.POD_REFUSED,
    Reason.WORKER_LOST,
    Reason.WRONG_IMAGE,
}
# Reasons of cells that did not run, or not to their ends.
_NOT_RUN = {
    Reason.CLUSTER_LOST,
    Reason.ENGINE_LOST,
    Reason.INTERRUPTED,
    Reason.NO_IMAGE,
    Reason.NO_INTERPRETER,
    Reason.NOT_NEEDED,
    Reason.POD_REFUSED,
    Reason.WORKER_LOST,
}


@dataclasses.dataclass(frozen=True)
class Remark:
    """A remark, the promises it is about, and the other cells with the same remark."""

    remark: str
    promises: tuple[str, ...]
    cells: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class ReasonSummary:
    """A reason for which `claims` claims are unverified.

    `cell` is one to try by hand, or ""; `details` are distinct details of failed cells; `folds`
    are the claims among them without any planned cell.
    """

    reason: Reason
    claims: int
    cell: str
    details: tuple[str, ...] = ()
    folds: tuple[UntestedClaims, ...] = ()

    @property
    def unasked(self) -> int:
        """The number of claims that nothing was asked about."""
        return sum(len(fold.claims) for fold in self.folds)

    @property
    def asked(self) -> int:
        """The number of claims that were asked, and are open."""
        return self.claims - self.unasked


def verdict_rows(record: Record) -> list[VerdictRow]:
    """Return the rows of claims with evidence, refuted first, then confirmed, then unverified.

    That is all claims with experiments, and those that the package index alone refutes.
    """
    verdicts = (item for item in record.verdicts if item.parts or item.outcome is Outcome.REFUTED)
    return group_verdicts(verdicts, record.claim_by_id)


def untested_claims(record: Record) -> list[UntestedClaims]:
    """Return the claims without any planned cell, by kind and reason."""
    return group_untested(record.verdicts, record.claim_by_id)


def collect_remarks(record: Record) -> list[Remark]:
    """Return the remarks on verdicts, equal ones of different cells as one.

    Omissions are counted elsewhere, and unverified claims have a reason: of these, only what later
    majors of the tracer show is told.
    """
    found: dict[object, dict[tuple[Fact, ...], None]] = defaultdict(dict)
    promises: dict[object, dict[str, None]] = defaultdict(dict)
    for row in verdict_rows(record):
        is_open = row.verdict.outcome is Outcome.UNVERIFIED
        for remark in _remarks(row.verdict):
            if is_open and remark[0].kind is not FactKind.BEYOND_PROMISE:
                continue
            same = tuple(fact.across_cells() for fact in remark)
            found[same][remark] = None
            promises[same][promise_text(*row.claims)] = None
    return [
        Remark(_joined(next(iter(remarks))), tuple(promises[same]), _other_cells(list(remarks)))
        for same, remarks in found.items()
    ]


def broken_rows(record: Record) -> list[tuple[BrokenApp, VerdictRow]]:
    """Return the rows that are refuted because the tracer breaks the app."""
    rows = ((breakage_of(row.verdict), row) for row in verdict_rows(record))
    return [(broken, row) for broken, row in rows if broken is not None]


def document_names(record: Record) -> dict[str, str]:
    """Return short names of the documents, for lines that name several."""
    return short_names(claim.document for claim in record.claims)


def document_titles(record: Record) -> dict[str, str]:
    """Return the language of each document with the heading above its first promise.

    A record has no title of a page: `日本語, “リリース”`.
    """
    first: dict[str, Claim] = {}
    for claim in record.claims:
        first.setdefault(claim.document, claim)
    return {
        name: f"{_language(claim.language)}, “{claim.heading}”"
        if claim.heading
        else _language(claim.language)
        for name, claim in first.items()
    }


def document_lines(record: Record) -> list[str]:
    """Return a line for each document: its name, its file where that is longer, and its title."""
    names = document_names(record)
    return [
        f"{full if names[full] == full else f'{names[full]} is {full}'}: {title}"
        for full, title in document_titles(record).items()
    ]


@functools.cache
def _language(code: str) -> str:
    """Return the name of a language in itself, or its code where we do not read it."""
    path = data_dir() / "vocabulary" / f"{code}.toml"
    return str(read_toml(path)["language"]) if code.isalpha() and path.is_file() else code


def outcome_counts(record: Record) -> dict[Outcome, int]:
    """Return the number of promises with each outcome, of those that were asked."""
    counts = {outcome: record.count(outcome) for outcome in SHOWN_FIRST}
    counts[Outcome.UNVERIFIED] -= sum(len(item.claims) for item in untested_claims(record))
    return counts


def headline(record: Record) -> str:
    """Return how many of the promises that were asked hold: `9 of 12 promises asked hold`."""
    counts = outcome_counts(record)
    total, hold = sum(counts.values()), counts[Outcome.CONFIRMED]
    if not total:
        return f"none of {count_text(len(record.claims), 'promise')} was asked"
    shaped = record.shaped()
    apart = f", {shaped} of them only in the shape of a deployment" if shaped else ""
    verb = "holds" if hold == 1 else "hold"
    return f"{hold} of {count_text(total, 'promise')} asked {verb}{apart}"


def unasked_text(record: Record) -> str:
    """Return how many promises were not asked: `486 were not asked in this profile`, or ""."""
    folds = untested_claims(record)
    count = sum(len(item.claims) for item in folds)
    by_profile = any(item.reason is Reason.NOT_IN_PROFILE for item in folds)
    verb = "was" if count == 1 else "were"
    where = "profile" if by_profile else "run"
    return f"{count} {verb} not asked in this {where}" if count else ""


def reason_summaries(record: Record) -> list[ReasonSummary]:
    """Return the reasons of unverified claims, the most frequent first."""
    found: dict[Reason, list[Verdict]] = defaultdict(list)
    for verdict in record.verdicts:
        if verdict.outcome is Outcome.UNVERIFIED and verdict.reason is not None:
            found[verdict.reason].append(verdict)
    folded = untested_claims(record)
    made = [
        ReasonSummary(
            reason,
            len(verdicts),
            _cell(verdicts),
            _details(reason, record),
            tuple(item for item in folded if item.reason is reason),
        )
        for reason, verdicts in found.items()
    ]
    return sorted(made, key=lambda gap: -gap.claims)


def count_run(record: Record) -> int:
    """Return the number of cells that ran in this run, with whatever result."""
    return sum(not cell.reused and cell.reason not in _NOT_RUN for cell in record.cells)


def cell_counts(record: Record) -> str:
    """Return the numbers of cells that ran, were reused, and failed, in words."""
    texts = [f"{count_run(record)} run", f"{sum(cell.reused for cell in record.cells)} reused"]
    added = sum(cell.fallback for cell in record.cells)
    if added:
        texts.append(f"{added} of them added as further controls")
    failed = Counter(cell.reason.value for cell in record.cells if cell.reason)
    texts += [f"{count} {reason}" for reason, count in failed.most_common()]
    return ", ".join(texts)


def _remarks(verdict: Verdict) -> Iterator[tuple[Fact, ...]]:
    """Yield the remarks; one on the newest release that works joins the one on that which fails."""
    of_parts = {remark for part in verdict.parts for remark in part.remarks}
    for part in verdict.parts:
        joined: list[list[Fact]] = []
        for remark in part.remarks:
            if joined and remark.kind is FactKind.NEWEST_WITH:
                joined[-1].append(remark)
            else:
                joined.append([remark])
        yield from map(tuple, joined)
    for remark in verdict.remarks:
        if remark not in of_parts and remark.kind is not FactKind.OMITTED:
            yield (remark,)


def _joined(remark: Sequence[Fact]) -> str:
    first, *others = map(remark_text, remark)
    return "; ".join([first.rstrip(".") if others else first, *others])


def _other_cells(remarks: Sequence[Sequence[Fact]]) -> tuple[str, ...]:
    """Return the cells of the remarks after the first, each once."""
    cells = (remark[0].cell for remark in remarks[1:])
    return tuple(dict.fromkeys(cell.id for cell in cells if cell))


def _details(reason: Reason, record: Record) -> tuple[str, ...]:
    if reason is Reason.NO_PROBE:
        unverified = (item.claim for item in record.verdicts if item.reason is reason)
        return tuple(missing_experiments(map(record.claim_by_id.__getitem__, unverified)))
    if reason is Reason.PLATFORM_NOT_HERE:
        details = (item.detail for item in record.omissions if item.reason is reason)
        return tuple(dict.fromkeys(filter(None, details)))
    details = (
        cell.detail.splitlines()[0]
        for cell in record.cells
        if cell.reason is reason and cell.detail
    )
    return tuple(dict.fromkeys(details)) if reason in _WITH_DETAILS else ()


def _cell(verdicts: Sequence[Verdict]) -> str:
    for verdict in verdicts:
        for part in verdict.parts:
            if part.reason is verdict.reason and part.cells:
                return part.cells[0].id
    return ""


THIS_MACHINE = "this machine"


def location_lines(record: Record) -> Iterator[str]:
    """Yield a line for each engine with the numbers of cells by target, and their isolation."""
    by_engine: dict[str, list[CellRecord]] = defaultdict(list)
    for cell in record.cells:
        if cell.where is not None:
            by_engine[cell.where.engine].append(cell)
    for engine, cells in by_engine.items():
        counts = Counter(cell.cell.target for cell in cells)
        targets = ", ".join(f"{short_target(target)} {count}" for target, count in counts.items())
        isolation = dict.fromkeys(cell.where.isolation for cell in cells if cell.where)
        place = f"in {engine}" if engine else f"on {THIS_MACHINE}"
        yield f"{count_text(len(cells), 'cell')} {place}: {targets} ({'; '.join(isolation)})"


def isolation_warning(record: Record) -> str:
    """Return a warning about cells that were not kept from parts of the machine, "" without any."""
    free = [cell.where for cell in record.cells if cell.where and cell.where.not_isolated]
    if not free:
        return ""
    details = "; ".join(dict.fromkeys(where.isolation for where in free))
    reached = {part for where in free for part in where.not_isolated}
    network = ["could reach the network"] if NETWORK in reached else []
    rest = ", ".join(part for part in PARTS if part in reached - {NETWORK})
    others = [f"had no isolation of {rest}"] if rest else []
    words = " and ".join((*network, *others))
    return f"{count_text(len(free), 'cell')} {words} while releases ran in it: {details}"


def target_marks(verdicts: Iterable[Verdict]) -> str:
    """Return the outcome on each target, `amd64 ✓ 386 ✓ arm64 ?`, "" for a single target."""
    found: dict[str, Outcome] = {}
    for verdict in verdicts:
        for part in verdict.parts:
            target = short_target(part.cells[0].target)
            found[target] = min(
                part.outcome, found.get(target, part.outcome), key=WORST_FIRST.index
            )
    if len(found) < 2:  # noqa: PLR2004 - a single one is in the ids of the cells
        return ""
    return " ".join(f"{target} {MARKS[outcome]}" for target, outcome in found.items())
