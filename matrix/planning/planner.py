"""Make a plan from claims. Pure, but for the projects that are read from the index."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from collections.abc import Iterator, Mapping, Sequence

from matrix.interpreters.inspect import host_target
from matrix.interpreters.targets import claimed_target, covers_target
from matrix.model.cell import Cell
from matrix.model.claim import Claim, ClaimKind
from matrix.model.plan import Omission, Part, Plan
from matrix.model.reason import Reason
from matrix.planning.boundaries import Boundary
from matrix.planning.cell_set import CellSet, order_parts, plan_cells
from matrix.planning.coverage import Coverage, CoverageRule, load_coverage
from matrix.planning.existence import Unsatisfiable, tracer_obstacle
from matrix.planning.expectations import Check, candidate_claims, checks_for, runtimes_of
from matrix.planning.integration_rows import CellSite, IntegrationRows, NeighbourCells
from matrix.planning.locations import engine_platform
from matrix.planning.page import ClaimPage, pages_by_document
from matrix.planning.profiles import Profile, ProfileLimit, load_profile
from matrix.planning.versions import TRACER, VersionChoice
from matrix.probes.places import Place, find_place, load_places, outside_channel
from matrix.probes.shops import load_shops
from matrix.pypi.client import Index
from matrix.pypi.releases import Release, end_of_day, later_than, specifier_allows


def make_plan(  # noqa: PLR0913 - what a plan depends on
    claims: Sequence[Claim],
    index: Index,
    *,
    profile: str = "documented",
    as_of: dt.date | None = None,
    targets: Sequence[str] | None = None,
    obstacles: Mapping[str, Unsatisfiable] | None = None,
    places: Sequence[str] = (),
    coverage: Coverage | None = None,
    candidate: str = "",
    pre: bool = False,
) -> Plan:
    """Return the plan for `claims`.

    `as_of` resolves everything as of that date instead of the era of each tracer release, without
    releases that were uploaded later. `targets` are those that cells can run on, in this order, by
    default this machine's own; `obstacles` says of others why they cannot. `places` are those that
    cells can run in, by name. The interpreters and images of this machine do not matter. With
    `pre`, a pre-release of the tracer that is newer than every final release is its newest.

    `candidate` is a release of the tracer: every promise about it is tested on it, and the plan has
    no other claims. Raises UsageError where the index has no such release, and
    NothingSelectedError where no claim is about it.
    """
    planner = _Planner(
        versions=VersionChoice(
            index, coverage or load_coverage(), end_of_day(as_of), candidate, pre
        ),
        cells=CellSet(as_of),
        profile=load_profile(profile),
        targets=(host_target(),) if targets is None else tuple(targets),
        obstacles=obstacles or {},
        places=tuple(map(find_place, places)),
    )
    versions = planner.versions
    tracer = versions.releases(TRACER)
    pages = pages_by_document(claims)
    if candidate:
        claims = candidate_claims(candidate, claims, versions.coverage, tracer)
    for claim in sorted(claims, key=lambda claim: claim.id):
        planner.add(claim, pages[claim.document, claim.sha256])
    # Emulated targets are slow and come last.
    parts = sorted(
        order_parts(claims, planner.parts),
        key=lambda part: planner.targets.index(part.minimum.target),
    )
    cells, fallbacks = plan_cells(parts, planner.cells.dates, versions.coverage.soaked)
    return Plan(
        profile=profile,
        snapshot=min(project.fetched for project in versions.projects.values()),
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
    versions: VersionChoice
    cells: CellSet
    profile: Profile
    targets: tuple[str, ...]
    obstacles: Mapping[str, Unsatisfiable]
    places: tuple[Place, ...]
    parts: list[Part] = dataclasses.field(default_factory=list)
    omissions: list[Omission] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self.coverage = self.versions.coverage
        self.rows = IntegrationRows(self.versions, self.cells)

    def omit(self, claim: Claim, subject: str, obstacle: Unsatisfiable) -> None:
        self.omissions.append(Omission(claim.id, subject, obstacle.reason, obstacle.detail))

    def add(self, claim: Claim, page: ClaimPage) -> None:
        """Plan one claim: afterwards it is in `parts`, in `omissions`, or in both."""
        rule = self.coverage.rule(claim)
        if isinstance(rule, Reason):
            self.omit(claim, f"{claim.kind.value} {claim.subject}", Unsatisfiable(rule, ""))
            return
        deployment = claim.get("deployment")
        places = self.places_for(claim, deployment) if deployment else (None,)
        targets = [target for target in self.targets if covers_target(claim, target)]
        if deployment:
            # Elsewhere the same claim is about the same containers, and a cell is in none.
            targets = [target for target in targets if engine_platform(target)]
        if places and not targets:
            self.omit_targets(claim)
        if not places or not targets or not self.has_back_end(claim, rule):
            return
        tracer = self.versions.releases(TRACER)
        for answering in self.coverage.answering(claim, rule):
            for check in checks_for(claim, answering, page, tracer, self.coverage):
                if isinstance(check, tuple):
                    self.omit(claim, *check)
                elif limit := self.profile.limit_for(check):
                    for place in places:
                        self.add_check(check.in_place(place), page, targets, limit)
                else:
                    self.omit(claim, str(check), Unsatisfiable(Reason.NOT_IN_PROFILE, ""))

    def omit_targets(self, claim: Claim) -> None:
        """Omit a claim of which no target can be run, with what is known of the obstacle."""
        subject = claimed_target(claim) or "any target"
        known = (item for name, item in self.obstacles.items() if covers_target(claim, name))
        self.omit(claim, subject, next(known, Unsatisfiable(Reason.PLATFORM_NOT_HERE, "")))

    def places_for(self, claim: Claim, deployment: str) -> tuple[Place, ...]:
        """Return the places that cells can run in for a deployment; omit the claim without any."""
        places = tuple(place for place in self.places if place.deployment == deployment)
        if not places:
            known = (each for each in load_places().values() if each.deployment == deployment)
            remedies = dict.fromkeys(place.remedy for place in known)
            obstacle = Unsatisfiable(Reason.DEPLOYMENT_NOT_HERE, "; or ".join(remedies))
            self.omit(claim, f"deployment in {deployment}", obstacle)
        return places

    def has_back_end(self, claim: Claim, rule: CoverageRule) -> bool:
        """Return whether any of the back ends that the claim names is supported; omit the others.

        A claim that names none needs none. Data stores of which nothing is to be seen are omitted.
        """
        for store, detail in rule.stores_left_out:
            self.omit(claim, store, Unsatisfiable(Reason.OUTSIDE_CLAIM, detail))
        named = rule.named_back_ends(claim)
        for name in named:
            if name not in rule.back_ends:
                detail = f"the probe's back ends: {', '.join(rule.back_ends)}"
                obstacle = Unsatisfiable(Reason.NO_BACK_END, detail)
                self.omit(claim, f"{claim.subject} with {name}", obstacle)
        return not named or bool(set(named) & set(rule.back_ends))

    def add_check(
        self, check: Check, page: ClaimPage, targets: Sequence[str], limit: ProfileLimit
    ) -> None:
        """Plan a check on those of its targets that the profile runs."""
        beyond = limit.choose_beyond(check.boundary.beyond)
        check = dataclasses.replace(
            check, boundary=dataclasses.replace(check.boundary, beyond=beyond)
        )
        chosen = limit.choose_targets(check.claim, targets)
        for target in chosen:
            self.add_check_on(check, page, target, limit)
        for target in targets[len(chosen) :]:
            detail = f"the promise names no CPU; tested on {' and '.join(chosen)}"
            self.omit(check.claim, target, Unsatisfiable(Reason.ONE_PLATFORM, detail))

    def add_check_on(self, check: Check, page: ClaimPage, target: str, limit: ProfileLimit) -> None:
        """Choose the runtimes of a check and add a part for each channel on each of them."""
        claim, minimum = check.claim, check.boundary.minimum
        in_scope = self.versions.releases(TRACER).matching(
            *page.branches_of(minimum.final_text), claim.specifier
        )
        later = later_than(in_scope, minimum.version)
        runtimes = runtimes_of(claim, page, minimum, later, target)
        for subject, obstacle in runtimes.remarks:
            self.omit(claim, subject, obstacle)
        if check.pick == "between":
            self.add_majors_between(check, page, runtimes.pythons, target, limit)
            return
        possible: dict[str, Release] = {}
        for python in runtimes.pythons:
            release = (
                tracer_obstacle(minimum, python, target)
                or _place_obstacle(check, python)
                or self.versions.release(check, python)
            )
            if isinstance(release, Unsatisfiable):
                self.omit(claim, f"CPython {python}, {check}", release)
            else:
                possible[python] = release
        if not possible and check.rule.library and check.pick == "lowest":
            lowest, remark = self.rows.lowest_running(check, page, runtimes.pythons, target)
            possible |= lowest
            if remark:
                self.omit(claim, *remark)
        if not runtimes.pythons:
            reason = Reason.NO_RUNTIME if page.runtimes(target) else Reason.NO_WHEEL
            detail = f"ddtrace {minimum.text} has no wheel for any CPython that could be meant"
            self.omit(claim, str(check), Unsatisfiable(reason, f"{detail}, on {target}"))
        chosen = tuple(possible) if runtimes.every else limit.choose_pythons(tuple(possible))
        others = tuple(python for python in runtimes.pythons if python not in chosen)
        for python, release in possible.items():
            if python in chosen:
                first = python == chosen[0]
                site = CellSite(check, python, target, release, others, first=first)
                self.parts += self.parts_at(site, page)
            else:
                detail = f"{self.profile.name} runs CPython {' and '.join(chosen)}"
                obstacle = Unsatisfiable(limit.unchosen_reason, detail)
                self.omit(claim, f"CPython {python}, {check}", obstacle)

    def add_majors_between(
        self,
        check: Check,
        page: ClaimPage,
        pythons: Sequence[str],
        target: str,
        limit: ProfileLimit,
    ) -> None:
        """Add parts for the majors of a library between the ends of its range."""
        for python, release in self.rows.majors_between(check, pythons, target, limit):
            self.parts += self.parts_at(CellSite(check, python, target, release), page)
            if limit.runtimes != "all":
                tracer = check.boundary.minimum.text
                library = f"{check.framework} {release.text}"
                subject = f"{library} with ddtrace {tracer} on other CPythons"
                detail = f"majors between the ends of a range run on one: {python}"
                self.omit(check.claim, subject, Unsatisfiable(limit.unchosen_reason, detail))

    def parts_at(self, site: CellSite, page: ClaimPage) -> Iterator[Part]:
        """Yield a part for each channel, in one environment."""
        check, python, target = site.check, site.python, site.target
        boundary = self.installable_boundary(site)

        def cell(tracer: Release) -> Cell:
            framework = check.framework, site.release
            return self.cells.add(python, target, framework, tracer, check.cell_place)

        controls = tuple(cell(release) for release in boundary.controls)
        neighbours = NeighbourCells(before=cell(boundary.before) if boundary.before else None)
        if check.rule.library:
            controls = tuple(self.rows.control_cells(site, page))
            neighbours = self.rows.neighbours(site)
        beside: tuple[Cell, ...] = ()
        if check.cell_place and not check.expects_absent:
            # What is missing there is compared with an ordinary container.
            framework = check.framework, site.release
            beside = (self.cells.add(python, target, framework, boundary.minimum),)
        if check.expects_absent and check.rule.able:
            controls = self.able_control(check, python, target)
        minimum = cell(boundary.minimum)
        part = functools.partial(
            Part,
            claim=check.claim.id,
            probe=check.rule.probe,
            minimum=minimum,
            pick=check.pick if check.rule.library else "",
        )
        # What a place has not must show outside of it, in the same cell.
        seen_outside = check.expects_absent and check.place and check.place.is_left
        for channel in check.rule.channels:
            yield part(
                channel=channel,
                controls=(minimum,) if seen_outside else controls,
                control_channel=outside_channel(channel) if seen_outside else "",
                expects_absent=check.expects_absent,
                contained=check.claim.kind is ClaimKind.DEPLOYMENT,
                beside=beside,
                beyond=tuple(map(cell, boundary.beyond)),
                **vars(neighbours),
            )
        for channel, control_channel in check.rule.denied:
            yield part(
                channel=channel,
                before=None,
                controls=(minimum,),
                expects_absent=True,
                control_channel=control_channel,
            )

    def able_control(self, check: Check, python: str, target: str) -> tuple[Cell, ...]:
        """Return the cell that shows, with the same tracer, what the promise says is absent."""
        able = dataclasses.replace(check, framework=check.rule.able, specifier="", pick="newest")
        release = self.versions.release(able, python)
        if isinstance(release, Unsatisfiable):
            self.omit(check.claim, f"CPython {python}, {able}", release)
            return ()
        tracer = check.boundary.minimum
        cell = (able.framework, release), tracer, check.cell_place
        return (self.cells.add(python, target, *cell),)

    def installable_boundary(self, site: CellSite) -> Boundary:
        """Return the boundary without the releases that cannot be installed here.

        An omission is noted for the release before and for the newest control only.
        """
        boundary = site.check.boundary

        def obstacle(release: Release) -> Unsatisfiable | None:
            return tracer_obstacle(release, site.python, site.target)

        before = boundary.before
        for release in filter(None, (before, *boundary.controls[:1])):
            if reason := obstacle(release):
                framework = f"{site.check.framework} {site.release.text}"
                subject = f"CPython {site.python}, {framework}, ddtrace {release.text}"
                self.omit(site.check.claim, subject, reason)
        return Boundary(
            boundary.minimum,
            None if before is None or obstacle(before) else before,
            tuple(release for release in boundary.controls if obstacle(release) is None),
            tuple(release for release in boundary.beyond if obstacle(release) is None),
        )


def _place_obstacle(check: Check, python: str) -> Unsatisfiable | None:
    """Return why the check's app does not run in its place on a CPython, None where it does."""
    place = check.place
    if place is None:
        return None
    shop = load_shops().get(check.framework)
    if shop and place.servers and shop.server not in place.servers:
        detail = f"{place.name} starts no app of {check.framework} ({shop.server})"
        return Unsatisfiable(Reason.NO_PROBE, detail)
    if specifier_allows(place.pythons, python):
        return None
    needed = " and ".join(place.requirements) or place.name
    return Unsatisfiable(Reason.NO_WHEEL, f"{needed}: for CPython {place.pythons} only")
