"""Sections for people: findings as blocks with their places, tables as tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

from matrix.audit.finding import AuditFinding, explained
from matrix.audit.sections import Grid, Section

__all__ = ["show_section", "show_summary"]

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


def _table(grid: Grid) -> object:
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
