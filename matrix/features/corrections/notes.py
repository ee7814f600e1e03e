"""Refuted notes: prose is not rewritten, so an item that says nothing else is taken out.

A note that says more, or stands among other sentences, is left to be edited by hand.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from matrix.documents.markdown import Text
from matrix.documents.text import plain
from matrix.features.corrections.change import Action, DocumentChange, UnchangedClaim, ground_of
from matrix.features.corrections.edit import Deletion
from matrix.features.corrections.page import ClaimCase, PageText
from matrix.model.claim import Claim, ClaimKind

__all__ = ["removed_notes"]

# The end of a sentence that another one follows.
_BETWEEN = re.compile(r"[.!?][)\"']?\s+(?=\S)|[\u3002\uff01\uff1f](?=.)")


def removed_notes(
    case: ClaimCase, paper: PageText, settled: Collection[str]
) -> Iterator[DocumentChange | UnchangedClaim]:
    """Yield a change for each text of which all claims are refuted, and no minimum mends them."""
    texts: dict[int, tuple[Text | None, list[Claim]]] = {}
    for claim in paper.claims:
        if claim.kind is ClaimKind.NOTE:
            text = paper.layout.text_at(claim.line)
            start = text.line if text else claim.line
            texts.setdefault(start, (text, []))[1].append(claim)
    for start, (text, claims) in texts.items():
        wrong = [claim for claim in case.refuted(claims) if claim.id not in settled]
        if not wrong:
            continue
        grounds = tuple(ground_of(claim, case.verdicts[claim.id]) for claim in wrong)
        named = ", ".join(f"the note {claim.subject} ({claim.status.value})" for claim in wrong)
        why = _obstacle(paper, text, claims, wrong)
        if text is None or why:
            yield UnchangedClaim(paper.name, start, named, why, refuted=True, grounds=grounds)
            continue
        yield DocumentChange(
            Action.NOTE,
            paper.name,
            start,
            f"{named} is taken out: it says nothing else",
            (_cut(paper, text),),
            tuple(claim.fact for claim in claims),
            (),
            grounds,
            "Prose is not rewritten here; say instead what is true, if readers need it.",
        )


def _obstacle(paper: PageText, text: Text | None, claims: list[Claim], wrong: list[Claim]) -> str:
    if text is None:
        return "its place on the page cannot be told"
    if len(wrong) < len(claims):
        return "the same text makes another promise that is not refuted"
    if text.kind == "html" or _BETWEEN.search(plain(text.text)):
        return "the text says more than this: prose is to be edited by hand"
    first = paper.sheet.line(text.line)
    after = paper.sheet.line(text.line + len(text.lines))
    if text.kind == "bullet" and after.strip() and _indent(after) > _indent(first):
        return "other items hang on it"
    if _boxed(paper, text):
        return "it is all that a box on the page holds"
    return ""


def _boxed(paper: PageText, text: Text) -> bool:
    """Return whether tags stand right before and right after a text: `{% alert %}`."""
    lines = [line.strip() for line, _ in paper.sheet.lines]
    before = next((line for line in reversed(lines[: text.line - 1]) if line), "")
    after = next((line for line in lines[text.line - 1 + len(text.lines) :] if line), "")
    return before.startswith("{") and after.startswith("{")


def _cut(paper: PageText, text: Text) -> Deletion:
    """Return the lines of a text, with one of two blank lines that would meet."""
    last = text.line + len(text.lines) - 1
    before = text.line == 1 or not paper.sheet.line(text.line - 1).strip()
    after = last < len(paper.sheet.lines) and not paper.sheet.line(last + 1).strip()
    return Deletion(text.line, last + 1 if before and after else last)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
