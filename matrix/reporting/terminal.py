"""The final report on a terminal, and its verdicts as an SVG picture.

Verdicts are a table, or, on a narrow console, one below the other. The SVG loads nothing, and equal
records make equal files.
"""

from __future__ import annotations

import datetime as dt
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from matrix.model.reason import Reason
from matrix.model.verdict import Outcome
from matrix.reporting.rows import VerdictRow, short_evidence
from matrix.reporting.summary import (
    broken_rows,
    cell_counts,
    collect_remarks,
    document_lines,
    document_names,
    headline,
    isolation_warning,
    location_lines,
    outcome_counts,
    reason_summaries,
    target_marks,
    unasked_text,
    verdict_rows,
)
from matrix.reporting.text import (
    MARKS,
    claim_lines,
    count_text,
    load_reasons,
    outcome_text,
    promise_text,
    shorten,
)
from matrix.runs.record import Record
from matrix.system.visible import powerless_markup, shown, visible

_LOST = {Reason.ENGINE_LOST: "the container engine", Reason.CLUSTER_LOST: "the cluster"}
STYLES = {Outcome.CONFIRMED: "green", Outcome.REFUTED: "bold red", Outcome.UNVERIFIED: "yellow"}
_EVIDENCE = 280
_WIDE = 100
_INDENT = (0, 0, 0, 2)
_NARROWEST = 20
_REFUTED = Outcome.REFUTED


def counts_line(record: Record) -> Text:
    """Return how many of the promises that were asked hold, with the number of each outcome."""
    line = Text(headline(record))
    counts = outcome_counts(record)
    parts = [
        Text(f"{MARKS[outcome]} {count} {outcome.value}", STYLES[outcome])
        for outcome, count in counts.items()
    ]
    if any(counts.values()):
        line.append(": ").append_text(Text(", ").join(parts))
    if unasked := unasked_text(record):
        line.append(f"; {unasked}")
    line.append(" (interrupted)" if record.run.interrupted else "")
    return line.append(f" ({_LOST[record.run.lost_to]} was lost)" if record.run.lost else "")


def render_rows(
    console: Console, rows: Sequence[VerdictRow], names: Mapping[str, str]
) -> Iterator[RenderableType]:
    """Yield the rows for this console; `names` are short names of documents."""
    if rows:
        yield from [_table(rows, names)] if console.width >= _WIDE else _blocks(rows, names)


def _table(rows: Iterable[VerdictRow], names: Mapping[str, str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", expand=True)
    table.add_column("verdict", width=23)
    table.add_column("claim, and where it stands", ratio=11, overflow="fold")
    table.add_column("evidence", ratio=19, overflow="fold")
    for row in rows:
        promised = Text(f"{promise_text(*row.claims)}\n")
        promised.append(claim_lines(row.claims, names), "dim")
        table.add_row(_verdict(row), promised, Text(short_evidence(row, _EVIDENCE)))
    return table


def _blocks(rows: Iterable[VerdictRow], names: Mapping[str, str]) -> Iterator[RenderableType]:
    for row in rows:
        yield Text.assemble("\n", _verdict(row, ", "), f": {promise_text(*row.claims)}")
        where = Text(claim_lines(row.claims, names), "dim", overflow="fold")
        evidence = Text(short_evidence(row, _EVIDENCE), overflow="fold")
        yield Padding(where, _INDENT, expand=False)
        yield Padding(evidence, _INDENT, expand=False)
    yield ""


def _verdict(row: VerdictRow, between: str = "\n") -> Text:
    outcome = row.verdict.outcome
    text = Text(f"{MARKS[outcome]} {outcome_text(row.verdict)}", STYLES[outcome])
    targets = target_marks(row.verdicts)
    return text.append(f"{between}{targets}", "default") if targets else text


_REMARK = 300
_DETAILS = 8
_CELLS = 6


def print_report(console: Console, record: Record, *, every: bool = False) -> None:
    """Print the verdicts, remarks, gaps and circumstances of a run; `print_closing` comes after.

    With `every`, list the promises too that were not asked.
    """
    record = shown(record)
    console.print()
    console.print(counts_line(record), style="bold", highlight=False)
    names = document_names(record)
    for item in render_rows(console, verdict_rows(record), names):
        console.print(item, highlight=False)
    _print_broken(console, record, names)
    _print_remarks(console, record)
    _print_gaps(console, record, names, every=every)
    for line in document_lines(record):
        _below(console, f"document {line}", "dim", 0)
    _print_run(console, record)
    for warning in filter(None, (*record.run.warnings, isolation_warning(record))):
        console.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)


def _print_broken(console: Console, record: Record, names: Mapping[str, str]) -> None:
    broken = broken_rows(record)
    if not broken:
        return
    console.print("[bold]broken by the tracer, and how to see it by hand[/]")
    for breakage, row in broken:
        _item(console, breakage.line)
        _below(console, claim_lines(row.claims, names), "dim", 2)
        for command in breakage.commands:
            # Not wrapped: to be copied.
            console.print(Text(f"  {command}", "cyan"), soft_wrap=True)
    console.print()


def _print_remarks(console: Console, record: Record) -> None:
    remarks = collect_remarks(record)
    if not remarks:
        return
    console.print("[bold]also seen[/]")
    for item in remarks:
        _item(console, shorten(item.remark, _REMARK))
        if item.cells:
            more = len(item.cells) - _CELLS
            tail = f" and {more} more" if more > 0 else ""
            _below(console, f"likewise: {', '.join(item.cells[:_CELLS])}{tail}", "", 2)
        _below(console, f"beside: {'; '.join(item.promises)}", "dim", 2)
    console.print()


def _print_gaps(console: Console, record: Record, names: Mapping[str, str], *, every: bool) -> None:
    gaps = [gap for gap in reason_summaries(record) if every or gap.asked]
    if not gaps:
        return
    console.print("[bold]not verified, and how to make it verifiable here[/]")
    for gap in gaps:
        texts = load_reasons()[gap.reason]
        count = gap.claims if every else gap.asked
        title = f"{texts.title} ({gap.reason.value}), {count_text(count, 'claim')}"
        _item(console, f"{title}: {texts.sentence}")
        # Not wrapped: it may be a command to copy.
        console.print(Text(f"  {texts.remedy_for(gap.cell)}", "cyan"), soft_wrap=True)
        for detail in gap.details[:_DETAILS]:
            _below(console, detail, "", 2)
        for fold in gap.folds if every else ():
            _below(console, f"{fold.kind.value} ({len(fold.claims)}): {fold.subjects}", "", 2)
            _below(console, claim_lines(fold.claims, names), "dim", 4)
    console.print()


def _print_run(console: Console, record: Record) -> None:
    run = record.run
    omissions = Counter(item.reason.value for item in record.omissions)
    omitted = ", ".join(f"{count} {reason}" for reason, count in omissions.most_common())
    for name, text in (
        ("cells", cell_counts(record)),
        *(("where", line) for line in location_lines(record)),
        ("left out", omitted or "nothing"),
        ("profile", run.profile),
        ("index", f"as read on {dt.datetime.fromisoformat(run.snapshot):%Y-%m-%d %H:%M} UTC"),
        ("as of", run.as_of),
        ("took", f"{record.run.seconds:.1f} s"),
    ):
        _print_field(console, name, text)


def _print_field(console: Console, name: str, text: str) -> None:
    console.print(f"[bold]{name:<9}[/] {escape(text)}", highlight=False, soft_wrap=True)


_CLOSING_REFUTED, _CLOSING_OPEN, _CLOSING_UNASKED = 8, 5, 4
"""The most lines of each kind, so that the end of a run fits on a screen of 24 lines."""


def print_closing(console: Console, record: Record, places: Mapping[str, str]) -> None:
    """Print on one screen what was asked and answered; `places` name where the rest is.

    Refuted promises come first, then what is open and why, then the reasons why others were not
    asked.
    """
    names, gaps = document_names(record), reason_summaries(record)
    rows: dict[tuple[Outcome, Reason | None], list[str]] = defaultdict(list)
    for row in verdict_rows(record):
        where = claim_lines(row.claims, names)
        line = f"{promise_text(*row.claims)} [{where}]"
        rows[row.verdict.outcome, row.verdict.reason].append(line)
    console.print()
    console.print(counts_line(record), style="bold", highlight=False, soft_wrap=True)
    refuted = [line for (outcome, _), of in rows.items() for line in of if outcome is _REFUTED]
    _print_lines(console, MARKS[_REFUTED], refuted, _CLOSING_REFUTED)
    open_ = [
        f"{gap.asked} open, {_titled(gap.reason)}: "
        + "; ".join(rows[Outcome.UNVERIFIED, gap.reason])
        for gap in gaps
        if gap.asked
    ]
    _print_lines(console, MARKS[Outcome.UNVERIFIED], open_, _CLOSING_OPEN)
    unasked = [f"{gap.unasked} not asked, {_titled(gap.reason)}" for gap in gaps if gap.unasked]
    unasked[:1] = [f"{text}; --all lists them" for text in unasked[:1]]
    _print_lines(console, "·", unasked, _CLOSING_UNASKED)
    _print_field(console, "cells", f"{cell_counts(record)}, in {record.run.seconds:.1f} s")
    for name, place in places.items():
        _print_field(console, name, place)


def _titled(reason: Reason) -> str:
    return f"{load_reasons()[reason].title} ({reason.value})"


def _print_lines(console: Console, mark: str, lines: Sequence[str], most: int) -> None:
    """Print each text on one line of the console, and count those after the first ones."""
    shown_lines = lines if len(lines) <= most else lines[: most - 1]
    more = [f"and {len(lines) - len(shown_lines)} more"] if shown_lines is not lines else []
    for text in (*shown_lines, *more):
        line = shorten(visible(f"{mark} {text}"), max(console.width - 2, _NARROWEST))
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


def _item(console: Console, text: str) -> None:
    """Print an item of a list, wrapped beside its dash."""
    grid = Table.grid(padding=(0, 1))
    grid.add_row("-", Text(text, overflow="fold"))
    console.print(grid, highlight=False)


def _below(console: Console, text: str, style: str, indent: int) -> None:
    """Print a paragraph, wrapped at its indent."""
    paragraph = Text(text, style, overflow="fold")
    console.print(Padding(paragraph, (0, 0, 0, indent), expand=False), highlight=False)


_COLUMNS = 132
# The number of rows of each outcome in a picture.
_MAX_ROWS = {Outcome.REFUTED: 8, Outcome.CONFIRMED: 8, Outcome.UNVERIFIED: 5}
_SCHEME = re.compile(r"https?://")
# Like rich's own template, without its font from the network and without its address.
_TEMPLATE = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
  <style>
    .{unique_id}-matrix {{
      font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
      font-size: {char_height}px;
      line-height: {line_height}px;
      font-variant-east-asian: full-width;
    }}
    .{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
    {styles}
  </style>
  <defs>
    <clipPath id="{unique_id}-clip-terminal">
      <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
    </clipPath>
    {lines}
  </defs>
  {chrome}
  <g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
    {backgrounds}
    <g class="{unique_id}-matrix">
    {matrix}
    </g>
  </g>
</svg>
"""


def render_svg(record: Record) -> str:
    """Return the SVG: the counts, and the first rows of each outcome."""
    record = shown(record)
    console = Console(
        record=True,
        file=io.StringIO(),
        width=_COLUMNS,
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
    )
    all_rows = verdict_rows(record)
    rows: list[VerdictRow] = []
    for outcome, most in _MAX_ROWS.items():
        rows += [row for row in all_rows if row.verdict.outcome is outcome][:most]
    console.print(counts_line(record), highlight=False)
    for item in render_rows(console, rows, document_names(record)):
        console.print(item, highlight=False)
    if len(all_rows) > len(rows):
        more = f"and {count_text(len(all_rows) - len(rows), 'row')} more"
        console.print(more, style="dim", highlight=False)
    svg = console.export_svg(
        title=f"python -m matrix verify --profile {record.run.profile}",
        code_format=_TEMPLATE,
        unique_id="compat-matrix",
    )
    # Addresses in evidence lose their schemes: the picture contains no link.
    opening, rest = svg.split("\n", 1)
    return powerless_markup(f"{opening}\n{_SCHEME.sub('', rest)}")
