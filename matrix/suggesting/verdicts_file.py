"""The verdicts that `verify --json` wrote, for documents that are still the same."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matrix.errors import UnreadableInputError, nearest
from matrix.model.cell import Cell
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Outcome, PartVerdict, Shows, Tightness, Verdict
from matrix.suggesting.paper import Paper

__all__ = ["SCHEMA", "Told", "read_verdicts"]

SCHEMA = "verdicts/1"
_LARGEST = 500_000_000
_REMEDY = "Make it with: python -m matrix verify DOCUMENT... --json FILE"


@dataclasses.dataclass(frozen=True)
class Told:
    """What a file of verdicts says: answers by claim, what was seen, and where cells were run.

    `contained` are the findings of cells that ran in containers. `silent` are documents that it
    says nothing of: those that a selection left out.
    """

    verdicts: Mapping[str, Verdict]
    findings: tuple[Finding, ...]
    profile: str
    targets: tuple[str, ...]
    contained: tuple[Finding, ...] = ()
    silent: tuple[str, ...] = ()


def read_verdicts(path: Path, papers: Iterable[Paper]) -> Told:
    """Return what a file says of the documents.

    Raises `UnreadableInputError`, which names the file, where it is no such file, is of another
    schema, or is about other documents or another version of one.
    """
    papers = tuple(papers)
    data = _load(path)
    try:
        abouts: dict[str, set[str]] = {}
        for claim in data["claims"]:
            abouts.setdefault(_text(claim["document"]), set()).add(_text(claim["sha256"]))
        verdicts = {one["claim"]: _verdict(one) for one in data["verdicts"]}
        findings = tuple(
            _finding(cell["id"], one) for cell in data["cells"] for one in cell["findings"]
        )
        inside = {
            cell["id"] for cell in data["cells"] if (where := cell.get("where")) and where["engine"]
        }
        told = Told(
            verdicts,
            findings,
            str(data["run"]["profile"]),
            tuple(map(str, data["run"]["targets"])),
            tuple(finding for finding in findings if finding.cell in inside),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableInputError(
            f"{path} is no complete file of verdicts: {type(error).__name__}: {error}", _REMEDY
        ) from error
    _check(path, abouts, papers)
    silent = tuple(paper.name for paper in papers if paper.name not in abouts)
    return dataclasses.replace(told, silent=silent)


def _load(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST:
            raise UnreadableInputError(f"{path} is too large for a file of verdicts", _REMEDY)
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UnreadableInputError(f"there is no file {path}", _REMEDY) from None
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableInputError(f"{path} cannot be read as JSON: {error}", _REMEDY) from error
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != SCHEMA:
        raise UnreadableInputError(
            f"{path} is no file of verdicts: its schema is {schema!r}, not {SCHEMA!r}", _REMEDY
        )
    known: dict[str, Any] = data
    return known


def _check(path: Path, abouts: Mapping[str, set[str]], papers: Sequence[Paper]) -> None:
    wrong = []
    known = [paper for paper in papers if paper.name in abouts]
    for paper in known:
        digest = paper.claims[0].sha256
        if digest not in abouts[paper.name]:
            then = ", ".join(sorted(one[:12] for one in abouts[paper.name]))
            wrong.append(
                f"it is about another version of {paper.name} (sha256 {then}..., {paper.path} now"
                f" has {digest[:12]}...)"
            )
    if papers and not known:
        near = nearest(papers[0].name, abouts)
        said = f"; did you mean {near!r}?" if near else ""
        wrong.append(f"it says nothing of {', '.join(paper.name for paper in papers)}{said}")
    if wrong:
        raise UnreadableInputError(
            f"{path} does not fit the documents: {'; '.join(wrong)}",
            "Verify these documents again: python -m matrix verify DOCUMENT... --json FILE",
        )


def _verdict(data: Mapping[str, Any]) -> Verdict:
    return Verdict(
        claim=_text(data["claim"]),
        outcome=Outcome(data["outcome"]),
        tightness=Tightness(data["tightness"]) if data["tightness"] else None,
        reason=Reason(data["reason"]) if data["reason"] else None,
        evidence=_text(data["evidence"]),
        cells=tuple(map(_cell, data["cells"])),
        parts=tuple(_part(one) for one in data["parts"]),
        remarks=tuple(map(_text, data["remarks"])),
    )


def _part(data: Mapping[str, Any]) -> PartVerdict:
    cells = tuple(map(_cell, data["cells"]))
    if not cells:
        raise ValueError(f"a part of {data['probe']!r} without cells")
    return PartVerdict(
        probe=_text(data["probe"]),
        channel=_text(data["channel"]),
        cells=cells,
        outcome=Outcome(data["outcome"]),
        tightness=Tightness(data["tightness"]) if data["tightness"] else None,
        reason=Reason(data["reason"]) if data["reason"] else None,
        evidence=_text(data["evidence"]),
        remarks=tuple(map(_text, data["remarks"])),
    )


def _finding(cell: str, data: Mapping[str, Any]) -> Finding:
    return Finding(
        cell=_cell(cell),
        probe=_text(data["probe"]),
        channel=_text(data["channel"]),
        shows=Shows(data["shows"]),
        evidence=_text(data["evidence"]),
        reason=Reason(data["reason"]) if data["reason"] else None,
        repeats=tuple(data["repeats"].items()),
        notes=tuple(map(_text, data["notes"])),
    )


def _text(value: object) -> str:
    """Return a value that must be text; raise TypeError where it is not."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _cell(value: object) -> str:
    """Return a cell's id; raise ValueError where it is none, or its versions are none."""
    text = _text(value)
    _ = Cell.parse(text).sort_key
    return text
