"""The parts of an audit as sections of one report, and their output on a terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from matrix.errors import IndexUnavailableError
from matrix.features.audit.documents import compare_documents
from matrix.features.audit.findings import AuditFinding, finding_texts
from matrix.features.audit.index import compare_with_index
from matrix.features.audit.pages import no_dates, release_dates
from matrix.features.audit.vendor_tests import compare_with_tests
from matrix.features.audit.wheel_platforms import InspectionScope
from matrix.features.audit.wheels import inspect_artifacts
from matrix.model.claim import Claim
from matrix.model.vendor_tests import VendorTested
from matrix.probes.integrations import load_integrations
from matrix.pypi.client import Index
from matrix.reporting.text import count_text
from matrix.system.streams import screen
from matrix.system.visible import visible


@dataclasses.dataclass(frozen=True)
class AuditInput:
    """The input of an audit; `unread` are lines by document that were not read.

    `tested` is what the vendor's tests cover, if the tracer's registry is among the documents.
    """

    claims: tuple[Claim, ...]
    index: Index
    unread: Mapping[str, Sequence[int]]
    scope: InspectionScope
    tested: tuple[VendorTested, ...] = ()

    @property
    def page_claims(self) -> tuple[Claim, ...]:
        """Return the claims of pages, without those of the registry."""
        return tuple(claim for claim in self.claims if claim.get("integration") is None)


@dataclasses.dataclass(frozen=True)
class Section:
    """The result of one part: findings, tables and remarks to print, `data` for JSON."""

    name: str
    findings: tuple[AuditFinding, ...]
    tables: Sequence[Table] = ()
    remarks: Sequence[str] = ()
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def _documents(subject: AuditInput) -> Section:
    remarks = []
    try:
        dates = release_dates(subject.index.project("ddtrace"))
    except IndexUnavailableError as error:
        # Dates are only used in reasons.
        dates = no_dates
        remarks.append(f"release dates not available: {error.message}")
    findings = compare_documents(subject.page_claims, dates=dates, unread=subject.unread)
    documents = list(dict.fromkeys(claim.document for claim in subject.claims))
    return Section("documents", findings, remarks=remarks, data={"documents": documents})


def _tested(subject: AuditInput) -> Section:
    report = compare_with_tests(subject.claims, subject.tested, load_integrations())
    rows = (
        (
            row.subject,
            row.specifier or "any",
            "\n".join(map(str, row.tested)) or "nothing",
            " and ".join(row.untested),
        )
        for row in report.rows
    )
    headers = ("library", "promised", "tested by the vendor", "by nobody")
    table = _table("Promised ranges, and what the tracer's own tests cover", headers, rows)
    remarks = [f"dependencies in the registry: {report.dependencies}"]
    if not subject.tested:
        remarks = ["no registry of the tracer is among the documents"]
    data = {"rows": [dataclasses.asdict(row) for row in report.rows]}
    return Section("tested", report.findings, [table] if report.rows else [], remarks, data)


def _index(subject: AuditInput) -> Section:
    project = subject.index.project("ddtrace")
    report = compare_with_index(subject.claims, project)
    rows = (
        (
            f"ddtrace {row.specifier}".strip(),
            ", ".join(row.pythons),
            ", ".join(row.targets),
            row.offers,
        )
        for row in report.rows
    )
    table = _table(
        "Artifacts on the index for each runtime: a wheel, or only a source distribution (source)",
        ("range", "CPython", "platforms", "releases"),
        rows,
    )
    read = f"{project.fetched:%Y-%m-%d %H:%M} UTC"
    remarks = [
        (
            f"{report.releases} final releases of ddtrace (index read {read}); not counted:"
            f" {report.early} pre-releases"
        ),
        "Linux means glibc; musl is listed separately",
    ]
    if report.yanked:
        remarks.append(f"yanked, not counted: {', '.join(report.yanked)}")
    if report.vanished:
        remarks.append(f"no longer listed, not counted: {', '.join(report.vanished)}")
    data = dataclasses.asdict(report)
    del data["findings"]
    data["snapshot"] = project.fetched.isoformat()
    return Section("index", report.findings, [table], remarks, data)


def _artifacts(subject: AuditInput) -> Section:
    report, fetched = inspect_artifacts(subject.claims, subject.index, subject.scope)
    texts = finding_texts()
    table = _table(
        "Problems inside wheels",
        ("finding", "subject", "problem", "wheels: inspected releases"),
        (
            (texts[row.kind].title, row.subject, row.says, "\n".join(map(str, row.where)))
            for row in report.rows
        ),
    )
    remarks = [
        f"{report.wheels} wheels inspected ({fetched / _MIB:.0f} MiB downloaded), of ddtrace "
        + (", ".join(report.releases) or "(none)"),
        (
            "ranges are of these releases; without --every, only wheels for the oldest and the"
            " newest CPython of a platform are inspected"
        ),
    ]
    if report.left:
        remarks.append(f"not inspected: {len(report.left)} wheels")
    remarks += report.notes
    return Section("artifacts", report.findings, [table], remarks, report.to_json())


SECTIONS: Mapping[str, Callable[[AuditInput], Section]] = {
    "documents": _documents,
    "tested": _tested,
    "index": _index,
    "artifacts": _artifacts,
}
"""The parts of an audit, in the order of the report."""


def audit_sections(subject: AuditInput, names: Sequence[str]) -> Iterator[Section]:
    """Yield the requested sections, each as soon as it is complete.

    Without a registry, the part about what is tested is left out unless it is the only one.
    """
    for name, section in SECTIONS.items():
        if name in names and (name != "tested" or subject.tested or len(names) == 1):
            yield section(subject)


_MIB = 1 << 20
# The width of output to a file or pipe: enough for the longest row.
_WIDTH = 160


def show_section(section: Section, out: TextIO) -> None:
    """Write a section."""
    console = Console(
        file=screen(out), width=None if out.isatty() else _WIDTH, highlight=False, markup=False
    )
    count = count_text(len(section.findings), "finding") if section.findings else "no findings"
    console.rule(f"{section.name}: {count}", align="left", style="bold")
    for table in section.tables:
        console.print(table)
    for finding in section.findings:
        for line, style in _lines(finding):
            console.print(visible(line), style=style, soft_wrap=not out.isatty())
        console.print()
    for remark in section.remarks:
        console.print(f"note: {visible(remark)}", soft_wrap=not out.isatty())


def show_summary(sections: list[Section], out: TextIO) -> None:
    """Write the number of findings in one line."""
    findings = [finding for section in sections for finding in section.findings]
    contradictions = sum(finding.contradicts for finding in findings)
    out.write(
        f"{count_text(len(findings), 'finding')}, {contradictions} of them"
        f" contradict{'s' if contradictions == 1 else ''} a promise\n"
    )


def _lines(finding: AuditFinding) -> Iterator[tuple[str, str]]:
    mark, style = ("!", "bold red") if finding.contradicts else ("-", "bold")
    yield f"{mark} {finding_texts()[finding.kind].title}: {finding.subject}", style
    yield f"    {finding.says}", ""
    width = max((len(str(place)) for place in finding.places), default=0)
    for place in finding.places:
        stale = "  (likely out of date)" if place in finding.stale else ""
        yield f"    {place!s:<{width}}  {place.says}{stale}", "dim" if not stale else "yellow"
    if finding.reason:
        yield f"    {finding.reason}", "italic"


def _table(title: str, headers: Iterable[str], rows: Iterable[tuple[str, ...]]) -> Table:
    """Return a table for the terminal that shows repeated values of its first column once."""
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD)
    for header in headers:
        table.add_column(header, overflow="fold")
    previous = ""
    for first, *others in rows:
        shown_first = "" if first == previous else visible(first)
        table.add_row(shown_first, *(Text(visible(other)) for other in others))
        previous = first
    return table
