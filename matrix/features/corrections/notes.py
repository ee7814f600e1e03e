"""Corrections of refuted notes: an item that says nothing else is removed.

Prose is not rewritten: a note that says more, or is one of several sentences, stays.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from matrix.documents.source import Text
from matrix.documents.text import plain
from matrix.features.corrections.change import Action, DocumentChange, UnchangedClaim, ground_for
from matrix.features.corrections.edit import Deletion
from matrix.features.corrections.page import ClaimCase, PageText
from matrix.model.claim import Claim, ClaimKind

# The end of a sentence that another one follows.
_SENTENCE_END = re.compile(r"[.!?][)\"']?\s+(?=\S)|[\u3002\uff01\uff1f](?=.)")


def removed_notes(
    case: ClaimCase, page: PageText, settled: Collection[str]
) -> Iterator[DocumentChange | UnchangedClaim]:
    """Yield a change for each text whose claims are all refuted and not settled by a minimum."""
    texts: dict[int, tuple[Text | None, list[Claim]]] = {}
    for claim in page.claims:
        if claim.kind is ClaimKind.NOTE:
            text = page.layout.text_at(claim.line)
            start = text.line if text else claim.line
            texts.setdefault(start, (text, []))[1].append(claim)
    for start, (text, claims) in texts.items():
        wrong = [claim for claim in case.refuted(claims) if claim.id not in settled]
        if not wrong:
            continue
        grounds = tuple(ground_for(claim, case.verdicts[claim.id]) for claim in wrong)
        names = ", ".join(f"the note {claim.subject} ({claim.status.value})" for claim in wrong)
        obstacle = _obstacle(page, text, claims, wrong)
        if text is None or obstacle:
            yield UnchangedClaim(page.name, start, names, obstacle, refuted=True, grounds=grounds)
            continue
        yield DocumentChange(
            Action.NOTE,
            page.name,
            start,
            f"{names} is removed: it says nothing else",
            (_deletion(page, text),),
            tuple(claim.fact for claim in claims),
            (),
            grounds,
            "Prose is not rewritten: add what is true instead, if readers need it.",
        )


def _obstacle(page: PageText, text: Text | None, claims: list[Claim], wrong: list[Claim]) -> str:
    if text is None:
        return "its position on the page is not known"
    if len(wrong) < len(claims):
        return "the same text makes another promise that is not refuted"
    if text.kind == "html" or _SENTENCE_END.search(plain(text.text)):
        return "the text says more than this: prose must be edited by hand"
    first = page.file.line(text.line)
    after = page.file.line(text.line + len(text.lines))
    if text.kind == "bullet" and after.strip() and _indent(after) > _indent(first):
        return "it has nested items"
    if _is_boxed(page, text):
        return "it is the only content of a box on the page"
    return ""


def _is_boxed(page: PageText, text: Text) -> bool:
    """Return whether tags such as `{% alert %}` are right before and right after a text."""
    lines = [line.strip() for line, _ in page.file.lines]
    before = next((line for line in reversed(lines[: text.line - 1]) if line), "")
    after = next((line for line in lines[text.line - 1 + len(text.lines) :] if line), "")
    return before.startswith("{") and after.startswith("{")


def _deletion(page: PageText, text: Text) -> Deletion:
    """Return the deletion of a text, with one of two blank lines that would meet."""
    last = text.line + len(text.lines) - 1
    before = text.line == 1 or not page.file.line(text.line - 1).strip()
    after = last < len(page.file.lines) and not page.file.line(last + 1).strip()
    return Deletion(text.line, last + 1 if before and after else last)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
