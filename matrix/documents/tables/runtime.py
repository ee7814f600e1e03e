"""Runtimes: operating system x processor x Python, each one a promise of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from matrix.documents.table_reader import (
    ClaimDraft,
    ClaimTable,
    Outcome,
    RowCells,
    TableProblem,
    TableReader,
)
from matrix.documents.text import plain
from matrix.documents.versions import Alternative, VersionsError, read_versions, series
from matrix.documents.vocabulary import Vocabulary
from matrix.model.claim import ClaimKind, Status

__all__ = ["READER", "pythons"]

_SEPARATOR = re.compile(r"<br\s*/?>|[,;\u3001\uff0c]|\s/\s", re.IGNORECASE)
_LAST_PYTHON_2 = 7
_MOST = 50


def pythons(alternatives: tuple[Alternative, ...]) -> Iterator[str]:
    """Yield a specifier for each Python that a cell names.

    `3.5-3.11` names seven, `3.7+` is one open promise. A range that crosses from 2 to 3 goes
    through 2.7, the last of Python 2.
    """
    for alternative in alternatives:
        minors = _minors(alternative.span) if alternative.span else []
        if minors:
            yield from (f"=={minor}.*" for minor in minors)
        else:
            yield series(alternative)


def _minors(span: tuple[str, str]) -> list[str]:
    found = [re.fullmatch(r"([23])\.(\d+)", end) for end in span]
    if found[0] is None or found[1] is None:
        return []
    (major, minor), (last_major, last_minor) = (
        (int(end[1]), int(end[2])) for end in found if end is not None
    )
    out: list[str] = []
    while (major, minor) <= (last_major, last_minor) and len(out) < _MOST:
        out.append(f"{major}.{minor}")
        major, minor = (3, 0) if (major, minor) == (2, _LAST_PYTHON_2) else (major, minor + 1)
    return out


def _read(grid: ClaimTable) -> Iterator[Outcome]:
    for row in grid.rows():
        if isinstance(row, TableProblem):
            yield row
        else:
            yield from _row(row, grid.vocabulary)


def _row(row: RowCells, vocabulary: Vocabulary) -> Iterator[Outcome]:
    troubles: list[TableProblem] = []
    system = vocabulary.exactly("systems", row["os"]) or ""
    if not system:
        near = vocabulary.nearest("systems", row["os"])
        troubles.append(TableProblem(row.line, f"{plain(row['os'])!r} is no known system", near))
    cpus = _cpus(row, system, vocabulary, troubles)
    runtime = "cpython"
    if plain(row["runtime"]):
        known = vocabulary.exactly("runtimes", row["runtime"])
        runtime = known or ""
        if not known:
            near = vocabulary.nearest("runtimes", row["runtime"])
            message = f"{plain(row['runtime'])!r} is no known runtime"
            troubles.append(TableProblem(row.line, message, near))
    named = _versions(row, "runtime-versions", vocabulary, troubles)
    tracers = _versions(row, "ddtrace", vocabulary, troubles)
    if troubles:
        yield from troubles
        return
    for tracer in tracers:
        for cpu in cpus:
            for python in pythons(named):
                scope = [("os", system), ("cpu", cpu), ("python", python), *row.aside]
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


def _cpus(row: RowCells, system: str, words: Vocabulary, troubles: list[TableProblem]) -> list[str]:
    """Return the processors; what `Intel` or `32bit` means depends on the system."""
    cpus = []
    for part in _SEPARATOR.split(row["cpu"]):
        if not plain(part):
            continue
        cpu = words.exactly(f"cpus-{system}", part) or words.exactly("cpus", part)
        if cpu is None:
            near = words.nearest("cpus", part)
            troubles.append(TableProblem(row.line, f"{plain(part)!r} is no known processor", near))
        else:
            cpus.append(cpu)
    if not cpus and not plain(row["cpu"]):
        cpus.append("")
    return cpus


def _versions(
    row: RowCells, role: str, vocabulary: Vocabulary, troubles: list[TableProblem]
) -> tuple[Alternative, ...]:
    what = {"ddtrace": "ddtrace", "runtime-versions": "the runtime"}[role]
    try:
        found = read_versions(row[role], vocabulary)
    except VersionsError as error:
        troubles.append(TableProblem(row.line, f"{error.part!r} is no version of {what}"))
        return ()
    if not found:
        troubles.append(TableProblem(row.line, f"no version of {what}"))
    return found


READER = TableReader(
    ClaimKind.RUNTIME, 40, lambda grid: grid.has("os", "runtime-versions", "ddtrace"), _read
)
