"""Documents, an index and cells, all made up: from pages to verdicts to changed pages."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from packaging.version import Version

from helpers.planning_fixture import LINUX, world
from matrix.features.corrections.edit import unified_diff
from matrix.features.corrections.observed import ObservedFindings
from matrix.features.corrections.page import ClaimCase, read_papers
from matrix.features.corrections.suggest import Suggestion, suggest
from matrix.features.corrections.verify import changed_claims, judge_again
from matrix.judging.claims import judge
from matrix.judging.findings import FindingTable
from matrix.model.cell import Cell
from matrix.model.claim import Claim
from matrix.model.plan import Plan, StaticEvidence
from matrix.model.verdict import Finding, Observed, Outcome, Verdict
from matrix.planning.planner import make_plan
from matrix.pypi.index import Index

Truth = Callable[[Cell, str, str], Observed]
"""What a cell shows of a probe's channel."""

Static = Callable[[Iterable[Claim], Index], Mapping[str, StaticEvidence]]


def since(**least: str) -> Truth:
    """Return a truth in which probes (or channels of them) work from a release on.

    `threat_protection__remote_config="1.20.0"`; what is not named works everywhere.
    """

    def truth(cell: Cell, probe: str, channel: str) -> Observed:
        for name in (f"{probe}__{channel}", probe):
            if first := least.get(name.replace("-", "_")):
                works = Version(cell.ddtrace) >= Version(first)
                return Observed.PRESENT if works else Observed.ABSENT
        return Observed.PRESENT

    return truth


def nothing_static(_claims: Iterable[Claim], _index: Index) -> dict[str, StaticEvidence]:
    return {}


def findings_of(plan: Plan, truth: Truth, others: Sequence[str] = ()) -> list[Finding]:
    """Return what the plan's cells show, and what the same cells show with `others` releases."""
    found: dict[tuple[str, str, str], Finding] = {}
    for part in plan.parts:
        cells = [part.minimum, *([part.before] if part.before else []), *part.controls]
        cells += [
            dataclasses.replace(Cell.parse(part.minimum), ddtrace=release).id for release in others
        ]
        for name in cells:
            shows = truth(Cell.parse(name), part.probe, part.channel)
            found[name, part.probe, part.channel] = Finding(
                name, part.probe, part.channel, shows, f"Seen to be {shows.value}."
            )
    return list(found.values())


@dataclasses.dataclass
class World:
    """Documents with the verdicts on them."""

    case: ClaimCase
    static: Static
    contained: bool = False

    def suggest(self, *, earlier: bool = False) -> tuple[Suggestion, ...]:
        return suggest(self.case, earlier=earlier)

    def again(self, suggestions: Sequence[Suggestion]) -> tuple[Verdict, ...]:
        """Return what stays refuted, on what was seen so far."""
        return judge_again(
            changed_claims(suggestions),
            world(),
            self.case.seen.findings,
            profile="documented",
            as_of=None,
            targets=(LINUX,),
            obstacles={},
            static=self.static,
            contained=self.case.seen.findings if self.contained else (),
        )

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
    static: Static = nothing_static,
    releases: Sequence[str] | None = None,
    contained: bool = False,
) -> World:
    """Plan, run in made-up cells (`contained`: in containers) and judge the documents."""
    reading, papers = read_papers(paths)
    deployments = ("docker",) if contained else ()
    plan = make_plan(reading.claims, world(), targets=(LINUX,), deployments=deployments)
    plan = dataclasses.replace(plan, static=tuple(static(reading.claims, world()).values()))
    findings = findings_of(plan, truth, others)
    table = FindingTable()
    for finding in findings:
        table.add(finding, contained=contained)
    verdicts = {one.claim: one for one in judge(plan, table)}
    known = (
        [one.version for one in world().projects["ddtrace"].releases if "rc" not in one.version]
        if releases is None
        else releases
    )
    final = sorted((one for one in known), key=Version)
    return World(ClaimCase(papers, verdicts, ObservedFindings(findings, final)), static, contained)


def decided(paths: Sequence[Path], *wrong: str, outcome: Outcome = Outcome.REFUTED) -> World:
    """Return documents on which nothing was run, with verdicts on claims by a part of their id."""
    reading, papers = read_papers(paths, lenient=True)
    verdicts = {
        claim.id: Verdict(claim.id, outcome, None, None, "Seen.")
        for claim in reading.claims
        if any(part in claim.id for part in wrong)
    }
    assert len(verdicts) >= len(wrong), "a claim that is not there"
    return World(ClaimCase(papers, verdicts, ObservedFindings(())), nothing_static)


def diff_of(suggestion: Suggestion) -> bytes:
    paper = suggestion.paper
    return unified_diff(paper.sheet.data(), suggestion.data, paper.path.name)


def applied(suggestion: Suggestion, folder: Path) -> Path:
    """Return the document after git has applied the diff to a copy of it in `folder`."""
    folder.mkdir(exist_ok=True)
    copy = folder / suggestion.paper.path.name
    copy.write_bytes(suggestion.paper.path.read_bytes())
    command = ["git", "-c", "core.autocrlf=false", "apply", "-p0", "--whitespace=nowarn", "-"]
    subprocess.run(
        command, input=diff_of(suggestion), cwd=folder, check=True, env={"PATH": os.environ["PATH"]}
    )
    return copy


def changes_of(suggestion: Suggestion) -> list[tuple[str, str]]:
    """Return the lines of the diff that differ, as (sign, text)."""
    lines = diff_of(suggestion).decode().split("\n")[2:]
    return [(line[0], line[1:]) for line in lines if line[:1] in {"-", "+"}]
