"""Claims to a plan: pure, but for the projects that the index tells of."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence

from matrix.errors import IndexUnavailableError
from matrix.index.protocol import Index
from matrix.model.claim import Claim, ClaimKind
from matrix.model.plan import LeftOut, Part, Plan
from matrix.model.reason import Reason
from matrix.planning.asks import Ask, asks_of, runtimes_of
from matrix.planning.boundaries import Boundary, tips
from matrix.planning.coverage import Coverage, load_coverage
from matrix.planning.drafts import Drafts
from matrix.planning.existence import Impossible, lowest, newest, tracer_installs
from matrix.planning.libraries import Library, runs_of_standard_library
from matrix.planning.order import by_target, in_order
from matrix.planning.page import Page, pages_of
from matrix.planning.profiles import Narrowing, Profile, load_profile
from matrix.planning.shelf import Shelf, Title, allows
from matrix.planning.targets import admits, host_target, target_of

__all__ = ["TRACER", "make_plan"]

TRACER = "ddtrace"
_END_OF_DAY = dt.timedelta(days=1, microseconds=-1)


def make_plan(  # noqa: PLR0913 - what a plan depends on
    claims: Sequence[Claim],
    index: Index,
    *,
    profile: str = "documented",
    as_of: dt.date | None = None,
    targets: Sequence[str] | None = None,
    obstacles: Mapping[str, Impossible] | None = None,
    deployments: Sequence[str] = (),
    coverage: Coverage | None = None,
) -> Plan:
    """Return the plan for `claims`.

    `as_of` resolves everything as of that date instead of the era of each tracer release; releases
    uploaded later are not there then. `targets` are those that cells can be run for, in this
    order, by default this machine's own; `obstacles` says of others why they cannot. `deployments`
    are those that the cells are run in. Which interpreters and images are here does not matter.
    """
    planner = _Planner(
        index=index,
        profile=load_profile(profile),
        coverage=coverage or load_coverage(),
        targets=(host_target(),) if targets is None else tuple(targets),
        obstacles=obstacles or {},
        deployments=tuple(deployments),
        as_of=as_of,
    )
    planner.shelf(TRACER)
    pages = pages_of(claims)
    for claim in sorted(claims, key=lambda claim: claim.id):
        planner.add(claim, pages[claim.document, claim.sha256])
    parts = by_target(in_order(claims, planner.parts), planner.targets)
    cells, fallbacks = planner.drafts.planned(parts, planner.coverage.soaked)
    return Plan(
        profile=profile,
        snapshot=min(shelf.fetched for shelf in planner.shelves.values()),
        claims=tuple(claims),
        parts=tuple(parts),
        cells=cells,
        fallbacks=fallbacks,
        left_out=tuple(dict.fromkeys(planner.left_out)),
        targets=planner.targets,
    )


@dataclasses.dataclass
class _Planner:
    index: Index
    profile: Profile
    coverage: Coverage
    targets: tuple[str, ...]
    obstacles: Mapping[str, Impossible]
    deployments: tuple[str, ...]
    as_of: dt.date | None
    drafts: Drafts = dataclasses.field(default_factory=Drafts)
    shelves: dict[str, Shelf] = dataclasses.field(default_factory=dict)
    parts: list[Part] = dataclasses.field(default_factory=list)
    left_out: list[LeftOut] = dataclasses.field(default_factory=list)
    chosen: dict[tuple[object, ...], Title | Impossible] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self.drafts.as_of = self.as_of
        self.until: dt.datetime | None = None
        if self.as_of is not None:
            midnight = dt.datetime.combine(self.as_of, dt.time(), tzinfo=dt.timezone.utc)
            self.until = midnight + _END_OF_DAY

    def shelf(self, name: str) -> Shelf:
        if name not in self.shelves:
            self.shelves[name] = Shelf(self.index.project(name), self.until)
        return self.shelves[name]

    def leave_out(self, claim: Claim, what: str, why: Impossible) -> None:
        self.left_out.append(LeftOut(claim.id, what, why.reason, why.detail))

    def add(self, claim: Claim, page: Page) -> None:
        """Plan one claim: it is in `parts`, in `left_out`, or in both afterwards."""
        rule = self.coverage.rule(claim)
        if isinstance(rule, Reason):
            self.leave_out(claim, f"{claim.kind.value} {claim.subject}", Impossible(rule, ""))
            return
        deployment = claim.get("deployment") if claim.kind is ClaimKind.DEPLOYMENT else None
        if deployment and deployment not in self.deployments:
            why = Impossible(Reason.DEPLOYMENT_NOT_HERE, self.coverage.deployments[deployment])
            self.leave_out(claim, f"deployment in {deployment}", why)
            return
        targets = [target for target in self.targets if admits(claim, target)]
        if not targets:
            what = target_of(claim) or "any target"
            known = (why for name, why in self.obstacles.items() if admits(claim, name))
            self.leave_out(claim, what, next(known, Impossible(Reason.PLATFORM_NOT_HERE, "")))
            return
        named = rule.named_back_ends(claim)
        for name in named:
            if name not in rule.back_ends:
                what = f"{claim.subject} with {name}"
                detail = f"the probe's back ends: {', '.join(rule.back_ends)}"
                self.leave_out(claim, what, Impossible(Reason.NO_BACK_END, detail))
        if named and not set(named) & set(rule.back_ends):
            return
        for ask in asks_of(claim, rule, page, self.shelf(TRACER), self.coverage):
            if isinstance(ask, tuple):
                self.leave_out(claim, *ask)
            elif narrowing := self.profile.narrowing(ask):
                self.spread(ask, page, targets, narrowing)
            else:
                self.leave_out(claim, str(ask), Impossible(Reason.NOT_IN_PROFILE, ""))

    def spread(self, ask: Ask, page: Page, targets: Sequence[str], narrowing: Narrowing) -> None:
        """Answer an ask on those of its targets that the profile means."""
        chosen = narrowing.places(ask.claim, targets)
        for target in chosen:
            self.answer(ask, page, target, narrowing)
        for target in targets[len(chosen) :]:
            why = f"the promise names no CPU; {' and '.join(chosen)} was asked"
            self.leave_out(ask.claim, target, Impossible(Reason.ONE_PLATFORM, why))

    def answer(self, ask: Ask, page: Page, target: str, narrowing: Narrowing) -> None:
        """Choose runtimes for an ask and add a part for each channel on each of them."""
        minimum = ask.boundary.minimum
        meant = self.shelf(TRACER).within(*page.branches_of(minimum.text), ask.claim.specifier)
        later = [title for title in meant if title.version > minimum.version]
        runtimes = runtimes_of(ask.claim, page, minimum, later, target)
        for what, why in runtimes.remarks:
            self.leave_out(ask.claim, what, why)
        possible: dict[str, Title] = {}
        for python in runtimes.pythons:
            found = tracer_installs(minimum, python, target) or self.framework(ask, python)
            if isinstance(found, Impossible):
                self.leave_out(ask.claim, f"CPython {python}, {ask}", found)
            else:
                possible[python] = found
        if not possible and ask.rule.library and ask.pick == "lowest":
            possible |= self.stepped_up(ask, page, runtimes.pythons, target)
        if not runtimes.pythons:
            reason = Reason.NO_RUNTIME if page.runtimes(target) else Reason.NO_WHEEL
            detail = f"ddtrace {minimum.text} has no wheel for any CPython that could be meant"
            self.leave_out(ask.claim, str(ask), Impossible(reason, f"{detail}, on {target}"))
        chosen = tuple(possible) if runtimes.every else narrowing.choose(tuple(possible))
        for python, title in possible.items():
            if python in chosen:
                self.parts += self.parts_of(ask, page, python, target, title)
            else:
                what = f"CPython {python}, {ask}"
                detail = f"{self.profile.name} runs CPython {' and '.join(chosen)}"
                self.leave_out(ask.claim, what, Impossible(narrowing.unchosen, detail))

    def framework(self, ask: Ask, python: str) -> Title | Impossible:
        """Return the framework's release for an ask on a CPython."""
        if ask.rule.library:
            return self.library(ask, python)
        choose = lowest if ask.pick == "lowest" else newest
        era = self.until or ask.boundary.minimum.uploaded
        key = (ask.framework, ask.specifier, ask.pick, python, era)
        if key not in self.chosen:
            self.chosen[key] = choose(self.shelf(ask.framework), ask.specifier, python, era)
        return self.chosen[key]

    def library(self, ask: Ask, python: str) -> Title | Impossible:
        """Return the library's release for an ask on a CPython."""
        condition = ask.claim.get("automatic_python")
        if condition and not allows(condition, python):
            said = f"the row says it of CPython {condition} only"
            return Impossible(Reason.OUTSIDE_CLAIM, said)
        integration = self.coverage.integrations[ask.rule.library]
        if not integration.distribution:
            return runs_of_standard_library(integration, python, ask.boundary.minimum.uploaded)
        known = self.releases(ask)
        if isinstance(known, Impossible):
            return known
        return known.lowest(python) if ask.pick == "lowest" else known.newest(python)

    def releases(self, ask: Ask) -> Library | Impossible:
        """Return the library's releases that an ask is about."""
        integration = self.coverage.integrations[ask.rule.library]
        era = self.until or ask.boundary.minimum.uploaded
        try:
            shelf = self.shelf(integration.distribution)
        except IndexUnavailableError as error:
            # One of many projects: the rest of the plan can do without.
            return Impossible(Reason.INDEX_UNAVAILABLE, error.message)
        return Library.of(integration, shelf, ask.specifier, era)

    def stepped_up(
        self, ask: Ask, page: Page, pythons: Sequence[str], target: str
    ) -> Mapping[str, Title]:
        """Return the lowest release of a library that runs on any of the CPythons, in words too."""
        if not self.coverage.integrations[ask.rule.library].distribution:
            return {}
        known = self.releases(ask)
        if isinstance(known, Impossible):
            return {}
        tracer = ask.boundary.minimum
        usable = [each for each in pythons if tracer_installs(tracer, each, target) is None]
        found = known.lowest_anywhere(usable)
        if found:
            least = next(iter(found.values()))
            said = f"the lowest that runs on one that ddtrace {tracer.text} has is {least.text}"
            what = f"{ask.framework} {known.titles[0].text} with ddtrace {tracer.text}"
            reason = (
                Reason.NO_RUNTIME if self.nowhere(ask, page, target) else Reason.FRAMEWORK_PYTHON
            )
            self.leave_out(ask.claim, what, Impossible(reason, said))
        return found

    def nowhere(self, ask: Ask, page: Page, target: str) -> bool:
        """Return whether the documented minimum runs with no branch of the tracer."""
        for boundary in tips(self.shelf(TRACER), page.branches):
            title = boundary.minimum
            known = self.releases(dataclasses.replace(ask, boundary=boundary))
            if isinstance(known, Library) and any(
                isinstance(known.lowest(python), Title) for python in title.pythons(target)
            ):
                return False
        return True

    def compared(
        self, ask: Ask, page: Page, python: str, target: str, title: Title
    ) -> Iterator[str]:
        """Yield the cells of other releases of a library, then of other branches of the tracer.

        The part's own cell comes first, so that the others are run where it does not show only.
        """
        tracer = ask.boundary.minimum
        yield self.drafts.add(python, target, (ask.framework, title), tracer)
        distribution = self.coverage.integrations[ask.rule.library].distribution
        if distribution and isinstance(known := self.releases(ask), Library):
            for each in known.others(title, python):
                yield self.drafts.add(python, target, (ask.framework, each), tracer)
        for other in reversed(tips(self.shelf(TRACER), page.branches)):
            newer = other.minimum
            if newer is not tracer and tracer_installs(newer, python, target) is None:
                yield self.drafts.add(python, target, (ask.framework, title), newer)

    def parts_of(
        self, ask: Ask, page: Page, python: str, target: str, title: Title
    ) -> Iterator[Part]:
        """Yield a part for each channel, in one environment."""
        boundary = self.installable(ask, python, target, title)
        framework = (ask.framework, title)

        def cell(tracer: Title) -> str:
            return self.drafts.add(python, target, framework, tracer)

        controls = tuple(cell(each) for each in boundary.controls)
        if ask.rule.library:
            controls = tuple(self.compared(ask, page, python, target, title))
        if ask.holds_without and ask.rule.able:
            controls = self.able(ask, python, target)
        for channel in ask.rule.channels:
            yield Part(
                claim=ask.claim.id,
                probe=ask.rule.probe,
                channel=channel,
                minimum=cell(boundary.minimum),
                before=cell(boundary.before) if boundary.before else None,
                controls=controls,
                holds_without=ask.holds_without,
                contained=ask.claim.kind is ClaimKind.DEPLOYMENT,
            )
        for channel, showing in ask.rule.denied:
            yield Part(
                claim=ask.claim.id,
                probe=ask.rule.probe,
                channel=channel,
                minimum=cell(boundary.minimum),
                before=None,
                controls=(cell(boundary.minimum),),
                holds_without=True,
                control_channel=showing,
            )

    def able(self, ask: Ask, python: str, target: str) -> tuple[str, ...]:
        """Return the cell that shows, with the same tracer, what the promise says to be absent."""
        other = dataclasses.replace(ask, framework=ask.rule.able, specifier="", pick="newest")
        title = self.framework(other, python)
        if isinstance(title, Impossible):
            self.leave_out(ask.claim, f"CPython {python}, {other}", title)
            return ()
        return (self.drafts.add(python, target, (other.framework, title), ask.boundary.minimum),)

    def installable(self, ask: Ask, python: str, target: str, title: Title) -> Boundary:
        """Return the boundary without the releases that cannot be installed here.

        Left out in words: the release before, and the newest control where it is the one.
        """
        boundary = ask.boundary
        before = boundary.before
        for each in (before, *boundary.controls[:1]):
            why = tracer_installs(each, python, target) if each else None
            if each is not None and why is not None:
                what = f"CPython {python}, {ask.framework} {title.text}, ddtrace {each.text}"
                self.leave_out(ask.claim, what, why)
        if before is not None and tracer_installs(before, python, target):
            before = None
        return Boundary(
            boundary.minimum, before, tuple(_installable(boundary.controls, python, target))
        )


def _installable(titles: Iterable[Title], python: str, target: str) -> Iterator[Title]:
    return (title for title in titles if tracer_installs(title, python, target) is None)
