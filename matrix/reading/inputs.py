"""The documents that a command is given: files, folders and globs; without any, the facts."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from matrix.errors import UnreadableInputError
from matrix.reading.facts import load_facts
from matrix.reading.reading import Reading

__all__ = ["document_paths", "read_inputs"]

_SUFFIXES = (".md", ".txt")


def read_inputs(
    arguments: Sequence[str | os.PathLike[str]],
    *,
    language: str | None = None,
    lenient: bool = False,
) -> Reading:
    """Return the claims of the documents given, or the committed facts where none is.

    Raises `DocumentProblems` (not where `lenient`) and `UnreadableInputError`.
    """
    if not arguments:
        return Reading(load_facts())
    # The Markdown parser is only paid for when there is Markdown.
    from matrix.reading.document import read_documents  # noqa: PLC0415

    return read_documents(document_paths(arguments), language=language, lenient=lenient)


def document_paths(arguments: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Return the files that the arguments name: a folder its `*.md` and `*.txt`, a glob its hits.

    Raises `UnreadableInputError` for a folder or a glob that holds no document. A file that is
    not there is returned: reading it says so.
    """
    paths: list[Path] = []
    for argument in map(Path, arguments):
        if argument.is_dir():
            found = sorted(path for path in argument.iterdir() if _is_document(path))
            if not found:
                raise UnreadableInputError(
                    f"no document (*.md, *.txt) in the folder {argument}",
                    "Give a folder with Markdown pages, or the pages themselves.",
                )
        elif glob.has_magic(str(argument)) and not argument.exists():
            found = sorted(map(Path, glob.glob(str(argument), recursive=True)))  # noqa: PTH207
            found = [path for path in found if path.is_file()]
            if not found:
                raise UnreadableInputError(
                    f"nothing matches {argument}", "Quote the pattern and check the folder."
                )
        else:
            found = [argument]
        paths.extend(found)
    return paths


def _is_document(path: Path) -> bool:
    return path.is_file() and path.suffix.casefold() in _SUFFIXES
