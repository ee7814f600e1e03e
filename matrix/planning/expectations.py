"""What a claim asks for, before anyone knows whether it can exist.

An ask is one boundary of tracer releases on one framework; its runtimes are still to be chosen.

Whether a promise is about one release of the tracer.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence

from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.reason import Reason
from matrix.planning.boundaries import Boundary, at, floor, stretches, tips
from matrix.planning.coverage import Coverage, CoverageRule
from matrix.planning.existence import Unsatisfiable
from matrix.planning.page import ClaimPage, named_pythons
from matrix.pypi.releases import Release, Releases, is_specifier, lowest_named, specifier_allows

__all__ = ["Check", "Runtimes", "asks_of", "concerns", "documented_minimum", "runtimes_of"]


def concerns(claim: Claim, minimum: Claim | None, page: ClaimPage, tracer: Releases) -> bool:
    """Return whether `claim` is about the shelf's candidate; `minimum` has its documented minimum.

    A version that is documented says it: `>=1.9.0` is promised to all that come after, also where
    the page's table of branches is older than they are. What has no version is promised to the
    branches that the page names, and what is denied is denied of these: a later one may have got
    it. A preview without a version was promised to the newest branch of the page alone.
    """
    assert tracer.candidate is not None  # noqa: S101 - nobody asks without one
    version = tracer.candidate.final_text
    of_releases = claim.kind in (ClaimKind.RUNTIME, ClaimKind.BRANCH)
    specifier = claim.specifier if of_releases else minimum.specifier if minimum else ""
    if specifier and not specifier_allows(specifier, version):
        return False
    if specifier and (of_releases or claim.status is not Status.NOT_SUPPORTED):
        return True
    own = page.branches_of(version)
    if page.branches and not own:
        return False
    denied = claim.status is Status.NOT_SUPPORTED
    if of_releases or denied or claim.kind is ClaimKind.INTEGRATION:
        return True
    newest = tips(tracer, page.branches)[-1:]
    return all(page.branches_of(each.minimum.final_text) == own for each in newest)


_ONE_SERIES = re.compile(r"={2,3}[^,]*")


@dataclasses.dataclass(frozen=True)
class Check:
    """`pick` is which framework release in `specifier` is meant: `lowest` or `newest`.

    Of a library's row `between` stands for its releases of the majors between those two.
    `minimum_of` is the capability whose documented minimum applies, "" where none does.
    """

    claim: Claim
    rule: CoverageRule
    boundary: Boundary
    framework: str
    specifier: str
    pick: str
    minimum_of: str = ""

    @property
    def expects_absent(self) -> bool:
        """Return whether the promise is that the probe finds nothing."""
        return self.claim.status is Status.NOT_SUPPORTED

    def __str__(self) -> str:
        of = f" {self.specifier}" if self.specifier else ""
        return f"{self.framework}{of} ({self.pick}) with ddtrace {self.boundary.minimum.text}"


@dataclasses.dataclass(frozen=True)
class Runtimes:
    """CPythons that a claim names, and what is to be said about them.

    `every` is set where the claim is about the runtimes themselves, so that no profile chooses.
    """

    pythons: tuple[str, ...]
    every: bool = False
    remarks: tuple[tuple[str, Unsatisfiable], ...] = ()


def asks_of(
    claim: Claim, rule: CoverageRule, page: ClaimPage, tracer: Releases, coverage: Coverage
) -> Iterator[Check | tuple[str, Unsatisfiable]]:
    """Yield what the claim asks for, and what of it nothing can answer."""
    for text in (claim.specifier, claim.get("python") or ""):
        if not is_specifier(text):
            said = f"{text!r} is no version specifier"
            yield claim.subject, Unsatisfiable(Reason.NO_VERSION, said)
            return
    minimum = documented_minimum(claim, rule, page)
    boundaries = _meant(claim, rule, page, tracer, minimum)
    if boundaries is None:
        return
    if not boundaries:
        about_tracer = minimum or (claim if claim.kind is ClaimKind.RUNTIME else None)
        yield _no_release(tracer, about_tracer.specifier if about_tracer else "")
        return
    if tracer.candidate is None and claim is minimum:
        yield from _least_missing(claim, boundaries[0].minimum, tracer)
    for framework, specifier, picks in _frameworks(claim, rule, page):
        if framework not in coverage.samples and not rule.library:
            yield (
                framework,
                Unsatisfiable(Reason.NO_PROBE, f"there is no sample app for {framework}"),
            )
            continue
        for boundary in boundaries:
            for pick in picks:
                subject = minimum.subject if minimum else ""
                yield Check(claim, rule, boundary, framework, specifier, pick, subject)


def _least_missing(
    claim: Claim, there: Release, tracer: Releases
) -> Iterator[tuple[str, Unsatisfiable]]:
    """Say it where there is no such release as a promise names for its least."""
    least = None if claim.status is Status.NOT_SUPPORTED else lowest_named(claim.specifier)
    if least is not None and least not in {title.version for title in tracer.all}:
        what, why = _no_release(tracer, str(least))
        said = f"{why.detail}; asked of the least that there is instead, {there.text}"
        yield what, Unsatisfiable(why.reason, said)


def _no_release(tracer: Releases, text: str) -> tuple[str, Unsatisfiable]:
    said = f" is {text}" if text else ""
    detail = f"no final release{tracer.until_note}{said}"
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


def _meant(
    claim: Claim, rule: CoverageRule, page: ClaimPage, tracer: Releases, minimum: Claim | None
) -> Sequence[Boundary] | None:
    """Return the boundaries of a claim, None where it is not about the candidate that there is."""
    candidate = tracer.candidate
    if candidate is None:
        return _boundaries(claim, rule, page, tracer, minimum)
    if not concerns(claim, minimum, page, tracer):
        return None
    if claim.status is Status.NOT_SUPPORTED:
        return (Boundary(candidate),)
    about = claim if claim.kind is ClaimKind.RUNTIME else minimum
    return (at(tracer, candidate, page.branches, about.specifier if about else ""),)


def _boundaries(
    claim: Claim, rule: CoverageRule, page: ClaimPage, tracer: Releases, minimum: Claim | None
) -> Sequence[Boundary]:
    if claim.kind is ClaimKind.RUNTIME:
        return stretches(tracer, page.branches, claim.specifier)
    if claim.kind is ClaimKind.INTEGRATION:
        if rule.library:
            return tips(tracer, page.branches)
        return stretches(tracer, page.branches, "")
    if claim.status is Status.NOT_SUPPORTED:
        # One release that has it refutes; older branches could not even serve as a control.
        return tips(tracer, page.branches)[-1:]
    specifier = minimum.specifier if minimum else ""
    if not specifier:
        # A preview without a version: nobody promised it to the older branches.
        return tips(tracer, page.branches)[-1:]
    boundary = floor(tracer, specifier, page.branches, tight=rule.tight)
    return (boundary,) if boundary else ()


def _frameworks(
    claim: Claim, rule: CoverageRule, page: ClaimPage
) -> list[tuple[str, str, Sequence[str]]]:
    if rule.app:
        return [(rule.app, "", ("newest",))]
    if rule.library:
        picks = _picks(claim.specifier)
        whole = ("lowest", "newest", "between") if len(picks) > 1 else picks
        return [(rule.library, claim.specifier, whole)]
    rows: list[tuple[str, str]] = []
    if claim.kind in (ClaimKind.FRAMEWORK, ClaimKind.AUTHENTICATION, ClaimKind.INTEGRATION):
        rows = [(claim.subject, claim.specifier)]
    elif claim.kind in (ClaimKind.CAPABILITY, ClaimKind.DEPLOYMENT):
        rows = page.frameworks(claim.subject)
    elif rule.table == "framework":
        rows = next((found for each in rule.capability if (found := page.frameworks(each))), [])
        rows = rows or page.frameworks()
    if not rows and rule.table == "authentication":
        rows = page.authentication()
    return [(name, text, _picks(text)) for name, text in rows] or [
        (name, "", ("newest",)) for name in rule.frameworks
    ]


def _picks(specifier: str) -> Sequence[str]:
    if not specifier:
        return ("newest",)
    return ("lowest",) if _ONE_SERIES.fullmatch(specifier) else ("lowest", "newest")


def runtimes_of(
    claim: Claim, page: ClaimPage, title: Release, later: Sequence[Release], target: str
) -> Runtimes:
    """Return the CPythons on which the claim is to be tried with the tracer release `title`.

    `later` are newer releases that the claim is about too. An open range such as `>=3.7` stands
    for the CPythons that the release was made for: it cannot mean those that came after it.
    """
    own = title.pythons(target)
    if claim.kind is ClaimKind.RUNTIME:
        given = [claim.get("python") or ""]
        pythons = named_pythons(given, own)
        since = {python for each in later[-1:] for python in each.pythons(target)}
        missed = [each for each in named_pythons(given, since) if each not in (*pythons, *own)]
        return Runtimes(
            pythons,
            every=True,
            remarks=tuple(
                (
                    f"CPython {each} with ddtrace {title.text}",
                    Unsatisfiable(
                        Reason.OUTSIDE_CLAIM,
                        f"an open range cannot mean it: ddtrace {title.text} was not made for it,"
                        " a later release was",
                    ),
                )
                for each in missed
            ),
        )
    admitted = page.runtimes(target, title.final_text)
    if admitted:
        return Runtimes(named_pythons(admitted, own))
    named = named_pythons(page.runtimes(target), own)
    if not named:
        return Runtimes(own)
    return Runtimes(
        tuple(python for python in named if title.has_wheel(python, target)),
        remarks=(
            (
                f"runtimes for ddtrace {title.text}",
                Unsatisfiable(
                    Reason.OUTSIDE_CLAIM,
                    f"the page names no runtime for ddtrace {title.text}; tried on those that it"
                    " names for other releases, where there are wheels",
                ),
            ),
        ),
    )
