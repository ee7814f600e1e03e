"""Partials: files in a folder whose content stands on a page at the place of a tag.

`{{< partial name="trace_collection/python/supported_runtimes.html" >}}` is found by that path
under the folder, or under any folder in it, and else by the name of its file.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from matrix.documents.blocks import Block, blocks
from matrix.documents.headings import headings_at, under_headings
from matrix.documents.markup import PageProblem, Tag, plain_markdown
from matrix.documents.source import DocumentSource, load_source
from matrix.documents.vocabulary import Vocabulary
from matrix.errors import UnreadableInputError

TAGS = frozenset({"partial", "include"})
_NAME = re.compile(r"(?:^|\s)(?:name|file|path|src)\s*=\s*[\"']([^\"']+)[\"']|^[\"']([^\"']+)[\"']")
_MAX_FILES = 20_000


@dataclasses.dataclass(frozen=True)
class Partial:
    """A partial with its blocks under the headings of the page, and the tag in its place.

    `name` is the path as the tag writes it. `problems` are those of the partial's own lines.
    """

    name: str
    line: int
    source: DocumentSource
    blocks: tuple[Block, ...]
    problems: tuple[PageProblem, ...]


def join_partials(
    tags: Sequence[Tag], page: Sequence[Block], folder: Path | None, vocabulary: Vocabulary
) -> Iterator[Partial | PageProblem]:
    """Yield the partials of a page that are in the folder, and what is to be said of the others."""
    for tag in tags:
        if tag.name not in TAGS or vocabulary.exactly("partials", tag.arguments):
            continue
        name = partial_name(tag.arguments)
        missing = PageProblem(
            tag.line, f"content of a partial is not in this file: {tag.arguments}", notice=True
        )
        if folder is None or not name:
            yield missing
            continue
        found = _find(folder, name)
        if len(found) > 1:
            shown = ", ".join(path.relative_to(folder).as_posix() for path in found[:3])
            yield PageProblem(tag.line, f"several files for the partial {name!r}: {shown}")
        elif not found:
            yield dataclasses.replace(missing, message=f"no file for the partial {name!r}")
        else:
            yield _read(found[0], name, tag, page)


def partial_name(arguments: str) -> str:
    """Return the path that a tag names, "" for none."""
    match = _NAME.search(arguments)
    return (match[1] or match[2]) if match else ""


def _read(path: Path, name: str, tag: Tag, page: Sequence[Block]) -> Partial | PageProblem:
    try:
        source = load_source(path)
    except UnreadableInputError as error:
        return PageProblem(tag.line, error.message)
    markdown = plain_markdown(source.lines)
    inner = tuple(
        PageProblem(
            one.line, f"content of a partial is not in this file: {one.arguments}", notice=True
        )
        for one in markdown.tags
        if one.name in TAGS
    )
    joined = under_headings(blocks(markdown.lines), headings_at(page, tag.line))
    return Partial(name, tag.line, source, tuple(joined), (*markdown.problems, *inner))


def find_partial(folder: Path, name: str) -> Path | None:
    """Return the file of a partial in a folder, None for none and for several."""
    found = _find(folder, name)
    return found[0] if len(found) == 1 else None


def _find(folder: Path, name: str) -> tuple[Path, ...]:
    """Return the files with that path below the folder, else those with that file's name."""
    parts = PurePosixPath(name).parts
    named = _files(folder).get(PurePosixPath(name).name, ())
    exact = tuple(path for path in named if path.relative_to(folder).parts == parts)
    below = tuple(path for path in named if path.relative_to(folder).parts[-len(parts) :] == parts)
    return exact or below or named


@functools.lru_cache(maxsize=8)
def _files(folder: Path) -> Mapping[str, tuple[Path, ...]]:
    """Return the files of a folder and of those in it, by their names."""
    if not folder.is_dir():
        raise UnreadableInputError(
            f"no folder of partials: {folder}", "Pass the folder that has the partials' files."
        )
    files: dict[str, tuple[Path, ...]] = {}
    for number, path in enumerate(sorted(folder.rglob("*"))):
        if number >= _MAX_FILES:
            raise UnreadableInputError(
                f"{folder} has more than {_MAX_FILES} files",
                "Pass the folder of the partials itself, such as layouts/partials.",
            )
        if path.is_file():
            files[path.name] = (*files.get(path.name, ()), path)
    return files
