"""A document to claims and problems: the one door of this package for Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from matrix.errors import DocumentProblems, Problem, UnreadableInputError
from matrix.model.claim import Claim
from matrix.reading.dialect import Tag, plain_markdown
from matrix.reading.identity import document_names, draft_ids
from matrix.reading.language import language_of
from matrix.reading.markdown import Heading, Table, blocks
from matrix.reading.notes import read_note, section_of
from matrix.reading.reading import Reading
from matrix.reading.source import Source, load_source
from matrix.reading.tables.base import Draft, Trouble
from matrix.reading.tables.registry import read_table
from matrix.reading.tracers import check_page, without_other_tracers
from matrix.reading.vocabulary import Vocabulary, load_vocabulary

__all__ = ["Reading", "read_document", "read_documents"]


def read_documents(
    paths: Sequence[Path], *, language: str | None = None, lenient: bool = False
) -> Reading:
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
    together = Reading(
        tuple(claim for reading in readings for claim in reading.claims),
        tuple(problem for reading in readings for problem in reading.problems),
        tuple(notice for reading in readings for notice in reading.notices),
    )
    if together.problems and not lenient:
        raise DocumentProblems(together.problems)
    return together


def read_document(path: Path, *, language: str | None = None, name: str | None = None) -> Reading:
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
    return Reading(
        tuple(_claims(drafts, document, source, vocabulary)),
        tuple(_problems(troubles, document)),
        tuple(_problems(notices, document)),
    )


def _tried(
    path: Path, name: str, language: str | None
) -> tuple[Reading, UnreadableInputError | None]:
    """Read a document; where that cannot be done, it is its own one problem."""
    try:
        return read_document(path, language=language, name=name), None
    except UnreadableInputError as error:
        return Reading((), (Problem(name, 1, error.message),)), error


def _outcomes(
    lines: Sequence[str], vocabulary: Vocabulary
) -> Iterator[tuple[str, Draft | Trouble]]:
    """Yield what each block promises, with the heading above it."""
    for block in blocks(lines):
        if isinstance(block, Heading):
            continue
        heading = block.headings[-1].text if block.headings else ""
        if isinstance(block, Table):
            section = section_of(block.headings, vocabulary)
            found: Iterable[Draft | Trouble] = read_table(block, vocabulary, section)
        else:
            found = read_note(block, vocabulary)
        for outcome in found:
            yield heading, outcome


def _sorted_out(
    outcomes: Iterable[tuple[str, Draft | Trouble]],
) -> tuple[list[tuple[str, Draft]], list[Trouble]]:
    drafts: list[tuple[str, Draft]] = []
    troubles: list[Trouble] = []
    for heading, outcome in outcomes:
        if isinstance(outcome, Trouble):
            troubles.append(outcome)
        else:
            drafts.append((heading, outcome))
    drafts.sort(key=lambda pair: pair[1].line)
    return drafts, troubles


def _claims(
    drafts: Sequence[tuple[str, Draft]], document: str, source: Source, vocabulary: Vocabulary
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


def _partials(tags: Iterable[Tag], vocabulary: Vocabulary) -> Iterator[Trouble]:
    for tag in tags:
        if tag.name not in {"partial", "include"} or vocabulary.exactly("partials", tag.arguments):
            continue
        message = f"a partial stands here, what it shows is not in this file: {tag.arguments}"
        yield Trouble(tag.line, message)


def _problems(troubles: Iterable[Trouble], document: str) -> Iterator[Problem]:
    for trouble in sorted(troubles, key=lambda trouble: trouble.line):
        yield Problem(document, trouble.line, trouble.message, trouble.suggestion)
