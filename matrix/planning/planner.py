"""Claims to a plan: pure, but for the projects that the index tells of."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence

from matrix.interpreters.targets import claimed_target, covers_target, host_target
from matrix.model.cell import Cell
from matrix.model.claim import Claim, ClaimKind
from matrix.model.plan import Omission, Part, Plan
from matrix.model.reason import Reason
from matrix.planning.boundaries import Boundary
from matrix.planning.candidate import claims_about
from matrix.planning.cell_set import CellSet, by_target, in_order
from matrix.planning.coverage import Coverage, CoverageRule, load_coverage
from matrix.planning.existence import Unsatisfiable, tracer_installs
from matrix.planning.expectations import Check, asks_of, runtimes_of
from matrix.planning.integration_rows import CellSite, IntegrationRows, NeighbourCells
from matrix.planning.locations import platform_of
from matrix.planning.page import ClaimPage, pages_of
from matrix.planning.profiles import Profile, ProfileLimit, load_profile
from matrix.planning.versions import TRACER, VersionChoice
from matrix.pypi.index import Index
from matrix.pypi.releases import Release, end_of_day

__all__ = ["make_plan"]


def make_plan(  # noqa: PLR0913 - what a plan depends on
    claims: Sequence[Claim],
    index: Index,
    *,
    profile: str = "documented",
    as_of: dt.date | None = None,
    targets: Sequence[str] | None = None,
    obstacles: Mapping[str, Unsatisfiable] | None = None,
    deployments: Sequence[str] = (),
    coverage: Coverage | None = None,
    candidate: str = "",
) -> Plan:
    """Return the plan for `claims`.

    `as_of` resolves everything as of that date instead of the era of each tracer release; releases
    uploaded later are not there then. `targets` are those that cells can be run for, in this
    order, by default this machine's own; `obstacles` says of others why they cannot. `deployments`
    are those that the cells are run in. Which interpreters and images are here does not matter.

    `candidate` is a release of the tracer: all that is promised of it is asked of it, and the plan
    has no other claims. Raises UsageError where the index has no such release, and
    NothingSelectedError where no claim is about it.
    """
    planner = _Planner(
        choosing=VersionChoice(index, coverage or load_coverage(), end_of_day(as_of), candidate),
        drafts=CellSet(as_of),
        profile=load_profile(profile),
        targets=(host_target(),) if targets is None else tuple(targets),
        obstacles=obstacles or {},
        deployments=tuple(deployments),
    )
    choosing = planner.choosing
    tracer = choosing.shelf(TRACER)
    pages = pages_of(claims)
    if candidate:
        claims = claims_about(candidate, claims, choosing.coverage, tracer)
    for claim in sorted(claims, key=lambda claim: claim.id):
        planner.add(claim, pages[claim.document, claim.sha256])
    parts = by_target(in_order(claims, planner.parts), planner.targets)
    cells, fallbacks = planner.drafts.planned(parts, choosing.coverage.soaked)
    return Plan(
        profile=profile,
        snapshot=min(shelf.fetched for shelf in choosing.shelves.values()),
        claims=tuple(claims),
        parts=tuple(parts),
        cells=cells,
        fallbacks=fallbacks,
        omissions=tuple(dict.fromkeys(planner.omissions)),
        targets=planner.targets,
        candidate=tracer.candidate.text if tracer.candidate else "",
    )


@dataclasses.dataclass
class _Planner:
    choosing: VersionChoice
    drafts: CellSet
    profile: Profile
    targets: tuple[str, ...]
    obstacles: Mapping[str, Unsatisfiable]
    deployments: tuple[str, ...]
    parts: list[Part] = dataclasses.field(default_factory=list)
    omissions: list[Omission] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self.coverage = self.choosing.coverage
        self.rows = IntegrationRows(self.choosing, self.drafts)

    def leave_out(self, claim: Claim, what: str, why: Unsatisfiable) -> None:
        self.omissions.append(Omission(claim.id, what, why.reason, why.detail))

    def add(self, claim: Claim, page: ClaimPage) -> None:
        """Plan one claim: it is in `parts`, in `left_out`, or in both afterwards."""
        rule = self.coverage.rule(claim)
        if isinstance(rule, Reason):
            self.leave_out(claim, f"{claim.kind.value} {claim.subject}", Unsatisfiable(rule, ""))
            return
        deployment = claim.get("deployment") if claim.kind is ClaimKind.DEPLOYMENT else None
        if deployment and deployment not in self.deployments:
            why = Unsatisfiable(Reason.DEPLOYMENT_NOT_HERE, self.coverage.deployments[deployment])
            self.leave_out(claim, f"deployment in {deployment}", why)
            return
        targets = [target for target in self.targets if covers_target(claim, target)]
        if deployment:
            # Elsewhere the same claim is about the same containers, and a cell is in none.
            targets = [target for target in targets if platform_of(target)]
        if not targets:
            what = claimed_target(claim) or "any target"
            known = (why for name, why in self.obstacles.items() if covers_target(claim, name))
            self.leave_out(claim, what, next(known, Unsatisfiable(Reason.PLATFORM_NOT_HERE, "")))
            return
        if not self.has_back_end(claim, rule):
            return
        tracer = self.choosing.shelf(TRACER)
        for each in self.coverage.answering(claim, rule):
            for ask in asks_of(claim, each, page, tracer, self.coverage):
                if isinstance(ask, tuple):
                    self.leave_out(claim, *ask)
                elif narrowing := self.profile.narrowing(ask):
                    self.spread(ask, page, targets, narrowing)
                else:
                    self.leave_out(claim, str(ask), Unsatisfiable(Reason.NOT_IN_PROFILE, ""))

    def has_back_end(self, claim: Claim, rule: CoverageRule) -> bool:
        """Return whether any of the back ends that the claim names is known; leave out the others.

        A claim that names none needs none.
        """
        named = rule.named_back_ends(claim)
        for name in named:
            if name not in rule.back_ends:
                what = f"{claim.subject} with {name}"
                detail = f"the probe's back ends: {', '.join(rule.back_ends)}"
                self.leave_out(claim, what, Unsatisfiable(Reason.NO_BACK_END, detail))
        return not named or bool(set(named) & set(rule.back_ends))

    def spread(
        self, ask: Check, page: ClaimPage, targets: Sequence[str], narrowing: ProfileLimit
    ) -> None:
        """Answer an ask on those of its targets that the profile means."""
        chosen = narrowing.places(ask.claim, targets)
        for target in chosen:
            self.answer(ask, page, target, narrowing)
        for target in targets[len(chosen) :]:
            why = f"the promise names no CPU; {' and '.join(chosen)} was asked"
            self.leave_out(ask.claim, target, Unsatisfiable(Reason.ONE_PLATFORM, why))

    def answer(self, ask: Check, page: ClaimPage, target: str, narrowing: ProfileLimit) -> None:
        """Choose runtimes for an ask and add a part for each channel on each of them."""
        minimum = ask.boundary.minimum
        meant = self.choosing.shelf(TRACER).matching(
            *page.branches_of(minimum.final_text), ask.claim.specifier
        )
        later = [title for title in meant if title.version > minimum.version]
        runtimes = runtimes_of(ask.claim, page, minimum, later, target)
        for what, why in runtimes.remarks:
            self.leave_out(ask.claim, what, why)
        if ask.pick == "between":
            self.between(ask, page, runtimes.pythons, target, narrowing)
            return
        possible: dict[str, Release] = {}
        for python in runtimes.pythons:
            found = tracer_installs(minimum, python, target) or self.choosing.title(ask, python)
            if isinstance(found, Unsatisfiable):
                self.leave_out(ask.claim, f"CPython {python}, {ask}", found)
            else:
                possible[python] = found
        if not possible and ask.rule.library and ask.pick == "lowest":
            stepped, said = self.rows.stepped_up(ask, page, runtimes.pythons, target)
            possible |= stepped
            if said:
                self.leave_out(ask.claim, *said)
        if not runtimes.pythons:
            reason = Reason.NO_RUNTIME if page.runtimes(target) else Reason.NO_WHEEL
            detail = f"ddtrace {minimum.text} has no wheel for any CPython that could be meant"
            self.leave_out(ask.claim, str(ask), Unsatisfiable(reason, f"{detail}, on {target}"))
        chosen = tuple(possible) if runtimes.every else narrowing.choose(tuple(possible))
        others = tuple(python for python in runtimes.pythons if python not in chosen)
        for python, title in possible.items():
            if python in chosen:
                spot = CellSite(ask, python, target, title, others, first=python == chosen[0])
                self.parts += self.parts_of(spot, page)
            else:
                what = f"CPython {python}, {ask}"
                detail = f"{self.profile.name} runs CPython {' and '.join(chosen)}"
                self.leave_out(ask.claim, what, Unsatisfiable(narrowing.unchosen, detail))

    def between(
        self,
        ask: Check,
        page: ClaimPage,
        pythons: Sequence[str],
        target: str,
        narrowing: ProfileLimit,
    ) -> None:
        """Add parts for the majors of a library between the ends of its range."""
        for python, title in self.rows.between(ask, pythons, target, narrowing):
            self.parts += self.parts_of(CellSite(ask, python, target, title), page)
            if narrowing.runtimes != "all":
                tracer = ask.boundary.minimum.text
                what = f"{ask.framework} {title.text} with ddtrace {tracer} on other CPythons"
                detail = f"majors between the ends of a range run on one: {python}"
                self.leave_out(ask.claim, what, Unsatisfiable(narrowing.unchosen, detail))

    def parts_of(self, spot: CellSite, page: ClaimPage) -> Iterator[Part]:
        """Yield a part for each channel, in one environment."""
        ask, python, target = spot.ask, spot.python, spot.target
        boundary = self.installable(spot)

        def cell(tracer: Release) -> Cell:
            return self.drafts.add(python, target, (ask.framework, spot.title), tracer)

        controls = tuple(cell(each) for each in boundary.controls)
        around = NeighbourCells(before=cell(boundary.before) if boundary.before else None)
        if ask.rule.library:
            controls = tuple(self.rows.compared(spot, page))
            around = self.rows.around(spot)
        if ask.expects_absent and ask.rule.able:
            controls = self.able(ask, python, target)
        pick = ask.pick if ask.rule.library else ""
        for channel in ask.rule.channels:
            yield Part(
                claim=ask.claim.id,
                probe=ask.rule.probe,
                channel=channel,
                minimum=cell(boundary.minimum),
                controls=controls,
                expects_absent=ask.expects_absent,
                contained=ask.claim.kind is ClaimKind.DEPLOYMENT,
                pick=pick,
                **vars(around),
            )
        for channel, showing in ask.rule.denied:
            yield Part(
                claim=ask.claim.id,
                probe=ask.rule.probe,
                channel=channel,
                minimum=cell(boundary.minimum),
                before=None,
                controls=(cell(boundary.minimum),),
                expects_absent=True,
                control_channel=showing,
                pick=pick,
            )

    def able(self, ask: Check, python: str, target: str) -> tuple[Cell, ...]:
        """Return the cell that shows, with the same tracer, what the promise says to be absent."""
        other = dataclasses.replace(ask, framework=ask.rule.able, specifier="", pick="newest")
        title = self.choosing.title(other, python)
        if isinstance(title, Unsatisfiable):
            self.leave_out(ask.claim, f"CPython {python}, {other}", title)
            return ()
        return (self.drafts.add(python, target, (other.framework, title), ask.boundary.minimum),)

    def installable(self, spot: CellSite) -> Boundary:
        """Return the boundary without the releases that cannot be installed here.

        Left out in words: the release before, and the newest control where it is the one.
        """
        ask, python, target = spot.ask, spot.python, spot.target
        boundary = ask.boundary
        before = boundary.before
        for each in (before, *boundary.controls[:1]):
            why = tracer_installs(each, python, target) if each else None
            if each is not None and why is not None:
                what = f"CPython {python}, {ask.framework} {spot.title.text}, ddtrace {each.text}"
                self.leave_out(ask.claim, what, why)
        if before is not None and tracer_installs(before, python, target):
            before = None
        return Boundary(
            boundary.minimum, before, tuple(_installable(boundary.controls, python, target))
        )


def _installable(titles: Iterable[Release], python: str, target: str) -> Iterator[Release]:
    return (title for title in titles if tracer_installs(title, python, target) is None)
