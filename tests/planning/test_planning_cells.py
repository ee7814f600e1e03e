"""The cells of a plan: their dates, their order, and the probes that run in them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from helpers.planning_fixture import READ, claim, page, parts_of, planned
from hypothesis import given
from hypothesis import strategies as st

from matrix.model.cell import Cell
from matrix.model.claim import Claim, ClaimKind
from matrix.model.plan import Part
from matrix.planning.cell_set import order_parts


def test_dependencies_are_of_the_era_of_both_releases() -> None:
    dates = {each.cell.id: each.as_of for each in planned(page()).cells}
    assert dates["cp311-linux_x86_64-flask2.2.3-ddtrace1.9.0"] == dt.date(2023, 2, 28)
    # 1.10.0 is of March, and what is compared with it, 1.9.7, came in May.
    assert dates["cp311-linux_x86_64-flask2.2.3-ddtrace1.9.7"] == dt.date(2023, 5, 20)
    # 2.5.6 came after 2.6.0; a framework may be younger than the release before the minimum too.
    assert all(date > dt.date(2022, 6, 1) for cell, date in dates.items() if "0.61.5" in cell)


def test_a_framework_may_be_younger_than_the_release_before() -> None:
    plan = planned([claim(ClaimKind.CAPABILITY, "sca", ">=1.8.0")], "exhaustive")
    dates = {each.cell.id: each.as_of for each in plan.cells}
    assert dates["cp310-linux_x86_64-flask2.2.0-ddtrace1.0.0"] == dt.date(2022, 8, 2)


def letter_cell(name: str) -> Cell:
    """Return a cell that differs from others by its framework only."""
    return Cell("3.9", "linux_x86_64", name, "1.0", "1.0.0")


def test_verdicts_fall_early() -> None:
    """Cheap claims first, capabilities among equals, integrations and runtimes last."""
    kinds = {each.id: each.kind for each in page()}
    order = list(dict.fromkeys(part.claim for part in planned(page()).parts))
    late = [kinds[each] in (ClaimKind.INTEGRATION, ClaimKind.RUNTIME) for each in order]
    assert late == sorted(late)
    assert True in late
    costs = {"capability": 2, "note": 2, "framework": 1, "runtime": 1}
    claims = [claim(ClaimKind(kind), "x" if kind == "note" else "y") for kind in reversed(costs)]
    parts = [
        Part(each.id, "probe", "channel", letter_cell(f"{each.id}{number}"), None, ())
        for each in claims
        for number in range(costs[each.kind.value])
    ]
    ordered = list(dict.fromkeys(part.claim.split("/")[1] for part in order_parts(claims, parts)))
    assert ordered == ["framework", "capability", "note", "runtime"]


def test_a_cell_costs_as_much_as_it_has_probes() -> None:
    expensive = claim(ClaimKind.CAPABILITY, "expensive")
    cheap = claim(ClaimKind.CAPABILITY, "very-cheap")
    parts = [
        Part(expensive.id, "one", "channel", letter_cell("shared"), None, ()),
        Part(expensive.id, "two", "channel", letter_cell("shared"), None, ()),
        Part(cheap.id, "one", "channel", letter_cell("single"), None, ()),
    ]
    ordered = [part.claim for part in order_parts([expensive, cheap], parts)]
    assert ordered == [cheap.id, expensive.id, expensive.id]


def test_a_date_of_ones_own_is_part_of_the_cell_and_hides_what_came_later() -> None:
    plan = planned(page(), as_of=dt.date(2023, 6, 1))
    assert {each.as_of for each in plan.cells} == {dt.date(2023, 6, 1)}
    assert all(each.cell.id.endswith("-asof20230601") for each in plan.cells)
    versions = {each.cell.ddtrace for each in (*plan.cells, *plan.fallbacks)}
    assert "1.10.3" in versions
    assert "1.20.19" not in versions
    part = parts_of(plan, "capability/threat-detection")[0]
    assert part.controls[0].ddtrace == "1.10.3"
    newest = {
        part.minimum.id.split("-")[2] for part in parts_of(plan, "capability/threat-detection")
    }
    assert {"django4.2", "flask2.2.5"} <= newest, "what an install on that day would get"


def test_equal_facts_of_two_pages_share_their_cells() -> None:
    capability = claim(ClaimKind.CAPABILITY, "threat-detection", ">=1.9.0")
    again = claim(ClaimKind.CAPABILITY, "threat-detection", ">=1.9.0", document="other.md")
    assert {each.cell.id for each in planned([capability, again]).cells} == {
        each.cell.id for each in planned([capability]).cells
    }


def test_a_cell_carries_what_every_claim_wants_of_it() -> None:
    by_id = {each.cell.id: each for each in planned(page()).cells}
    shared = by_id["cp27-linux_x86_64-flask1.1.4-ddtrace1.9.0"]
    assert {"threat-detection", "web-tracing"} <= set(shared.probes)
    assert "threat-detection" in shared.decisive
    assert shared.soak
    before = by_id["cp311-linux_x86_64-flask2.2.3-ddtrace1.8.3"]
    assert "threat-detection" in before.probes
    assert "threat-detection" not in before.decisive
    assert not before.soak


def test_the_snapshot_is_the_oldest_answer_of_the_index() -> None:
    assert planned(page()).snapshot == READ - dt.timedelta(hours=1)


def naive_order(claims: Sequence[Claim], parts: Sequence[Part]) -> list[str]:
    """Return the claims in their order, each searched among all that remain."""
    needs: dict[str, set[Cell]] = {}
    probes: dict[Cell, set[str]] = {}
    for part in parts:
        needs.setdefault(part.claim, set()).update(part.required)
        for cell in part.required:
            probes.setdefault(cell, set()).add(part.probe)
    rank = {kind: number for number, kind in enumerate(ClaimKind)}
    remaining = sorted(
        (each for each in claims if each.id in needs),
        key=lambda each: (rank[each.kind], each.subject, each.id),
    )
    planned_cells: set[Cell] = set()
    ordered = []
    while remaining:
        best = min(
            remaining,
            key=lambda each: (
                each.kind in (ClaimKind.INTEGRATION, ClaimKind.RUNTIME),
                sum(len(probes[cell]) for cell in needs[each.id] - planned_cells),
            ),
        )
        remaining.remove(best)
        planned_cells |= needs[best.id]
        ordered.append(best.id)
    return ordered


cells = st.sampled_from("abcdefgh")
groups = st.lists(st.tuples(st.sampled_from("xyz"), cells, cells), min_size=0, max_size=4)
kinds = st.sampled_from(list(ClaimKind))


@given(st.lists(st.tuples(kinds, groups), max_size=12))
def test_next_is_always_the_cheapest_of_all_that_wait(
    drawn: list[tuple[ClaimKind, list[tuple[str, str, str]]]],
) -> None:
    claims = [
        claim(kind, f"s{number % 3}", n=str(number)) for number, (kind, _) in enumerate(drawn)
    ]
    parts = [
        Part(about.id, probe, "channel", letter_cell(minimum), None, (letter_cell(control),))
        for about, (_, group) in zip(claims, drawn, strict=True)
        for probe, minimum, control in group
    ]
    ordered = order_parts(claims, parts)
    assert list(dict.fromkeys(part.claim for part in ordered)) == naive_order(claims, parts)
    assert sorted(ordered, key=lambda part: part.claim) == sorted(
        parts, key=lambda part: part.claim
    )
