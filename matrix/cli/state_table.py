"""Output of the commands that list what exists and what is missing: a table or JSON.

Each row has a state, such as `ready` or `missing`; the last line counts the rows of each state.
"""

from __future__ import annotations

import argparse
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from matrix.cli.common import to_stdout
from matrix.reporting.json import write_text_json

_WIDTH = 160


def add_action(parser: argparse.ArgumentParser, action: str) -> None:
    """Declare what to do: to list, which is the default, to refresh, or the `action`."""
    parser.add_argument(
        "action",
        nargs="?",
        choices=["list", action, "refresh"],
        default="list",
        help="what to do (default: list)",
    )


def show_rows(
    json_path: Path | None, name: str, rows: Sequence[Mapping[str, Any]], lines: Iterable[str]
) -> None:
    """Write the rows as JSON (schema `name`/1) where a path is given.

    The lines are printed unless the JSON goes to standard output.
    """
    if json_path is not None:
        write_text_json(json_path, {"schema": f"{name}/1", name: rows})
    if not to_stdout(json_path):
        for line in lines:
            print(line)


def state_table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], states: Iterable[str], right: str = ""
) -> list[str]:
    """Return the lines of a table, then the number of rows in each state.

    The column `right` is aligned to the right.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading == right else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    output = io.StringIO()
    Console(file=output, width=_WIDTH, color_system=None).print(table)
    counts = ", ".join(f"{count} {state}" for state, count in Counter(states).items())
    return [*(line.rstrip() for line in output.getvalue().splitlines()), counts]
