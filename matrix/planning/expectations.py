"""Checks: what the claims of a page ask for, before it is known what can be installed.

A check is one boundary of tracer releases on one framework. Its runtimes are chosen later.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator, Sequence

from matrix.errors import NothingSelectedError, UsageError
from matrix.model.claim import TESTED, Claim, ClaimKind, Status
from matrix.model.reason import Reason
from matrix.planning.boundaries import (
    Boundary,
    branch_heads,
    branch_ranges,
    candidate_boundary,
    minimum_and_heads,
    vendor_boundary,
    with_beyond,
)
from matrix.planning.coverage import Coverage, CoverageRule
from matrix.planning.existence import Unsatisfiable
from matrix.planning.page import ClaimPage, named_pythons, pages_by_document
from matrix.probes.places import Place
from matrix.pypi.releases import Release, Releases, is_specifier, lowest_named, specifier_allows

_ONE_SERIES = re.compile(r"={2,3}[^,]*")


@dataclasses.dataclass(frozen=True)
class Check:
    """One boundary of tracer releases on one framework.

    `pick` says which framework release in `specifier` is tested: `lowest` or `newest`; for a
    library's row, `between` stands for its releases of the majors between those two; `tested` is
    the one release that the vendor's tests cover, whatever its time. `minimum_of` is the capability
    whose documented minimum applies, "" where none does. `place` is that of all its cells, None for
    a check that is not about a deployment.
    """

    claim: Claim
    rule: CoverageRule
    boundary: Boundary
    framework: str
    specifier: str
    pick: str
    minimum_of: str = ""
    place: Place | None = None

    @property
    def expects_absent(self) -> bool:
        """Return whether the promise is that the probe finds nothing."""
        return self.claim.status is Status.NOT_SUPPORTED

    def __str__(self) -> str:
        return self._text

    @functools.cached_property
    def _text(self) -> str:
        specifier = f" {self.specifier}" if self.specifier else ""
        tracer = self.boundary.minimum.text
        place = f" in {self.cell_place}" if self.cell_place else ""
        return f"{self.framework}{specifier} ({self.pick}) with ddtrace {tracer}{place}"

    def in_place(self, place: Place | None) -> Check:
        """Return the check in a place, where no other release is compared with its minimum."""
        if place is None or not place.cell_place:
            return dataclasses.replace(self, place=place)
        return dataclasses.replace(self, place=place, boundary=Boundary(self.boundary.minimum))

    @property
    def cell_place(self) -> str:
        """Return the place in the ids of its cells, "" for none."""
        return self.place.cell_place if self.place else ""


@dataclasses.dataclass(frozen=True)
class Runtimes:
    """The CPythons that a claim names, and remarks on them.

    `every` is set where the claim is about the runtimes themselves, so that no profile chooses.
    """

    pythons: tuple[str, ...]
    every: bool = False
    remarks: tuple[tuple[str, Unsatisfiable], ...] = ()


def candidate_claims(
    candidate: str, claims: Sequence[Claim], coverage: Coverage, tracer: Releases
) -> tuple[Claim, ...]:
    """Return the claims about the tracer's candidate release, in their order.

    Raises UsageError where there is no release `candidate`, NothingSelectedError where no claim is
    about it.
    """
    if tracer.candidate is None:
        raise UsageError(
            f"there is no release {candidate} of {tracer.name}",
            "A release that is not published is given by its wheels.",
        )
    pages = pages_by_document(claims)
    selected = tuple(
        claim
        for claim in claims
        if _is_candidate_claim(claim, pages[claim.document, claim.sha256], coverage, tracer)
    )
    if not selected:
        branches = sorted({branch for page in pages.values() for branch in page.branches})
        raise NothingSelectedError(
            f"no claim is about {tracer.name} {candidate}",
            f"The documents speak of the branches {' and '.join(branches) or '(none named)'}.",
        )
    return selected


def _is_candidate_claim(
    claim: Claim, page: ClaimPage, coverage: Coverage, tracer: Releases
) -> bool:
    rule = coverage.rule(claim)
    if isinstance(rule, Reason):
        minimum = claim if claim.kind is ClaimKind.CAPABILITY else None
        return _applies_to_candidate(claim, minimum, page, tracer)
    return any(
        _applies_to_candidate(claim, documented_minimum(claim, answer, page), page, tracer)
        for answer in (rule, *coverage.answering(claim, rule))
    )


def _applies_to_candidate(
    claim: Claim, minimum: Claim | None, page: ClaimPage, tracer: Releases
) -> bool:
    """Return whether `claim` is about the candidate; `minimum` has its documented minimum.

    A documented version decides: `>=1.9.0` is promised for all later releases, even where the
    page's table of branches is older than they are. A claim without a version is promised for the
    branches that the page names, and a denial is about these only: a later branch may have the
    feature. A preview without a version was promised for the newest branch of the page alone.
    """
    assert tracer.candidate is not None  # noqa: S101 - callers have checked it
    version = tracer.candidate.final_text
    about_releases = claim.kind in (ClaimKind.RUNTIME, ClaimKind.BRANCH)
    specifier = claim.specifier if about_releases else minimum.specifier if minimum else ""
    if specifier and not specifier_allows(specifier, version):
        return False
    denied = claim.status is Status.NOT_SUPPORTED
    if specifier and (about_releases or not denied):
        return True
    branch = page.branches_of(version)
    if page.branches and not branch:
        return False
    if about_releases or denied or claim.kind is ClaimKind.INTEGRATION:
        return True
    newest = branch_heads(tracer, page.branches)[-1:]
    return all(page.branches_of(head.minimum.final_text) == branch for head in newest)


def checks_for(
    claim: Claim, rule: CoverageRule, page: ClaimPage, tracer: Releases, coverage: Coverage
) -> Iterator[Check | tuple[str, Unsatisfiable]]:
    """Yield the checks of a claim, and the subjects that nothing can check, with the reason."""
    for text in (claim.specifier, claim.get("python") or ""):
        if not is_specifier(text):
            detail = f"{text!r} is not a version specifier"
            yield claim.subject, Unsatisfiable(Reason.NO_VERSION, detail)
            return
    minimum = documented_minimum(claim, rule, page)
    boundaries = _boundaries(claim, rule, page, tracer, minimum)
    if boundaries is None:
        return
    if not boundaries:
        about_tracer = minimum or (claim if claim.kind is ClaimKind.RUNTIME else None)
        yield _no_release(tracer, about_tracer.specifier if about_tracer else "")
        return
    if tracer.candidate is None and claim is minimum:
        yield from _missing_minimum(claim, boundaries[0].minimum, tracer)
    subject = minimum.subject if minimum else ""
    for framework, specifier, picks in _frameworks(claim, rule, page):
        if framework not in coverage.apps and not rule.library:
            detail = f"there is no sample app for {framework}"
            yield framework, Unsatisfiable(Reason.NO_PROBE, detail)
            continue
        for boundary in boundaries:
            for pick in picks:
                yield Check(claim, rule, boundary, framework, specifier, pick, subject)


def _missing_minimum(
    claim: Claim, used: Release, tracer: Releases
) -> Iterator[tuple[str, Unsatisfiable]]:
    """Yield a remark where there is no such release as a claim names for its minimum."""
    minimum = None if claim.status is Status.NOT_SUPPORTED else lowest_named(claim.specifier)
    if minimum is not None and minimum not in {release.version for release in tracer.all}:
        subject, obstacle = _no_release(tracer, str(minimum))
        detail = f"{obstacle.detail}; tested from the lowest release that exists, {used.text}"
        yield subject, Unsatisfiable(obstacle.reason, detail)


def _no_release(tracer: Releases, text: str) -> tuple[str, Unsatisfiable]:
    condition = f" is {text}" if text else ""
    detail = f"no final release{tracer.until_note}{condition}"
    return f"ddtrace {text}".rstrip(), Unsatisfiable(Reason.NO_RELEASE, detail)


def documented_minimum(claim: Claim, rule: CoverageRule, page: ClaimPage) -> Claim | None:
    """Return the claim whose version is the documented minimum of `claim`."""
    if claim.kind in (ClaimKind.RUNTIME, ClaimKind.INTEGRATION):
        return None
    if claim.kind is ClaimKind.CAPABILITY or (
        claim.kind is ClaimKind.DEPLOYMENT and claim.specifier
    ):
        return claim
    capability = claim.get("capability")
    return page.capability((capability,) if capability else rule.capability)


def _boundaries(
    claim: Claim, rule: CoverageRule, page: ClaimPage, tracer: Releases, minimum: Claim | None
) -> Sequence[Boundary] | None:
    """Return the boundaries of a claim, None where it is not about the candidate."""
    candidate = tracer.candidate
    if candidate is None:
        return _documented_boundaries(claim, rule, page, tracer, minimum)
    if not _applies_to_candidate(claim, minimum, page, tracer):
        return None
    if claim.status is Status.NOT_SUPPORTED:
        return (Boundary(candidate),)
    if claim.get(TESTED):
        return (vendor_boundary(tracer, candidate),)
    about = claim if claim.kind is ClaimKind.RUNTIME else minimum
    specifier = about.specifier if about else ""
    return (candidate_boundary(tracer, candidate, page.branches, specifier),)


def _documented_boundaries(
    claim: Claim, rule: CoverageRule, page: ClaimPage, tracer: Releases, minimum: Claim | None
) -> Sequence[Boundary]:
    if claim.kind is ClaimKind.RUNTIME:
        return branch_ranges(tracer, page.branches, claim.specifier)
    if claim.kind is ClaimKind.INTEGRATION:
        if rule.library:
            return with_beyond(tracer, branch_heads(tracer, page.branches), page.branches)
        return branch_ranges(tracer, page.branches, "")
    if claim.kind is ClaimKind.FRAMEWORK and not claim.get("capability"):
        return branch_heads(tracer, page.branches)
    specifier = minimum.specifier if minimum else ""
    denied = claim.status is Status.NOT_SUPPORTED
    if denied or not specifier:
        # A denial is refuted by one release that has the feature; older branches could not even
        # serve as a control. A preview without a version was not promised for the older branches.
        boundaries = branch_heads(tracer, page.branches)[-1:]
    else:
        boundaries = minimum_and_heads(tracer, specifier, page.branches, tight=rule.tight)
    return boundaries if denied else with_beyond(tracer, boundaries, page.branches, specifier)


def _frameworks(
    claim: Claim, rule: CoverageRule, page: ClaimPage
) -> list[tuple[str, str, Sequence[str]]]:
    """Return the frameworks to test a claim on, each with its specifier and picks."""
    if rule.app:
        return [(rule.app, "", ("newest",))]
    if claim.get(TESTED):
        return [(rule.library or claim.subject, claim.specifier, (TESTED,))]
    if rule.library:
        picks = _picks(claim.specifier)
        with_between = ("lowest", "newest", "between") if len(picks) > 1 else picks
        return [(rule.library, claim.specifier, with_between)]
    rows: list[tuple[str, str]] = []
    if claim.kind in (ClaimKind.FRAMEWORK, ClaimKind.AUTHENTICATION, ClaimKind.INTEGRATION):
        rows = [(claim.subject, claim.specifier)]
    elif claim.kind in (ClaimKind.CAPABILITY, ClaimKind.DEPLOYMENT):
        rows = page.frameworks(claim.subject)
    elif rule.table == "framework":
        tables = (page.frameworks(capability) for capability in rule.capability)
        rows = next(filter(None, tables), []) or page.frameworks()
    if not rows and rule.table == "authentication":
        rows = page.authentication()
    if claim.kind is ClaimKind.DEPLOYMENT:
        # The ranges of frameworks are promised by a table of their own.
        return [(name, text, _picks(text)[-1:]) for name, text in rows] or [
            (name, "", ("newest",)) for name in rule.frameworks
        ]
    return [(name, text, _picks(text)) for name, text in rows] or [
        (name, "", ("newest",)) for name in rule.frameworks
    ]


def _picks(specifier: str) -> Sequence[str]:
    if not specifier:
        return ("newest",)
    return ("lowest",) if _ONE_SERIES.fullmatch(specifier) else ("lowest", "newest")


def runtimes_of(
    claim: Claim, page: ClaimPage, tracer: Release, later: Sequence[Release], target: str
) -> Runtimes:
    """Return the CPythons on which the claim is tested with the release `tracer`.

    `later` are newer releases that the claim is about too. An open range such as `>=3.7` stands
    for the CPythons that the release was made for: it cannot mean those that came after it.
    """
    supported = tracer.pythons(target)
    if claim.kind is ClaimKind.RUNTIME:
        specifiers = [claim.get("python") or ""]
        pythons = named_pythons(specifiers, supported)
        detail = (
            f"an open range cannot mean it: ddtrace {tracer.text} was not made for it,"
            " a later release was"
        )
        outside = Unsatisfiable(Reason.OUTSIDE_CLAIM, detail)
        supported_later = later[-1].pythons(target) if later else ()
        remarks = tuple(
            (f"CPython {python} with ddtrace {tracer.text}", outside)
            for python in named_pythons(specifiers, supported_later)
            if python not in (*pythons, *supported)
        )
        return Runtimes(pythons, every=True, remarks=remarks)
    if named_by_row := claim.get("python"):
        return Runtimes(named_pythons([named_by_row], supported))
    admitted = page.runtimes(target, tracer.final_text)
    if admitted:
        return Runtimes(named_pythons(admitted, supported))
    named = named_pythons(page.runtimes(target), supported)
    if not named:
        return Runtimes(supported)
    detail = (
        f"the page names no runtime for ddtrace {tracer.text}; tested on those that it names for"
        " other releases, where there are wheels"
    )
    return Runtimes(
        tuple(python for python in named if tracer.has_wheel(python, target)),
        remarks=(
            (f"runtimes for ddtrace {tracer.text}", Unsatisfiable(Reason.OUTSIDE_CLAIM, detail)),
        ),
    )
