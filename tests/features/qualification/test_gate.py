"""The gate: whatever is not confirmed, there, new and often enough does not pass."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Callable

import pytest

from matrix.errors import UnreadableInputError
from matrix.features.qualification.artifacts import Artifact
from matrix.features.qualification.expected import ExpectedClaim, ExpectedPart, ExpectedRelease
from matrix.features.qualification.gate import ClaimFate, GateDecision, decide
from matrix.features.qualification.policy import Policy, Waiver
from matrix.model.capture import CellLocation
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed, Outcome, PartVerdict, Verdict
from matrix.runs.record import CellLine, Record, RunFacts

NOW = dt.datetime(2026, 11, 20, 12, 0, tzinfo=dt.timezone.utc)
CELL = "cp39-linux_x86_64-django3.2-ddtrace2.21.12"
OTHER = "cp39-linux_aarch64-django3.2-ddtrace2.21.12"
POLICY = Policy(("*",), (), (), dt.timedelta(days=7), 2, (), "")
FACTS = RunFacts("documented", "", "", NOW.isoformat(), 1.0, interrupted=False)
WHEELS = (
    Artifact("ddtrace-2.21.12-cp39-cp39-manylinux2014_x86_64.whl", "a" * 64),
    Artifact("ddtrace-2.21.12-cp39-cp39-manylinux2014_aarch64.whl", "b" * 64),
    Artifact("ddtrace-2.21.12-cp39-cp39-musllinux_1_2_x86_64.whl", "c" * 64),
    Artifact("ddtrace-2.21.12.tar.gz", "d" * 64),
)
WHERE = CellLocation(
    *("Docker 20.10", f"sha256:{'e' * 64}", "linux", "x86_64", 64, "glibc 2.36", "3.9.18", "", ""),
    tracer=tuple(wheel.sha256 for wheel in WHEELS),
)
TARGETS = ("linux_x86_64", "linux_i686", "linux_aarch64")
WAIVER = Waiver(("page/capability/sca",), "known", "Emma", dt.date(2026, 12, 1))


def claim(name: str = "sca") -> Claim:
    return Claim(
        f"page/capability/{name}",
        ClaimKind.CAPABILITY,
        name,
        ">=1.5.0",
        "1.5.0",
        Status.SUPPORTED,
        "page",
        "en",
        "0" * 64,
        "Heading",
        3,
    )


def expected(*cells: str, left_out: tuple[tuple[str, str], ...] = ()) -> ExpectedRelease:
    parts = tuple(ExpectedPart("sca", "dependencies", cell) for cell in cells or (CELL,))
    made = ExpectedClaim(
        *(claim().id, () if left_out else parts, left_out), *("page", 3, "0" * 64), TARGETS
    )
    return ExpectedRelease("2.21.12", (made,), WHEELS)


def record(
    *cells: str,
    outcome: Outcome = Outcome.CONFIRMED,
    reason: Reason | None = None,
    started: dt.datetime = NOW,
    times: int = 2,
) -> Record:
    cells = cells or (CELL,)
    finding = Finding(
        "", "sca", "dependencies", Observed.PRESENT, "seen", repeats=(("present", times),)
    )
    lines = tuple(
        CellLine(
            *(cell, ("sca",), None, "", 1.0),
            reused=False,
            fallback=False,
            key="k",
            started=started.isoformat(),
            findings=(dataclasses.replace(finding, cell=cell),),
            where=WHERE,
        )
        for cell in cells
    )
    parts = tuple(
        PartVerdict("sca", "dependencies", (cell,), outcome, None, reason, "as seen")
        for cell in cells
    )
    verdict = Verdict(claim().id, outcome, None, reason, "as seen", tuple(cells), parts)
    return Record(FACTS, (claim(),), (verdict,), lines, (), "")


def whats(decision: GateDecision) -> list[str]:
    return [one.what for each in decision.judged for one in each.shortfalls]


def test_what_is_confirmed_there_new_and_often_enough_passes() -> None:
    decision = decide(expected(), record(), POLICY, NOW)
    assert decision.passed
    assert [each.fate for each in decision.judged] == [ClaimFate.PASSED]


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (record(outcome=Outcome.REFUTED), "refuted"),
        (
            record(outcome=Outcome.UNVERIFIED, reason=Reason.UNSTABLE),
            "unverified (unstable)",
        ),
        (record(started=NOW - dt.timedelta(days=8)), "stale"),
        (record(started=NOW + dt.timedelta(days=1)), "stale"),
        (record(times=1), "too few"),
        (record(OTHER), "absent"),
        (dataclasses.replace(record(), cells=()), "absent"),
        (dataclasses.replace(record(), verdicts=(), claims=()), "absent"),
    ],
)
def test_everything_else_does_not(made: Record, what: str) -> None:
    decision = decide(expected(), made, POLICY, NOW)
    assert not decision.passed
    assert what in whats(decision)


def test_one_part_that_is_missing_is_enough_to_fail() -> None:
    decision = decide(expected(CELL, OTHER), record(CELL), POLICY, NOW)
    assert whats(decision) == ["absent"]


def test_a_claim_without_an_experiment_is_missing_and_not_passed() -> None:
    decision = decide(expected(left_out=(("no-probe", "asgi"),)), record(), POLICY, NOW)
    assert not decision.passed
    assert whats(decision) == ["missing"]


def test_targets_that_are_not_required_do_not_count() -> None:
    policy = dataclasses.replace(POLICY, targets=("linux_x86_64",))
    assert decide(expected(CELL, OTHER), record(CELL), policy, NOW).passed


def test_every_target_that_is_required_must_have_been_asked() -> None:
    policy = dataclasses.replace(POLICY, targets=("linux_x86_64", "linux_i686"))
    decision = decide(expected(), record(), policy, NOW)
    assert [one.detail for one in decision.judged[0].shortfalls] == ["no experiment on linux_i686"]


def test_a_promise_about_none_of_the_targets_is_not_required() -> None:
    policy = dataclasses.replace(POLICY, targets=("linux_x86_64",))
    first = expected().claims[0]
    other = dataclasses.replace(first, id="page/runtime/windows", targets=("win_amd64",))
    both = dataclasses.replace(expected(), claims=(first, other))
    assert len(decide(both, record(), policy, NOW).judged) == 1
    with pytest.raises(UnreadableInputError, match="nothing is required"):
        decide(dataclasses.replace(both, claims=(other,)), record(), policy, NOW)


def _part(made: Record, **changes: object) -> Record:
    verdict = made.verdicts[0]
    part = dataclasses.replace(verdict.parts[0], **changes)  # type: ignore[arg-type]
    return dataclasses.replace(made, verdicts=(dataclasses.replace(verdict, parts=(part,)),))


def _cell(made: Record, **changes: object) -> Record:
    return dataclasses.replace(
        made,
        cells=tuple(dataclasses.replace(cell, **changes) for cell in made.cells),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (_cell(record(), started=""), "stale"),
        (_cell(record(), started="2026-11-20T12:00:00"), "stale"),  # of which zone?
        (_part(record(), cells=(CELL, OTHER)), "absent"),  # its control is gone
        (_cell(record(), where=None), "another artifact"),
        (_cell(record(), where=dataclasses.replace(WHERE, tracer=("f" * 64,))), "another artifact"),
        # The file of another platform, or C library, is none that the cell can have had.
        (
            _cell(record(), where=dataclasses.replace(WHERE, tracer=("b" * 64, "c" * 64))),
            "another artifact",
        ),
        (
            dataclasses.replace(record(), claims=(dataclasses.replace(claim(), sha256="1" * 64),)),
            "another document",
        ),
    ],
)
def test_evidence_of_something_else_does_not_count(made: Record, what: str) -> None:
    assert what in whats(decide(expected(), made, POLICY, NOW))


def test_a_control_that_is_too_old_makes_the_answer_stale() -> None:
    old = record(OTHER, started=NOW - dt.timedelta(days=30)).cells
    made = _part(record(), cells=(CELL, OTHER))
    made = dataclasses.replace(made, cells=(*made.cells, *old))
    decision = decide(expected(), made, POLICY, NOW)
    assert [(one.what, one.cell) for one in decision.judged[0].shortfalls] == [("stale", OTHER)]


def test_what_is_recorded_beside_what_is_expected_counts_too() -> None:
    made = record(CELL, OTHER)
    first, second = made.verdicts[0].parts
    refuted = dataclasses.replace(second, outcome=Outcome.REFUTED)
    verdict = dataclasses.replace(made.verdicts[0], outcome=Outcome.REFUTED, parts=(first, refuted))
    made = dataclasses.replace(made, verdicts=(verdict,))
    assert whats(decide(expected(CELL), made, POLICY, NOW)) == ["refuted"]


def test_a_verdict_that_its_parts_do_not_make_counts_as_it_is() -> None:
    made = record()
    verdict = dataclasses.replace(
        made.verdicts[0], outcome=Outcome.UNVERIFIED, reason=Reason.NOT_SELECTED
    )
    decision = decide(expected(), dataclasses.replace(made, verdicts=(verdict,)), POLICY, NOW)
    assert whats(decision) == ["unverified (not-selected)"]


def test_a_waiver_covers_a_failure_and_makes_nothing_pass() -> None:
    policy = dataclasses.replace(POLICY, waivers=(WAIVER,))
    decision = decide(expected(), record(outcome=Outcome.REFUTED), policy, NOW)
    assert [each.fate for each in decision.judged] == [ClaimFate.WAIVED]
    assert not decision.passed, "nothing passed at all"


def test_a_waiver_that_covers_no_failure_is_told() -> None:
    policy = dataclasses.replace(POLICY, waivers=(WAIVER,))
    decision = decide(expected(), record(), policy, NOW)
    assert decision.passed
    assert decision.idle == (WAIVER,)


def _expired() -> Policy:
    return dataclasses.replace(
        POLICY, waivers=(dataclasses.replace(WAIVER, until=dt.date(2026, 11, 19)),)
    )


def _for_nothing() -> Policy:
    waiver = dataclasses.replace(WAIVER, claims=("page/capability/scaa",))
    return dataclasses.replace(POLICY, waivers=(waiver,))


def _of_what_is_not_required() -> Policy:
    return dataclasses.replace(POLICY, claims=("*",), not_claims=("*/sca",), waivers=(WAIVER,))


def _requires_nothing() -> Policy:
    return dataclasses.replace(POLICY, not_claims=("*",))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (_expired, "expired on 2026-11-19"),
        (_for_nothing, "did you mean 'page/capability/sca'?"),
        (_of_what_is_not_required, "matches no required claim"),
        (_requires_nothing, "nothing is required"),
        (lambda: dataclasses.replace(POLICY, claims=("*/sac",)), "matches no claim"),
    ],
)
def test_a_policy_that_does_not_fit_is_an_error(make: Callable[[], Policy], told: str) -> None:
    with pytest.raises(UnreadableInputError) as caught:
        decide(expected(), record(), make(), NOW)
    assert told in caught.value.message


def test_a_waiver_holds_on_its_last_day() -> None:
    last = dataclasses.replace(WAIVER, until=NOW.date())
    decide(expected(), record(), dataclasses.replace(POLICY, waivers=(last,)), NOW)


def test_what_is_expected_is_read_back_as_it_was() -> None:
    made = expected(CELL, OTHER)
    assert ExpectedRelease.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_expecting_cells_of_another_release_is_refused() -> None:
    data = {**expected().to_json(), "ddtrace": "2.21.13"}
    with pytest.raises(ValueError, match=r"2\.21\.13"):
        ExpectedRelease.from_json(data)


def _finding(made: Record, **changes: object) -> Record:
    finding = dataclasses.replace(made.cells[0].findings[0], **changes)  # type: ignore[arg-type]
    return _cell(made, findings=(finding,))


@pytest.mark.parametrize(
    "made",
    [
        _cell(record(), findings=()),
        _finding(record(), channel="another"),
        _finding(record(), shows=Observed.ABSENT, repeats=(("absent", 2),)),
        _finding(record(), shows=Observed.UNKNOWN, reason=Reason.UNSTABLE),
        _finding(record(), repeats=(("present", 2), ("absent", 1))),
    ],
)
def test_a_confirmation_that_its_findings_do_not_make_does_not_pass(made: Record) -> None:
    assert whats(decide(expected(), made, POLICY, NOW)) == ["too few"]


def _absence(*seen: Finding) -> tuple[ExpectedRelease, Record]:
    """A part that holds by showing nothing, whose control cell has these findings."""
    absent = record().cells[0].findings[0]
    absent = dataclasses.replace(absent, shows=Observed.ABSENT, repeats=(("absent", 2),))
    own = dataclasses.replace(record().cells[0], findings=(absent,))
    control = dataclasses.replace(record(OTHER).cells[0], findings=seen)
    made = dataclasses.replace(_part(record(), cells=(CELL, OTHER)), cells=(own, control))
    first = expected().claims[0]
    part = dataclasses.replace(first.parts[0], holds_without=True)
    claims = (dataclasses.replace(first, parts=(part,)),)
    return dataclasses.replace(expected(), claims=claims), made


def test_an_absence_holds_where_its_control_shows() -> None:
    shown = record(OTHER).cells[0].findings[0]
    assert decide(*_absence(shown), POLICY, NOW).passed
    by_another = dataclasses.replace(shown, channel="control")
    assert decide(*_absence(by_another), POLICY, NOW).passed


def test_an_absence_that_no_control_of_its_own_stands_for_does_not_pass() -> None:
    shown = record(OTHER).cells[0].findings[0]
    absent = dataclasses.replace(shown, shows=Observed.ABSENT, repeats=(("absent", 2),))
    other = dataclasses.replace(shown, probe="iast")
    for seen in ((), (absent,), (other,)):
        assert whats(decide(*_absence(*seen), POLICY, NOW)) == ["no control"]


def test_a_refutation_that_no_part_makes_counts_beside_a_target_that_is_not_required() -> None:
    # What the package index refutes is refuted, whatever is open elsewhere.
    made = record(CELL, OTHER)
    first, second = made.verdicts[0].parts
    second = dataclasses.replace(second, outcome=Outcome.UNVERIFIED, reason=Reason.CRASHED)
    verdict = dataclasses.replace(made.verdicts[0], outcome=Outcome.REFUTED, parts=(first, second))
    policy = dataclasses.replace(POLICY, targets=("linux_x86_64",))
    made = dataclasses.replace(made, verdicts=(verdict,))
    assert whats(decide(expected(CELL, OTHER), made, policy, NOW)) == ["refuted"]
