"""Evidence for verdicts of runtime claims from the package index alone.

In the decision table, "nothing" means neither a wheel that the runtime installs nor a source
distribution that its CPython may use.

=============================================  ==================================================
releases in the promised range                 evidence
=============================================  ==================================================
no release                                     none: there is nothing to compare with
all have nothing, and the index lists wheels   refutes: the index is complete for the releases,
of them for other runtimes                     and has nothing for this runtime
all have nothing, and the index lists no       does not refute: the index may be incomplete
wheels of them for any runtime
only yanked, early or vanished ones have       does not refute: there were artifacts
artifacts
some have nothing                              does not refute: names the releases
each has a wheel or a source distribution      none (a source distribution may build)
=============================================  ==================================================

A claim about several CPythons or platforms (`3.7+`) is refuted only if all of them are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from matrix.features.audit.index_offer import (
    OfferLookup,
    OfferResult,
    ProjectReleases,
    TargetOffer,
    cpython_claims,
    offer_queries,
    sort_releases,
)
from matrix.features.audit.versions import describe_releases
from matrix.model.claim import Claim
from matrix.model.plan import StaticEvidence
from matrix.pypi.client import Index

# The largest number of CPythons or platforms that the evidence names.
_MAX_NAMED = 4


def static_evidence(claims: Iterable[Claim], index: Index) -> Mapping[str, StaticEvidence]:
    """Return the evidence by claim id, for claims with evidence.

    Raises `IndexUnavailableError` if neither the index nor the cache has the project.
    """
    runtimes = list(cpython_claims(claims))
    if not runtimes:
        return {}
    lookup = OfferLookup(sort_releases(index.project("ddtrace")))
    results = (claim_evidence(claim, lookup) for claim in runtimes)
    return {evidence.claim: evidence for evidence in results if evidence is not None}


def claim_evidence(claim: Claim, lookup: OfferLookup) -> StaticEvidence | None:
    """Return the evidence for one runtime claim, by the table above."""
    results = [lookup.find(query) for query in offer_queries(claim, lookup.releases)]
    lacking = [result for result in results if result.without_artifact]
    if not lacking:
        return None
    sentences = [_sentence(result, lookup.releases) for result in lacking[:_MAX_NAMED]]
    if len(lacking) > len(sentences):
        sentences.append(f"and {len(lacking) - len(sentences)} more such runtimes")
    return StaticEvidence(claim.id, all(map(refutes, results)), f"{'; '.join(sentences)}.")


def refutes(result: OfferResult) -> bool:
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
