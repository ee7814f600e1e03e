"""What one page has and another of the same product lacks: rows, columns, tables, notes.

A whole table is told once, then a whole row or column, then what is left. Rows that the same pages
have and the same pages lack are one finding.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

from packaging.version import Version

from matrix.audit.documents_pages import Page, Spot, named
from matrix.audit.finding import AuditFinding, FindingKind, Place, place_of
from matrix.audit.specifiers import lowest_named, overlap
from matrix.audit.staleness import ON_THE_LIBRARY, Dates, Opinion, by_newest, newest_of, told
from matrix.model.claim import Claim, ClaimKind

__all__ = ["missing_things"]

_OWN_TABLES = (ClaimKind.BRANCH, ClaimKind.RUNTIME)
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
    spot: Spot
    page: Page


def missing_things(pages: Sequence[Page], dates: Dates) -> Iterator[AuditFinding]:
    """Yield a finding for each thing, or run of things, that some page lacks."""
    together: dict[object, list[tuple[Spot, tuple[Page, ...], tuple[_Gap, ...]]]] = {}
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
        by_kind: dict[FindingKind, list[Page]] = {}
        for gap in runs[0][2]:
            by_kind.setdefault(gap.kind, []).append(gap.page)
        for missing, lackers in by_kind.items():
            yield _finding(missing, [run[0] for run in runs], runs[0][1], lackers, dates)


def _gap(spot: Spot, page: Page) -> _Gap:
    kind = ClaimKind(spot.kind)
    same = [other for other in page.spots if other.kind == spot.kind]
    if kind in _KINDS:
        return _Gap(_KINDS[kind], "", spot, page)
    if not same:
        return _Gap(FindingKind.TABLE_MISSING, spot.kind, spot, page)
    if spot.column and not any(other.column == spot.column for other in same):
        return _Gap(FindingKind.COLUMN_MISSING, spot.column, spot, page)
    return _Gap(FindingKind.ROW_MISSING, "" if kind is ClaimKind.RUNTIME else spot.row, spot, page)


def _covered(spot: Spot, page: Page, holders: Sequence[Page]) -> bool:
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


def _finding(
    kind: FindingKind,
    spots: Sequence[Spot],
    holders: Sequence[Page],
    lackers: Sequence[Page],
    dates: Dates,
) -> AuditFinding:
    held = [claim for page in holders for spot in spots for claim in page.spots[spot]]
    opinion = _opinion(kind, held, holders, lackers, dates)
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


def _opinion(
    kind: FindingKind,
    held: Sequence[Claim],
    holders: Sequence[Page],
    lackers: Sequence[Page],
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
    own = held[0].kind in _OWN_TABLES
    return by_newest(holders, lackers, dates, _OWN_TABLES if own else ON_THE_LIBRARY)


def _capability(held: Sequence[Claim], lackers: Sequence[Page], dates: Dates) -> Opinion:
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


def _branch(holders: Sequence[Page], lackers: Sequence[Page], dates: Dates) -> Opinion:
    """Call out of date the side whose newest branch is the older one."""

    def starts(page: Page) -> Version:
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


def _one_for_each_line(places: Iterable[Place]) -> tuple[Place, ...]:
    first: dict[tuple[str, int], Place] = {}
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


def _subject(spots: Sequence[Spot]) -> str:
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


def _distinct(spots: Sequence[Spot], part: Callable[[Spot], str]) -> list[str]:
    return list(dict.fromkeys(part(spot) for spot in spots))


def _names(pages: Sequence[Page]) -> str:
    return ", ".join(page.document for page in pages)
