"""Facts: the evidence of a finding or a verdict, as data.

Only `matrix.judging.sentences` turns facts into sentences; nothing parses these.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from matrix.model.cell import Cell
from matrix.model.validate import text

Value = str | int | tuple[str, ...]


class FactKind(str, enum.Enum):
    """Kinds of facts; the comments name the values that a fact of the kind has."""

    TEXT = "text"  # text: words of a tool, of the tracer, or of a file that has no facts
    # Of one process.
    OBSERVED = "observed"  # text: what a piece of evidence matched, or missed
    STIMULUS = "stimulus"  # stimulus, tried (0 where it showed): facts are OBSERVED
    SHOWED = "showed"  # facts are STIMULUS
    LACKED = "lacked"  # facts are STIMULUS
    SHOWED_NOTHING = "showed-nothing"  # stimulus, text: one that does not decide
    NOT_SENT = "not-sent"  # stimulus
    NO_ANSWER = "no-answer"  # stimulus, error ("" where the process was gone)
    PROCESS_DIED = "process-died"  # code (None where unknown), detail
    DIED_AFTER_PROBE = "died-after-probe"  # facts: PROCESS_DIED
    SOAK_CRASHED = "soak-crashed"  # setting, sent (requests): facts: PROCESS_DIED
    PREVIEW_PYTHON = "preview-python"  # python: the full version of the cell's CPython
    SHOWS_UNDOCUMENTED = "shows-undocumented"  # channels: where this one lacks it
    NOT_STARTED = "not-started"  # detail, last_words
    # Of one cell.
    CELL_FAILED = "cell-failed"  # detail
    NOT_BUILT = "not-built"  # requirement: facts: SYSTEM_FILE_MISSING, or a TEXT with the cause
    # module, and either error (the exception) with companion (the other package that lacks what is
    # imported, or ""), or facts: SYSTEM_FILE_MISSING
    NOT_IMPORTED = "not-imported"
    # name, of (shared, header, tool, link, pkgconfig), packages (Debian's, empty where unknown)
    SYSTEM_FILE_MISSING = "system-file-missing"
    NO_PROCESS = "no-process"
    NO_IDENTITY = "no-identity"
    WRONG_INSTALL = "wrong-install"  # name, installed ("" where it is missing), requested
    NOT_CONTAINED = "not-contained"
    PROBE_NOT_SENT = "probe-not-sent"
    REPEATS_AGREE = "repeats-agree"  # count
    REPEATS_DIFFER = "repeats-differ"  # counts, such as `2 x present`
    # Of a negative control; `control` is its setting.
    NOTHING_WITHOUT_FEATURE = "nothing-without-feature"
    SHOWS_WITHOUT_FEATURE = "shows-without-feature"  # control: facts: STIMULUS
    CONTROL_FAILED = "control-failed"  # control: facts: what failed
    CONTROL_SILENT = "control-silent"  # control, clauses
    APP_FAILS_WITHOUT_FEATURE = "app-fails-without-feature"  # control, stimulus, answers, expected
    APP_UNTESTED_WITHOUT_FEATURE = "app-untested-without-feature"  # likewise
    # Of the control of a place: the app outside of it.
    SILENT_OUTSIDE = "silent-outside"
    OTHER_OUTSIDE = "other-outside"  # spans: names of those in the place only, if any
    SAME_OUTSIDE = "same-outside"  # facts: what showed outside
    ARRIVES_OUTSIDE = "arrives-outside"  # count (requests to the agent)
    OUTSIDE_FAILED = "outside-failed"  # facts: why
    # Of the bare control: the app without the tracer.
    NOTHING_BARE = "nothing-bare"  # facts: how the switch of tracing failed as a control, if it ran
    ANSWERED = "answered"  # stimulus, answer, expected ("" where it is the expected one)
    BREAKS_APP = "breaks-app"  # way, count, tracing_off (fails, works, unknown): facts of one
    WORKS_BARE = "works-bare"  # facts: ANSWERED
    # Of processes that a signal killed, with the feature and with it off (`off_died` of
    # `off_count`); `subject` is what they did. Facts: CRASHES_THERE.
    CRASHES_COUNTED = "crashes-counted"  # subject, setting, died, count, off_died, off_count
    CRASHES_THERE = "crashes-there"  # cell, by, died, count: at another release
    APP_FAILS_BARE = "app-fails-bare"  # facts: NOT_STARTED, ANSWERED or NOT_SENT
    # Of a part. `by` tells by what a cell differs: `tracer`, `library`, or `both`.
    RELEASE = "release"  # cell, by: facts are the finding's
    RELEASE_BEFORE = "release-before"  # cell, by, shows
    RELEASE_ABOVE = "release-above"  # cell, by, shows, reason
    CONTROL_SHOWS = "control-shows"  # cell, by: facts are the control's
    EARLIER_SHOWS = "earlier-shows"  # likewise: an earlier release has it
    LIBRARY_MISSING = "library-missing"  # cell, wheel, sha256, library, machine
    SHOWS_OUTSIDE = "shows-outside"  # cell: outside of the place; facts are the finding's
    LACKS_OUTSIDE = "lacks-outside"  # likewise, where it does not show
    SHOWS_BESIDE = "shows-beside"  # cell: on another target; facts are the finding's
    COMPARED = "compared"  # cell, by, reason: facts are the finding's
    NO_CONTROL_SHOWS = "no-control-shows"  # facts are COMPARED
    OTHER_WORKS = "other-works"  # cell, by: another release, where this one breaks the app
    HOLDS_IN = "holds-in"  # cell, lowest, highest, fails, again: releases seen, see judging.ranges
    SEARCH_END = "search-end"  # cell, subject, channel, lowest, fails: a search between the two
    CONTROL_WORKS = "control-works"  # cell, by: facts: RELEASE of the one that does not
    SHOWS_THOUGH_DENIED = "shows-though-denied"  # cell, by, channel: facts are the finding's
    SEEN_NOWHERE = "seen-nowhere"  # cells: the controls' ids
    SEEN_WHEN_ENABLED = "seen-when-enabled"  # cell, channel: facts are the control's
    SEEN_IN = "seen-in"  # cell
    SEEN_OUTSIDE = "seen-outside"  # cell: outside of its place; facts are what showed
    CHOICE = "choice"  # text: why a release stands for the one that is written
    WORKS_ON_PYTHON = "works-on-python"  # cell, shows
    LOWEST_USABLE = "lowest-usable"  # cell, shows: facts: GAP
    GAP = "gap"  # cell (the last that fails), tried
    NO_LATER_USABLE = "no-later-usable"  # cell, versions
    NOT_RUN = "not-run"
    # Beside an answer.
    NOTE = "note"  # cell: facts: what was noted of it
    NEWEST_LACKS = "newest-lacks"  # cell, minimum (id), reason: facts are the finding's
    BEYOND_PROMISE = "beyond-promise"  # cell, present, absent, unknown: later majors, not promised
    NEWEST_WITH = "newest-with"  # cell, by
    CONTROL_UNUSABLE = "control-unusable"  # cell, reason: facts are the finding's
    TIGHTNESS_OPEN = "tightness-open"
    OMITTED = "omitted"  # count, reason
    # Of a claim.
    PART = "part"  # cell, probe, channel: facts are the part's
    ALSO_FAILS = "also-fails"  # cell, probe, channel
    PARTS_FAIL = "parts-fail"  # failing, count: facts: PART, then ALSO_FAILS
    PARTS_HOLD = "parts-hold"  # count: facts are those of one part
    PARTS_OPEN = "parts-open"  # open, count, probe, channel: facts are those of one part
    NOT_TESTED = "not-tested"  # holding, count, subjects, more, details
    NOT_PLANNED = "not-planned"
    # cell, pythons, fails (install, import or start: what it did on none of them): facts are those
    # of one finding
    USABLE_NOWHERE = "usable-nowhere"
    RULED_OUT = "ruled-out"  # cell: facts are those of its finding
    INDEX = "index"  # text: what the package index says
    EXPERIMENTS = "experiments"  # facts: what the experiments say, beside the index


# Values that hold ids of cells, and kinds that name a cell's library, or its CPython.
_CELL_VALUES = frozenset({"cells", "minimum"})
_LIBRARY_KINDS = frozenset(
    {
        FactKind.GAP,
        FactKind.HOLDS_IN,
        FactKind.LOWEST_USABLE,
        FactKind.RULED_OUT,
        FactKind.SEARCH_END,
        FactKind.USABLE_NOWHERE,
    }
)
_PYTHON_KINDS = frozenset(
    {FactKind.LOWEST_USABLE, FactKind.NO_LATER_USABLE, FactKind.RULED_OUT, FactKind.WORKS_ON_PYTHON}
)


@dataclasses.dataclass(frozen=True)
class Fact:
    """One fact: its kind, the cell that it is about (or None), its values, and facts within it."""

    kind: FactKind
    cell: Cell | None = None
    values: tuple[tuple[str, Value], ...] = ()
    facts: tuple[Fact, ...] = ()

    def text(self, name: str) -> str:
        """Return a value as text, "" where it is not set."""
        return str(dict(self.values).get(name, ""))

    def number(self, name: str) -> int:
        """Return a number, 0 where it is not set; raise ValueError where it is none."""
        value = dict(self.values).get(name, 0)
        return int(value) if isinstance(value, (int, str)) else 0

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts, empty where it is not set."""
        value = dict(self.values).get(name, ())
        return value if isinstance(value, tuple) else (str(value),)

    def across_cells(self) -> Fact:
        """Return the fact with the releases of its cells in place of the cells.

        Results are equal for facts that say the same about different cells.
        """
        values = [(name, value) for name, value in self.values if name not in _CELL_VALUES]
        if self.cell is not None:
            by = self.text("by")
            if by in {"tracer", "both"}:
                values.append(("ddtrace", self.cell.ddtrace))
            if by in {"library", "both"} or self.kind in _LIBRARY_KINDS:
                values.append((self.cell.framework, self.cell.framework_version))
            if self.kind in _PYTHON_KINDS:
                values.append(("python", self.cell.python))
        facts = tuple(inner.across_cells() for inner in self.facts)
        return Fact(self.kind, None, tuple(values), facts)

    def to_json(self) -> dict[str, Any]:
        """Return the fact as plain JSON values, without empty ones."""
        data: dict[str, Any] = {"kind": self.kind.value}
        if self.cell is not None:
            data["cell"] = self.cell.id
        if self.values:
            data["values"] = {
                name: list(value) if isinstance(value, tuple) else value
                for name, value in self.values
            }
        if self.facts:
            data["facts"] = facts_to_json(self.facts)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fact:
        """Return the fact that `to_json` wrote; raise ValueError, KeyError or TypeError."""
        return cls(
            FactKind(data["kind"]),
            Cell.parse(data["cell"]) if "cell" in data else None,
            tuple((text(name), _value(value)) for name, value in data.get("values", {}).items()),
            facts_from_json(data.get("facts", ())),
        )


def fact(
    kind: FactKind, cell: Cell | None = None, *, facts: Iterable[Fact] = (), **values: Value
) -> Fact:
    """Return a fact with these values."""
    return Fact(kind, cell, tuple(values.items()), tuple(facts))


def text_facts(sentence: str) -> tuple[Fact, ...]:
    """Return the facts for evidence that exists as text only, none for ""."""
    return (fact(FactKind.TEXT, text=sentence),) if sentence else ()


def facts_to_json(facts: Iterable[Fact]) -> list[dict[str, Any]]:
    """Return facts as plain JSON values."""
    return [item.to_json() for item in facts]


def facts_from_json(data: Iterable[Mapping[str, Any]]) -> tuple[Fact, ...]:
    """Return the facts that `facts_to_json` wrote; raise ValueError, KeyError or TypeError."""
    return tuple(map(Fact.from_json, data))


def stored_facts(data: Mapping[str, Any]) -> tuple[Fact, ...]:
    """Return the facts of a stored finding or verdict; for one without facts, its text.

    Raises ValueError, KeyError or TypeError.
    """
    if "facts" in data:
        return facts_from_json(data["facts"])
    return text_facts(text(data["evidence"]))


def stored_asides(data: Mapping[str, Any], kind: Literal["note", "remark"]) -> tuple[Fact, ...]:
    """Return the notes of a stored finding or the remarks of a verdict, as `stored_facts` does."""
    if f"{kind}_facts" in data:
        return facts_from_json(data[f"{kind}_facts"])
    return tuple(item for aside in data[f"{kind}s"] for item in text_facts(text(aside)))


def _value(value: Any) -> Value:  # noqa: ANN401 - any JSON value
    if isinstance(value, bool) or not isinstance(value, (str, int, list)):
        raise TypeError(f"{value!r} is not a value of a fact")
    return tuple(map(text, value)) if isinstance(value, list) else value
