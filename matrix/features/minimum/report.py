"""Reports of searches: their progress, their results for people, and as JSON.

Progress is a line that changes on a terminal, and plain lines elsewhere. The JSON is described by
`data/schemas/minimum.schema.json`.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from rich import box
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from matrix.features.audit.versions import describe_releases, group_releases
from matrix.features.minimum.conclusion import Agreement, conclusions_of
from matrix.features.minimum.observations import (
    GapFound,
    RangeNarrowed,
    ReleaseGap,
    ReleaseSearchResult,
    ReleaseState,
    TestedRelease,
    range_text,
)
from matrix.features.minimum.run import (
    EmitSearch,
    ReleasesSearched,
    SearchPlanStarted,
    SearchResult,
)
from matrix.features.minimum.search_plan import SearchPlan
from matrix.model.service import against
from matrix.reporting.text import count_text, short_names, shorten
from matrix.runs.events import CellFinished, CellStarted, Event, Message, WarningRaised
from matrix.system.visible import visible

SCHEMA = "minimum/1"
# The mark of a tested release, its answer in words, and the style of the mark.
_STATES = {
    ReleaseState.WORKS: ("#", "works", "green"),
    ReleaseState.FAILS: ("-", "fails", "red"),
    ReleaseState.CANNOT_TELL: ("?", "cannot tell", "yellow"),
}
_AGREEMENT = {
    Agreement.SAME: ("as documented", "green"),
    Agreement.EARLIER: ("earlier than documented", "green"),
    Agreement.LATER: ("later than documented", "bold red"),
    Agreement.OPEN: ("cannot tell", "yellow"),
}
_MARKS_IN_LINE = 60
_LONGEST_REASON = 160
_LONGEST_DETAIL = 120


def print_search_result(console: Console, search: SearchResult) -> None:
    """Print the result of one search, for all its channels."""
    plan = search.plan
    console.print()
    _print(console, plan.title, "bold")
    console.print(_table(search))
    for channel, result in search.results.items():
        _print(console, f"{channel}: {_legend(result)}", "bold")
        for line in mark_lines(result):
            console.print(line, highlight=False, soft_wrap=True)
        for text in (*_describe_upper_end(search, result), *_describe_ranges(result)):
            _print(console, f"  {text}")
        for text in result.assumptions:
            _print(console, f"  assumed: {text}", "dim")
    for skipped in plan.skipped:
        releases = describe_releases(plan.releases, skipped.releases)
        _print(console, f"not tested ({skipped.reason.value}), {skipped.detail}: {releases}", "dim")
    for text in plan.remarks:
        _print(console, f"note: {text}", "dim")
    for claim in plan.denied:
        _print(console, f"note: {claim.document}:{claim.line} says that it is not supported", "dim")
    _print(console, _describe_run(search), "dim")
    if sentence := against(backend for record in search.records for backend in record.backends):
        _print(console, sentence, "dim")
    for text in search.warnings:
        _print(console, f"warning: {text}", "yellow")


def mark_lines(result: ReleaseSearchResult) -> Iterator[Text]:
    """Yield lines with a mark for each tested release, between the first and last of the line."""
    width = max((len(tested.release) for tested in result.tried), default=0)
    for start in range(0, len(result.tried), _MARKS_IN_LINE):
        group = result.tried[start : start + _MARKS_IN_LINE]
        line = Text(f"  {group[0].release:<{width}} ")
        for tested in group:
            mark, _, style = _STATES[tested.reply.answer]
            line.append(mark, style)
        yield line.append(f" {group[-1].release}")


def _table(search: SearchResult) -> Table:
    plan = search.plan
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in ("channel", "documented", "observed", "answer", "first hole", "tested"):
        table.add_column(name, overflow="fold")
    for channel, result in search.results.items():
        table.add_row(
            channel,
            _documented(plan),
            _observed(plan, result),
            _answer(search, channel),
            _hole(result.first_hole),
            f"{len(result.tried)} of {len(plan.cells)}",
        )
    return table


def _documented(plan: SearchPlan) -> str:
    names = short_names(promise.document for promise in plan.promises)
    places: dict[str, list[str]] = {}
    for promise in plan.promises:
        place = f"{names[promise.document]}:{promise.line}"
        places.setdefault(promise.minimum, []).append(place)
    lines = [f"{minimum} ({', '.join(dict.fromkeys(group))})" for minimum, group in places.items()]
    return "\n".join(lines) or "no document names one"


def _observed(plan: SearchPlan, result: ReleaseSearchResult) -> str:
    if result.observed is None:
        return "none works" if result.tried else "not tested"
    if not result.exact:
        return f"{result.observed} or earlier"
    # No release before it fails: there is none to test.
    first = result.observed == next(iter(plan.cells))
    return f"{result.observed}, the first there is here" if first else result.observed


def _answer(search: SearchResult, channel: str) -> Text:
    conclusions = conclusions_of(search, channel)
    if not conclusions:
        text = "no document promises it" if channel in search.plan.unpromised else ""
        return Text(text if search.results[channel].observed else "cannot tell", "yellow")
    parts = []
    for agreement, detail in dict.fromkeys((item.agreement, item.detail) for item in conclusions):
        word, style = _AGREEMENT[agreement]
        parts.append(Text.assemble((word, style), f": {detail}"))
    return Text("\n").join(parts)


def _hole(hole: ReleaseGap | None) -> str:
    if hole is None:
        return "none found"
    ends = [range_text(hole.first, hole.last)]
    ends += [] if hole.exact else ["ends not exact"]
    return ", ".join([*ends, *([] if hole.closed else ["nothing later works"])])


def _legend(result: ReleaseSearchResult) -> str:
    answers = [tested.reply.answer for tested in result.tried]
    return ", ".join(
        f"{mark} {word} {answers.count(state)}" for state, (mark, word, _) in _STATES.items()
    )


def _describe_ranges(result: ReleaseSearchResult) -> Iterator[str]:
    """Yield a line for each range of tested releases with the same answer."""
    reported: set[str] = set()
    for (answer, _), group in itertools.groupby(result.tried, key=_range_key):
        tested = list(group)
        releases = range_text(tested[0].release, tested[-1].release)
        count = f" ({len(tested)} tested)" if len(tested) > 1 else ""
        reason = ""
        if answer is not ReleaseState.WORKS:
            reason = f": {shorten(tested[-1].reply.reason, _LONGEST_REASON)}"
        # Many ranges fail for the same reason, which is given once.
        shown = "" if reason in reported else reason
        yield f"{_STATES[answer][1]}: {releases}{count}{shown}"
        reported.add(reason)


def _describe_upper_end(search: SearchResult, result: ReleaseSearchResult) -> Iterator[str]:
    """Yield the range of what works, from the lowest to the highest, where it was asked for."""
    if not search.upper or result.observed is None:
        return
    hole = result.first_hole
    within = ", not without a hole" if hole is not None and hole.closed else ""
    end = "the last that does" if result.ends else "or later: what follows cannot tell"
    yield f"range: works from {result.observed} to {result.highest} ({end}{within})"


def _range_key(tested: TestedRelease) -> tuple[ReleaseState, str]:
    reason = tested.reply.reason if tested.reply.answer is ReleaseState.CANNOT_TELL else ""
    return tested.reply.answer, reason.partition(":")[0]


def _describe_run(search: SearchResult) -> str:
    plan = search.plan
    reused = sum(record.reused for record in search.records)
    lost = "the engine was lost, " if search.lost else ""
    end = "interrupted, " if search.interrupted else lost
    return (
        f"{end}{count_text(len(search.records), 'cell')} ({reused} reused) of {len(plan.cells)}"
        f" releases that can be tested, {len(plan.releases)} final releases of {plan.project}"
        f" in all, index of {plan.snapshot:%Y-%m-%d %H:%M}, {search.seconds:.1f} s"
    )


def _print(console: Console, text: str, style: str = "") -> None:
    console.print(Text(visible(text), style), highlight=False, soft_wrap=True)


@contextlib.contextmanager
def search_display(console: Console) -> Iterator[EmitSearch]:
    """Yield a function that shows the events of searches on `console`."""
    is_live = console.is_terminal and not console.is_dumb_terminal
    with console.status("") if is_live else contextlib.nullcontext() as status:
        yield _Display(console, status).handle


class _Display:
    def __init__(self, console: Console, status: Status | None) -> None:
        self._console = console
        self._status = status
        self._running: dict[str, None] = {}
        self._done = 0
        self._bound = 0
        self._details: set[str] = set()

    def handle(self, event: Event | SearchPlanStarted | ReleasesSearched) -> None:
        """Show an event."""
        match event:
            case SearchPlanStarted(plan, bound):
                self._done, self._bound = 0, bound
                self._report(
                    f"{plan.title}:"
                    f" {count_text(len(plan.cells), 'release')} of {plan.project} to search,"
                    f" {count_text(len(plan.channels), 'channel')}"
                )
            case ReleasesSearched(channel, RangeNarrowed(fails, works)):
                below = f", {fails} fails" if fails else ""
                self._report(f"{channel}: {works} works{below}")
            case ReleasesSearched(channel, GapFound(first, last)):
                releases = range_text(first, last)
                self._report(f"{channel}: a hole: {releases} fails, above one that works")
            case CellStarted(cell):
                self._running[cell] = None
            case CellFinished():
                self._running.pop(event.cell, None)
                self._done += 1
                self._report(f"[{self._done}] {self._describe_cell(event)}")
            case WarningRaised(message):
                self._report(f"warning: {message}")
            case Message(message):
                self._report(message)
            case _:
                pass
        if self._status is not None:
            running = shorten(", ".join(self._running), max(20, self._console.width - 40))
            self._status.update(
                f"{self._done} cells (at most {self._bound} a channel)  [dim]{running}[/]"
            )

    def _describe_cell(self, event: CellFinished) -> str:
        outcome = event.reason.value if event.reason else "observed"
        is_new = event.reason is not None and event.detail not in self._details
        self._details.add(event.detail)
        detail = f": {shorten(event.detail, _LONGEST_DETAIL)}" if is_new and event.detail else ""
        time = "reused" if event.reused else f"{event.seconds:.1f} s"
        return f"{event.cell}: {outcome}, {time}{detail}"

    def _report(self, text: str) -> None:
        self._console.print(visible(text), markup=False, highlight=False, soft_wrap=True)


def minimums_to_json(searches: Iterable[SearchResult]) -> dict[str, Any]:
    """Return all searches, with every tested release and the cell that tested it."""
    return {"schema": SCHEMA, "searches": [_search_to_json(search) for search in searches]}


def _search_to_json(search: SearchResult) -> dict[str, Any]:
    plan = search.plan
    return {
        "subject": plan.subject,
        "project": plan.project,
        "probe": plan.probe,
        "python": plan.python,
        "target": plan.target,
        "framework": plan.framework or None,
        "ddtrace": plan.ddtrace or None,
        "strategy": "exhaustive" if search.exhaustive else "bisection",
        "snapshot": plan.snapshot.isoformat(),
        "started": search.started.isoformat(),
        "seconds": round(search.seconds, 3),
        "interrupted": search.interrupted,
        "lost": search.lost,
        "warnings": list(search.warnings),
        "releases": {"all": len(plan.releases), "can_be_asked": len(plan.cells)},
        "passed_over": [
            {
                "reason": skipped.reason.value,
                "detail": skipped.detail,
                "count": len(skipped.releases),
                "ranges": [
                    {"first": group.first, "last": group.last, "without": list(group.gaps)}
                    for group in group_releases(plan.releases, skipped.releases)
                ],
            }
            for skipped in plan.skipped
        ],
        "denied": [
            {"claim": claim.id, "document": claim.document, "line": claim.line}
            for claim in plan.denied
        ],
        "remarks": list(plan.remarks),
        "channels": [_channel_to_json(search, name) for name in plan.channels],
        "cells": [
            {
                "id": record.id,
                "reason": record.reason.value if record.reason else None,
                "detail": record.detail,
                "seconds": record.seconds,
                "reused": record.reused,
                "back_ends": [str(backend) for backend in record.backends],
            }
            for record in search.records
        ],
    }


def _channel_to_json(search: SearchResult, name: str) -> dict[str, Any]:
    plan, result = search.plan, search.results[name]
    data = result.to_json()
    for tested in data["tried"]:
        tested["cell"] = plan.cells[tested["release"]].cell.id
    conclusions = conclusions_of(search, name)
    return {
        "name": name,
        "promises": [
            {
                "claim": conclusion.promise.claim,
                "document": conclusion.promise.document,
                "line": conclusion.promise.line,
                "as_written": conclusion.promise.as_written,
                "least": conclusion.promise.minimum,
                "answer": conclusion.agreement.value,
                "said": conclusion.detail,
            }
            for conclusion in conclusions
        ],
        **data,
    }
