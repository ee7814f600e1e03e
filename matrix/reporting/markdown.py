"""A run as Markdown for a pull request or a step summary: what is refuted first, the rest counted.

GitHub drops a whole step summary above 1 MiB, and refuses a comment above 65,536 characters.
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands

A run as a badge: the endpoint file that shields.io reads.

https://shields.io/badges/endpoint-badge
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from matrix.model.reason import Reason
from matrix.model.verdict import Outcome
from matrix.reporting.diff import Direction, RunDiff, VerdictChange
from matrix.reporting.rows import VerdictRow, group_verdicts
from matrix.reporting.short_evidence import short_evidence
from matrix.reporting.text import (
    MARKS,
    count_text,
    load_reasons,
    outcome_text,
    place_text,
    promise_text,
    short_names,
)
from matrix.runs.record import Record


SUMMARY_BYTES = 1_000_000
"""Bytes: just below what a step summary may have."""
COMMENT_BYTES = 65_000
"""Bytes: just below what a comment may have, whatever its characters are."""
_EVIDENCE = 400
_CHANGES = 50
# The lines of a table before its rows.
_HEAD = 4
_TITLES = {
    Outcome.REFUTED: "Refuted",
    Outcome.CONFIRMED: "Confirmed",
    Outcome.UNVERIFIED: "Could not be checked",
}
_SPECIAL = str.maketrans({char: f"\\{char}" for char in "\\`*_{}[]()#+!|~"})
_ENTITIES = str.maketrans({"<": "&lt;", ">": "&gt;", "&": "&amp;"})


def render_markdown(
    record: Record, changed: RunDiff | None = None, *, most: int = SUMMARY_BYTES
) -> str:
    """Return the text, of at most `most` bytes; `changed` is since the run before.

    Where not every row fits, the last ones are counted in one line, confirmed ones before any that
    is refuted.
    """
    names = short_names(claim.document for claim in record.claims)
    answered = [
        verdict
        for verdict in record.verdicts
        if verdict.parts or verdict.outcome is Outcome.REFUTED
    ]
    rows = group_verdicts(answered, record.claim_by_id)
    end = "\n".join(_end(record))
    text = "\n".join([*_head(record), *(_changed(changed, names) if changed else ())]) + "\n"
    # Room for the line that counts what did not fit, whatever it says.
    room = most - _size(end) - 500
    left: dict[Outcome, int] = {}
    for outcome in (Outcome.REFUTED, Outcome.UNVERIFIED, Outcome.CONFIRMED):
        mine = [row for row in rows if row.verdict.outcome is outcome]
        table = list(_table(outcome, mine, names))
        fitting = _fitting(table, room - _size(text))
        shown = max(len(fitting) - _HEAD, 0)
        left[outcome] = len(mine) - shown
        if shown:
            text += "".join(fitting)
    return text + _did_not_fit(left) + end


def _fitting(lines: Iterable[str], room: int) -> list[str]:
    """Return the first of the lines, as many as there is room for."""
    kept = []
    for line in lines:
        room -= _size(line)
        if room < 0:
            break
        kept.append(line)
    return kept


def _size(text: str) -> int:
    return len(text.encode())


def _head(record: Record) -> Iterator[str]:
    counts = ", ".join(
        f"{MARKS[outcome]} **{record.count(outcome)} {outcome.value}**" for outcome in _TITLES
    )
    yield f"## {count_text(len(record.claims), 'promise')}: {counts}"
    yield ""
    if record.run.interrupted or record.run.lost:
        yield f"> The run did not come to its end. {_text(record.run.lost)}".rstrip()
        yield ""


def _table(outcome: Outcome, rows: Sequence[VerdictRow], names: Mapping[str, str]) -> Iterator[str]:
    """Yield the title and head of a table, `_HEAD` lines, then a line for each row."""
    yield f"\n### {_TITLES[outcome]}\n"
    yield "\n"
    yield "| verdict | promise | where | evidence |\n"
    yield "|---|---|---|---|\n"
    for row in rows:
        cells = (
            f"{MARKS[outcome]} {outcome_text(row.verdict)}",
            promise_text(*row.claims),
            place_text(row.claims, names),
            short_evidence(row, _EVIDENCE),
        )
        yield f"| {' | '.join(map(_text, cells))} |\n"


def _changed(found: RunDiff, names: Mapping[str, str]) -> Iterator[str]:
    told = [each for each in found.changes if each.direction is not Direction.OTHER]
    if not told:
        return
    yield f"### Since the run before: {count_text(len(told), 'promise')}"
    yield ""
    yield from (_change(each, names) for each in told[:_CHANGES])
    if len(told) > _CHANGES:
        yield f"- and {len(told) - _CHANGES} more"
    yield ""


def _change(change: VerdictChange, names: Mapping[str, str]) -> str:
    was, now = (
        outcome_text(side.verdict) if side else "not there"
        for side in (change.before, change.after)
    )
    claim = change.side.claim
    said = f"{promise_text(claim)} ({place_text([claim], names)}): {was} → {now}"
    return f"- **{change.direction.value}**: {_text(said)}"


def _did_not_fit(left: Mapping[Outcome, int]) -> str:
    words = [f"{count} {outcome.value}" for outcome, count in left.items() if count]
    return f"\n…and {', '.join(words)} that did not fit here.\n" if words else ""


def _end(record: Record) -> Iterator[str]:
    reasons: Counter[Reason] = Counter(
        verdict.reason for verdict in record.verdicts if verdict.reason is not None
    )
    yield ""
    if reasons:
        yield "<details><summary>Why promises could not be checked</summary>"
        yield ""
        yield "| promises | reason | what would tell |"
        yield "|---:|---|---|"
        for reason, count in reasons.most_common():
            told = load_reasons()[reason]
            yield f"| {count} | {_text(told.title)} | {_text(told.remedy)} |"
        yield ""
        yield "</details>"
        yield ""
    run = record.run
    yield (
        f"<sub>profile {_text(run.profile)}, {count_text(len(record.cells), 'cell')}, dependencies as of"
        f" {_text(run.as_of)}, started {_text(run.started)}, record {record.sha256[:12]}</sub>"
    )
    yield ""


def _text(text: str) -> str:
    """Return text that Markdown shows as it is, on one line, and that calls nobody."""
    shown = " ".join(text.split()).translate(_ENTITIES).translate(_SPECIAL)
    return shown.replace("@", "@<!-- -->")


def badge_to_json(record: Record) -> dict[str, Any]:
    """Return it as plain JSON values; green only where everything is confirmed."""
    counts = {outcome: record.count(outcome) for outcome in Outcome}
    whole = not record.run.interrupted and not record.run.lost
    if counts[Outcome.REFUTED]:
        color = "red"
    elif counts[Outcome.UNVERIFIED] or not whole or not record.claims:
        color = "yellow"
    else:
        color = "brightgreen"
    words = ", ".join(f"{count} {outcome.value}" for outcome, count in counts.items() if count)
    return {
        "schemaVersion": 1,
        "label": "promises",
        "message": (words or "none") + ("" if whole else " (interrupted)"),
        "color": color,
    }
