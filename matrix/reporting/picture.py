"""The answers as a picture for a page: an SVG that loads nothing and is the same every time."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from matrix.model.verdict import Outcome
from matrix.reporting.rows import Row
from matrix.reporting.summary import document_names, rows
from matrix.reporting.tables import answers, head
from matrix.reporting.words import many
from matrix.reporting.writing import write_text
from matrix.verify.result import RunResult

__all__ = ["draw", "write_picture"]

_COLUMNS = 132
# How many rows of each outcome: a picture is looked at, not read.
_MOST = {Outcome.REFUTED: 8, Outcome.CONFIRMED: 8, Outcome.UNVERIFIED: 5}
_SCHEME = re.compile(r"https?://")
# As rich's own, without its font from the network and without its address.
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


def write_picture(path: Path, result: RunResult) -> None:
    """Write the picture to `path`; raise StorageError."""
    write_text(path, draw(result))


def draw(result: RunResult) -> str:
    """Return the SVG: the counts and what rests on experiments, the first of each outcome."""
    console = Console(
        record=True,
        file=io.StringIO(),
        width=_COLUMNS,
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
    )
    made = rows(result)
    shown = [row for outcome, most in _MOST.items() for row in _of(made, outcome)[:most]]
    console.print(head(result), highlight=False)
    for item in answers(console, shown, document_names(result)):
        console.print(item, highlight=False)
    if len(made) > len(shown):
        more = f"and {many(len(made) - len(shown), 'row')} more"
        console.print(more, style="dim", highlight=False)
    svg = console.export_svg(
        title=f"python -m matrix verify --profile {result.plan.profile}",
        code_format=_TEMPLATE,
        unique_id="compat-matrix",
    )
    # An address in the evidence is told without its scheme: nothing here is there to be followed.
    opening, rest = svg.split("\n", 1)
    return f"{opening}\n{_SCHEME.sub('', rest)}"


def _of(made: Sequence[Row], outcome: Outcome) -> list[Row]:
    return [row for row in made if row.verdict.outcome is outcome]
