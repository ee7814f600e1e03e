"""A page as context: the other claims that a claim's experiment depends on."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence

from matrix.interpreters.targets import covers_target
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.pypi.releases import python_key, specifier_allows

_EXACT = re.compile(r"={2,3}\s*(\d+\.\d+)(?:\.\*)?\s*")
_FROM = re.compile(r">=\s*(\d+\.\d+)(?!\d)")
_DENIED = (Status.NOT_SUPPORTED, Status.END_OF_LIFE)


class ClaimPage:
    """All claims of one document; the answers do not depend on the order of the claims."""

    def __init__(self, claims: Iterable[Claim]) -> None:
        self.claims = tuple(sorted(claims, key=lambda claim: claim.id))
        self._by_kind: dict[ClaimKind, list[Claim]] = {}
        for claim in self.claims:
            self._by_kind.setdefault(claim.kind, []).append(claim)
        self._runtimes: dict[tuple[str, str | None], list[str]] = {}

    def claims_of(self, kind: ClaimKind) -> Sequence[Claim]:
        """Return the claims of one kind."""
        return self._by_kind.get(kind, [])

    @functools.cached_property
    def branches(self) -> tuple[str, ...]:
        """Return the specifiers of the release branches that the page names."""
        specifiers = {
            claim.specifier for claim in self.claims_of(ClaimKind.BRANCH) if claim.specifier
        }
        return tuple(sorted(specifiers))

    def branches_of(self, version: str) -> tuple[str, ...]:
        """Return the page's branch that has a tracer release: one specifier, or none."""
        return tuple(branch for branch in self.branches if specifier_allows(branch, version))[:1]

    def capability(self, subjects: Iterable[str]) -> Claim | None:
        """Return the claim of the first of these capabilities with a documented version."""
        for subject in subjects:
            for claim in self.claims_of(ClaimKind.CAPABILITY):
                if claim.subject == subject and claim.specifier and claim.status not in _DENIED:
                    return claim
        return None

    def frameworks(self, capability: str | None = None) -> list[tuple[str, str]]:
        """Return (framework, specifier) rows of the framework table, of one capability or all."""
        return _rows(
            claim
            for claim in self.claims_of(ClaimKind.FRAMEWORK)
            if capability is None or claim.get("capability") == capability
        )

    def authentication(self) -> list[tuple[str, str]]:
        """Return (framework, specifier) rows of the authentication table."""
        return _rows(self.claims_of(ClaimKind.AUTHENTICATION))

    def runtimes(self, target: str, tracer: str | None = None) -> list[str]:
        """Return the specifiers of the CPythons named for a target.

        With `tracer`, only those whose row admits that tracer release.
        """
        # A plan asks for the same ones once for each framework and release.
        if (target, tracer) not in self._runtimes:
            self._runtimes[target, tracer] = sorted(
                {
                    claim.get("python") or ""
                    for claim in self.claims_of(ClaimKind.RUNTIME)
                    if claim.status not in _DENIED
                    and covers_target(claim, target)
                    and (tracer is None or specifier_allows(claim.specifier, tracer))
                }
            )
        return self._runtimes[target, tracer]


def pages_by_document(claims: Iterable[Claim]) -> dict[tuple[str, str], ClaimPage]:
    """Return the pages by (document, sha256), as two pages may share a name."""
    grouped: dict[tuple[str, str], list[Claim]] = {}
    for claim in claims:
        grouped.setdefault((claim.document, claim.sha256), []).append(claim)
    return {key: ClaimPage(group) for key, group in grouped.items()}


def named_pythons(specifiers: Iterable[str], supported: Iterable[str]) -> tuple[str, ...]:
    """Return the CPythons (`major.minor`, ascending) that the specifiers stand for.

    `==3.9.*` is 3.9, whether it is supported or not; `>=3.7` is 3.7, which it names, and those of
    `supported` that it admits.
    """
    return _named_pythons(tuple(specifiers), tuple(supported))


@functools.lru_cache(maxsize=4096)
def _named_pythons(texts: tuple[str, ...], supported: tuple[str, ...]) -> tuple[str, ...]:
    exact = {match[1] for text in texts if (match := _EXACT.fullmatch(text))}
    ranges = [text for text in texts if not _EXACT.fullmatch(text)]
    exact |= {match[1] for text in ranges if (match := _FROM.search(text))}
    admitted = {python for python in supported for text in ranges if specifier_allows(text, python)}
    return tuple(sorted(exact | admitted, key=python_key))


def _rows(claims: Iterable[Claim]) -> list[tuple[str, str]]:
    rows = {(claim.subject, claim.specifier) for claim in claims if claim.status not in _DENIED}
    return sorted(rows)
