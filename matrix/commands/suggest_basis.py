"""What suggestions are made from: a file of verdicts, or what was recorded; and the check after."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Mapping

from matrix.audit.index_evidence import static_findings
from matrix.errors import IndexUnavailableError
from matrix.index import CachedIndex, Index
from matrix.model.capture import CellCapture
from matrix.model.verdict import Finding, Verdict
from matrix.places import cache_dir, results_dir
from matrix.planning.choosing import TRACER
from matrix.planning.existence import Impossible
from matrix.planning.options import plan_from_args, where_from_args
from matrix.planning.shelf import Shelf
from matrix.planning.where import Where
from matrix.suggesting.again import changed_claims, judge_again
from matrix.suggesting.paper import Case, Paper
from matrix.suggesting.seen import Seen
from matrix.suggesting.suggestion import suggest
from matrix.suggesting.summary import Told
from matrix.suggesting.verdicts_file import read_verdicts

__all__ = ["Basis", "told_of"]

_COUNTS: Mapping[str, Callable[[CellCapture], bool]] = {
    "auto": lambda _capture: True,
    "docker": lambda capture: bool(capture.engine),
    "local": lambda capture: not capture.engine,
}


@dataclasses.dataclass(frozen=True)
class Basis:
    """The answers, everything that was seen, and how to plan once more. `source` is for reports.

    `contained` are the findings that promises about containers are judged by.
    """

    verdicts: Mapping[str, Verdict]
    findings: tuple[Finding, ...]
    source: str
    profile: str
    targets: tuple[str, ...]
    obstacles: Mapping[str, Impossible] = dataclasses.field(default_factory=dict)
    contained: tuple[Finding, ...] = ()


def told_of(
    args: argparse.Namespace, papers: Mapping[str, Paper], say: Callable[[str], None]
) -> Told:
    """Return the suggestions for the documents, and what is found of the changed ones."""
    if args.verdicts is not None:
        basis = _from_file(args, papers.values(), say)
    else:
        basis = _from_recorded(args, say)
    if not basis.findings:
        say(f"nothing was seen of any cell, by {basis.source}")
    index = CachedIndex(cache_dir(), offline=args.offline, refresh=args.refresh)
    unavailable = ""
    releases: list[str] = []
    try:
        releases = [title.text for title in Shelf(index.project(TRACER)).titles]
    except IndexUnavailableError as error:
        unavailable = error.message
    case = Case(papers, basis.verdicts, Seen(basis.findings, releases))
    suggestions = suggest(case, earlier=args.earlier)
    still = None
    if not unavailable:
        try:
            still = _again(args, basis, index, Told(suggestions, basis.source, None))
        except IndexUnavailableError as error:
            unavailable = error.message
    return Told(suggestions, basis.source, still, unavailable)


def _again(args: argparse.Namespace, basis: Basis, index: Index, told: Told) -> tuple[Verdict, ...]:
    return judge_again(
        changed_claims(told.suggestions),
        index,
        basis.findings,
        profile=basis.profile,
        as_of=args.as_of,
        targets=basis.targets,
        obstacles=basis.obstacles,
        static=static_findings,
        contained=basis.contained,
    )


def _from_file(
    args: argparse.Namespace, papers: Iterable[Paper], say: Callable[[str], None]
) -> Basis:
    told = read_verdicts(args.verdicts, papers)
    for name in told.silent:
        say(f"{args.verdicts} says nothing of {name}")
    return Basis(
        told.verdicts,
        told.findings,
        args.verdicts.name,
        told.profile,
        told.targets,
        contained=told.contained,
    )


def _from_recorded(args: argparse.Namespace, say: Callable[[str], None]) -> Basis:
    """Judge what was captured, as `verify --rejudge` does."""
    from matrix.journal import CaptureStore, Journal  # noqa: PLC0415
    from matrix.probes import load_probes  # noqa: PLC0415
    from matrix.suggesting.recorded import recorded_findings  # noqa: PLC0415
    from matrix.verify.holding import Held  # noqa: PLC0415
    from matrix.verify.running import Options, verify, world_on  # noqa: PLC0415

    where = _where(args)
    plan = plan_from_args(args, say, where, static_findings)
    options = Options(rejudge=True, offline=args.offline, engine=args.engine)
    result = verify(plan, options, lambda _event: None, world_on(Held(where)))
    for warning in result.warnings:
        say(warning)
    folder = results_dir()
    with contextlib.closing(Journal(folder / "journal.jsonl")) as journal:
        findings = recorded_findings(
            journal, CaptureStore(folder / "captures"), load_probes(), _COUNTS[args.engine]
        )
    return Basis(
        {verdict.claim: verdict for verdict in result.verdicts},
        findings,
        "recorded results",
        args.profile,
        where.targets,
        where.obstacles,
        tuple(found for cell in result.cells if cell.contained for found in cell.findings),
    )


def _where(args: argparse.Namespace) -> Where:
    """Return what was captured of: nothing is run, so no engine is asked."""
    from matrix.verify.rejudging import captured_where  # noqa: PLC0415

    if args.engine == "auto":
        return captured_where(results_dir(), args.target)
    return where_from_args(args)
