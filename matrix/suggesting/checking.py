"""The guarantee: what a changed page promises is what was meant to change, and nothing else."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from matrix.errors import UserError
from matrix.reading.document import read_document
from matrix.reading.reading import Reading
from matrix.suggesting.change import Change
from matrix.suggesting.paper import Paper

__all__ = ["read_again", "unintended"]

_NAMED = 3


def read_again(paper: Paper, data: bytes) -> Reading:
    """Return what the changed bytes of a document promise, read as the document itself was."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"page{paper.path.suffix}"
        path.write_bytes(data)
        return read_document(path, language=paper.language, name=paper.name)


def unintended(paper: Paper, data: bytes, changes: Sequence[Change]) -> str:
    """Return what the changed page says that it should not, or no longer says; "" if nothing."""
    try:
        reading = read_again(paper, data)
    except UserError as error:
        return f"the changed page cannot be read: {error.message}"
    wanted = Counter(claim.fact for claim in paper.claims)
    wanted.subtract(fact for change in changes for fact in change.gone)
    wanted.update(fact for change in changes for fact in change.come)
    found = Counter(claim.fact for claim in reading.claims)
    lost = [fact for fact, count in wanted.items() if count > found[fact]]
    new = [fact for fact, count in found.items() if count > wanted[fact]]
    if lost or new:
        return f"lost {_named(lost)}; unintended {_named(new)}"
    problems = Counter(one.message for one in (*reading.problems, *reading.notices))
    if problems != Counter(paper.problems):
        return "the page is understood otherwise than before"
    return ""


def _named(facts: Sequence[tuple[object, ...]]) -> str:
    shown = "; ".join(" ".join(str(part) for part in fact if part) for fact in facts[:_NAMED])
    return shown or "nothing"
