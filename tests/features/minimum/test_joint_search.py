"""Searches that share their experiments find what each would find alone, in fewer rounds."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.features.minimum.observations import (
    GapFound,
    OracleReply,
    RangeNarrowed,
    ReleaseSearchResult,
    ReleaseState,
    StepCause,
)
from matrix.features.minimum.search import Bisection, Exhaustive, JointSearch

LETTERS = {
    "W": OracleReply(ReleaseState.WORKS),
    "F": OracleReply(ReleaseState.FAILS),
    "?": OracleReply(ReleaseState.CANNOT_TELL, "broken-start"),
}
PLAIN = Bisection(beside=0, samples=1, patience=2)


def names(count: int) -> list[str]:
    return [f"r{number}" for number in range(count)]


class Fake:
    """Answers for all searches at once; each release is tested once."""

    def __init__(self, letters: Mapping[str, str]) -> None:
        self.letters = letters
        self.rounds: list[tuple[str, ...]] = []

    def check(self, releases: tuple[str, ...]) -> dict[str, dict[str, OracleReply]]:
        assert not {release for group in self.rounds for release in group} & set(releases)
        self.rounds.append(releases)
        return {
            release: {name: LETTERS[text[int(release[1:])]] for name, text in self.letters.items()}
            for release in releases
        }


def run(
    letters: Mapping[str, str],
    strategy: Bisection | Exhaustive = PLAIN,
    width: int = 1,
    documented: str | None = None,
) -> tuple[Fake, dict[str, ReleaseSearchResult]]:
    fake = Fake(letters)
    releases = names(len(next(iter(letters.values()))))
    searches = JointSearch(list(letters), releases, strategy, documented)
    while requested := searches.next_round(width):
        list(searches.add_replies(fake.check(requested)))
    return fake, searches.results


def alone(letters: str) -> ReleaseSearchResult:
    return run({"a": letters})[1]["a"]


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 8))
def test_boundaries_are_found_whatever_is_requested_ahead(one: int, other: int, width: int) -> None:
    letters = {"a": "F" * one + "W" * (31 - one), "b": "F" * other + "W" * (31 - other)}
    fake, results = run(letters, Bisection(), width)
    assert (results["a"].observed, results["b"].observed) == (f"r{one}", f"r{other}")
    assert results["a"].exact
    assert results["b"].exact
    # More than the width only where the two searches need it.
    assert max(len(group) for group in fake.rounds) <= max(width, 2)


@given(
    st.integers(2, 60).flatmap(
        lambda n: st.tuples(
            st.text("WF?", min_size=n, max_size=n), st.text("WF?", min_size=n, max_size=n)
        )
    ),
    st.integers(1, 6),
)
def test_every_answer_is_known_to_every_search(letters: tuple[str, str], width: int) -> None:
    fake, results = run({"a": letters[0], "b": letters[1]}, Bisection(), width)
    requested = sorted((each for group in fake.rounds for each in group), key=lambda x: int(x[1:]))
    for result in results.values():
        assert [each.release for each in result.tried] == requested


def test_releases_of_another_search_are_marked_as_given_and_show_a_hole() -> None:
    letters = {"a": "FFFFFFFFFFFWWWWW", "b": "WWWWWWFWWWWWWWWW"}
    _, results = run(letters, PLAIN)
    hole = results["b"].first_hole
    # Halving `a` meets the one release in which `b` fails; alone `b` would not have tested there.
    assert alone(letters["b"]).first_hole is None or hole is not None
    assert StepCause.GIVEN in {each.cause for each in results["b"].tried}


def test_a_round_is_as_wide_as_there_is_room() -> None:
    letters = {"a": "F" * 50 + "W" * 50}
    narrow, _ = run(letters, Bisection(), 1)
    wide, results = run(letters, Bisection(), 4)
    assert results["a"].observed == "r50"
    assert len(wide.rounds) * 2 <= len(narrow.rounds)
    assert {len(group) for group in narrow.rounds} == {1}


def test_exhaustive_tests_all_in_one_round_from_the_newest_down() -> None:
    fake, results = run({"a": "FFWFW?W"}, Exhaustive(), 7)
    assert fake.rounds == [("r6", "r5", "r4", "r3", "r2", "r1", "r0")]
    assert results["a"].assumptions == (
        "1 release that cannot tell above r2 are taken to be like their neighbours (r5)",
    )


def test_events_bear_the_name_of_their_search() -> None:
    searches = JointSearch(["a", "b"], names(3), Exhaustive(), "r1")
    replies = {"r2": {"a": LETTERS["W"], "b": LETTERS["W"]}, "r1": {"a": LETTERS["F"]}}
    events = list(searches.add_replies(replies))
    assert ("a", RangeNarrowed("r1", "r2")) in events
    assert ("b", RangeNarrowed(None, "r2")) in events
    assert not [event for _, event in events if isinstance(event, GapFound)]
    assert list(searches.results) == ["a", "b"]


def test_doubles_are_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        JointSearch(["a"], ["r1", "r1"], PLAIN)
