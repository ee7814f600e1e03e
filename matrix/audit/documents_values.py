"""What the same promise says in different places: versions, support, stage, details."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Sequence

from matrix.audit.documents_pages import Page, Spot, named
from matrix.audit.finding import AuditFinding, FindingKind, place_of
from matrix.audit.specifiers import canonical, overlap, same_releases
from matrix.audit.staleness import ON_THE_LIBRARY, Dates, Opinion, by_newest, by_stage
from matrix.model.claim import Claim, ClaimKind, Status

__all__ = ["differing_values"]

_DETAILS = ("automatic", "automatic_python", "until")
# What a page says of the library's own branches and runtimes is as old as these tables are.
_OWN_TABLES = (ClaimKind.BRANCH, ClaimKind.RUNTIME)


def differing_values(pages: Sequence[Page], dates: Dates) -> Iterator[AuditFinding]:
    """Yield a finding for each thing of which two claims say different things.

    Rows that differ in the same way between the same places are one finding.
    """
    spots: dict[Spot, list[tuple[Page, tuple[Claim, ...]]]] = {}
    for page in pages:
        things: dict[Spot, tuple[Claim, ...]] = {}
        for spot, claims in page.spots.items():
            things[spot.thing] = (*things.get(spot.thing, ()), *claims)
        for thing, claims in things.items():
            spots.setdefault(thing, []).append((page, claims))
    grouped: dict[Hashable, list[tuple[Spot, dict[str, list[tuple[Page, Claim]]]]]] = {}
    for spot, having in spots.items():
        for kind, values in _differences(ClaimKind(spot.kind), having):
            shape = tuple(
                (value, tuple(page.document for page, _ in held))
                for value, held in sorted(values.items())
            )
            grouped.setdefault((kind, spot.kind, shape), []).append((spot, values))
    for (kind, *_), rows in grouped.items():  # type: ignore[misc]
        yield _finding(kind, rows, dates)


def _differences(
    kind: ClaimKind, having: Sequence[tuple[Page, tuple[Claim, ...]]]
) -> Iterator[tuple[FindingKind, dict[str, list[tuple[Page, Claim]]]]]:
    statuses: dict[str, list[tuple[Page, Claim]]] = {}
    for page, claims in having:
        for claim in claims:
            statuses.setdefault(claim.status.value, []).append((page, claim))
    if len(statuses) > 1:
        branch = kind is ClaimKind.BRANCH
        yield (
            FindingKind.SUPPORT_LEVEL_DIFFERS if branch else FindingKind.STATUS_DIFFERS,
            statuses,
        )
    promised = [
        (page, tuple(claim for claim in claims if claim.status is not Status.NOT_SUPPORTED))
        for page, claims in having
    ]
    for finding, value_of in (
        (FindingKind.MINIMUM_DIFFERS, _versions),
        (FindingKind.DETAIL_DIFFERS, _details),
    ):
        values: dict[str, list[tuple[Page, Claim]]] = {}
        for page, claims in promised:
            if claims and (value := value_of(claims)) is not None:
                values.setdefault(value, []).append((page, claims[0]))
        if len(values) > 1 and (kind is not ClaimKind.RUNTIME or _clash(promised)):
            yield finding, values


def _clash(promised: Sequence[tuple[Page, tuple[Claim, ...]]]) -> bool:
    """Return whether pages draw the line differently for the same releases.

    One that has no row for a branch at all lacks a row, and says nothing else of that branch.
    """
    ranges = [{canonical(claim.specifier) for claim in claims} for _, claims in promised if claims]
    return any(
        overlap(mine, theirs) and not same_releases(one, other)
        for one, other in itertools.combinations(ranges, 2)
        for mine in one - other
        for theirs in other - one
    )


def _versions(claims: Sequence[Claim]) -> str | None:
    """Return the versions that a page promises, None where it names none (`Preview`)."""
    if claims[0].kind is ClaimKind.BRANCH or not any(claim.specifier for claim in claims):
        return None
    return " or ".join(sorted({canonical(claim.specifier) or "any" for claim in claims}))


def _details(claims: Sequence[Claim]) -> str | None:
    said = {
        ", ".join(f"{key} {value}" for key in _DETAILS if (value := claim.get(key)))
        for claim in claims
    }
    return " or ".join(sorted(said)) or None


def _finding(
    kind: FindingKind,
    rows: Sequence[tuple[Spot, dict[str, list[tuple[Page, Claim]]]]],
    dates: Dates,
) -> AuditFinding:
    values = rows[0][1]
    places = []
    held_by: dict[str, dict[str, Page]] = {}
    for _, of_row in rows:
        for value, held in of_row.items():
            for page, claim in held:
                places.append(place_of(claim, _said(value, claim)))
                held_by.setdefault(value, {})[page.document] = page
    opinion = _opinion(kind, ClaimKind(rows[0][0].kind), held_by, dates)
    # A row of a table may hold many claims that say the same.
    told = {(place.document, place.line, place.says): place for place in reversed(places)}
    told = dict(reversed(told.items()))
    names = ", ".join(str(spot) for spot, _ in rows)
    said = "; ".join(
        f"{value or 'nothing'}: {', '.join(dict.fromkeys(page.document for page, _ in held))}"
        for value, held in values.items()
    )
    return AuditFinding(
        kind,
        names,
        said,
        tuple(told.values()),
        tuple(place for place in told.values() if place.document in opinion.stale),
        opinion.reason,
    )


def _said(value: str, claim: Claim) -> str:
    text = named(claim)
    return text if value in text else f"{value} ({text})"


def _opinion(
    kind: FindingKind, table: ClaimKind, held_by: dict[str, dict[str, Page]], dates: Dates
) -> Opinion:
    documents = [name for pages in held_by.values() for name in pages]
    if len(set(documents)) < len(documents):
        return Opinion(frozenset(), "cannot tell which: one page says both")
    if kind in (FindingKind.SUPPORT_LEVEL_DIFFERS, FindingKind.STATUS_DIFFERS):
        ladder = "support" if kind is FindingKind.SUPPORT_LEVEL_DIFFERS else "release"
        statuses = {name: Status(value) for value, pages in held_by.items() for name in pages}
        staged = by_stage(statuses, ladder)
        if staged is not None:
            return staged
    if len(held_by) > 2:  # noqa: PLR2004 - two sides can be compared
        return Opinion(frozenset(), f"cannot tell which: {len(held_by)} different answers")
    one, other = (tuple(pages.values()) for pages in held_by.values())
    kinds = _OWN_TABLES if table in _OWN_TABLES else ON_THE_LIBRARY
    return by_newest(one, other, dates, kinds)
