"""The list of the smoke profile's cells, which the nox sessions `cell(<id>)` are made from.

It is a file because `nox -l` must not need an index, nor any package but nox itself.
"""

from __future__ import annotations

from pathlib import Path

from matrix.model.plan import Plan
from matrix.system.paths import data_dir

__all__ = ["PROFILE", "smoke_list", "smoke_path"]

PROFILE = "smoke"


def smoke_path() -> Path:
    """Return where the list stands."""
    return data_dir() / "smoke.toml"


def smoke_list(plan: Plan) -> str:
    """Return the plan's cells to run as TOML; equal for equal plans."""
    cells = sorted((planned.cell for planned in plan.cells), key=lambda cell: cell.sort_key)
    return "\n".join(
        [
            "# made by: python -m matrix plan --write-smoke",
            "# `snapshot` is when the package index was read.",
            f"snapshot = {plan.snapshot:%Y-%m-%d}",
            "cells = [",
            *(f'  "{cell.id}",' for cell in cells),
            "]",
            "",
        ]
    )
