"""The final report: the answers, then the gaps and how to close them, then the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from matrix.reporting.places import unisolated, where_lines
from matrix.reporting.reasons import load_reasons
from matrix.reporting.summary import Gap, also_seen, cell_counts, document_names, gaps, rows
from matrix.reporting.tables import answers, head
from matrix.reporting.words import many, place, shorten
from matrix.verify.result import RunResult

__all__ = ["print_report"]

_REMARK = 300
_DETAILS = 8
_CELLS = 6


def print_report(console: Console, result: RunResult, as_of: str) -> None:
    """Print everything; `as_of` says which dependencies the environments held."""
    console.print()
    console.print(head(result), style="bold", highlight=False)
    names = document_names(result)
    for item in answers(console, rows(result), names):
        console.print(item, highlight=False)
    _print_remarks(console, result)
    _print_gaps(console, result, names)
    _print_names(console, names)
    _print_run(console, result, as_of)
    for warning in filter(None, (*result.warnings, unisolated(result))):
        console.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)


def _print_remarks(console: Console, result: RunResult) -> None:
    """Print what is beside the answers."""
    seen = also_seen(result)
    if not seen:
        return
    console.print("[bold]also seen[/]")
    for item in seen:
        _item(console, shorten(item.remark, _REMARK))
        if item.cells:
            more = len(item.cells) - _CELLS
            tail = f" and {more} more" if more > 0 else ""
            _below(console, f"likewise: {', '.join(item.cells[:_CELLS])}{tail}", "", 2)
        _below(console, f"beside: {'; '.join(item.promises)}", "dim", 2)
    console.print()


def _print_gaps(console: Console, result: RunResult, names: Mapping[str, str]) -> None:
    found = gaps(result)
    if not found:
        return
    console.print("[bold]not verified, and how to make it verifiable here[/]")
    for gap in found:
        _print_gap(console, gap, names)
    console.print()


def _print_gap(console: Console, gap: Gap, names: Mapping[str, str]) -> None:
    explained = load_reasons()[gap.reason]
    title = f"{explained.title} ({gap.reason.value}), {many(gap.claims, 'claim')}"
    _item(console, f"{title}: {explained.sentence}")
    # Not wrapped: it may be a command to copy.
    console.print(Text(f"  {explained.remedy_for(gap.cell)}", "cyan"), soft_wrap=True)
    for detail in gap.details[:_DETAILS]:
        _below(console, detail, "", 2)
    for fold in gap.folds:
        head_of = f"{fold.kind.value} ({len(fold.claims)}): {fold.subjects}"
        _below(console, head_of, "", 2)
        _below(console, place(fold.claims, names), "dim", 4)


def _print_names(console: Console, names: Mapping[str, str]) -> None:
    short = [f"{name} is {full}" for full, name in names.items() if name != full]
    if short:
        _below(console, f"documents: {', '.join(short)}", "dim", 0)


def _print_run(console: Console, result: RunResult, as_of: str) -> None:
    plan = result.plan
    left_out = Counter(item.reason.value for item in plan.left_out)
    told = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common())
    for name, text in (
        ("cells", cell_counts(result)),
        *(("where", line) for line in where_lines(result)),
        ("left out", told or "nothing"),
        ("profile", plan.profile),
        ("index", f"as read on {plan.snapshot:%Y-%m-%d %H:%M} UTC"),
        ("as of", as_of),
        ("took", f"{result.seconds:.1f} s"),
    ):
        console.print(f"[bold]{name:<9}[/] {escape(text)}", highlight=False, soft_wrap=True)
    line = head(result)
    console.print(Text.assemble((f"{'verdicts':<9} ", "bold"), line), soft_wrap=True)


def _item(console: Console, text: str) -> None:
    """Print an item of a list, wrapped beside its dash."""
    grid = Table.grid(padding=(0, 1))
    grid.add_row("-", Text(text, overflow="fold"))
    console.print(grid, highlight=False)


def _below(console: Console, text: str, style: str, indent: int) -> None:
    """Print a paragraph, wrapped at its indent."""
    words = Text(text, style, overflow="fold")
    console.print(Padding(words, (0, 0, 0, indent), expand=False), highlight=False)
