"""Plan the searches for a subject: their runtime, their framework and their releases. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from matrix.errors import NothingSelectedError, NoUploadTimesError, UsageError, did_you_mean
from matrix.features.minimum.eras import FrameworkEras
from matrix.features.minimum.search_plan import (
    ERA,
    DocumentedMinimum,
    SearchBounds,
    SearchOptions,
    SearchPlan,
    SearchSubject,
    checks_about,
    find_release,
    select_channels,
    split_releases,
)
from matrix.model.cell import Cell
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.planning.cell_set import dependency_date
from matrix.planning.coverage import Coverage
from matrix.planning.existence import (
    Unsatisfiable,
    framework_obstacle,
    newest_usable,
    tracer_obstacle,
)
from matrix.planning.expectations import Check, documented_minimum, runtimes_of
from matrix.planning.page import ClaimPage, named_pythons, pages_by_document
from matrix.planning.versions import TRACER
from matrix.probes.registry import load_probes
from matrix.pypi.client import Index
from matrix.pypi.releases import Release, Releases, end_of_day, python_key


def plan_searches(
    subject: SearchSubject,
    claims: Sequence[Claim],
    index: Index,
    coverage: Coverage,
    options: SearchOptions,
) -> tuple[SearchPlan, ...]:
    """Return the searches for a subject, one for each framework to search on.

    Raises UsageError for unknown names and versions, NothingSelectedError where no release can be
    tested.
    """
    planner = _SearchPlanner(subject, claims, index, coverage, options)
    if subject.of_library:
        return (planner.plan_under_tracer(),)
    if options.ddtrace:
        raise UsageError(
            f"--ddtrace is for framework:NAME; the releases of ddtrace are searched for {subject}",
            "--since and --until say which of them.",
        )
    return tuple(planner.plan_on(framework) for framework in planner.frameworks())


class _SearchPlanner:
    def __init__(
        self,
        subject: SearchSubject,
        claims: Sequence[Claim],
        index: Index,
        coverage: Coverage,
        options: SearchOptions,
    ) -> None:
        self.subject, self.claims, self.options = subject, claims, options
        self.index, self.coverage = index, coverage
        self.until = end_of_day(options.as_of)
        self.bounds = SearchBounds.parse(options.since, options.until)
        self.tracer = self.releases(TRACER)
        if self.tracer.undated:
            raise NoUploadTimesError(TRACER)
        if not self.tracer.all:
            raise NothingSelectedError(
                f"there is no final release of {TRACER}{self.tracer.until_note}",
                "Pass a later date with --as-of.",
            )
        self.checks = checks_about(subject, claims, self.tracer, coverage)

    def releases(self, name: str) -> Releases:
        return Releases(self.index.project(name), self.until)

    def frameworks(self) -> Sequence[str]:
        """Return the frameworks to search on, one search each."""
        rule = self.subject.rule
        own_library = self.subject.kind is ClaimKind.INTEGRATION and not rule.app
        if own_library:
            promised = [self.subject.name]
        else:
            promised = list(dict.fromkeys(check.framework for check, _ in self.checks))
            promised = promised or ([rule.app] if rule.app else list(rule.frameworks))
        name = self.options.framework_name
        if not name:
            return promised
        possible = promised
        if not rule.app and not own_library:
            # The probe may run where no document promises it.
            also = filter(load_probes()[rule.probe].runs_in, self.coverage.apps)
            possible = list(dict.fromkeys([*promised, *also]))
        if name not in possible:
            raise UsageError(
                f"{self.subject} is not tested on {name!r}{did_you_mean(name, possible)}",
                f"It is on {', '.join(possible)}.",
            )
        return [name]

    def plan_on(self, framework: str) -> SearchPlan:
        """Return the search over releases of the tracer, on a framework."""
        lowest = self._lowest_check(framework)
        base = lowest[0].boundary.minimum if lowest else self.tracer.all[-1]
        project = self.releases(framework)
        specifier = lowest[0].specifier if lowest and lowest[0].framework == framework else ""

        def choose(python: str) -> tuple[Release, Release] | Unsatisfiable:
            return self._framework_release(project, specifier, python, base)

        python = self.options.python or self._newest_python(lowest, base, choose)
        choice = choose(python)
        if isinstance(choice, Unsatisfiable):
            raise NothingSelectedError(
                f"no release of {framework} can be used: {choice.detail}",
                "Pass another one (--framework NAME==VERSION) or another CPython (--python).",
            )
        eras = FrameworkEras(project, specifier, python, self.options.target)
        if self.options.framework_version == ERA:
            return self._plan_by_era(eras)
        tracers = [tracer for tracer in self.tracer.all if self.bounds.contain(tracer)]
        if self.options.framework_version or self.until:
            tracers = []  # The user has chosen one, or a date.
        plan, *others = (
            self._plan_with(python, framework, *chosen)
            for chosen in (choice, *eras.others(choice[0], tracers))
        )
        return dataclasses.replace(plan, alternatives=tuple(others))

    def _plan_with(
        self, python: str, framework: str, release: Release, base: Release
    ) -> SearchPlan:
        """Return the search on one release of a framework, which is of the era of `base`."""
        return self._search_plan(
            self.tracer,
            python,
            lambda tracer: tracer_obstacle(tracer, python, self.options.target),
            lambda tracer: self._cell(python, framework, release, tracer),
            lambda cells: self._remarks(framework, release, base, cells),
            framework=f"{framework} {release.text}",
        )

    def _plan_by_era(self, eras: FrameworkEras) -> SearchPlan:
        """Return the search in which each release runs on the framework's newest of its time."""
        name = eras.project.name

        def cell(tracer: Release) -> PlannedCell:
            release = eras.release(tracer)
            assert isinstance(release, Release)  # noqa: S101 - else there is an obstacle
            return self._cell(eras.python, name, release, tracer)

        return self._search_plan(
            self.tracer,
            eras.python,
            eras.obstacle,
            cell,
            lambda cells: iter([eras.remark(cells)]),
            framework=f"{name} of each release's time",
        )

    def plan_under_tracer(self) -> SearchPlan:
        """Return the search over releases of a framework, under one release of the tracer."""
        name = self.subject.name
        project = self.releases(name)
        if self.options.framework:
            raise UsageError(
                f"cannot use --framework here: the releases of {name} are searched",
                "--since and --until say which of them, --ddtrace the tracer.",
            )
        tracer = find_release(self.tracer, self.options.ddtrace, "--ddtrace")
        python = self.options.python or self._newest_python(
            None,
            tracer,
            lambda python: newest_usable(project, "", python, self.until or tracer.uploaded),
        )
        obstacle = tracer_obstacle(tracer, python, self.options.target)
        if obstacle is not None:
            raise NothingSelectedError(obstacle.detail, "Pass another CPython with --python.")

        def remarks(cells: Mapping[str, PlannedCell]) -> Iterator[str]:
            existing = (item for item in project.all if item.text in cells)
            younger = [item.text for item in existing if item.uploaded > tracer.uploaded]
            if younger:
                yield (
                    f"{len(younger)} releases of {name} are younger than {TRACER} {tracer.text}"
                    f" ({younger[0]} to {younger[-1]}): it cannot know them"
                )

        return self._search_plan(
            project,
            python,
            lambda release: framework_obstacle(name, release, python),
            lambda release: self._cell(python, name, release, tracer),
            remarks,
            ddtrace=tracer.text,
        )

    def _framework_release(
        self, project: Releases, specifier: str, python: str, base: Release
    ) -> tuple[Release, Release] | Unsatisfiable:
        """Return the framework's release on a CPython, and the tracer's whose era it is of.

        The latter is `base`, or the next for which a framework release of its era runs there.
        """
        version = self.options.framework_version
        if version and version != ERA:
            pinned = find_release(project, version, "--framework")
            return framework_obstacle(project.name, pinned, python) or (pinned, base)
        first: Unsatisfiable | None = None
        for tracer in self.tracer.all:
            if tracer.version < base.version or tracer_obstacle(
                tracer, python, self.options.target
            ):
                continue
            release = newest_usable(project, specifier, python, self.until or tracer.uploaded)
            if isinstance(release, Release):
                return release, tracer
            first = first or release
        return (
            first
            or tracer_obstacle(base, python, self.options.target)
            or Unsatisfiable(Reason.NO_RELEASE, f"{TRACER} {base.text} is the newest")
        )

    def _remarks(
        self, framework: str, release: Release, base: Release, cells: Mapping[str, PlannedCell]
    ) -> Iterator[str]:
        same = f"every release is tested on {framework} {release.text}"
        if "==" in self.options.framework:
            yield f"{same}, as requested"
        elif self.options.as_of is not None:
            yield f"{same}, the newest up to {self.options.as_of:%Y-%m-%d}"
        else:
            yield f"{same}, the newest that existed when {TRACER} {base.text} appeared"
        tracers = (tracer for tracer in self.tracer.all if tracer.text in cells)
        older = [tracer.text for tracer in tracers if tracer.uploaded < release.uploaded]
        if older and self.options.as_of is None:
            yield (
                f"{len(older)} releases ({older[0]} to {older[-1]}) are older than {framework}"
                f" {release.text}: what fails in them may fail because of that"
            )

    def _lowest_check(self, framework: str) -> tuple[Check, ClaimPage] | None:
        checks = [item for item in self.checks if item[0].framework == framework] or self.checks
        newest = [item for item in checks if item[0].pick == "newest"]
        return next(iter(newest or checks), None)

    def _newest_python(
        self,
        lowest: tuple[Check, ClaimPage] | None,
        tracer: Release,
        choose: Callable[[str], object],
    ) -> str:
        """Return the newest CPython that the documents name and on which it can be installed."""
        target = self.options.target
        if lowest is not None:
            check, page = lowest
            named: Collection[str] = runtimes_of(check.claim, page, tracer, (), target).pythons
        else:
            pages = pages_by_document(self.claims).values()
            texts = [text for page in pages for text in page.runtimes(target)]
            named = named_pythons(texts, tracer.pythons(target)) or tracer.pythons(target)
        candidates = self.options.available.intersection(named) or named
        for python in sorted(candidates, key=python_key, reverse=True):
            if tracer_obstacle(tracer, python, target) is None and not isinstance(
                choose(python), Unsatisfiable
            ):
                return python
        raise NothingSelectedError(
            f"{TRACER} {tracer.text} can be installed on no CPython that the documents name"
            f" for {target}",
            "Pass one with --python.",
        )

    def _cell(self, python: str, framework: str, release: Release, tracer: Release) -> PlannedCell:
        as_of, probe = self.options.as_of, self.subject.rule.probe
        cell = Cell(python, self.options.target, framework, release.text, tracer.text, as_of)
        # The probe is decisive, so that a failure is repeated.
        return PlannedCell(cell, as_of or dependency_date(tracer, release), (probe,), (probe,))

    def _search_plan(  # noqa: PLR0913 - the parts of one search
        self,
        project: Releases,
        python: str,
        obstacle: Callable[[Release], Unsatisfiable | None],
        cell: Callable[[Release], PlannedCell],
        remarks: Callable[[Mapping[str, PlannedCell]], Iterator[str]],
        *,
        framework: str = "",
        ddtrace: str = "",
    ) -> SearchPlan:
        cells, skipped = split_releases(project, self.bounds, obstacle, cell)
        channels = select_channels(self.subject.rule, self.options.channels)
        return SearchPlan(
            subject=str(self.subject),
            project=project.name,
            probe=self.subject.rule.probe,
            channels=channels,
            python=python,
            target=self.options.target,
            framework=framework,
            ddtrace=ddtrace,
            snapshot=min(project.fetched, self.tracer.fetched),
            releases=tuple(release.text for release in project.all),
            cells=cells,
            skipped=skipped,
            promises=tuple(self._documented_minimums(project)),
            denied=tuple(x for x in self.subject.claims if x.status is Status.NOT_SUPPORTED),
            remarks=tuple(remarks(cells)),
            unpromised=tuple(name for name in channels if name not in self.subject.rule.channels),
        )

    def _documented_minimums(self, project: Releases) -> Iterator[DocumentedMinimum]:
        pages = pages_by_document(self.claims)
        yielded = set()
        for claim in self.subject.claims:
            if claim.status is Status.NOT_SUPPORTED:
                continue
            minimum: Claim | None = claim
            if not self.subject.of_library:
                page = pages[claim.document, claim.sha256]
                minimum = documented_minimum(claim, self.subject.rule, page)
            # Several claims of one page may have the same minimum.
            if minimum is None or not minimum.specifier or minimum.id in yielded:
                continue
            if matching := project.matching(minimum.specifier):
                yielded.add(minimum.id)
                yield DocumentedMinimum(
                    claim=claim.id,
                    document=minimum.document,
                    line=minimum.line,
                    as_written=minimum.as_written,
                    minimum=matching[0].text,
                )
