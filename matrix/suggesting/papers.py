"""The documents that are to be changed, read from their files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matrix.errors import UnreadableInputError
from matrix.reading.document import read_documents
from matrix.reading.identity import document_names
from matrix.reading.layout import read_layout
from matrix.reading.reading import Reading
from matrix.reading.source import load_source
from matrix.suggesting.paper import Paper
from matrix.suggesting.sheet import sheet_of

__all__ = ["read_papers"]


def read_papers(
    paths: Sequence[Path], *, lenient: bool = False
) -> tuple[Reading, dict[str, Paper]]:
    """Return what the documents promise, and those of them that promise anything, by name.

    Raises what reading raises.
    """
    unique = list({path.absolute(): path for path in paths}.values())
    reading = read_documents(unique, lenient=lenient)
    papers = {}
    for path, name in zip(unique, document_names(unique), strict=True):
        claims = tuple(claim for claim in reading.claims if claim.document == name)
        if not claims:
            continue
        source = load_source(path)
        if source.sha256 != claims[0].sha256:
            raise UnreadableInputError(
                f"{path} was changed while it was read", "Run the command again."
            )
        problems = (*reading.problems, *reading.notices)
        papers[name] = Paper(
            name=name,
            path=path,
            language=claims[0].language,
            sheet=sheet_of(path.read_bytes()),
            layout=read_layout(path, claims[0].language),
            claims=claims,
            problems=tuple(one.message for one in problems if one.document == name),
        )
    return reading, papers
