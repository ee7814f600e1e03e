"""Claims by page: which product a page is about, and what stands where in its tables."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence

from matrix.audit.finding import Place
from matrix.audit.specifiers import canonical
from matrix.model.claim import Claim, ClaimKind
from matrix.planning.data import read_data

__all__ = ["Page", "Spot", "named", "pages_of", "spot_of"]

_LIBRARY_ITSELF = frozenset({ClaimKind.BRANCH, ClaimKind.RUNTIME})


@dataclasses.dataclass(frozen=True, order=True)
class Spot:
    """What a claim is about, wherever it stands: the row and the column of a kind of table.

    `releases` are those of the library that a runtime's row is about (canonical): a table has a
    row for each branch.
    """

    kind: str
    row: str
    column: str = ""
    releases: str = ""

    @property
    def thing(self) -> Spot:
        """Return what it is about, whatever the releases."""
        return dataclasses.replace(self, releases="")

    def __str__(self) -> str:
        named = "/".join(part for part in (self.kind, self.row, self.column) if part)
        return f"{named} (ddtrace {self.releases})" if self.releases else named


@dataclasses.dataclass(frozen=True, eq=False)
class Page:
    """One document. `unread` are lines that were not understood, or stand in another file."""

    document: str
    claims: tuple[Claim, ...]
    unread: tuple[int, ...] = ()

    @functools.cached_property
    def product(self) -> str:
        """Return what the page is about; one about nothing known is alone of its kind."""
        capabilities = {
            claim.subject for claim in self.claims if claim.kind is ClaimKind.CAPABILITY
        }
        kinds = {claim.kind.value for claim in self.claims}
        for product in read_data("audit")["products"]:
            if capabilities.intersection(product.get("capabilities", ())):
                return str(product["name"])
            if kinds.issuperset(product.get("tables", ("",))):
                return str(product["name"])
        return self.document

    @functools.cached_property
    def spots(self) -> Mapping[Spot, tuple[Claim, ...]]:
        """Return the claims by what they are about."""
        found: dict[Spot, list[Claim]] = {}
        for claim in self.claims:
            found.setdefault(spot_of(claim), []).append(claim)
        return {spot: tuple(claims) for spot, claims in found.items()}

    def of_kind(self, *kinds: ClaimKind) -> tuple[Claim, ...]:
        """Return the claims of some kinds."""
        return tuple(claim for claim in self.claims if claim.kind in kinds)

    def lacking(self, spot: Spot, says: str) -> Place:
        """Return where something would stand that the page does not have."""
        same = self.of_kind(ClaimKind(spot.kind))
        line = min((claim.line for claim in same), default=1)
        return Place(self.document, line, says)

    def comparable_with(self, other: Page, kind: ClaimKind) -> bool:
        """Return whether the one should have the rows of a kind that the other has.

        Every page that says something of the library's own branches and runtimes should say the
        same; of everything else only the pages of one product.
        """
        if kind in _LIBRARY_ITSELF:
            return bool(self.of_kind(kind))
        return self.product == other.product


def pages_of(
    claims: Iterable[Claim], unread: Mapping[str, Sequence[int]] | None = None
) -> tuple[Page, ...]:
    """Return the pages in the claims' order."""
    found: dict[str, list[Claim]] = {}
    for claim in claims:
        found.setdefault(claim.document, []).append(claim)
    return tuple(
        Page(name, tuple(own), tuple((unread or {}).get(name, ()))) for name, own in found.items()
    )


def spot_of(claim: Claim) -> Spot:
    """Return what a claim is about."""
    kind, subject = claim.kind, claim.subject
    scoped = claim.get("capability") or ""
    row, column, releases = subject, scoped, ""
    if kind is ClaimKind.DEPLOYMENT:
        row, column = claim.get("deployment") or "", subject
    elif kind is ClaimKind.BRANCH:
        row = canonical(claim.specifier)
    elif kind is ClaimKind.RUNTIME:
        machine = " ".join(filter(None, (claim.get("os"), claim.get("cpu"))))
        row, column = f"{subject} {claim.get('python') or ''}".strip(), machine
        releases = canonical(claim.specifier)
    elif kind is ClaimKind.INTEGRATION:
        row = " ".join(filter(None, (subject, claim.get("backend"), claim.get("role"))))
    return Spot(kind.value, row, column, releases)


def named(claim: Claim) -> str:
    """Return what a claim says, in a few words, as its page writes it."""
    words = [claim.specifier, claim.status.value]
    words += [f"{key} {value}" for key, value in claim.scope if key in ("automatic", "until")]
    return ", ".join(word for word in words if word)
