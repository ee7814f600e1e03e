"""Comparison of pages: claims that differ, and entries that one page has and another lacks.

Missing entries are grouped into findings: a whole table, else a column or row, else single entries.
Entries that the same pages have and the same pages lack are one finding.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TypeAlias

from packaging.version import Version

from matrix.features.audit.findings import (
    AuditFinding,
    DocumentLine,
    FindingKind,
    claim_line,
    describe_claim,
    first_of_each_line,
)
from matrix.features.audit.pages import (
    Assessment,
    AuditedPage,
    ClaimTopic,
    Dates,
    compare_newest,
    compare_stages,
    dated_version,
    newest_release,
)
from matrix.features.audit.versions import canonical, lower_bound, overlap, same_releases
from matrix.model.claim import Claim, ClaimKind, Status

_STATUS_KINDS = {ClaimKind.BRANCH: FindingKind.SUPPORT_LEVEL_DIFFERS}
# The stages that statuses follow, see `compare_stages`.
_LADDERS = {FindingKind.SUPPORT_LEVEL_DIFFERS: "support", FindingKind.STATUS_DIFFERS: "release"}
_DETAILS = ("automatic", "automatic_python", "until")
_MISSING_KINDS = {
    ClaimKind.CAPABILITY: FindingKind.CAPABILITY_MISSING,
    ClaimKind.BRANCH: FindingKind.BRANCH_MISSING,
    ClaimKind.NOTE: FindingKind.NOTE_MISSING,
}
_MISSING_TEXTS = {
    FindingKind.TABLE_MISSING: "no such table",
    FindingKind.COLUMN_MISSING: "no such column",
    FindingKind.NOTE_MISSING: "no such note",
}

_ByPage: TypeAlias = Mapping[AuditedPage, tuple[Claim, ...]]
_ByValue: TypeAlias = dict[str, list[tuple[AuditedPage, Claim]]]


def differing_values(pages: Sequence[AuditedPage], dates: Dates) -> Iterator[AuditFinding]:
    """Yield a finding for each topic with different claims.

    Topics that differ in the same way between the same pages are one finding.
    """
    by_topic: dict[ClaimTopic, dict[AuditedPage, tuple[Claim, ...]]] = defaultdict(
        lambda: defaultdict(tuple)
    )
    for page in pages:
        for topic, claims in page.topics.items():
            by_topic[dataclasses.replace(topic, releases="")][page] += claims
    grouped: dict[Hashable, list[tuple[FindingKind, ClaimTopic, _ByValue]]] = defaultdict(list)
    for topic, claims_by_page in by_topic.items():
        for kind, values in _differences(topic.kind, claims_by_page):
            shape = tuple(
                (value, tuple(page.document for page, _ in pairs))
                for value, pairs in sorted(values.items())
            )
            grouped[kind, topic.kind, shape].append((kind, topic, values))
    for rows in grouped.values():
        yield _difference_finding(rows, dates)


def _differences(
    kind: ClaimKind, claims_by_page: _ByPage
) -> Iterator[tuple[FindingKind, _ByValue]]:
    statuses: _ByValue = defaultdict(list)
    supported: dict[AuditedPage, tuple[Claim, ...]] = defaultdict(tuple)
    for page, claims in claims_by_page.items():
        for claim in claims:
            statuses[claim.status.value].append((page, claim))
            if claim.status is not Status.NOT_SUPPORTED:
                supported[page] += (claim,)
    if len(statuses) > 1:
        yield _STATUS_KINDS.get(kind, FindingKind.STATUS_DIFFERS), statuses
    for finding, value_of in (
        (FindingKind.MINIMUM_DIFFERS, _versions),
        (FindingKind.DETAIL_DIFFERS, _details),
    ):
        values: _ByValue = defaultdict(list)
        for page, claims in supported.items():
            if (value := value_of(claims)) is not None:
                values[value].append((page, claims[0]))
        if len(values) > 1 and (kind is not ClaimKind.RUNTIME or _conflict(supported)):
            yield finding, values


def _conflict(supported: _ByPage) -> bool:
    """Return whether pages disagree on overlapping ranges of releases.

    A page without a row for a branch lacks that row, but does not disagree.
    """
    ranges = [{canonical(claim.specifier) for claim in claims} for claims in supported.values()]
    return any(
        overlap(own, others) and not same_releases(one, other)
        for one, other in itertools.combinations(ranges, 2)
        for own in one - other
        for others in other - one
    )


def _versions(claims: Sequence[Claim]) -> str | None:
    """Return the versions that a page names, None if it names none (`Preview`)."""
    if claims[0].kind is ClaimKind.BRANCH or not any(claim.specifier for claim in claims):
        return None
    return " or ".join(sorted({canonical(claim.specifier) or "any" for claim in claims}))


def _details(claims: Sequence[Claim]) -> str | None:
    details = {
        ", ".join(f"{key} {value}" for key in _DETAILS if (value := claim.get(key)))
        for claim in claims
    }
    return " or ".join(sorted(details)) or None


def _difference_finding(
    rows: Sequence[tuple[FindingKind, ClaimTopic, _ByValue]], dates: Dates
) -> AuditFinding:
    kind, first_topic, first_values = rows[0]
    places: dict[tuple[str, int, str], DocumentLine] = {}
    pages_by_value: dict[str, dict[str, AuditedPage]] = defaultdict(dict)
    for _, _, values in rows:
        for value, claims in values.items():
            for page, claim in claims:
                text = describe_claim(claim)
                says = text if value in text else f"{value} ({text})"
                # A row of a table may have several equal claims: the first one is cited.
                key = (claim.document, claim.line, says)
                places[key] = places.pop(key, claim_line(claim, says))
                pages_by_value[value][page.document] = page
    assessment = _assess_difference(kind, first_topic.kind, pages_by_value, dates)
    return AuditFinding(
        kind,
        ", ".join(str(topic) for _, topic, _ in rows),
        "; ".join(
            f"{value or 'nothing'}: {', '.join(dict.fromkeys(page.document for page, _ in claims))}"
            for value, claims in first_values.items()
        ),
        tuple(places.values()),
        tuple(place for place in places.values() if place.document in assessment.stale),
        assessment.reason,
    )


def _assess_difference(
    kind: FindingKind,
    table: ClaimKind,
    pages_by_value: dict[str, dict[str, AuditedPage]],
    dates: Dates,
) -> Assessment:
    value_of = {name: value for value, pages in pages_by_value.items() for name in pages}
    if len(value_of) < sum(map(len, pages_by_value.values())):
        return Assessment("cannot tell which: one page says both")
    if kind in _LADDERS and (by_stage := compare_stages(value_of, _LADDERS[kind])) is not None:
        return by_stage
    if len(pages_by_value) > 2:  # noqa: PLR2004 - two sides can be compared
        return Assessment(f"cannot tell which: {len(pages_by_value)} different values")
    one, other = (tuple(pages.values()) for pages in pages_by_value.values())
    return compare_newest(one, other, dates, table)


_Gaps: TypeAlias = dict[AuditedPage, tuple[FindingKind, str]]
"""The pages that lack a topic, each with its `_gap`."""


def missing_entries(pages: Sequence[AuditedPage], dates: Dates) -> Iterator[AuditFinding]:
    """Yield a finding for each topic, or group of topics, that some page lacks."""
    grouped: dict[Hashable, list[tuple[ClaimTopic, tuple[AuditedPage, ...], _Gaps]]]
    grouped = defaultdict(list)
    for topic in sorted({topic for page in pages for topic in page.topics}):
        kind = topic.kind
        having = tuple(page for page in pages if topic in page.topics)
        gaps = {
            page: _gap(topic, page)
            for page in pages
            if topic not in page.topics
            and any(page.comparable_with(other, kind) for other in having)
            and not _covered(topic, page, having)
        }
        if gaps:
            key = (
                tuple(gaps.items()),
                tuple(page.document for page in having),
                topic.row if kind in (ClaimKind.CAPABILITY, ClaimKind.BRANCH) else topic.kind,
            )
            grouped[key].append((topic, having, gaps))
    for group in grouped.values():
        topics = [topic for topic, _, _ in group]
        _, having, gaps = group[0]
        lacking: dict[FindingKind, list[AuditedPage]] = defaultdict(list)
        for page, (gap_kind, _) in gaps.items():
            lacking[gap_kind].append(page)
        for finding_kind, pages_without in lacking.items():
            yield _missing_finding(finding_kind, topics, having, pages_without, dates)


def _gap(topic: ClaimTopic, page: AuditedPage) -> tuple[FindingKind, str]:
    """Return the kind of a gap, and its group: gaps of equal kind and group can be one finding."""
    kind = topic.kind
    same_kind = [other for other in page.topics if other.kind is kind]
    if kind in _MISSING_KINDS:
        return _MISSING_KINDS[kind], ""
    if not same_kind:
        return FindingKind.TABLE_MISSING, topic.kind.value
    if topic.column and not any(other.column == topic.column for other in same_kind):
        return FindingKind.COLUMN_MISSING, topic.column
    return FindingKind.ROW_MISSING, "" if kind is ClaimKind.RUNTIME else topic.row


def _covered(topic: ClaimTopic, page: AuditedPage, having: Sequence[AuditedPage]) -> bool:
    """Return whether the page has overlapping claims of a runtime: `3.7+`, `3.7-3.12`."""
    if topic.kind is not ClaimKind.RUNTIME:
        return False
    return all(
        any(
            (claim.get("os"), claim.get("cpu")) == (other.get("os"), other.get("cpu"))
            and overlap(claim.specifier, other.specifier)
            and overlap(claim.get("python") or "", other.get("python") or "")
            for other in page.of_kind(ClaimKind.RUNTIME)
        )
        for page_with in having
        for claim in page_with.topics[topic]
    )


def _missing_finding(
    kind: FindingKind,
    topics: Sequence[ClaimTopic],
    having: Sequence[AuditedPage],
    lacking: Sequence[AuditedPage],
    dates: Dates,
) -> AuditFinding:
    claims = [claim for page in having for topic in topics for claim in page.topics[topic]]
    assessment = _assess_missing(kind, claims, having, lacking, dates)
    missing_text = _MISSING_TEXTS.get(kind, "no such row")
    places = (
        *first_of_each_line(map(claim_line, claims)),
        *(page.line_of_missing(topics[0], missing_text) for page in lacking),
    )
    return AuditFinding(
        kind,
        _subject(topics),
        f"{_names(having)} {'has' if len(having) == 1 else 'have'} it,"
        f" {_names(lacking)} {'lacks' if len(lacking) == 1 else 'lack'} it",
        places,
        tuple(place for place in places if place.document in assessment.stale),
        assessment.reason,
    )


def _assess_missing(
    kind: FindingKind,
    claims: Sequence[Claim],
    having: Sequence[AuditedPage],
    lacking: Sequence[AuditedPage],
    dates: Dates,
) -> Assessment:
    unread = [f"{page.document}:{page.unread[0]}" for page in lacking if page.unread]
    if unread:
        return Assessment(f"cannot tell: parts of the page were not read ({', '.join(unread)})")
    if kind is FindingKind.CAPABILITY_MISSING:
        return _assess_capability(claims, lacking, dates)
    if kind is FindingKind.BRANCH_MISSING:
        return _assess_branch(having, lacking, dates)
    return compare_newest(having, lacking, dates, claims[0].kind)


def _assess_capability(
    claims: Sequence[Claim], lacking: Sequence[AuditedPage], dates: Dates
) -> Assessment:
    """Assess as out of date the tables that end before the capability was added."""
    since = min(filter(None, (lower_bound(claim.specifier) for claim in claims)), default=None)
    if since is None:
        return Assessment("cannot tell which: no version is given for it")
    ends = {
        page.document: newest
        for page in lacking
        if (newest := newest_release(page, [ClaimKind.CAPABILITY])) is not None and newest < since
    }
    if not ends:
        return Assessment(
            f"cannot tell which: it was added in {dated_version(since, dates)}, and the pages"
            " without it name newer releases"
        )
    tables = ", ".join(f"{name} ends at {dated_version(end, dates)}" for name, end in ends.items())
    return Assessment(
        f"likely out of date: it was added in {dated_version(since, dates)}; the table of {tables}",
        ends,
    )


def _assess_branch(
    having: Sequence[AuditedPage], lacking: Sequence[AuditedPage], dates: Dates
) -> Assessment:
    """Assess as out of date the side whose newest branch is older."""

    def newest_branch(page: AuditedPage) -> Version:
        return newest_release(page, [ClaimKind.BRANCH]) or Version("0")

    newest_having = [newest_branch(page) for page in having]
    newest_lacking = [newest_branch(page) for page in lacking]
    if min(newest_having) > max(newest_lacking):
        side, newer, verb = lacking, min(newest_having), "lists"
    elif max(newest_having) < min(newest_lacking):
        side, newer, verb = having, min(newest_lacking), "has dropped it and lists"
    else:
        return Assessment("cannot tell which: both sides list the same newest branch")
    return Assessment(
        f"likely out of date: {_names(side)}; the other side {verb} the newer branch from"
        f" {dated_version(newer, dates)}",
        [page.document for page in side],
    )


def _subject(topics: Sequence[ClaimTopic]) -> str:
    kind = topics[0].kind
    if len(topics) == 1:
        return str(topics[0])
    rows = dict.fromkeys(topic.row for topic in topics)
    columns = dict.fromkeys(topic.column for topic in topics if topic.column)
    releases = "; ".join(dict.fromkeys(topic.releases for topic in topics if topic.releases))
    if kind in (ClaimKind.NOTE, ClaimKind.AUTHENTICATION, ClaimKind.INTEGRATION):
        columns = {}
    subject = f"{kind.value}/{', '.join(rows)}" + (f" ({', '.join(columns)})" if columns else "")
    return f"{subject}, ddtrace {releases}" if releases else subject


def _names(pages: Sequence[AuditedPage]) -> str:
    return ", ".join(page.document for page in pages)
