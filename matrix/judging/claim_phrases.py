"""Phrases of what the parts of a claim came to, and of what was not tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matrix.judging.words import NestedPhrase, Phrase, cell_id, python_of, release_name
from matrix.model.fact import Fact, FactKind

_NOWHERE = {
    "install": "can be installed on no CPython that was tried",
    "import": "can be installed and imported on no CPython that was tried",
    "start": "was seen to work on no CPython that was tried",
}


def _parts_fail(item: Fact, inner: Sequence[str]) -> str:
    others = item.facts[1:]
    also = ", ".join(
        f"{each.text('probe')}/{each.text('channel')} in {cell_id(each)}" for each in others
    )
    tail = f" Also: {also}." if also else ""
    return f"{item.text('failing')} of {item.text('count')} parts fail: {inner[0]}{tail}"


def _parts_open(item: Fact, inner: Sequence[str]) -> str:
    count = item.number("count")
    head = f"{item.text('open')} of {count} parts are open: " if count > 1 else ""
    return f"{head}[{item.text('probe')}, {item.text('channel')}] {' '.join(inner)}"


def _not_tested(item: Fact) -> str:
    holding = item.number("holding")
    head = "Not tested: "
    if holding:
        head = f"{holding} of {item.text('count')} parts hold, and not tested: "
    more = f" and {item.text('more')} more" if item.number("more") else ""
    details = "; ".join(item.texts("details"))
    subjects = ", ".join(item.texts("subjects"))
    return f"{head}{subjects}{more}{f' ({details})' if details else ''}"


def _usable_nowhere(item: Fact, inner: Sequence[str]) -> str:
    name = release_name(item.cell, "library")
    pythons = ", ".join(item.texts("pythons"))
    text = f"{name} {_NOWHERE[item.text('fails') or 'start']} ({pythons})"
    return f"{text}: {' '.join(inner)}" if item.facts else text


def _ruled_out(item: Fact, inner: Sequence[str]) -> str:
    name = release_name(item.cell, "library")
    return f"{name} is left out on CPython {python_of(item)}: {' '.join(inner)}"


PLAIN: Mapping[FactKind, Phrase] = {
    FactKind.NOT_RUN: lambda _: "It was not run.",
    FactKind.TIGHTNESS_OPEN: lambda _: (
        "not every part could tell whether the release before lacks it"
    ),
    FactKind.OMITTED: lambda item: f"{item.text('count')} left out: {item.text('reason')}",
    FactKind.ALSO_FAILS: lambda item: (
        f"{item.text('probe')}/{item.text('channel')} in {cell_id(item)}"
    ),
    FactKind.NOT_TESTED: _not_tested,
    FactKind.NOT_PLANNED: lambda _: "Nothing was planned for it.",
    FactKind.INDEX: lambda item: f"The package index: {item.text('text')}",
}
"""Phrases of facts that stand alone."""

NESTED: Mapping[FactKind, NestedPhrase] = {
    FactKind.NOTE: lambda item, inner: f"{cell_id(item)}: {' '.join(inner)}",
    FactKind.PART: lambda item, inner: (
        f"[{item.text('probe')}, {item.text('channel')}, {cell_id(item)}] {' '.join(inner)}"
    ),
    FactKind.PARTS_FAIL: _parts_fail,
    FactKind.PARTS_HOLD: lambda item, inner: (
        f"All {item.text('count')} parts hold, such as: {' '.join(inner)}"
    ),
    FactKind.PARTS_OPEN: _parts_open,
    FactKind.USABLE_NOWHERE: _usable_nowhere,
    FactKind.RULED_OUT: _ruled_out,
    FactKind.EXPERIMENTS: lambda _, inner: f"of the experiments: {' '.join(inner)}",
}
"""Phrases that contain those of the facts within a fact."""
