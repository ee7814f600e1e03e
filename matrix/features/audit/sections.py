"""The parts of an audit as sections of one report: each is asked by itself and fails by itself.

Sections for people: findings as blocks with their places, tables as tables.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TextIO

from matrix.errors import IndexUnavailableError
from matrix.features.audit.documents import compare_documents
from matrix.features.audit.findings import AuditFinding, explained
from matrix.features.audit.index import compare_with_index
from matrix.features.audit.pages import dates_of, no_dates
from matrix.features.audit.wheel_scope import Scope
from matrix.features.audit.wheels import look_inside, remarks_of, rows_of
from matrix.model.claim import Claim
from matrix.pypi.index import Index

__all__ = [
    "SECTIONS",
    "AuditInput",
    "Section",
    "TextTable",
    "sections_of",
    "show_section",
    "show_summary",
]


@dataclasses.dataclass(frozen=True)
class AuditInput:
    """What is audited: claims, the index, and the lines of each document that were not read.

    `scope` is how much to look into wheels.
    """

    claims: tuple[Claim, ...]
    index: Index
    unread: Mapping[str, Sequence[int]]
    scope: Scope


@dataclasses.dataclass(frozen=True)
class TextTable:
    """A table for people."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclasses.dataclass(frozen=True)
class Section:
    """The answer of one part: findings, tables and remarks for people, `data` for programs."""

    name: str
    findings: tuple[AuditFinding, ...]
    grids: tuple[TextTable, ...] = ()
    remarks: tuple[str, ...] = ()
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def _documents(subject: AuditInput) -> Section:

    remarks = []
    try:
        dates = dates_of(subject.index.project("ddtrace"))
    except IndexUnavailableError as error:
        # Dates give reasons only; the documents can be compared without them.
        dates = no_dates
        remarks.append(f"without dates of releases: {error.message}")
    findings = compare_documents(subject.claims, dates=dates, unread=subject.unread)
    documents = list(dict.fromkeys(claim.document for claim in subject.claims))
    return Section("documents", findings, remarks=tuple(remarks), data={"documents": documents})


def _index(subject: AuditInput) -> Section:

    project = subject.index.project("ddtrace")
    report = compare_with_index(subject.claims, project)
    rows = tuple(
        (
            f"ddtrace {row.specifier}".strip(),
            ", ".join(row.pythons),
            ", ".join(row.targets),
            row.offers,
        )
        for row in report.rows
    )
    grid = TextTable(
        "What the index has for each runtime: a wheel, or only a source distribution (source)",
        ("range", "CPython", "platforms", "releases"),
        rows,
    )
    read = f"{project.fetched:%Y-%m-%d %H:%M} UTC"
    counts = f"{report.releases} final releases of ddtrace (index read {read})"
    remarks = [
        f"{counts}; {report.early} early ones are left out",
        "Linux means glibc; musl stands beside it",
    ]
    if report.yanked:
        remarks.append(f"yanked, and left out: {', '.join(report.yanked)}")
    if report.vanished:
        remarks.append(f"no longer listed, and left out: {', '.join(report.vanished)}")
    data = dataclasses.asdict(report)
    del data["findings"]
    data["snapshot"] = project.fetched.isoformat()
    return Section("index", report.findings, (grid,), tuple(remarks), data)


def _artifacts(subject: AuditInput) -> Section:

    found, fetched = look_inside(subject.claims, subject.index, subject.scope)
    grid = TextTable(
        "What does not fit inside wheels",
        ("finding", "of what", "what is so", "wheels: releases looked into"),
        rows_of(found),
    )
    remarks = remarks_of(found, fetched)
    return Section("artifacts", found.findings, (grid,), remarks, found.to_json())


SECTIONS: Mapping[str, Callable[[AuditInput], Section]] = {
    "documents": _documents,
    "index": _index,
    "artifacts": _artifacts,
}
"""What can be asked, in the order in which it is told."""


def sections_of(subject: AuditInput, names: Sequence[str]) -> Iterator[Section]:
    """Yield the sections asked for, each as soon as it is known."""
    for name, section in SECTIONS.items():
        if name in names:
            yield section(subject)


# Wide enough for the longest row, where no terminal says how wide it is.
_WIDTH = 160


def show_section(section: Section, out: TextIO) -> None:
    """Write a section."""
    from rich.console import Console  # noqa: PLC0415 - slow to import, and --json needs none

    console = Console(
        file=out, width=None if out.isatty() else _WIDTH, highlight=False, markup=False
    )
    console.rule(f"{section.name}: {_count(section)}", align="left", style="bold")
    for grid in section.grids:
        console.print(_table(grid))
    for finding in section.findings:
        for line, style in _lines(finding):
            console.print(line, style=style, soft_wrap=not out.isatty())
        console.print()
    for remark in section.remarks:
        console.print(f"note: {remark}", soft_wrap=not out.isatty())


def show_summary(sections: list[Section], out: TextIO) -> None:
    """Write how much was found, in one line."""
    findings = [finding for section in sections for finding in section.findings]
    against = sum(finding.contradicts for finding in findings)
    out.write(
        f"{_plural(len(findings), 'finding')}, {against} of them"
        f" contradict{'s' if against == 1 else ''} a promise\n"
    )


def _lines(finding: AuditFinding) -> Iterator[tuple[str, str]]:
    words = explained()[finding.kind]
    mark, style = ("!", "bold red") if finding.contradicts else ("-", "bold")
    yield f"{mark} {words.title}: {finding.subject}", style
    yield f"    {finding.says}", ""
    width = max((len(str(place)) for place in finding.places), default=0)
    for place in finding.places:
        stale = "  (likely out of date)" if place in finding.stale else ""
        yield f"    {place!s:<{width}}  {place.says}{stale}", "dim" if not stale else "yellow"
    if finding.reason:
        yield f"    {finding.reason}", "italic"


def _table(grid: TextTable) -> object:
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(title=Text(grid.title), title_justify="left", box=box.SIMPLE_HEAD)
    for header in grid.headers:
        table.add_column(header, overflow="fold")
    before = ""
    for row in grid.rows:
        # What repeats from row to row is told once.
        table.add_row("" if row[0] == before else row[0], *map(Text, row[1:]))
        before = row[0]
    return table


def _count(section: Section) -> str:
    return _plural(len(section.findings), "finding") if section.findings else "nothing found"


def _plural(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
