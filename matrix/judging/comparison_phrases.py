"""Phrases of what controls and other releases showed beside a cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matrix.judging.words import NestedPhrase, Phrase, cell_id, named, python_of, release_name
from matrix.model.fact import Fact, FactKind


def _because(item: Fact, inner: Sequence[str]) -> str:
    return ", ".join(filter(None, (item.text("reason"), " ".join(inner))))


def _beyond(item: Fact) -> str:
    return {"present": "shows it too", "absent": "does not show it"}.get(
        item.text("shows"), f"cannot tell ({item.text('reason') or 'unknown'})"
    )


def _beyond_promise(item: Fact) -> str:
    ways = (
        ("present", "it shows in ddtrace"),
        ("absent", "it does not show in ddtrace"),
        ("unknown", "it cannot be told of ddtrace"),
    )
    found = (f"{words} {' and '.join(item.texts(key))}" for key, words in ways if item.texts(key))
    return f"beyond what the page promises: {', '.join(found)}"


def _shows(item: Fact) -> str:
    return "shows it" if item.text("shows") == "present" else "does not show it"


def _gap(item: Fact) -> str:
    between = "between them was not tried"
    if item.number("tried"):
        between = "of what lies between nothing is known"
    return f" ({release_name(item.cell, 'library')} does not; {between})"


def _app_untested(item: Fact) -> str:
    return (
        f"{item.text('stimulus')!r} was answered {item.text('answers')},"
        f" not {item.text('expected')}. Nobody knows whether the app works by itself: with the"
        f" feature off ({item.text('control')}) it was not asked."
    )


def _holds_in(item: Fact) -> str:
    lowest, highest = item.text("lowest"), item.text("highest")
    releases = f"from ddtrace {lowest} to {highest}"
    if lowest == highest:
        releases = f"in ddtrace {lowest}"
    again = ", ".join(item.texts("again"))
    return (
        f"With {release_name(item.cell, 'library')} it was seen to hold {releases}"
        f"{f', again in {again}' if again else ''}; the lowest seen to fail above is"
        f" {item.text('fails')}."
    )


def _search_end(item: Fact) -> str:
    assert item.cell is not None  # noqa: S101 - facts on releases have a cell
    cell = item.cell
    as_of = f" --as-of {cell.as_of}" if cell.as_of else ""
    return (
        f"the exact end with {release_name(cell, 'library')}:"
        f" python -m matrix minimum {item.text('subject')} --channel {item.text('channel')}"
        f" --framework {cell.framework}=={cell.framework_version} --python {cell.python}"
        f" --target {cell.target} --since {item.text('lowest')} --until {item.text('fails')}"
        f"{as_of} --upper"
    )


def _no_control(_: Fact, inner: Sequence[str]) -> str:
    compared = "; ".join(inner)
    found = compared or "none was there to compare with"
    return f"No release compared with shows it either ({found})."


def _control_works(item: Fact) -> str:
    release = named(item.facts[0])
    return (
        f"{named(item)} works in the same environment: {release} is not usable there, which says"
        " nothing of the capability."
    )


def _lowest(item: Fact) -> str:
    gap = "".join(map(_gap, item.facts))
    how = "seen to install" if gap else "that installs"
    name = release_name(item.cell, "library")
    return f"The lowest {how} on CPython {python_of(item)} is {name}, which {_shows(item)}{gap}."


def _newest_lacks(item: Fact, inner: Sequence[str]) -> str:
    return (
        f"holds at the minimum ({item.text('minimum')}) and not in the newest release compared"
        f" ({cell_id(item)}): {_because(item, inner)}"
    )


def _other_outside(item: Fact) -> str:
    spans = ", ".join(item.texts("spans"))
    if not spans:
        return "Outside of the deployment it does not show."
    return f"Outside of the deployment the app answers without the spans {spans}."


PLAIN: Mapping[FactKind, Phrase] = {
    FactKind.SILENT_OUTSIDE: lambda _: (
        "Without what makes the deployment the app answers, and nothing arrives at the agent."
    ),
    FactKind.OTHER_OUTSIDE: _other_outside,
    FactKind.ARRIVES_OUTSIDE: lambda item: (
        "Without what makes the deployment, too, something arrives at the agent"
        f" ({item.text('count')} requests): the deployment had no part in it."
    ),
    FactKind.NOTHING_WITHOUT_FEATURE: lambda _: "With the feature off it does not show.",
    FactKind.CONTROL_SILENT: lambda item: (
        f"With the feature off ({item.text('control')}) nothing can be told:"
        f" {', '.join(item.texts('clauses'))}."
    ),
    FactKind.APP_FAILS_WITHOUT_FEATURE: lambda item: (
        f"The app itself fails: with the feature off ({item.text('control')})"
        f" {item.text('stimulus')!r} was answered {item.text('answers')},"
        f" not {item.text('expected')}."
    ),
    FactKind.APP_UNTESTED_WITHOUT_FEATURE: _app_untested,
    FactKind.OTHER_WORKS: lambda item: f"{named(item)} works in the same environment.",
    FactKind.HOLDS_IN: _holds_in,
    FactKind.LIBRARY_MISSING: lambda item: (
        f"The wheel {item.text('wheel')} (sha256 {item.text('sha256')}) has no"
        f" {item.text('library')} for {item.text('machine')}."
    ),
    FactKind.SEARCH_END: _search_end,
    FactKind.RELEASE_BEFORE: lambda item: (
        f"{named(item)}, the release before,"
        f" {'already shows it' if item.text('shows') == 'present' else 'does not show it'}."
    ),
    FactKind.RELEASE_ABOVE: lambda item: (
        f"{named(item)}, the first above the range, {_beyond(item)}."
    ),
    FactKind.CONTROL_WORKS: _control_works,
    FactKind.SEEN_NOWHERE: lambda item: (
        f"The probe saw nothing in {', '.join(item.texts('cells')) or 'any other cell'} either."
    ),
    FactKind.SEEN_IN: lambda item: f"The same probe does see it in {cell_id(item)}.",
    FactKind.BEYOND_PROMISE: _beyond_promise,
    FactKind.CHOICE: lambda item: f"({item.text('text')})",
    FactKind.WORKS_ON_PYTHON: lambda item: (
        f"On CPython {python_of(item)} it does, and {_shows(item)}."
    ),
    FactKind.LOWEST_USABLE: _lowest,
    FactKind.GAP: _gap,
    FactKind.NO_LATER_USABLE: lambda item: (
        f"No later release that was tried does on CPython {python_of(item)}"
        f" ({', '.join(item.texts('versions'))})."
    ),
    FactKind.NEWEST_WITH: lambda item: f"the newest release seen to have it is {named(item)}",
}
"""Phrases of facts that stand alone."""

NESTED: Mapping[FactKind, NestedPhrase] = {
    FactKind.SHOWS_WITHOUT_FEATURE: lambda item, inner: (
        f"It also shows with the feature off ({item.text('control')}): {'; '.join(inner)}."
    ),
    FactKind.CONTROL_FAILED: lambda item, inner: (
        f"With the feature off ({item.text('control')}) nothing can be told: {' '.join(inner)}"
    ),
    FactKind.SAME_OUTSIDE: lambda _, inner: (
        f"Without what makes the deployment it shows the same: {' '.join(inner)}"
    ),
    FactKind.OUTSIDE_FAILED: lambda _, inner: (
        f"Without what makes the deployment it could not be tried: {' '.join(inner)}"
    ),
    FactKind.NOTHING_BARE: lambda _, inner: (
        f"Without ddtrace it does not show; its switch is no control here: {' '.join(inner)}"
        if inner
        else "Without ddtrace it does not show."
    ),
    FactKind.WORKS_BARE: lambda item, inner: (
        f"Without ddtrace it works ({'; '.join(inner)})."
        if item.facts
        else "Without ddtrace it works."
    ),
    FactKind.APP_FAILS_BARE: lambda _, inner: (
        f"It fails without ddtrace as well: {' '.join(inner)}"
    ),
    FactKind.COMPARED: lambda item, inner: f"{named(item)}: {_because(item, inner)}",
    FactKind.NO_CONTROL_SHOWS: _no_control,
    FactKind.NEWEST_LACKS: _newest_lacks,
    FactKind.CONTROL_UNUSABLE: lambda item, inner: (
        f"{cell_id(item)} could not serve as the positive control: {_because(item, inner)}"
    ),
}
"""Phrases that contain those of the facts within a fact."""
