"""A verdict's evidence in one short sentence: the fact that decides with its cell, then the rest.

The whole of it stands in the JSON. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from matrix.judging.fallbacks import NOWHERE
from matrix.model.cell import Cell
from matrix.model.service import against
from matrix.model.verdict import Outcome, PartVerdict, Verdict
from matrix.reporting.rows import VerdictRow
from matrix.reporting.text import shorten

__all__ = ["plain", "tell"]

_CLAUSES = 3
# Where a sentence of evidence ends and the next one begins.
_SENTENCE = re.compile(r"(?<=[.)]) (?=[A-Z]|ddtrace \d)")
_NOISE = (
    (re.compile(r" \((\d+) of \1\)"), ""),  # all repeats agree
    (re.compile(r", \d+ tried"), ""),
    # The host, port and data of one process of the app, which are other ones in the next run.
    (re.compile(r"http://127\.0\.0\.1:\d+(/s[0-9a-f]{15})?"), ""),
)
_OFF = "With the feature off it does not show."
_LABEL = re.compile(r"(?:ddtrace [\w.]+: )?([A-Z][\w-]*): ")


def tell(row: VerdictRow, most: int) -> str:
    """Return the sentence, of at most `most` characters."""
    verdict = row.verdict
    part = _deciding(verdict)
    if part is None or NOWHERE in verdict.evidence:
        return shorten(verdict.evidence, most)
    # What it rests on is never left out.
    count = _count(row) + _against(row)
    cell = part.cells[0]
    asked = Cell.parse(cell)
    said = plain(part.evidence)
    said = said.removeprefix(f"{asked.framework} {asked.framework_version} with ")
    said = said.removeprefix(f"ddtrace {asked.ddtrace}: ")
    sentences = list(_sentences(said))
    left = most - len(count)
    while len(sentences) > 1 and len(" ".join([f"{cell}:", *sentences])) > left:
        # The control with the feature off goes first: nothing is confirmed without it.
        sentences.pop(next((n for n, item in enumerate(sentences) if item == _OFF), -1))
    return shorten(" ".join([f"{cell}:", *sentences]), left) + count


def plain(text: str) -> str:
    """Return the text without what only some runs or some repeats tell."""
    for pattern, instead in _NOISE:
        text = pattern.sub(instead, text)
    return text


def _deciding(verdict: Verdict) -> PartVerdict | None:
    """Return the part that the verdict is about; None where what was left out decides."""
    for part in verdict.parts:
        if part.outcome is verdict.outcome and part.reason is verdict.reason and part.cells:
            return part
    return None


def _sentences(text: str) -> Iterator[str]:
    """Yield the sentences, each once, without what the one before has said already."""
    seen: set[str] = set()
    labels: set[str] = set()
    for sentence in _SENTENCE.split(text):
        clauses = list(dict.fromkeys(sentence.rstrip(".").split("; ")))
        if len(clauses) > _CLAUSES:
            clauses = [*clauses[:_CLAUSES], "…"]
        short = "; ".join(clauses)
        for label in labels:
            short = re.sub(rf"(^|: ){re.escape(label)}: ", r"\1", short)
        if (found := _LABEL.match(sentence)) is not None:
            labels.add(found[1])
        if short not in seen:
            seen.add(short)
            yield short if short.endswith("…") else f"{short}."


def _against(row: VerdictRow) -> str:
    said = against(each for verdict in row.verdicts for each in verdict.back_ends)
    return f" {said}" if said else ""


def _count(row: VerdictRow) -> str:
    count, same = row.parts
    if count <= 1:
        return ""
    says = {
        Outcome.REFUTED: "fails" if same == 1 else "fail",
        Outcome.CONFIRMED: "hold",
        Outcome.UNVERIFIED: "is open" if same == 1 else "are open",
    }[row.verdict.outcome]
    if same == count:
        return f" {'Both' if count == 2 else f'All {count}'} parts {says}."  # noqa: PLR2004 - both
    return f" {same} of {count} parts {says}."
