"""One row for each back end: what would be used, or why there is none and how to get it."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from typing import Any

from matrix.probes import load_probes
from matrix.reporting.back_ends import users_of
from matrix.services.pool import Services

__all__ = ["Row", "as_json", "rows_of", "table_of"]

_WIDTH = 160


@dataclasses.dataclass(frozen=True)
class Row:
    """`state` is one of: available, missing. `how` says how to get what is missing.

    `kind`, `source` and `version` are of what would be used, empty where there is nothing. `users`
    are the libraries that are tried against it.
    """

    name: str
    title: str
    state: str
    kind: str
    source: str
    version: str
    how: str
    users: tuple[str, ...] = ()


def rows_of(services: Services) -> list[Row]:
    """Return a row for each service that is known; nothing is started."""
    rows = []
    users = users_of(load_probes().values())
    for name in services.recipes.by_name:
        state = services.state(name)
        identity = state.identity
        rows.append(
            Row(
                name=name,
                title=state.recipe.title,
                state="available" if identity else "missing",
                kind=identity.kind.value if identity else "",
                source=identity.source if identity else "",
                version=identity.version if identity else "",
                how="" if identity else f"{state.why}: {state.remedy}",
                users=users.get(name, ()),
            )
        )
    return rows


def as_json(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the document of the schema services/1."""
    return {"schema": "services/1", "services": [dataclasses.asdict(row) for row in rows]}


def table_of(rows: Sequence[Row]) -> list[str]:
    """Return the lines of a table, and how many there are of each state."""
    import rich.box  # noqa: PLC0415 - slow to import
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("service", "state", "kind", "source", "version", "for", "how to get it"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(
            row.name, row.state, row.kind, row.source, row.version, ", ".join(row.users), row.how
        )
    sink = io.StringIO()
    Console(file=sink, width=_WIDTH, color_system=None).print(table)
    counts = {row.state: 0 for row in rows}
    for row in rows:
        counts[row.state] += 1
    total = ", ".join(f"{count} {state}" for state, count in counts.items())
    return [*(line.rstrip() for line in sink.getvalue().splitlines()), total]
