"""Selecting parts of a plan."""

from __future__ import annotations

import pytest
from helpers.planning_fixture import claim, page, planned
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.errors import ExitCode, NothingSelectedError
from matrix.model.cell import expand, matches
from matrix.model.claim import ClaimKind
from matrix.model.plan import Plan
from matrix.planning.select import Selection, select


@pytest.fixture(scope="module")
def plan() -> Plan:
    other = claim(ClaimKind.CAPABILITY, "sca", ">=1.8.0", document="docs/other.md")
    return planned([*page(), other])


def test_nothing_given_is_everything(plan: Plan) -> None:
    assert select(plan, Selection()) is plan


def test_a_claim_brings_its_cells_and_no_others(plan: Plan) -> None:
    chosen = select(plan, Selection(claims=("*/note/request-tags",)))
    assert [each.id for each in chosen.claims] == ["page.md/note/request-tags"]
    assert {part.claim for part in chosen.parts} == {"page.md/note/request-tags"}
    needed = {
        cell for part in chosen.parts for cell in (part.minimum, *part.controls, *part.beyond)
    }
    assert {each.cell for each in (*chosen.cells, *chosen.fallbacks)} == needed
    assert {each.probes for each in chosen.cells} == {("web-tracing",)}
    assert {item.claim for item in chosen.omissions} == {"page.md/note/request-tags"}


def test_a_selection_runs_a_cell_as_the_whole_plan_does(plan: Plan) -> None:
    """A crash in the soak makes every channel under its setting unstable, in any selection."""
    whole = {each.cell.id: each.soak for each in plan.cells}
    chosen = select(plan, Selection(claims=("*/note/request-tags",)))
    assert any(whole[each.cell.id] for each in chosen.cells)
    assert {each.cell.id: each.soak for each in chosen.cells}.items() <= whole.items()


def test_the_order_of_the_plan_is_kept(plan: Plan) -> None:
    chosen = select(plan, Selection(capabilities=("threat-*",)))
    order = {part: number for number, part in enumerate(plan.parts)}
    numbers = [order[part] for part in chosen.parts]
    assert numbers == sorted(numbers)


def test_a_release_selects_minimums_and_brings_what_they_are_compared_with(plan: Plan) -> None:
    chosen = select(plan, Selection(tracers=("1.9.0",)))
    assert {part.minimum.ddtrace for part in chosen.parts} == {"1.9.0"}
    assert {each.cell.ddtrace for each in chosen.cells} == {"1.9.0", "1.8.3", "1.20.19"}


def test_a_cell_selects_the_parts_that_it_is_judged_in(plan: Plan) -> None:
    before = "cp311-linux_x86_64-flask2.2.3-ddtrace1.8.3"
    chosen = select(plan, Selection(cells=(before,)))
    assert {str(part.before) for part in chosen.parts} == {before}
    assert {each.cell.ddtrace for each in chosen.cells} == {"1.9.0", "1.8.3", "1.20.19"}


def test_capabilities_are_found_in_tables_scopes_and_probes(plan: Plan) -> None:
    chosen = select(plan, Selection(capabilities=("threat-detection",)))
    assert {each.id for each in chosen.claims} == {
        "page.md/capability/threat-detection",
        "page.md/deployment/threat-detection/docker",
        "page.md/framework/django/threat-detection",
        "page.md/framework/flask/threat-detection",
    }


def test_several_globs_of_one_option_add_up_and_options_narrow(plan: Plan) -> None:
    chosen = select(
        plan,
        Selection(
            capabilities=("threat-detection", "iast"),
            frameworks=("django1.8", "flask0.*"),
            pythons=("cp27",),
        ),
    )
    minimums = {part.minimum for part in chosen.parts}
    assert {cell.python for cell in minimums} == {"2.7"}
    assert {f"{cell.framework}{cell.framework_version}" for cell in minimums} == {
        "django1.8",
        "flask0.10",
    }


def test_a_framework_without_an_experiment_shows_its_claim(plan: Plan) -> None:
    chosen = select(plan, Selection(frameworks=("fastapi",)))
    assert [each.id for each in chosen.claims] == ["page.md/integration/fastapi/yes"]
    assert not chosen.cells
    assert [item.claim for item in chosen.omissions] == ["page.md/integration/fastapi/yes"]


def test_documents_are_named_with_or_without_their_folder(plan: Plan) -> None:
    for name in ("other.md", "docs/*", "{other,others}.md"):
        chosen = select(plan, Selection(documents=(name,)))
        assert {each.document for each in chosen.claims} == {"docs/other.md"}


@pytest.mark.parametrize(
    ("selection", "near"),
    [
        (Selection(capabilities=("threat-detecton",)), "threat-detection"),
        (Selection(frameworks=("djagno",)), "django"),
        (Selection(pythons=("3.55",)), "3.5"),
        (Selection(tracers=("1.9.00",)), "1.9.0"),
        (Selection(documents=("pag.md",)), "page.md"),
        (Selection(claims=("page.md/note/request-tag",)), "page.md/note/request-tags"),
        (
            Selection(cells=("cp311-linux_x86_64-flask2.2.3-ddtrace1.9.00",)),
            "cp311-linux_x86_64-flask2.2.3-ddtrace1.9.0",
        ),
    ],
)
def test_a_selector_that_matches_nothing_suggests_the_nearest(
    plan: Plan, selection: Selection, near: str
) -> None:
    with pytest.raises(NothingSelectedError) as caught:
        select(plan, selection)
    assert f"did you mean {near!r}?" in caught.value.message
    assert caught.value.exit_code == ExitCode.NOTHING_SELECTED


def test_one_good_selector_does_not_hide_a_bad_one(plan: Plan) -> None:
    with pytest.raises(NothingSelectedError, match="djagno"):
        select(plan, Selection(frameworks=("django", "djagno")))


def test_selectors_that_match_nothing_together_say_so(plan: Plan) -> None:
    with pytest.raises(NothingSelectedError, match="all of the selectors"):
        select(plan, Selection(pythons=("2.7",), capabilities=("api-security",)))


@pytest.mark.parametrize(
    ("pattern", "patterns"),
    [
        ("a", ("a",)),
        ("a{b,c}d", ("abd", "acd")),
        ("{a,b}{1,2}", ("a1", "a2", "b1", "b2")),
        ("a{b,c{d,e}}", ("ab", "acd", "ace")),
        ("{a,a}", ("a",)),
        ("a{b", ("a{b",)),
    ],
)
def test_braces(pattern: str, patterns: tuple[str, ...]) -> None:
    assert set(expand(pattern)) == set(patterns)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["3.9", "3.10", "django", "x"]), min_size=1, max_size=4))
def test_a_choice_matches_each_of_its_words(words: list[str]) -> None:
    pattern = "{" + ",".join(words) + "}"
    assert all(matches(pattern, [word]) for word in words)
    assert not matches(pattern, ["other"])
