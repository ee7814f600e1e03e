"""Corrections of rows: missing rows that evidence confirms are added, refuted support is reversed.

A missing row is one that another document has. Reversed cells use the document's own words.
"""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence

from matrix.documents.table_reader import SUPPORT, Column
from matrix.documents.text import plain
from matrix.features.audit.findings import AuditFinding, FindingKind
from matrix.features.audit.versions import canonical
from matrix.features.corrections.change import (
    Action,
    ClaimCase,
    Correction,
    DocumentChange,
    UnchangedClaim,
)
from matrix.features.corrections.edit import Insertion, format_row
from matrix.features.corrections.page import (
    SUPPORT_KINDS,
    PageText,
    PlacedRow,
    capability_name,
    has_details,
    status_word,
    support_column,
)
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.verdict import Outcome

_MINIMUM = re.compile(r">=([^,<>=!~ ]+)")
_ADDABLE = {
    ClaimKind.CAPABILITY: FindingKind.CAPABILITY_MISSING,
    ClaimKind.FRAMEWORK: FindingKind.ROW_MISSING,
}
_NOT_LOCATED = "the cells of the row beside it cannot be located"


class _RowNotAddableError(Exception):
    """A row that cannot be added; the message is the reason."""


def added_rows(case: ClaimCase, findings: Iterable[AuditFinding]) -> Iterator[Correction]:
    """Yield a change for each missing row, or the reason why it is not added.

    Rows to insert after the same line come in the order of the document that has them.
    """

    def position(correction: Correction) -> tuple[str, int, int]:
        first = correction.grounds[0].line if correction.grounds else 0
        return correction.document, correction.line, first

    yield from sorted(_missing_rows(case, findings), key=position)


def _missing_rows(case: ClaimCase, findings: Iterable[AuditFinding]) -> Iterator[Correction]:
    for finding in findings:
        if not finding.kind.value.endswith("-missing") or not finding.places:
            continue
        claimed = [place for place in finding.places if place.claim]
        for place in finding.places:
            if place.claim or place.document not in case.pages:
                continue
            page = case.pages[place.document]
            try:
                rows = _rows(case, [other.claim for other in claimed])
                yield from [_added_row(case, page, finding, row) for row in rows]
            except _RowNotAddableError as error:
                documents = ", ".join(dict.fromkeys(other.document for other in claimed))
                title = f"{finding.subject} is in {documents} and not here"
                yield UnchangedClaim(place.document, place.line, title, str(error))


def _rows(case: ClaimCase, claim_ids: Sequence[str]) -> list[list[Claim]]:
    """Return the rows to add, each as the claims of one page's row, all confirmed."""
    by_id = {claim.id: claim for claim in case.claims}
    rows: dict[str, list[list[Claim]]] = defaultdict(list)
    for claim_id in claim_ids:
        first = by_id[claim_id]
        row = [
            claim
            for claim in case.pages[first.document].claims
            if (claim.line, claim.kind, claim.subject) == (first.line, first.kind, first.subject)
        ]
        if row not in rows[first.subject]:
            rows[first.subject].append(row)
    return [_confirmed_row(case, subject, candidates) for subject, candidates in rows.items()]


def _confirmed_row(case: ClaimCase, subject: str, candidates: list[list[Claim]]) -> list[Claim]:
    confirmed = [
        row for row in candidates if all(case.outcome(claim) is Outcome.CONFIRMED for claim in row)
    ]
    if not confirmed:
        if any(case.refuted(row) for row in candidates):
            raise _RowNotAddableError(
                f"it is refuted in the document that has it ({subject}): correct and confirm it"
                " there first"
            )
        raise _RowNotAddableError(f"no evidence confirms it ({subject})")
    if len({tuple(canonical(claim.specifier) for claim in row) for row in confirmed}) > 1:
        raise _RowNotAddableError(f"the pages that have {subject} disagree")
    return confirmed[0]


def _added_row(
    case: ClaimCase, page: PageText, finding: AuditFinding, row: list[Claim]
) -> DocumentChange:
    first = row[0]
    if _ADDABLE.get(first.kind) is not finding.kind:
        raise _RowNotAddableError("only rows of capabilities and of frameworks are added")
    is_capability = first.kind is ClaimKind.CAPABILITY
    if (
        any(set(dict(claim.scope)) - {"capability"} for claim in row)
        or (is_capability and first.status is not Status.SUPPORTED)
        or len({claim.specifier for claim in row}) > 1
    ):
        raise _RowNotAddableError("the row has more than this page's words can express")
    after, model = _neighbour(case, page, first)
    columns = model.layout.columns
    if model.html:
        raise _RowNotAddableError("no row is added to a table of HTML")
    if len(model.spans) != len(columns):
        raise _RowNotAddableError(_NOT_LOCATED)
    texts = [_cell(case, page, model, column, row) for column in columns]
    capabilities = {column.capability for column in columns}
    return DocumentChange(
        Action.ROW,
        page.name,
        after,
        f"a row for {first.subject}, as in {first.document}:{first.line}",
        (Insertion(after, format_row(texts, model.text, page.lines_of(model.layout))),),
        (),
        tuple(
            claim.fact for claim in row if is_capability or claim.get("capability") in capabilities
        ),
        case.grounds(row),
    )


def _neighbour(case: ClaimCase, page: PageText, claim: Claim) -> tuple[int, PlacedRow]:
    """Return the line after which the row belongs, and the row that it is formatted like.

    It belongs after the nearest row above it in the other page that this page has too, otherwise
    before the nearest one below.
    """
    own = {other.subject: other for other in page.claims if other.kind is claim.kind}
    common = [
        other
        for other in case.pages[claim.document].claims
        if other.kind is claim.kind and other.subject in own
    ]
    above = [own[other.subject] for other in common if other.line < claim.line]
    below = [own[other.subject] for other in common if other.line > claim.line]
    beside = above[-1] if above else below[0] if below else None
    if beside is None:
        raise _RowNotAddableError("its position in the table is not known")
    row = page.row(beside.line)
    if row is None:
        raise _RowNotAddableError(_NOT_LOCATED)
    return (beside.line if above else beside.line - 1), row


def _cell(
    case: ClaimCase, page: PageText, model: PlacedRow, column: Column, row: Sequence[Claim]
) -> str:
    first = row[0]
    if column.role == "capability":
        name = capability_name(case.pages.values(), page.language, first.subject)
        if name is None:
            raise _RowNotAddableError(f"the page's language has no word for {first.subject}")
        return name
    if column.role == "framework":
        source = case.pages[first.document].row(first.line)
        position = source.layout.position("framework") if source else None
        if source is None or position is None:
            raise _RowNotAddableError("the framework's name in the other page cannot be located")
        return plain(source.cell(position))
    if column.role in ("minimum", "versions"):
        return _version(page, model, column, first)
    if column.role == SUPPORT:
        return _support(page, column, row, model)
    if column.role == "note":
        return ""
    raise _RowNotAddableError(f"there is no value for its column {column.written!r}")


def _version(page: PageText, model: PlacedRow, column: Column, claim: Claim) -> str:
    """Return a minimum, written as the row beside it has its own."""
    minimum = _MINIMUM.fullmatch(claim.specifier)
    if minimum is None:
        raise _RowNotAddableError(f"{claim.specifier or claim.as_written!r} is not a plain minimum")
    for other in page.claims:
        old = _MINIMUM.fullmatch(other.specifier)
        if other.line == model.line and old:
            position = model.layout.columns.index(column)
            replacement = model.replace_version(position, old[1], minimum[1])
            if replacement is not None:
                return replacement.text.strip()
    return minimum[1]


def _support(page: PageText, column: Column, row: Sequence[Claim], model: PlacedRow) -> str:
    claim = next((one for one in row if one.get("capability") == column.capability), None)
    near = next(
        (
            other
            for other in page.claims
            if other.line == model.line and other.get("capability") == column.capability
        ),
        None,
    )
    if claim is None or near is None:
        raise _RowNotAddableError(f"the other page says nothing about {column.capability}")
    if claim.status not in (Status.SUPPORTED, Status.NOT_SUPPORTED):
        raise _RowNotAddableError(f"{claim.status.value} is more than yes or no")
    word = status_word(page, near, claim.status)
    if word is None:
        raise _RowNotAddableError(
            f"neither the page nor its language has a word for {claim.status}"
        )
    return word[0]


def turned_cells(case: ClaimCase, page: PageText, settled: Collection[str]) -> Iterator[Correction]:
    """Yield a change for each refuted support cell that no other minimum settles (`settled`)."""
    cells: dict[tuple[int, int | None], list[Claim]] = defaultdict(list)
    for claim in page.claims:
        if claim.kind in SUPPORT_KINDS:
            cells[claim.line, support_column(page, claim)].append(claim)
    for (line, column), claims in cells.items():
        wrong = [claim for claim in case.refuted(claims) if claim.id not in settled]
        if not wrong:
            continue
        first = wrong[0]
        denied = first.status is Status.NOT_SUPPORTED
        status = Status.SUPPORTED if denied else Status.NOT_SUPPORTED
        name, grounds = _cell_name(first), case.grounds(wrong)
        obstacle = _obstacle(page, claims, wrong, column)
        word = None if obstacle else status_word(page, first, status)
        row = page.row(line)
        if word is None or row is None or column is None:
            reason = obstacle or f"neither the page nor its language has a word for {status.value}"
            yield UnchangedClaim(page.name, line, name, reason, refuted=True, grounds=grounds)
            continue
        text, lead = word
        old = row.cell(column).strip()
        yield DocumentChange(
            Action.CELL,
            page.name,
            line,
            f"{name}: {_quoted(old)} \N{RIGHTWARDS ARROW} {_quoted(text)} ({status.value})",
            (row.replace_cell(column, text, lead),),
            tuple(claim.fact for claim in wrong),
            tuple(dataclasses.replace(claim, status=status).fact for claim in wrong),
            grounds,
        )


def _obstacle(page: PageText, claims: list[Claim], wrong: list[Claim], column: int | None) -> str:
    if page.cell(wrong[0].line, column) is None:
        return "the position of the cell in its line is not known"
    if len(wrong) < len(claims):
        return "not everything in the cell is refuted"
    subjects = {claim.subject for claim in page.claims if claim.line == wrong[0].line}
    if len(subjects) > 1 and wrong[0].kind is ClaimKind.FRAMEWORK:
        return "the line joins several rows"
    if any(has_details(claim) for claim in wrong):
        return "the cell has more than yes or no"
    return ""


def _cell_name(claim: Claim) -> str:
    scope = claim.get("deployment") or claim.get("capability") or ""
    return f"{claim.subject}, {scope}" if scope else claim.subject


def _quoted(text: str) -> str:
    return f"`{text}`" if text else "an empty cell"
