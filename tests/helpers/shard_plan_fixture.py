"""Plans to split into shards, of any shape and that of the small index, and journal entries."""

from __future__ import annotations

import datetime as dt
import functools

from hypothesis import strategies as st

from helpers.planning_fixture import READ, page, world
from matrix.distributed.manifest import Manifest, Shard
from matrix.model.cell import Cell
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.plan import Omission, Part, Plan, PlannedCell, StaticEvidence
from matrix.model.reason import Reason
from matrix.planning.planner import make_plan
from matrix.runs.journal import Entry

TARGETS = ("linux_x86_64", "linux_aarch64", "win32")
DIGEST = "0f" * 32

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
# A word is one draw and not one for each letter: plans have hundreds.
words = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", max_size=8).map("a{}z".format)
places = st.sampled_from(
    [
        {"python": python, "target": target, "framework": framework, "as_of": as_of}
        for python in ("2.7", "3.9", "3.13")
        for target in TARGETS
        for framework in ("django", "flask", "jinja2", "mysql-connector", "asyncio")
        for as_of in (None, dt.date(2026, 1, 31))
    ]
)
framework_versions = st.sampled_from([f"{n}.{m}" for n in range(6) for m in range(31)])
tracer_versions = st.sampled_from([f"{n}.{m}.0" for n in range(4) for m in range(31)])
cells = st.builds(
    lambda place, framework, tracer: Cell(**place, framework_version=framework, ddtrace=tracer),
    places,
    framework_versions,
    tracer_versions,
)
some_cells = st.lists(cells, max_size=24, unique_by=lambda cell: cell.id)
scopes = st.dictionaries(words, texts, max_size=3).map(lambda scope: tuple(scope.items()))
some_words = st.lists(words, min_size=1, max_size=3).map(tuple)
few_words = st.lists(words, max_size=2).map(tuple)


@functools.cache
def small_plan(*targets: str, profile: str = "documented") -> Plan:
    """Return the plan for the small index."""
    return make_plan(page(), world(), profile=profile, targets=targets or TARGETS[:1])


@st.composite
def claims(draw: st.DrawFn, number: int) -> Claim:
    return Claim(
        id=f"{draw(words)}/{number}",
        kind=draw(st.sampled_from(ClaimKind)),
        subject=draw(texts),
        specifier=draw(texts),
        as_written=draw(texts),
        status=draw(st.sampled_from(Status)),
        document=draw(texts),
        language=draw(texts),
        sha256=draw(texts),
        heading=draw(texts),
        line=draw(st.integers(1, 10**6)),
        scope=draw(scopes),
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw a plan whose parts compare cells of one target, as real ones do."""
    drawn = draw(some_cells)
    promised = [draw(claims(number)) for number in range(draw(st.integers(1, 4)))]
    some_claim = st.sampled_from([claim.id for claim in promised])
    by_target: dict[str, list[Cell]] = {}
    for cell in drawn:
        by_target.setdefault(cell.target, []).append(cell)
    parts = []
    for of_target in by_target.values():
        some = st.sampled_from(of_target)
        several = st.lists(some, max_size=3).map(tuple)
        maybe = st.none() | some
        parts += draw(
            st.lists(
                st.builds(
                    Part,
                    claim=some_claim,
                    probe=words,
                    channel=words,
                    minimum=some,
                    before=maybe,
                    controls=several,
                    expects_absent=st.booleans(),
                    contained=st.booleans(),
                    control_channel=texts,
                    pick=st.sampled_from(["", "lowest", "newest", "between"]),
                    above=maybe,
                    choice=texts,
                    elsewhere=several,
                    later=several,
                    beyond=several,
                ),
                max_size=6,
            )
        )
    planned = [
        PlannedCell(
            cell,
            draw(st.dates()),
            draw(some_words),
            draw(few_words),
            draw(st.booleans()),
            draw(st.integers(1, 5)),
        )
        for cell in drawn
    ]
    cut = draw(st.integers(0, len(planned)))
    omissions = st.builds(Omission, some_claim, texts, st.sampled_from(Reason), texts)
    static = st.builds(StaticEvidence, some_claim, st.booleans(), texts)
    return Plan(
        profile=draw(words),
        snapshot=READ,
        claims=tuple(promised),
        parts=tuple(parts),
        cells=tuple(planned[:cut]),
        fallbacks=tuple(planned[cut:]),
        omissions=tuple(draw(st.lists(omissions, max_size=3))),
        targets=TARGETS,
        static=tuple(draw(st.lists(static, max_size=2, unique_by=lambda evidence: evidence.claim))),
        candidate=draw(st.sampled_from(["", "2.21.12"])),
    )


def one_each(plan: Plan) -> Manifest:
    """Return a manifest of the plan with a shard for each of its targets."""
    shards = []
    for target in plan.targets:
        run, reserve = (
            tuple(item.cell.id for item in planned if item.cell.target == target)
            for planned in (plan.cells, plan.fallbacks)
        )
        shards.append(Shard(f"{target}-1", target, "docker", run, reserve, 1.5 * len(run)))
    return Manifest(plan, tuple(shards), DIGEST, "the time of each release")


def journal_entry(cell: str, seconds: float, *, soak: bool = False) -> Entry:
    return Entry(
        key=f"{cell} {seconds}",
        base="",
        probes={"web": "1", "iast": "2"},
        decisive=("web",),
        soak=soak,
        cell=cell,
        reason=None,
        detail="",
        started="2026-11-20T12:00:00+00:00",
        seconds=seconds,
        transient=False,
        judge="",
        findings=(),
    )
