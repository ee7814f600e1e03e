"""Progress while a run goes on: live on a terminal, plain lines elsewhere, folds on GitHub."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from matrix.model.verdict import Outcome, Verdict
from matrix.reporting.tally import Tally
from matrix.reporting.words import MARKS, outcome_word, place, promise, shorten
from matrix.verify.events import (
    CellFinished,
    ControlAdded,
    Emit,
    EnvironmentFailed,
    Event,
    RunFinished,
    RunStarted,
    VerdictReached,
    Warned,
)

__all__ = ["STYLES", "display"]

STYLES = {Outcome.CONFIRMED: "green", Outcome.REFUTED: "bold red", Outcome.UNVERIFIED: "yellow"}
_EVIDENCE = 160
_SHOWN_CELLS = 3


@contextlib.contextmanager
def display(console: Console, environ: Mapping[str, str]) -> Iterator[Emit]:
    """Yield what takes the events of a run and shows them on `console`."""
    if console.is_terminal and not console.is_dumb_terminal:
        live = _Live(console)
        with live.progress:
            yield live.take
        return
    plain = _Plain(console, folds=environ.get("GITHUB_ACTIONS") == "true")
    try:
        yield plain.take
    finally:
        plain.close()


class _Plain:
    """A line for each cell and verdict; on GitHub the cells between two verdicts are folded."""

    def __init__(self, console: Console, *, folds: bool) -> None:
        self._console = console
        self._folds = folds
        self._open = False
        self._tally = Tally()

    def take(self, event: Event) -> None:
        """Show an event."""
        self._tally.take(event)
        match event:
            case RunStarted():
                self._line(_opening(event))
            case CellFinished():
                self._folded(f"[{self._tally.done}/{self._tally.total}] {_cell(event)}")
            case EnvironmentFailed():
                self._folded(f"{event.cell}: {event.reason.value}: {shorten(event.detail, 120)}")
            case ControlAdded():
                self._folded(f"{event.cell}: added as a further control")
            case VerdictReached() if event.verdict.cells and self._tally.is_news:
                self._line(_verdict(event.verdict, self._tally))
            case Warned():
                self._line(f"warning: {event.message}")
            case RunFinished():
                self._line(self._tally.line)
            case _:
                pass

    def close(self) -> None:
        """End an open fold."""
        if self._open:
            self._print("::endgroup::")
            self._open = False

    def _line(self, text: str) -> None:
        self.close()
        self._print(text)

    def _folded(self, text: str) -> None:
        if self._folds and not self._open:
            self._print(f"::group::cells ({self._tally.line})")
            self._open = True
        self._print(text)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class _Live:
    """A bar with what runs now; verdicts, failures and warnings scroll by above it."""

    def __init__(self, console: Console) -> None:
        self._tally = Tally()
        self.progress = Progress(
            BarColumn(bar_width=24),
            TextColumn("{task.fields[line]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[running]}", style="dim", markup=False),
            console=console,
            transient=True,
        )
        self._task = self.progress.add_task("", total=None, line="", running="")

    def take(self, event: Event) -> None:
        """Show an event."""
        self._tally.take(event)
        match event:
            case RunStarted():
                self._print(escape(_opening(event)))
            case VerdictReached() if event.verdict.cells and self._tally.is_news:
                style = STYLES[event.verdict.outcome]
                self._print(f"[{style}]{escape(_verdict(event.verdict, self._tally))}[/]")
            case CellFinished() if event.reason is not None:
                self._print(f"[dim]{escape(_cell(event))}[/]")
            case Warned():
                self._print(f"[yellow]warning: {escape(event.message)}[/]")
            case _:
                pass
        running = [cell for cell in self._tally.running if cell]
        more = f" and {len(running) - _SHOWN_CELLS} more" if len(running) > _SHOWN_CELLS else ""
        self.progress.update(
            self._task,
            total=self._tally.total,
            completed=self._tally.done,
            line=self._tally.line,
            running=", ".join(running[:_SHOWN_CELLS]) + more,
        )

    def _print(self, markup: str) -> None:
        self.progress.console.print(markup, highlight=False, soft_wrap=True)


def _opening(event: RunStarted) -> str:
    plan = event.plan
    return (
        f"{len(plan.claims)} claims, {len(plan.cells)} cells, profile {plan.profile},"
        f" index of {plan.snapshot:%Y-%m-%d %H:%M}, {event.jobs} at a time"
    )


def _cell(event: CellFinished) -> str:
    how = event.reason.value if event.reason else "observed"
    detail = f": {shorten(event.detail, 120)}" if event.detail and event.reason else ""
    when = "reused" if event.reused else f"{event.seconds:.1f} s"
    return f"{event.cell}: {how}, {when}{detail}"


def _verdict(verdict: Verdict, tally: Tally) -> str:
    claim = tally.claims[verdict.claim]
    return (
        f"{MARKS[verdict.outcome]} {outcome_word(verdict)}: {promise(claim)}"
        f" [{place((claim,))}] {shorten(verdict.evidence, _EVIDENCE)}"
    )
