"""Refuted cells of support: turned around, in the document's own words for the other state."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from matrix.model.claim import Claim, ClaimKind, Status
from matrix.suggesting.change import Action, Change, Fact, LeftAlone, ground_of
from matrix.suggesting.paper import Case, Paper
from matrix.suggesting.words import says_more, state_word, support_column

__all__ = ["turned_cells"]

_KINDS = (ClaimKind.FRAMEWORK, ClaimKind.DEPLOYMENT)


def turned_cells(
    case: Case, paper: Paper, settled: Collection[str]
) -> Iterator[Change | LeftAlone]:
    """Yield a change for each refuted cell that no other minimum puts right (`settled`)."""
    cells: dict[tuple[int, int | None], list[Claim]] = {}
    for claim in paper.claims:
        if claim.kind in _KINDS:
            key = claim.line, support_column(paper, claim)
            cells.setdefault(key, []).append(claim)
    for (line, column), claims in cells.items():
        wrong = [claim for claim in case.refuted(claims) if claim.id not in settled]
        if not wrong:
            continue
        grounds = tuple(ground_of(claim, case.verdicts[claim.id]) for claim in wrong)
        why = _obstacle(paper, claims, wrong, column)
        denied = wrong[0].status is Status.NOT_SUPPORTED
        status = Status.SUPPORTED if denied else Status.NOT_SUPPORTED
        word = None if why else state_word(paper, wrong[0], status)
        row = paper.row(line)
        named = _named(wrong[0])
        if why or word is None or row is None or column is None:
            why = why or f"neither the page nor its language has a word for {status.value}"
            yield LeftAlone(paper.name, line, named, why, refuted=True, grounds=grounds)
            continue
        text, lead = word
        old = row.cell(column).strip()
        yield Change(
            Action.CELL,
            paper.name,
            line,
            f"{named}: {_shown(old)} \N{RIGHTWARDS ARROW} {_shown(text)} ({status.value})",
            (row.swap(column, text, lead),),
            tuple(claim.fact for claim in wrong),
            tuple(_turned(claim, status) for claim in wrong),
            grounds,
        )


def _obstacle(paper: Paper, claims: list[Claim], wrong: list[Claim], column: int | None) -> str:
    row = paper.row(wrong[0].line)
    if column is None or row is None or column >= len(row.spans):
        return "the place of the cell in its line cannot be told"
    if len(wrong) < len(claims):
        return "not all that the cell says is refuted"
    if not paper.alone_on_line(wrong[0]) and wrong[0].kind is ClaimKind.FRAMEWORK:
        return "the line joins several rows"
    if any(says_more(claim) for claim in wrong):
        return "the cell says more than yes or no"
    return ""


def _turned(claim: Claim, status: Status) -> Fact:
    return (claim.kind.value, claim.subject, claim.specifier, status.value, claim.scope)


def _named(claim: Claim) -> str:
    where = claim.get("deployment") or claim.get("capability") or ""
    return f"{claim.subject}, {where}" if where else claim.subject


def _shown(text: str) -> str:
    return f"`{text}`" if text else "an empty cell"
