"""A document to claims and problems: the one door of this package for Markdown.

What a reading gives: claims, problems and notices.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from matrix.documents.claim_ids import document_names, draft_ids
from matrix.documents.markdown import Heading, Table, blocks
from matrix.documents.notes import read_note, section_of
from matrix.documents.other_tracers import check_page, without_other_tracers
from matrix.documents.source import DocumentSource, Tag, load_source, plain_markdown
from matrix.documents.table_reader import ClaimDraft, TableProblem
from matrix.documents.table_registry import read_table
from matrix.documents.vocabulary import Vocabulary, language_of, load_vocabulary
from matrix.errors import DocumentProblems, Problem, UnreadableInputError
from matrix.model.claim import Claim

__all__ = ["ReadDocument", "read_document", "read_documents"]


@dataclasses.dataclass(frozen=True)
class ReadDocument:
    """What was read: claims in their order, problems, and notices.

    A problem is a row or word that is not understood. A notice is something that is understood
    and not read: a table that a partial puts there when the page is built, so that its rows are
    not in this file; a section about another tracer.
    """

    claims: tuple[Claim, ...]
    problems: tuple[Problem, ...] = ()
    notices: tuple[Problem, ...] = ()


def read_documents(
    paths: Sequence[Path], *, language: str | None = None, lenient: bool = False
) -> ReadDocument:
    """Read all documents; raise `DocumentProblems` with the problems of all, unless lenient.

    Documents with equal stems are told apart by their folders. Of several documents one that
    cannot be read is a problem among the others; alone it is an `UnreadableInputError`.
    """
    unique = list({path.absolute(): path for path in paths}.values())
    tried = [
        _tried(path, name, language)
        for path, name in zip(unique, document_names(unique), strict=True)
    ]
    unreadable = [error for _, error in tried if error is not None]
    if unreadable and len(unreadable) == len(unique):
        messages = "\n".join(error.message for error in unreadable)
        raise UnreadableInputError(messages, unreadable[0].hint)
    readings = [reading for reading, _ in tried]
    together = ReadDocument(
        tuple(claim for reading in readings for claim in reading.claims),
        tuple(problem for reading in readings for problem in reading.problems),
        tuple(notice for reading in readings for notice in reading.notices),
    )
    if together.problems and not lenient:
        raise DocumentProblems(together.problems)
    return together


def read_document(
    path: Path, *, language: str | None = None, name: str | None = None
) -> ReadDocument:
    """Read one document. Its name, the first part of the claims' ids, is the file's stem.

    Raises `UnreadableInputError` where there is nothing of the kind to read, `UsageError` for a
    language without a vocabulary. Problems are returned, not raised.
    """
    source = load_source(path)
    document = name or path.stem
    lines, tags = plain_markdown(source.lines)
    code = language or language_of(source, lines)
    vocabulary = load_vocabulary(code)
    check_page(source, lines, vocabulary)
    lines, left_out = without_other_tracers(lines, tags, vocabulary)
    drafts, troubles = _sorted_out(_outcomes(lines, vocabulary))
    notices = [*left_out, *_partials(tags, vocabulary)]
    if not drafts and not troubles and not notices:
        raise UnreadableInputError(
            f"{path}: no compatibility table and no known note in {len(lines)} lines",
            "Give the Markdown source of a Python compatibility page (and --language, if it is "
            f"not {vocabulary.language}).",
        )
    return ReadDocument(
        tuple(_claims(drafts, document, source, vocabulary)),
        tuple(_problems(troubles, document)),
        tuple(_problems(notices, document)),
    )


def _tried(
    path: Path, name: str, language: str | None
) -> tuple[ReadDocument, UnreadableInputError | None]:
    """Read a document; where that cannot be done, it is its own one problem."""
    try:
        return read_document(path, language=language, name=name), None
    except UnreadableInputError as error:
        return ReadDocument((), (Problem(name, 1, error.message),)), error


def _outcomes(
    lines: Sequence[str], vocabulary: Vocabulary
) -> Iterator[tuple[str, ClaimDraft | TableProblem]]:
    """Yield what each block promises, with the heading above it."""
    for block in blocks(lines):
        if isinstance(block, Heading):
            continue
        heading = block.headings[-1].text if block.headings else ""
        if isinstance(block, Table):
            section = section_of(block.headings, vocabulary)
            found: Iterable[ClaimDraft | TableProblem] = read_table(block, vocabulary, section)
        else:
            found = read_note(block, vocabulary)
        for outcome in found:
            yield heading, outcome


def _sorted_out(
    outcomes: Iterable[tuple[str, ClaimDraft | TableProblem]],
) -> tuple[list[tuple[str, ClaimDraft]], list[TableProblem]]:
    drafts: list[tuple[str, ClaimDraft]] = []
    troubles: list[TableProblem] = []
    for heading, outcome in outcomes:
        if isinstance(outcome, TableProblem):
            troubles.append(outcome)
        else:
            drafts.append((heading, outcome))
    drafts.sort(key=lambda pair: pair[1].line)
    return drafts, troubles


def _claims(
    drafts: Sequence[tuple[str, ClaimDraft]],
    document: str,
    source: DocumentSource,
    vocabulary: Vocabulary,
) -> Iterator[Claim]:
    ids = draft_ids(document, (draft for _, draft in drafts))
    for (heading, draft), identity in zip(drafts, ids, strict=True):
        yield Claim(
            id=identity,
            kind=draft.kind,
            subject=draft.subject,
            specifier=draft.specifier,
            as_written=draft.as_written,
            status=draft.status,
            document=document,
            language=vocabulary.language,
            sha256=source.sha256,
            heading=heading,
            line=draft.line,
            scope=draft.scope,
        )


def _partials(tags: Iterable[Tag], vocabulary: Vocabulary) -> Iterator[TableProblem]:
    for tag in tags:
        if tag.name not in {"partial", "include"} or vocabulary.exactly("partials", tag.arguments):
            continue
        message = f"a partial stands here, what it shows is not in this file: {tag.arguments}"
        yield TableProblem(tag.line, message)


def _problems(troubles: Iterable[TableProblem], document: str) -> Iterator[Problem]:
    for trouble in sorted(troubles, key=lambda trouble: trouble.line):
        yield Problem(document, trouble.line, trouble.message, trouble.suggestion)
