"""Promises of pages against what the vendor's own tests cover, as the tracer's registry says."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from matrix.documents.text import slug
from matrix.features.audit.findings import (
    AuditFinding,
    DocumentLine,
    FindingKind,
    claim_line,
    first_of_each_line,
    sort_findings,
)
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.vendor_tests import VendorTested
from matrix.planning.library_names import named_libraries
from matrix.probes.declarations import Integration
from matrix.pypi.releases import lowest_named, python_key

_ROWS = (ClaimKind.INTEGRATION, ClaimKind.FRAMEWORK)


@dataclasses.dataclass(frozen=True)
class CoveredRange:
    """Releases that are tested on some CPythons (none where the registry does not tell them)."""

    minimum: str
    maximum: str
    pythons: tuple[str, ...]

    def __str__(self) -> str:
        ends = dict.fromkeys((self.minimum, self.maximum))
        releases = " to ".join(filter(None, ends))
        on = f" on CPython {_python_text(self.pythons)}" if self.pythons else ""
        return f"{releases or 'it'}{on}"


@dataclasses.dataclass(frozen=True)
class PromisedRow:
    """A promised range, and what of it is tested; `untested` are the rest's ranges in words.

    `outside` is what is tested of the library instead, where nothing in the range is. `claims` are
    the ids of the promises, `places` the entries of the registry. `automatic` is what these say,
    None where they do not say it, or not the same.
    """

    subject: str
    specifier: str
    documents: tuple[str, ...]
    tested: tuple[CoveredRange, ...]
    untested: tuple[str, ...]
    outside: tuple[CoveredRange, ...] = ()
    claims: tuple[str, ...] = ()
    places: tuple[DocumentLine, ...] = ()
    automatic: bool | None = None


@dataclasses.dataclass(frozen=True)
class VendorTestReport:
    """The rows of all pages, the findings, and the number of dependencies that are tested."""

    rows: tuple[PromisedRow, ...]
    findings: tuple[AuditFinding, ...]
    dependencies: int


class _Registry:
    """The tested releases, by the names under which a page may promise a library."""

    def __init__(
        self,
        claims: Iterable[Claim],
        tested: Sequence[VendorTested],
        integrations: Mapping[str, Integration],
    ) -> None:
        subjects = {claim.id: claim.subject for claim in claims}
        self.by_name: dict[str, list[VendorTested]] = defaultdict(list)
        self._by_integration: dict[str, list[VendorTested]] = defaultdict(list)
        self._integrations = integrations
        for item in tested:
            self.by_name[subjects[item.claim]].append(item)
            self._by_integration[slug(item.integration)].append(item)

    def tested(self, claim: Claim) -> list[VendorTested]:
        """Return what is tested of the library that a row names.

        That is the dependency of its name (with series that have a name of their own), those of
        the experiment that the name leads to, or those of the integration of that name. Where no
        release is promised, releases of another dependency are none of the library named: a part
        of the standard library that is tested with pysqlite3-binary or pytest-asyncio.
        """
        if named := self.by_name.get(claim.subject):
            # A dependency of several integrations: that of the same name is meant.
            same = [item for item in named if slug(item.integration) == claim.subject]
            return [*(same or named), *self._series(claim.subject)]
        libraries = named_libraries(self._integrations, claim.subject, claim.get("role") or "")
        names = [
            str(canonicalize_name(item.name))
            for library in libraries
            for item in library.integration.distributions
        ]
        found = [item for name in dict.fromkeys(names) for item in self.by_name.get(name, ())]
        if found := found or self._by_integration.get(claim.subject, []):
            return found if claim.specifier else list(map(_without_releases, found))
        return []

    def _series(self, name: str) -> Iterator[VendorTested]:
        """Yield what is tested of a library's series: elasticsearch7, psycopg2-binary."""
        series = re.compile(rf"{re.escape(name)}\d+(?:-binary)?")
        for item in self._by_integration.get(name, ()):
            if series.fullmatch(str(canonicalize_name(item.dependency))):
                yield item


def _without_releases(item: VendorTested) -> VendorTested:
    return dataclasses.replace(item, minimum="", maximum="", versions=())


def compare_with_tests(
    claims: Sequence[Claim], tested: Sequence[VendorTested], integrations: Mapping[str, Integration]
) -> VendorTestReport:
    """Compare the rows of pages with what is tested; `claims` include those of the registry."""
    registry = _Registry(claims, tested, integrations)
    groups: dict[tuple[str, str], list[Claim]] = defaultdict(list)
    for claim in claims:
        is_promise = claim.get("integration") is None and claim.status is not Status.NOT_SUPPORTED
        if claim.kind in _ROWS and is_promise:
            role = claim.get("role")
            groups[f"{claim.subject} ({role})" if role else claim.subject, claim.specifier].append(
                claim
            )
    rows = []
    findings: list[AuditFinding] = []
    named: set[str] = set()
    for (subject, specifier), group in groups.items():
        items = registry.tested(group[0])
        named.update(item.claim for item in items)
        row = _row(subject, specifier, group, items)
        rows.append(row)
        findings += _row_findings(row, group, items)
    if groups:
        findings += _unnamed(registry, named)
    return VendorTestReport(tuple(rows), sort_findings(findings), len(registry.by_name))


def _row(
    subject: str, specifier: str, group: Sequence[Claim], items: Sequence[VendorTested]
) -> PromisedRow:
    documents = tuple(dict.fromkeys(claim.document for claim in group))
    inside = [
        dataclasses.replace(item, versions=versions)
        for item in items
        if (versions := _inside(item, specifier)) or not item.minimum
    ]
    automatic = {item.automatic for item in items}
    return PromisedRow(
        subject,
        specifier,
        documents,
        _ranges(inside),
        tuple(_untested(specifier, items)) if inside else ("all of it",),
        () if inside else _ranges(items),
        tuple(claim.id for claim in group),
        tuple(map(_tested_line, items)),
        automatic.pop() if len(automatic) == 1 else None,
    )


def _inside(item: VendorTested, specifier: str) -> tuple[str, ...]:
    """Return the tested releases in a promised range, ascending."""
    try:
        promised = SpecifierSet(specifier)
    except InvalidSpecifier:
        return ()
    inside = (text for text in item.versions if promised.contains(text, prereleases=True))
    return tuple(sorted(inside, key=Version))


def _ranges(items: Iterable[VendorTested]) -> tuple[CoveredRange, ...]:
    """Return the tested ranges, each with all CPythons that have it."""
    pythons: dict[tuple[str, str], list[str]] = defaultdict(list)
    for item in items:
        ends = (item.versions[0], item.versions[-1]) if item.versions else ("", "")
        pythons[ends] += [item.python] if item.python else []
    return tuple(
        CoveredRange(lowest, highest, tuple(sorted(set(found), key=python_key)))
        for (lowest, highest), found in pythons.items()
    )


def _untested(specifier: str, items: Sequence[VendorTested]) -> Iterator[str]:
    """Yield the parts of a promised range below and above all tested releases, in words."""
    versions = [Version(text) for item in items for text in item.versions]
    if not versions:
        return
    promised = SpecifierSet(specifier)
    series = [Version(one.version.removesuffix(".*")) for one in promised if one.operator == "=="]
    lowest = lowest_named(specifier) or next(iter(series), None)
    if lowest is None:
        yield f"releases before {min(versions)}"
    elif lowest < min(versions):
        yield f"{lowest} to before {min(versions)}"
    ends = [Version(item.version.removesuffix(".*")) for item in promised if item.operator == "<="]
    if ends and min(ends) > max(versions):
        yield f"after {max(versions)} to {min(ends)}"


def _row_findings(
    row: PromisedRow, group: Sequence[Claim], items: Sequence[VendorTested]
) -> Iterator[AuditFinding]:
    name = f"{group[0].kind.value}/{row.subject}"
    places = first_of_each_line(map(claim_line, group))
    theirs = tuple(_tested_line(item) for item in items[:1])
    promised = f"{row.specifier or 'any release'} is promised"
    pages = ", ".join(row.documents)
    if not row.tested:
        of = ", ".join(map(str, row.outside))
        tested = f"{of} is tested, which is outside" if items else "it is not in the registry"
        yield AuditFinding(
            FindingKind.PROMISE_UNTESTED,
            name,
            f"{promised}; {tested}",
            (*places, *theirs),
            stale=places if items else (),
            reason=f"likely out of date: {pages}, as other releases are tested" if items else "",
        )
    elif row.untested:
        tested = "; ".join(map(str, row.tested))
        yield AuditFinding(
            FindingKind.PROMISE_PARTLY_UNTESTED,
            name,
            f"{promised}; {tested} is tested; {' and '.join(row.untested)} by nobody",
            (*places, *theirs),
            stale=places,
            reason=f"likely out of date: {pages}, as the tests cover another range",
        )
    differing = [
        (claim, item)
        for claim in group
        for item in items
        if item.automatic is not None
        and not claim.get("role")  # the registry does not tell a library's roles apart
        and claim.get("automatic") in {"yes", "no"}
        and (claim.get("automatic") == "yes") != item.automatic
    ]
    if differing:
        cited = first_of_each_line(
            claim_line(claim, f"automatic {claim.get('automatic')}") for claim, _ in differing
        )
        theirs_differ = {item.claim: item for _, item in differing}
        item = next(iter(theirs_differ.values()))
        says = f"automatic {'yes' if item.automatic else 'no'}"
        pythons = {item.python for item in theirs_differ.values() if item.python}
        on = f" on CPython {_python_text(sorted(pythons, key=python_key))}" if pythons else ""
        yield AuditFinding(
            FindingKind.AUTOMATIC_DIFFERS,
            name,
            f"the page says {cited[0].says}, the registry {says}{on}",
            (*cited, DocumentLine(item.document, item.line, says, item.claim)),
            stale=cited,
            reason=f"likely out of date: {', '.join(dict.fromkeys(p.document for p in cited))},"
            " as the tracer's tests use the registry",
        )


def _unnamed(registry: _Registry, named: set[str]) -> Iterator[AuditFinding]:
    """Yield a finding for each dependency that is tested and on no page."""
    for name, items in registry.by_name.items():
        if any(item.claim in named for item in items):
            continue
        tested = "; ".join(map(str, _ranges(items)))
        yield AuditFinding(
            FindingKind.TESTED_UNNAMED,
            f"integration/{name}",
            f"{tested} is tested, and no page names it",
            (_tested_line(items[0]),),
        )


def _tested_line(item: VendorTested) -> DocumentLine:
    on = f" on CPython {item.python}" if item.python else ""
    says = f"tested {item.minimum} to {item.maximum}{on}" if item.minimum else f"tested{on}"
    return DocumentLine(item.document, item.line, says, item.claim)


def _python_text(pythons: Sequence[str]) -> str:
    """Return CPythons in words: `3.9 to 3.12, 3.14`."""
    runs: list[list[str]] = []
    for python in pythons:
        major, minor = python_key(python)[:2]
        if runs and python_key(runs[-1][-1])[:2] == (major, minor - 1):
            runs[-1].append(python)
        else:
            runs.append([python])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)
