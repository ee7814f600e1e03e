"""One row for each CPython and target: is there an image, from where, and how to get it."""

from __future__ import annotations

import dataclasses
import fnmatch
import io
from collections.abc import Sequence
from typing import Any

from matrix.images.catalog import Listed
from matrix.images.source import Offer

__all__ = ["Row", "as_json", "can_be_made", "rows_of", "table_of"]

_WIDTH = 160


@dataclasses.dataclass(frozen=True)
class Row:
    """`state` is one of: ready, can be made, can be pulled, missing. `how` says how to get it.

    `source`, `name` and `id` are of the image that there is, or would be; `size` is in bytes.
    """

    python: str
    target: str
    platform: str
    state: str
    source: str
    name: str
    id: str
    size: int
    how: str


def rows_of(listed: Sequence[Listed], python: str, target: str) -> list[Row]:
    """Return the rows whose CPython and target match two globs, ascending."""
    groups: dict[tuple[str, str], list[Listed]] = {}
    for each in listed:
        groups.setdefault((each.offer.python, each.offer.target), []).append(each)
    keys = sorted(groups, key=lambda key: ([int(part) for part in key[0].split(".")], key[1]))
    return [
        _row(groups[key])
        for key in keys
        if fnmatch.fnmatchcase(key[0], python) and fnmatch.fnmatchcase(key[1], target)
    ]


def can_be_made(offer: Offer) -> bool:
    """Whether it needs no registry: the key of what is pulled is a name with a digest."""
    return not offer.obstacle and "@" not in offer.key


def _row(group: Sequence[Listed]) -> Row:
    ready = next((each for each in group if each.held), None)
    possible = next((each for each in group if not each.offer.obstacle), None)
    best = ready or possible or group[0]
    offer = best.offer
    if ready:
        state, how = "ready", ""
    elif possible:
        state = "can be made" if can_be_made(offer) else "can be pulled"
        every = "" if any(can_be_made(each.offer) for each in group) else " --all"
        only = f" --python {offer.python} --target {offer.target}"
        how = f"nox -s images -- build{every}{only}"
    else:
        state = "missing"
        ways = [": ".join(filter(None, (it.offer.obstacle, it.offer.remedy))) for it in group]
        how = "; or ".join(dict.fromkeys(ways))
    return Row(
        python=offer.python,
        target=offer.target,
        platform=offer.platform,
        state=state,
        source=offer.source,
        name=offer.name,
        id=best.held.id if best.held else "",
        size=best.held.size if best.held else 0,
        how=how,
    )


def as_json(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the document of the schema images/1."""
    return {"schema": "images/1", "images": [dataclasses.asdict(row) for row in rows]}


def table_of(rows: Sequence[Row]) -> list[str]:
    """Return the lines of a table, and how many there are of each state."""
    import rich.box  # noqa: PLC0415 - slow to import
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("CPython", "target", "state", "source", "image", "MB", "how to get it"):
        table.add_column(heading, justify="right" if heading == "MB" else "left", overflow="fold")
    for row in rows:
        size = f"{row.size / 1e6:.0f}" if row.size else ""
        source = "" if row.state == "missing" else row.source
        name = "" if row.state == "missing" else row.name
        table.add_row(row.python, row.target, row.state, source, name, size, row.how)
    sink = io.StringIO()
    Console(file=sink, width=_WIDTH, color_system=None).print(table)
    counts = {row.state: 0 for row in rows}
    for row in rows:
        counts[row.state] += 1
    total = ", ".join(f"{count} {state}" for state, count in counts.items())
    return [*(line.rstrip() for line in sink.getvalue().splitlines()), total]
