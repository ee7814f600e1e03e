"""The answer of a search for people: a table, strips of marks, and what was taken for granted.

Progress of a search: a line that changes on a terminal, plain lines elsewhere.

Searches as plain JSON values, by `data/schemas/minimum.schema.json`.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from matrix.features.audit.versions import describe_releases, group_releases
from matrix.features.minimum.conclusion import Agreement, conclude
from matrix.features.minimum.observations import (
    GapFound,
    RangeNarrowed,
    ReleaseGap,
    ReleaseSearchResult,
    ReleaseState,
    SearchStarted,
    TestedRelease,
)
from matrix.features.minimum.run import (
    EmitSearch,
    ReleasesSearched,
    SearchPlanStarted,
    SearchResult,
)
from matrix.features.minimum.search_plan import SearchPlan
from matrix.model.service import against
from matrix.reporting.text import many, short_names, shorten
from matrix.runs.events import CellFinished, CellStarted, Event, Message, WarningRaised

__all__ = [
    "MARKS",
    "SCHEMA",
    "mark_lines",
    "minimums_to_json",
    "print_search_result",
    "search_display",
]

MARKS = {ReleaseState.WORKS: "#", ReleaseState.FAILS: "-", ReleaseState.CANNOT_TELL: "?"}
_WORDS = {
    ReleaseState.WORKS: "works",
    ReleaseState.FAILS: "fails",
    ReleaseState.CANNOT_TELL: "cannot tell",
}
_STYLES = {
    ReleaseState.WORKS: "green",
    ReleaseState.FAILS: "red",
    ReleaseState.CANNOT_TELL: "yellow",
}
_AGREEMENT = {
    Agreement.SAME: ("as documented", "green"),
    Agreement.EARLIER: ("earlier than documented", "green"),
    Agreement.LATER: ("later than documented", "bold red"),
    Agreement.OPEN: ("cannot tell", "yellow"),
}
_LINE = 60
_REASON = 160


def print_search_result(console: Console, sought: SearchResult) -> None:
    """Print the answer of one search, for all its channels."""
    quest = sought.quest
    console.print()
    _say(console, quest.title, "bold")
    console.print(_table(sought))
    for channel, result in sought.results.items():
        _say(console, f"{channel}: {_legend(result)}", "bold")
        for line in mark_lines(result):
            console.print(line, highlight=False, soft_wrap=True)
        for text in _stretches(result):
            _say(console, f"  {text}")
        for text in result.assumptions:
            _say(console, f"  assumed: {text}", "dim")
    for each in quest.passed_over:
        where = describe_releases(quest.releases, each.releases)
        _say(console, f"not asked ({each.reason.value}), {each.detail}: {where}", "dim")
    for text in quest.remarks:
        _say(console, f"note: {text}", "dim")
    for claim in quest.denied:
        _say(console, f"note: {claim.document}:{claim.line} says that it is not supported", "dim")
    _say(console, _run(sought), "dim")
    if said := against(each for record in sought.records for each in record.backends):
        _say(console, said, "dim")
    for text in sought.warnings:
        _say(console, f"warning: {text}", "yellow")


def mark_lines(result: ReleaseSearchResult) -> Iterator[Text]:
    """Yield one mark for each release that was tried, in order; each line begins with a release."""
    width = max((len(each.release) for each in result.tried), default=0)
    for start in range(0, len(result.tried), _LINE):
        part = result.tried[start : start + _LINE]
        line = Text(f"  {part[0].release:<{width}} ")
        for each in part:
            line.append(MARKS[each.reply.answer], _STYLES[each.reply.answer])
        yield line.append(f" {part[-1].release}")


def _table(sought: SearchResult) -> Table:
    quest = sought.quest
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in ("channel", "documented", "observed", "answer", "first hole", "tried"):
        table.add_column(name, overflow="fold")
    for channel, result in sought.results.items():
        table.add_row(
            channel,
            _documented(quest),
            _observed(quest, result),
            _answer(quest, result),
            _hole(result.first_hole),
            f"{len(result.tried)} of {len(quest.cells)}",
        )
    return table


def _documented(quest: SearchPlan) -> str:
    names = short_names(each.document for each in quest.promises)
    places: dict[str, list[str]] = {}
    for each in quest.promises:
        places.setdefault(each.least, []).append(f"{names[each.document]}:{each.line}")
    told = [f"{least} ({', '.join(dict.fromkeys(where))})" for least, where in places.items()]
    return "\n".join(told) or "no document names one"


def _observed(quest: SearchPlan, result: ReleaseSearchResult) -> str:
    if result.observed is None:
        return "none works" if result.tried else "not asked"
    if not result.exact:
        return f"{result.observed} or earlier"
    # No release before it fails: there is none to ask.
    first = result.observed == next(iter(quest.cells))
    return f"{result.observed}, the first there is here" if first else result.observed


def _answer(quest: SearchPlan, result: ReleaseSearchResult) -> Text:
    told: dict[tuple[Agreement, str], None] = {}
    for promise in quest.promises:
        answer = conclude(quest, result, promise)
        told[answer.agreement, answer.said] = None
    if not told:
        return Text("" if result.observed else "cannot tell", "yellow")
    parts = []
    for agreement, said in told:
        word, style = _AGREEMENT[agreement]
        parts.append(Text.assemble((word, style), f": {said}"))
    return Text("\n").join(parts)


def _hole(hole: ReleaseGap | None) -> str:
    if hole is None:
        return "none seen"
    where = hole.first if hole.first == hole.last else f"{hole.first} to {hole.last}"
    rest = [] if hole.exact else ["ends not exact"]
    return ", ".join([where, *rest, *([] if hole.closed else ["nothing later works"])])


def _legend(result: ReleaseSearchResult) -> str:
    counts = {
        answer: sum(each.reply.answer is answer for each in result.tried) for answer in ReleaseState
    }
    return ", ".join(f"{MARKS[a]} {_WORDS[a]} {count}" for a, count in counts.items())


def _stretches(result: ReleaseSearchResult) -> Iterator[str]:
    """Yield what neighbours among those tried have in common."""
    told: set[str] = set()
    for _, group in itertools.groupby(result.tried, key=_alike):
        where, said = _stretch(list(group))
        # Releases fail alike; what was said before is not said again.
        yield where if said in told else f"{where}{said}"
        told.add(said)


def _alike(tried: TestedRelease) -> tuple[ReleaseState, str]:
    told = tried.reply.reason if tried.reply.answer is ReleaseState.CANNOT_TELL else ""
    return tried.reply.answer, told.partition(":")[0]


def _stretch(group: Sequence[TestedRelease]) -> tuple[str, str]:
    """Return which releases, and what they have to say."""
    answer = group[0].reply.answer
    first, last = group[0].release, group[-1].release
    where = first if first == last else f"{first} to {last}"
    count = f" ({len(group)} tried)" if len(group) > 1 else ""
    # What failing and silent releases have to say; that of working ones is the same everywhere.
    said = "" if answer is ReleaseState.WORKS else f": {shorten(group[-1].reply.reason, _REASON)}"
    return f"{_WORDS[answer]}: {where}{count}", said


def _run(sought: SearchResult) -> str:
    quest = sought.quest
    reused = sum(record.reused for record in sought.records)
    how = "interrupted, " if sought.interrupted else "the engine was lost, " if sought.lost else ""
    return (
        f"{how}{many(len(sought.records), 'cell')} ({reused} reused) of {len(quest.cells)}"
        f" releases that can be asked, {len(quest.releases)} final releases of {quest.project}"
        f" in all, index of {quest.snapshot:%Y-%m-%d %H:%M}, {sought.seconds:.1f} s"
    )


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style), highlight=False, soft_wrap=True)


_DETAIL = 120


@contextlib.contextmanager
def search_display(console: Console) -> Iterator[EmitSearch]:
    """Yield what takes the events of searches and shows them on `console`."""
    if console.is_terminal and not console.is_dumb_terminal:
        with console.status("") as status:
            yield _Display(console, status.update).take
        return
    yield _Display(console, None).take


class _Display:
    def __init__(self, console: Console, update: object) -> None:
        self._console = console
        self._update = update
        self._running: dict[str, None] = {}
        self._done = 0
        self._bound = 0
        self._said: set[str] = set()

    def take(self, event: Event | SearchPlanStarted | ReleasesSearched) -> None:
        """Show an event."""
        match event:
            case SearchPlanStarted(quest):
                self._done, self._bound = 0, 0
                self._line(
                    f"{quest.title}:"
                    f" {many(len(quest.cells), 'release')} of {quest.project} to search,"
                    f" {many(len(quest.channels), 'channel')}"
                )
            case ReleasesSearched(channel, step):
                self._step(channel, step)
            case CellStarted(cell):
                self._running[cell] = None
            case CellFinished():
                self._running.pop(event.cell, None)
                self._done += 1
                self._line(f"[{self._done}] {self._cell(event)}")
            case WarningRaised(message):
                self._line(f"warning: {message}")
            case Message(message):
                self._line(message)
            case _:
                pass
        self._show()

    def _step(self, channel: str, event: object) -> None:
        match event:
            case SearchStarted():
                self._bound = max(self._bound, event.bound)
            case RangeNarrowed(fails, works):
                below = f", {fails} fails" if fails else ""
                self._line(f"{channel}: {works} works{below}")
            case GapFound(first, last):
                where = first if first == last else f"{first} to {last}"
                self._line(f"{channel}: a hole: {where} fails, above one that works")
            case _:
                pass

    def _cell(self, event: CellFinished) -> str:
        how = event.reason.value if event.reason else "observed"
        news = event.reason is not None and event.detail not in self._said
        self._said.add(event.detail)
        detail = f": {shorten(event.detail, _DETAIL)}" if news and event.detail else ""
        when = "reused" if event.reused else f"{event.seconds:.1f} s"
        return f"{event.cell}: {how}, {when}{detail}"

    def _show(self) -> None:
        if callable(self._update):
            running = ", ".join(self._running)
            room = max(20, self._console.width - 40)
            self._update(
                f"{self._done} cells (at most {self._bound} a channel)  "
                f"[dim]{shorten(running, room)}[/]"
            )

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


SCHEMA = "minimum/1"


def minimums_to_json(found: Iterable[SearchResult]) -> dict[str, Any]:
    """Return all searches, with every release tried and the cell that answered for it."""
    return {"schema": SCHEMA, "searches": [_search(sought) for sought in found]}


def _search(sought: SearchResult) -> dict[str, Any]:
    quest = sought.quest
    return {
        "subject": quest.subject,
        "project": quest.project,
        "probe": quest.probe,
        "python": quest.python,
        "target": quest.target,
        "framework": quest.framework or None,
        "ddtrace": quest.ddtrace or None,
        "strategy": "exhaustive" if sought.exhaustive else "bisection",
        "snapshot": quest.snapshot.isoformat(),
        "started": sought.started.isoformat(),
        "seconds": round(sought.seconds, 3),
        "interrupted": sought.interrupted,
        "lost": sought.lost,
        "warnings": list(sought.warnings),
        "releases": {"all": len(quest.releases), "can_be_asked": len(quest.cells)},
        "passed_over": [
            {
                "reason": each.reason.value,
                "detail": each.detail,
                "count": len(each.releases),
                "ranges": [
                    {"first": run.first, "last": run.last, "without": list(run.gaps)}
                    for run in group_releases(quest.releases, each.releases)
                ],
            }
            for each in quest.passed_over
        ],
        "denied": [
            {"claim": claim.id, "document": claim.document, "line": claim.line}
            for claim in quest.denied
        ],
        "remarks": list(quest.remarks),
        "channels": [_channel(sought, name) for name in quest.channels],
        "cells": [
            {
                "id": record.id,
                "reason": record.reason.value if record.reason else None,
                "detail": record.detail,
                "seconds": record.seconds,
                "reused": record.reused,
                "back_ends": [str(backend) for backend in record.backends],
            }
            for record in sought.records
        ],
    }


def _channel(sought: SearchResult, name: str) -> dict[str, Any]:
    quest, result = sought.quest, sought.results[name]
    data = result.to_json()
    for tried in data["tried"]:
        tried["cell"] = quest.cells[tried["release"]].cell.id
    conclusions = [conclude(quest, result, promise) for promise in quest.promises]
    return {
        "name": name,
        "promises": [
            {
                "claim": each.promise.claim,
                "document": each.promise.document,
                "line": each.promise.line,
                "as_written": each.promise.as_written,
                "least": each.promise.least,
                "answer": each.agreement.value,
                "said": each.said,
            }
            for each in conclusions
        ],
        **data,
    }
