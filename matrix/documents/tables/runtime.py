"""Read tables of runtimes: one claim per operating system, processor and Python."""

from __future__ import annotations

import re
from collections.abc import Iterator

from matrix.documents.markup import PageProblem
from matrix.documents.table_reader import ClaimDraft, ClaimTable, Outcome, RowCells, TableReader
from matrix.documents.text import plain
from matrix.documents.versions import Alternative, VersionsError, read_versions, series
from matrix.documents.vocabulary import Vocabulary
from matrix.model.claim import ClaimKind, Status

_SEPARATOR = re.compile(r"<br\s*/?>|[,;\u3001\uff0c]|\s/\s", re.IGNORECASE)
_LAST_PYTHON_2 = 7
_FIRST_PYTHON_3 = (3, 5)
_MAX_MINORS = 50


def pythons(alternatives: tuple[Alternative, ...]) -> Iterator[str]:
    """Yield a specifier for each Python of a cell.

    `3.5-3.11` yields seven, `3.7+` one. In a range from 2 to 3 the successor of 2.7 is 3.5: who
    writes `2.7-3.11` does not mean the first releases of 3, which no tracer ever supported.
    """
    for alternative in alternatives:
        minors = _minors(alternative.span) if alternative.span else []
        if minors:
            yield from (f"=={minor}.*" for minor in minors)
        else:
            yield series(alternative)


def _minors(span: tuple[str, str]) -> list[str]:
    """Return the minor versions of a range, none if its ends are not minor versions."""
    ends = [re.fullmatch(r"([23])\.(\d+)", end) for end in span]
    versions = [(int(end[1]), int(end[2])) for end in ends if end is not None]
    if len(versions) < len(span):
        return []
    (major, minor), last = versions
    minors: list[str] = []
    while (major, minor) <= last and len(minors) < _MAX_MINORS:
        minors.append(f"{major}.{minor}")
        if (major, minor) == (2, _LAST_PYTHON_2):
            major, minor = max((3, 0), min(_FIRST_PYTHON_3, last))
        else:
            minor += 1
    return minors


def _read_row(table: ClaimTable, row: RowCells) -> Iterator[Outcome]:
    vocabulary = table.vocabulary
    problems: list[PageProblem] = []
    system = vocabulary.exactly("systems", row["os"]) or ""
    if not system:
        problems.append(table.unknown(row, "os", "systems", "system"))
    cpus = _cpus(row, system, vocabulary, problems)
    runtime = "cpython"
    if plain(row["runtime"]):
        runtime = vocabulary.exactly("runtimes", row["runtime"]) or ""
        if not runtime:
            problems.append(table.unknown(row, "runtime", "runtimes", "runtime"))
    versions = _versions(row, "runtime-versions", vocabulary, problems)
    tracers = _versions(row, "ddtrace", vocabulary, problems)
    if problems:
        yield from problems
        return
    for tracer in tracers:
        for cpu in cpus:
            for python in pythons(versions):
                scope = [("os", system), ("cpu", cpu), ("python", python), *row.notes]
                yield ClaimDraft(
                    ClaimKind.RUNTIME,
                    runtime,
                    series(tracer),
                    plain(row["runtime-versions"]),
                    Status.SUPPORTED,
                    row.line,
                    tuple(pair for pair in scope if pair[1]),
                    (series(tracer),),
                )


def _cpus(
    row: RowCells, system: str, vocabulary: Vocabulary, problems: list[PageProblem]
) -> list[str]:
    """Return the processors; the meaning of `Intel` or `32bit` depends on the system."""
    cpus = []
    for part in _SEPARATOR.split(row["cpu"]):
        if not plain(part):
            continue
        cpu = vocabulary.exactly(f"cpus-{system}", part) or vocabulary.exactly("cpus", part)
        if cpu is None:
            near = vocabulary.nearest("cpus", part)
            message = f"unknown processor {plain(part)!r}"
            problems.append(PageProblem(row.line, message, near, part.strip()))
        else:
            cpus.append(cpu)
    if not cpus and not plain(row["cpu"]):
        cpus.append("")
    return cpus


def _versions(
    row: RowCells, role: str, vocabulary: Vocabulary, problems: list[PageProblem]
) -> tuple[Alternative, ...]:
    subject = {"ddtrace": "ddtrace", "runtime-versions": "the runtime"}[role]
    try:
        alternatives = read_versions(row[role], vocabulary)
    except VersionsError as error:
        message = f"invalid version {error.part!r} of {subject}"
        problems.append(PageProblem(row.line, message, written=row[role]))
        return ()
    if not alternatives:
        problems.append(PageProblem(row.line, f"no version of {subject}"))
    return alternatives


READER = TableReader(
    ClaimKind.RUNTIME, 40, lambda table: table.has("os", "runtime-versions", "ddtrace"), _read_row
)
