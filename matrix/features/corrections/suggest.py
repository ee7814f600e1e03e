"""All changes of all documents, each document's made, read again and compared.

The guarantee: what a changed page promises is what was meant to change, and nothing else.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from matrix.documents.document import ReadDocument, read_document
from matrix.errors import UserError
from matrix.features.audit.documents import compare_documents
from matrix.features.corrections.change import DocumentChange, UnchangedClaim, ground_of
from matrix.features.corrections.minimums import (
    agreeing_minimums,
    corrected_minimums,
    disagreements,
    lowered_minimums,
)
from matrix.features.corrections.notes import removed_notes
from matrix.features.corrections.page import ClaimCase, PageText
from matrix.features.corrections.rows import added_rows, turned_cells
from matrix.features.corrections.runtimes import narrowed_runtimes

__all__ = ["Suggestion", "read_again", "suggest", "unintended"]

_NAMED = 3


def read_again(paper: PageText, data: bytes) -> ReadDocument:
    """Return what the changed bytes of a document promise, read as the document itself was."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"page{paper.path.suffix}"
        path.write_bytes(data)
        return read_document(path, language=paper.language, name=paper.name)


def unintended(paper: PageText, data: bytes, changes: Sequence[DocumentChange]) -> str:
    """Return what the changed page says that it should not, or no longer says; "" if nothing."""
    try:
        reading = read_again(paper, data)
    except UserError as error:
        return f"the changed page cannot be read: {error.message}"
    wanted = Counter(claim.fact for claim in paper.claims)
    wanted.subtract(fact for change in changes for fact in change.gone)
    wanted.update(fact for change in changes for fact in change.come)
    found = Counter(claim.fact for claim in reading.claims)
    lost = [fact for fact, count in wanted.items() if count > found[fact]]
    new = [fact for fact, count in found.items() if count > wanted[fact]]
    if lost or new:
        return f"lost {_named(lost)}; unintended {_named(new)}"
    problems = Counter(one.message for one in (*reading.problems, *reading.notices))
    if problems != Counter(paper.problems):
        return "the page is understood otherwise than before"
    return ""


def _named(facts: Sequence[tuple[object, ...]]) -> str:
    shown = "; ".join(" ".join(str(part) for part in fact if part) for fact in facts[:_NAMED])
    return shown or "nothing"


@dataclasses.dataclass(frozen=True)
class Suggestion:
    """What is to be done to one document. `data` is the changed file, whole.

    `trouble` says that its changes did not do what they were meant to: then there are none, and
    that is a fault of ours.
    """

    paper: PageText
    data: bytes
    changes: tuple[DocumentChange, ...] = ()
    left: tuple[UnchangedClaim, ...] = ()
    trouble: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the suggestion as plain JSON values."""
        return {
            "document": self.paper.name,
            "file": str(self.paper.path),
            "changes": [change.to_json() for change in self.changes],
            "left": [left.to_json() for left in self.left],
            "trouble": self.trouble,
        }


def suggest(case: ClaimCase, *, earlier: bool = False) -> tuple[Suggestion, ...]:
    """Return what is to be done to each document, in their order.

    `earlier` also lowers minimums that are higher than they need to be.
    """
    ideas = list(_ideas(case, earlier=earlier))
    return tuple(_made(paper, ideas) for paper in case.papers.values())


def _ideas(case: ClaimCase, *, earlier: bool) -> Iterator[DocumentChange | UnchangedClaim]:
    settled: set[str] = set()
    told: set[str] = set()

    def note(
        ideas: Iterator[DocumentChange | UnchangedClaim],
    ) -> Iterator[DocumentChange | UnchangedClaim]:
        for idea in ideas:
            claims = {ground.claim for ground in idea.grounds}
            told.update(claims)
            if isinstance(idea, DocumentChange):
                settled.update(claims)
            yield idea

    findings = compare_documents(case.claims)
    papers = case.papers.values()
    for paper in papers:
        yield from note(corrected_minimums(case, paper))
        yield from note(turned_cells(case, paper, frozenset(told)))
        yield from note(removed_notes(case, paper, frozenset(told)))
        yield from note(narrowed_runtimes(case, paper))
    yield from note(agreeing_minimums(case, findings))
    if earlier:
        for paper in papers:
            yield from note(lowered_minimums(case, paper, settled))
    yield from added_rows(case, findings)
    yield from disagreements(case, findings, settled)
    for claim in case.refuted(case.claims):
        if claim.id not in told:
            yield UnchangedClaim(
                claim.document,
                claim.line,
                f"{claim.kind.value} {claim.subject}, {claim.as_written!r}",
                "there is no rule by which such a row is put right",
                refuted=True,
                grounds=(ground_of(claim, case.verdicts[claim.id]),),
            )


def _made(paper: PageText, ideas: Sequence[DocumentChange | UnchangedClaim]) -> Suggestion:
    own = [idea for idea in ideas if idea.document == paper.name]
    changes = tuple(idea for idea in own if isinstance(idea, DocumentChange))
    left = tuple(idea for idea in own if isinstance(idea, UnchangedClaim))
    sheet = paper.sheet.with_splices(splice for change in changes for splice in change.splices)
    data = sheet.data()
    trouble = unintended(paper, data, changes)
    if trouble:
        return Suggestion(paper, paper.sheet.data(), (), left, trouble)
    return Suggestion(paper, data, changes, left)
