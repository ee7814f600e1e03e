"""Progress of a run: live on a terminal, plain lines elsewhere, with folds on GitHub."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from matrix.model.claim import Claim
from matrix.model.plan import Plan
from matrix.model.verdict import Outcome, Verdict
from matrix.planning.locations import short_target
from matrix.reporting.rows import SHOWN_FIRST, VerdictRow, group_verdicts, short_evidence
from matrix.reporting.summary import THIS_MACHINE, target_marks
from matrix.reporting.terminal import STYLES
from matrix.reporting.text import (
    MARKS,
    claim_lines,
    count_text,
    outcome_text,
    promise_text,
    shorten,
)
from matrix.runs import events
from matrix.system.streams import screen, write_exactly
from matrix.system.visible import visible


class VerdictBatches:
    """Verdicts between two other events, as rows: several documents may state the same fact.

    Claims without cells, and equal answers to a fact that was shown before, are left to the final
    report.
    """

    def __init__(self) -> None:
        self._claims: dict[str, Claim] = {}
        self._waiting: list[Verdict] = []
        self._shown: set[object] = set()
        self._details: set[str] = set()

    def take(self, event: events.Event) -> list[VerdictRow]:
        """Return the rows to show before this event."""
        if isinstance(event, events.VerdictReached):
            if event.verdict.cells:
                self._waiting.append(event.verdict)
            return []
        if isinstance(event, events.RunStarted):
            self._claims = {claim.id: claim for claim in event.plan.claims}
        new = [item for item in self._waiting if self._answer(item) not in self._shown]
        self._shown.update(map(self._answer, self._waiting))
        self._waiting.clear()
        return group_verdicts(new, self._claims)

    def is_new(self, detail: str) -> bool:
        """Return whether a detail is shown for the first time: many cells fail alike."""
        new = detail not in self._details
        self._details.add(detail)
        return new

    def _answer(self, verdict: Verdict) -> tuple[object, ...]:
        return (self._claims[verdict.claim].fact, verdict.outcome, verdict.reason)


class RunCounts:
    """Counts of the events of a run; `untested` is the number of claims without cells."""

    def __init__(self) -> None:
        self.total = 0
        self.done = 0
        self.reused = 0
        self.jobs = 1
        self.building: dict[str, None] = {}
        self.running: dict[str, None] = {}
        self.verdicts: Counter[Outcome] = Counter()
        self.untested = 0
        # The number of cells that end before the first claim has all of its cells.
        self._first = 0
        self._seconds = 0.0
        self._ran = 0

    def take(self, event: events.Event) -> None:
        """Count an event."""
        self._count_environment(event)
        match event:
            case events.RunStarted():
                self.total = len(event.plan.cells)
                self.jobs = max(event.jobs, 1)
                claims = {claim.id for claim in event.plan.claims}
                self.untested = len(claims - {part.claim for part in event.plan.parts})
                self._first = _cells_before_a_verdict(event.plan)
            case events.ControlAdded():
                self.total += 1
            case events.CellStarted():
                self.running[event.cell] = None
            case events.CellFinished():
                self.running.pop(event.cell, None)
                self.done += 1
                if event.reused:
                    self.reused += 1
                elif event.seconds:
                    self._ran += 1
                    self._seconds += event.seconds
            case events.VerdictReached():
                if event.verdict.cells or event.verdict.outcome is not Outcome.UNVERIFIED:
                    self.verdicts[event.verdict.outcome] += 1
            case _:
                pass

    def _count_environment(self, event: events.Event) -> None:
        match event:
            case events.EnvironmentRequested():
                self.building[event.cell] = None
            case events.EnvironmentReady() | events.EnvironmentFailed():
                self.building.pop(event.cell, None)
            case _:
                pass

    @property
    def seconds_left(self) -> float | None:
        """The time for the remaining cells at the pace of those that ran; None before one has."""
        return self._seconds_until(self.total)

    def _seconds_until(self, cells: int) -> float | None:
        """Return the time until so many cells have ended."""
        if not self._ran:
            return None
        return max(cells - self.done, 0) * (self._seconds / self._ran) / self.jobs

    @property
    def line(self) -> str:
        """All counts in a line."""
        texts = [f"{self.done} of {self.total} cells done"]
        if self.reused:
            texts.append(f"{self.reused} reused")
        if self.building:
            texts.append(f"building {count_text(len(self.building), 'environment')}")
        if self.running:
            texts.append(f"{count_text(len(self.running), 'cell')} running")
        if not self.verdicts and (first := self._seconds_until(self._first)):
            texts.append(f"first verdict in about {_clock(first)}")
        if self.seconds_left is not None and self.done < self.total:
            texts.append(f"about {_clock(self.seconds_left)} left")
        texts += [
            f"{self.verdicts[outcome]} {outcome.value}"
            for outcome in SHOWN_FIRST
            if self.verdicts[outcome]
        ]
        return ", ".join(texts)


def _cells_before_a_verdict(plan: Plan) -> int:
    """Return how many cells end, in the order of the plan, before a claim has all of its cells."""
    order = {planned.cell: number for number, planned in enumerate(plan.cells, 1)}
    last: Counter[str] = Counter()
    for part in plan.parts:
        needed = max((order.get(cell, 0) for cell in part.required), default=0)
        last[part.claim] = max(last[part.claim], needed)
    return min(last.values(), default=0)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


_WIDE = 180
_EVIDENCE = 160
_REFUTING = 280  # with the control, without which nothing is refuted
_DETAIL = 120
_SHOWN_CELLS = 3
_BAR = 12
_BESIDE = _BAR + 12  # the bar, the clock and what separates them


def run_console(*, stderr: bool = False) -> Console:
    """Return the console for a run: 180 columns wide without a terminal, as 80 are hard to read."""
    has_width = sys.stdout.isatty() or os.environ.get("COLUMNS")
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=screen(stream), width=None if has_width else _WIDE)


@contextlib.contextmanager
def display(console: Console, environ: Mapping[str, str]) -> Iterator[events.Emit]:
    """Yield a function that shows the events of a run on `console`."""
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
    """Lines for cells and verdicts; on GitHub the cells between two verdicts are folded."""

    def __init__(self, console: Console, *, folds: bool) -> None:
        self._console = console
        self._folds = folds
        self._open = False
        self._counts = RunCounts()
        self._batches = VerdictBatches()

    def take(self, event: events.Event) -> None:
        self._counts.take(event)
        for row in self._batches.take(event):
            self._line(_verdict(row))
        match event:
            case events.RunStarted():
                for line in _opening(event, self._counts):
                    self._line(line)
            case events.CellFinished():
                cell = _cell(event, self._batches)
                self._folded(f"[{self._counts.done}/{self._counts.total}] {cell}")
            case events.EnvironmentFailed():
                self._folded(
                    f"{event.cell}: {event.reason.value}: {shorten(event.detail, _DETAIL)}"
                )
            case events.ControlAdded():
                self._folded(f"{event.cell}: added as a further control")
            case events.WarningRaised():
                self._line(f"warning: {event.message}")
            case events.Message():
                self._folded(event.message)
            case events.RunFinished():
                self._line(self._counts.line)
            case _:
                pass

    def close(self) -> None:
        """End an open fold."""
        if self._open:
            self._command("::endgroup::")
            self._open = False

    def _line(self, text: str) -> None:
        self.close()
        self._print(text)

    def _folded(self, text: str) -> None:
        if self._folds and not self._open:
            self._command(f"::group::cells ({self._counts.line})")
            self._open = True
        self._print(text)

    def _command(self, line: str) -> None:
        write_exactly(f"{line}\n", self._console.file)

    def _print(self, text: str) -> None:
        self._console.print(visible(text), markup=False, highlight=False, soft_wrap=True)


class _Live:
    """A progress bar with the running cells; verdicts, failures and warnings scroll above it."""

    def __init__(self, console: Console) -> None:
        self._counts = RunCounts()
        self._batches = VerdictBatches()
        self.progress = Progress(
            BarColumn(bar_width=_BAR),
            TextColumn("{task.fields[line]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[running]}", style="dim", markup=False),
            console=console,
            transient=True,
        )
        self._task = self.progress.add_task("", total=None, line="", running="")

    def take(self, event: events.Event) -> None:
        self._counts.take(event)
        for row in self._batches.take(event):
            self._print(f"[{STYLES[row.verdict.outcome]}]{escape(_verdict(row))}[/]")
        match event:
            case events.RunStarted():
                for line in _opening(event, self._counts):
                    self._print(escape(line))
            case events.CellFinished() if event.reason is not None:
                self._print(f"[dim]{escape(_cell(event, self._batches))}[/]")
            case events.WarningRaised():
                self._print(f"[yellow]warning: {escape(event.message)}[/]")
            case events.Message():
                self._print(f"[dim]{escape(event.message)}[/]")
            case _:
                pass
        self.progress.update(
            self._task,
            total=self._counts.total,
            completed=self._counts.done,
            line=self._counts.line,
            running=self._running(),
        )

    def _running(self) -> str:
        """Return the running cells, as many as fit beside the counts."""
        room = self.progress.console.width - len(self._counts.line) - _BESIDE
        running = list(self._counts.running)
        for count in range(min(len(running), _SHOWN_CELLS), 0, -1):
            more = f" and {len(running) - count} more" if len(running) > count else ""
            text = ", ".join(running[:count]) + more
            if len(text) <= room:
                return text
        return ""

    def _print(self, markup: str) -> None:
        self.progress.console.print(visible(markup), highlight=False, soft_wrap=True)


def _opening(event: events.RunStarted, counts: RunCounts) -> Iterator[str]:
    plan = event.plan
    yield (
        f"{count_text(len(plan.claims), 'claim')}, {count_text(len(plan.cells), 'cell')},"
        f" profile {plan.profile}, index of {plan.snapshot:%Y-%m-%d %H:%M},"
        f" {_place(plan, event)}"
    )
    if counts.untested:
        verb = "is" if counts.untested == 1 else "are"
        yield f"{counts.untested} of them {verb} not asked in this profile: counted at the end"


def _place(plan: Plan, event: events.RunStarted) -> str:
    if not event.jobs:
        return "judged again from what was captured"
    if event.place:
        return event.place
    at_a_time = f"{event.jobs} at a time"
    if not event.engine:
        return f"{at_a_time} on {THIS_MACHINE}"
    targets = ", ".join(short_target(target) for target in plan.targets)
    return f"{at_a_time} in {event.engine}, for {targets}"


def _cell(event: events.CellFinished, batches: VerdictBatches) -> str:
    end = event.reason.value if event.reason else "observed"
    text = event.detail if event.reason and batches.is_new(event.detail) else ""
    detail = f": {shorten(text, _DETAIL)}" if text else ""
    time = "reused" if event.reused else f"{event.seconds:.1f} s"
    return f"{event.cell}: {end}, {time}{detail}"


def _verdict(row: VerdictRow) -> str:
    most = _REFUTING if row.verdict.outcome is Outcome.REFUTED else _EVIDENCE
    targets = target_marks(row.verdicts)
    return (
        f"{MARKS[row.verdict.outcome]} {outcome_text(row.verdict)}"
        f"{f', {targets}' if targets else ''}: {promise_text(*row.claims)}"
        f" [{claim_lines(row.claims)}] {short_evidence(row, most)}"
    )
