"""The final report: one table of all claims, then the gaps and how to close them, then the run."""

from __future__ import annotations

from collections import Counter

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from matrix.model.verdict import Outcome
from matrix.reporting.displays import STYLES
from matrix.reporting.reasons import load_reasons
from matrix.reporting.summary import Row, cell_counts, gaps, rows
from matrix.reporting.words import MARKS, outcome_word, place, promise, shorten
from matrix.verify.result import RunResult

__all__ = ["print_report"]

_EVIDENCE = 420
_DETAILS = 8


def print_report(console: Console, result: RunResult, as_of: str) -> None:
    """Print everything; `as_of` says which dependencies the environments held."""
    console.print(_table(result))
    _print_remarks(console, rows(result))
    _print_gaps(console, result)
    counts = ", ".join(
        f"[{STYLES[outcome]}]{result.count(outcome)} {outcome.value}[/]"
        for outcome in (Outcome.REFUTED, Outcome.CONFIRMED, Outcome.UNVERIFIED)
    )
    plan = result.plan
    left_out = Counter(item.reason.value for item in plan.left_out)
    told = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common())
    state = " (interrupted)" if result.interrupted else ""
    for name, text in (
        ("claims", f"{len(plan.claims)}: {counts}{state}"),
        ("cells", escape(cell_counts(result))),
        ("left out", escape(told or "nothing")),
        ("profile", escape(plan.profile)),
        ("index", f"as read on {plan.snapshot:%Y-%m-%d %H:%M} UTC"),
        ("as of", escape(as_of)),
        ("took", f"{result.seconds:.1f} s"),
    ):
        console.print(f"[bold]{name:<9}[/] {text}", highlight=False, soft_wrap=True)
    for warning in result.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)


def _table(result: RunResult) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", expand=True)
    table.add_column("verdict", ratio=3)
    table.add_column("promise", ratio=6)
    table.add_column("where", ratio=5, overflow="fold")
    table.add_column("evidence", ratio=14)
    for row in rows(result):
        table.add_row(
            f"[{STYLES[row.verdict.outcome]}]{MARKS[row.verdict.outcome]}"
            f" {escape(outcome_word(row.verdict))}[/]",
            escape(promise(row.claims[0])),
            escape(place(row.claims)),
            escape(shorten(row.verdict.evidence, _EVIDENCE)),
        )
    return table


def _print_remarks(console: Console, made: list[Row]) -> None:
    """Print what is beside the answers; the counts of what was left out stand below anyway."""
    remarks = {
        remark: row
        for row in made
        for remark in row.verdict.remarks
        if row.verdict.outcome is not Outcome.UNVERIFIED and "left out:" not in remark
    }
    if not remarks:
        return
    console.print("[bold]also seen[/]")
    for remark, row in remarks.items():
        text = f"- {promise(row.claims[0])}: {shorten(remark, _EVIDENCE)}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    console.print()


def _print_gaps(console: Console, result: RunResult) -> None:
    found = gaps(result)
    if not found:
        return
    words = load_reasons()
    console.print("[bold]not verified, and how to make it verifiable here[/]")
    for gap in found:
        explained = words[gap.reason]
        claims = f"{gap.claims} claim{'s' if gap.claims != 1 else ''}"
        head = f"- {explained.title} ({gap.reason.value}), {claims}: {explained.sentence}"
        console.print(head, markup=False, highlight=False, soft_wrap=True)
        remedy = f"  {explained.remedy_for(gap.cell)}"
        console.print(remedy, markup=False, highlight=False, soft_wrap=True, style="cyan")
        for detail in gap.details[:_DETAILS]:
            console.print(f"  {detail}", markup=False, highlight=False, soft_wrap=True)
    console.print()
