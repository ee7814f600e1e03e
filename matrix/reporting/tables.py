"""The answers as a table, or, where the console is narrow, one below the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from matrix.model.reason import Reason
from matrix.model.verdict import Outcome
from matrix.reporting.places import marks
from matrix.reporting.rows import Row
from matrix.reporting.summary import counts
from matrix.reporting.telling import tell
from matrix.reporting.words import MARKS, outcome_word, place, promise
from matrix.verify.result import RunResult

__all__ = ["STYLES", "answers", "head"]

_LOST = {Reason.ENGINE_LOST: "the container engine", Reason.CLUSTER_LOST: "the cluster"}
STYLES = {Outcome.CONFIRMED: "green", Outcome.REFUTED: "bold red", Outcome.UNVERIFIED: "yellow"}
_EVIDENCE = 280
_WIDE = 100
_INDENT = (0, 0, 0, 2)


def head(result: RunResult) -> Text:
    """Return how many claims have which answer."""
    line = Text(f"{len(result.plan.claims)} claims: ")
    parts = [
        Text(f"{MARKS[outcome]} {words}", STYLES[outcome])
        for outcome, words in counts(result).items()
    ]
    line.append_text(Text(", ").join(parts))
    line.append(" (interrupted)" if result.interrupted else "")
    return line.append(f" ({_LOST[result.lost_to]} was lost)" if result.lost else "")


def answers(
    console: Console, made: Sequence[Row], names: Mapping[str, str]
) -> Iterator[RenderableType]:
    """Yield what shows the rows on this console; `names` are those of the documents."""
    if made:
        yield from [_table(made, names)] if console.width >= _WIDE else _blocks(made, names)


def _table(made: Iterable[Row], names: Mapping[str, str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", expand=True)
    table.add_column("verdict", width=23)
    table.add_column("promise, and where it stands", ratio=11, overflow="fold")
    table.add_column("evidence", ratio=19, overflow="fold")
    for row in made:
        promised = Text(f"{promise(*row.claims)}\n")
        promised.append(place(row.claims, names), "dim")
        table.add_row(_verdict(row), promised, Text(tell(row, _EVIDENCE)))
    return table


def _blocks(made: Iterable[Row], names: Mapping[str, str]) -> Iterator[RenderableType]:
    for row in made:
        yield Text.assemble("\n", _verdict(row, ", "), f": {promise(*row.claims)}")
        where = Text(place(row.claims, names), "dim", overflow="fold")
        said = Text(tell(row, _EVIDENCE), overflow="fold")
        yield Padding(where, _INDENT, expand=False)
        yield Padding(said, _INDENT, expand=False)
    yield ""


def _verdict(row: Row, between: str = "\n") -> Text:
    outcome = row.verdict.outcome
    said = Text(f"{MARKS[outcome]} {outcome_word(row.verdict)}", STYLES[outcome])
    targets = marks(row.verdicts)
    return said.append(f"{between}{targets}", "default") if targets else said
