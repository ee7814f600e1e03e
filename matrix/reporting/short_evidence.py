"""The evidence of a verdict in one short line: the fact that decides with its cell, then the rest.

All of it stands in the JSON. Pure.
"""

from __future__ import annotations

from matrix.judging.sentences import evidence_sentences, evidence_text
from matrix.model.fact import FactKind
from matrix.model.service import against
from matrix.model.verdict import Outcome, PartVerdict, Verdict
from matrix.reporting.rows import VerdictRow
from matrix.reporting.text import shorten

_LEAST = (FactKind.NOTHING_WITHOUT_FEATURE, FactKind.CHOICE)
# A refutation rests on these.
_CONTROLS = frozenset({FactKind.CONTROL_SHOWS, FactKind.EARLIER_SHOWS})


def short_evidence(row: VerdictRow, most: int) -> str:
    """Return the line, of at most `most` characters."""
    verdict = row.verdict
    part = _deciding(verdict)
    nowhere = any(fact.kind is FactKind.USABLE_NOWHERE for fact in verdict.facts)
    if part is None or nowhere:
        return shorten(evidence_text(verdict.facts), most)
    # What it rests on is never left out.
    tail = _count(row) + _against(row)
    own = part.cells[0]
    sentences = list(evidence_sentences(part.facts, own))
    room = most - len(tail)
    while len(_line(own.id, sentences)) > room and (index := _least(sentences)):
        del sentences[index]
    return shorten(_line(own.id, sentences), room) + tail


def _least(sentences: list[tuple[FactKind, str]]) -> int:
    """Return the index of the sentence that a reader needs least, 0 where each is needed.

    The control with the feature off goes first: nothing is confirmed without it.
    """
    kinds = [kind for kind, _ in sentences]
    for kind in _LEAST:
        if kind in kinds[1:]:
            return kinds.index(kind, 1)
    others = [index for index, kind in enumerate(kinds) if index and kind not in _CONTROLS]
    return max(others, default=0)


def _line(cell: str, sentences: list[tuple[FactKind, str]]) -> str:
    return " ".join([f"{cell}:", *(text for _, text in sentences)])


def _deciding(verdict: Verdict) -> PartVerdict | None:
    """Return the part that the verdict is about; None where an omission decides."""
    for part in verdict.parts:
        if part.outcome is verdict.outcome and part.reason is verdict.reason and part.cells:
            return part
    return None


def _against(row: VerdictRow) -> str:
    sentence = against(each for verdict in row.verdicts for each in verdict.backends)
    return f" {sentence}" if sentence else ""


def _count(row: VerdictRow) -> str:
    count, same = row.parts
    if count <= 1:
        return ""
    verb = {
        Outcome.REFUTED: "fails" if same == 1 else "fail",
        Outcome.CONFIRMED: "hold",
        Outcome.UNVERIFIED: "is open" if same == 1 else "are open",
    }[row.verdict.outcome]
    if same == count:
        return f" {'Both' if count == 2 else f'All {count}'} parts {verb}."  # noqa: PLR2004 - both
    return f" {same} of {count} parts {verb}."
