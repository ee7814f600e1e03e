"""Merging the results of shards: order, grouping and repetition change nothing."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

from helpers.run_fakes import CONTROL, MINIMUM, PROBE
from hypothesis import given
from hypothesis import strategies as st

from matrix.distributed.collect import best_by_cell, merge
from matrix.distributed.gather import ShardResult
from matrix.model.reason import Reason
from matrix.runs.journal import Entry

NOON, LATER = "2026-11-20T12:00:00+00:00", "2026-11-20T12:00:01+00:00"


def result(key: str = "k", capture: str = "c", **changes: object) -> ShardResult:
    entry = Entry(
        key=key,
        base="base",
        probes={PROBE: "digest"},
        decisive=(PROBE,),
        soak=True,
        cell=MINIMUM,
        reason=None,
        detail="",
        started=NOON,
        seconds=1.0,
        transient=False,
        judge="judge",
        findings=(),
    )
    return ShardResult(dataclasses.replace(entry, **changes), capture, Path(capture))  # type: ignore[arg-type]


RESULTS = st.lists(
    st.builds(
        result,
        key=st.sampled_from("abc"),
        capture=st.sampled_from("xyz"),
        cell=st.sampled_from([MINIMUM, CONTROL]),
        detail=st.sampled_from(["", "a detail"]),
        reason=st.sampled_from([None, Reason.TIMED_OUT]),
        started=st.sampled_from(["", NOON, LATER]),
        seconds=st.sampled_from([1.0, 2.0]),
        transient=st.booleans(),
    ),
    max_size=8,
)


@given(RESULTS, RESULTS, RESULTS)
def test_in_any_grouping_it_is_the_same(
    a: list[ShardResult], b: list[ShardResult], c: list[ShardResult]
) -> None:
    assert merge(merge(a, b), c) == merge(a, merge(b, c)) == merge(a, b, c)


@given(RESULTS, RESULTS, st.randoms(use_true_random=False))
def test_in_any_order_it_is_the_same(
    a: list[ShardResult], b: list[ShardResult], chance: random.Random
) -> None:
    mixed = [*a, *b]
    chance.shuffle(mixed)
    assert merge(a, b) == merge(b, a) == merge(mixed)
    assert best_by_cell(merge(a, b)) == best_by_cell(merge(mixed))
    assert list(merge(a, b)) == list(merge(mixed)), "not even the order of what is written differs"


@given(RESULTS)
def test_repetition_changes_nothing(a: list[ShardResult]) -> None:
    once = merge(a)
    assert merge(a, a) == merge(once, once) == merge(once, a) == once


@given(RESULTS)
def test_merging_loses_and_invents_nothing(a: list[ShardResult]) -> None:
    merged = merge(a)
    assert merged.keys() == {item.entry.key for item in a}
    assert all(item in a for item in merged.values()), "an entry stays with its own capture"


def test_a_final_result_counts_more_than_a_later_transient_one() -> None:
    ended = result(capture="ended")
    again = result(capture="again", transient=True, started=LATER)
    assert merge([ended], [again]) == merge([again], [ended]) == {"k": ended}


def test_of_final_results_the_later_counts() -> None:
    early, late = result(capture="early"), result(capture="late", started=LATER)
    assert merge([early, late]) == merge([late, early]) == {"k": late}


def test_times_are_compared_as_times() -> None:
    early = result(capture="early", started="2026-11-20T12:00:00.900000+00:00")
    late = result(capture="late", started="2026-11-20T12:00:01+00:00")
    assert merge([early, late]) == {"k": late}


def test_of_a_cell_with_results_by_two_keys_one_counts_and_both_are_kept() -> None:
    failed = result("no environment", "x", transient=True, started=LATER)
    ran = result("with environment", "y")
    merged = merge([failed, ran])
    assert merged.keys() == {"no environment", "with environment"}
    assert best_by_cell(merged) == {MINIMUM: ran}
