"""Rows that another document has and this one lacks: added where the evidence confirms them.

Refuted cells of support: turned around, in the document's own words for the other state.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from matrix.documents.table_reader import SUPPORT, Column
from matrix.documents.text import plain
from matrix.features.audit.findings import AuditFinding, FindingKind
from matrix.features.audit.versions import canonical
from matrix.features.corrections.change import (
    Action,
    DocumentChange,
    Fact,
    UnchangedClaim,
    ground_of,
)
from matrix.features.corrections.edit import Insertion, new_row
from matrix.features.corrections.page import ClaimCase, PageText, PlacedRow
from matrix.features.corrections.wording import (
    capability_name,
    says_more,
    state_word,
    support_column,
)
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.verdict import Outcome

__all__ = ["added_rows", "turned_cells"]

_MINIMUM = re.compile(r">=([^,<>=!~ ]+)")


class _CannotError(Exception):
    """Why a row is not added."""


def added_rows(
    case: ClaimCase, findings: Iterable[AuditFinding]
) -> Iterator[DocumentChange | UnchangedClaim]:
    """Yield a change for each missing row, or why there is none.

    Rows that belong after the same line come in the order that they have where they stand.
    """

    def place(idea: DocumentChange | UnchangedClaim) -> tuple[str, int, int]:
        return idea.document, idea.line, idea.grounds[0].line if idea.grounds else 0

    yield from sorted(_each(case, findings), key=place)


def _each(
    case: ClaimCase, findings: Iterable[AuditFinding]
) -> Iterator[DocumentChange | UnchangedClaim]:
    for finding in findings:
        if not finding.kind.value.endswith("-missing") or not finding.places:
            continue
        having = [place.claim for place in finding.places if place.claim]
        for place in finding.places:
            if place.claim or place.document not in case.papers:
                continue
            paper = case.papers[place.document]
            says = f"{finding.subject} stands in {_documents(finding)} and not here"
            try:
                rows = _rows(case, having)
                yield from [_added(case, paper, finding, row) for row in rows]
            except _CannotError as error:
                yield UnchangedClaim(place.document, place.line, says, str(error))


def _rows(case: ClaimCase, having: Sequence[str]) -> list[list[Claim]]:
    """Return the rows to add, each as the claims of one page's row, all confirmed."""
    by_id = {claim.id: claim for claim in case.claims}
    rows: dict[str, list[list[Claim]]] = {}
    for claim_id in having:
        first = by_id[claim_id]
        row = [
            claim
            for claim in case.papers[first.document].claims
            if (claim.line, claim.kind, claim.subject) == (first.line, first.kind, first.subject)
        ]
        if row not in rows.setdefault(first.subject, []):
            rows[first.subject].append(row)
    best = []
    for subject, candidates in rows.items():
        confirmed = [
            row
            for row in candidates
            if all(case.outcome(claim) is Outcome.CONFIRMED for claim in row)
        ]
        if not confirmed:
            if any(case.refuted(row) for row in candidates):
                raise _CannotError(
                    f"it is refuted where it stands ({subject}): once it is put right there and"
                    " confirmed, ask again"
                )
            raise _CannotError(f"no evidence confirms it ({subject})")
        if len({tuple(canonical(claim.specifier) for claim in row) for row in confirmed}) > 1:
            raise _CannotError(f"the pages that have {subject} do not say the same")
        best.append(confirmed[0])
    return best


def _added(
    case: ClaimCase, paper: PageText, finding: AuditFinding, row: list[Claim]
) -> DocumentChange:
    kind = row[0].kind
    wanted = {
        ClaimKind.CAPABILITY: FindingKind.CAPABILITY_MISSING,
        ClaimKind.FRAMEWORK: FindingKind.ROW_MISSING,
    }
    if wanted.get(kind) is not finding.kind:
        raise _CannotError("only rows of capabilities and of frameworks are added")
    capability = kind is ClaimKind.CAPABILITY
    more = any(set(dict(claim.scope)) - {"capability"} for claim in row)
    staged = capability and row[0].status is not Status.SUPPORTED
    if more or staged or len({claim.specifier for claim in row}) > 1:
        raise _CannotError("the row says more than can be said in this page's words")
    after, model = _neighbours(case, paper, row[0])
    columns = model.laid.columns
    if len(model.spans) != len(columns):
        raise _CannotError("the cells of the row beside it cannot be told apart")
    texts = [_cell(case, paper, model, column, row) for column in columns]
    line = new_row(texts, model.text, paper.lines_of(model.laid))
    come = [
        claim.fact
        for claim in row
        if capability or any(column.capability == claim.get("capability") for column in columns)
    ]
    return DocumentChange(
        Action.ROW,
        paper.name,
        after,
        f"a row for {row[0].subject}, as {row[0].document}:{row[0].line} has it",
        (Insertion(after, line),),
        (),
        tuple(come),
        tuple(ground_of(claim, case.verdicts[claim.id]) for claim in row),
    )


def _neighbours(case: ClaimCase, paper: PageText, claim: Claim) -> tuple[int, PlacedRow]:
    """Return the line after which the row belongs, and the row in whose manner it is written.

    It comes after the nearest row above it in the other page that this page has too, else before
    the nearest one below.
    """
    own = {one.subject: one for one in paper.claims if one.kind is claim.kind}
    others = [one for one in case.papers[claim.document].claims if one.kind is claim.kind]
    above = [own[one.subject] for one in others if one.line < claim.line and one.subject in own]
    below = [own[one.subject] for one in others if one.line > claim.line and one.subject in own]
    beside = above[-1] if above else below[0] if below else None
    if beside is None:
        raise _CannotError("it cannot be told where in the table it belongs")
    row = paper.row(beside.line)
    if row is None:
        raise _CannotError("the cells of the row beside it cannot be told apart")
    return (beside.line if above else beside.line - 1), row


def _cell(
    case: ClaimCase, paper: PageText, model: PlacedRow, column: Column, row: Sequence[Claim]
) -> str:
    first = row[0]
    if column.role == "capability":
        name = capability_name(case, paper, first.subject)
        if name is None:
            raise _CannotError(f"the page's language has no word for {first.subject}")
        return name
    if column.role == "framework":
        holder = case.papers[first.document].row(first.line)
        at = holder.laid.position("framework") if holder else None
        if holder is None or at is None:
            raise _CannotError("how the framework is written cannot be told")
        return plain(holder.cell(at))
    if column.role in ("minimum", "versions"):
        return _version(paper, model, column, first)
    if column.role == SUPPORT:
        return _support(paper, column, row, model)
    if column.role == "note":
        return ""
    raise _CannotError(f"nothing is known for its column {column.written!r}")


def _version(paper: PageText, model: PlacedRow, column: Column, claim: Claim) -> str:
    """Return a minimum in the manner in which the row beside it has its own."""
    wanted = _MINIMUM.fullmatch(claim.specifier)
    if wanted is None:
        raise _CannotError(f"{claim.specifier or claim.as_written!r} is no plain minimum")
    for one in paper.claims:
        had = _MINIMUM.fullmatch(one.specifier)
        if one.line == model.line and had:
            at = model.laid.columns.index(column)
            swap = model.swap_version(at, had[1], wanted[1])
            if swap is not None:
                return swap.text.strip()
    return wanted[1]


def _support(paper: PageText, column: Column, row: Sequence[Claim], model: PlacedRow) -> str:
    said = [claim for claim in row if claim.get("capability") == column.capability]
    near = next(
        (
            claim
            for claim in paper.claims
            if claim.line == model.line and claim.get("capability") == column.capability
        ),
        None,
    )
    if not said or near is None:
        raise _CannotError(f"the other page says nothing of {column.capability}")
    if said[0].status not in (Status.SUPPORTED, Status.NOT_SUPPORTED):
        raise _CannotError(f"{said[0].status.value} is more than yes or no")
    word = state_word(paper, near, said[0].status)
    if word is None:
        raise _CannotError(f"neither the page nor its language has a word for {said[0].status}")
    return word[0]


def _documents(finding: AuditFinding) -> str:
    return ", ".join(dict.fromkeys(place.document for place in finding.places if place.claim))


_KINDS = (ClaimKind.FRAMEWORK, ClaimKind.DEPLOYMENT)


def turned_cells(
    case: ClaimCase, paper: PageText, settled: Collection[str]
) -> Iterator[DocumentChange | UnchangedClaim]:
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
            yield UnchangedClaim(paper.name, line, named, why, refuted=True, grounds=grounds)
            continue
        text, lead = word
        old = row.cell(column).strip()
        yield DocumentChange(
            Action.CELL,
            paper.name,
            line,
            f"{named}: {_shown(old)} \N{RIGHTWARDS ARROW} {_shown(text)} ({status.value})",
            (row.swap(column, text, lead),),
            tuple(claim.fact for claim in wrong),
            tuple(_turned(claim, status) for claim in wrong),
            grounds,
        )


def _obstacle(paper: PageText, claims: list[Claim], wrong: list[Claim], column: int | None) -> str:
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
