"""The parts of an audit as sections of one report: each is asked by itself and fails by itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from matrix.audit.artifacts_scope import Scope
from matrix.audit.finding import AuditFinding
from matrix.errors import IndexUnavailableError
from matrix.index.protocol import Index
from matrix.model.claim import Claim

__all__ = ["SECTIONS", "Grid", "Section", "Subject", "sections_of"]


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is audited: claims, the index, and the lines of each document that were not read.

    `scope` is how much to look into wheels.
    """

    claims: tuple[Claim, ...]
    index: Index
    unread: Mapping[str, Sequence[int]]
    scope: Scope


@dataclasses.dataclass(frozen=True)
class Grid:
    """A table for people."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclasses.dataclass(frozen=True)
class Section:
    """The answer of one part: findings, tables and remarks for people, `data` for programs."""

    name: str
    findings: tuple[AuditFinding, ...]
    grids: tuple[Grid, ...] = ()
    remarks: tuple[str, ...] = ()
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def _documents(subject: Subject) -> Section:
    from matrix.audit.documents import compare_documents  # noqa: PLC0415
    from matrix.audit.staleness import dates_of, no_dates  # noqa: PLC0415

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


def _index(subject: Subject) -> Section:
    from matrix.audit.index_findings import compare_with_index  # noqa: PLC0415

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
    grid = Grid(
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


def _artifacts(subject: Subject) -> Section:
    from matrix.audit.artifacts_section import (  # noqa: PLC0415
        look_inside,
        remarks_of,
        rows_of,
    )

    found, fetched = look_inside(subject.claims, subject.index, subject.scope)
    grid = Grid(
        "What does not fit inside wheels",
        ("finding", "of what", "what is so", "wheels: releases looked into"),
        rows_of(found),
    )
    remarks = remarks_of(found, fetched)
    return Section("artifacts", found.findings, (grid,), remarks, found.to_json())


SECTIONS: Mapping[str, Callable[[Subject], Section]] = {
    "documents": _documents,
    "index": _index,
    "artifacts": _artifacts,
}
"""What can be asked, in the order in which it is told."""


def sections_of(subject: Subject, names: Sequence[str]) -> Iterator[Section]:
    """Yield the sections asked for, each as soon as it is known."""
    for name, section in SECTIONS.items():
        if name in names:
            yield section(subject)
