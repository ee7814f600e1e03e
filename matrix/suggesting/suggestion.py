"""All changes of all documents, each document's made, read again and compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from matrix.audit.documents import compare_documents
from matrix.suggesting.cells import turned_cells
from matrix.suggesting.change import Change, LeftAlone, ground_of
from matrix.suggesting.checking import unintended
from matrix.suggesting.differing import agreeing_minimums, disagreements, lowered_minimums
from matrix.suggesting.minimums import corrected_minimums
from matrix.suggesting.missing import added_rows
from matrix.suggesting.notes import removed_notes
from matrix.suggesting.paper import Case, Paper
from matrix.suggesting.runtimes import narrowed_runtimes

__all__ = ["Suggestion", "suggest"]


@dataclasses.dataclass(frozen=True)
class Suggestion:
    """What is to be done to one document. `data` is the changed file, whole.

    `trouble` says that its changes did not do what they were meant to: then there are none, and
    that is a fault of ours.
    """

    paper: Paper
    data: bytes
    changes: tuple[Change, ...] = ()
    left: tuple[LeftAlone, ...] = ()
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


def suggest(case: Case, *, earlier: bool = False) -> tuple[Suggestion, ...]:
    """Return what is to be done to each document, in their order.

    `earlier` also lowers minimums that are higher than they need to be.
    """
    ideas = list(_ideas(case, earlier=earlier))
    return tuple(_made(paper, ideas) for paper in case.papers.values())


def _ideas(case: Case, *, earlier: bool) -> Iterator[Change | LeftAlone]:
    settled: set[str] = set()
    told: set[str] = set()

    def note(ideas: Iterator[Change | LeftAlone]) -> Iterator[Change | LeftAlone]:
        for idea in ideas:
            claims = {ground.claim for ground in idea.grounds}
            told.update(claims)
            if isinstance(idea, Change):
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
            yield LeftAlone(
                claim.document,
                claim.line,
                f"{claim.kind.value} {claim.subject}, {claim.as_written!r}",
                "there is no rule by which such a row is put right",
                refuted=True,
                grounds=(ground_of(claim, case.verdicts[claim.id]),),
            )


def _made(paper: Paper, ideas: Sequence[Change | LeftAlone]) -> Suggestion:
    own = [idea for idea in ideas if idea.document == paper.name]
    changes = tuple(idea for idea in own if isinstance(idea, Change))
    left = tuple(idea for idea in own if isinstance(idea, LeftAlone))
    sheet = paper.sheet.with_splices(splice for change in changes for splice in change.splices)
    data = sheet.data()
    trouble = unintended(paper, data, changes)
    if trouble:
        return Suggestion(paper, paper.sheet.data(), (), left, trouble)
    return Suggestion(paper, data, changes, left)
