"""Read Markdown documents into claims, problems and notices, or into their layout.

The layout is for edits of a page: its tables with the roles of their columns, and its texts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from matrix.documents.blocks import Block, Heading, Table, Text, blocks
from matrix.documents.claim_ids import claims_of, document_names
from matrix.documents.headings import section_of
from matrix.documents.markup import STRUCK_OUT_TAG, PageProblem, PlainMarkdown, plain_markdown
from matrix.documents.notes import read_note
from matrix.documents.other_tracers import check_page, without_other_tracers
from matrix.documents.partials import TAGS as PARTIAL_TAGS
from matrix.documents.partials import join_partials
from matrix.documents.registry import read_registry
from matrix.documents.release_metadata import read_metadata
from matrix.documents.source import DocumentSource, check_format, load_source
from matrix.documents.table_reader import ClaimDraft, Column, read_columns, read_table
from matrix.documents.vocabulary import Vocabulary, language_of, load_vocabulary
from matrix.errors import DocumentProblems, Problem, UnreadableInputError
from matrix.model.claim import Claim
from matrix.model.vendor_tests import VendorTested


@dataclasses.dataclass(frozen=True)
class ReadDocument:
    """Claims in document order, problems and notices.

    A problem is a row or word that is not understood. A notice reports content that is understood
    but not read: a partial whose table is only inserted when the page is built, or a section about
    another tracer. `tested` is what the vendor's tests cover, of documents that are registries.
    """

    claims: tuple[Claim, ...]
    problems: tuple[Problem, ...] = ()
    notices: tuple[Problem, ...] = ()
    tested: tuple[VendorTested, ...] = ()


def read_documents(
    paths: Sequence[Path],
    *,
    language: str | None = None,
    lenient: bool = False,
    partials: Path | None = None,
) -> ReadDocument:
    """Read all documents; raise `DocumentProblems` with the problems of all, unless lenient.

    Names of documents with equal stems include folders. An unreadable document is a problem; if no
    document can be read, `UnreadableInputError` is raised. `partials` is the folder of the files
    that pages include.
    """
    unique = list({path.absolute(): path for path in paths}.values())
    results = [
        _read_or_problem(path, name, language, partials)
        for path, name in zip(unique, document_names(unique), strict=True)
    ]
    unreadable = [error for _, error in results if error is not None]
    if unreadable and len(unreadable) == len(unique):
        messages = "\n".join(error.message for error in unreadable)
        raise UnreadableInputError(messages, unreadable[0].hint)
    readings = [reading for reading, _ in results]
    combined = ReadDocument(
        tuple(claim for reading in readings for claim in reading.claims),
        tuple(problem for reading in readings for problem in reading.problems),
        tuple(notice for reading in readings for notice in reading.notices),
        tuple(item for reading in readings for item in reading.tested),
    )
    if combined.problems and not lenient:
        raise DocumentProblems(combined.problems)
    return combined


def read_document(
    path: Path,
    *,
    language: str | None = None,
    name: str | None = None,
    partials: Path | None = None,
) -> ReadDocument:
    """Read one document; its name (default: the file's stem) is the first part of its claims' ids.

    Claims of a partial have the line of the tag that includes it, and their place in the partial in
    their scope. Raises `UnreadableInputError` for a file without a compatibility table or note,
    `UsageError` for a language without a vocabulary. Problems are returned, not raised.
    """
    source = load_source(path)
    document = name or path.stem
    registry = read_registry(source, document)
    if registry is not None:
        located = [problem for problem, _ in _located(registry.problems, document, source)]
        return ReadDocument(registry.claims, tuple(located), tested=registry.tested)
    if metadata := read_metadata(source, document):
        claims, unread = metadata
        return ReadDocument(claims, tuple(item for item, _ in _located(unread, document, source)))
    check_format(source)
    page = plain_markdown(source.lines)
    code = language or language_of(source, page.lines)
    vocabulary = load_vocabulary(code)
    check_page(source, page.lines, vocabulary)
    page, skipped_sections = without_other_tracers(page, vocabulary)
    content = list(blocks(page.lines))
    page_problems = [*page.problems, *skipped_sections, *_unread_tags(page, vocabulary)]
    drafts = []
    for heading, item in _outcomes(content, vocabulary):
        if isinstance(item, ClaimDraft):
            drafts.append((heading, item))
        else:
            page_problems.append(item)
    of_partials: list[tuple[Problem, bool]] = []
    for part in join_partials(page.tags, content, partials, vocabulary):
        if isinstance(part, PageProblem):
            page_problems.append(part)
            continue
        problems_there = list(part.problems)
        for heading, item in _outcomes(part.blocks, vocabulary):
            if isinstance(item, ClaimDraft):
                scope = (*item.scope, ("partial", f"{part.name}:{item.line}"))
                drafts.append((heading, dataclasses.replace(item, line=part.line, scope=scope)))
            else:
                problems_there.append(item)
        of_partials += _located(problems_there, part.name, part.source)
    drafts.sort(key=lambda pair: pair[1].line)
    problems = [*_located(page_problems, document, source), *of_partials]
    if not drafts and not problems:
        raise UnreadableInputError(
            f"{path}: no compatibility table and no recognized note in {len(page.lines)} lines",
            "Pass the Markdown source of a Python compatibility page (and --language, if it is "
            f"not {vocabulary.language}).",
        )
    return ReadDocument(
        claims_of(drafts, document, source, vocabulary.language),
        tuple(problem for problem, is_notice in problems if not is_notice),
        tuple(problem for problem, is_notice in problems if is_notice),
    )


def _read_or_problem(
    path: Path, name: str, language: str | None, partials: Path | None
) -> tuple[ReadDocument, UnreadableInputError | None]:
    """Read a document; an unreadable one becomes a document with one problem, and the error."""
    try:
        return read_document(path, language=language, name=name, partials=partials), None
    except UnreadableInputError as error:
        return ReadDocument((), (Problem(name, 1, error.message),)), error


def _outcomes(
    page: Iterable[Block], vocabulary: Vocabulary
) -> Iterator[tuple[str, ClaimDraft | PageProblem]]:
    """Yield the drafts and problems of each block with the heading above it."""
    for block in page:
        if isinstance(block, Heading):
            continue
        heading = block.headings[-1].text if block.headings else ""
        if isinstance(block, Table):
            section = section_of(block.headings, vocabulary)
            outcomes: Iterable[ClaimDraft | PageProblem] = read_table(block, vocabulary, section)
        else:
            outcomes = read_note(block, vocabulary)
        for outcome in outcomes:
            yield heading, outcome


def _unread_tags(page: PlainMarkdown, vocabulary: Vocabulary) -> Iterator[PageProblem]:
    """Yield a notice for each tag in whose place something stands on the published page."""
    for tag in page.tags:
        if tag.name.startswith("/") or vocabulary.exactly("shortcodes", tag.name):
            continue
        if tag.name == STRUCK_OUT_TAG:
            yield PageProblem(tag.line, "struck-out text is not read", notice=True)
        elif tag.name not in PARTIAL_TAGS:
            message = f"content of a shortcode is not in this file: {tag.name}"
            yield PageProblem(tag.line, message, written=tag.name, notice=True)


def _located(
    problems: Iterable[PageProblem], document: str, source: DocumentSource
) -> Iterator[tuple[Problem, bool]]:
    """Yield the problems with their places, each with whether it is a notice."""
    for problem in sorted(problems, key=lambda problem: problem.line):
        line = source.lines[problem.line - 1] if problem.line <= len(source.lines) else ""
        column = line.find(problem.written) + 1 if problem.written else 0
        located = Problem(document, problem.line, problem.message, problem.suggestion, column)
        yield located, problem.notice


@dataclasses.dataclass(frozen=True)
class TableLayout:
    """A table and the role of each of its columns."""

    table: Table
    columns: tuple[Column, ...]

    def position(self, role: str, capability: str = "") -> int | None:
        """Return the index of the column with a role (for a capability), None without one."""
        roles = [(column.role, column.capability) for column in self.columns]
        return roles.index((role, capability)) if (role, capability) in roles else None


@dataclasses.dataclass(frozen=True)
class PageLayout:
    """A page's tables and texts in page order, with the vocabulary of its language.

    Cells are from the page as plain Markdown, so their columns in the file's lines may differ.
    """

    vocabulary: Vocabulary
    tables: tuple[TableLayout, ...]
    texts: tuple[Text, ...]

    def table_at(self, line: int) -> TableLayout | None:
        """Return the table that has a row on a line."""
        for layout in self.tables:
            if any(row.line == line for row in layout.table.rows):
                return layout
        return None

    def text_at(self, line: int) -> Text | None:
        """Return the text that contains a line."""
        containing = (text for text in self.texts if 0 <= line - text.line < len(text.lines))
        return next(containing, None)


def read_layout(path: Path, language: str) -> PageLayout:
    """Return the layout of a page; raise `UnreadableInputError` if it is not text."""
    source = load_source(path)
    vocabulary = load_vocabulary(language)
    markdown, _ = without_other_tracers(plain_markdown(source.lines), vocabulary)
    page = list(blocks(markdown.lines))
    tables = [block for block in page if isinstance(block, Table)]
    return PageLayout(
        vocabulary,
        tuple(TableLayout(table, read_columns(table, vocabulary)) for table in tables),
        tuple(block for block in page if isinstance(block, Text)),
    )
