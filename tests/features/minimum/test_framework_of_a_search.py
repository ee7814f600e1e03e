"""The framework's release of a search: the one with which most releases start, or each era's."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from helpers.minimum_fixture import search_plan, search_plans
from helpers.record_fixture import cell_record

from matrix.features.minimum.scout import sampled_releases, with_most_starts
from matrix.features.minimum.search_plan import SearchPlan
from matrix.runs.record import CellRecord


def plan(**options: str) -> SearchPlan:
    return search_plan("threat-detection", None, framework="flask", python="3.9", **options)


def check(of: SearchPlan, releases: Sequence[str]) -> tuple[CellRecord, ...]:
    return tuple(cell_record(of.cells[release].cell) for release in releases)


def test_other_releases_of_the_framework_are_offered_each_once() -> None:
    offered = plan()
    names = [offered.framework, *(other.framework for other in offered.alternatives)]
    assert len(names) > 1
    assert len(set(names)) == len(names)
    assert all(set(other.cells) == set(offered.cells) for other in offered.alternatives)


def test_a_release_that_the_user_names_is_the_only_one() -> None:
    (pinned,) = search_plans(framework="flask==2.2.3", python="3.9")
    assert pinned.alternatives == ()


def test_that_with_which_most_releases_start_is_chosen_and_told() -> None:
    offered = plan()
    best = offered.alternatives[-1]

    def starts(of: SearchPlan, _record: CellRecord) -> bool:
        return of is best

    chosen = with_most_starts(offered, check, starts)
    assert chosen.framework == best.framework
    assert f"0 with {offered.framework}" in chosen.remarks[-1]
    assert f"4 with {best.framework}" in chosen.remarks[-1]


def test_of_equals_the_documented_one_is_taken() -> None:
    offered = plan()
    assert with_most_starts(offered, check, lambda *_: True).framework == offered.framework


def test_without_alternatives_nothing_is_run() -> None:
    alone = dataclasses.replace(plan(), alternatives=())
    assert with_most_starts(alone, check, lambda *_: False) is alone


def test_the_sample_has_the_first_and_the_last() -> None:
    offered = plan()
    sampled, releases = sampled_releases(offered), list(offered.cells)
    assert (sampled[0], sampled[-1]) == (releases[0], releases[-1])


def test_each_release_may_run_on_the_framework_of_its_own_time() -> None:
    (era,) = search_plans(framework="flask==era", python="3.9")
    versions = [item.cell.framework_version for item in era.cells.values()]
    assert (versions[0], versions[-1]) == ("2.0.3", "3.0.0")
    assert "of each release's time" in era.title
    assert "each release is tested on the flask of its time" in era.remarks[0]


def test_every_promised_framework_may_be_of_its_time() -> None:
    eras = search_plans(framework="era", python="3.9")
    assert {each.framework for each in eras} >= {"flask of each release's time"}
