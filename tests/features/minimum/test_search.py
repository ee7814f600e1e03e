"""A search finds the lowest release that works in few steps, without relying on monotony."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.features.minimum.observations import (
    GapFound,
    OracleReply,
    RangeNarrowed,
    ReleaseGap,
    ReleaseSearchResult,
    ReleaseState,
    SearchEvent,
    StepCause,
)
from matrix.features.minimum.search import Bisection, Exhaustive, JointSearch

WORKS, FAILS, SILENT = (
    OracleReply(ReleaseState.WORKS),
    OracleReply(ReleaseState.FAILS),
    OracleReply(ReleaseState.CANNOT_TELL, "no wheel"),
)
LETTERS = {"W": WORKS, "F": FAILS, "?": SILENT}
PLAIN = Bisection(beside=0, samples=1, patience=2)


@dataclasses.dataclass
class Fake:
    """Answers with a letter for each release; a second test of a release is an error."""

    letters: str
    tested: list[str] = dataclasses.field(default_factory=list)

    def check(self, release: str) -> OracleReply:
        assert release not in self.tested
        self.tested.append(release)
        return LETTERS[self.letters[int(release[1:])]]


def names(count: int) -> list[str]:
    return [f"r{number}" for number in range(count)]


def run(
    letters: str, strategy: Bisection | Exhaustive = PLAIN, documented: str | None = None
) -> tuple[list[str | SearchEvent], ReleaseSearchResult]:
    """Search one release at a time; return the releases in the order of tests, with the events."""
    fake = Fake(letters)
    searches = JointSearch(["a"], names(len(letters)), strategy, documented)
    steps: list[str | SearchEvent] = []
    while requested := searches.next_round(1):
        (release,) = requested
        steps.append(release)
        replies = {release: {"a": fake.check(release)}}
        steps += [event for _, event in searches.add_replies(replies)]
    return steps, searches.results["a"]


def requests(
    steps: Iterable[str | SearchEvent], result: ReleaseSearchResult
) -> list[tuple[str, StepCause]]:
    causes = {each.release: each.cause for each in result.tried}
    return [(each, causes[each]) for each in steps if isinstance(each, str)]


def test_the_events_of_a_search() -> None:
    events, result = run("FFFWWWWW", documented="r4")
    assert events == [
        "r7",
        RangeNarrowed(None, "r7"),
        "r4",
        RangeNarrowed(None, "r4"),
        "r2",
        RangeNarrowed("r2", "r4"),
        "r3",
        RangeNarrowed("r2", "r3"),
    ]
    assert requests(events, result) == [
        ("r7", StepCause.NEWEST),
        ("r4", StepCause.DOCUMENTED),
        ("r2", StepCause.BISECT),
        ("r3", StepCause.BISECT),
    ]
    assert [each.reply for each in result.tried] == [FAILS, WORKS, WORKS, WORKS]
    assert (result.observed, result.exact, result.first_hole) == ("r3", True, None)
    assert (result.documented, PLAIN.bound(8)) == ("r4", 8)
    assert [each.release for each in result.tried] == ["r2", "r3", "r4", "r7"]
    assert result.assumptions == (
        "2 releases not tested below r2 are taken not to work (r0 to r1)",
        "2 releases not tested above r3 are taken to be like their neighbours (r5 to r6)",
    )


def test_a_documented_minimum_that_fails_moves_the_search_up() -> None:
    events, result = run("FFFFFWWW", documented="r2")
    assert requests(events, result)[:3] == [
        ("r7", StepCause.NEWEST),
        ("r2", StepCause.DOCUMENTED),
        ("r5", StepCause.BISECT),
    ]
    assert result.observed == "r5"
    assert result.documented == "r2"


def test_a_documented_minimum_that_is_no_release_is_none() -> None:
    _, result = run("FW", documented="r9")
    assert result.documented is None


def test_a_hole_is_seen_and_its_edges_are_found() -> None:
    events, result = run("FFWWWWWWFFFFWWWW", Bisection(beside=1, samples=4, patience=2))
    assert result.observed == "r2"
    assert result.first_hole == ReleaseGap("r8", "r11", closed=True, exact=True)
    assert [each for each in events if isinstance(each, GapFound)][-1] == GapFound("r8", "r11")
    assert StepCause.HOLE in {cause for _, cause in requests(events, result)}


def test_what_stopped_working_for_good_is_a_hole_that_is_not_closed() -> None:
    _, result = run("FFWWWWFF", Bisection(beside=1, samples=8))
    assert result.observed == "r2"
    assert result.first_hole == ReleaseGap("r6", "r7", closed=False, exact=True)


def test_a_neighbour_below_that_works_moves_the_boundary() -> None:
    # Halving ends between r5 and r6; the release two below works all the same.
    events, result = run("FFFFWFWWWWWW", Bisection(beside=2, samples=1))
    assert result.observed == "r4"
    assert ("r4", StepCause.BESIDE) in requests(events, result)
    assert result.first_hole == ReleaseGap("r5", "r5", closed=True, exact=True)


def test_releases_that_cannot_tell_are_stepped_around() -> None:
    events, result = run("FFF?WWW?", Bisection(beside=0, samples=1, patience=2))
    assert requests(events, result)[:2] == [("r7", StepCause.NEWEST), ("r6", StepCause.NEWEST)]
    assert result.observed == "r4"
    assert not result.exact
    assert [each.reply.reason for each in result.tried if each.release == "r3"] == ["no wheel"]
    assert any("1 release that cannot tell right before r4" in each for each in result.assumptions)


def test_too_many_that_cannot_tell_are_skipped() -> None:
    _, result = run("F" + "?" * 40 + "WW", Bisection(beside=1, samples=1, patience=2))
    assert result.observed == "r41"
    assert not result.exact
    # Three by halving, one neighbour, one sample.
    assert sum(each.reply is SILENT for each in result.tried) <= 5
    assert any("not tested right before r41 were skipped" in each for each in result.assumptions)


@pytest.mark.parametrize("letters", ["F" * 30, "?" * 30, "F?" * 15])
def test_where_nothing_works_it_is_looked_for_all_over(letters: str) -> None:
    strategy = Bisection(samples=5)
    events, result = run(letters, strategy)
    assert result.observed is None
    assert not result.exact
    assert result.first_hole is None
    assert [cause for _, cause in requests(events, result)].count(StepCause.ANY) >= 4
    assert len(result.tried) < 30
    assert any("taken not to work, for none does" in each for each in result.assumptions)


def test_what_worked_in_the_middle_only_is_found_by_looking_all_over() -> None:
    _, result = run("F" * 10 + "W" * 10 + "F" * 10)
    assert result.observed == "r10"
    assert result.first_hole is not None
    assert not result.first_hole.closed


@pytest.mark.parametrize(
    ("letters", "observed"), [("W", "r0"), ("F", None), ("?", None), ("", None)]
)
def test_one_release_or_none(letters: str, observed: str | None) -> None:
    events, result = run(letters)
    assert result.observed == observed
    assert len(requests(events, result)) == len(letters)
    assert result.exact == (letters == "W")
    assert not result.assumptions or letters == "?"


@pytest.mark.parametrize("letters", ["WWWWWWWW", "FFFFFFFW", "FWWWWWWW"])
def test_boundaries_at_the_ends(letters: str) -> None:
    _, result = run(letters)
    assert result.observed == f"r{letters.index('W')}"
    assert result.exact


def test_exhaustive_tests_all_and_assumes_nothing() -> None:
    events, result = run("F?WFWW", Exhaustive())
    assert requests(events, result) == [
        (f"r{number}", StepCause.EVERY) for number in (5, 4, 3, 2, 1, 0)
    ]
    assert result.observed == "r2"
    assert result.first_hole == ReleaseGap("r3", "r3", closed=True, exact=True)
    assert result.assumptions == (
        "1 release that cannot tell right before r2 were skipped: one may work (r1)",
    )


def test_the_upper_end_is_searched_where_it_is_asked_for() -> None:
    letters = "FF" + "W" * 60 + "F" * 8 + "W" * 20 + "F" * 33
    strategy = Bisection(beside=1, samples=8)
    _, result = run(letters, dataclasses.replace(strategy, upper=True))
    assert (result.observed, result.highest, result.ends) == ("r2", "r89", True)
    assert len(result.tried) <= dataclasses.replace(strategy, upper=True).bound(len(letters))


@pytest.mark.parametrize(
    ("letters", "highest", "ends"),
    [("FFWW", "r3", True), ("FFWWF", "r3", True), ("FFWW?", "r3", False), ("FF", None, False)],
)
def test_the_highest_that_works_is_told(letters: str, highest: str | None, ends: bool) -> None:
    _, result = run(letters, Bisection(beside=2, samples=4, upper=True))
    assert (result.highest, result.ends) == (highest, ends)


def test_the_result_is_plain_json() -> None:
    _, result = run("F?WFWW", Exhaustive())
    data = json.loads(json.dumps(result.to_json()))
    assert data["tried"][1] == {
        "release": "r1",
        "answer": "cannot-tell",
        "reason": "no wheel",
        "asked_for": "every",
    }
    assert data["first_hole"] == {"first": "r3", "last": "r3", "closed": True, "exact": True}


strategies = st.builds(
    Bisection, beside=st.integers(0, 4), samples=st.integers(1, 9), patience=st.integers(0, 6)
)
SIZES = st.integers(1, 700)


def check_result(
    letters: str, strategy: Bisection | Exhaustive, documented: str | None
) -> ReleaseSearchResult:
    """Assert what holds whatever the answers are."""
    _, result = run(letters, strategy, documented)
    assert len(result.tried) <= strategy.bound(len(letters)) <= len(letters)
    for each in result.tried:
        assert each.reply == LETTERS[letters[each.position]]
    positions = [each.position for each in result.tried]
    assert positions == sorted(set(positions))
    works = [each for each in result.tried if each.reply is WORKS]
    assert result.observed == (works[0].release if works else None)
    if result.exact:
        assert letters[: works[0].position][-1:] in ("", "F")
    if result.first_hole is not None:
        start, end = (int(name[1:]) for name in (result.first_hole.first, result.first_hole.last))
        assert letters[start] == letters[end] == "F"
        if result.first_hole.exact:
            assert set(letters[start : end + 1]) == {"F"}
            assert letters[start - 1] == "W"
    # Every release is tried or an assumption is about it.
    assumed = sum(int(each.split()[0]) for each in result.assumptions if "not tested" in each)
    assert assumed == len(letters) - len(result.tried)
    return result


@given(SIZES, st.data(), strategies)
def test_a_monotone_boundary_is_always_found(
    size: int, data: st.DataObject, strategy: Bisection
) -> None:
    at = data.draw(st.integers(0, size - 1))
    documented = data.draw(st.none() | st.sampled_from(names(size)))
    result = check_result("F" * at + "W" * (size - at), strategy, documented)
    assert result.observed == f"r{at}"
    assert result.exact
    assert result.first_hole is None


@given(st.text("WF?", min_size=1, max_size=300), st.data(), strategies)
def test_no_answers_lead_astray(letters: str, data: st.DataObject, strategy: Bisection) -> None:
    documented = data.draw(st.none() | st.sampled_from(names(len(letters))))
    check_result(letters, strategy, documented)


@given(st.text("WF?", min_size=1, max_size=60))
def test_exhaustive_is_the_truth(letters: str) -> None:
    result = check_result(letters, Exhaustive(), None)
    assert len(result.tried) == len(letters)
    first = letters.find("W")
    assert result.observed == (f"r{first}" if first >= 0 else None)
    hole = letters.find("F", first) if first >= 0 else -1
    assert (result.first_hole.first if result.first_hole else None) == (
        f"r{hole}" if hole >= 0 else None
    )


@given(st.integers(20, 640), st.data())
def test_a_hole_as_wide_as_the_samples_are_apart_is_found(size: int, data: st.DataObject) -> None:
    strategy = Bisection(samples=8)
    wide = size // 8 + 1
    at = data.draw(st.integers(0, size - wide - 2))
    start = data.draw(st.integers(at + 1, size - wide - 1))
    letters = "F" * at + "W" * (start - at) + "F" * wide + "W" * (size - start - wide)
    result = check_result(letters, strategy, None)
    assert result.observed in {f"r{at}", f"r{start + wide}"}
    if start - at >= wide:
        # What worked before the hole is wide enough to be met by a sample, too.
        assert result.observed == f"r{at}"
    hole = result.first_hole
    if result.observed == f"r{at}":
        assert hole is not None
        assert (hole.first, hole.last) == (f"r{start}", f"r{start + wide - 1}")
        assert hole.closed


@given(SIZES, st.data())
def test_a_stretch_that_cannot_be_installed_costs_little(size: int, data: st.DataObject) -> None:
    until = data.draw(st.integers(0, size - 1))
    result = check_result("?" * until + "W" * (size - until), Bisection(), None)
    assert result.observed == f"r{until}"
    assert sum(each.reply is SILENT for each in result.tried) <= 2 * 7 + 3 + 1


ORDERS: list[Callable[[str], str]] = [str, lambda letters: letters[::-1]]


@pytest.mark.parametrize("turn", ORDERS)
def test_640_releases_take_few_steps(turn: Callable[[str], str]) -> None:
    _, result = run(turn("F" * 300 + "W" * 340), Bisection())
    assert len(result.tried) < 40
