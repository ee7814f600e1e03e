"""Claims compared with the package index: findings of an audit, and evidence for verdicts.

They are about promised runtimes and releases that the index does not have.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from packaging.version import Version

from matrix.features.audit.findings import (
    AuditFinding,
    DocumentLine,
    FindingKind,
    claim_line,
    describe_claim,
    first_of_each_line,
    sort_findings,
)
from matrix.features.audit.index_offer import (
    MUSL,
    OfferQuery,
    OfferResult,
    ProjectReleases,
    TargetOffer,
    cpython_claims,
)
from matrix.features.audit.versions import contains, describe_releases, lower_bound
from matrix.model.claim import Claim, ClaimKind
from matrix.model.index import Project
from matrix.model.plan import StaticEvidence
from matrix.pypi.index import Index
from matrix.pypi.releases import specifier_allows
from matrix.pypi.tags import supports_python

_ON_THE_LIBRARY = (ClaimKind.CAPABILITY, ClaimKind.NOTE)
_MAX_FILES = 5
# The largest number of CPythons or platforms that the evidence names.
_MAX_NAMED = 4


@dataclasses.dataclass(frozen=True)
class IndexRow:
    """A row of the table: CPythons and platforms with the same artifacts (`offers`, in words).

    `promised` is False for platforms that no page promises (musl).
    """

    specifier: str
    pythons: tuple[str, ...]
    targets: tuple[str, ...]
    offers: str
    promised: bool


@dataclasses.dataclass(frozen=True)
class IndexReport:
    """The comparison of claims with the index.

    `releases` and `early` are numbers of final and pre-releases. Only final releases that are
    neither yanked nor `vanished` (no longer listed) are compared.
    """

    releases: int
    early: int
    yanked: tuple[str, ...]
    vanished: tuple[str, ...]
    rows: tuple[IndexRow, ...]
    findings: tuple[AuditFinding, ...]


def compare_with_index(claims: Iterable[Claim], project: Project) -> IndexReport:
    """Return the artifacts of each promised runtime, and the findings."""
    claims = tuple(claims)
    releases = ProjectReleases(project)
    findings = [
        *_runtimes(claims, releases),
        *_minimums(claims, releases),
        *_vanished(releases),
        *_disagreeing(releases),
        *_excluding(releases),
    ]
    return IndexReport(
        releases=len(releases.final),
        early=len(releases.early),
        yanked=tuple(release.text for release in releases.yanked),
        vanished=tuple(release.text for release in releases.vanished),
        rows=tuple(_rows(claims, releases)),
        findings=sort_findings(findings),
    )


def _runtimes(claims: Sequence[Claim], releases: ProjectReleases) -> Iterator[AuditFinding]:
    """Yield a finding for each group of runtimes that lack the same artifacts."""
    claims_by_query: dict[OfferQuery, list[Claim]] = defaultdict(list)
    for claim in cpython_claims(claims):
        for query in releases.queries(claim):
            claims_by_query[query].append(claim)
    # Grouped by CPython first, so that only CPythons with the same platforms are in one finding.
    by_python: dict[tuple[FindingKind, str, str, str], list[OfferQuery]] = defaultdict(list)
    for query in claims_by_query:
        result = releases.find(query)
        kind = _kind(result)
        if kind is not None:
            by_python[kind, query.specifier, result.describe(), query.python].append(query)
    grouped: dict[tuple[FindingKind, str, str, tuple[str, ...]], list[OfferQuery]]
    grouped = defaultdict(list)
    for (kind, specifier, text, _), queries in by_python.items():
        grouped[kind, specifier, text, tuple(query.target.title for query in queries)] += queries
    for (kind, specifier, text, titles), queries in grouped.items():
        pythons = ", ".join(dict.fromkeys(query.python for query in queries))
        result = releases.find(queries[0])
        yield AuditFinding(
            kind,
            f"runtime/cpython {pythons} on {', '.join(titles)}",
            f"ddtrace {specifier or '(any)'}: {text}",
            _cited_lines(claim for query in queries for claim in claims_by_query[query]),
            reason=(
                f"the index lists wheels of {result.with_wheels} of these {len(result.releases)}"
                " releases for some runtime, so it is complete"
            ),
        )


def _kind(result: OfferResult) -> FindingKind | None:
    if not result.releases:
        return None
    if _refutes(result):
        return FindingKind.RUNTIME_WITHOUT_ARTIFACT
    if result.without_artifact:
        return FindingKind.RUNTIME_PARTLY_WITHOUT_ARTIFACT
    if not result.releases_with(TargetOffer.WHEEL):
        return FindingKind.RUNTIME_FROM_SOURCE_ONLY
    return None


def _minimums(claims: Sequence[Claim], releases: ProjectReleases) -> Iterator[AuditFinding]:
    """Yield a finding for each documented minimum that was never released, or was yanked."""
    affected: dict[tuple[FindingKind, str], list[Claim]] = defaultdict(list)
    for claim in claims:
        minimum = lower_bound(claim.specifier)
        if claim.kind not in _ON_THE_LIBRARY or minimum is None:
            continue
        if any(release.version == minimum for release in releases.yanked):
            affected[FindingKind.MINIMUM_YANKED, str(minimum)].append(claim)
        elif not _released(minimum, claim.specifier, releases):
            affected[FindingKind.MINIMUM_NOT_RELEASED, str(minimum)].append(claim)
    for (kind, version), kind_claims in affected.items():
        specifier = kind_claims[0].specifier
        fitting = (
            release.text for release in releases.final if contains(specifier, release.version)
        )
        subjects = dict.fromkeys(f"{claim.kind.value}/{claim.subject}" for claim in kind_claims)
        yield AuditFinding(
            kind,
            ", ".join(subjects),
            f"ddtrace {version}; the lowest matching release is {next(fitting, 'none')}",
            _cited_lines(kind_claims),
            reason=f"the index lists {len(releases.final)} final releases",
        )


def _released(minimum: Version, specifier: str, releases: ProjectReleases) -> bool:
    """Return whether a minimum was released; `==2.6.*` matches any 2.6, `>=2.6` only 2.6.0."""
    if f"=={minimum}.*" in specifier:
        return any(contains(specifier, release.version) for release in releases.final)
    return any(release.version == minimum for release in (*releases.final, *releases.early))


def _vanished(releases: ProjectReleases) -> Iterator[AuditFinding]:
    listed = {release.version for release in (*releases.final, *releases.early, *releases.yanked)}
    for vanished in releases.vanished:
        files = [file.filename for file in vanished.release.files]
        shown = ", ".join(files[:_MAX_FILES]) + (" ..." if len(files) > _MAX_FILES else "")
        extent = "some files of it" if vanished.version in listed else "the whole release"
        yield AuditFinding(
            FindingKind.RELEASE_VANISHED,
            f"ddtrace {vanished.text}",
            f"{extent} ({len(files)} files: {shown})",
            reason="it stays in the cache, and counts as not installable",
        )


def _disagreeing(releases: ProjectReleases) -> Iterator[AuditFinding]:
    for release in releases.final:
        values = sorted(release.files.requires_python())
        if len(values) > 1:
            yield AuditFinding(
                FindingKind.REQUIRES_PYTHON_DIFFERS,
                f"ddtrace {release.text}",
                "; ".join(value or "(none)" for value in values),
                reason="installers use the value of the file, and show that of the release",
            )


def _excluding(releases: ProjectReleases) -> Iterator[AuditFinding]:
    """Yield a finding for each CPython that wheels are tagged for but exclude by their metadata."""
    versions = [release.text for release in releases.final]
    for python in releases.pythons:
        excluding = {
            release.text
            for release in releases.final
            for interpreters, abis, _, requires_python in release.files.wheels
            if f"cp{python.replace('.', '')}" in interpreters.split(".")
            and supports_python(interpreters, abis, python)
            and not specifier_allows(requires_python, f"{python}.99")
        }
        if excluding:
            yield AuditFinding(
                FindingKind.WHEEL_EXCLUDED,
                f"ddtrace wheels for CPython {python}",
                describe_releases(versions, excluding),
                reason="installers check Requires-Python before a wheel's tags",
            )


def _rows(claims: Sequence[Claim], releases: ProjectReleases) -> Iterator[IndexRow]:
    """Yield the rows by range and CPython, with platforms of the same offers in one row."""
    by_range: dict[str, dict[str, dict[tuple[str, bool], list[str]]]] = {}
    for claim in cpython_claims(claims):
        for query in releases.queries(claim, musl=True):
            offers = by_range.setdefault(query.specifier, {}).setdefault(query.python, {})
            key = (releases.find(query).describe(), query.target.libc != MUSL)
            titles = offers.setdefault(key, [])
            if query.target.title not in titles:
                titles.append(query.target.title)
    for specifier, by_python in by_range.items():
        joined: dict[tuple[str, bool, tuple[str, ...]], list[str]] = defaultdict(list)
        for python, offers in by_python.items():
            for (text, promised), titles in offers.items():
                joined[text, promised, tuple(titles)].append(python)
        for (text, promised, targets), pythons in joined.items():
            yield IndexRow(specifier, tuple(pythons), targets, text, promised)


def _cited_lines(claims: Iterable[Claim]) -> tuple[DocumentLine, ...]:
    return first_of_each_line(
        claim_line(claim, ": ".join(filter(None, (claim.as_written, describe_claim(claim)))))
        for claim in claims
    )


def static_evidence(claims: Iterable[Claim], index: Index) -> Mapping[str, StaticEvidence]:
    """Return evidence for verdicts from the package index alone, by claim id, for claims with any.

    In the decision table, "nothing" means neither a wheel that the runtime installs nor a source
    distribution that its CPython may use.

    =============================================  =================================================
    releases in the promised range                 evidence
    =============================================  =================================================
    no release                                     none: there is nothing to compare with
    all have nothing, and the index lists wheels   refutes: the index is complete for the releases,
    of them for other runtimes                     and has nothing for this runtime
    all have nothing, and the index lists no       does not refute: the index may be incomplete
    wheels of them for any runtime
    only yanked, early or vanished ones have       does not refute: there were artifacts
    artifacts
    some have nothing                              does not refute: names the releases
    each has a wheel or a source distribution      none (a source distribution may build)
    =============================================  =================================================

    A claim about several CPythons or platforms (`3.7+`) is refuted only if all of them are.

    Raises `IndexUnavailableError` if neither the index nor the cache has the project.
    """
    runtimes = list(cpython_claims(claims))
    if not runtimes:
        return {}
    releases = ProjectReleases(index.project("ddtrace"))
    results = (_claim_evidence(claim, releases) for claim in runtimes)
    return {evidence.claim: evidence for evidence in results if evidence is not None}


def _claim_evidence(claim: Claim, releases: ProjectReleases) -> StaticEvidence | None:
    """Return the evidence for one runtime claim, by the table of `static_evidence`."""
    results = [releases.find(query) for query in releases.queries(claim)]
    lacking = [result for result in results if result.without_artifact]
    if not lacking:
        return None
    sentences = [_sentence(result, releases) for result in lacking[:_MAX_NAMED]]
    if len(lacking) > len(sentences):
        sentences.append(f"and {len(lacking) - len(sentences)} more such runtimes")
    return StaticEvidence(claim.id, all(map(_refutes, results)), f"{'; '.join(sentences)}.")


def _refutes(result: OfferResult) -> bool:
    """Return whether no release has an artifact for the runtime, but some have for others."""
    return (
        bool(result.releases)
        and len(result.without_artifact) == len(result.releases)
        and not result.withdrawn
        and result.with_wheels > 0
    )


def _sentence(result: OfferResult, project: ProjectReleases) -> str:
    query, releases = result.query, result.releases
    runtime = f"CPython {query.python} on {query.target.title}"
    count = f"{len(releases)} releases" if len(releases) > 1 else "one release"
    if len(result.without_artifact) < len(releases):
        without = describe_releases(releases, result.without_artifact)
        return f"{runtime}: {_why(result)} in ddtrace {without} ({_usable(result)})"
    head = f"{runtime}: {_why(result)} in any of the {count} of ddtrace {query.specifier}".strip()
    if result.withdrawn:
        withdrawn = ", ".join(result.withdrawn[:_MAX_NAMED])
        return f"{head}; only in {withdrawn}, which are no final releases"
    if not result.with_wheels:
        return f"{head}; the index lists no wheel of them for any other runtime either"
    control = f"the same index lists wheels of {result.with_wheels} of them for other runtimes"
    return f"{head}; {control}{_example(result, project)}"


def _why(result: OfferResult) -> str:
    if not result.offers.get(TargetOffer.NOTHING):
        return "Requires-Python excludes it"
    return "neither a wheel nor an admitted source distribution"


def _usable(result: OfferResult) -> str:
    parts = []
    for offer, word in (
        (TargetOffer.WHEEL, "wheels"),
        (TargetOffer.SOURCE, "only source distributions"),
    ):
        if releases := result.releases_with(offer):
            parts.append(f"{word} {describe_releases(result.releases, releases)}")
    return "; ".join(parts)


def _example(result: OfferResult, project: ProjectReleases) -> str:
    """Return a wheel that the index lists for the newest of the releases with wheels."""
    for release in reversed(project.final):
        if release.text in result.releases and release.files.wheels:
            tags = max(release.files.wheels)[:3]
            return f", such as {'-'.join(tags)} of {release.text}"
    return ""
