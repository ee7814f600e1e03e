"""Progress of a search: a line that changes on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console

from matrix.reporting.words import many, shorten
from matrix.searching.events import HoleSeen, Narrowed, Started
from matrix.verify.events import CellFinished, CellStarted, Event, Told, Warned
from matrix.verify.minimum import Emit, QuestStarted, Searched

__all__ = ["search_display"]

_DETAIL = 120


@contextlib.contextmanager
def search_display(console: Console) -> Iterator[Emit]:
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

    def take(self, event: Event | QuestStarted | Searched) -> None:
        """Show an event."""
        match event:
            case QuestStarted(quest):
                self._done, self._bound = 0, 0
                self._line(
                    f"{quest.title}:"
                    f" {many(len(quest.cells), 'release')} of {quest.project} to search,"
                    f" {many(len(quest.channels), 'channel')}"
                )
            case Searched(channel, step):
                self._step(channel, step)
            case CellStarted(cell):
                self._running[cell] = None
            case CellFinished():
                self._running.pop(event.cell, None)
                self._done += 1
                self._line(f"[{self._done}] {self._cell(event)}")
            case Warned(message):
                self._line(f"warning: {message}")
            case Told(message):
                self._line(message)
            case _:
                pass
        self._show()

    def _step(self, channel: str, event: object) -> None:
        match event:
            case Started():
                self._bound = max(self._bound, event.bound)
            case Narrowed(fails, works):
                below = f", {fails} fails" if fails else ""
                self._line(f"{channel}: {works} works{below}")
            case HoleSeen(first, last):
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
