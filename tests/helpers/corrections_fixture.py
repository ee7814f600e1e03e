"""Fakes for corrections: pages with verdicts from made-up cells, and the changed pages."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from packaging.version import Version

from helpers.planning_fixture import LINUX, world
from matrix.features.corrections.basis import CorrectionBasis, ObservedFindings, still_refuted
from matrix.features.corrections.change import ClaimCase
from matrix.features.corrections.edit import unified_diff
from matrix.features.corrections.page import read_pages
from matrix.features.corrections.suggest import Suggestion, changed_claims, suggest
from matrix.judging.claims import judge
from matrix.judging.findings import FindingTable
from matrix.model.cell import Cell
from matrix.model.claim import Claim
from matrix.model.fact import text_facts
from matrix.model.plan import Plan, StaticEvidence
from matrix.model.verdict import Finding, Observed, Outcome, Verdict
from matrix.planning.planner import make_plan
from matrix.pypi.client import Index

Truth = Callable[[Cell, str, str], Observed]
"""Returns what a cell shows for a probe's channel."""

Static = Callable[[Iterable[Claim], Index], Mapping[str, StaticEvidence]]


def since(**minimums: str) -> Truth:
    """Return a truth in which probes, or channels of them, work from a release on.

    For example `threat_protection__remote_config="1.20.0"`; all others always work.
    """

    def truth(cell: Cell, probe: str, channel: str) -> Observed:
        for name in (f"{probe}__{channel}", probe):
            if first := minimums.get(name.replace("-", "_")):
                works = Version(cell.ddtrace) >= Version(first)
                return Observed.PRESENT if works else Observed.ABSENT
        return Observed.PRESENT

    return truth


def no_static_evidence(_claims: Iterable[Claim], _index: Index) -> dict[str, StaticEvidence]:
    return {}


def findings_of(plan: Plan, truth: Truth, others: Sequence[str] = ()) -> list[Finding]:
    """Return the findings of the plan's cells, and of the same cells with `others` releases."""
    findings: dict[tuple[Cell, str, str], Finding] = {}
    for part in plan.parts:
        cells = [part.minimum, *([part.before] if part.before else []), *part.controls]
        cells += [dataclasses.replace(part.minimum, ddtrace=release) for release in others]
        for cell in cells:
            shows = truth(cell, part.probe, part.channel)
            findings[cell, part.probe, part.channel] = Finding(
                cell, part.probe, part.channel, shows, text_facts(f"Seen to be {shows.value}.")
            )
    return list(findings.values())


@dataclasses.dataclass
class World:
    """Documents with their verdicts."""

    case: ClaimCase
    static: Static
    contained: bool = False

    def suggest(self, *, earlier: bool = False) -> tuple[Suggestion, ...]:
        return suggest(self.case, earlier=earlier)

    def still_refuted(self, suggestions: Sequence[Suggestion]) -> tuple[Verdict, ...]:
        """Return the verdicts that stay refuted, by the findings so far."""
        findings = self.case.observed.findings
        basis = CorrectionBasis(
            self.case.verdicts,
            findings,
            "made-up cells",
            "documented",
            (LINUX,),
            contained=findings if self.contained else (),
        )
        claims = changed_claims(suggestions)
        return still_refuted(claims, world(), basis, as_of=None, static=self.static)

    def refuted(self) -> set[str]:
        return {
            name
            for name, verdict in self.case.verdicts.items()
            if verdict.outcome is Outcome.REFUTED
        }


def verified(
    paths: Sequence[Path],
    truth: Truth,
    *,
    others: Sequence[str] = (),
    static: Static = no_static_evidence,
    releases: Sequence[str] | None = None,
    contained: bool = False,
) -> World:
    """Plan, run in made-up cells (with `contained` in containers), and judge the documents."""
    reading, pages = read_pages(paths)
    deployments = ("docker",) if contained else ()
    plan = make_plan(reading.claims, world(), targets=(LINUX,), places=deployments)
    plan = dataclasses.replace(plan, static=tuple(static(reading.claims, world()).values()))
    findings = findings_of(plan, truth, others)
    table = FindingTable()
    for finding in findings:
        table.add(finding, contained=contained)
    verdicts = {one.claim: one for one in judge(plan, table)}
    if releases is None:
        all_releases = [one.version for one in world().projects["ddtrace"].releases]
        releases = [release for release in all_releases if "rc" not in release]
    final = sorted(releases, key=Version)
    return World(ClaimCase(pages, verdicts, ObservedFindings(findings, final)), static, contained)


def decided(
    paths: Sequence[Path],
    *wrong: str,
    outcome: Outcome = Outcome.REFUTED,
    partials: Path | None = None,
) -> World:
    """Return documents without a run, with verdicts on the claims whose id has one of the parts."""
    reading, pages = read_pages(paths, lenient=True, partials=partials)
    verdicts = {
        claim.id: Verdict(claim.id, outcome, None, None, text_facts("Seen."))
        for claim in reading.claims
        if any(part in claim.id for part in wrong)
    }
    assert len(verdicts) >= len(wrong), "unknown claim"
    return World(ClaimCase(pages, verdicts, ObservedFindings(())), no_static_evidence)


def diff_of(suggestion: Suggestion) -> bytes:
    page = suggestion.page
    return unified_diff(page.file.data(), suggestion.data, page.path.name)


def applied(suggestion: Suggestion, folder: Path) -> Path:
    """Return the document after git has applied the diff to a copy of it in `folder`."""
    folder.mkdir(exist_ok=True)
    copy = folder / suggestion.page.path.name
    copy.write_bytes(suggestion.page.path.read_bytes())
    command = ["git", "-c", "core.autocrlf=false", "apply", "-p0", "--whitespace=nowarn", "-"]
    subprocess.run(
        command, input=diff_of(suggestion), cwd=folder, check=True, env={"PATH": os.environ["PATH"]}
    )
    return copy


def changes_of(suggestion: Suggestion) -> list[tuple[str, str]]:
    """Return the removed and added lines of the diff, as (sign, text)."""
    lines = diff_of(suggestion).decode().split("\n")[2:]
    return [(line[0], line[1:]) for line in lines if line[:1] in {"-", "+"}]
