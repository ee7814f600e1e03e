"""Properties of every plan, whatever its claims are."""

from __future__ import annotations

import dataclasses
import functools

from helpers.planning_fixture import DJANGO, FLASK, LINUX, TRACER, claim, page, runtime, world
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from matrix.model.cell import Cell
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.plan import Plan
from matrix.planning.planner import make_plan
from matrix.planning.profiles import profile_names
from matrix.planning.select import Selection, select

versions = st.sampled_from([*TRACER, "1.9.1", "1.5.0", "9.9"])
specifiers = st.one_of(
    st.sampled_from(["", "about 1.9"]),
    versions.map(">={}".format),
    versions.map("<{}".format),
    versions.map("=={}".format),
    st.tuples(versions, versions).map(lambda pair: f">={pair[0]},<{pair[1]}"),
)
statuses = st.sampled_from(list(Status))
pythons = st.sampled_from(["==2.7.*", "==3.4.*", "==3.9.*", ">=3.7", "<3.8", ">=3.99", "three"])
frameworks = st.sampled_from(["django", "flask", "fastapi"])
subjects = st.sampled_from(
    ["threat-detection", "threat-protection", "sca", "iast", "user-events", "api-security", "other"]
)
notes = st.sampled_from(
    ["sca-all-frameworks", "flask-query-string", "request-tags", "login-events", "db-api", "new"]
)
bounds = st.sampled_from(["", ">=1.8", ">=0.10", "==1.11.*", ">=4.0", "==3.2", ">=99"])
FRAMEWORKS = {
    "django*": {("django", version) for version in DJANGO},
    "flask": {("flask", version) for version in FLASK},
    "*0.10": {("flask", "0.10")},
}
claims = st.one_of(
    st.builds(claim, st.just(ClaimKind.CAPABILITY), subjects, specifiers, status=statuses),
    st.builds(claim, st.just(ClaimKind.BRANCH), st.just("ddtrace"), specifiers),
    st.builds(runtime, pythons, specifiers, st.sampled_from(["linux", "macos"])),
    st.builds(
        claim,
        st.just(ClaimKind.FRAMEWORK),
        frameworks,
        bounds,
        status=statuses,
        capability=subjects,
    ),
    st.builds(claim, st.just(ClaimKind.AUTHENTICATION), frameworks, bounds),
    st.builds(claim, st.just(ClaimKind.INTEGRATION), frameworks, bounds),
    st.builds(claim, st.just(ClaimKind.NOTE), notes),
)
pages = st.lists(claims, max_size=8, unique_by=lambda each: each.id)


@functools.cache
def planned(given_claims: tuple[Claim, ...], profile: str) -> Plan:
    return make_plan(given_claims, world(), profile=profile, targets=(LINUX,))


def check(plan: Plan) -> None:
    answered = {part.claim for part in plan.parts} | {item.claim for item in plan.omissions}
    assert answered == {each.id for each in plan.claims}
    run = [each.cell for each in plan.cells]
    fallbacks = [each.cell for each in plan.fallbacks]
    assert len(set(run + fallbacks)) == len(run) + len(fallbacks), "a cell is planned once"
    needed = set()
    for part in plan.parts:
        before = [part.before] if part.before else []
        needed |= {part.minimum, *before, *part.controls, *part.beyond}
        assert {part.minimum, *before, *part.controls[:1], *part.beyond} <= set(run)
        cells = [*before, part.minimum, *reversed(part.controls)]
        if part.expects_absent:
            assert len({(c.python, c.target, c.ddtrace) for c in cells}) == 1
            continue
        order = [Version(each.ddtrace) for each in cells]
        if order == sorted(set(order), reverse=True) and not before:
            continue  # the newest of a branch, with the documented minimum as its control
        assert order == sorted(set(order)), "before < minimum < controls, newest control first"
        assert len({(c.python, c.target, c.framework, c.framework_version) for c in cells}) == 1
    assert needed == {*run, *fallbacks}, "no cell without a part, no part without its cells"
    for each in (*plan.cells, *plan.fallbacks):
        assert Cell.parse(each.cell.id) == each.cell
        assert not Version(each.cell.ddtrace).is_prerelease
        assert not Version(each.cell.framework_version).is_prerelease
        assert each.cell.ddtrace not in {"1.9.1", "1.20.20"}, "yanked"
        assert set(each.decisive) <= set(each.probes)


@settings(max_examples=60, deadline=None)
@given(pages, st.sampled_from(profile_names()))
def test_nothing_disappears_and_every_cell_can_be_judged(
    given_claims: list[Claim], profile: str
) -> None:
    check(planned(tuple(given_claims), profile))


def test_the_same_holds_of_a_whole_page() -> None:
    for profile in profile_names():
        check(planned(tuple(page()), profile))


@settings(max_examples=25, deadline=None)
@given(st.permutations(page()))
def test_the_order_of_the_claims_does_not_matter(permuted: list[Claim]) -> None:
    one, other = planned(tuple(page()), "documented"), planned(tuple(permuted), "documented")
    assert one.cells == other.cells
    assert one.fallbacks == other.fallbacks
    assert one.parts == other.parts
    assert set(one.omissions) == set(other.omissions)


def test_profiles_grow() -> None:
    cells = [
        {each.cell.id for each in planned(tuple(page()), profile).cells}
        for profile in ("smoke", "documented", "exhaustive")
    ]
    assert cells[0] < cells[1] < cells[2]


@settings(max_examples=40, deadline=None)
@given(pages)
def test_selecting_everything_selects_the_plan(given_claims: list[Claim]) -> None:
    plan = planned(tuple(given_claims), "documented")
    if plan.claims:
        assert select(plan, Selection(claims=("*",))) == plan


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["2.7", "3.5", "3.11"]),
    st.sampled_from(["django*", "flask", "*0.10"]),
    st.sampled_from(["1.*", "1.9.0", "2.6.0", "*"]),
)
def test_a_selection_is_complete_in_itself(python: str, framework: str, tracer: str) -> None:
    plan = planned(tuple(page()), "exhaustive")
    selection = Selection(pythons=(python,), frameworks=(framework,), tracers=(tracer,))
    expected = [
        part
        for part in plan.parts
        if (cell := part.minimum).python == python
        and (cell.framework, cell.framework_version) in FRAMEWORKS[framework]
        and (tracer in ("*", cell.ddtrace) or cell.ddtrace.startswith(tracer[:-1]))
    ]
    if expected:
        chosen = select(plan, selection)
        check(chosen)
        # Of the cells that decide nothing, those that match.
        without = [dataclasses.replace(part, beyond=()) for part in expected]
        assert [dataclasses.replace(part, beyond=()) for part in chosen.parts] == without
