"""The answer of a search for people: a table, strips of marks, and what was taken for granted."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from matrix.audit.ranges import in_words
from matrix.model.service import against
from matrix.planning.quests import Quest
from matrix.reporting.telling import plain
from matrix.reporting.words import many, short_names, shorten
from matrix.searching import Answer, Hole, Result
from matrix.searching.known import Tried
from matrix.verify.concluding import Agreement, conclude
from matrix.verify.minimum import Sought

__all__ = ["MARKS", "print_sought", "strip"]

MARKS = {Answer.WORKS: "#", Answer.FAILS: "-", Answer.CANNOT_TELL: "?"}
_WORDS = {Answer.WORKS: "works", Answer.FAILS: "fails", Answer.CANNOT_TELL: "cannot tell"}
_STYLES = {Answer.WORKS: "green", Answer.FAILS: "red", Answer.CANNOT_TELL: "yellow"}
_AGREEMENT = {
    Agreement.SAME: ("as documented", "green"),
    Agreement.EARLIER: ("earlier than documented", "green"),
    Agreement.LATER: ("later than documented", "bold red"),
    Agreement.OPEN: ("cannot tell", "yellow"),
}
_LINE = 60
_REASON = 160


def print_sought(console: Console, sought: Sought) -> None:
    """Print the answer of one search, for all its channels."""
    quest = sought.quest
    console.print()
    _say(console, quest.title, "bold")
    console.print(_table(sought))
    for channel, result in sought.results.items():
        _say(console, f"{channel}: {_legend(result)}", "bold")
        for line in strip(result):
            console.print(line, highlight=False, soft_wrap=True)
        for text in _stretches(result):
            _say(console, f"  {text}")
        for text in result.assumptions:
            _say(console, f"  assumed: {text}", "dim")
    for each in quest.passed_over:
        where = in_words(quest.releases, each.releases)
        _say(console, f"not asked ({each.reason.value}), {each.detail}: {where}", "dim")
    for text in quest.remarks:
        _say(console, f"note: {text}", "dim")
    for claim in quest.denied:
        _say(console, f"note: {claim.document}:{claim.line} says that it is not supported", "dim")
    _say(console, _run(sought), "dim")
    if said := against(each for record in sought.records for each in record.back_ends):
        _say(console, said, "dim")
    for text in sought.warnings:
        _say(console, f"warning: {text}", "yellow")


def strip(result: Result) -> Iterator[Text]:
    """Yield one mark for each release that was tried, in order; each line begins with a release."""
    width = max((len(each.release) for each in result.tried), default=0)
    for start in range(0, len(result.tried), _LINE):
        part = result.tried[start : start + _LINE]
        line = Text(f"  {part[0].release:<{width}} ")
        for each in part:
            line.append(MARKS[each.reply.answer], _STYLES[each.reply.answer])
        yield line.append(f" {part[-1].release}")


def _table(sought: Sought) -> Table:
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


def _documented(quest: Quest) -> str:
    names = short_names(each.document for each in quest.promises)
    places: dict[str, list[str]] = {}
    for each in quest.promises:
        places.setdefault(each.least, []).append(f"{names[each.document]}:{each.line}")
    told = [f"{least} ({', '.join(dict.fromkeys(where))})" for least, where in places.items()]
    return "\n".join(told) or "no document names one"


def _observed(quest: Quest, result: Result) -> str:
    if result.observed is None:
        return "none works" if result.tried else "not asked"
    if not result.exact:
        return f"{result.observed} or earlier"
    # No release before it fails: there is none to ask.
    first = result.observed == next(iter(quest.cells))
    return f"{result.observed}, the first there is here" if first else result.observed


def _answer(quest: Quest, result: Result) -> Text:
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


def _hole(hole: Hole | None) -> str:
    if hole is None:
        return "none seen"
    where = hole.first if hole.first == hole.last else f"{hole.first} to {hole.last}"
    rest = [] if hole.exact else ["ends not exact"]
    return ", ".join([where, *rest, *([] if hole.closed else ["nothing later works"])])


def _legend(result: Result) -> str:
    counts = {
        answer: sum(each.reply.answer is answer for each in result.tried) for answer in Answer
    }
    return ", ".join(f"{MARKS[a]} {_WORDS[a]} {count}" for a, count in counts.items())


def _stretches(result: Result) -> Iterator[str]:
    """Yield what neighbours among those tried have in common."""
    told: set[str] = set()
    for _, group in itertools.groupby(result.tried, key=_alike):
        where, said = _stretch(list(group))
        # Releases fail alike; what was said before is not said again.
        yield where if said in told else f"{where}{said}"
        told.add(said)


def _alike(tried: Tried) -> tuple[Answer, str]:
    told = tried.reply.reason if tried.reply.answer is Answer.CANNOT_TELL else ""
    return tried.reply.answer, told.partition(":")[0]


def _stretch(group: Sequence[Tried]) -> tuple[str, str]:
    """Return which releases, and what they have to say."""
    answer = group[0].reply.answer
    first, last = group[0].release, group[-1].release
    where = first if first == last else f"{first} to {last}"
    count = f" ({len(group)} tried)" if len(group) > 1 else ""
    # What failing and silent releases have to say; that of working ones is the same everywhere.
    said = "" if answer is Answer.WORKS else f": {shorten(plain(group[-1].reply.reason), _REASON)}"
    return f"{_WORDS[answer]}: {where}{count}", said


def _run(sought: Sought) -> str:
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
