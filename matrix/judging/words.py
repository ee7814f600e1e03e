"""Words that the phrases of all facts share: releases, cells, and text of somebody else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from matrix.model.cell import Cell
from matrix.model.fact import Fact

Phrase: TypeAlias = Callable[[Fact], str]
"""The text of a fact that stands alone."""

NestedPhrase: TypeAlias = Callable[[Fact, Sequence[str]], str]
"""The text of a fact, given the sentences of the facts within it."""

_LONGEST = 300


def one_line(text: str) -> str:
    """Return a text on one line, only its end where it is too long."""
    flat = " ".join(text.split())
    return flat if len(flat) <= _LONGEST else f"... {flat[-_LONGEST:]}"


def as_sentence(text: str) -> str:
    """Return a text of somebody else as one sentence."""
    flat = one_line(text) or "nothing was said"
    return f"{capital(flat)}{'' if flat[-1] in '.!?' else '.'}"


def capital(text: str) -> str:
    """Return a text with a capital first letter."""
    return text[:1].upper() + text[1:]


def release_name(cell: Cell | None, by: str) -> str:
    """Return a release by what it differs in: `ddtrace 1.9.0`, `redis 2.6.0`, or both."""
    assert cell is not None  # noqa: S101 - facts on releases have a cell
    library = f"{cell.framework} {cell.framework_version}"
    return {
        "tracer": f"ddtrace {cell.ddtrace}",
        "library": library,
        "both": f"{library} with ddtrace {cell.ddtrace}",
    }[by]


def named(item: Fact) -> str:
    """Return the release of a fact, by what it differs in."""
    return release_name(item.cell, item.text("by"))


def cell_id(item: Fact) -> str:
    """Return the id of a fact's cell, "" without one."""
    return item.cell.id if item.cell else ""


def python_of(item: Fact) -> str:
    """Return the CPython of a fact's cell, "" without one."""
    return item.cell.python if item.cell else ""


def target_of(item: Fact) -> str:
    """Return the target of a fact's cell, "" without one."""
    return item.cell.target if item.cell else ""
