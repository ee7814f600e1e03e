"""From a subject to its searches: which runtime, which framework, which releases. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from matrix.errors import NothingSelectedError, UsageError, did_you_mean
from matrix.features.minimum.search_plan import (
    SearchBounds,
    SearchOptions,
    SearchPlan,
    Skipped,
    documented_minimums,
    find_release,
    split_releases,
)
from matrix.features.minimum.subject import SearchSubject, checks_about, select_channels
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
from matrix.pypi.index import Index
from matrix.pypi.releases import Release, Releases, end_of_day, python_key

__all__ = ["plan_searches"]


def plan_searches(
    subject: SearchSubject,
    claims: Sequence[Claim],
    index: Index,
    coverage: Coverage,
    wanted: SearchOptions,
) -> tuple[SearchPlan, ...]:
    """Return the searches for a subject, one for each framework that is meant.

    Raises UsageError for what there is not, NothingSelectedError where no release can be asked.
    """
    maker = _Maker(subject, claims, index, coverage, wanted)
    if subject.of_library:
        return (maker.under_a_tracer(),)
    if wanted.ddtrace:
        raise UsageError(
            f"--ddtrace is for framework:NAME; the releases of ddtrace are searched for {subject}",
            "--since and --until say which of them.",
        )
    return tuple(maker.on(framework) for framework in maker.frameworks())


class _Maker:
    def __init__(
        self,
        subject: SearchSubject,
        claims: Sequence[Claim],
        index: Index,
        coverage: Coverage,
        wanted: SearchOptions,
    ) -> None:
        self.subject, self.claims, self.wanted = subject, claims, wanted
        self.index, self.coverage = index, coverage
        self.until = end_of_day(wanted.as_of)
        self.ends = SearchBounds.of(wanted.since, wanted.until)
        self.tracer = self.shelf(TRACER)
        if not self.tracer.all:
            said = f"there is no final release of {TRACER}{self.tracer.until_note}"
            raise NothingSelectedError(said, "Name a later date with --as-of.")
        self.asks = checks_about(subject, claims, self.tracer, coverage)

    def shelf(self, name: str) -> Releases:
        return Releases(self.index.project(name), self.until)

    def frameworks(self) -> Sequence[str]:
        """Return the frameworks to search on, one search each."""
        rule = self.subject.rule
        meant = list(dict.fromkeys(ask.framework for ask, _ in self.asks))
        if not meant:
            meant = [rule.app] if rule.app else list(rule.frameworks)
        alone = self.subject.kind is ClaimKind.INTEGRATION and not rule.app
        if alone:
            meant = [self.subject.name]
        name = self.wanted.framework.partition("==")[0]
        if not name:
            return meant
        can = meant
        if not rule.app and not alone:
            # The probe may be tried where no document names it.
            also = load_probes()[rule.probe].frameworks
            can = list(dict.fromkeys([*meant, *(x for x in also if x in self.coverage.samples)]))
        if name not in can:
            raise UsageError(
                f"{self.subject} is not tried on {name!r}{did_you_mean(name, can)}",
                f"It is on {', '.join(can)}.",
            )
        return [name]

    def on(self, framework: str) -> SearchPlan:
        """Return the search over releases of the tracer, on a framework."""
        least = self._least_ask(framework)
        base = least[0].boundary.minimum if least else self.tracer.all[-1]
        shelf = self.shelf(framework)
        specifier = least[0].specifier if least and least[0].framework == framework else ""

        def release_on(python: str) -> tuple[Release, Release] | Unsatisfiable:
            return self._release_on(shelf, specifier, python, base)

        python = self.wanted.python or self._newest_python(least, base, release_on)
        found = release_on(python)
        if isinstance(found, Unsatisfiable):
            raise NothingSelectedError(
                f"no release of {framework} can be used: {found.detail}",
                "Name another one (--framework NAME==VERSION) or another CPython (--python).",
            )
        title, base = found
        cells, passed = split_releases(
            self.tracer,
            self.ends,
            lambda tracer: tracer_obstacle(tracer, python, self.wanted.target),
            lambda tracer: self._cell(python, framework, title, tracer),
        )
        pages = pages_by_document(self.claims)
        stated = [
            (claim, minimum)
            for claim in self.subject.claims
            if claim.status is not Status.NOT_SUPPORTED
            for page in [pages[claim.document, claim.sha256]]
            for minimum in [documented_minimum(claim, self.subject.rule, page)]
            if minimum is not None
        ]
        return self._quest(
            self.tracer,
            cells,
            passed,
            stated,
            python,
            framework=f"{framework} {title.text}",
            remarks=tuple(self._remarks(framework, title, base, cells)),
        )

    def under_a_tracer(self) -> SearchPlan:
        """Return the search over releases of a framework, under one release of the tracer."""
        name = self.subject.name
        shelf = self.shelf(name)
        if self.wanted.framework:
            raise UsageError(
                f"--framework says nothing here: the releases of {name} are searched",
                "--since and --until say which of them, --ddtrace the tracer.",
            )
        tracer = find_release(self.tracer, self.wanted.ddtrace, "--ddtrace")
        python = self.wanted.python or self._newest_python(
            None, tracer, lambda each: newest_usable(shelf, "", each, self.until or tracer.uploaded)
        )
        missing = tracer_obstacle(tracer, python, self.wanted.target)
        if missing is not None:
            raise NothingSelectedError(missing.detail, "Name another CPython with --python.")
        cells, passed = split_releases(
            shelf,
            self.ends,
            lambda title: framework_obstacle(name, title, python),
            lambda title: self._cell(python, name, title, tracer),
        )
        stated = [(x, x) for x in self.subject.claims if x.status is not Status.NOT_SUPPORTED]
        after = [x.text for x in shelf.all if x.uploaded > tracer.uploaded and x.text in cells]
        remarks = []
        if after:
            remarks.append(
                f"{len(after)} releases of {name} are younger than {TRACER} {tracer.text}"
                f" ({after[0]} to {after[-1]}): it cannot know them"
            )
        return self._quest(
            shelf, cells, passed, stated, python, ddtrace=tracer.text, remarks=tuple(remarks)
        )

    def _release_on(
        self, shelf: Releases, specifier: str, python: str, base: Release
    ) -> tuple[Release, Release] | Unsatisfiable:
        """Return the framework's release on a CPython, and the tracer's whose time it is of.

        That is `base`; where nothing of its time runs on the CPython, the next that it does for.
        """
        pinned = self._pinned(shelf)
        if pinned is not None:
            missing = framework_obstacle(shelf.name, pinned, python)
            return missing or (pinned, base)
        first: Unsatisfiable | None = None
        for tracer in self.tracer.all:
            if tracer.version < base.version or tracer_obstacle(tracer, python, self.wanted.target):
                continue
            found = newest_usable(shelf, specifier, python, self.until or tracer.uploaded)
            if isinstance(found, Release):
                return found, tracer
            first = first or found
        return (
            first
            or tracer_obstacle(base, python, self.wanted.target)
            or Unsatisfiable(Reason.NO_RELEASE, f"{TRACER} {base.text} is the newest")
        )

    def _remarks(
        self, framework: str, title: Release, base: Release, cells: Mapping[str, PlannedCell]
    ) -> Iterator[str]:
        same = f"every release is tried on {framework} {title.text}"
        if "==" in self.wanted.framework:
            yield f"{same}, as asked for"
        elif self.wanted.as_of is not None:
            yield f"{same}, the newest up to {self.wanted.as_of:%Y-%m-%d}"
        else:
            yield f"{same}, the newest that was there when {TRACER} {base.text} appeared"
        titles = (each for each in self.tracer.all if each.text in cells)
        older = [each.text for each in titles if each.uploaded < title.uploaded]
        if older and self.wanted.as_of is None:
            yield (
                f"{len(older)} releases ({older[0]} to {older[-1]}) are older than {framework}"
                f" {title.text}: what fails in them may fail because of that"
            )

    def _least_ask(self, framework: str) -> tuple[Check, ClaimPage] | None:
        mine = [each for each in self.asks if each[0].framework == framework] or self.asks
        recent = [each for each in mine if each[0].pick == "newest_usable"]
        return next(iter(recent or mine), None)

    def _newest_python(
        self,
        least: tuple[Check, ClaimPage] | None,
        tracer: Release,
        release_on: Callable[[str], object],
    ) -> str:
        """Return the newest CPython that the documents name and on which it can be installed."""
        target = self.wanted.target
        if least is not None:
            named: Collection[str] = runtimes_of(
                least[0].claim, least[1], tracer, (), target
            ).pythons
        else:
            pages = pages_by_document(self.claims).values()
            texts = [text for page in pages for text in page.runtimes(target)]
            named = named_pythons(texts, tracer.pythons(target)) or tracer.pythons(target)
        here = self.wanted.at_hand.intersection(named) or named
        for python in sorted(here, key=python_key, reverse=True):
            if tracer_obstacle(tracer, python, target) is None and not isinstance(
                release_on(python), Unsatisfiable
            ):
                return python
        raise NothingSelectedError(
            f"{TRACER} {tracer.text} can be installed on no CPython that the documents name"
            f" for {target}",
            "Name one with --python.",
        )

    def _pinned(self, shelf: Releases) -> Release | None:
        _, _, version = self.wanted.framework.partition("==")
        return find_release(shelf, version, "--framework") if version else None

    def _cell(self, python: str, framework: str, title: Release, tracer: Release) -> PlannedCell:
        as_of, probe = self.wanted.as_of, self.subject.rule.probe
        cell = Cell(python, self.wanted.target, framework, title.text, tracer.text, as_of)
        # Decisive, so that what fails is repeated.
        return PlannedCell(cell, as_of or dependency_date(tracer, title), (probe,), (probe,))

    def _quest(  # noqa: PLR0913 - the parts of one search
        self,
        shelf: Releases,
        cells: dict[str, PlannedCell],
        passed: tuple[Skipped, ...],
        stated: Sequence[tuple[Claim, Claim]],
        python: str,
        *,
        framework: str = "",
        ddtrace: str = "",
        remarks: tuple[str, ...] = (),
    ) -> SearchPlan:
        return SearchPlan(
            subject=str(self.subject),
            project=shelf.name,
            probe=self.subject.rule.probe,
            channels=select_channels(self.subject.rule, self.wanted.channels),
            python=python,
            target=self.wanted.target,
            framework=framework,
            ddtrace=ddtrace,
            snapshot=min(shelf.fetched, self.tracer.fetched),
            releases=tuple(title.text for title in shelf.all),
            cells=cells,
            passed_over=passed,
            promises=tuple(
                documented_minimums(
                    stated, {x.specifier: tuple(shelf.matching(x.specifier)) for _, x in stated}
                )
            ),
            denied=tuple(x for x in self.subject.claims if x.status is Status.NOT_SUPPORTED),
            remarks=remarks,
        )
