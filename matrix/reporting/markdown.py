"""A run as Markdown for a pull request or a step summary, and as a badge for shields.io.

GitHub drops a step summary above 1 MiB, and refuses a comment above 65,536 characters.
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
https://shields.io/badges/endpoint-badge
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from matrix.model.verdict import Outcome
from matrix.reporting.diff import RunDiff, VerdictChange
from matrix.reporting.rows import WORST_FIRST, VerdictRow, short_evidence
from matrix.reporting.summary import (
    broken_rows,
    document_lines,
    document_names,
    headline,
    outcome_counts,
    reason_summaries,
    unasked_text,
    verdict_rows,
)
from matrix.reporting.text import (
    MARKS,
    claim_lines,
    count_text,
    load_reasons,
    outcome_text,
    promise_text,
)
from matrix.runs.record import Record
from matrix.system.visible import shown, visible

SUMMARY_BYTES = 1_000_000
"""Bytes, just below the limit of a step summary."""
COMMENT_BYTES = 65_000
"""Bytes, just below the limit of a comment, whatever its characters are."""
_EVIDENCE = 400
_TEXT = 1000
_CHANGES = 50
_BROKEN = 20
# The number of lines of a table before its rows.
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
    """Return the text, of at most `most` bytes; `changed` is the diff to the run before.

    Where not all rows fit, the last ones are counted in one line: confirmed ones before refuted.
    """
    record, changed = shown((record, changed), _TEXT)
    names = document_names(record)
    rows = verdict_rows(record)
    end = "\n".join(_end(record))
    text = "\n".join([*_head(record), *(_changed(changed, names) if changed else ())]) + "\n"
    # Room for the line that counts the rows that do not fit.
    room = most - _size(end) - 500
    left: dict[Outcome, int] = {}
    for outcome in WORST_FIRST:
        of_outcome = [row for row in rows if row.verdict.outcome is outcome]
        table = list(_table(outcome, of_outcome, names))
        fitting = _fitting(table, room - _size(text))
        fit = max(len(fitting) - _HEAD, 0)
        left[outcome] = len(of_outcome) - fit
        if fit:
            text += "".join(fitting)
    if omitted := [f"{count} {outcome.value}" for outcome, count in left.items() if count]:
        text += f"\n…and {', '.join(omitted)} that did not fit here.\n"
    return text + end


def _fitting(lines: Iterable[str], room: int) -> list[str]:
    """Return the first lines, as many as there is room for."""
    fitting = []
    for line in lines:
        room -= _size(line)
        if room < 0:
            break
        fitting.append(line)
    return fitting


def _size(text: str) -> int:
    return len(text.encode())


def _head(record: Record) -> Iterator[str]:
    counts = ", ".join(
        f"{MARKS[outcome]} **{count} {outcome.value}**"
        for outcome, count in outcome_counts(record).items()
    )
    rest = f"; {unasked}" if (unasked := unasked_text(record)) else ""
    yield f"## {headline(record)}: {counts}{rest}"
    yield ""
    if record.run.interrupted or record.run.lost:
        yield f"> The run did not come to its end. {_text(record.run.lost)}".rstrip()
        yield ""


def _table(outcome: Outcome, rows: Sequence[VerdictRow], names: Mapping[str, str]) -> Iterator[str]:
    """Yield `_HEAD` lines with the title and head of a table, then a line for each row."""
    yield f"\n### {_TITLES[outcome]}\n"
    yield "\n"
    yield "| verdict | claim | where | evidence |\n"
    yield "|---|---|---|---|\n"
    for row in rows:
        cells = (
            f"{MARKS[outcome]} {outcome_text(row.verdict)}",
            promise_text(*row.claims),
            claim_lines(row.claims, names),
            short_evidence(row, _EVIDENCE),
        )
        yield f"| {' | '.join(map(_text, cells))} |\n"


def _changed(diff: RunDiff, names: Mapping[str, str]) -> Iterator[str]:
    if not (changes := diff.notable):
        return
    yield f"### Since the run before: {count_text(len(changes), 'claim')}"
    yield ""
    yield from (_change(each, names) for each in changes[:_CHANGES])
    if len(changes) > _CHANGES:
        yield f"- and {len(changes) - _CHANGES} more"
    yield ""


def _change(change: VerdictChange, names: Mapping[str, str]) -> str:
    was, now = change.words
    claim = change.side.claim
    text = f"{promise_text(claim)} ({claim_lines([claim], names)}): {was} → {now}"
    return f"- **{change.direction.value}**: {_text(text)}"


def _broken(record: Record) -> Iterator[str]:
    """Yield what the tracer breaks, with the commands that show it by hand."""
    broken = broken_rows(record)
    if not broken:
        return
    yield "### Broken by the tracer, and how to see it by hand"
    yield ""
    for breakage, _ in broken[:_BROKEN]:
        yield f"- {_text(breakage.line)}: {' and '.join(f'`{it}`' for it in breakage.commands)}"
    if len(broken) > _BROKEN:
        yield f"- and {len(broken) - _BROKEN} more"
    yield ""


def _end(record: Record) -> Iterator[str]:
    yield ""
    yield from _broken(record)
    reasons = reason_summaries(record)
    if reasons:
        yield "<details><summary>Why claims could not be checked</summary>"
        yield ""
        yield "| claims | reason | what would tell |"
        yield "|---:|---|---|"
        for each in reasons:
            texts = load_reasons()[each.reason]
            yield f"| {each.claims} | {_text(texts.title)} | {_text(texts.remedy)} |"
        yield ""
        yield "</details>"
        yield ""
    for line in document_lines(record):
        yield f"- {_text(line)}"
    yield ""
    run = record.run
    cells = count_text(len(record.cells), "cell")
    yield (
        f"<sub>profile {_text(run.profile)}, {cells}, dependencies as of {_text(run.as_of)},"
        f" started {_text(run.started)}, record {record.sha256[:12]}</sub>"
    )
    yield ""


def _text(text: str) -> str:
    """Return text on one line that Markdown shows as it is, and that mentions no user."""
    plain = " ".join(visible(text).split()).translate(_ENTITIES).translate(_SPECIAL)
    return plain.replace("@", "@<!-- -->").replace("::", "\\:\\:")


def badge_to_json(record: Record) -> dict[str, Any]:
    """Return the badge as plain JSON values; green only where everything is confirmed."""
    counts = {outcome: record.count(outcome) for outcome in Outcome}
    complete = not record.run.interrupted and not record.run.lost
    if counts[Outcome.REFUTED]:
        color = "red"
    elif counts[Outcome.UNVERIFIED] or record.shaped() or not complete or not record.claims:
        color = "yellow"
    else:
        color = "brightgreen"
    message = ", ".join(f"{count} {outcome.value}" for outcome, count in counts.items() if count)
    return {
        "schemaVersion": 1,
        "label": "promises",
        "message": (message or "none") + ("" if complete else " (interrupted)"),
        "color": color,
    }
