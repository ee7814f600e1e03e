"""The verdicts that `verify --json` wrote, for documents that are still the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from matrix.errors import UnreadableInputError, did_you_mean
from matrix.features.corrections.page import PageText
from matrix.model.verdict import Finding, Verdict
from matrix.runs.record_reader import read_record

__all__ = ["VerdictsFile", "read_verdicts"]


@dataclasses.dataclass(frozen=True)
class VerdictsFile:
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


def read_verdicts(path: Path, pages: Iterable[PageText]) -> VerdictsFile:
    """Return what a file says of the documents.

    Raises `UnreadableInputError`, which names the file, where it is no such file, is of another
    schema, or is about other documents or another version of one.
    """
    pages = tuple(pages)
    record = read_record(path)
    abouts: dict[str, set[str]] = {}
    for claim in record.claims:
        abouts.setdefault(claim.document, set()).add(claim.sha256)
    _check(path, abouts, pages)
    return VerdictsFile(
        record.verdict_by_claim,
        tuple(finding for cell in record.cells for finding in cell.findings),
        record.run.profile,
        record.run.targets,
        contained=tuple(
            finding
            for cell in record.cells
            if cell.where and cell.where.engine
            for finding in cell.findings
        ),
        silent=tuple(page.name for page in pages if page.name not in abouts),
    )


def _check(path: Path, abouts: Mapping[str, set[str]], pages: Sequence[PageText]) -> None:
    wrong = []
    known = [page for page in pages if page.name in abouts]
    for page in known:
        digest = page.claims[0].sha256
        if digest not in abouts[page.name]:
            then = ", ".join(sorted(one[:12] for one in abouts[page.name]))
            wrong.append(
                f"it is about another version of {page.name} (sha256 {then}..., {page.path} now"
                f" has {digest[:12]}...)"
            )
    if pages and not known:
        names = ", ".join(page.name for page in pages)
        wrong.append(f"it says nothing of {names}{did_you_mean(pages[0].name, abouts)}")
    if wrong:
        raise UnreadableInputError(
            f"{path} does not fit the documents: {'; '.join(wrong)}",
            "Verify these documents again: python -m matrix verify DOCUMENT... --json FILE",
        )
