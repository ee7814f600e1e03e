"""Corrections of all documents: each changed page is read again and compared.

A changed page has exactly the claims that its changes intend, or no change is suggested for it.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from matrix.documents.document import ReadDocument, read_document
from matrix.errors import UserError
from matrix.features.audit.documents import compare_documents
from matrix.features.audit.vendor_tests import PromisedRow
from matrix.features.corrections.change import ClaimCase, Correction, DocumentChange, UnchangedClaim
from matrix.features.corrections.minimums import (
    agreeing_minimums,
    corrected_minimums,
    disagreements,
    lowered_minimums,
)
from matrix.features.corrections.page import PageText, partial_of
from matrix.features.corrections.removals import narrowed_runtimes, removed_notes
from matrix.features.corrections.rows import added_rows, turned_cells
from matrix.features.corrections.tested import tested_corrections
from matrix.model.claim import Claim

_MAX_FACTS = 3


@dataclasses.dataclass(frozen=True)
class Suggestion:
    """The changes of one document. `data` is the whole changed file.

    `error` says that the changes would have had other effects than intended: then there are none,
    and that is a bug of this project.
    """

    page: PageText
    data: bytes
    changes: tuple[DocumentChange, ...] = ()
    unchanged: tuple[UnchangedClaim, ...] = ()
    error: str = ""


def suggest(case: ClaimCase, *, earlier: bool = False) -> tuple[Suggestion, ...]:
    """Return the suggestion for each document, in their order.

    `earlier` also lowers minimums that are higher than necessary.
    """
    corrections = _corrections(case, earlier=earlier)
    return tuple(_suggestion(page, corrections, case.pages) for page in case.pages.values())


def suggest_tested(
    pages: Mapping[str, PageText], rows: Sequence[PromisedRow]
) -> tuple[Suggestion, ...]:
    """Return the suggestion by which each document promises what the vendor tests.

    `rows` are those of the comparison with the registry.
    """
    return tuple(
        _suggestion(page, list(tested_corrections(page, rows)), pages) for page in pages.values()
    )


def reread(
    page: PageText, data: bytes, partials: Mapping[str, bytes] | None = None
) -> ReadDocument:
    """Return the claims of a document's changed bytes, read as the document itself was.

    `partials` are changed bytes of files that it includes, by their names in its tags.
    """
    contents = {name: part.file.data() for name, part in (page.partials or {}).items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"page{page.path.suffix}"
        path.write_bytes(data)
        files = Path(folder) / "partials"
        files.mkdir()
        for name, content in {**contents, **(partials or {})}.items():
            # A name that leaves the folder is found by the name of its file.
            safe = [part for part in PurePosixPath(name).parts if part not in {"..", "/"}]
            file = files.joinpath(*safe)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return read_document(
            path,
            language=page.language,
            name=page.name,
            partials=None if page.partials is None else files,
        )


def changed_claims(suggestions: Iterable[Suggestion]) -> tuple[Claim, ...]:
    """Return the claims of the changed documents, with those of their changed partials."""
    suggestions = tuple(suggestions)
    changed = {one.page.name: one.data for one in suggestions if one.page.host and one.changes}
    claims: list[Claim] = []
    for suggestion in suggestions:
        page = suggestion.page
        if page.host:
            continue
        parts = {name: changed[name] for name in page.partials or () if name in changed}
        if suggestion.changes or page.partials:
            claims += reread(page, suggestion.data, parts).claims
        else:
            claims += page.claims
    return tuple(claims)


def _corrections(case: ClaimCase, *, earlier: bool) -> list[Correction]:
    findings = compare_documents(
        claim for page in case.pages.values() for claim in page.as_read or page.claims
    )
    pages = case.pages.values()
    corrections: list[Correction] = []
    for page in pages:
        corrections += corrected_minimums(case, page)
        corrections += turned_cells(case, page, _covered(corrections))
        corrections += removed_notes(case, page, _covered(corrections))
        corrections += narrowed_runtimes(case, page)
    corrections += agreeing_minimums(case, findings)
    if earlier:
        settled = _settled(corrections)
        for page in pages:
            corrections += lowered_minimums(case, page, settled)
    covered = _covered(corrections)
    settled = _settled(corrections)
    corrections += added_rows(case, findings)
    corrections += disagreements(case, findings, settled)
    corrections += (
        UnchangedClaim(
            claim.document,
            claim.line,
            f"{claim.kind.value} {claim.subject}, {claim.as_written!r}",
            "there is no rule that corrects such a row",
            refuted=True,
            grounds=case.grounds([claim]),
        )
        for claim in case.refuted(case.claims)
        if claim.id not in covered
    )
    return corrections


def _covered(corrections: Iterable[Correction]) -> set[str]:
    """Return the ids of the claims that corrections rest on."""
    return {ground.claim for correction in corrections for ground in correction.grounds}


def _settled(corrections: Iterable[Correction]) -> set[str]:
    return _covered(change for change in corrections if isinstance(change, DocumentChange))


def _suggestion(
    page: PageText, corrections: Sequence[Correction], pages: Mapping[str, PageText]
) -> Suggestion:
    own = [correction for correction in corrections if correction.document == page.name]
    changes = tuple(change for change in own if isinstance(change, DocumentChange))
    unchanged = tuple(claim for claim in own if isinstance(claim, UnchangedClaim))
    data = page.file.with_edits(edit for change in changes for edit in change.edits).data()
    error = _unintended(page, data, changes, pages)
    if error:
        return Suggestion(page, page.file.data(), (), unchanged, error)
    return Suggestion(page, data, changes, unchanged)


def _unintended(
    page: PageText, data: bytes, changes: Sequence[DocumentChange], pages: Mapping[str, PageText]
) -> str:
    """Return a description of the unintended differences of the changed page, "" if none."""
    try:
        if page.host:
            host = pages[page.host]
            reading = reread(host, host.file.data(), {page.name: data})
        else:
            reading = reread(page, data)
    except UserError as error:
        return f"the changed page cannot be read: {error.message}"
    partial = page.name if page.host else ""
    claims = [claim for claim in reading.claims if partial_of(claim) == partial]
    expected = Counter(claim.fact for claim in page.claims)
    expected.subtract(fact for change in changes for fact in change.removed)
    expected.update(fact for change in changes for fact in change.added)
    actual = Counter(claim.fact for claim in claims)
    lost = [fact for fact, count in expected.items() if count > actual[fact]]
    new = [fact for fact, count in actual.items() if count > expected[fact]]
    if lost or new:
        return f"lost {_describe_facts(lost)}; unintended {_describe_facts(new)}"
    problems = Counter(
        problem.message
        for problem in (*reading.problems, *reading.notices)
        if problem.document == page.name
    )
    if problems != Counter(page.problems):
        return "reading the page reports other problems than before"
    return ""


def _describe_facts(facts: Sequence[tuple[object, ...]]) -> str:
    first = "; ".join(" ".join(str(part) for part in fact if part) for fact in facts[:_MAX_FACTS])
    return first or "nothing"
