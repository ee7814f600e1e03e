"""How far a refuted promise holds: the releases that were seen to, and the first that was not."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from collections.abc import Mapping

import pytest
from helpers.run_fakes import cell, claim, finding, part, plan

from matrix.cli.minimum import add_options
from matrix.judging.claims import judge
from matrix.judging.findings import FindingTable
from matrix.judging.sentences import evidence_text, remark_text
from matrix.model.claim import Claim, ClaimKind
from matrix.model.fact import Fact, FactKind, facts_from_json, facts_to_json
from matrix.model.plan import Part
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed, Outcome, Verdict
from matrix.reporting.rows import VerdictRow, short_evidence

P, A = Observed.PRESENT, Observed.ABSENT
PROMISED = claim()
LOWEST = part(
    PROMISED,
    minimum=cell("1.9.0").id,
    before=cell("1.8.0").id,
    controls=(cell("1.20.19").id, cell("1.12.0").id),
)


def head(version: str, python: str = "3.9", django: str = "3.2") -> Part:
    """Return the part at the newest release of a branch, beside the documented minimum."""
    control = cell("1.9.0", python, django).id
    return part(
        PROMISED, minimum=cell(version, python, django).id, before=None, controls=(control,)
    )


def judged(
    shown: Mapping[str, Observed | Reason], *parts: Part, of: Claim = PROMISED, python: str = "3.9"
) -> Verdict:
    table = FindingTable(finding(cell(version, python), shows) for version, shows in shown.items())
    (verdict,) = judge(plan([of], parts), table)
    return verdict


def ranges(verdict: Verdict) -> list[Fact]:
    def walk(facts: tuple[Fact, ...]) -> list[Fact]:
        found = [item for item in facts if item.kind is FactKind.HOLDS_IN]
        return found + [inner for item in facts for inner in walk(item.facts)]

    return walk(verdict.facts)


def test_where_the_minimum_holds_and_the_newest_does_not_the_range_is_told() -> None:
    shown = {"1.8.0": A, "1.9.0": P, "1.12.0": P, "1.20.19": A}
    verdict = judged(shown, LOWEST, head("1.20.19"))
    assert verdict.outcome is Outcome.REFUTED
    (held,) = ranges(verdict)
    assert (held.text("lowest"), held.text("highest"), held.text("fails")) == (
        "1.9.0",
        "1.12.0",
        "1.20.19",
    )
    told = (
        "With django 3.2 it was seen to hold from ddtrace 1.9.0 to 1.12.0; the lowest seen to"
        " fail above is 1.20.19."
    )
    assert told in evidence_text(verdict.facts)
    assert told in short_evidence(VerdictRow((verdict,), (PROMISED,)), 280)


def test_the_release_before_the_minimum_counts_where_it_holds_there_too() -> None:
    (held,) = ranges(judged({"1.8.0": P, "1.9.0": P, "1.20.19": A}, LOWEST, head("1.20.19")))
    assert (held.text("lowest"), held.text("highest")) == ("1.8.0", "1.9.0")


def test_a_later_branch_that_holds_again_is_not_within_the_range() -> None:
    parts = (LOWEST, head("1.20.19"), head("2.21.12"), head("4.14.0"))
    verdict = judged({"1.9.0": P, "1.20.19": A, "2.21.12": P, "4.14.0": A}, *parts)
    (held,) = ranges(verdict)
    assert (held.text("highest"), held.text("fails")) == ("1.9.0", "1.20.19")
    assert held.texts("again") == ("2.21.12",)
    assert "it was seen to hold in ddtrace 1.9.0, again in 2.21.12; " in evidence_text(
        verdict.facts
    )


@pytest.mark.parametrize(
    "shown",
    [
        {"1.9.0": P, "1.20.19": P},
        {"1.9.0": A, "1.20.19": A},
        {"1.9.0": A, "1.20.19": P},
        {"1.9.0": Reason.CRASHED, "1.20.19": A},
        {"1.9.0": P, "1.20.19": Reason.CRASHED},
    ],
)
def test_no_range_is_told_of_what_no_release_was_seen_to_lose(
    shown: dict[str, Observed | Reason],
) -> None:
    verdict = judged(shown, LOWEST, head("1.20.19"))
    assert not ranges(verdict)
    assert not any(remark.kind is FactKind.SEARCH_END for remark in verdict.remarks)


def test_a_release_that_breaks_the_app_ends_the_range() -> None:
    broken = dataclasses.replace(finding(cell("1.20.19"), A), reason=Reason.BREAKS_APP)
    table = FindingTable([finding(cell("1.9.0"), P), broken])
    (verdict,) = judge(plan([PROMISED], [LOWEST, head("1.20.19")]), table)
    assert verdict.reason is Reason.BREAKS_APP
    (held,) = ranges(verdict)
    assert (held.text("highest"), held.text("fails")) == ("1.9.0", "1.20.19")


def test_releases_of_other_environments_and_claims_tell_nothing_of_the_range() -> None:
    def seen(version: str, python: str, django: str = "3.2") -> Finding:
        return finding(cell(version, python, django), P)

    others = [seen("1.15.0", "3.11"), seen("1.16.0", "3.9", "4.0"), seen("1.17.0", "3.9")]
    table = FindingTable(
        [*others, finding(cell("1.9.0"), P), finding(cell("1.20.19"), A), seen("1.20.19", "3.11")]
    )
    (verdict,) = judge(plan([PROMISED], [head("1.20.19"), head("1.20.19", "3.11")]), table)
    (held,) = ranges(verdict)
    assert held.text("highest") == "1.9.0"


def test_each_range_of_a_claim_is_told_once() -> None:
    parts = [head("1.20.19", python, "3.2") for python in ("3.9", "3.11")]
    parts.append(head("1.20.19", "3.9", "4.0"))
    parts.append(part(PROMISED, minimum=cell("1.9.0").id, controls=(cell("1.20.19").id,)))
    table = FindingTable(
        finding(of, shows)
        for python, django in (("3.9", "3.2"), ("3.11", "3.2"), ("3.9", "4.0"))
        for of, shows in ((cell("1.9.0", python, django), P), (cell("1.20.19", python, django), A))
    )
    (verdict,) = judge(plan([PROMISED], parts), table)
    assert sorted(item.cell.framework_version for item in ranges(verdict) if item.cell) == [
        "3.2",
        "4.0",
    ]
    searches = [item for item in verdict.remarks if item.kind is FactKind.SEARCH_END]
    assert len(searches) == 2


def test_the_command_for_the_exact_end_is_one_that_the_program_understands() -> None:
    verdict = judged({"1.9.0": P, "1.12.0": P, "1.20.19": A}, LOWEST, head("1.20.19"))
    (search,) = (item for item in verdict.remarks if item.kind is FactKind.SEARCH_END)
    assert facts_from_json(facts_to_json([search])) == (search,)
    _, _, command = remark_text(search).partition(": python -m matrix minimum ")
    parser = argparse.ArgumentParser()
    add_options(parser)
    args = parser.parse_args(shlex.split(command))
    assert (args.subject, args.channel) == ("capability:threat-detection", ["static"])
    assert (args.framework, args.python, args.target) == ("django==3.2", "3.9", ["linux_x86_64"])
    assert (args.since, args.until, args.upper) == ("1.9.0", "1.20.19", True)


@pytest.mark.parametrize(
    ("kind", "scope", "subject"),
    [
        (ClaimKind.FRAMEWORK, (("capability", "iast"),), "capability:iast"),
        (ClaimKind.NOTE, (), "note:threat-detection"),
        (ClaimKind.RUNTIME, (), ""),
    ],
)
def test_a_search_is_offered_for_what_can_be_searched(
    kind: ClaimKind, scope: tuple[tuple[str, str], ...], subject: str
) -> None:
    of = dataclasses.replace(PROMISED, kind=kind, scope=scope)
    verdict = judged({"1.9.0": P, "1.20.19": A}, head("1.20.19"), of=of)
    assert len(ranges(verdict)) == 1
    searches = [item for item in verdict.remarks if item.kind is FactKind.SEARCH_END]
    assert [item.text("subject") for item in searches] == [subject] * bool(subject)
