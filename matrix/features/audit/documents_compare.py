"""What the same promise says in different places: versions, support, stage, details.

What one page has and another of the same product lacks: rows, columns, tables, notes.

A whole table is told once, then a whole row or column, then what is left. Rows that the same pages
have and the same pages lack are one finding.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

from packaging.version import Version

from matrix.features.audit.findings import AuditFinding, DocumentLine, FindingKind, place_of
from matrix.features.audit.pages import (
    ON_THE_LIBRARY,
    AuditedPage,
    Dates,
    Opinion,
    PageSpot,
    by_newest,
    by_stage,
    named,
    newest_of,
    told,
)
from matrix.features.audit.versions import canonical, lowest_named, overlap, same_releases
from matrix.model.claim import Claim, ClaimKind, Status

__all__ = ["differing_values", "missing_things"]

_DETAILS = ("automatic", "automatic_python", "until")
# What a page says of the library's own branches and runtimes is as old as these tables are.
_OWN_TABLES = (ClaimKind.BRANCH, ClaimKind.RUNTIME)


def differing_values(pages: Sequence[AuditedPage], dates: Dates) -> Iterator[AuditFinding]:
    """Yield a finding for each thing of which two claims say different things.

    Rows that differ in the same way between the same places are one finding.
    """
    spots: dict[PageSpot, list[tuple[AuditedPage, tuple[Claim, ...]]]] = {}
    for page in pages:
        things: dict[PageSpot, tuple[Claim, ...]] = {}
        for spot, claims in page.spots.items():
            things[spot.thing] = (*things.get(spot.thing, ()), *claims)
        for thing, claims in things.items():
            spots.setdefault(thing, []).append((page, claims))
    grouped: dict[Hashable, list[tuple[PageSpot, dict[str, list[tuple[AuditedPage, Claim]]]]]] = {}
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
    kind: ClaimKind, having: Sequence[tuple[AuditedPage, tuple[Claim, ...]]]
) -> Iterator[tuple[FindingKind, dict[str, list[tuple[AuditedPage, Claim]]]]]:
    statuses: dict[str, list[tuple[AuditedPage, Claim]]] = {}
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
        values: dict[str, list[tuple[AuditedPage, Claim]]] = {}
        for page, claims in promised:
            if claims and (value := value_of(claims)) is not None:
                values.setdefault(value, []).append((page, claims[0]))
        if len(values) > 1 and (kind is not ClaimKind.RUNTIME or _clash(promised)):
            yield finding, values


def _clash(promised: Sequence[tuple[AuditedPage, tuple[Claim, ...]]]) -> bool:
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
    rows: Sequence[tuple[PageSpot, dict[str, list[tuple[AuditedPage, Claim]]]]],
    dates: Dates,
) -> AuditFinding:
    values = rows[0][1]
    places = []
    held_by: dict[str, dict[str, AuditedPage]] = {}
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
    kind: FindingKind, table: ClaimKind, held_by: dict[str, dict[str, AuditedPage]], dates: Dates
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


_DOCUMENTS_MISSING_OWN_TABLES = (ClaimKind.BRANCH, ClaimKind.RUNTIME)
_KINDS = {
    ClaimKind.CAPABILITY: FindingKind.CAPABILITY_MISSING,
    ClaimKind.BRANCH: FindingKind.BRANCH_MISSING,
    ClaimKind.NOTE: FindingKind.NOTE_MISSING,
}


@dataclasses.dataclass(frozen=True)
class _Gap:
    """One thing that one page lacks; `group` tells which gaps are told together."""

    kind: FindingKind
    group: str
    spot: PageSpot
    page: AuditedPage


def missing_things(pages: Sequence[AuditedPage], dates: Dates) -> Iterator[AuditFinding]:
    """Yield a finding for each thing, or run of things, that some page lacks."""
    together: dict[object, list[tuple[PageSpot, tuple[AuditedPage, ...], tuple[_Gap, ...]]]] = {}
    for spot in sorted({spot for page in pages for spot in page.spots}):
        kind = ClaimKind(spot.kind)
        holders = tuple(page for page in pages if spot in page.spots)
        gaps = tuple(
            _gap(spot, page)
            for page in pages
            if spot not in page.spots
            and any(page.comparable_with(holder, kind) for holder in holders)
            and not _covered(spot, page, holders)
        )
        if gaps:
            key = (
                tuple((gap.kind, gap.group, gap.page.document) for gap in gaps),
                tuple(page.document for page in holders),
                spot.row if kind in (ClaimKind.CAPABILITY, ClaimKind.BRANCH) else spot.kind,
            )
            together.setdefault(key, []).append((spot, holders, gaps))
    for runs in together.values():
        by_kind: dict[FindingKind, list[AuditedPage]] = {}
        for gap in runs[0][2]:
            by_kind.setdefault(gap.kind, []).append(gap.page)
        for missing, lackers in by_kind.items():
            yield _documents_missing_finding(
                missing, [run[0] for run in runs], runs[0][1], lackers, dates
            )


def _gap(spot: PageSpot, page: AuditedPage) -> _Gap:
    kind = ClaimKind(spot.kind)
    same = [other for other in page.spots if other.kind == spot.kind]
    if kind in _KINDS:
        return _Gap(_KINDS[kind], "", spot, page)
    if not same:
        return _Gap(FindingKind.TABLE_MISSING, spot.kind, spot, page)
    if spot.column and not any(other.column == spot.column for other in same):
        return _Gap(FindingKind.COLUMN_MISSING, spot.column, spot, page)
    return _Gap(FindingKind.ROW_MISSING, "" if kind is ClaimKind.RUNTIME else spot.row, spot, page)


def _covered(spot: PageSpot, page: AuditedPage, holders: Sequence[AuditedPage]) -> bool:
    """Return whether the page says the same of a runtime in other words: `3.7+`, `3.7-3.12`."""
    if spot.kind != ClaimKind.RUNTIME.value:
        return False
    wanted = [claim for holder in holders for claim in holder.spots[spot]]
    return all(
        any(
            (claim.get("os"), claim.get("cpu")) == (other.get("os"), other.get("cpu"))
            and overlap(claim.specifier, other.specifier)
            and overlap(claim.get("python") or "", other.get("python") or "")
            for other in page.of_kind(ClaimKind.RUNTIME)
        )
        for claim in wanted
    )


def _documents_missing_finding(
    kind: FindingKind,
    spots: Sequence[PageSpot],
    holders: Sequence[AuditedPage],
    lackers: Sequence[AuditedPage],
    dates: Dates,
) -> AuditFinding:
    held = [claim for page in holders for spot in spots for claim in page.spots[spot]]
    opinion = _documents_missing_opinion(kind, held, holders, lackers, dates)
    lacking = [page.lacking(spots[0], _lacks(kind)) for page in lackers]
    having = _one_for_each_line(place_of(claim, named(claim)) for claim in held)
    places = (*having, *lacking)
    return AuditFinding(
        kind,
        _subject(spots),
        f"{_names(holders)} {'has' if len(holders) == 1 else 'have'} it,"
        f" {_names(lackers)} {'lacks' if len(lackers) == 1 else 'lack'} it",
        places,
        tuple(place for place in places if place.document in opinion.stale),
        opinion.reason,
    )


def _documents_missing_opinion(
    kind: FindingKind,
    held: Sequence[Claim],
    holders: Sequence[AuditedPage],
    lackers: Sequence[AuditedPage],
    dates: Dates,
) -> Opinion:
    unread = [page for page in lackers if page.unread]
    if unread:
        where = ", ".join(f"{page.document}:{page.unread[0]}" for page in unread)
        return Opinion(
            frozenset(),
            f"cannot tell: not all of the page was understood or stands in it ({where})",
        )
    if kind is FindingKind.CAPABILITY_MISSING:
        return _capability(held, lackers, dates)
    if kind is FindingKind.BRANCH_MISSING:
        return _branch(holders, lackers, dates)
    own = held[0].kind in _DOCUMENTS_MISSING_OWN_TABLES
    return by_newest(
        holders, lackers, dates, _DOCUMENTS_MISSING_OWN_TABLES if own else ON_THE_LIBRARY
    )


def _capability(held: Sequence[Claim], lackers: Sequence[AuditedPage], dates: Dates) -> Opinion:
    """Call out of date the tables that end before the capability began."""
    since = min(filter(None, (lowest_named(one.specifier) for one in held)), default=None)
    if since is None:
        return Opinion(frozenset(), "cannot tell which: no version is given for it")
    before = {
        page: newest
        for page in lackers
        if (newest := newest_of(page, [ClaimKind.CAPABILITY])) is not None and newest < since
    }
    if not before:
        return Opinion(
            frozenset(),
            f"cannot tell which: it came with {told(since, dates)}, and the pages without it name"
            " newer releases",
        )
    ends = ", ".join(f"{page.document} ends at {told(end, dates)}" for page, end in before.items())
    return Opinion(
        frozenset(page.document for page in before),
        f"likely out of date: it came with {told(since, dates)}; the table of {ends}",
    )


def _branch(
    holders: Sequence[AuditedPage], lackers: Sequence[AuditedPage], dates: Dates
) -> Opinion:
    """Call out of date the side whose newest branch is the older one."""

    def starts(page: AuditedPage) -> Version:
        return newest_of(page, [ClaimKind.BRANCH]) or Version("0")

    mine, theirs = min(map(starts, holders)), max(map(starts, lackers))
    if mine > theirs:
        side, newer, what = lackers, mine, "lists"
    elif max(map(starts, holders)) < min(map(starts, lackers)):
        side, newer, what = holders, min(map(starts, lackers)), "has dropped it and lists"
    else:
        return Opinion(frozenset(), "cannot tell which: both sides list the same newest branch")
    return Opinion(
        frozenset(page.document for page in side),
        f"likely out of date: {_names(side)}; the other side {what} the newer branch from"
        f" {told(newer, dates)}",
    )


def _one_for_each_line(places: Iterable[DocumentLine]) -> tuple[DocumentLine, ...]:
    first: dict[tuple[str, int], DocumentLine] = {}
    for place in places:
        first.setdefault((place.document, place.line), place)
    return tuple(first.values())


def _lacks(kind: FindingKind) -> str:
    words: dict[FindingKind, str] = {
        FindingKind.TABLE_MISSING: "no such table",
        FindingKind.COLUMN_MISSING: "no such column",
        FindingKind.NOTE_MISSING: "no such note",
    }
    return words.get(kind, "no such row")


def _subject(spots: Sequence[PageSpot]) -> str:
    kind = spots[0].kind
    if len(spots) == 1:
        return str(spots[0])
    rows = _distinct(spots, lambda spot: spot.row)
    columns = [one for one in _distinct(spots, lambda spot: spot.column) if one]
    releases = "; ".join(dict.fromkeys(spot.releases for spot in spots if spot.releases))
    if kind in (ClaimKind.NOTE.value, ClaimKind.AUTHENTICATION.value, ClaimKind.INTEGRATION.value):
        columns = []
    named = f"{kind}/{', '.join(rows)}" + (f" ({', '.join(columns)})" if columns else "")
    return f"{named}, ddtrace {releases}" if releases else named


def _distinct(spots: Sequence[PageSpot], part: Callable[[PageSpot], str]) -> list[str]:
    return list(dict.fromkeys(part(spot) for spot in spots))


def _names(pages: Sequence[AuditedPage]) -> str:
    return ", ".join(page.document for page in pages)
